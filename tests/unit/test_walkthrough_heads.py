"""Which head knows what "it" is: the measure finds a head that does, and measured again it is the same."""

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
from pellucid.tracing.sites import AttentionKind
from pellucid.translation.translator import Translator

ROOT = Path(__file__).resolve().parents[2]
RESULTS = json.loads((ROOT / "benchmarks/results/walkthrough_heads.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def heads() -> ModuleType:
    return load_script("walkthrough_heads")


@pytest.fixture(scope="module")
def translator() -> Translator:
    return pellucid.load(walkthrough_folder(), engine="torch", threads=1)


@pytest.fixture(scope="module")
def pairs() -> tuple[MinimalPair, ...]:
    return build_corpus(seed=1, train_size=499, valid_size=23, test_size=2).minimal_pairs[:5]


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
