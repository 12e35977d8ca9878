"""The one line "is this normal?": beside the stored curve, with a warning for each fault, and the remedy once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pellucid.config import LearningCurve, Promise
from pellucid.jobs.promises.signs import Situation
from pellucid.jobs.promises.watching import FaultCount, RunWatch
from pellucid.translation.hypothesis import Translation

STORED = {
    "steps": {"steps": (100, 200, 400), "bleu": (5.0, 15.0, 35.0)},
    "target tokens": {"target_tokens": (1000, 2000, 4000), "bleu": (5.0, 15.0, 35.0)},
    "fraction": {"fraction": (0.25, 0.5, 1.0), "nll": (4.0, 3.0, 2.0)},
    "exact match": {"steps": (100, 200, 400), "exact_match": (0.1, 0.4, 0.9)},
}


def promise(**curve: Any) -> Promise:
    return Promise(
        command="pellucid train",
        hardware="an abacus",
        minutes=1,
        test_src=Path("a"),
        test_tgt=Path("b"),
        not_measured="a test",
        curve=LearningCurve(**curve),
    )


class Run:
    """Writes the journal of a run of 400 steps, and asks after each validation."""

    def __init__(self, folder: Path, *, stored: Promise | None = None, faults: FaultCount | None = None) -> None:
        self.path = folder / "metrics.jsonl"
        self.watch = RunWatch(Situation(40, 8000), promise=stored, faults=faults or FaultCount(), first_run=True)

    def write(self, *rows: dict[str, Any]) -> None:
        with self.path.open("a") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)

    def goes(
        self,
        *,
        until: int = 400,
        train: Callable[[int], float] = lambda step: 5 - step / 100,
        valid: Callable[[int], float] = lambda step: 5 - step / 110,
        bleu: Callable[[int], float] = lambda step: step / 11,
        exact: Callable[[int], float] = lambda step: step / 500,
    ) -> list[dict[str, Any]]:
        """Validate every hundred steps; return the judgements."""
        judgements = []
        for step in range(1, until + 1):
            row = {"padded_tokens_per_second": 900.0, "target_tokens": 10, "fraction": step / 400}
            self.write({"kind": "step", "step": step, "nll": train(step), **row})
            if step % 100 == 0:
                scores = {"bleu": bleu(step), "exact_match": exact(step)}
                is_best = bleu(step) >= max(bleu(n) for n in range(100, step + 1, 100))
                self.write(
                    {"kind": "validation", "step": step, "nll": valid(step), "scores": scores, "is_best": is_best}
                )
                judgements.append(self.watch(self.path))
                self.write({"kind": "judgement", **judgements[-1]})
        return judgements


@pytest.mark.parametrize("place", STORED)
def test_the_line_stands_beside_the_stored_curve_wherever_that_has_its_places(place: str, tmp_path: Path) -> None:
    last = Run(tmp_path, stored=promise(**STORED[place])).goes()[-1]
    there = {"fraction": "nll 1.364, and the recipe's run had 2.000", "exact match": "exact match 0.800, and the"}
    expected = there.get(place, "BLEU 36.4, and the recipe's run had 35.0")
    assert last["text"].startswith("is this normal? yes, no sign of trouble (")
    assert expected in last["text"]
    assert "at this point" in last["text"]
    assert "\n" not in last["text"]
    assert last["is_behind"] is False


def test_a_run_that_is_behind_the_stored_one_is_said_to_be(tmp_path: Path) -> None:
    judgements = Run(tmp_path, stored=promise(**STORED["steps"])).goes(bleu=lambda step: step / 40)
    # At step 200 the stored run had 15.0, and at three quarters of the way there 10.0; before step 100, nobody knows.
    assert [one["is_behind"] for one in judgements] == [False, True, True, True]
    assert "BLEU 5.0, and the recipe's run had 15.0 at this point, so this run is BEHIND it" in judgements[1]["text"]


def test_there_is_no_comparison_outside_of_the_stored_curve_or_without_one(tmp_path: Path) -> None:
    later = promise(steps=(300, 400), bleu=(1.0, 2.0))
    assert [one["is_behind"] for one in Run(tmp_path, stored=later).goes()] == [None, None, False, False]
    (tmp_path / "other").mkdir()
    last = Run(tmp_path / "other").goes()[-1]
    assert (last["text"], last["is_behind"]) == ("is this normal? yes, no sign of trouble", None)


def translations(count: int, flag: str) -> tuple[list[Translation], list[str], list[str]]:
    found = [SimpleNamespace(text=f"wrong {n}", flags=(flag,) if n < count else ()) for n in range(100)]
    return cast("list[Translation]", found), [f"source {n}" for n in range(100)], [f"right {n}" for n in range(100)]


def counted(count: int, flag: str) -> FaultCount:
    faults = FaultCount()
    results, sources, references = translations(count, flag)
    faults.count(results, sources=sources, references=references)
    return faults


FAULTS: dict[str, tuple[dict[str, Any], FaultCount, str]] = {
    "divergence": (
        {"train": lambda step: 2.0 if step < 250 else 7.5},
        FaultCount(),
        "divergence: training nll 7.50, and it was 2.00 before",
    ),
    "overfitting": (
        {"valid": lambda step: 3 + abs(step - 100) / 200, "bleu": lambda step: 30 - step / 50},
        FaultCount(),
        "overfitting: validation nll rose from 3.000 at step 100 to 4.500, while the training nll fell",
    ),
    "copying": ({}, counted(40, "copy"), "copying: 40% of the validation translations copy their source"),
    "repeating": ({}, counted(50, "repetition"), "repeating: 50% of the validation translations repeat themselves"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_said_in_the_line_with_its_evidence_and_once_with_its_remedy(name: str, tmp_path: Path) -> None:
    course, faults, evidence = FAULTS[name]
    run = Run(tmp_path, stored=promise(**STORED["fraction"]), faults=faults)
    last = run.goes(**course)[-1]
    assert last["warnings"] == [name]
    verdict, line = last["text"].split("\n")
    assert verdict.startswith("is this normal? no: (nll ")
    assert line.strip().startswith(evidence)
    rows = [row for row in map(json.loads, run.path.read_text().splitlines()) if row["kind"] == "judgement"]
    assert "".join(row["text"] for row in rows).count("Remedy:") == 1
    (warning,) = run.watch.warnings()
    assert warning.startswith(f"{name}, first at step ")


def test_right_translations_and_copies_of_copies_are_no_faults() -> None:
    results, sources, references = translations(60, "copy")
    for number in range(20):
        results[number].text = references[number]  # type: ignore[misc]
    for number in range(20, 30):
        references[number] = sources[number]
    faults = FaultCount()
    faults.count(results, sources=sources, references=references)
    assert faults.shares == {"copy": 0.3, "repetition": 0.0}
    assert faults.examples == (("copy", "wrong 30"),)
