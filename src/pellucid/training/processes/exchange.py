"""Add gradients over all processes in buckets, each as soon as its gradients are complete, while backward goes on.

The buckets and their order depend on the parameters alone, so all processes add the same ones in the same order, a
process without a batch too. A bucket is a copy: if memory runs out later in a backward pass and the pass is repeated,
what was sent is what the repetition would send. Read ``lives.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

__all__ = ["Exchange", "GradientExchange", "NoExchange"]

_BUCKET_BYTES: Final = 8 << 20
"""Large enough for few messages, small enough that most of them travel while backward goes on."""


class Exchange(Protocol):
    """The gradients of a step on their way to all processes."""

    @contextmanager
    def overlapping(self) -> Iterator[None]:
        """Send gradients as they become complete: around the last backward pass of a step."""

    def complete(self, parameters: Sequence[nn.Parameter]) -> None:
        """Send the gradients of some parameters, which are complete, where autograd does not tell it."""

    def finish(self, sums: Tensor) -> None:
        """Send the rest and the sums of the step; wait until gradients and sums are those of all processes."""


class NoExchange:
    """The exchange of a single process."""

    @contextmanager
    def overlapping(self) -> Iterator[None]:
        """Send nothing."""
        yield

    def complete(self, parameters: Sequence[nn.Parameter]) -> None:
        """Send nothing."""

    def finish(self, sums: Tensor) -> None:
        """Leave all as it is."""


class _Work(Protocol):
    def wait(self) -> object:
        """Wait for the end of a collective operation."""


@dataclass
class _Bucket:
    parameters: list[nn.Parameter]
    flat: Tensor
    parts: list[Tensor] = field(default_factory=list)
    """Views of ``flat``, a gradient each."""
    missing: int = 0
    work: _Work | None = None

    def send(self, add: Callable[[Tensor], _Work]) -> None:
        """Copy the gradients, zeros where there is none, and begin to add them over all processes."""
        gradients = [parameter.grad for parameter in self.parameters]
        if all(gradient is not None for gradient in gradients):
            torch._foreach_copy_(self.parts, [gradient for gradient in gradients if gradient is not None])
        else:
            for part, gradient in zip(self.parts, gradients, strict=True):
                part.zero_() if gradient is None else part.copy_(gradient)
        self.work = add(self.flat)

    def receive(self) -> None:
        """Wait for the sum and make it the gradients."""
        if self.work is not None:
            self.work.wait()
        for parameter, part in zip(self.parameters, self.parts, strict=True):
            parameter.grad = part


class GradientExchange:
    """The exchange of several processes; one for all steps, whose buffers become the gradients.

    Args:
        parameters: those with gradients, equal in all processes.
        add: begins to add a tensor over all processes in place, and returns what waits for it.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], *, add: Callable[[Tensor], _Work]) -> None:
        self._add = add
        self._buckets = _buckets_of(parameters)
        self._next = 0
        self._complete: set[int] = set()

    def begin(self) -> GradientExchange:
        """Begin a step."""
        self._next = 0
        self._complete.clear()
        for bucket in self._buckets:
            bucket.work = None
        return self

    @contextmanager
    def overlapping(self) -> Iterator[None]:
        """Send each bucket when its gradients are complete, in order."""
        waiting = self._buckets[self._next :]
        handles = []
        for bucket in waiting:
            bucket.missing = len(bucket.parameters)
            for parameter in bucket.parameters:
                handles.append(_on_gradient(parameter, self._hook_of(bucket)))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def complete(self, parameters: Sequence[nn.Parameter]) -> None:
        """Send the next buckets whose gradients are all complete, in order."""
        self._complete.update(map(id, parameters))
        while self._next < len(self._buckets) and self._complete.issuperset(
            map(id, self._buckets[self._next].parameters)
        ):
            self._send_next()

    def finish(self, sums: Tensor) -> None:
        """Send the rest; wait until gradients and sums are those of all processes."""
        while self._next < len(self._buckets):
            self._send_next()
        last = self._add(sums)
        for bucket in self._buckets:
            bucket.receive()
        last.wait()

    def _hook_of(self, bucket: _Bucket) -> Callable[[Tensor], None]:
        def complete(_: Tensor) -> None:
            bucket.missing -= 1
            while self._next < len(self._buckets) and not self._buckets[self._next].missing:
                self._send_next()

        return complete

    def _send_next(self) -> None:
        bucket = self._buckets[self._next]
        bucket.send(self._add)
        self._next += 1


def _on_gradient(parameter: nn.Parameter, call: Callable[[Tensor], None]) -> RemovableHandle:
    handle: RemovableHandle = parameter.register_post_accumulate_grad_hook(call)  # type: ignore[no-untyped-call]
    return handle


def _buckets_of(parameters: Sequence[nn.Parameter]) -> list[_Bucket]:
    """Divide parameters, the last first, because backward reaches those first."""
    groups: list[list[nn.Parameter]] = []
    size = _BUCKET_BYTES
    for parameter in reversed(parameters):
        nbytes = parameter.numel() * parameter.element_size()
        if size + nbytes > _BUCKET_BYTES or groups[-1][0].dtype != parameter.dtype:
            groups.append([])
            size = 0
        groups[-1].append(parameter)
        size += nbytes
    buckets = []
    for group in groups:
        flat = torch.zeros(sum(p.numel() for p in group), dtype=group[0].dtype, device=group[0].device)
        parts = torch.split(flat, [parameter.numel() for parameter in group])
        buckets.append(_Bucket(group, flat, [part.view_as(p) for part, p in zip(parts, group, strict=True)]))
    return buckets
