"""The kernels of packed steps compute what their references compute in float64, and draw dropout anew for each value.

Those in C run here. Those in Triton run on a CUDA device; with Triton installed and TRITON_INTERPRET=1 they also run on
a processor, in float32, if Triton's interpreter supports the version of NumPy.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from pellucid.compiled.compiler import compiled_library
from pellucid.compiled.library import threads_of_torch
from pellucid.errors import EngineUnavailableError
from pellucid.model.kernels import short_attention
from pellucid.training.batches import PairWeights
from pellucid.training.packed import processor, reference
from pellucid.training.packed.reference import Dropping

IS_INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
TOLERANCES = {torch.float32: 2e-5, torch.bfloat16: 8e-3}
SITE = 2


class Kernels(NamedTuple):
    """Operations, where they run, and with how many tokens."""

    ops: Any
    device: str
    tokens: int

    def drawn(self, *shape: int, dtype: torch.dtype) -> Tensor:
        return torch.randn(*shape, dtype=dtype, device=self.device)

    def dropping(self, rate: float) -> Dropping:
        return Dropping(rate, torch.arange(3, 8, device=self.device) << 50, SITE)

    def sums(self, parts: int, *shape: int) -> Tensor:
        return torch.full((parts, *shape), float("nan"), device=self.device)


BUILDS = {
    "C in plain form": [],
    "C for AVX2": ["-mavx2", "-mfma"],
    "C with checks": ["-march=native", "-fsanitize=undefined"],
}


@pytest.fixture(scope="session")
def build_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("builds")


@pytest.fixture(name="kernels", params=["C", "C with threads", "C with threads of its own", *BUILDS, "Triton"])
def _kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, build_folder: Path) -> Iterator[Kernels]:
    torch.manual_seed(1)
    if request.param == "Triton":
        if find_spec("triton") is None or not (IS_INTERPRETED or torch.cuda.is_available()):
            pytest.skip("needs Triton and a CUDA device, or TRITON_INTERPRET=1")
        from pellucid.training.packed import operations

        if IS_INTERPRETED:
            monkeypatch.setattr(operations, "_NORM_PARTS", 5)
            monkeypatch.setattr(operations, "_COLUMN_PARTS", 3)
        yield Kernels(operations, "cpu" if IS_INTERPRETED else "cuda", 37 if IS_INTERPRETED else 777)
        return
    try:
        processor.load(widest=1024)
    except EngineUnavailableError as error:
        pytest.skip(str(error))
    if request.param in BUILDS:
        folder = build_folder / request.param.replace(" ", "-")
        for module, kind in ((processor, processor._Library), (short_attention, short_attention._Library)):
            library = kind(built(module.SOURCE, folder, BUILDS[request.param]))
            monkeypatch.setattr(module, "_loaded", lambda library=library: [library])
    threads, is_divided = torch.get_num_threads(), request.param.startswith("C with threads")
    torch.set_num_threads(3 if is_divided else 1)
    if request.param == "C with threads of its own":
        use_threads(None)
    yield Kernels(processor, "cpu", 37)
    torch.set_num_threads(threads)
    use_threads(threads_of_torch())


def use_threads(function: int | None) -> None:
    """Let both libraries of this machine use a function for their threads, None for threads of their own."""
    for source in (processor.SOURCE, short_attention.SOURCE):
        library = ctypes.CDLL(str(compiled_library(source, what="a test")))
        library.team_uses.argtypes = [ctypes.c_void_p]
        library.team_uses(function)


def built(source: Path, folder: Path, options: list[str]) -> Path:
    """Compile a C file in another way than this processor would have it."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc compiles the C files in other ways")
    if "-mavx2" in options and "avx2" not in Path("/proc/cpuinfo").read_text(encoding="utf-8"):
        pytest.skip("this processor has no AVX2")
    path = folder / f"{source.stem}.so"
    if path.exists():
        return path
    folder.mkdir(exist_ok=True)
    command = ["gcc", "-std=gnu11", "-O1", "-fno-math-errno", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    command += ["-fno-sanitize-recover=all", *options, "-o", str(path), str(source), "-lm", "-lpthread"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(name="dtype", params=list(TOLERANCES), ids=str)
def _dtype(request: pytest.FixtureRequest, kernels: Kernels) -> torch.dtype:
    if IS_INTERPRETED and kernels.ops is not processor and request.param is torch.bfloat16:
        pytest.skip("Triton's interpreter has no product in bfloat16")
    found: torch.dtype = request.param
    return found


def exact(tensor: Tensor) -> Tensor:
    return tensor.cpu().double() if tensor.is_floating_point() else tensor.cpu()


def agree(found: Tensor, expected: Tensor, tolerance: float) -> None:
    distance = (exact(found) - exact(expected)).norm() / exact(expected).norm()
    assert float(distance) < tolerance


@pytest.mark.parametrize("width", [48, 256, 1024])
def test_norm_of_the_residual_sum(kernels: Kernels, dtype: torch.dtype, width: int) -> None:
    none, tolerance = kernels.dropping(0.0), TOLERANCES[dtype]
    hidden, sublayer, to_normed = (kernels.drawn(kernels.tokens, width, dtype=dtype) for _ in range(3))
    gamma, beta = (kernels.drawn(width, dtype=dtype) for _ in range(2))
    found = kernels.ops.add_norm(hidden, sublayer, gamma, beta, epsilon=1e-5, dropping=none)
    expected = reference.add_norm(*map(exact, (hidden, sublayer, gamma, beta)), epsilon=1e-5, dropping=none)
    for one, other in zip(found, expected, strict=True):
        agree(one, other, tolerance)
    to_weights = kernels.sums(kernels.ops.norm_parts(), 3, width)
    expected_to_weights = torch.zeros(1, 3, width).double()
    gradients = kernels.ops.add_norm_backward(to_normed, *found[1:], gamma, dropping=none, sums=to_weights)
    inputs = map(exact, (to_normed, *found[1:], gamma))
    references = reference.add_norm_backward(*inputs, dropping=none, sums=expected_to_weights)
    for one, other in zip((*gradients, to_weights.sum(0)), (*references, expected_to_weights[0]), strict=True):
        agree(one, other, tolerance)


def test_dropout_keeps_the_same_values_backwards(kernels: Kernels) -> None:
    rate, width = 0.3, 64
    ones = torch.ones(kernels.tokens, width, device=kernels.device)
    zeros = torch.zeros_like(ones)
    some = kernels.dropping(rate)
    _, keeps, mean, scale = kernels.ops.add_norm(zeros, ones, ones[0], zeros[0], epsilon=1e-5, dropping=some)
    assert keeps.unique().tolist() == pytest.approx([0.0, 1 / (1 - rate)])
    assert float((keeps > 0).double().mean()) == pytest.approx(1 - rate, abs=0.03)
    to_weights = kernels.sums(kernels.ops.norm_parts(), 3, width)
    to_normed = kernels.drawn(kernels.tokens, width, dtype=torch.float32)
    total, to_sublayer = kernels.ops.add_norm_backward(
        to_normed, keeps, mean, scale, ones[0], dropping=some, sums=to_weights
    )
    agree(to_sublayer, total * keeps, 1e-6)
    agree(to_weights.sum(0)[2], to_sublayer.sum(0), 1e-4)
    quarters = torch.stack([part.flatten() for part in keeps.split(width // 4, 1)])
    others = kernels.ops.add_norm(zeros, ones, ones[0], zeros[0], epsilon=1e-5, dropping=some._replace(site=3))[1]
    related = torch.corrcoef(torch.cat([quarters, others.split(width // 4, 1)[0].flatten()[None]]))
    assert float((related - torch.eye(5, device=kernels.device)).abs().max()) < 0.15


def test_sums_over_tokens(kernels: Kernels, dtype: torch.dtype) -> None:
    width = 200
    activated, gradient = (kernels.drawn(kernels.tokens, width, dtype=dtype) for _ in range(2))
    activated = activated.relu()
    expected, total = exact(gradient), torch.zeros(1, width).double()
    reference.column_sums(expected, total, activated=exact(activated))
    found = kernels.sums(kernels.ops.column_parts(), width)
    kernels.ops.column_sums(gradient, found, activated=activated)
    agree(gradient, expected, 1e-9)
    agree(found.sum(0), total[0], 1e-5)


@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_input_sums(kernels: Kernels, dtype: torch.dtype, rate: float) -> None:
    width, some = 96, kernels.dropping(rate)
    ids = torch.randint(-1, 20, (kernels.tokens,), dtype=torch.int32, device=kernels.device)
    positions = torch.arange(kernels.tokens, dtype=torch.int32, device=kernels.device) % 9
    table, angles = kernels.drawn(20, width, dtype=dtype), kernels.drawn(9, width, dtype=torch.float32)
    found = kernels.ops.embed(ids, positions, table, angles, factor=3.0, dropping=some)
    to_rows = torch.full_like(found, float("nan"))
    kernels.ops.embed_backward(torch.ones_like(found), factor=3.0, dropping=some, out=to_rows)
    expected = reference.embed(*map(exact, (ids, positions, table, angles)), factor=3.0, dropping=kernels.dropping(0.0))
    # The gradient of ones is the factor where a value was kept.
    agree(found, expected * exact(to_rows) / 3.0, TOLERANCES[dtype])
    assert float((to_rows > 0).double().mean()) == pytest.approx(1 - rate, abs=0.03)


@pytest.mark.parametrize("vocabulary", [101, 8000, 33_728])
def test_softmax_and_its_gradient(kernels: Kernels, dtype: torch.dtype, vocabulary: int) -> None:
    rows = 64 if kernels.device == "cuda" else 3
    logits = 3 * kernels.drawn(rows, vocabulary, dtype=dtype)
    targets = torch.randint(0, vocabulary, (rows,), device=kernels.device)
    means = logits.float().mean(1)
    expected = reference.softmax_gradient(*map(exact, (logits, targets, means)), smoothing=0.1)
    for one, other in zip(kernels.ops.softmax_gradient(logits, targets, means, smoothing=0.1), expected, strict=True):
        agree(one, other, TOLERANCES[dtype])


@pytest.mark.parametrize("vocabulary", [101, 8000, 33_728])
@pytest.mark.parametrize("pair", [PairWeights(0.5, 0.5, 1.25, 1.25), PairWeights(1.0, 0.0, 3.0, 0.0)])
def test_two_passes_and_their_gradient(
    kernels: Kernels, dtype: torch.dtype, vocabulary: int, pair: PairWeights
) -> None:
    rows = 64 if kernels.device == "cuda" else 3
    logits = 3 * kernels.drawn(2 * rows, vocabulary, dtype=dtype)
    logits[rows:] = logits[:rows] + 0.5 * logits[rows:]
    targets = torch.randint(0, vocabulary, (rows,), device=kernels.device).repeat(2)
    given = logits, targets, logits.float().mean(1)
    expected = reference.pair_gradient(*map(exact, given), smoothing=0.1, pair=pair)
    for one, other in zip(kernels.ops.pair_gradient(*given, smoothing=0.1, pair=pair), expected, strict=True):
        agree(one, other, TOLERANCES[dtype])


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize(
    ("num_heads", "d_head", "block"), [(4, 64, 32), (2, 64, 128), (3, 32, 64), (2, 16, 32), (1, 128, 128)]
)
def test_attention(
    kernels: Kernels, dtype: torch.dtype, is_causal: bool, num_heads: int, d_head: int, block: int
) -> None:
    """Sentences have any length from nothing to a whole block."""
    rows, width, tolerance = 40 if kernels.device == "cuda" else 7, num_heads * d_head, TOLERANCES[dtype]
    lengths = [torch.randint(0, block + 1, (rows,)) for _ in range(2)]
    for side, first in zip(lengths, ([0, block, 1], [3, 0, block]), strict=True):
        side[:3] = torch.tensor(first)
    lengths = [lengths[0], lengths[0]] if is_causal else lengths
    bounds = [torch.cat([torch.zeros(1), side.cumsum(0)]).int().to(kernels.device) for side in lengths]
    most = max(int(side[-1]) for side in bounds)
    joint = kernels.drawn(most, 3 * width, dtype=dtype)

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
            "dropping": kernels.dropping(rate),
        }

    contexts, kept = kernels.ops.attention(*parts(joint), **options(0.0))
    agree(contexts, reference.attention(*map(exact, parts(joint)), **options(0.0, is_exact=True))[0], tolerance)
    to_contexts = kernels.drawn(*contexts.shape, dtype=dtype)
    found, expected = torch.full_like(joint, float("nan")), torch.zeros_like(exact(joint))
    kernels.ops.attention_backward(to_contexts, *parts(joint), **options(0.0), kept=kept, out=parts(found))
    reference.attention_backward(
        exact(to_contexts), *map(exact, parts(joint)), **options(0.0, is_exact=True), kept=None, out=parts(expected)
    )
    for one, other in zip(parts(found), parts(expected), strict=True):
        agree(one, other, 2 * tolerance)
    # Contexts are linear in the values: their product with the gradient of the values shows that both passes drop the
    # same weights.
    contexts, kept = kernels.ops.attention(*parts(joint), **options(0.25))
    kernels.ops.attention_backward(to_contexts, *parts(joint), **options(0.25), kept=kept, out=parts(found))
    through_values = (exact(parts(found)[2]) * exact(parts(joint)[2])).sum()
    products = exact(to_contexts) * exact(contexts)
    assert float(through_values) == pytest.approx(float(products.sum()), abs=20 * tolerance * float(products.norm()))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have another OpenMP")
def test_the_threads_of_torch_are_found() -> None:
    assert threads_of_torch(), "two threads would take as long as one"
