"""Every regulariser equals a plain computation in float64, is free when it is off, and resumes bit for bit."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from pellucid.config import recipe_from
from pellucid.errors import ConfigError, InterruptedByUser
from pellucid.model.transformer import Transformer
from pellucid.text.batching import make_batch
from pellucid.training import regularisers as room
from pellucid.training.batches import PairWeights, TensorBatch, to_tensors
from pellucid.training.loss import batch_loss
from pellucid.training.regularisers import pair_loss, training_loss

from .kit import RUNTIME, SPECIALS, equal_weights, reversal_store, run_training, tiny_model, training_config
from .test_resume import Stopper

SMOOTHING = 0.1


def batch_of(model: Transformer, rows: int = 11) -> TensorBatch:
    store = reversal_store(pairs=rows, seed=4)
    batch = make_batch(store, np.arange(rows), specials=SPECIALS, start_id=model.start_id)  # type: ignore[arg-type]
    return to_tensors(batch, device=torch.device("cpu"))


def divergence(logits: Tensor, others: Tensor) -> Tensor:
    """KL(p || q), summed over the rows, by torch."""
    return functional.kl_div(others.log_softmax(-1), logits.log_softmax(-1), reduction="sum", log_target=True)


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(logits, targets, label_smoothing=SMOOTHING, reduction="sum")


def target_logits(model: Transformer, batch: TensorBatch, source_ids: Tensor, target_input_ids: Tensor) -> Tensor:
    logits = model(source_ids, target_input_ids, source_mask=batch.source_mask)
    chosen: Tensor = logits.flatten(0, 1)[batch.target_positions]
    return chosen


def gradients_of(loss: Tensor, model: Transformer) -> list[Tensor]:
    model.zero_grad()
    loss.backward()
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


@given(
    tokens=st.integers(1, 13),
    vocabulary=st.integers(2, 29),
    weights=st.tuples(*[st.sampled_from([0.0, 0.5, 1.0, 3.0])] * 4),
    block=st.sampled_from([1, 50, 1 << 17]),
)
def test_the_loss_of_a_pair_is_that_of_torch(
    tokens: int, vocabulary: int, weights: tuple[float, float, float, float], block: int
) -> None:
    generator = torch.Generator().manual_seed(tokens * 100 + vocabulary)
    logits = 3 * torch.randn(2 * tokens, vocabulary, dtype=torch.float64, generator=generator)
    targets = torch.randint(0, vocabulary, (tokens,), generator=generator)
    theirs, ours = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    one, other = theirs.chunk(2)
    first, second, forward, reverse = weights
    expected = first * cross_entropy(one, targets) + second * cross_entropy(other, targets)
    expected = expected + forward * divergence(one, other) + reverse * divergence(other, one)
    (0.7 * expected).backward()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "_BLOCK_NUMBERS", block)
        found, nll = pair_loss(ours * 1.0, targets, weights=PairWeights(*weights), label_smoothing=SMOOTHING)
    (0.7 * found).backward()
    assert torch.allclose(found, expected, rtol=1e-10, atol=1e-10)
    plain = [functional.cross_entropy(part, targets, reduction="sum") for part in logits.chunk(2)]
    assert torch.allclose(nll, first * plain[0] + second * plain[1], rtol=1e-10, atol=1e-10)
    assert ours.grad is not None
    assert theirs.grad is not None
    assert torch.allclose(ours.grad, theirs.grad, rtol=1e-9, atol=1e-11)


def test_r_drop_is_the_mean_of_two_passes_and_their_mutual_divergence() -> None:
    model = tiny_model(dropout=0.2).double().train()
    batch = batch_of(model)
    torch.manual_seed(8)
    loss, nll = training_loss(model, batch, config=training_config(r_drop=5.0), runtime=RUNTIME)
    found = gradients_of(loss, model)
    torch.manual_seed(8)
    twice = [torch.cat([ids, ids]) for ids in (batch.source_ids, batch.target_input_ids, batch.source_mask)]
    logits = model(twice[0], twice[1], source_mask=twice[2]).chunk(2)
    one, other = (part.flatten(0, 1)[batch.target_positions] for part in logits)
    paper = cross_entropy(one, batch.target_ids) + cross_entropy(other, batch.target_ids)
    paper = paper + 5.0 * (divergence(one, other) + divergence(other, one)) / 2
    expected = gradients_of(paper / 2, model)
    assert torch.allclose(loss, paper / 2, rtol=1e-10)
    assert all(torch.allclose(a, b, rtol=1e-8, atol=1e-10) for a, b in zip(found, expected, strict=True))
    assert loss.item() > nll.item() > 0


def test_simcut_compares_the_whole_pass_with_one_whose_tokens_are_zero_vectors() -> None:
    model = tiny_model(dropout=0.0).double().train()
    batch = batch_of(model)
    config = training_config(simcut=3.0, simcut_cutoff=0.3)
    torch.manual_seed(8)
    loss, nll = training_loss(model, batch, config=config, runtime=RUNTIME)
    found = gradients_of(loss, model)
    torch.manual_seed(8)
    cut = []
    for ids in (batch.source_ids, batch.target_input_ids):
        is_word = (ids != SPECIALS.pad) & (ids != SPECIALS.bos) & (ids != SPECIALS.eos)
        cut.append(torch.where((torch.rand(ids.shape) < 0.3) & is_word, SPECIALS.pad, ids))
    assert all((a != b).any() for a, b in zip(cut, (batch.source_ids, batch.target_input_ids), strict=True))
    whole = target_logits(model, batch, batch.source_ids, batch.target_input_ids)
    expected_loss = cross_entropy(whole, batch.target_ids)
    expected_loss = expected_loss + 3.0 * divergence(whole, target_logits(model, batch, cut[0], cut[1]))
    expected = gradients_of(expected_loss, model)
    assert torch.allclose(loss, expected_loss, rtol=1e-10)
    assert torch.allclose(nll, functional.cross_entropy(whole, batch.target_ids, reduction="sum"), rtol=1e-10)
    assert all(torch.allclose(a, b, rtol=1e-8, atol=1e-10) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("form", ["unk", "zero"])
def test_word_dropout_replaces_words_only_at_its_rate(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model().train()
    batch = batch_of(model, rows=397)
    seen: list[TensorBatch] = []

    def loss_of(model: Transformer, batch: TensorBatch, **_: object) -> tuple[Tensor, Tensor]:
        seen.append(batch)
        return torch.zeros(()), torch.zeros(())

    monkeypatch.setattr(room, "batch_loss", loss_of)
    config = training_config(source_word_dropout=0.25, target_word_dropout=0.5, word_dropout=form)
    training_loss(model, batch, config=config, runtime=RUNTIME)
    replacement = SPECIALS.unk if form == "unk" else SPECIALS.pad
    for before, after, rate in (
        (batch.source_ids, seen[0].source_ids, 0.25),
        (batch.target_input_ids, seen[0].target_input_ids, 0.5),
    ):
        is_word = before >= 4
        assert torch.equal(before[~is_word], after[~is_word])
        changed = after[is_word] != before[is_word]
        assert (after[is_word][changed] == replacement).all()
        assert changed.float().mean().item() == pytest.approx(rate, abs=0.05)
    assert torch.equal(seen[0].target_ids, batch.target_ids), "what is predicted stays"
    assert torch.equal(seen[0].source_mask, batch.source_mask)


def test_without_regularisers_the_loss_and_the_random_numbers_are_the_same_bits() -> None:
    model = tiny_model().train()
    batch = batch_of(model)
    results = []
    for regularised in (False, True):
        torch.manual_seed(8)
        if regularised:
            loss, _ = training_loss(model, batch, config=training_config(label_smoothing=SMOOTHING), runtime=RUNTIME)
        else:
            loss, _ = batch_loss(model, batch, label_smoothing=SMOOTHING, runtime=RUNTIME)
        results.append((loss.detach(), torch.get_rng_state()))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


def test_a_model_whose_padding_has_an_embedding_has_no_zero_vector() -> None:
    model = tiny_model(zero_padding_row=False)
    for changes in ({"simcut": 3.0}, {"source_word_dropout": 0.1, "word_dropout": "zero"}):
        with pytest.raises(ConfigError, match="zero_padding_row = true"):
            training_loss(model, batch_of(model), config=training_config(**changes), runtime=RUNTIME)


@pytest.mark.parametrize(
    "changes",
    [
        {"r_drop": 1.0, "source_word_dropout": 0.1, "target_word_dropout": 0.1},
        {"simcut": 1.0, "source_word_dropout": 0.1, "word_dropout": "zero", "average_tail": 0.2},
    ],
    ids=["r_drop", "simcut"],
)
def test_a_regularised_run_learns_and_goes_on_bit_for_bit(changes: dict[str, object], tmp_path: Path) -> None:
    settings = {f"config_{name}": value for name, value in changes.items()}
    _, model, listener = run_training(tmp_path / "whole", **settings)
    with pytest.raises(InterruptedByUser):
        run_training(tmp_path / "part", reporter=Stopper(9, signal.SIGINT), **settings)
    _, resumed, _ = run_training(tmp_path / "part", **settings)
    assert equal_weights(model.state_dict(), resumed.state_dict())
    assert listener.steps[-1].nll < listener.steps[0].nll


def test_settings_that_cannot_act_together_are_refused() -> None:
    with pytest.raises(ConfigError, match="r_drop = 5 and simcut = 3 exclude each other"):
        recipe_from({"training": {"r_drop": 5.0, "simcut": 3.0}})
    with pytest.raises(ConfigError, match="every dropout is 0"):
        recipe_from({"training": {"r_drop": 5.0}, "model": {"dropout": 0.0}})
