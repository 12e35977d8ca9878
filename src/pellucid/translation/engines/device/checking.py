"""Whether the device engine may be used: tried once for a model on a kind of GPU, and the verdict is remembered.

The trial has a process of its own. After an error of CUDA a process can compute nothing more on the GPU, and a graph
that waits for ever would take its process along; so neither ends the user's translation.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import torch

from pellucid.bundle import ModelFolder, open_model_folder, read_model
from pellucid.compiled.cache import alone, private_cache
from pellucid.durable import DISK
from pellucid.runtime import Runtime, module_paths
from pellucid.translation.engines.device.trial import Verdict, try_engine

__all__ = ["checked", "in_a_process"]

_SECONDS: Final = 120
"""A trial that takes longer is ended."""
Run = Callable[[dict[str, Any]], Verdict]


def checked(
    opened: ModelFolder, runtime: Runtime, *, is_bf16: bool, say: Callable[[str], None], run: Run | None = None
) -> str:
    """Return why the device engine is not to be used for a model; empty if it is.

    Args:
        opened: the model.
        runtime: names the device.
        is_bf16: the number format; else float32.
        say: called with a sentence before a trial, which takes seconds.
        run: tries the engine; None is a process.
    """
    facts = {
        "weights": opened.description.weights_sha256,
        "device": runtime.device_name(),
        "torch": torch.__version__,
        "format": "bf16" if is_bf16 else "fp32",
        "engine": _sha256_of_engine(),
    }
    key = sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]
    record = private_cache() / f"device-{key}.json"
    with alone(record):
        verdict = _remembered(record, facts)
        if verdict is None:
            say(f"checking the device engine with this model on {facts['device']}, once")
            verdict = (run or in_a_process)(
                {"folder": str(opened.folder), "device": runtime.device, "is_bf16": is_bf16, "threads": runtime.threads}
            )
            if verdict.is_lasting:
                with suppress(OSError):  # a full disk costs another trial, and no translation
                    record.unlink(missing_ok=True)
                    DISK.write(record, json.dumps({"facts": facts, "verdict": asdict(verdict)}, indent=1).encode())
    if not verdict.problem or not verdict.is_lasting:
        return verdict.problem
    return f"{verdict.problem} (to check again, delete {record})"


def _remembered(record: Path, facts: dict[str, str]) -> Verdict | None:
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
        return Verdict(**content["verdict"]) if content["facts"] == facts else None
    except (OSError, ValueError, TypeError, KeyError):  # absent, or of another version
        return None


def _sha256_of_engine() -> str:
    """Return the SHA-256 of the engine's files: a changed one is tried again."""
    content = sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        content.update(path.read_bytes())
    return content.hexdigest()


def in_a_process(
    request: dict[str, Any], *, program: Sequence[str] = ("-m", __name__), seconds: float = _SECONDS
) -> Verdict:
    """Try the engine in a process of its own; what ends it is a verdict, too.

    Args:
        request: the arguments of ``_answer``.
        program: what the interpreter runs; it writes the verdict on its last line.
        seconds: the most that it may take.
    """
    environment = os.environ | {"PYTHONPATH": module_paths()}
    command = [sys.executable, *program, json.dumps(request)]
    try:
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return Verdict(f"its trial did not end within {seconds:g} s", is_lasting=False)
    except OSError as error:
        return Verdict(f"its trial could not be started: {error}", is_lasting=False)
    try:
        return Verdict(**json.loads(ended.stdout.strip().rpartition("\n")[2]))
    except (ValueError, TypeError):
        last = ended.stderr.strip().rpartition("\n")[2]
        return Verdict(f"its trial ended with status {ended.returncode}: {last}".rstrip(": "), is_lasting=False)


def _answer(*, folder: str, device: str, is_bf16: bool, threads: int, sentences: int = 0) -> Verdict:
    Runtime.detect(device=device, threads=threads).apply()
    model = read_model(open_model_folder(Path(folder))).model
    return try_engine(model.to(device, torch.bfloat16 if is_bf16 else torch.float32), sentences=sentences)


if __name__ == "__main__":
    os.write(1, f"\n{json.dumps(asdict(_answer(**json.loads(sys.argv[1]))))}\n".encode())
