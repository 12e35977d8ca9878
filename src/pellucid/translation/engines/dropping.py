"""Texts of a running call that nobody waits for any longer. Read ``engine.py`` next."""

from __future__ import annotations

import threading
from collections.abc import Callable
from copy import copy
from typing import Protocol, TypeVar

__all__ = ["Drops", "with_drops"]


class Drops:
    """The dropped texts of one call of ``Translator.translate``, by their numbers; safe for several threads.

    An engine stops searching a dropped text at its next step, or when it can; what it returns for such a text means
    nothing.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: set[int] = set()
        self._listeners: list[Callable[[int], None]] = []

    def drop(self, number: int) -> None:
        """Say that nobody waits for a text any longer."""
        with self._lock:
            self._numbers.add(number)
            listeners = [*self._listeners]
        for listener in listeners:
            listener(number)

    def __contains__(self, number: int) -> bool:
        return number in self._numbers

    def tell(self, listener: Callable[[int], None]) -> None:
        """Call ``listener`` with the number of each text that is or will be dropped."""
        with self._lock:
            self._listeners.append(listener)
            numbers = [*self._numbers]
        for number in numbers:
            listener(number)


class _Droppable(Protocol):
    drops: Drops | None


Kind = TypeVar("Kind", bound=_Droppable)


def with_drops(translator: Kind, drops: Drops) -> Kind:
    """Return a translator of the same model for one call, whose texts may be dropped while it runs."""
    other = copy(translator)
    other.drops = drops
    return other
