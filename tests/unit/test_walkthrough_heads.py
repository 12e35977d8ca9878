"""Which head knows what "it" is: the measure finds a head that does, and what is told of the model that ships is true.

The figures of the guide and of the tour are those of the results; those of single sentences are computed here again.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from tests.benchmark_scripts import load_script

import pellucid
from pellucid.jobs.serve import walkthrough_folder
from pellucid.sample.corpus import build_corpus
from pellucid.sample.records import MinimalPair
from pellucid.tracing.record import Trace
from pellucid.tracing.sites import AttentionKind
from pellucid.translation.translator import Translator

ROOT = Path(__file__).resolve().parents[2]
RESULTS = json.loads((ROOT / "benchmarks/results/2026-11-22-walkthrough-heads.json").read_text(encoding="utf-8"))
GUIDE = (ROOT / "docs/guides/looking_inside.md").read_text(encoding="utf-8")
TOUR = json.loads((ROOT / "src/pellucid/web/texts/en.json").read_text(encoding="utf-8"))
TIRED, WIDE = (f"The animal didn't cross the street because it was too {word}." for word in ("tired", "wide"))


@pytest.fixture(scope="module")
def heads() -> ModuleType:
    return load_script("walkthrough_heads")


@pytest.fixture(scope="module")
def translator() -> Translator:
    return pellucid.load(walkthrough_folder(), engine="torch", threads=1)


@pytest.fixture(scope="module")
def pairs() -> tuple[MinimalPair, ...]:
    return build_corpus(seed=1, train_size=499, valid_size=23, test_size=2).minimal_pairs[:5]


def told(place: str, layer: int, head: int) -> dict[str, float]:
    (row,) = (row for row in RESULTS["looks"][place] if (row["layer"], row["head"]) == (layer, head))
    found: dict[str, float] = row
    return found


def test_a_head_that_knows_the_referent_is_found_and_one_that_knows_nouns_is_not(
    heads: ModuleType, translator: Translator, pairs: tuple[MinimalPair, ...]
) -> None:
    site = "encoder.1.self_attention.weights"
    rows = []
    for pair in pairs:
        for own, twin in ((pair.first, pair.second), (pair.second, pair.first)):
            made = pellucid.trace(translator, own.source, target=own.target, level="attention")
            spots = heads.spots_of(made, own, twin)
            weights = made[site].copy()
            it, (referent, _), (other, _) = (
                spots.rows["it"],
                spots.columns["referent"],
                spots.columns["other"],
            )
            for head, columns in ((2, [referent]), (3, [referent, other]), (4, [min(referent, other)])):
                weights[head, it[0] : it[1]] = 0
                weights[head, it[0] : it[1], columns] = 1 / len(columns)
            planted = replace(made, arrays={**made.arrays, site: weights})
            rows.append(heads.looks(planted, spots, {str(AttentionKind.ENCODER): 2, str(AttentionKind.CROSS): 1}))
    found = {(row["layer"], row["head"]): row for row in heads.told_looks(rows)["it"]}
    assert found[1, 2] | {"adjective": 0.0} == {
        "layer": 1, "head": 2, "referent": 1.0, "other": 0.0, "adjective": 0.0, "it": 0.0, "choice": 1.0,
    }  # fmt: skip
    assert (found[1, 3]["referent"], found[1, 3]["other"], found[1, 3]["choice"]) == (0.5, 0.5, 0.0)
    assert found[1, 4]["choice"] == 0.5, "always the first noun: right in one sentence of each pair"


def test_rows_and_columns_are_the_words_that_they_are_called_after(
    heads: ModuleType, translator: Translator, pairs: tuple[MinimalPair, ...]
) -> None:
    for pair in pairs:
        for own, twin in ((pair.first, pair.second), (pair.second, pair.first)):
            made = pellucid.trace(translator, own.source, target=own.target, level="tokens")
            spots = heads.spots_of(made, own, twin)
            source = ["".join(made.tokens.source_pieces[slice(*span)]) for span in spots.columns.values()]
            names = dict(zip(spots.columns, (text.replace("\u2581", " ").strip() for text in source), strict=True))
            assert names["it"] == "it"
            assert names["adjective"] == re.findall(r"\w+", own.source)[-1]
            assert {names["referent"], names["other"]} <= set(re.findall(r"[\w-]+", own.source))
            assert names["referent"] != names["other"]
            written = "".join(made.tokens.predicted_pieces[slice(*spots.rows["pronoun"])])
            assert written.replace("\u2581", "").endswith(("il", "elle"))


def test_the_table_of_the_guide_is_the_results() -> None:
    table = re.findall(r"^\|.*\| layer (\d) head (\d) \| ([\d.]+) \| ([\d.]+) \| (\d+) % \|$", GUIDE, flags=re.M)
    places = ["it", "adjective", "adjective", "pronoun", "pronoun"]
    assert len(table) == len(places)
    for place, (layer, head, referent, other, choice) in zip(places, table, strict=True):
        row = told(place, int(layer), int(head))
        for printed, found in ((referent, row["referent"]), (other, row["other"])):
            assert f"{found:.{len(printed.partition('.')[2])}f}" == printed
        assert f"{100 * row['choice']:.0f}" == choice
    assert max(row["choice"] for row in RESULTS["looks"]["it"]) == told("it", 5, 6)["choice"]
    assert f"{RESULTS['sentences']} of the 200 sentences" in GUIDE


def test_the_tour_tells_the_results() -> None:
    best = max(row["choice"] for row in RESULTS["looks"]["it"])
    assert f"over {RESULTS['sentences']} test sentences" in TOUR["tour.it.text"]
    assert f": {100 * best:.0f} % of the time at most" in TOUR["tour.it.text"]
    row, text = told("adjective", 3, 1), TOUR["tour.wide_adjective.text"]
    assert f"the right noun {row['referent']:.2f} on average and the other {row['other']:.2f}" in text
    dearest = max(row["largest"] for row in RESULTS["losses"])
    for where in (text, GUIDE):
        (told_most,) = re.findall(r"the right pronoun more\s+than ([\d.]+)\s+nats", where)
        assert dearest <= float(told_most) < dearest + 0.001
        assert f"{RESULTS['ablated']} sentences" in where


def word(made: Trace, side: str, text: str) -> slice:
    (found,) = (word for word in getattr(made.tokens, f"{side}_words") if word.text == text)
    return slice(found.start, found.end)


def test_weights_of_single_sentences_are_those_of_the_model(translator: Translator) -> None:
    tired, wide = (pellucid.trace(translator, text) for text in (TIRED, WIDE))
    assert (tired.text, wide.text) == (
        "L'animal n'a pas traversé la rue parce qu'il était trop fatigué.",
        "L'animal n'a pas traversé la rue parce qu'elle était trop large.",
    )
    place = "decoder.4.cross_attention.weights"
    writes = [
        next(row for row, piece in enumerate(made.tokens.predicted_pieces) if piece.endswith(pronoun))
        for made, pronoun in ((tired, "il"), (wide, "elle"))
    ]
    animal = tired[place][5, writes[0], word(tired, "source", "animal")].sum()
    itself = wide[place][5, writes[1], word(wide, "source", "wide")].sum()
    adjective = wide["encoder.3.self_attention.weights"][1, word(wide, "source", "wide")]
    street = adjective[:, word(wide, "source", "street")].sum(-1).mean()
    assert (f"{animal:.3f}", f"{itself:.3f}") == ("0.997", "1.000")
    assert street == pytest.approx(0.785, abs=0.0006)
    assert 'gives "animal" 0.997; in "… too wide" it gives "wide" 1.000' in GUIDE
    assert "at “animal” with 0.997 of its weight" in TOUR["tour.it.text"]
    assert "at “street” with 0.785 of its weight" in TOUR["tour.wide_adjective.text"]


@pytest.mark.slow
def test_measured_again_it_is_the_same(heads: ModuleType, translator: Translator) -> None:
    found = heads.measure(translator, build_corpus(seed=1).minimal_pairs[:100], ablations=0)
    assert len(found.looks) == RESULTS["sentences"]
    again = heads.told_looks(found.looks)
    for place, rows in RESULTS["looks"].items():
        by_head = {(row["layer"], row["head"]): row for row in again[place]}
        for row in rows:
            other = by_head[row["layer"], row["head"]]
            np.testing.assert_allclose([other[k] for k in row], list(row.values()), rtol=0, atol=6e-3)
