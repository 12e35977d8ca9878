"""The loss equals torch's own in float64, never touches padding, and is exact over any grouping of batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from pellucid.runtime import Precision, Runtime
from pellucid.text.batching import make_batch
from pellucid.training import loss as loss_module
from pellucid.training.batches import TensorBatch, to_tensors
from pellucid.training.loss import batch_loss, smoothed_cross_entropy

from .kit import RUNTIME, SPECIALS, reversal_store, tiny_model


def random_case(rows: int, vocabulary: int, *, seed: int, scale: float = 3.0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(rows, vocabulary, dtype=torch.float64, generator=generator)
    return logits, torch.randint(0, vocabulary, (rows,), generator=generator)


@given(
    rows=st.integers(0, 37),
    vocabulary=st.integers(2, 53),
    smoothing=st.sampled_from([0.0, 0.1, 0.37]),
    block=st.sampled_from([1, 101, 1 << 19]),
    overwrite=st.booleans(),
)
def test_value_and_gradient_are_those_of_torch(
    rows: int, vocabulary: int, smoothing: float, block: int, overwrite: bool
) -> None:
    logits, targets = random_case(rows, vocabulary, seed=rows * 100 + vocabulary)
    theirs = logits.clone().requires_grad_()
    expected = functional.cross_entropy(theirs, targets, label_smoothing=smoothing, reduction="sum")
    (0.7 * expected).backward()
    ours = logits.clone().requires_grad_()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loss_module, "_BLOCK_NUMBERS", block)
        value, nll = smoothed_cross_entropy(
            ours * 1.0, targets, label_smoothing=smoothing, may_overwrite_logits=overwrite
        )
    (0.7 * value).backward()
    assert torch.allclose(value, expected, rtol=1e-12, atol=1e-12)
    assert torch.allclose(nll, functional.nll_loss(logits.log_softmax(-1), targets, reduction="sum"), atol=1e-12)
    assert ours.grad is not None
    assert theirs.grad is not None
    assert torch.allclose(ours.grad, theirs.grad, rtol=1e-12, atol=1e-14)
    assert not nll.requires_grad


def test_logits_are_left_alone_unless_given_away() -> None:
    logits, targets = random_case(7, 11, seed=1)
    before = logits.clone()
    value, _ = smoothed_cross_entropy(logits.requires_grad_(), targets, label_smoothing=0.1)
    value.backward()
    assert torch.equal(logits, before)


def test_logits_that_something_else_needs_cannot_be_overwritten_unnoticed() -> None:
    leaf, targets = random_case(7, 11, seed=1)
    logits = leaf.requires_grad_().exp()  # the derivative of exp needs its own result
    value, _ = smoothed_cross_entropy(logits, targets, label_smoothing=0.1, may_overwrite_logits=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        value.backward()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_sum_is_made_in_float32_at_least(dtype: torch.dtype) -> None:
    logits, targets = random_case(1009, 53, seed=5)
    narrow = logits.to(dtype)
    value, nll = smoothed_cross_entropy(narrow, targets, label_smoothing=0.1)
    exact = functional.cross_entropy(narrow.double(), targets, label_smoothing=0.1, reduction="sum")
    assert value.dtype == nll.dtype == torch.float32
    assert torch.allclose(value.double(), exact, rtol=1e-6)


def test_a_hopeless_target_has_a_finite_loss() -> None:
    logits = torch.zeros(2, 3)
    logits[0, 0] = 500.0  # exp(-500) is 0 in float32
    value, nll = smoothed_cross_entropy(logits.requires_grad_(), torch.tensor([1, 2]), label_smoothing=0.1)
    assert nll.item() == pytest.approx(500 + np.log(3), rel=1e-6)
    value.backward()
    assert torch.isfinite(logits.grad).all()  # type: ignore[arg-type]


def test_the_least_loss_is_the_entropy_of_the_smoothed_target() -> None:
    smoothing, vocabulary = 0.1, 29
    target = torch.full((1, vocabulary), smoothing / vocabulary, dtype=torch.float64)
    target[0, 7] += 1 - smoothing
    value, _ = smoothed_cross_entropy(target.log().requires_grad_(), torch.tensor([7]), label_smoothing=smoothing)
    assert value.item() == pytest.approx(-(target * target.log()).sum().item(), rel=1e-12)
    value.backward()


def padded(batch: TensorBatch, *, columns: int) -> TensorBatch:
    """The same batch with more padding on both sides."""
    from dataclasses import replace

    time = batch.target_input_ids.shape[1]
    wider = functional.pad
    row, column = batch.target_positions // time, batch.target_positions % time
    return replace(
        batch,
        source_ids=wider(batch.source_ids, (0, columns), value=SPECIALS.pad),
        source_mask=wider(batch.source_mask, (0, columns), value=False),
        target_input_ids=wider(batch.target_input_ids, (0, columns), value=SPECIALS.pad),
        target_positions=row * (time + columns) + column,
    )


def test_padding_never_changes_loss_or_gradient() -> None:
    model = tiny_model(dropout=0.0).double()
    store = reversal_store(pairs=11, seed=4)
    batch = to_tensors(
        make_batch(store, np.arange(11), specials=SPECIALS, start_id=model.start_id), device=torch.device("cpu")
    )
    assert batch.num_target_tokens == int(store.target_lengths.sum()) + 11 == len(batch.target_ids)
    found = []
    for one in (batch, padded(batch, columns=5)):
        model.zero_grad()
        value, nll = batch_loss(model, one, label_smoothing=0.1, runtime=RUNTIME)
        value.backward()
        found.append((value.detach(), nll, [p.grad for p in model.parameters()]))
    assert torch.allclose(found[0][0], found[1][0], rtol=1e-12)
    assert torch.allclose(found[0][1], found[1][1], rtol=1e-12)
    for one, other in zip(found[0][2], found[1][2], strict=True):
        assert torch.allclose(one, other, atol=1e-12)


def test_bf16_is_near_float32() -> None:
    model = tiny_model(dropout=0.0)
    batch = to_tensors(
        make_batch(reversal_store(pairs=31, seed=4), np.arange(31), specials=SPECIALS, start_id=model.start_id),
        device=torch.device("cpu"),
    )
    exact, _ = batch_loss(model, batch, label_smoothing=0.1, runtime=RUNTIME)
    near, _ = batch_loss(model, batch, label_smoothing=0.1, runtime=Runtime("cpu", Precision.BF16, 1, ""))
    assert near.dtype == torch.float32
    assert near.item() != exact.item()
    assert near.item() == pytest.approx(exact.item(), rel=1e-2)
    near.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
