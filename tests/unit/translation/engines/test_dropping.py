"""Texts that nobody waits for any longer stop, and the others of their call do not notice."""

from __future__ import annotations

from pathlib import Path

import torch
from tests.models import random_model

import pellucid
from pellucid.config import TranslationConfig
from pellucid.jobs.models import open_translator
from pellucid.text.tokenizer import BytesTokenizer
from pellucid.translation.engines.dropping import Drops
from pellucid.translation.stepper import ModelStepper
from pellucid.translation.translator import Translator

MODEL = Path(pellucid.__file__).parent / "sample" / "walkthrough" / "model"
SENTENCES = ["The cat is very tired.", "I am a student.", "The dog sees the cat.", "The old woman reads."]


def test_the_native_engine_stops_what_is_dropped_and_finishes_the_rest() -> None:
    translator = open_translator(MODEL, engine="native", threads=1)
    expected = translator.translate(SENTENCES, beam_size=3)
    drops = Drops()
    drops.drop(1)
    drops.drop(2)
    found = translator.with_drops(drops).translate(SENTENCES, beam_size=3)
    assert [found[0], found[3]] == [expected[0], expected[3]]
    assert all(found[number].error is not None for number in (1, 2))
    assert translator.translate(SENTENCES, beam_size=3) == expected


def test_all_parts_of_a_dropped_text_stop() -> None:
    translator = open_translator(MODEL, engine="native", threads=1)
    texts = ["I am a student. The cat is very tired.", "I am a student. The cat is very tired."]
    drops = Drops()
    drops.drop(0)
    found = translator.with_drops(drops).translate(texts, split_sentences="always")
    assert found[0].error is not None
    assert found[1] == translator.translate(texts[1], split_sentences="always")


class Counting(ModelStepper):
    """Counts its steps, and drops texts before one of them."""

    def __init__(self, drops: Drops, *, numbers: tuple[int, ...] = (), at: int = 10**9) -> None:
        super().__init__(random_model(seed=5))
        self.steps = 0
        self._drops, self._numbers, self._at = drops, numbers, at

    def step(self, last_ids: torch.Tensor | None) -> torch.Tensor:
        self.steps += 1
        if self.steps == self._at:
            for number in self._numbers:
                self._drops.drop(number)
        return super().step(last_ids)


def test_torch_stops_one_step_after_all_texts_of_a_batch_are_dropped() -> None:
    config = TranslationConfig(beam_size=2, min_length=19, max_length_factor=1e-9, max_length_constant=20)
    for beam_size in (1, 2):
        drops = Drops()
        stepper = Counting(drops, numbers=(0, 1), at=3)
        translator = Translator(lambda one=stepper: one, BytesTokenizer(), config=config)
        found = translator.with_drops(drops).translate(["ab", "cd"], beam_size=beam_size)
        assert stepper.steps == 3
        assert all("nobody waits" in str(one.error) for one in found)
        stepper = Counting(drops := Drops(), numbers=(0,), at=3)
        translator = Translator(lambda one=stepper: one, BytesTokenizer(), config=config)
        found = translator.with_drops(drops).translate(["ab", "cd"], beam_size=beam_size)
        assert found[1].error is None
