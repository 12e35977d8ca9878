"""With nobody looking the recorder costs nothing: the same operators and the same bits as without its argument."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from tests.benchmark_scripts import load_script
from tests.models import random_model
from torch import Tensor, nn

import pellucid
from pellucid.model.transformer import Transformer
from pellucid.text.tokenizer import BytesTokenizer
from pellucid.translation.translator import Translator

SENTENCES = ["a cat", "Il dort.", "x"]


@pytest.fixture(scope="module")
def cost() -> ModuleType:
    return load_script("recorder_cost")


@pytest.fixture(scope="module")
def bare_module(cost: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    module: ModuleType = cost.without_recorder(tmp_path_factory.mktemp("bare"))
    return module


def make(norm_order: str = "post", **changes: object) -> Transformer:
    shape = {"num_encoder_layers": 2, "num_decoder_layers": 3, "norm_order": norm_order, "dropout": 0.0} | changes
    return random_model(seed=5, **shape)


def forward(model: nn.Module) -> Tensor:
    source = torch.tensor([[5, 7, 11, 3], [13, 3, 0, 0]])
    target = torch.tensor([[2, 17, 19], [2, 23, 3]])
    result: Tensor = model(source, target, source_mask=source != 0)
    return result


def decode(model: nn.Module) -> Tensor:
    """Three steps with a cache, as a search makes them."""
    memory = model.encode(torch.tensor([[5, 7, 3]]))
    cache = model.start_cache(memory)
    return torch.stack([model.decode_step(torch.tensor([token]), cache) for token in (2, 17, 19)])


def train(model: nn.Module) -> Tensor:
    model.zero_grad()
    forward(model).logsumexp(-1).sum().backward()
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None])


def operators(work: Callable[[nn.Module], Tensor], model: nn.Module) -> list[str]:
    """Return the operators that ran, in their order."""
    work(model)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        work(model)
    return [event.name for event in profiler.events() if event.name.startswith(("aten::", "autograd::"))]


@pytest.mark.parametrize("norm_order", ["post", "pre"])
@pytest.mark.parametrize("work", [forward, decode, train])
def test_operators_and_bits_are_those_of_a_model_without_a_recorder(
    cost: ModuleType, bare_module: ModuleType, work: Callable[[nn.Module], Tensor], norm_order: str
) -> None:
    model = make(norm_order)
    bare = cost.twin(model, bare_module)
    assert torch.equal(work(model), work(bare))
    ours = operators(work, model)
    assert ours == operators(work, bare)
    assert len(ours) > 100


def test_no_name_is_put_together_while_nobody_looks(cost: ModuleType) -> None:
    """What is handed to ``visit`` and ``below`` is there already: no f-string, no call, no sum."""
    found = 0
    for path in cost.ROOM.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"visit", "below"}:
                assert isinstance(node.args[1], ast.Constant | ast.Name | ast.Attribute), f"{path.name}:{node.lineno}"
                found += 1
    assert found > 20


def test_a_recorder_that_costs_something_is_noticed(cost: ModuleType, bare_module: ModuleType) -> None:
    """The comparison is worth something: one operator more, anywhere, is seen."""

    def looked_at(model: nn.Module) -> Tensor:
        return forward(model) + 0

    model = make()
    assert operators(looked_at, model) != operators(forward, cost.twin(model, bare_module))


def test_translations_are_bit_identical(cost: ModuleType, bare_module: ModuleType) -> None:
    model = make()
    translator = Translator(model, BytesTokenizer())
    bare = cost.translator_with(translator, cost.twin(model, bare_module))
    plain = [(one.text, one.score) for one in translator.translate(SENTENCES)]
    assert plain == [(one.text, one.score) for one in bare.translate(SENTENCES)]
    pellucid.trace(translator, SENTENCES[0])
    assert plain == [(one.text, one.score) for one in translator.translate(SENTENCES)], "to look leaves nothing behind"


def test_the_interval_holds_the_median_and_narrows(cost: ModuleType) -> None:
    values = [float(value) for value in range(-20, 21)]
    median, low, high = cost.interval(values)
    assert (median, low, high) == (0.0, -7.0, 7.0)
    assert cost.interval([0.5])[1:] == (0.5, 0.5)


@pytest.fixture(scope="module", autouse=True)
def forget_the_twin() -> object:
    yield
    for name in [name for name in sys.modules if name.startswith("pellucid_without_recorder")]:
        del sys.modules[name]
