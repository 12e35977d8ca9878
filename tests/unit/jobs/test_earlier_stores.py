"""A text that grew is prepared to the same bytes as from nothing, and the screen says how much was copied."""

from __future__ import annotations

import re
from pathlib import Path

from tests.models import random_model, save_model

from pellucid.bundle import Bundle, load_bundle
from pellucid.config import Recipe
from pellucid.jobs.opening import OpenedRun
from pellucid.jobs.prepare import prepare
from pellucid.runtime import Runtime
from pellucid.text.tokenizer import BytesTokenizer

TEXT = [f"a small dog {n}" for n in range(600)]
LATER = [*TEXT[:50], "a small cow", *TEXT[51:], *(f"a large dog {n}" for n in range(30))]


def prepared(output: Path, rows: list[str], *, initial: Bundle | None, max_length: int = 64) -> list[str]:
    """Prepare a text in a run folder; return what was said."""
    files = {"src": output.with_suffix(".src"), "tgt": output.with_suffix(".tgt")}
    for side, path in files.items():
        path.write_text("".join(f"{row} {side}\n" for row in rows))
    table = {"data": {"train": [files]}, "training": {"max_length": max_length}}
    recipe = Recipe.model_validate(table if initial else table | {"tokenizer": {"kind": "bytes"}})
    output.mkdir(exist_ok=True)
    said: list[str] = []
    runtime = Runtime.detect(device="cpu", threads=1)
    prepare(OpenedRun(recipe, output, runtime, initial=initial, notes=()), say=said.append)
    return said


def contents(run: Path) -> dict[str, bytes]:
    stores = [run / "data" / name for name in ("train", "valid")]
    return {str(path.relative_to(run)): path.read_bytes() for store in stores for path in store.iterdir()}


def counts(said: list[str]) -> list[tuple[int, int, str, int]]:
    found = [re.fullmatch(r"pieces: (\d+) pairs = (\d+) copied from (\S+) \+ (\d+) cut", line) for line in said]
    return [(int(one[1]), int(one[2]), one[3], int(one[4])) for one in found if one]


def test_a_run_that_starts_from_another_copies_its_pieces(tmp_path: Path) -> None:
    save_model(tmp_path / "old" / "model", random_model(seed=1))
    initial = load_bundle(tmp_path / "old")
    assert counts(prepared(tmp_path / "old", TEXT, initial=initial)) == []
    ((pairs, copied, place, cut),) = counts(prepared(tmp_path / "new", LATER, initial=initial))
    assert (pairs, place) == (624, str(tmp_path / "old" / "data" / "train"))  # six are held out
    assert copied + cut == pairs
    assert 31 - 6 <= cut <= 31 + 6, "other pairs are held out now"
    (tmp_path / "old" / "data").rename(tmp_path / "elsewhere")
    assert counts(prepared(tmp_path / "nothing", LATER, initial=initial)) == []
    assert contents(tmp_path / "new") == contents(tmp_path / "nothing")


def test_a_run_copies_its_pieces_and_says_why_it_cannot(tmp_path: Path) -> None:
    prepared(tmp_path / "run", TEXT, initial=None)
    ((pairs, copied, _, cut),) = counts(prepared(tmp_path / "run", LATER, initial=None, max_length=48))
    assert (copied + cut, cut < 40) == (pairs, True)
    prepared(tmp_path / "nothing", LATER, initial=None, max_length=48)
    assert contents(tmp_path / "run") == contents(tmp_path / "nothing")
    other = BytesTokenizer(tags=[">>fr<<"])
    save_model(tmp_path / "model", random_model(other), other)
    said = prepared(tmp_path / "run", TEXT, initial=load_bundle(tmp_path / "model"))
    assert any("every pair is cut, because another tokenizer" in line for line in said)


def test_a_damaged_earlier_store_is_said_and_not_used(tmp_path: Path) -> None:
    prepared(tmp_path / "run", TEXT, initial=None)
    path = tmp_path / "run" / "data" / "train" / "source.ids"
    path.write_bytes(path.read_bytes()[::-1])
    said = prepared(tmp_path / "run", LATER, initial=None)
    assert any("damaged" in line and "none of its rows is used" in line for line in said)
    prepared(tmp_path / "nothing", LATER, initial=None)
    assert contents(tmp_path / "run") == contents(tmp_path / "nothing")
