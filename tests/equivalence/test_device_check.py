"""The check of the device engine before its first use: what it refuses, and what it remembers.

Here the processor is the device, and deliberately wrong engines stand for graphs that replay wrongly.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tests.equivalence.clear_models import clear_model

import pellucid
from pellucid.bundle import open_model_folder
from pellucid.jobs import models
from pellucid.model.transformer import Transformer
from pellucid.runtime import Runtime
from pellucid.translation.engines.device import checking
from pellucid.translation.engines.device.checking import checked, in_a_process
from pellucid.translation.engines.device.engine import DeviceEngine
from pellucid.translation.engines.device.slots import Slots
from pellucid.translation.engines.device.trial import Verdict, try_engine
from pellucid.translation.engines.engine import Outcome, SearchRequest

MODEL = Path(pellucid.__file__).parent / "sample" / "walkthrough" / "model"


def no_clock() -> float:
    return 0.0


@dataclass
class Spoiled:
    """An engine whose outcomes are changed, from a certain search on."""

    engine: DeviceEngine
    change: Callable[[Outcome], Outcome]
    right_searches: int = 0
    name: str = "device (spoiled)"

    def lacks(self, request: SearchRequest) -> None:
        return None

    def search(self, request: SearchRequest) -> Iterator[Outcome]:
        self.right_searches -= 1
        for outcome in self.engine.search(request):
            yield outcome if self.right_searches >= 0 else self.change(outcome)


def verdict_on(change: Callable[[Outcome], Outcome], *, right_searches: int = 0) -> Verdict:
    def open_engine(model: Transformer, *, say: Callable[[str], None]) -> Spoiled:
        return Spoiled(DeviceEngine(model, say=say), change, right_searches)

    return try_engine(clear_model(), open_engine=open_engine, sentences=10, clock=no_clock)


def other_piece(outcome: Outcome) -> Outcome:
    place, (best, *rest) = outcome
    return place, [replace(best, ids=(best.ids[0] + 1, *best.ids[1:])), *rest]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_engine_that_agrees_is_taken(dtype: torch.dtype) -> None:
    verdict = try_engine(clear_model().to(dtype), sentences=10, clock=no_clock)
    assert verdict.problem == ""
    assert verdict.translations == 2 * 10 + 2 + 2
    assert verdict.equal == verdict.translations or dtype is torch.bfloat16


def test_a_wrong_log_probability_is_refused_even_in_a_replay_alone() -> None:
    found = verdict_on(other_piece, right_searches=1)
    assert found.problem.startswith("greedy: its log-probability of a piece differs from torch's by ")
    assert found.problem.endswith("in the mean of a translation, and 0.0001 is allowed")
    assert found.is_lasting


def test_what_is_no_number_or_missing_is_refused() -> None:
    def no_number(outcome: Outcome) -> Outcome:
        place, (best, *rest) = outcome
        return place, [replace(best, token_log_probabilities=(float("nan"),) * len(best.ids)), *rest]

    assert "differs from torch's by nan" in verdict_on(no_number).problem
    missing = verdict_on(lambda outcome: (0, outcome[1]))
    assert missing.problem == "greedy: it translates 1 of 10 made-up sentences"


def test_translations_that_are_true_but_not_the_best_are_refused() -> None:
    """All its log-probabilities are right, and so only the comparison of the pieces shows it."""

    class Narrow(DeviceEngine):
        def search(self, request: SearchRequest) -> Iterator[Outcome]:
            beam = 1 if request.config.n_best == 1 else request.config.beam_size
            config = request.config.model_copy(update={"beam_size": beam})
            yield from super().search(replace(request, config=config))

    found = try_engine(clear_model(), open_engine=Narrow, sentences=10, clock=no_clock)
    assert found.problem.startswith("beam 5: it translates ")
    assert found.problem.endswith("of 10 made-up sentences otherwise than torch")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_step_that_keeps_something_from_a_recording_is_refused(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if a constant had been recorded in place of a tensor: which ancestors a row continues never changes."""
    plain = Slots.view

    def stale(self: Slots, target: int, source: int) -> Any:
        self.ancestry.copy_(self.rows[None, :, None].expand_as(self.ancestry))
        return plain(self, target, source)

    monkeypatch.setattr(Slots, "view", stale)
    found = try_engine(clear_model().to(dtype), sentences=25, clock=no_clock)
    assert found.problem.startswith("beam 5: its log-probability of a piece differs from torch's by ")


def test_an_engine_that_raises_or_cannot_record_is_refused() -> None:
    def failing(outcome: Outcome) -> Outcome:
        raise RuntimeError("CUDA error: an illegal memory access\nmore")

    def without_memory(outcome: Outcome) -> Outcome:
        raise torch.OutOfMemoryError("CUDA out of memory")

    def silent(model: Transformer, *, say: Callable[[str], None]) -> DeviceEngine:
        say("the device engine runs without CUDA graphs, and slower: why")
        return DeviceEngine(model)

    assert verdict_on(failing) == Verdict("it fails: RuntimeError: CUDA error: an illegal memory access")
    assert not verdict_on(without_memory).is_lasting
    found = try_engine(clear_model(), open_engine=silent, sentences=10, clock=no_clock)
    assert found.problem == "the device engine runs without CUDA graphs, and slower: why"


