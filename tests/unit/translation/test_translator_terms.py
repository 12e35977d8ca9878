"""Terms through the translator: matched in the source, met in the text, reported where they are not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.models import random_model
from torch import Tensor

from pellucid.config import TranslationConfig
from pellucid.errors import RequestError
from pellucid.jobs.bulk.lines import OutputFormat, translate_lines
from pellucid.translation.engines.engine import SearchRequest
from pellucid.translation.engines.native.engine import NativeEngine
from pellucid.translation.terms.glossary import Glossary, Term
from pellucid.translation.translator import Translator

from .shouting import TOKENIZER, ShoutingStepper

# The shouting model writes its source in capitals, or "!" with a little probability, and nothing else.
EXCITED = Term("ox", "OX !")
IMPOSSIBLE = Term("bee", "wasp")


def shouter(**settings: object) -> Translator:
    config = TranslationConfig.model_validate({"beam_size": 3, **settings})
    return Translator(ShoutingStepper, TOKENIZER, config=config, source_language="en")


def test_results_without_terms_are_bit_for_bit_the_same() -> None:
    texts = ["a horse", "", "an ox and a goat", "bee"]
    assert shouter().translate(texts, terms=[Term("cow", "COW!")]) == shouter().translate(texts)
    assert shouter().translate(texts, terms=[EXCITED])[0] == shouter().translate(texts[0])


def test_what_the_translation_has_already_stays() -> None:
    plain = shouter().translate("an ox and a goat")
    assert shouter().translate("an ox and a goat", terms=[Term("ox", "ox"), Term("goat", ["GOATS", "GOAT"])]) == plain


def test_a_form_to_avoid_does_not_come() -> None:
    found = shouter().translate("an ox", terms=[Term("ox", avoid="ox")])
    assert found.text != "AN OX"
    assert "OX" not in found.text.split()
    assert "terms" not in found.flags


def test_a_term_that_cannot_be_met_is_reported() -> None:
    found = shouter().translate(["a bee", "an ox"], terms=[IMPOSSIBLE])
    assert ["terms" in one.flags for one in found] == [True, False]
    assert found[0].evidence["terms"] == "'wasp' is missing, for 'bee'"
    assert found[0].error is None


def test_each_sentence_of_a_text_has_its_terms() -> None:
    found = shouter(split_sentences="always").translate("Here is a bee. There is an ox.", terms=[IMPOSSIBLE])
    assert found.text.endswith("THERE IS AN OX.")
    assert found.evidence["terms"] == "'wasp' is missing, for 'bee'"


def test_sampling_and_wrong_terms_are_refused() -> None:
    with pytest.raises(RequestError, match="sampling = true draws at random and cannot follow terms"):
        shouter().translate("an ox", terms=[EXCITED], sampling=True, beam_size=1)
    with pytest.raises(RequestError, match="terms holds a str"):
        shouter().translate("an ox", terms=["ox"])  # type: ignore[list-item]
    with pytest.raises(RequestError, match="two terms for 'ox'"):
        shouter().translate("an ox", terms=[EXCITED, Term("ox", "OX")])


def test_the_stream_and_the_lines_of_a_file_take_terms(tmp_path: Path) -> None:
    (found,) = shouter().with_terms([IMPOSSIBLE]).translate_stream(["a bee"])
    assert "terms" in found.flags
    with (tmp_path / "out").open("w", encoding="utf-8") as sink:
        outcome = translate_lines(
            shouter().with_terms(Glossary([IMPOSSIBLE])), ["a bee", "an ox"], sink, name="in", format=OutputFormat.JSONL
        )
    assert outcome.flags["terms"] == 1
    assert "'wasp' is missing, for 'bee'" in (tmp_path / "out").read_text(encoding="utf-8")


def test_the_native_engine_leaves_terms_to_torch() -> None:
    said: list[str] = []
    asked: list[SearchRequest] = []

    class Unasked:
        name = "native"

        def lacks(self, request: SearchRequest) -> str | None:
            asked.append(request)
            return NativeEngine.lacks(self, request)  # type: ignore[arg-type]

    translator = Translator(ShoutingStepper, TOKENIZER, engine=Unasked(), say=said.append)  # type: ignore[arg-type]
    assert translator.translate("an ox", terms=[Term("ox", "ox")]).text == "AN OX"
    assert said == ["engine: torch, because native does not support terms"]


class AttentiveStepper(ShoutingStepper):
    """Any token may come, but the source's is far more probable; token by token it attends to its own place."""

    def step(self, last_ids: Tensor | None) -> Tensor:
        found = super().step(last_ids)
        return torch.where(found > -torch.inf, found, torch.tensor(-9.0))

    def attention(self) -> Tensor:
        width = max(map(len, self._sources))
        found = torch.full((len(self._sources), width), 0.1 / width)
        found[:, min(self._length, width - 1)] = 0.9
        return found


@pytest.mark.parametrize("number", range(4))
def test_a_term_stands_where_the_model_attends_to_its_source(number: int) -> None:
    words = ["ox", "ram", "yak", "elk"]
    other = "z" * len(words[number])
    attentive = Translator(AttentiveStepper, TOKENIZER, config=TranslationConfig(beam_size=4), source_language="en")
    found = attentive.translate(" ".join(words), terms=[Term(words[number], other)])
    assert found.text.lower().split() == [*words[:number], other, *words[number + 1 :]]
    assert "terms" not in found.flags


TERMS = [Term("dog", "hound"), Term("cat", ["moggy", "tom cat"], avoid="kitty")]
SENTENCES = ["A dog.", "The cat and the dog", "nothing", "A cat. A dog."]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_ensembles_keep_to_terms(count: int) -> None:
    models = [random_model(TOKENIZER, seed=seed, noise=0.2) for seed in range(count)]
    ensemble = Translator(models, TOKENIZER, config=TranslationConfig(beam_size=3), source_language="en")
    for one, source in zip(ensemble.translate(SENTENCES, terms=TERMS), SENTENCES, strict=True):
        assert "terms" not in one.flags
        assert ("hound" in one.text.lower()) >= ("dog" in source)
        assert any(form in one.text.lower() for form in ("moggy", "tom cat")) >= ("cat" in source)
    assert ensemble.translate(SENTENCES[2], terms=TERMS) == ensemble.translate(SENTENCES[2])


def test_an_ensemble_of_equal_models_translates_with_terms_as_one_of_them() -> None:
    model = random_model(TOKENIZER, seed=5, noise=0.2)
    config = TranslationConfig(beam_size=3)
    alone = Translator(model, TOKENIZER, config=config).translate(SENTENCES, terms=TERMS)
    twice = Translator([model, model], TOKENIZER, config=config).translate(SENTENCES, terms=TERMS)
    assert [one.text for one in twice] == [one.text for one in alone]


def test_terms_of_a_call_are_forgotten_after_it() -> None:
    plain, term = shouter(), Term("ox", "O!")
    before = plain.translate("an ox")
    assert plain.translate("an ox", terms=[term]).text == "AN O!"
    assert plain.translate("an ox") == before
    assert plain.with_terms([term]).translate("an ox").text == "AN O!"
    assert plain.with_terms([term]).translate("an ox", terms=[IMPOSSIBLE]) == before
