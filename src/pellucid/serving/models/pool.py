"""The models of the service by language pair, opened on demand within a limit of memory.

A model stays open while a request uses it. When another one needs its room, the model that was not used longest is
closed; when all are in use, the request is refused, and the client tries again. Read ``detection.py`` next.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pellucid.serving.models.languages import resolved
from pellucid.serving.refusals import Reason, Refusal
from pellucid.translation.translator import Translator

__all__ = ["ModelPool", "ServedPair"]

_PROBE = "1 a"
"""What a model translates when it is opened, to show that it can."""
_RETRY_SECONDS = 5


@dataclass(frozen=True)
class ServedPair:
    """A model for a language pair, closed."""

    name: str
    source: str
    target: str
    weights_bytes: int
    """What it takes in memory, about."""
    open: Callable[[], Translator]
    version: str = ""
    """Beginning of the checksum of its weights."""


class _Open:
    def __init__(self, translator: Translator) -> None:
        self.translator = translator
        self.users = 0


class ModelPool:
    """Models by language pair; safe for several threads.

    Args:
        pairs: at least one; of two for the same languages the first counts.
        limit_bytes: of the weights of open models; 0 is no limit. One model is always open, however large.
    """

    def __init__(self, pairs: Sequence[ServedPair], *, limit_bytes: int = 0) -> None:
        self.pairs: dict[tuple[str, str], ServedPair] = {}
        for pair in pairs:
            self.pairs.setdefault((pair.source, pair.target), pair)
        self._limit_bytes = limit_bytes
        self._open: OrderedDict[tuple[str, str], _Open] = OrderedDict()
        self._lock = threading.Lock()
        self._opening = threading.Lock()

    @property
    def sources(self) -> tuple[str, ...]:
        """Codes of all source languages, each once."""
        return tuple(dict.fromkeys(source for source, _ in self.pairs))

    def targets_of(self, source: str) -> tuple[str, ...]:
        """Return the codes of the languages that a language is translated to."""
        return tuple(target for one, target in self.pairs if one == source)

    @property
    def num_open(self) -> int:
        """The number of open models."""
        return len(self._open)

    @property
    def open_bytes(self) -> int:
        """Bytes of the weights of all open models."""
        return sum(self.pairs[key].weights_bytes for key in [*self._open])

    def find(self, source: str, target: str) -> ServedPair:
        """Return the model for two languages, as a client writes their codes.

        Raises:
            Refusal: a language is not offered, or not with the other.
        """
        own_source = resolved(source, self.sources)
        if own_source is None:
            raise Refusal(Reason.LANGUAGE, f"{source[:40]} is not supported", subject="source")
        own_target = resolved(target, self.targets_of(own_source))
        if own_target is None:
            every = dict.fromkeys(target for _, target in self.pairs)
            if resolved(target, every) is None:
                raise Refusal(Reason.LANGUAGE, f"{target[:40]} is not supported", subject="target")
            raise Refusal(
                Reason.LANGUAGE,
                f"{target[:40]} is not available as a target language from {source[:40]}",
                subject="target",
            )
        return self.pairs[own_source, own_target]

    def is_open(self, pair: ServedPair) -> bool:
        """Return whether a model is open, so that ``used`` does not take long."""
        return (pair.source, pair.target) in self._open

    @contextmanager
    def used(self, pair: ServedPair) -> Iterator[Translator]:
        """Open a model if it is not open, and keep it open during the block.

        Raises:
            Refusal: all open models are in use, and there is no memory for another one.
            BundleError: the model cannot be read.
        """
        key = pair.source, pair.target
        opened = self._held(key)
        if opened is None:
            with self._opening:
                opened = self._held(key) or self._opened(pair)
        try:
            yield opened.translator
        finally:
            with self._lock:
                opened.users -= 1

    def open_what_fits(self) -> None:
        """Open the models in their order, as far as there is memory; at least the first."""
        total = 0
        for pair in self.pairs.values():
            total += pair.weights_bytes
            if self._limit_bytes and total > self._limit_bytes and self._open:
                return
            with self.used(pair):
                pass

    def _held(self, key: tuple[str, str]) -> _Open | None:
        with self._lock:
            if (opened := self._open.get(key)) is not None:
                self._open.move_to_end(key)
                opened.users += 1
            return opened

    def _opened(self, pair: ServedPair) -> _Open:
        with self._lock:
            self._make_room(pair.weights_bytes)
        opened = _Open(pair.open())
        opened.users = 1
        opened.translator.translate(_PROBE)
        with self._lock:
            self._open[pair.source, pair.target] = opened
        return opened

    def _make_room(self, needed: int) -> None:
        while self._limit_bytes and self._open and self.open_bytes + needed > self._limit_bytes:
            idle = next((key for key, one in self._open.items() if not one.users), None)
            if idle is None:
                raise Refusal(
                    Reason.FULL,
                    "the memory for models is in use by other languages; try again later",
                    retry_after_seconds=_RETRY_SECONDS,
                )
            del self._open[idle]
