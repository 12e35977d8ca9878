"""The attention in C agrees with equation 1 and its gradients in float64, and is taken only where it suits."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pellucid.config import ModelConfig
from pellucid.errors import EngineUnavailableError
from pellucid.model import attention as room
from pellucid.model.attention import (
    MultiHeadAttention,
    causal_may_attend,
    explicit_attention,
    has_short_attention,
    use_short_attention,
)
from pellucid.model.dropout import Dropout
from pellucid.model.kernels import short_attention as kernel
from pellucid.model.kernels.short_attention import MOST_POSITIONS, load_short_attention, short_attention, suits
from pellucid.model.recorder import scope_of
from pellucid.model.transformer import Transformer

SIZES = [(3, 5, 7, 2, 8), (4, 16, 16, 4, 32), (2, 1, 9, 3, 5), (5, 48, 33, 8, 64), (1, 20, 17, 1, 65), (2, 9, 9, 1, 1)]
needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc compiles the C file in other ways")


@pytest.fixture(autouse=True)
def _is_loaded() -> None:
    try:
        load_short_attention()
    except EngineUnavailableError as error:
        pytest.skip(str(error))


@dataclass
class Case:
    """Projections of random sentences, a mask, and the gradient of the contexts."""

    inputs: list[Tensor]
    num_heads: int
    may_attend: Tensor | None
    rate: float
    d_context: Tensor

    @classmethod
    def random(cls, sizes: tuple[int, int, int, int, int], mask: str, rate: float) -> Case:
        """Return a case with (batch, time, memory, heads, d_head) and a mask ``none``, ``padding`` or ``causal``."""
        batch, time, memory, heads, d_head = sizes
        torch.manual_seed(batch + time)
        queries, keys, values = (torch.randn(batch, length, heads * d_head) for length in (time, memory, memory))
        may_attend = None
        if mask == "padding":  # a sentence of 0 words too: its positions may attend to nothing
            lengths = torch.arange(batch)[:, None] * memory // max(1, batch - 1)
            may_attend = (torch.arange(memory)[None] < lengths)[:, None, None, :]
        elif mask == "causal":
            may_attend = causal_may_attend(max(time, memory), device=queries.device)[:, :, :time, :memory]
        return cls([queries, keys, values], heads, may_attend, rate, torch.randn_like(queries))

    def compiled(self, dtype: torch.dtype = torch.float32) -> list[Tensor]:
        """Return context and gradients by the C file."""
        inputs = [tensor.to(dtype).requires_grad_() for tensor in self.inputs]
        torch.manual_seed(3)
        context = short_attention(*inputs, num_heads=self.num_heads, may_attend=self.may_attend, dropout_rate=self.rate)
        gradients = torch.autograd.grad(context, inputs, self.d_context.to(dtype))
        assert all(tensor.dtype is dtype for tensor in (context, *gradients))
        return [context.detach(), *gradients]

    def expected(self, dtype: torch.dtype = torch.float32) -> list[Tensor]:
        """Return context and gradients of the same numbers, computed in float64."""
        inputs = [tensor.to(dtype).double().requires_grad_() for tensor in self.inputs]
        heads = [tensor.unflatten(2, (self.num_heads, -1)).transpose(1, 2) for tensor in inputs]
        torch.manual_seed(3)
        dropout = Dropout(self.rate).train()
        context = explicit_attention(*heads, may_attend=self.may_attend, dropout=dropout).transpose(1, 2).flatten(2)
        gradients = torch.autograd.grad(context, inputs, self.d_context.to(dtype).double())
        return [context.detach(), *gradients]


@pytest.mark.parametrize("rate", [0.0, 0.3])
@pytest.mark.parametrize("mask", ["none", "padding", "causal"])
@pytest.mark.parametrize("sizes", SIZES)
def test_contexts_and_gradients_are_those_of_float64(
    sizes: tuple[int, int, int, int, int], mask: str, rate: float
) -> None:
    case = Case.random(sizes, mask, rate)
    for found, expected in zip(case.compiled(), case.expected(), strict=True):
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mask", ["none", "padding", "causal"])
@pytest.mark.parametrize("sizes", SIZES)
def test_bfloat16_is_rounded_once_at_the_end(sizes: tuple[int, int, int, int, int], mask: str) -> None:
    case = Case.random(sizes, mask, 0.1)
    for found, expected in zip(case.compiled(torch.bfloat16), case.expected(torch.bfloat16), strict=True):
        torch.testing.assert_close(found.double(), expected, rtol=2**-8, atol=1e-5)


def test_a_position_that_may_attend_to_nothing_has_no_context_and_no_gradient() -> None:
    case = Case.random((2, 4, 6, 2, 8), "padding", 0.0)
    for tensor in case.compiled():
        assert not tensor[0].any()
        assert tensor[1].any()


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_broken_number_is_not_hidden(number: float, dtype: torch.dtype) -> None:
    case = Case.random((2, 4, 6, 2, 8), "none", 0.0)
    case.inputs[0][0, 1, 3] = number
    context, d_queries, d_keys, _ = case.compiled(dtype)
    assert context[0, 1, :8].isnan().all()
    assert d_queries[0, 1, :8].isnan().all()
    assert d_keys[0, :, :8].isnan().all()
    assert torch.cat([context[0, 0], context[1, 0]]).isfinite().all()


def test_what_a_sentence_becomes_depends_on_no_other_and_on_no_number_of_threads() -> None:
    case = Case.random((5, 13, 11, 2, 16), "padding", 0.0)
    together = case.compiled()
    mask = case.may_attend
    assert mask is not None
    for row in range(5):
        one = Case([t[row : row + 1] for t in case.inputs], 2, mask[row : row + 1], 0.0, case.d_context[row : row + 1])
        for found, expected in zip(one.compiled(), together, strict=True):
            assert torch.equal(found[0], expected[row])
    before = torch.get_num_threads()
    try:
        for threads in (1, 3, 8):
            torch.set_num_threads(threads)
            assert all(torch.equal(a, b) for a, b in zip(case.compiled(), together, strict=True))
    finally:
        torch.set_num_threads(before)


def test_it_suits_short_sentences_in_training_on_a_processor() -> None:
    short, long = torch.zeros(2, MOST_POSITIONS, 8), torch.zeros(2, MOST_POSITIONS + 1, 8)
    assert suits(short, short)
    assert suits(short.bfloat16(), short.bfloat16())
    assert not suits(short, long)
    assert not suits(long, short)
    assert not suits(short.double(), short.double())
    assert not suits(short.to("meta"), short.to("meta"))
    with torch.no_grad():
        assert not suits(short, short)


class Sites:
    """A recorder that looks at everything."""

    def visit(self, site: str, value: Tensor) -> Tensor:
        """Change nothing."""
        return value


def test_a_recorder_still_sees_every_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "short_attention", lambda *_, **__: pytest.fail("nothing could be recorded"))
    attention = MultiHeadAttention(ModelConfig(d_model=8, num_heads=2))
    use_short_attention(attention)
    hidden = torch.randn(2, 5, 8)
    attention(hidden, hidden, scope=scope_of(Sites(), "x"))
    with pytest.raises(pytest.fail.Exception):
        attention(hidden, hidden)


def test_a_model_has_the_same_loss_and_gradients_with_it() -> None:
    torch.manual_seed(1)
    sizes = {"source_vocab_size": 40, "target_vocab_size": 40}
    model = Transformer(ModelConfig(d_model=32, num_heads=4, d_feedforward=48, attention_dropout=0.2, **sizes)).train()
    source, target = torch.randint(4, 40, (6, 9)), torch.randint(4, 40, (6, 11))
    mask = torch.arange(9)[None] < torch.tensor([[9], [1], [4], [7], [9], [3]])

    def gradients() -> list[Tensor]:
        torch.manual_seed(2)
        logits = model.project(model.decode(target, model.encode(source, source_mask=mask), source_mask=mask))
        return list(torch.autograd.grad(logits.logsumexp(-1).mean() - logits[..., 7].mean(), model.parameters()))

    assert not has_short_attention(model)
    expected = gradients()
    use_short_attention(model)
    assert has_short_attention(model)
    for found, reference in zip(gradients(), expected, strict=True):
        torch.testing.assert_close(found, reference, rtol=1e-4, atol=1e-5)


@pytest.fixture(
    params=[[], ["-mavx2", "-mfma"], ["-march=native", "-fsanitize=undefined"]], ids=["plain", "avx2", "checked"]
)
def other_build(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """The C file for another processor, or with checks; no warning is accepted."""
    if "-mavx2" in request.param and "avx2" not in Path("/proc/cpuinfo").read_text(encoding="utf-8"):
        pytest.skip("this processor has no AVX2")
    path = tmp_path / "attention.so"
    command = ["gcc", "-std=gnu11", "-O2", "-fno-math-errno", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    command += ["-fno-sanitize-recover=all", *request.param, "-o", os.fspath(path), os.fspath(kernel.SOURCE)]
    subprocess.run([*command, "-lm", "-lpthread"], check=True, timeout=600)
    loaded = kernel._loaded()
    before = loaded[:]
    loaded[:] = [kernel._Library(path)]
    yield
    loaded[:] = before


@needs_gcc
@pytest.mark.usefixtures("other_build")
def test_every_build_computes_the_same() -> None:
    for sizes in SIZES:
        for mask in ("none", "padding", "causal"):
            case = Case.random(sizes, mask, 0.3)
            for found, expected in zip(case.compiled(), case.expected(), strict=True):
                torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
            for found, expected in zip(case.compiled(torch.bfloat16), case.expected(torch.bfloat16), strict=True):
                torch.testing.assert_close(found.double(), expected, rtol=2**-8, atol=1e-5)


def test_a_library_of_another_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailableError, match="cannot be loaded"):
        kernel._Library(tmp_path / "missing.so")
    assert ctypes.sizeof(kernel.AttentionJob) % 8 == 0
