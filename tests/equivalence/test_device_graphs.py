"""Steps that are recorded: what a graph needs is there, and what records them is used as CUDA requires.

All of it runs on a processor; ``test_device_cuda.py`` is for a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from tests.equivalence.clear_models import BOS, EOS, PAD, clear_model, sentences
from tests.equivalence.device_kit import NoLook, by_torch, engine_of, refuse_difference, request
from torch._subclasses.fake_tensor import FakeTensorMode

from pellucid.translation.engines.device.graphs import CudaGraphs
from pellucid.translation.engines.device.network import Network
from pellucid.translation.engines.device.selection import advance
from pellucid.translation.engines.device.slots import Rules, Size, Slots
from pellucid.translation.engines.device.waiting import Sentence, Waiting


class FakeGraphs:
    """Records like CUDA: the recorded work is not done, and a replay does it with the same arguments."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.first_steps = self.recordings = self.replays = 0

    def first(self, work: Callable[[], None]) -> None:
        self.first_steps += 1
        work()

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        if self.error is not None:
            raise self.error
        self.recordings += 1

        def replay() -> None:
            self.replays += 1
            work()

        return replay


@pytest.mark.parametrize("settings", [{"beam_size": 4}, {"beam_size": 4, "n_best": 4}])
def test_a_step_is_recorded_once_for_each_shape(settings: dict[str, object]) -> None:
    graphs = FakeGraphs()
    model = clear_model()
    wanted = request(sentences(40), settings)
    engine = engine_of(model, graphs=lambda: graphs, rows_at_once=32)
    refuse_difference(dict(engine.search(wanted)), by_torch(model, wanted))
    assert 1 <= graphs.recordings == graphs.first_steps <= 3, "two widths of the longer group, one of the shorter"
    before = graphs.recordings
    refuse_difference(dict(engine.search(wanted)), by_torch(model, wanted))
    assert graphs.recordings == before, "the second search has the shapes of the first"
    assert graphs.replays > 20


def test_what_cannot_be_recorded_runs_as_it_is_and_is_said_once() -> None:
    graphs = FakeGraphs(RuntimeError("operation not permitted when stream is capturing\nmore"))
    model, said = clear_model(), []
    wanted = request(sentences(20), {"beam_size": 4})
    engine = engine_of(model, graphs=lambda: graphs, say=said.append)
    for _ in range(2):
        refuse_difference(dict(engine.search(wanted)), by_torch(model, wanted))
    assert said == [
        "the device engine runs without CUDA graphs, and slower: a step cannot be recorded: operation not permitted "
        "when stream is capturing"
    ]


def filled(network: Network, log_steps: int) -> Slots:
    slots = Slots(network, Size(8, 3, 64, 2, has_minimum=True, eos_id=EOS, log_steps=log_steps))
    slots.begin(Rules([1.0] * 65, [PAD, BOS], 3))
    waiting = Waiting(network, [Sentence(place, [5] * (3 + place) + [EOS], 20) for place in range(6)])
    for loaded in waiting.take(6):
        slots.fill([one.place for one in loaded.sentences], loaded.encoded, loaded.places, [20] * len(loaded.places))
    return slots


@pytest.mark.parametrize("log_steps", [0, 4])
def test_every_step_has_the_same_operations_in_the_same_places(log_steps: int) -> None:
    """A graph repeats the operations, shapes and addresses of the step that was recorded."""
    with torch.inference_mode():
        network = Network(clear_model(output_bias=True))
        slots = filled(network, log_steps)
        kept = {name: value for name, value in vars(slots).items() if isinstance(value, torch.Tensor)}
        places = {name: value.data_ptr() for name, value in kept.items()}
        runs = []
        for _ in range(4):
            with NoLook() as seen:
                advance(network, slots, 32, 32)
            runs.append(seen.seen)
    assert runs[0] == runs[1] == runs[2] == runs[3]
    assert not [one for one in runs[0] if "local_scalar" in one or "nonzero" in one]
    assert {name: getattr(slots, name).data_ptr() for name in kept} == places
    assert all(getattr(slots, name) is value for name, value in kept.items())


