"""``pellucid.compare`` and ``pellucid inspect --compare``: the lines, the JSON and the page of a comparison."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.models import random_model, save_model

import pellucid
from pellucid.errors import RequestError

from .conftest import Command


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model") / "small", random_model(max_positions=97))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model") / "other", random_model(max_positions=97, seed=7))


def test_another_sentence(model: Path, command: Command, tmp_path: Path) -> None:
    more = ("--target", "un", "--threads", "1")
    made = command("inspect", model, "a dog", "--compare", "a cow", "--output", "x.json", *more)
    assert made.status == 0, made.err
    assert "a cow → un" in made.out
    assert "heads   matched by number (same weights)" in made.out
    table = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    translator = pellucid.load(model, threads=1)
    first, second = (pellucid.trace(translator, text, target="un") for text in ("a dog", "a cow"))
    comparison = pellucid.compare(first, second)
    assert table == json.loads(json.dumps(comparison.to_records()))
    assert made.out.strip() == str(comparison).strip()
    site = "decoder.1.cross_attention.weights"
    (row,) = [one for one in table["quantities"] if one["site"] == site]
    assert row["largest"] == pytest.approx(comparison[site][tuple(row["at"])], abs=1e-12)
    assert abs(row["largest"]) == np.abs(comparison[site]).max()
    page = command("inspect", model, "a dog", "--compare", "a cow", "--output", "x.html", "--weights", "none", *more)
    assert page.status == 0, page.err
    text = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert 'data-start="view=compare"' in text
    assert "/beside/" in text
    comparison.to_html(tmp_path / "same.html", weights="none")
    assert "/beside/" in (tmp_path / "same.html").read_text(encoding="utf-8")


def test_another_model_and_an_edit(model: Path, other: Path, command: Command, tmp_path: Path) -> None:
    made = command("inspect", model, "a dog", "--compare-model", other, "--target", "un")
    assert made.status == 0, made.err
    assert "matched by the similarity of their rows" in made.out
    assert "[other] a dog → un" in made.out
    edited = command(
        "inspect", model, "a dog", "--target", "un", "--edit", "encoder.0.feed_forward=zero", "--output", "x.json"
    )
    assert edited.status == 0, edited.err
    table = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    assert (table["first"]["edits"], table["second"]["edits"]) == ([], ["encoder.0.feed_forward=zero"])


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("--compare", "a cow", "--edit", "ban=a"), 2, "edits are compared with the translation before them"),
        (("--compare-snapshot", "3"), 1, "has no snapshot of step '3'; it has none"),
        (("--output", "x.json"), 1, ".json is for a comparison; add --compare or --edit"),
        (("--compare-model", "missing"), 1, "missing"),
    ],
)
def test_refusals(model: Path, command: Command, arguments: tuple[str, ...], status: int, told: str) -> None:
    outcome = command("inspect", model, "a dog", *arguments)
    assert outcome.status == status, outcome.err
    assert told in " ".join(outcome.err.replace("│", " ").split())


def test_a_comparison_is_of_two_traces(model: Path) -> None:
    trace = pellucid.trace(pellucid.load(model, threads=1), "a dog", target="un")
    with pytest.raises(RequestError, match=r"pellucid.compare: second = 'a dog' is of type str; give Trace"):
        pellucid.compare(trace, "a dog")  # type: ignore[arg-type]
    shown = pellucid.compare(trace, trace)._repr_mimebundle_()
    assert "view=compare" in str(shown["text/html"])
    assert "the same pieces" in str(shown["text/plain"])
