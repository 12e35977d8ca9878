"""The curve is that of the journal, also after the journal was cut and written anew."""

from __future__ import annotations

import json
from pathlib import Path

from pellucid.jobs.promises.curve import CurveReader
from pellucid.jobs.promises.signs import STEPS_TO_JUDGE, Situation
from pellucid.jobs.promises.watching import FaultCount, RunWatch


def step(number: int, nll: float = 2.0, **more: object) -> dict[str, object]:
    return {
        "kind": "step", "step": number, "nll": nll, "padded_tokens_per_second": 7.0, "target_tokens": 11,
        "fraction": number / 100, **more,
    }  # fmt: skip


def write(path: Path, *rows: dict[str, object], mode: str = "a") -> None:
    with path.open(mode) as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def test_lines_are_read_once_as_they_come(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    reader = CurveReader(path)
    write(path, step(1), step(2, nll="nan", skipped="the loss is nan"), {"kind": "message", "text": "hello"})
    assert reader.update().steps == [1]
    write(path, step(3), {"kind": "validation", "step": 3, "nll": 1.5, "scores": {"bleu": 7.0}, "is_best": True})
    with path.open("a") as file:
        file.write('{"kind": "step", "st')  # torn: it is read when it is whole
    curve = reader.update()
    assert curve.steps == [1, 3]
    assert curve.target_tokens == [11, 22]
    assert (curve.validations[0].index, curve.validations[0].bleu) == (2, 7.0)


def test_after_a_return_to_a_checkpoint_the_steps_that_were_cut_off_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    reader = CurveReader(path)
    write(path, *(step(n) for n in range(1, 9)))
    reader.update()
    write(path, *(step(n) for n in range(1, 4)), mode="w")
    write(path, *(step(n, nll=3.5) for n in range(4, 20)))
    curve = reader.update()
    assert curve.steps == list(range(1, 20))
    assert curve.nll[5] == 3.5


def test_warnings_of_the_whole_run_are_kept_with_their_first_step(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    for number in (5, 6):
        write(path, {"kind": "judgement", "step": number, "warnings": ["slow"], "faults": {}})
    assert CurveReader(path).update().warnings == {"slow": 5}


def test_a_run_in_which_too_little_happened_is_not_called_normal(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    watch = RunWatch(Situation(100, 8000), promise=None, faults=FaultCount(), first_run=True)
    validation = {"kind": "validation", "nll": 1.5, "scores": {}, "is_best": True}
    write(path, step(1), step(2), validation | {"step": 2})
    assert watch(path)["text"] == "is this normal? too early to say, after 2 steps of the 100 that it takes"
    write(path, *(step(n) for n in range(3, STEPS_TO_JUDGE + 1)), validation | {"step": STEPS_TO_JUDGE})
    assert watch(path)["text"] == "is this normal? yes, no sign of trouble"