@pytest.mark.parametrize("log_steps", [0, 4])
def test_no_step_looks_at_a_value_or_mixes_devices(log_steps: int) -> None:
    """On a device whose tensors have no values, whatever looks at one fails, and so does a tensor of the processor."""
    model = clear_model(output_bias=True)
    with FakeTensorMode(), torch.inference_mode():
        for part in model.modules():
            for kept in (part._parameters, part._buffers):
                for name, value in kept.items():
                    empty = torch.empty(value.shape, dtype=torch.bfloat16, device="meta") if value is not None else None
                    kept[name] = empty
        network = Network(model)
        slots = filled(network, log_steps)
        for target in (32, 64):
            advance(network, slots, target, 32)
        slots.stop([1, 2])
        slots.clear([2])


class FakeCuda:
    """What ``CudaGraphs`` calls of ``torch.cuda``. As in torch, a recording that fails leaves its stream on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.current = "main"
        self.calls: list[str] = []
        self.graphs: list[dict[str, object]] = []
        cuda = self

        class Stream(str):
            def wait_stream(self, other: str) -> None:
                cuda.calls.append(f"{self} waits for {other}")

        class Graph:
            replay = staticmethod(lambda: cuda.calls.append("replay"))

            def pool(self) -> str:
                return "the pool"

        @contextmanager
        def recording(graph: object, **options: object) -> Iterator[None]:
            cuda.graphs.append(options)
            cuda.current = options["stream"]
            yield
            cuda.current = "main"

        @contextmanager
        def on(stream: str) -> Iterator[None]:
            before, cuda.current = cuda.current, stream
            yield
            cuda.current = before

        def set_stream(stream: str) -> None:
            cuda.current = stream

        for name, fake in {
            "Stream": lambda device: Stream("side"),
            "CUDAGraph": Graph,
            "graph": recording,
            "stream": on,
            "current_stream": lambda device: Stream(cuda.current),
            "set_stream": set_stream,
        }.items():
            monkeypatch.setattr(torch.cuda, name, fake)


def test_recordings_share_a_pool_and_have_a_stream_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakeCuda(monkeypatch)
    graphs = CudaGraphs(torch.device("cuda:1"))
    graphs.first(lambda: cuda.calls.append(f"work on {cuda.current}"))
    assert cuda.calls == ["side waits for main", "work on side", "main waits for side"]
    for _ in range(2):
        graphs.record(lambda: None)()
    own = {"stream": "side", "capture_error_mode": "thread_local"}
    assert cuda.graphs == [{"pool": None, **own}, {"pool": "the pool", **own}]
    assert cuda.calls[3:] == ["replay", "replay"]


def test_after_a_recording_that_failed_the_work_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing() -> None:
        raise RuntimeError("not permitted")

    cuda = FakeCuda(monkeypatch)
    graphs = CudaGraphs(torch.device("cuda"))
    with pytest.raises(RuntimeError, match="not permitted"):
        graphs.record(failing)
    assert cuda.current == "main"
    with pytest.raises(RuntimeError, match="not permitted"):
        graphs.first(failing)
    assert cuda.calls[-1] == "main waits for side"


def test_the_reason_why_a_recording_failed_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a recording that failed raises an error of its own."""
    FakeCuda(monkeypatch)

    @contextmanager
    def recording(graph: object, **options: object) -> Iterator[None]:
        try:
            yield
        finally:
            raise RuntimeError("operation failed due to a previous error during capture")

    def failing() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.cuda, "graph", recording)
    graphs = CudaGraphs(torch.device("cuda"))
    with pytest.raises(torch.OutOfMemoryError, match="out of memory"):
        graphs.record(failing)
    with pytest.raises(RuntimeError, match="previous error"):
        graphs.record(lambda: None)


def test_the_product_for_gpus_returns_float32() -> None:
    """It has no form for the processor; torch checks its arguments on a GPU that it only pretends to have."""
    with FakeTensorMode():
        rows = torch.empty(3, 8, device="cuda", dtype=torch.bfloat16)
        assert torch.mm(rows, rows.t(), out_dtype=torch.float32).dtype is torch.float32
