"""The loss in chunks is the plain loss: values, gradients, whatever the chunk; padding adds exactly nothing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from pellucid.training.batches import PairWeights
from pellucid.training.gpu.vocabulary_loss import vocabulary_gradients, vocabulary_loss
from pellucid.training.loss import smoothed_cross_entropy
from pellucid.training.regularisers import pair_loss

POSITIONS, WIDTH, VOCABULARY = 29, 7, 23


def inputs(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(4)
    hidden = torch.randn(POSITIONS, WIDTH, dtype=torch.float64, generator=generator)
    weight = torch.randn(VOCABULARY, WIDTH, dtype=torch.float64, generator=generator)
    bias = torch.randn(VOCABULARY, dtype=torch.float64, generator=generator)
    targets = torch.randint(VOCABULARY, (POSITIONS,), generator=generator)
    weights = (torch.rand(POSITIONS, generator=generator) < 0.7).float()
    return (*(x.to(dtype).requires_grad_() for x in (hidden, weight, bias)), targets, weights)


def plain(smoothing: float, dtype: torch.dtype, *, with_bias: bool) -> list[Tensor]:
    """Return loss, likelihood and gradients by way of all logits, and of torch's own cross-entropy."""
    hidden, weight, bias, targets, weights = inputs(dtype)
    real = weights.nonzero()[:, 0]
    logits = functional.linear(hidden[real], weight, bias if with_bias else None)
    loss, likelihood = smoothed_cross_entropy(logits, targets[real], label_smoothing=smoothing)
    expected = functional.cross_entropy(logits, targets[real], label_smoothing=smoothing, reduction="sum")
    torch.testing.assert_close(loss, expected)
    return [loss, likelihood, *torch.autograd.grad(loss / 3, (hidden, weight, bias)[: 2 + with_bias])]


def chunked(smoothing: float, dtype: torch.dtype, *, with_bias: bool, chunk: int) -> list[Tensor]:
    hidden, weight, bias, targets, weights = inputs(dtype)
    loss, likelihood = vocabulary_loss(
        hidden,
        weight,
        bias if with_bias else None,
        targets,
        weights,
        label_smoothing=smoothing,
        chunk_bytes=chunk,
    )
    assert not likelihood.requires_grad
    return [loss, likelihood, *torch.autograd.grad(loss / 3, (hidden, weight, bias)[: 2 + with_bias])]


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("chunk", [1, 5 * VOCABULARY * 12, 1 << 20])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_it_is_the_plain_loss(smoothing: float, chunk: int, with_bias: bool) -> None:
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        expected = plain(smoothing, dtype, with_bias=with_bias)
        found = chunked(smoothing, dtype, with_bias=with_bias, chunk=chunk)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("chunk", [1, 11 * VOCABULARY * 12, 1 << 20])
@pytest.mark.parametrize("pair", [PairWeights(0.5, 0.5, 1.25, 1.25), PairWeights(1.0, 0.0, 3.0, 0.5)])
def test_two_passes_have_the_loss_of_a_pair(pair: PairWeights, chunk: int, with_bias: bool) -> None:
    one, weight, bias, targets, weights = inputs()
    hidden = torch.cat([one, one + 0.3 * one.sin()]).detach().requires_grad_()
    real = weights.nonzero()[:, 0]
    both = hidden[torch.cat([real, real + POSITIONS])]
    logits = functional.linear(both, weight, bias if with_bias else None)
    loss, likelihood = pair_loss(logits, targets[real], weights=pair, label_smoothing=0.1)
    expected = [loss, likelihood, *torch.autograd.grad(loss, (hidden, weight, bias)[: 2 + with_bias])]
    found = vocabulary_gradients(
        hidden.detach(),
        weight.detach(),
        bias.detach() if with_bias else None,
        targets.repeat(2),
        weights.repeat(2),
        label_smoothing=0.1,
        pair=pair,
        chunk_bytes=chunk,
    )
    for one, other in zip(found, [*expected, None], strict=False):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_bfloat16_rounds_the_logits_and_nothing_else() -> None:
    hidden, weight, bias, targets, weights = inputs(torch.bfloat16)
    loss, _ = vocabulary_loss(hidden, weight, bias, targets, weights, label_smoothing=0.1)
    assert loss.dtype == torch.float32
    exact = chunked(0.1, torch.float64, with_bias=True, chunk=1 << 20)
    assert loss.item() == pytest.approx(exact[0].item(), rel=0.01)
    found = torch.autograd.grad(loss / 3, (hidden, weight, bias))
    for gradient, expected in zip(found, exact[2:], strict=True):
        assert gradient.dtype == torch.bfloat16
        assert functional.cosine_similarity(gradient.double().flatten(), expected.flatten(), 0) > 0.999


def test_padding_has_a_gradient_of_exactly_zero() -> None:
    hidden, weight, bias, targets, weights = inputs(torch.float32)
    loss, _ = vocabulary_loss(hidden, weight, bias, targets, weights, label_smoothing=0.1)
    (gradient,) = torch.autograd.grad(loss, hidden)
    assert not gradient[weights == 0].any()
    assert gradient[weights == 1].any(1).all()


def test_a_hopeless_target_has_a_finite_loss() -> None:
    hidden = torch.tensor([[1000.0, 0.0]], requires_grad=True)
    weight = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], requires_grad=True)
    loss, likelihood = vocabulary_loss(hidden, weight, None, torch.tensor([1]), torch.ones(1), label_smoothing=0.0)
    assert likelihood.item() == loss.item() == 2000.0
    loss.backward()
    assert hidden.grad is not None
    assert hidden.grad.tolist() == [[2.0, 0.0]]
