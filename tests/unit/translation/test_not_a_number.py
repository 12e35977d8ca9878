"""A model whose log-probabilities are no numbers is refused wherever they would reach somebody."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from tests.models import random_model

from pellucid.errors import RequestError
from pellucid.model.transformer import Transformer
from pellucid.text.tokenizer import BytesTokenizer
from pellucid.tracing.making import trace
from pellucid.translation.candidates import refuse_not_a_number
from pellucid.translation.scoring import forced_log_probabilities_by_steps
from pellucid.translation.translator import Translator

from .shouting import TOKENIZER, ShoutingStepper

DAMAGE: dict[str, Callable[[Transformer], None]] = {
    "every weight NaN": lambda model: [p.fill_(math.nan) for p in model.parameters()],  # type: ignore[func-returns-value]
    "one weight NaN": lambda model: next(model.decoder.parameters()).view(-1)[0].fill_(math.nan),
    "one weight infinite": lambda model: next(model.encoder.parameters()).view(-1)[0].fill_(math.inf),
    "weights that overflow": lambda model: [p.mul_(1e30) for p in model.parameters() if p.dim() > 1],  # type: ignore[func-returns-value]
}


def translator(damage: str) -> Translator:
    model = random_model()
    with torch.no_grad():
        DAMAGE[damage](model)
    return Translator(model, BytesTokenizer())


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_model_neither_scores_nor_translates_nor_is_traced(damage: str) -> None:
    damaged = translator(damage)
    with pytest.raises(
        RequestError, match=r"pair \d: the model's log-probabilities are not numbers \(NaN or infinite\)"
    ):
        damaged.score(["ein Hund", "eine Katze"], ["a dog", "a cat"])
    for beam_size in (1, 3):
        found = damaged.translate("ein Hund", beam_size=beam_size)
        assert "not numbers" in str(found.error)
    for target in (None, "a dog"):
        with pytest.raises(RequestError, match="not numbers"):
            trace(damaged, "ein Hund", target=target)


def test_a_pair_that_cannot_be_scored_is_named() -> None:
    shouting = Translator(ShoutingStepper, TOKENIZER)
    with pytest.raises(RequestError, match=r"pair 3: the model's log-probabilities are not numbers"):
        shouting.score(["ox", "cow", "a ~", "bee", "horse"], ["OX", "COW", "A ", "BEE", "HORSE"])
    good = shouting.score(["ox", "bee"], ["OX", "BEE"])
    assert all(math.isfinite(pair.log_probability) for pair in good)


def test_an_impossible_token_is_minus_infinity_and_no_error() -> None:
    ids = [[*TOKENIZER.encode_source(["ox"])[0], TOKENIZER.specials.eos]]
    ((first, *_),) = forced_log_probabilities_by_steps(ShoutingStepper(), ids, ids)
    assert first == -math.inf


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_no_log_probability(bad: float) -> None:
    refuse_not_a_number(torch.tensor([-1.0, -math.inf, 0.0]))
    with pytest.raises(RequestError, match="not numbers"):
        refuse_not_a_number(torch.tensor([-1.0, bad, -math.inf]))
