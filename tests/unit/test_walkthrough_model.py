"""The model that ships is good enough for its purpose, and page and documentation tell what was measured on it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.benchmark_scripts import load_script
from tests.unit.tracing.kit import make_translator

import pellucid
from pellucid.bundle import open_model_folder
from pellucid.jobs.serve import walkthrough_folder
from pellucid.page.catalogue import open_model
from pellucid.sample.corpus import build_corpus

ROOT = Path(__file__).resolve().parents[2]
LARGEST_BYTES = 10_000_000


@pytest.fixture(scope="module")
def figures() -> ModuleType:
    return load_script("walkthrough_figures")


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((walkthrough_folder() / "measured.json").read_text(encoding="utf-8"))
    return found


def test_it_is_small_and_has_the_shape_of_the_paper() -> None:
    folder = walkthrough_folder()
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= LARGEST_BYTES
    config = open_model_folder(folder).description.model
    assert (config.num_encoder_layers, config.num_decoder_layers, config.num_heads) == (6, 6, 8)
    assert config.norm_order == "post"


def test_its_scores_are_what_the_page_needs(measured: dict[str, Any]) -> None:
    scores = measured["scores"]
    assert scores["minimal_pairs"]["both_right"] >= 0.97
    assert scores["walkthrough"]["right"] == scores["walkthrough"]["sentences"] == 3


def test_the_sentences_of_the_walkthrough_are_right() -> None:
    pairs = build_corpus(seed=1, train_size=0, valid_size=0, test_size=0).walkthrough
    found = pellucid.load(walkthrough_folder(), engine="torch", threads=1).translate([pair.source for pair in pairs])
    assert [result.text for result in found] == [pair.target for pair in pairs]


def test_what_the_tour_tells_is_measured_and_true_of_the_two_sentences(
    figures: ModuleType, measured: dict[str, Any]
) -> None:
    again = figures.story(pellucid.load(walkthrough_folder(), engine="torch", threads=1), figures.results())
    for told, found in ((measured["story"].pop(name), again.pop(name)) for name in ("tired", "wide", "brought")):
        assert told["word"] == found["word"]
        assert told["weight"] == pytest.approx(found["weight"], abs=0.0015)
    assert measured["story"] == again


def test_the_page_tells_what_the_methods_were_worth_on_this_model_alone(
    figures: ModuleType, measured: dict[str, Any]
) -> None:
    assert measured["why"] == figures.methods(figures.results())
    opened = open_model(pellucid.load(walkthrough_folder(), engine="torch", threads=1), walkthrough_folder())
    assert opened.measured == measured["why"]
    assert replace(opened, translator=make_translator()).measured is None


def test_the_page_of_the_documentation_is_what_was_measured(figures: ModuleType, measured: dict[str, Any]) -> None:
    written = figures.PAGE.read_text(encoding="utf-8")
    assert written == figures.page_of(measured["scores"], figures.results()), (
        "run: python benchmarks/walkthrough_figures.py"
    )


def test_the_heads_for_alignments_are_those_that_were_measured(figures: ModuleType) -> None:
    facts, chosen = open_model_folder(walkthrough_folder()).description.facts, figures.results()["alignment_heads"]
    assert facts["alignment_heads"] == chosen["chosen"]["heads"]
    assert facts["alignment_step"] == chosen["chosen"]["step"]
    assert facts["alignment_error_rate"] == pytest.approx(chosen["chosen"]["error_rate"], abs=6e-5)


def test_the_readme_has_the_scores(measured: dict[str, Any]) -> None:
    scores = measured["scores"]
    (row,) = re.findall(r"^\| the walkthrough model.*$", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.M)
    assert f"{100 * scores['grammar']['exact']:.1f} %" in row
    assert f"{100 * scores['minimal_pairs']['both_right']:.2f} %" in row


def test_the_card_has_the_scores_and_the_licence_of_the_text(measured: dict[str, Any]) -> None:
    card = (walkthrough_folder() / "model" / "card.md").read_text(encoding="utf-8")
    for words in ("tatoeba.org and www.manythings.org/anki", "CC BY 2.0", "pellucid train --recipe", "## Limits"):
        assert words in card
    assert f"BLEU {measured['scores']['tatoeba']['bleu']:.1f}" in card
    assert re.search(r"(?<![\w.:/>-])/(?:work|home|tmp|root)/", card) is None, "a path of the machine"
