"""``pellucid attribute`` and ``pellucid align --gold`` as a person calls them, on the model that ships."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import pellucid
from pellucid.jobs.serve import walkthrough_folder
from pellucid.sample.corpus import build_corpus
from pellucid.translation.alignment.choosing import error_rate

from .conftest import Command

TIRED = "The animal didn't cross the street because it was too tired."


def test_why_il_and_not_elle(command: Command, tmp_path: Path) -> None:
    trace = pellucid.trace(pellucid.load(walkthrough_folder(), engine="torch", threads=1), TIRED, level="tokens")
    (at,) = (step for step, piece in enumerate(trace.tokens.predicted_pieces) if piece.strip("\u2581") == "il")
    ranked = trace.attribute(method="alti_logit", step=at, against="elle").ranked(at, words=True)
    more = ("--word", "il", "--against", "elle", "--words", "--threads", "1")
    done = command("attribute", TIRED, *more, "--output", "why.json")
    assert done.status == 0, done.err
    first, explained, largest, *_ = done.out.splitlines()
    assert first == "alti_logit, of the logit"
    assert explained.startswith(f"step {at}: why 'il' and not 'elle': score ")
    assert ranked[0].text in largest
    table = json.loads((tmp_path / "why.json").read_text(encoding="utf-8"))
    (step,) = table["steps"]
    assert (step["step"], step["piece"], table["against"]) == (at, "il", "elle")
    assert sum(step["source"]) + sum(step["target"]) == pytest.approx(step["sum"])
    assert step["sum"] == pytest.approx(step["expected_sum"], abs=1e-4)
    assert len(step["target"]) == at + 1, "the step sees the start and the pieces before it"


def test_every_step_of_a_given_translation(command: Command) -> None:
    given = "Je suis étudiante."
    done = command("attribute", walkthrough_folder(), "I am a student.", "--target", given, "--method", "alti")
    assert done.status == 0, done.err
    head, *steps = done.out.splitlines()
    assert "*" in head
    translator = pellucid.load(walkthrough_folder(), engine="torch", threads=1)
    expected = pellucid.attribute(translator, "I am a student.", method="alti", target=given)
    assert len(steps) == len(expected.steps)
    assert all("(sum 1.000, must be 1.000)" in line for line in steps)
    np.testing.assert_allclose(expected.sum, 1, rtol=0, atol=1e-12)
    assert np.abs(expected.source_share - expected.source.sum(1)).max() < 1e-12


REFUSED = {
    "attribute x --against elle": (2, "compares two pieces of one step; add --step or --word"),
    "attribute x --step 1 --word il": (2, "give one of them"),
    "attribute x --step 99": (1, "step = 99; allowed are the whole numbers 0 to"),
    "attribute x --word quark": (1, "word = 'quark' is not among the words of the translation"),
    "attribute x --method guess": (1, "method = 'guess'; allowed are 'input_x_gradient', 'integrated_gradients'"),
    "attribute x --step 1 --against quark --method alti": (1, "use method 'alti_logit' to compare two pieces"),
    "attribute x --quantity log_probability": (1, "method 'alti_logit' splits a logit"),
    "attribute x --points 3": (1, "points = 3 has an effect on method 'integrated_gradients' only"),
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_makes_no_sense_is_refused(line: str, command: Command) -> None:
    status, message = REFUSED[line]
    done = command(*["I am a student." if word == "x" else word for word in line.split()], "--threads", "1")
    assert (done.status, done.out) == (status, "")
    assert message in done.err


def test_links_are_measured_against_known_ones_in_both_orders(command: Command, tmp_path: Path) -> None:
    corpus = build_corpus(seed=1, train_size=499, valid_size=2, test_size=7)
    sides = zip(*((pair.source, pair.target) for pair in corpus.test), strict=True)
    for name, texts in zip(("src", "tgt"), sides, strict=True):
        (tmp_path / name).write_text("\n".join(texts) + "\n", encoding="utf-8")
    files = ("--src", "src", "--tgt", "tgt", "--threads", "1")
    found = command("align", walkthrough_folder(), *files)
    links = [[tuple(map(int, link.split("-"))) for link in line.split()] for line in found.out.splitlines()]
    gold = [row[1:] for row in links]  # what is known lacks the first link of every pair
    expected = [error_rate([own], [known]) for own, known in zip(links, gold, strict=True)]
    for order, turned in (("source-target", gold), ("target-source", [[(j, i) for i, j in row] for row in gold])):
        (tmp_path / "gold").write_text("".join(" ".join(f"{i}-{j}" for i, j in row) + "\n" for row in turned))
        done = command(
            "align", walkthrough_folder(), *files, "--gold", "gold", "--gold-order", order, "--scores", "scores.tsv"
        )
        assert (done.status, done.out) == (0, found.out), done.err
        precision, recall, rate = error_rate(links, gold)
        assert f"error rate {rate:.3f}, precision {precision:.3f}, recall {recall:.3f}" in done.err
        rows = (tmp_path / "scores.tsv").read_text().splitlines()[1:]
        np.testing.assert_allclose([list(map(float, row.split("\t"))) for row in rows], expected, atol=6e-5)
