"""Choose how a run on a GPU makes its steps by a trial: the fastest way that gives the numbers of the plain steps.

The trial trains a throw-away model of the same shape in another process, so it changes neither weights nor random
states here, and its memory is free afterwards. It has to be another process for a second reason: after some errors of
CUDA, such as an illegal address, every later call in the same process fails. So a trial process ends at the first way
that fails, and another one tries the rest. The result is kept in the user's cache folder. Read ``step_trial.py`` next,
which runs in the other process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch

from pellucid.config import StepMethod
from pellucid.runtime import Runtime, module_paths
from pellucid.training.inputs import RunInputs
from pellucid.training.machine.records import remember, remembered
from pellucid.training.packed.obstacles import packing_obstacle
from pellucid.training.state import newest_state

__all__ = ["Finding", "StepChoice", "Trial", "choose_steps", "try_apart", "way_of_run"]

_KIND: Final = "steps"
"""Of the record in the cache folder."""
_MOST_SECONDS: Final = 120.0
"""Of a trial process; most of it is for the start of CUDA on a busy machine."""
_MOST_COMPILING_SECONDS: Final = 420.0
_WAYS: Final = {
    None: (StepMethod.PACKED, StepMethod.STATIC, StepMethod.GRAPH, StepMethod.COMPILED),
    "eager": (),
    "packed": (),
    "static": (StepMethod.STATIC, StepMethod.GRAPH),
    "static, packed": (StepMethod.PACKED,),
    "static, compiled": (StepMethod.COMPILED,),
}
"""The methods that can continue a run whose checkpoint names this way of making steps; None for a new run."""
_NAMES: Final = {
    StepMethod.EAGER: "eager",
    StepMethod.STATIC: "static shapes",
    StepMethod.GRAPH: "CUDA graphs",
    StepMethod.PACKED: "packed tokens",
    StepMethod.COMPILED: "compiled layers",
}
_CODE: Final = "from pellucid.training.gpu.step_trial import main; main()"


@dataclass(frozen=True)
class Finding:
    """What a trial found out about one method."""

    method: StepMethod
    milliseconds: float = 0.0
    """Of a step."""
    problem: str = ""
    """Why the method is left out; empty if it can be taken."""
    has_failed: bool = False
    """Whether it did not come to an end, which may have a passing cause; otherwise its numbers were compared."""


@dataclass(frozen=True)
class StepChoice:
    """The findings of a trial, that of plain steps first. ``keeps`` is the way of the run that is continued, if any."""

    findings: tuple[Finding, ...]
    keeps: str | None = None
    is_remembered: bool = False

    @property
    def method(self) -> StepMethod:
        """The fastest method without a problem that can continue the run."""
        able = [found for found in self.findings if not found.problem]
        kept = [found for found in able if self.keeps is None or found.method is not StepMethod.EAGER]
        return min(kept, key=lambda found: found.milliseconds).method if kept else StepMethod.EAGER

    def to_text(self) -> str:
        """Return the line for the screen, with figures."""
        if self.keeps == "eager":
            return "steps: eager, as this run began"
        times = {found.method: f"{found.milliseconds:.1f} ms" for found in self.findings if not found.problem}
        chosen = self.method
        others = [f"{time} {_NAMES[method]}" for method, time in times.items() if method is not chosen]
        against = f" against {', '.join(others)}" if others else ""
        when = "measured earlier on this machine" if self.is_remembered else "measured now"
        left_out = "".join(f"; {_NAMES[one.method]} left out: {one.problem}" for one in self.findings if one.problem)
        figures = f", {times[chosen]}{against}" if chosen in times else ""
        return f"steps: {_NAMES[chosen]}{figures} ({when}){left_out}"


@dataclass(frozen=True)
class Trial:
    """What a trial process receives: settings as tables of JSON, and the methods beside the plain steps."""

    model: dict[str, Any]
    training: dict[str, Any]
    runtime: dict[str, Any]
    methods: tuple[str, ...]


Trier = Callable[[Trial], list[Finding]]
"""Tries plain steps and then the methods of a trial; the list ends with the first method that fails."""


def choose_steps(
    inputs: RunInputs,
    *,
    may_compile: bool,
    methods: Sequence[StepMethod] = tuple(StepMethod),
    trier: Trier | None = None,
) -> StepChoice:
    """Return the remembered choice for this device and this shape of model, or that of a trial.

    A run that is continued keeps the way that it began with; only methods of that way are tried.
    """
    keeps = way_of_run(inputs.run_folder, inputs.runtime)
    allowed = [method for method in _WAYS[keeps] if method in methods]
    if keeps is None and not may_compile:
        allowed = [method for method in allowed if method is not StepMethod.COMPILED]
    if packing_obstacle(inputs.model.config, "cuda"):
        allowed = [method for method in allowed if method is not StepMethod.PACKED]
    if not allowed:
        return StepChoice((), keeps)
    facts = _facts(inputs, allowed)
    if (found := _believed(remembered(_KIND, facts), allowed)) is not None:
        return StepChoice(found, keeps, is_remembered=True)
    findings = _try_all(inputs, allowed, trier or try_apart)
    if not any(found.has_failed for found in findings):
        remember(_KIND, facts, {"findings": [asdict(found) for found in findings]})
    return StepChoice(findings, keeps)


def way_of_run(run_folder: Path, runtime: Runtime) -> str | None:
    """Return the way of the newest checkpoint that can be read; None if there is none from this kind of device."""
    if (found := newest_state(run_folder / "checkpoints")) is None:
        return None
    runtime_then = found[1].runtime
    way = str(runtime_then.get("steps", StepMethod.EAGER))
    is_alike = str(runtime_then.get("device")).partition(":")[0] == runtime.torch_device().type
    return way if is_alike and way in _WAYS else None


def _try_all(inputs: RunInputs, methods: Sequence[StepMethod], trier: Trier) -> tuple[Finding, ...]:
    """Try packed steps, and the other methods only if those cannot be taken; with a new process after each failure."""
    findings: dict[StepMethod, Finding] = {}
    packed = [method for method in methods if method is StepMethod.PACKED]
    for group in (packed, [method for method in methods if method not in packed]):
        left = list(group)
        while left:
            trial = Trial(
                inputs.model.config.model_dump(mode="json"),
                inputs.config.model_dump(mode="json"),
                asdict(inputs.runtime),
                tuple(left),
            )
            findings |= {found.method: found for found in trier(trial)}
            if findings[StepMethod.EAGER].problem:
                break
            left = [method for method in left if method not in findings]
        if _is_enough(tuple(findings.values())):
            break
    return tuple(findings[method] for method in (StepMethod.EAGER, *methods) if method in findings)


def _is_enough(findings: Sequence[Finding]) -> bool:
    """Return whether no other method is worth a trial: without plain steps, or with packed ones that are faster.

    On an H200, packed steps took a half to two thirds of the time of the next method.
    """
    by_method = {found.method: found for found in findings}
    plain, packed = by_method.get(StepMethod.EAGER), by_method.get(StepMethod.PACKED)
    if plain is None or plain.problem:
        return plain is not None
    return packed is not None and not packed.problem and packed.milliseconds < plain.milliseconds


def try_apart(trial: Trial) -> list[Finding]:
    """Run a trial in another process. Whatever happens there, the list names plain steps and at least one method."""
    with tempfile.TemporaryDirectory(prefix="pellucid-trial-") as folder:
        request, answer, log = (Path(folder) / name for name in ("request.json", "findings.jsonl", "log.txt"))
        request.write_text(json.dumps(asdict(trial)), encoding="utf-8")
        environment = os.environ | {"PYTHONPATH": module_paths()}
        is_long = StepMethod.COMPILED in trial.methods
        end = "it did not end in time"
        with log.open("wb") as sink:
            try:
                done = subprocess.run(
                    [sys.executable, "-c", _CODE, str(request), str(answer)],
                    stdin=subprocess.DEVNULL,
                    stdout=sink,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    timeout=_MOST_COMPILING_SECONDS if is_long else _MOST_SECONDS,
                    check=False,
                    start_new_session=True,  # Ctrl-C ends the run, and the run waits for the trial
                )
                end = f"its process ended with status {done.returncode}"
            except subprocess.TimeoutExpired:
                pass
            except OSError as error:
                end = f"its process did not start: {error}"
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        findings = _read(answer)
    missing = [method for method in (StepMethod.EAGER, *trial.methods) if method not in {f.method for f in findings}]
    if missing and not any(found.has_failed for found in findings):
        problem = f"failed, {end}{''.join(f' ({line[:200]})' for line in last)}"
        findings.append(Finding(StepMethod(missing[0]), problem=problem, has_failed=True))
    return findings


def _read(path: Path) -> list[Finding]:
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    tables = [json.loads(line) for line in lines if line.endswith("\n")]  # a process can end in the middle of a line
    return [Finding(**table | {"method": StepMethod(table["method"])}) for table in tables]


def _facts(inputs: RunInputs, methods: Sequence[StepMethod]) -> dict[str, object]:
    """Return what the fastest method depends on."""
    config = inputs.config
    is_gpu = inputs.runtime.device != "cpu"
    driver = getattr(torch._C, "_cuda_getDriverVersion", None)  # torch has no public name for it, nor a promise
    return {
        "device": inputs.runtime.device_name(),
        "torch": torch.__version__,
        "driver": driver() if is_gpu and driver else None,
        "precision": inputs.runtime.precision.value,
        "model": inputs.model.config.model_dump(mode="json"),
        "batch": [config.known_batch_size, config.batch_type.value],
        "clips": config.max_grad_norm > 0,
        "passes": config.passes,
        "average": [config.average_decay, config.average_tail],
        "methods": [method.value for method in methods],
    }


def _believed(record: dict[str, Any] | None, methods: Sequence[StepMethod]) -> tuple[Finding, ...] | None:
    """Return the stored findings, or None if they are not those of these methods."""
    try:
        tables = record["findings"] if record else []
        findings = tuple(
            Finding(StepMethod(table["method"]), float(table["milliseconds"]), str(table["problem"]))
            for table in tables
        )
    except (ValueError, TypeError, KeyError):
        return None
    known = [found.method for found in findings]
    is_whole = known == [StepMethod.EAGER, *methods]
    return findings if is_whole or (known == [StepMethod.EAGER, StepMethod.PACKED] and _is_enough(findings)) else None
