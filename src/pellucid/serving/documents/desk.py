"""The desk for documents: how many are in work at once, and where translated ones wait for their client, in memory.

A document that waits has a name that nobody can guess. It goes when it is fetched, after ten minutes, or with the
server. Read ``../protocols/documents.py`` next.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from pellucid.serving.refusals import Reason, Refusal

__all__ = ["Desk", "Pace", "Waiting"]

_MOST_IN_WORK: Final = 8
_MOST_WAITING: Final = 200
_MOST_WAITING_BYTES: Final = 128 << 20
_LIFE_SECONDS: Final = 600
_RETRY_SECONDS: Final = 5


@dataclass
class Pace:
    """How far the translation of a document is, by the characters of its segments."""

    begun: float = 0.0
    """When the first segment was sent to be translated."""
    total: int = 0
    done: int = 0

    def seconds_left(self, now: float) -> int | None:
        """Return the seconds until it is done if it goes on as it did, at least 1; None before the first is done."""
        if not self.done > 0:
            return None
        left = max(self.total - self.done, 0)
        return max(math.ceil((now - self.begun) * left / self.done), 1)


@dataclass
class Waiting:
    """A document that a client sent, and that waits for it when it is translated."""

    key: str
    owner: str
    file_name: str
    since: float
    data: bytes | None = None
    """The translated document."""
    characters: int = 0
    origins: Mapping[str, str] = field(default_factory=dict)
    """The header of the answer that says what the memory had."""
    note: str = ""
    """What was not translated."""
    problem: str = ""
    """Why there is no translated document."""
    pace: Pace = field(default_factory=Pace)


class Desk:
    """Documents in work and waiting. All methods belong to the event loop.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._in_work = 0
        self._waiting: dict[str, Waiting] = {}

    @property
    def waiting_bytes(self) -> int:
        """The size of the translated documents that wait."""
        return sum(len(one.data) for one in self._waiting.values() if one.data is not None)

    @contextmanager
    def work(self) -> Iterator[None]:
        """Take a place for a document while it is read and translated.

        Raises:
            Refusal: there is none, or too many documents wait to be fetched.
        """
        self.forget_old()
        is_full = len(self._waiting) >= _MOST_WAITING or self.waiting_bytes >= _MOST_WAITING_BYTES
        if self._in_work >= _MOST_IN_WORK or is_full:
            raise Refusal(
                Reason.FULL, "too many documents are in work or wait to be fetched", retry_after_seconds=_RETRY_SECONDS
            )
        self._in_work += 1
        try:
            yield
        finally:
            self._in_work -= 1

    def put(self, owner: str, file_name: str) -> tuple[str, Waiting]:
        """Give a name to a document; its data may come later."""
        name = secrets.token_urlsafe(24)
        one = Waiting(secrets.token_urlsafe(24), owner, file_name, self._clock())
        self._waiting[name] = one
        return name, one

    def get(self, name: str) -> Waiting | None:
        """Return a document, or None where there is none of that name, or no longer."""
        self.forget_old()
        return self._waiting.get(name)

    def remove(self, name: str) -> None:
        """Forget a document."""
        self._waiting.pop(name, None)

    def forget_old(self) -> None:
        """Forget the documents whose time is over."""
        oldest = self._clock() - _LIFE_SECONDS
        for name in [name for name, one in self._waiting.items() if one.since < oldest]:
            del self._waiting[name]
