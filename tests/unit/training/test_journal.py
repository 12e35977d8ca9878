"""The journal holds whole lines, each step once, whatever was cut off or torn."""

from __future__ import annotations

import json
from pathlib import Path

from pellucid.training.journal import Journal


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_lines_are_objects_with_a_kind(tmp_path: Path) -> None:
    with Journal(tmp_path / "m.jsonl") as journal:
        journal.cut(0)
        journal.append("step", {"step": 3, "loss": float("nan"), "scores": {"bleu": float("inf")}, "text": "é\n\ud800"})
        journal.flush()
    (line,) = lines_of(tmp_path / "m.jsonl")
    assert line["kind"] == "step"
    assert line["loss"] == "nan"
    assert line["scores"] == {"bleu": "inf"}


def test_a_continued_file_is_cut_where_the_checkpoint_was(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    with Journal(path) as journal:
        journal.cut(0)
        journal.append("step", {"step": 1})
        length = journal.flush()
        journal.append("step", {"step": 2})
    with Journal(path) as journal:
        journal.append("message", {"text": "said before it is known where to go on"})
        assert journal.cut(length) == 0
        journal.append("step", {"step": 2})
    assert [line.get("step") for line in lines_of(path)] == [1, None, 2]


def test_a_file_that_lost_its_end_is_cut_to_whole_lines_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text('{"kind": "step", "step": 1}\n{"kind": "st')
    with Journal(path) as journal:
        assert journal.cut(100) == 100 - 40
        journal.append("step", {"step": 2})
    assert [line["step"] for line in lines_of(path)] == [1, 2]


def test_a_new_run_begins_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text("left over\n")
    with Journal(path) as journal:
        journal.cut(0)
    assert path.read_bytes() == b""
