"""``pellucid inspect`` as a person calls it: files by their names, refusals before any work."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.models import random_model, save_model

import pellucid
from pellucid.errors import RequestError
from pellucid.jobs import inspect as job
from pellucid.tracing.making import trace as make_trace
from pellucid.tracing.record import Trace
from pellucid.translation.translator import Translator

from .conftest import Command


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = random_model(max_positions=97)
    return save_model(tmp_path_factory.mktemp("model") / "small", model, source_language="en", target_language="fr")


def test_the_page_the_numbers_and_the_terminal(model: Path, command: Command, tmp_path: Path) -> None:
    more = ("--target", "un", "--threads", "1")
    page = command("inspect", model, "a dog", "--output", "page.html", "--view", "links", "--heads", "0,2", *more)
    assert page.status == 0, page.err
    assert page.out == "", "only pictures and text go to standard output"
    assert "a dog → un" in page.err
    assert "all hold" in page.err
    assert 'data-start="view=links&amp;heads=0,2"' in (tmp_path / "page.html").read_text(encoding="utf-8")
    less = command("inspect", model, "a dog", "--output", "less.html", "--weights", "none", *more)
    assert "left out; 'pellucid serve' shows them: the weights of" in less.err
    numbers = command("inspect", model, "a dog", "--output", "trace.npz", *more)
    assert numbers.status == 0, numbers.err
    assert pellucid.Trace.load(tmp_path / "trace.npz").text == "un"
    shown = command("inspect", model, "a dog", "--plain", *more)
    assert shown.status == 0, shown.err
    assert "head 2" in shown.out
    assert shown.out.isascii()
    tree = command(
        "inspect", model, "a dog", "--show", "search", "--reference", "un", "--set", "beam_size=2", "--plain"
    )
    assert tree.status == 0, tree.err
    assert tree.out.startswith("beam search, beam size 2, length penalty average, alpha 1: ")
    assert "finished: the result" in tree.out or "at the maximum length: the result" in tree.out
    assert "reference: " in tree.out
    assert tree.out.isascii()


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("a dog", "--output", "page.pdf"), 1, ".html for the page or .npz for the numbers"),
        (("a dog", "--output", "missing/page.html"), 1, "missing is not a folder"),
        (("a dog", "--output", "page.html", "--view", "nowhere"), 1, "view = 'nowhere'; allowed are translate"),
        (
            ("a dog", "--output", "page.html", "--layer", "7"),
            1,
            "layer = 7; allowed are the whole numbers 0 to 0",
        ),
        (("a dog", "--output", "page.html", "--heads", "3"), 1, "head = 3; allowed are the whole numbers 0 to 2"),
        (("a dog", "--layer", "2"), 1, "layer = 2; allowed are the whole numbers 0 to 1"),
        (("a dog", "--kind", "encoder", "--layer", "1"), 1, "layer = 1; allowed are the whole numbers 0 to 0"),
        (("a dog", "--heads", "1,3"), 1, "head = 3; allowed are the whole numbers 0 to 2"),
        (("a dog", "--heads", "1,1"), 1, "heads = [1, 1]; name each head once"),
        (
            ("a dog", "--figure", "attention", "--output", "fig.pdf", "--layer", "5"),
            1,
            "layer = 5; allowed are the whole numbers 0 to 1",
        ),
        (("a dog", "--figure", "softmax", "--output", "fig.pdf"), 1, "requires a step of the decoder"),
        (("a dog", "--output", "page.html", "--step", "-1"), 1, "--step -1: a translation of this sentence can have"),
        (("a dog", "--output", "page.html", "--step", "97"), 1, "--step 97: a translation of this sentence can have"),
        (("a dog", "--output", "page.html", "--target", "un", "--step", "3"), 1, "--step 3: a translation of this"),
        (("a dog", "--output", "page.html", "--heads", "two"), 1, "--heads 'two'"),
        (("a dog", "--weights", "all"), 2, "has an effect on the page"),
        (("a dog", "--figure", "attention"), 2, "a figure needs a file"),
        (("a dog", "--output", "page.html", "--numbers"), 2, "has an effect on the terminal"),
        (("a dog", "--reference", "un"), 2, "has an effect on the tree of a search (--show search) only"),
        (("a dog", "--show", "search", "--target", "un"), 2, "was not searched; give --reference"),
        (("a dog", "--show", "search", "--heads", "1"), 2, "has an effect on pictures of attention only"),
        (("a dog", "and a cat"), 2, "3 arguments"),
        ((), 2, "is a folder, and no sentence was given"),
        (("a dog", "--compare", ""), 2, "--compare: is empty; give a value, or leave the option out"),
        (("a dog", "--edit", " "), 2, "--edit: is empty; give a value"),
        (("a dog", "--edit", "ban=a", "--edit", ""), 2, "--edit: is empty; give a value"),
        (("a dog", "--edit", ";"), 1, "the text of an edit is empty; edits are"),
        (("a dog", "--target", ""), 2, "--target: is empty; give a value"),
        (("a dog", "--output", ""), 2, "--output: is empty; give a value"),
        (("a dog", "--edit", "positions=zero", "--edit", "positions=half_split_t2t"), 1, "leave one of the two out"),
    ],
)
def test_refusals(
    model: Path, command: Command, tmp_path: Path, arguments: tuple[str, ...], status: int, told: str
) -> None:
    outcome = command("inspect", model, *arguments)
    assert outcome.status == status, outcome.err
    assert told in " ".join(outcome.err.replace("│", " ").split())
    assert "a dog →" not in outcome.err, "it was refused before the translation"
    assert list(tmp_path.iterdir()) == []


def test_an_empty_sentence_is_not_taken_for_a_folder(command: Command) -> None:
    outcome = command("inspect", "")
    assert (outcome.status, outcome.out) == (1, "")
    assert "the text is blank" in outcome.err


LONG = "the dog is tired, and " * 30
"""A text that no file can have as its name: the system has a limit of 255 bytes."""


def test_a_long_text_is_no_name_of_a_folder(model: Path, command: Command) -> None:
    outcome = command("inspect", LONG, "--target", "le chien", "--plain")
    assert outcome.status == 0, outcome.err
    assert "the dog is tired" in outcome.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("inspect", LONG, "a dog"),
        ("attribute", LONG, "a dog"),
        ("serve", LONG, "--port", "0"),
        ("translate", LONG, "-"),
        ("suggest", LONG, "a dog"),
        ("score", LONG, "--src", "f", "--tgt", "f"),
        ("align", LONG, "--src", "f", "--tgt", "f"),
        ("evaluate", LONG, "--src", "f", "--ref", "f"),
        ("synthesize", LONG, "f", "--output", "o"),
        ("learn", LONG, "--corrections", ".", "--output", "o"),
        ("export", LONG, "--format", "onnx", "--output", "o"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_long_text_in_the_place_of_a_model(command: Command, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Who forgets the model is told what is missing, in every verb."""
    (tmp_path / "f").write_text("a dog\n", encoding="utf-8")
    outcome = command(*arguments)
    assert outcome.status == 1
    assert "no such folder; name a model folder or a run folder, or one of the embedded translators" in outcome.err


def test_a_step_that_the_translation_turns_out_not_to_have(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many there are is known when it is there; it could have had more."""

    def short(translator: Translator, text: str, *, target: str | None) -> Trace:
        return make_trace(translator, text, target="un")

    monkeypatch.setattr(job, "make_trace", short)
    assert job.inspect_text(model, "a dog", step=2).trace.tokens.target_length == 3
    with pytest.raises(RequestError, match="--step 3: this translation has steps 0 to 2"):
        job.inspect_text(model, "a dog", step=3)
