"""What only a GPU can run is checked as far as a processor can: what a graph may contain, and when graphs are made.

A graph replays work on the device. So a step may not read a number back, and may not take one from the host: a step on
torch's "meta" device, where tensors have no values, would fail at the first, and a watch over all operations sees the
second. The order of captures and replays is checked with stand-ins for torch's graphs.
"""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pellucid.runtime import Precision, Runtime
from pellucid.training.averaging import MovingAverage
from pellucid.training.gpu import graphs
from pellucid.training.gpu.corpus import ResidentCorpus, StreamedCorpus
from pellucid.training.gpu.graphs import StepRunner
from pellucid.training.gpu.shapes import Shape
from pellucid.training.gpu.step import StaticStep
from pellucid.training.optimisation import make_optimiser

from ..kit import SPECIALS, reversal_store, tiny_model, training_config


class Operations(TorchDispatchMode):
    """Notes the devices of every operation. Fused updates have no form for tensors without values, and do nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.devices: set[str] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(function))
        is_fused = "_fused_" in str(function)
        result = None if is_fused else function(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor)]
        self.devices |= {tensor.device.type for tensor in tensors}
        return result


@pytest.mark.parametrize("kind", [ResidentCorpus, StreamedCorpus])
@pytest.mark.parametrize("precision", list(Precision))
def test_a_step_reads_nothing_back_and_takes_nothing_from_the_host(precision: Precision, kind: Any) -> None:
    device = torch.device("meta")
    config = training_config()
    model = tiny_model(dropout=0.1, share_embeddings=False, zero_padding_row=True).to(device).train()
    optimiser = make_optimiser(model, config=config)
    corpus = kind(reversal_store(pairs=41, seed=1), device, specials=SPECIALS, start_id=model.start_id)
    step = StaticStep(
        model,
        optimiser,
        MovingAverage(model, decay=0.9),
        corpus=corpus,
        config=config,
        runtime=Runtime("meta", precision, 1, "as the test asks"),
    )
    step.adopt_optimiser()
    shape = Shape(5, 8, 11)
    feed = corpus.buffers(shape)
    with Operations() as seen:
        step.run(feed, shape)
    assert seen.devices == {"meta"}
    assert {"aten._fused_adamw_.tensor_lr", "aten._fused_sgd_.tensor_lr"} <= set(seen.names)
    assert not [name for name in seen.names if "nonzero" in name or "local_scalar" in name]


class FakeGraph:
    """A graph that replays by a note in the list of events."""

    is_capturing = False
    is_broken = False
    memory = (100, 300)
    """Free and in all."""

    def __init__(self, events: list[str]) -> None:
        self._events = events

    def capture_begin(self, pool: object) -> None:
        FakeGraph.is_capturing = True

    def capture_end(self) -> None:
        FakeGraph.is_capturing = False

    def replay(self) -> None:
        self._events.append("replay")


class NotingStep:
    """A step that notes how it runs."""

    def __init__(self, events: list[str]) -> None:
        self.events = events
        self.learning_rate = torch.zeros(())
        self.corpus = SimpleNamespace(buffers=lambda shape: (), fill=lambda feed, rows, shape: None)

    def run(self, feed: object, shape: Shape) -> None:
        self.events.append("capture" if FakeGraph.is_capturing else "eager")
        if FakeGraph.is_capturing and FakeGraph.is_broken:
            raise RuntimeError("operation not permitted when stream is capturing\nand more lines")


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    events: list[str] = []
    stream = SimpleNamespace(wait_stream=lambda other: None)

    def generator(name: str) -> SimpleNamespace:
        return SimpleNamespace(
            clone_state=lambda: "a copy", graphsafe_set_state=lambda state: events.append(f"{name}: {state}")
        )

    cuda = SimpleNamespace(
        CUDAGraph=lambda: FakeGraph(events),
        Stream=lambda device: stream,
        current_device=lambda: 0,
        current_stream=lambda device: stream,
        default_generators=[generator("generator"), generator("second generator")],
        empty_cache=lambda: events.append("give back"),
        mem_get_info=lambda device: FakeGraph.memory,
        memory_reserved=lambda device: 100,
        graph_pool_handle=lambda: (0, 1),
        stream=lambda stream: nullcontext(),
        synchronize=lambda device: None,
    )
    monkeypatch.setattr(FakeGraph, "is_broken", False)
    monkeypatch.setattr(graphs, "torch", SimpleNamespace(cuda=cuda, device=torch.device))
    return events


def runner_of(events: list[str], messages: list[str]) -> StepRunner:
    step: Any = NotingStep(events)
    return StepRunner(step, device=torch.device("cuda"), captures=True, message=messages.append)


def test_a_shape_is_captured_when_it_comes_back(events: list[str]) -> None:
    runner = runner_of(events, [])
    one, other, rows = Shape(2, 8, 8), Shape(3, 8, 8), np.array([1, 2])
    for shape in (one, other, one, one, other):
        runner.run(rows, shape, learning_rate=0.25)
    assert events == ["eager", "eager", "capture", "replay", "replay", "capture", "replay"]
    assert runner.num_graphs == 2


def test_memory_is_given_back_before_a_capture_only_where_it_is_scarce(
    events: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    runner, rows = runner_of(events, []), np.array([1])
    for shape in (Shape(2, 8, 8), Shape(2, 8, 8), Shape(3, 8, 8)):
        runner.run(rows, shape, learning_rate=0.25)
    monkeypatch.setattr(FakeGraph, "memory", (99, 300))
    runner.run(rows, Shape(3, 8, 8), learning_rate=0.25)
    assert events == ["eager", "capture", "replay", "eager", "give back", "capture", "replay"]


def test_graphs_have_a_limit(events: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "_MOST_GRAPHS", 1)
    runner = runner_of(events, [])
    for rows in (2, 2, 3, 3, 3):
        runner.run(np.array([1]), Shape(rows, 8, 8), learning_rate=0.25)
    assert events == ["eager", "capture", "replay", "eager", "eager", "eager"]


def test_a_failed_capture_ends_graphs_and_no_step_is_lost(events: list[str]) -> None:
    messages: list[str] = []
    runner = runner_of(events, messages)
    for number, is_broken in enumerate((False, False, False, True, True)):
        FakeGraph.is_broken = is_broken
        runner.run(np.array([1]), Shape(2 + (number > 1), 8, 8), learning_rate=0.25)
    assert events == [
        "eager",
        "capture",
        "replay",
        "eager",
        "capture",
        "give back",
        "generator: a copy",
        "eager",
        "eager",
    ]
    assert runner.num_graphs == 0
    (message,) = messages
    assert "(3, 8, 8) cannot become a graph (operation not permitted" in message


def test_the_generator_of_the_run_is_given_back_and_not_that_of_the_current_device(events: list[str]) -> None:
    step: Any = NotingStep(events)
    StepRunner(step, device=torch.device("cuda", 1), captures=True, message=lambda _: None).free()
    assert events == ["give back", "second generator: a copy"]
