"""Linear maps of packed steps are those of torch with one rounding less, and gradients add up in their place."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pellucid.training.packed import products


def refuse(*_: object) -> Tensor:
    raise RuntimeError("no such operation here")


@pytest.fixture(name="is_fused", params=[True, False], ids=["fused", "by torch"])
def _is_fused(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Let oneDNN add the bias, or let its operation be missing."""
    products._has_pointwise.cache_clear()
    if not request.param:
        monkeypatch.setattr(products, "_pointwise", refuse)
    found: bool = request.param
    return found


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 5, 3), (64, 32, 96)])
def test_linear_maps_are_products_plus_a_bias(is_fused: bool, dtype: torch.dtype, shape: tuple[int, int, int]) -> None:
    torch.manual_seed(1)
    rows, inner, columns = shape
    inputs, weight = torch.randn(rows, inner).to(dtype), torch.randn(columns, inner).to(dtype)
    bias = torch.randn(columns).to(dtype)
    exact = inputs.double() @ weight.double().t() + bias.double()
    error = {torch.bfloat16: 2**-7, torch.float32: 1e-5, torch.float64: 1e-12}[dtype]
    for found, wanted in (
        (products.linear(inputs, weight, bias), exact),
        (products.linear_relu(inputs, weight, bias), exact.relu()),
    ):
        assert found.dtype is dtype
        torch.testing.assert_close(found.double(), wanted, rtol=error, atol=error)
    assert is_fused or not products._has_pointwise()


def test_an_operation_that_is_missing_is_found_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    products._has_pointwise.cache_clear()
    calls = 0

    def miss(*_: object) -> Tensor:
        nonlocal calls
        calls += 1
        raise AttributeError("_linear_pointwise")

    monkeypatch.setattr(products, "_pointwise", miss)
    ones = torch.ones(2, 2, dtype=torch.bfloat16)
    assert products.linear(ones, ones, ones[0]).tolist() == [[3.0, 3.0], [3.0, 3.0]]
    assert products.linear_relu(ones, -ones, ones[0]).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert calls == 1
    products._has_pointwise.cache_clear()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_gradients_are_written_or_added(dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    gradient, inputs = torch.randn(9, 4).to(dtype), torch.randn(9, 6).to(dtype)
    product = (gradient.t() @ inputs).float()
    parts, scale = torch.randn(3, 4, 6), torch.tensor([0.5])
    before = torch.randn(4, 6)
    for adds in (False, True):
        first = before if adds else torch.zeros(4, 6)
        for keep, wanted in (
            (lambda out, adds=adds: products.weight_gradient(out, gradient, inputs, adds=adds), product),
            (lambda out, adds=adds: products.summed_gradient(out, parts, 0, adds=adds), parts.sum(0)),
            (lambda out, adds=adds: products.scaled_gradient(out, parts[0], scale, adds=adds), parts[0] / 2),
        ):
            out = before.clone()
            keep(out)
            torch.testing.assert_close(out, first + wanted)
