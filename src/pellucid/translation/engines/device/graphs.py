"""A step as a recorded CUDA graph: recorded once for each shape, replayed afterwards with one call.

A step of a Transformer is a hundred small kernels and more, and without a graph most of its time goes to launching
them. What a graph needs is arranged elsewhere: fixed tensors (``slots.py``), no look at values (``selection.py``). What
is arranged here:

* The first step of a shape runs without a graph, on the stream that records: libraries allocate and compile at their
  first use, which no recording may contain. It is a step like others, so nothing is computed for nothing.
* All graphs of a ``CudaGraphs`` share one pool of memory. They run one after the other, and keep nothing in it.
* The stream is made for each device. torch's default stream for recordings belongs to the device that came first.
* Other threads, which use other devices, may compute meanwhile (``thread_local``), but torch allows one recording at a
  time in a process.

Read ``waiting.py`` next.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final, Protocol

import torch

from pellucid.runtime import is_lack_of_memory

__all__ = ["CudaGraphs", "Graphs", "Stepped"]

Replay = Callable[[], None]
_ONE_RECORDING: Final = threading.Lock()


class Graphs(Protocol):
    """What can record the work of a function."""

    def first(self, work: Callable[[], None]) -> None:
        """Do the work as it has to be done once before it is recorded."""

    def record(self, work: Callable[[], None]) -> Replay:
        """Record the work without doing it, and return what does it again.

        Raises:
            RuntimeError: it cannot be recorded.
        """


class CudaGraphs:
    """Records on one CUDA device."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool: Any = None

    def first(self, work: Callable[[], None]) -> None:
        """Work on the stream that records, after and before everything else on the current one."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        try:
            with torch.cuda.stream(self._stream):
                work()
        finally:  # also where memory ran out: what is freed now may still be in use there
            current.wait_stream(self._stream)

    def record(self, work: Callable[[], None]) -> Replay:
        """Record on the stream; see ``Graphs``."""
        graph = torch.cuda.CUDAGraph()
        options: dict[str, Any] = {"pool": self._pool, "stream": self._stream, "capture_error_mode": "thread_local"}
        current = torch.cuda.current_stream(self._device)
        problems: list[Exception] = []

        def noted() -> None:
            try:
                work()
            except Exception as error:
                problems.append(error)
                raise

        try:
            with _ONE_RECORDING, torch.cuda.graph(graph, **options):
                noted()
        except RuntimeError as error:  # the end of a recording that failed raises another error, which hides the reason
            raise problems.pop() if problems else error from None
        finally:  # after an error torch stays on the stream that records (2.13.0)
            torch.cuda.set_stream(current)
        self._pool = graph.pool()
        return graph.replay


class Stepped:
    """Runs a step that depends on two numbers, which decide its shapes.

    Args:
        step: takes a step.
        graphs: None runs every step as it is.
        say: called with a sentence if a step cannot be recorded; then all of them run as they are.
    """

    def __init__(self, step: Callable[[int, int], None], graphs: Graphs | None, say: Callable[[str], None]) -> None:
        self.graphs = graphs
        self._step = step
        self._say = say
        self._recorded: dict[tuple[int, int], Replay] = {}

    def __call__(self, target: int, source: int) -> None:
        """Take a step."""
        replay = self._recorded.get((target, source))
        if replay is not None:
            replay()
        elif self.graphs is None:
            self._step(target, source)
        else:
            self.graphs.first(lambda: self._step(target, source))
            self._record(self.graphs, target, source)

    def _record(self, graphs: Graphs, target: int, source: int) -> None:
        try:
            self._recorded[target, source] = graphs.record(lambda: self._step(target, source))
        except RuntimeError as error:
            if is_lack_of_memory(error):
                raise
            self.graphs = None
            self._recorded.clear()
            reason = str(error).strip().partition("\n")[0]
            self._say(f"the device engine runs without CUDA graphs, and slower: a step cannot be recorded: {reason}")