def test_a_slower_engine_is_refused_with_figures() -> None:
    hours = [0.0]

    def slow(outcome: Outcome) -> Outcome:
        hours[0] += 1
        return outcome

    def open_engine(model: Transformer, *, say: Callable[[str], None]) -> Spoiled:
        return Spoiled(DeviceEngine(model), slow)

    found = try_engine(clear_model(), open_engine=open_engine, sentences=10, clock=lambda: hours[0])
    assert found.problem == "it is slower: 24.00 s for 24 made-up sentences, and torch 0.00 s"


# --- what is remembered ---------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@dataclass
class Trials:
    """Counts the trials, which come to this verdict."""

    verdict: Verdict
    count: int = 0

    def __call__(self, request: dict[str, Any]) -> Verdict:
        self.count += 1
        return self.verdict


def test_a_verdict_is_remembered_for_a_model_a_device_and_a_format(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, runtime, said = open_model_folder(MODEL), Runtime.detect(device="cpu"), []
    trials = Trials(Verdict("it is slower: 2 s"))

    def check(opened: Any = opened, *, is_bf16: bool = False) -> str:
        return checked(opened, runtime, is_bf16=is_bf16, say=said.append, run=trials)

    (found,) = {check() for _ in range(3)}
    (record,) = cache.glob("device-*.json")
    assert found == f"it is slower: 2 s (to check again, delete {record})"
    assert (trials.count, said) == (1, ["checking the device engine with this model on cpu, once"])
    check(is_bf16=True)
    check(SimpleNamespace(folder=MODEL, description=SimpleNamespace(weights_sha256="0" * 64)))
    monkeypatch.setattr(Runtime, "device_name", lambda self: "another GPU")
    check()
    monkeypatch.setattr(torch, "__version__", "99")
    check()
    monkeypatch.setattr(checking, "_sha256_of_engine", lambda: "1" * 64)
    check()
    assert trials.count == 6
    for spoiled in (
        "",
        "[]",
        "{}",
        json.dumps({"facts": json.loads(record.read_text())["facts"], "verdict": {"x": 1}}),
    ):
        monkeypatch.undo()
        monkeypatch.setenv("PELLUCID_CACHE", str(cache))
        record.write_text(spoiled)
        check()
    assert trials.count == 10


def test_what_another_trial_may_change_is_not_remembered(cache: Path) -> None:
    trials = Trials(Verdict("its trial did not end within 120 s", is_lasting=False))
    for _ in range(2):
        found = checked(
            open_model_folder(MODEL), Runtime.detect(device="cpu"), is_bf16=False, say=lambda text: None, run=trials
        )
        assert found == "its trial did not end within 120 s"
    assert trials.count == 2


# --- the process ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_trial_runs_in_a_process() -> None:
    found = in_a_process({"folder": str(MODEL), "device": "cpu", "is_bf16": False, "threads": 1, "sentences": 5})
    assert found.problem == "" or found.problem.startswith("it is slower: ")
    assert found.translations == found.equal == 2 * 5 + 2 + 1


@pytest.mark.parametrize(
    ("program", "problem"),
    [
        ("import os; os.abort()", "its trial ended with status -6"),
        ("raise SystemError('no driver')", "its trial ended with status 1: SystemError: no driver"),
        ("print('[1]')", "its trial ended with status 0"),
        ("import time; time.sleep(60)", "its trial did not end within 2 s"),
    ],
)
def test_a_process_that_dies_or_hangs_ends_no_translation(program: str, problem: str) -> None:
    found = in_a_process({}, program=("-c", program), seconds=2)
    assert found == Verdict(problem, is_lasting=False)


def test_torch_takes_the_place_of_a_refused_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the processor nothing is recorded and nothing checked, so it has to pass for a GPU here."""
    said: list[str] = []
    gpu = replace(Runtime.detect(device="cpu"), device="cpu:0")
    monkeypatch.setattr(Runtime, "detect", lambda **options: gpu)
    monkeypatch.setattr(Runtime, "device_name", lambda self: "a GPU")
    monkeypatch.setattr(checking, "in_a_process", Trials(Verdict("greedy: its scores are lower")))
    translator = models.open_translator(MODEL, engine="device", device="cpu", say=said.append)
    assert translator.translate("cat").text
    assert translator.engines_used == ("torch",)
    assert said[0] == "checking the device engine with this model on a GPU, once"
    assert said[1].startswith(
        "engine: torch (fp32), cpu:0, because the device engine failed its check: greedy: its scores are lower (to "
    )
