"""A model that does not end its translations is scored on a few sentences; every other one on all of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from tests.unit.training.kit import tiny_model

from pellucid.config import TranslationConfig, recipe_from
from pellucid.jobs.reporting.validation import ENOUGH_TO_SEE, ValidationBleu, validation_engine
from pellucid.model.transformer import Transformer
from pellucid.text.corpus import SentencePair
from pellucid.text.tokenizer import BytesTokenizer
from pellucid.training.validation import BLEU_SHARE
from pellucid.translation.hypothesis import Translation
from pellucid.translation.translator import Translator

PAIRS = tuple(SentencePair(f"quelle nummer {n}", f"source number {n}", 0, n) for n in range(200))


class Table:
    """Translates as it is told, and remembers how many texts it was asked for at once."""

    def __init__(self, unfinished: int, right: int = 0) -> None:
        self.unfinished, self.right = unfinished, right
        self.asked: list[int] = []

    def translate(self, sources: Sequence[str]) -> list[Translation]:
        self.asked.append(len(sources))
        numbers = [int(source.split()[-1]) for source in sources]
        return [
            cast(
                Translation,
                SimpleNamespace(
                    text=PAIRS[n].target if n < self.right else "the the the the",
                    flags=("max_length",) if n < self.unfinished else (),
                ),
            )
            for n in numbers
        ]


def evaluated(table: Table, *, sentences: int = 200, whole: bool = False, monkeypatch: pytest.MonkeyPatch) -> Any:
    recipe = recipe_from({"data": {"src_lang": "fr", "tgt_lang": "en"}}, [f"training.valid_bleu_sentences={sentences}"])
    evaluator = ValidationBleu(recipe, cast(Any, SimpleNamespace(valid_pairs=PAIRS)), Path("model"))
    monkeypatch.setattr(evaluator, "_translator", lambda model: table)
    return (evaluator.of_all if whole else evaluator)(cast(Any, None))


def test_a_model_that_ends_its_translations_is_scored_on_all(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(unfinished=ENOUGH_TO_SEE // 2, right=50)
    found = evaluated(table, monkeypatch=monkeypatch)
    assert table.asked == [ENOUGH_TO_SEE, 200 - ENOUGH_TO_SEE]
    assert found["exact_match"] == 50 / 200
    assert BLEU_SHARE not in found
    assert found == evaluated(Table(unfinished=16, right=50), whole=True, monkeypatch=monkeypatch)


def test_a_model_that_does_not_is_scored_on_a_few_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(unfinished=ENOUGH_TO_SEE // 2 + 1, right=2)
    found = evaluated(table, monkeypatch=monkeypatch)
    assert table.asked == [ENOUGH_TO_SEE]
    assert found[BLEU_SHARE] == ENOUGH_TO_SEE / 200
    assert found["exact_match"] == 2 / 200, "what is not translated counts as not right"


def test_the_last_validation_and_a_small_one_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(unfinished=200)
    assert BLEU_SHARE not in evaluated(table, whole=True, monkeypatch=monkeypatch)
    assert table.asked == [200]
    small = Table(unfinished=200)
    assert BLEU_SHARE not in evaluated(small, sentences=2 * ENOUGH_TO_SEE - 1, monkeypatch=monkeypatch)
    assert small.asked == [2 * ENOUGH_TO_SEE - 1]


def test_a_validation_is_translated_by_the_native_engine_as_torch_does_it() -> None:
    model, tokenizer = tiny_model(seed=5), BytesTokenizer()
    model = Transformer(
        model.config.with_vocabulary(
            source_size=tokenizer.source_vocab_size,
            target_size=tokenizer.target_vocab_size,
            specials=tokenizer.specials,
        )
    ).eval()
    engine = validation_engine(model, threads=2)
    if engine is None:
        pytest.skip("needs a C compiler")
    config = TranslationConfig(beam_size=1, max_length_constant=8, max_length_factor=1.0)
    texts = [pair.source for pair in PAIRS[:20]]
    native, by_torch = (Translator(model, tokenizer, config=config, engine=one) for one in (engine, None))
    assert [one.text for one in native.translate(texts)] == [one.text for one in by_torch.translate(texts)]
    assert native.engines_used == ("native (fp32)",)
    with torch.no_grad():
        model.source_embedding.weight += 1.0  # the next validation has other weights
    again = Translator(model, tokenizer, config=config, engine=validation_engine(model, threads=1))
    assert [one.score for one in again.translate(texts)] != [one.score for one in native.translate(texts)]
    assert [one.text for one in again.translate(texts)] == [one.text for one in by_torch.translate(texts)]


def test_without_a_compiler_and_for_other_weights_torch_validates(monkeypatch: pytest.MonkeyPatch) -> None:
    assert validation_engine(tiny_model().double(), threads=1) is None
    broken = tiny_model()
    with torch.no_grad():
        broken.source_embedding.weight[5, 0] = float("nan")
    assert validation_engine(broken, threads=1) is None
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CC", "")
    assert validation_engine(tiny_model(), threads=1) is None
