"""Validate the averaged weights: loss, likelihood and scores; decide whether they are the best so far.

Validation changes no weight and no random state, so its frequency does not affect the trained weights.
Read ``trainer.py`` next.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import torch

from pellucid.errors import DataError
from pellucid.runtime import Runtime
from pellucid.training.batches import TensorBatch, validation_batches
from pellucid.training.loss import batch_loss
from pellucid.training.reporter import Evaluator
from pellucid.training.state import random_states, set_random_states

if TYPE_CHECKING:
    from pellucid.model.transformer import Transformer
    from pellucid.training.inputs import RunInputs

__all__ = [
    "BLEU_SHARE",
    "GENERAL_BLEU",
    "Scores",
    "forgotten",
    "is_better",
    "measure",
    "measure_loss",
    "validate",
    "with_general_before",
]

LEAST_MEANINGFUL_BLEU: Final = 1.0
BLEU_SHARE: Final = "bleu_share"
"""Name of the share of the sentences that an evaluator scored; there is none where it scored all of them."""
GENERAL_BLEU: Final = "general_bleu"
"""Name of an evaluator's score on general text, which a run that starts from a model must not lose."""
_GENERAL_BLEU_BEFORE: Final = "general_bleu_before"


@dataclass(frozen=True)
class Scores:
    """One validation: ``numbers`` holds loss, nll and the evaluator's scores, ``samples`` its strings."""

    numbers: Mapping[str, float]
    samples: Mapping[str, str]

    def to_text(self) -> str:
        """Return the scores as JSON, for the other processes of a run."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_text(text: str) -> Scores:
        """Parse the result of ``to_text``."""
        return Scores(**json.loads(text))


def validate(
    model: Transformer,
    batches: Iterable[TensorBatch],
    *,
    evaluator: Evaluator | None,
    label_smoothing: float,
    runtime: Runtime,
) -> Scores:
    """Measure a model in evaluation mode."""
    with _unchanged_random_states(), torch.no_grad():
        loss, nll = measure_loss(model, batches, label_smoothing=label_smoothing, runtime=runtime)
        scores = dict(evaluator(model)) if evaluator is not None else {}
    numbers = {"loss": loss, "nll": nll}
    numbers |= {name: float(value) for name, value in scores.items() if not isinstance(value, str)}
    return Scores(numbers, {name: value for name, value in scores.items() if isinstance(value, str)})


@torch.no_grad()
def measure_loss(
    model: Transformer, batches: Iterable[TensorBatch], *, label_smoothing: float, runtime: Runtime
) -> tuple[float, float]:
    """Return mean loss and mean negative log-likelihood per target token, in nats.

    Raises:
        DataError: there are no sentence pairs.
    """
    loss_sum = nll_sum = 0.0
    target_tokens = 0
    for batch in batches:
        loss, nll = batch_loss(model, batch, label_smoothing=label_smoothing, runtime=runtime)
        loss_sum += loss.item()
        nll_sum += nll.item()
        target_tokens += batch.num_target_tokens
    if not target_tokens:
        raise DataError("the validation set has no sentence pair within training.max_length; increase this limit")
    return loss_sum / target_tokens, nll_sum / target_tokens


def with_general_before(numbers: Mapping[str, float], earlier: Mapping[str, float]) -> Mapping[str, float]:
    """Return a validation with the general score before the first step, which each validation passes on to the next."""
    if GENERAL_BLEU not in numbers:
        return numbers
    return {**numbers, _GENERAL_BLEU_BEFORE: earlier.get(_GENERAL_BLEU_BEFORE, numbers[GENERAL_BLEU])}


def forgotten(numbers: Mapping[str, float]) -> float:
    """Return the BLEU points that the general score of a validation has fallen; 0 without one."""
    return numbers.get(_GENERAL_BLEU_BEFORE, 0.0) - numbers.get(GENERAL_BLEU, 0.0)


def is_better(
    new: Mapping[str, float],
    best: Mapping[str, float],
    *,
    by_exact_match: bool = False,
    max_forgetting: float = math.inf,
) -> bool:
    """Return whether a validation is better than the best one: by BLEU if both have it, otherwise by likelihood.

    One that has forgotten more than ``max_forgetting`` is never better.

    With ``by_exact_match``, the share of exact matches decides first: a run that ends at such a share must keep the
    model that reached it. Likelihood also decides if BLEU is equal, or if both are below 1, where BLEU is noise. A
    validation with a likelihood that is not finite is never better.
    """
    if not math.isfinite(new["nll"]) or forgotten(new) > max_forgetting:
        return False
    if not best:
        return True
    if by_exact_match and new["exact_match"] != best.get("exact_match"):
        return new["exact_match"] > best.get("exact_match", 0.0)
    one, other = new.get("bleu"), best.get("bleu")
    if one is not None and other is not None and one != other and max(one, other) >= LEAST_MEANINGFUL_BLEU:
        return one > other
    return new["nll"] < best["nll"]


@contextmanager
def _unchanged_random_states() -> Iterator[None]:
    before = random_states()
    try:
        yield
    finally:
        set_random_states(before)


def measure(inputs: RunInputs, model: Transformer, device: torch.device, *, is_last: bool) -> Scores:
    """Validate a model on the validation pairs of a run; the last validation may have an evaluator of its own."""
    config = inputs.config
    evaluator = inputs.last_evaluator if is_last and inputs.last_evaluator is not None else inputs.evaluator
    batches = validation_batches(
        inputs.valid_store, config=config, specials=model.config.specials, start_id=model.start_id, device=device
    )
    return validate(model, batches, evaluator=evaluator, label_smoothing=config.label_smoothing, runtime=inputs.runtime)


def cost_in_steps(inputs: RunInputs, *, batches_of_a_step: int, batches_of_an_epoch: int) -> float:
    """Estimate how many steps take as long as a validation, by counts alone, so that a run can be repeated.

    Per target token, a step takes about three times as long as the loss and half as long as a greedy translation
    (docs/log.md, 2026-11-27: the cost of a validation).
    """
    tokens_of_a_step = (inputs.store.target_lengths + 1).sum() * batches_of_a_step / batches_of_an_epoch
    lengths = inputs.valid_store.target_lengths + 1
    translated = 0 if inputs.evaluator is None else max(inputs.config.valid_bleu_sentences, 1)
    return float(lengths.sum() / 3 + 2 * lengths[:translated].sum()) / max(float(tokens_of_a_step), 1.0)
