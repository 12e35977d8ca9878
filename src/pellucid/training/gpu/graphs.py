"""Run static steps: eagerly at first, and as one CUDA graph for each shape that comes back.

An eager step of a small model launches about a thousand kernels, and the GPU waits for the host. A graph launches them
at once. A shape is captured when it comes for the second time: the eager step before makes everything that a graph may
not create, such as handles and compiled code. Torch's random generator takes part in captures: a replay draws the
numbers that the eager step would draw, so the state of the generator still describes a run completely.

Eager steps and captures use one side stream, as captures require; graphs share one pool of memory, because only one
runs at a time and nothing in the pool outlives a step. Read ``updater.py`` next.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from pellucid.runtime import is_lack_of_memory
from pellucid.training.gpu.corpus import Feed
from pellucid.training.gpu.shapes import AnyShape
from pellucid.training.gpu.step import StaticStep

__all__ = ["StepRunner"]

_EAGER_STEPS: Final = 1
"""Of a shape, before it is captured."""
_MOST_GRAPHS: Final = 128
"""Later epochs bring a few shapes that the first one did not have; beyond this number they stay eager."""


class StepRunner:
    """The static steps of a run. ``captures`` says whether shapes become graphs; on a processor they cannot."""

    def __init__(
        self,
        step: StaticStep,
        *,
        device: torch.device,
        captures: bool,
        message: Callable[[str], None],
    ) -> None:
        self._step = step
        self._device = device
        self._captures = captures
        self._message = message
        self._feeds: dict[AnyShape, Feed] = {}
        self._seen: Counter[AnyShape] = Counter()
        self._graphs: dict[AnyShape, torch.cuda.CUDAGraph] = {}
        self._failed: torch.cuda.CUDAGraph | None = None
        self._capture_seconds = 0.0
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle() if captures else None

    def run(self, rows: NDArray[np.int64], shape: AnyShape, *, learning_rate: float) -> None:
        """Start a step; on a GPU, return before it ends."""
        feed = self._feeds.get(shape)
        if feed is None:
            feed = self._feeds[shape] = self._step.corpus.buffers(shape)
        self._step.corpus.fill(feed, rows, shape)
        self._step.learning_rate.fill_(learning_rate)
        self._seen[shape] += 1
        is_known = self._seen[shape] > _EAGER_STEPS
        if self._captures and is_known and shape not in self._graphs and len(self._graphs) < _MOST_GRAPHS:
            self._capture(feed, shape)
        if (graph := self._graphs.get(shape)) is not None:
            graph.replay()
            return
        with self._beside():
            self._step.run(feed, shape)

    @property
    def num_graphs(self) -> int:
        """The number of captured shapes."""
        return len(self._graphs)

    @property
    def capture_seconds(self) -> float:
        """The seconds that captures took."""
        return self._capture_seconds

    def free(self) -> None:
        """Free the graphs and their memory; later steps are eager."""
        self._captures = False
        if self._stream is not None:
            torch.cuda.synchronize(self._device)
            self._graphs.clear()
            torch.cuda.empty_cache()
            # A capture that failed leaves the state of the generator marked as captured; a copy of it is not.
            index = torch.cuda.current_device() if self._device.index is None else self._device.index
            generator = torch.cuda.default_generators[index]
            generator.graphsafe_set_state(generator.clone_state())

    def _capture(self, feed: Feed, shape: AnyShape) -> None:
        """Capture the step of a shape, which does not run it; if that fails, say so and stay eager."""
        began = time.monotonic()
        graph = torch.cuda.CUDAGraph()
        # Copies to the host that are under way are recorded as events, and no event may be asked during a capture.
        torch.cuda.synchronize(self._device)
        self._make_room()
        try:
            with torch.cuda.stream(self._stream):
                graph.capture_begin(pool=self._pool)
                try:
                    self._step.run(feed, shape)
                except BaseException:
                    with suppress(RuntimeError):
                        graph.capture_end()
                    raise
                graph.capture_end()
        except RuntimeError as error:
            if is_lack_of_memory(error):
                raise
            self._message(
                f"the step of shape {tuple(shape)} cannot become a graph ({str(error).splitlines()[0]}); from now on "
                "steps run without graphs, which is slower and gives the same result"
            )
            self._failed = graph  # the allocator can still ask it which stream it captures (torch 2.13.0)
            self.free()
            return
        self._graphs[shape] = graph
        self._capture_seconds += time.monotonic() - began

    def _make_room(self) -> None:
        """Give back what eager steps left behind, if memory could become scarce: the allocator cannot in a capture.

        A graph needs about what an eager step needs. Where there is room, giving it back would only make the next eager
        step ask for it again.
        """
        if torch.cuda.mem_get_info(self._device)[0] < torch.cuda.memory_reserved(self._device):
            torch.cuda.empty_cache()

    @contextmanager
    def _beside(self) -> Iterator[None]:
        """Run on the side stream, after what was started before and before what is started after."""
        if self._stream is None:
            yield
            return
        here = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(here)
        with torch.cuda.stream(self._stream):
            yield
        here.wait_stream(self._stream)
