"""Attention agrees with torch.nn.MultiheadAttention, and its two paths with each other, in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from pellucid.config import ModelConfig
from pellucid.model.attention import (
    MultiHeadAttention,
    causal_may_attend,
    explicit_attention,
    fused_attention,
    padding_may_attend,
)
from pellucid.model.recorder import scope_of

BATCH, TIME, MEMORY, D_MODEL, HEADS = 3, 5, 7, 33, 3


def make() -> tuple[MultiHeadAttention, nn.MultiheadAttention]:
    torch.manual_seed(0)
    ours = MultiHeadAttention(ModelConfig(d_model=D_MODEL, num_heads=HEADS, position_layout="learned")).double()
    theirs = nn.MultiheadAttention(D_MODEL, HEADS, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        for linear in (ours.queries, ours.keys, ours.values, ours.output):
            linear.bias.normal_()
        maps = (ours.queries, ours.keys, ours.values)
        theirs.in_proj_weight.copy_(torch.cat([linear.weight for linear in maps]))
        theirs.in_proj_bias.copy_(torch.cat([linear.bias for linear in maps]))
        theirs.out_proj.weight.copy_(ours.output.weight)
        theirs.out_proj.bias.copy_(ours.output.bias)
    return ours, theirs


class Weights:
    """A recorder that keeps one site."""

    def visit(self, site: str, value: Tensor) -> Tensor:
        if site == "weights":
            self.value = value
        return value


def masks() -> dict[str, Tensor | None]:
    lengths = torch.tensor([7, 4, 1])
    generator = torch.Generator().manual_seed(4)
    scattered = torch.rand(BATCH, 1, TIME, MEMORY, generator=generator) < 0.5
    scattered[..., 2] = True  # torch.nn gives NaN where a row may attend to nothing
    return {"none": None, "padding": (torch.arange(MEMORY) < lengths[:, None])[:, None, None, :], "any": scattered}


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("mask", ["none", "padding", "any"])
def test_cross_attention_agrees_with_torch(mask: str, recorded: bool) -> None:
    ours, theirs = make()
    hidden = torch.randn(BATCH, TIME, D_MODEL, dtype=torch.float64)
    memory = torch.randn(BATCH, MEMORY, D_MODEL, dtype=torch.float64)
    may_attend = masks()[mask]
    recorder = Weights()
    result = ours(hidden, memory, may_attend=may_attend, scope=scope_of(recorder) if recorded else None)
    blocked = None
    if may_attend is not None:
        blocked = ~may_attend.expand(BATCH, HEADS, TIME, MEMORY).reshape(BATCH * HEADS, TIME, MEMORY)
    expected, weights = theirs(hidden, memory, memory, attn_mask=blocked, average_attn_weights=False)
    torch.testing.assert_close(result, expected, rtol=1e-10, atol=1e-10)
    if recorded:
        torch.testing.assert_close(recorder.value, weights, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("recorded", [False, True])
def test_causal_self_attention_agrees_with_torch(recorded: bool) -> None:
    ours, theirs = make()
    hidden = torch.randn(BATCH, TIME, D_MODEL, dtype=torch.float64)
    may_attend = causal_may_attend(TIME, device=hidden.device)
    result = ours(hidden, hidden, may_attend=may_attend, scope=scope_of(Weights()) if recorded else None)
    expected, _ = theirs(hidden, hidden, hidden, attn_mask=~may_attend[0, 0], need_weights=False)
    torch.testing.assert_close(result, expected, rtol=1e-10, atol=1e-10)


def split(seed: int, requires_grad: bool = True) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sizes = (TIME, MEMORY, MEMORY)
    return [
        torch.randn(BATCH, HEADS, time, 11, dtype=torch.float64, generator=generator).requires_grad_(requires_grad)
        for time in sizes
    ]


@pytest.mark.parametrize("mask", ["none", "padding", "any", "nothing at all"])
def test_fused_and_explicit_agree_in_value_and_gradient(mask: str) -> None:
    may_attend = masks().get(mask)
    if mask == "nothing at all":
        may_attend = torch.ones(BATCH, 1, TIME, MEMORY, dtype=torch.bool)
        may_attend[1] = False
        may_attend[2, :, 3] = False
    results = []
    for function in (fused_attention, explicit_attention):
        inputs = split(6)
        context = function(*inputs, may_attend=may_attend)
        gradients = torch.autograd.grad((context * torch.arange(11)).sum(), inputs)
        results.append((context, *gradients))
    for fused, explicit in zip(*results, strict=True):
        assert torch.isfinite(fused).all()
        torch.testing.assert_close(fused, explicit, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("mask", ["none", "padding", "any", "causal", "nothing at all"])
@pytest.mark.parametrize("kernel", [SDPBackend.MATH, SDPBackend.FLASH_ATTENTION], ids=lambda kernel: kernel.name)
@pytest.mark.parametrize(
    ("dtype", "allowed"), [(torch.float64, 1e-10), (torch.float32, 1e-5), (torch.bfloat16, 2e-2), (torch.float16, 3e-3)]
)
def test_fused_and_explicit_agree_in_every_type_on_every_kernel(
    mask: str, kernel: SDPBackend, dtype: torch.dtype, allowed: float
) -> None:
    may_attend = masks().get(mask)
    if mask == "nothing at all":
        may_attend = torch.zeros(BATCH, 1, 1, MEMORY, dtype=torch.bool)
    if mask == "causal":
        may_attend = torch.ones(TIME, MEMORY, dtype=torch.bool).tril()
    inputs = [tensor.to(dtype) for tensor in split(9, requires_grad=False)]
    with sdpa_kernel(kernel):  # only this one, and an error where it cannot
        fused = fused_attention(*inputs, may_attend=may_attend)
    torch.testing.assert_close(fused, explicit_attention(*inputs, may_attend=may_attend), rtol=allowed, atol=allowed)


@pytest.mark.parametrize("function", [fused_attention, explicit_attention])
def test_a_row_that_may_attend_to_nothing_gives_zero_and_passes_no_gradient(function: object) -> None:
    may_attend = torch.ones(BATCH, 1, 1, MEMORY, dtype=torch.bool)
    may_attend[1] = False
    inputs = split(7)
    context = function(*inputs, may_attend=may_attend)  # type: ignore[operator]
    assert not context[1].any()
    for gradient in torch.autograd.grad(context.sum(), inputs):
        assert torch.isfinite(gradient).all()
        assert not gradient[1].any()


def test_explicit_attention_passes_gradcheck() -> None:
    may_attend = masks()["any"]
    inputs = [tensor[:, :, :, :2].detach().requires_grad_() for tensor in split(8)]
    assert torch.autograd.gradcheck(lambda *x: explicit_attention(*x, may_attend=may_attend), inputs)


def test_attention_dropout_keeps_the_mean() -> None:
    config = ModelConfig(d_model=D_MODEL, num_heads=HEADS, position_layout="learned", attention_dropout=0.3)
    torch.manual_seed(1)
    attention = MultiHeadAttention(config).double()
    hidden = torch.randn(2, TIME, D_MODEL, dtype=torch.float64)
    expected = attention.eval()(hidden, hidden)
    attention.train()
    draws = torch.stack([attention(hidden, hidden) for _ in range(3000)])
    assert not torch.equal(draws[0], draws[1])
    # Five standard errors of the mean.
    error = 5 * draws.std(0) / len(draws) ** 0.5
    assert ((draws.mean(0) - expected).abs() < error).all()


def test_a_mask_of_another_shape_or_type_is_refused() -> None:
    like = torch.zeros(BATCH, TIME, D_MODEL)
    with pytest.raises(ValueError, match=r"dtype torch\.bool and shape \[3, 7\]"):
        padding_may_attend(torch.ones(BATCH, MEMORY, dtype=torch.bool), like=like)
    with pytest.raises(ValueError, match=r"dtype torch\.float32 and shape \[3, 5\]"):
        padding_may_attend(torch.ones(BATCH, TIME), like=like)


def test_the_causal_flag_is_the_causal_mask() -> None:
    torch.manual_seed(5)
    queries, keys, values = (torch.randn(BATCH, HEADS, TIME, 11, dtype=torch.float64) for _ in range(3))
    masked = fused_attention(queries, keys, values, may_attend=causal_may_attend(TIME, device=queries.device))
    flagged = fused_attention(queries, keys, values, may_attend=None, is_causal=True)
    torch.testing.assert_close(flagged, masked, rtol=1e-10, atol=1e-10)


def test_fused_dropout_keeps_the_mean_of_the_contexts() -> None:
    torch.manual_seed(6)
    queries, keys, values = (torch.randn(1, 1, TIME, 11, dtype=torch.float64) for _ in range(3))
    plain = fused_attention(queries, keys, values, may_attend=None)
    many = [x.expand(4000, -1, -1, -1) for x in (queries, keys, values)]
    dropped = fused_attention(*many, may_attend=None, dropout_rate=0.25)
    assert not torch.equal(dropped[0], plain[0])
    torch.testing.assert_close(dropped.mean(0), plain[0], rtol=0, atol=0.05)


@pytest.mark.parametrize("mask", ["none", "padding"])
def test_attention_in_bfloat16_is_near_float64_forward_and_backward(mask: str) -> None:
    torch.manual_seed(3)
    may_attend = masks()[mask]
    shapes = ((BATCH, HEADS, TIME, 11), (BATCH, HEADS, MEMORY, 11), (BATCH, HEADS, MEMORY, 11))
    exact = [torch.randn(shape).bfloat16().double().requires_grad_() for shape in shapes]
    near = [value.detach().bfloat16().requires_grad_() for value in exact]
    expected, found = (fused_attention(*values, may_attend=may_attend) for values in (exact, near))
    direction = torch.randn_like(expected).bfloat16()
    expected.backward(direction.double())
    found.backward(direction)
    torch.testing.assert_close(found.double(), expected, rtol=0.02, atol=0.02)
    for value, one in zip(near, exact, strict=True):
        assert value.grad is not None
        torch.testing.assert_close(value.grad.double(), one.grad, rtol=0.03, atol=0.03)
