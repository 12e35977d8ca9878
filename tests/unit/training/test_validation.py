"""Which of two validations is better, and that loss is measured per token over the whole set."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from pellucid.errors import DataError
from pellucid.training.batches import validation_batches
from pellucid.training.validation import Scores, is_better, measure_loss

from .kit import RUNTIME, SPECIALS, reversal_store, tiny_model, training_config


@pytest.mark.parametrize(
    ("new", "best", "better"),
    [
        ({"nll": 3.0}, {}, True),
        ({"nll": math.nan}, {}, False),
        ({"nll": 3.0}, {"nll": 3.1}, True),
        ({"nll": 3.1}, {"nll": 3.1}, False),
        ({"nll": 9.0, "bleu": 20.0}, {"nll": 3.0, "bleu": 19.0}, True),
        ({"nll": 1.0, "bleu": 18.0}, {"nll": 3.0, "bleu": 19.0}, False),
        ({"nll": 2.0, "bleu": 19.0}, {"nll": 3.0, "bleu": 19.0}, True),
        ({"nll": 6.0, "bleu": 0.04}, {"nll": 8.0, "bleu": 0.05}, True),
        ({"nll": 6.0, "bleu": 30.0}, {"nll": 8.0}, True),
        ({"nll": math.inf, "bleu": 30.0}, {"nll": 8.0, "bleu": 2.0}, False),
    ],
)
def test_what_is_better(new: dict[str, float], best: dict[str, float], better: bool) -> None:
    assert is_better(new, best) is better


def test_the_loss_is_the_mean_over_all_tokens_of_the_set() -> None:
    model = tiny_model().double().eval()
    store = reversal_store(pairs=31, seed=8)
    batches = validation_batches(
        store,  # type: ignore[arg-type]
        config=training_config(batch_size=29),
        specials=SPECIALS,
        start_id=model.start_id,
        device=torch.device("cpu"),
    )
    loss, nll = measure_loss(model, batches, label_smoothing=0.1, runtime=RUNTIME)
    smoothed, plain, tokens = 0.0, 0.0, 0
    for row in range(31):
        source = torch.tensor([[*store.source(row).tolist(), SPECIALS.eos]])
        target = torch.tensor([*store.target(row).tolist(), SPECIALS.eos])
        logits = model(source, torch.tensor([[model.start_id, *target[:-1].tolist()]]))[0].detach()
        smoothed += functional.cross_entropy(logits, target, label_smoothing=0.1, reduction="sum").item()
        plain += functional.cross_entropy(logits, target, reduction="sum").item()
        tokens += len(target)
    assert loss == pytest.approx(smoothed / tokens, rel=1e-12)
    assert nll == pytest.approx(plain / tokens, rel=1e-12)


def test_nothing_to_measure_on_is_an_error() -> None:
    with pytest.raises(DataError, match="max_length"):
        measure_loss(tiny_model(), [], label_smoothing=0.1, runtime=RUNTIME)


def test_scores_survive_the_way_to_another_process() -> None:
    scores = Scores({"loss": 1 / 3, "nll": math.inf}, {"sample": "é"})
    assert Scores.from_text(scores.to_text()) == scores
