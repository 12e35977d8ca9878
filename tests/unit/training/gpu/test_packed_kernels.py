"""The kernels of packed steps compute what their references compute in float64, and draw dropout anew for each value.

They run on a CUDA device; with Triton installed and TRITON_INTERPRET=1 they also run on a processor, in float32.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import Tensor

from pellucid.training.gpu.packed import reference
from pellucid.training.gpu.packed.reference import Dropping

IS_INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
pytestmark = pytest.mark.skipif(
    find_spec("triton") is None or not (IS_INTERPRETED or torch.cuda.is_available()),
    reason="needs Triton and a CUDA device, or TRITON_INTERPRET=1",
)
DEVICE = "cpu" if IS_INTERPRETED else "cuda"
TOLERANCES = {torch.float32: 2e-5, torch.bfloat16: 8e-3}
DTYPES = [torch.float32] if IS_INTERPRETED else list(TOLERANCES)  # the interpreter has no product in bfloat16
TOKENS = 37 if IS_INTERPRETED else 777
SITE = 2


@pytest.fixture(name="kernels")
def _kernels(monkeypatch: pytest.MonkeyPatch) -> Any:
    from pellucid.training.gpu.packed import operations

    if IS_INTERPRETED:
        monkeypatch.setattr(operations, "NORM_PARTS", 5)
        monkeypatch.setattr(operations, "COLUMN_PARTS", 3)
    torch.manual_seed(1)
    return operations


def drawn(*shape: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(*shape, dtype=dtype, device=DEVICE)


def exact(tensor: Tensor) -> Tensor:
    return tensor.cpu().double() if tensor.is_floating_point() else tensor.cpu()


def dropping(rate: float) -> Dropping:
    return Dropping(rate, torch.arange(3, 8, device=DEVICE) << 50, SITE)


def sums(parts: int, *shape: int) -> Tensor:
    return torch.full((parts, *shape), float("nan"), device=DEVICE)


def agree(found: Tensor, expected: Tensor, tolerance: float) -> None:
    distance = (exact(found) - exact(expected)).norm() / exact(expected).norm()
    assert float(distance) < tolerance


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [48, 256, 1024])
def test_norm_of_the_residual_sum(kernels: Any, dtype: torch.dtype, width: int) -> None:
    none, tolerance = dropping(0.0), TOLERANCES[dtype]
    hidden, sublayer, to_normed = (drawn(TOKENS, width, dtype=dtype) for _ in range(3))
    gamma, beta = (drawn(width, dtype=dtype) for _ in range(2))
    found = kernels.add_norm(hidden, sublayer, gamma, beta, epsilon=1e-5, dropping=none)
    expected = reference.add_norm(*map(exact, (hidden, sublayer, gamma, beta)), epsilon=1e-5, dropping=none)
    for one, other in zip(found, expected, strict=True):
        agree(one, other, tolerance)
    to_weights, expected_to_weights = sums(kernels.NORM_PARTS, 3, width), torch.zeros(1, 3, width).double()
    gradients = kernels.add_norm_backward(to_normed, *found[1:], gamma, dropping=none, sums=to_weights)
    inputs = map(exact, (to_normed, *found[1:], gamma))
    references = reference.add_norm_backward(*inputs, dropping=none, sums=expected_to_weights)
    for one, other in zip((*gradients, to_weights.sum(0)), (*references, expected_to_weights[0]), strict=True):
        agree(one, other, tolerance)


def test_dropout_keeps_the_same_values_backwards(kernels: Any) -> None:
    rate, width = 0.3, 64
    zeros, ones = torch.zeros(TOKENS, width, device=DEVICE), torch.ones(TOKENS, width, device=DEVICE)
    some = dropping(rate)
    _, keeps, mean, scale = kernels.add_norm(zeros, ones, ones[0], zeros[0], epsilon=1e-5, dropping=some)
    assert keeps.unique().tolist() == pytest.approx([0.0, 1 / (1 - rate)])
    assert float((keeps > 0).double().mean()) == pytest.approx(1 - rate, abs=0.03)
    to_weights = sums(kernels.NORM_PARTS, 3, width)
    total, to_sublayer = kernels.add_norm_backward(
        drawn(TOKENS, width, dtype=torch.float32), keeps, mean, scale, ones[0], dropping=some, sums=to_weights
    )
    agree(to_sublayer, total * keeps, 1e-6)
    agree(to_weights.sum(0)[2], to_sublayer.sum(0), 1e-4)
    quarters = torch.stack([part.flatten() for part in keeps.split(width // 4, 1)])
    others = kernels.add_norm(zeros, ones, ones[0], zeros[0], epsilon=1e-5, dropping=some._replace(site=3))[1]
    related = torch.corrcoef(torch.cat([quarters, others.split(width // 4, 1)[0].flatten()[None]]))
    assert float((related - torch.eye(5, device=DEVICE)).abs().max()) < 0.15


@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_over_tokens(kernels: Any, dtype: torch.dtype) -> None:
    width = 200
    activated, gradient = drawn(TOKENS, width, dtype=dtype).relu(), drawn(TOKENS, width, dtype=dtype)
    expected, total = exact(gradient), torch.zeros(1, width).double()
    reference.column_sums(expected, total, activated=exact(activated))
    found = sums(kernels.COLUMN_PARTS, width)
    kernels.column_sums(gradient, found, activated=activated)
    agree(gradient, expected, 1e-9)
    agree(found.sum(0), total[0], 1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_input_sums(kernels: Any, dtype: torch.dtype, rate: float) -> None:
    width, some = 96, dropping(rate)
    ids = torch.randint(-1, 20, (TOKENS,), dtype=torch.int32, device=DEVICE)
    positions = torch.arange(TOKENS, dtype=torch.int32, device=DEVICE) % 9
    table, angles = drawn(20, width, dtype=dtype), drawn(9, width, dtype=torch.float32)
    found = kernels.embed(ids, positions, table, angles, factor=3.0, dropping=some)
    to_rows = torch.full_like(found, float("nan"))
    kernels.embed_backward(torch.ones_like(found), factor=3.0, dropping=some, out=to_rows)
    expected = reference.embed(*map(exact, (ids, positions, table, angles)), factor=3.0, dropping=dropping(0.0))
    # The gradient of ones is the factor where a value was kept.
    agree(found, expected * exact(to_rows) / 3.0, TOLERANCES[dtype])
    assert float((to_rows > 0).double().mean()) == pytest.approx(1 - rate, abs=0.03)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("vocabulary", [101, 8000, 33_728])
def test_softmax_and_its_gradient(kernels: Any, dtype: torch.dtype, vocabulary: int) -> None:
    rows = 3 if IS_INTERPRETED else 64
    logits = 3 * drawn(rows, vocabulary, dtype=dtype)
    targets = torch.randint(0, vocabulary, (rows,), device=DEVICE)
    means = logits.float().mean(1)
    expected = reference.softmax_gradient(*map(exact, (logits, targets, means)), smoothing=0.1)
    for one, other in zip(kernels.softmax_gradient(logits, targets, means, smoothing=0.1), expected, strict=True):
        agree(one, other, TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize(
    ("num_heads", "d_head", "block"), [(4, 64, 32), (2, 64, 128), (3, 32, 64), (2, 16, 32), (1, 128, 128)]
)
def test_attention(kernels: Any, dtype: torch.dtype, is_causal: bool, num_heads: int, d_head: int, block: int) -> None:
    """Sentences have any length from nothing to a whole block."""
    rows, width, tolerance = 7 if IS_INTERPRETED else 40, num_heads * d_head, TOLERANCES[dtype]
    lengths = [torch.randint(0, block + 1, (rows,)) for _ in range(2)]
    for side, first in zip(lengths, ([0, block, 1], [3, 0, block]), strict=True):
        side[:3] = torch.tensor(first)
    lengths = [lengths[0], lengths[0]] if is_causal else lengths
    bounds = [torch.cat([torch.zeros(1), side.cumsum(0)]).int().to(DEVICE) for side in lengths]
    most = max(int(side[-1]) for side in bounds)
    joint = drawn(most, 3 * width, dtype=dtype)

    def parts(tensor: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        counts = [int(side[-1]) for side in (bounds[0], bounds[1], bounds[1])]
        queries, keys, values = (part[:count] for part, count in zip(tensor.chunk(3, 1), counts, strict=True))
        return queries, keys, values

    def options(rate: float, *, is_exact: bool = False) -> dict[str, object]:
        one, other = (exact(side) for side in bounds) if is_exact else bounds
        return {
            "query_bounds": one,
            "key_bounds": other,
            "block": block,
            "num_heads": num_heads,
            "is_causal": is_causal,
            "dropping": dropping(rate),
        }

    contexts = kernels.attention(*parts(joint), **options(0.0))
    agree(contexts, reference.attention(*map(exact, parts(joint)), **options(0.0, is_exact=True)), tolerance)
    to_contexts = drawn(*contexts.shape, dtype=dtype)
    found, expected = torch.full_like(joint, float("nan")), torch.zeros_like(exact(joint))
    kernels.attention_backward(to_contexts, *parts(joint), **options(0.0), out=parts(found))
    reference.attention_backward(
        exact(to_contexts), *map(exact, parts(joint)), **options(0.0, is_exact=True), out=parts(expected)
    )
    for one, other in zip(parts(found), parts(expected), strict=True):
        agree(one, other, 2 * tolerance)
    # Contexts are linear in the values: their product with the gradient of the values shows that both passes drop the
    # same weights.
    contexts = kernels.attention(*parts(joint), **options(0.25))
    kernels.attention_backward(to_contexts, *parts(joint), **options(0.25), out=parts(found))
    through_values = (exact(parts(found)[2]) * exact(parts(joint)[2])).sum()
    products = exact(to_contexts) * exact(contexts)
    assert float(through_values) == pytest.approx(float(products.sum()), abs=20 * tolerance * float(products.norm()))
