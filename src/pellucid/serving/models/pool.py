"""The models of the service by language pair, opened on demand within a limit of memory.

A model stays open while a request uses it. When another one needs its room, the model that was not used longest is
closed; when all are in use, the request is refused, and the client tries again. A model whose folder was replaced is
opened beside the old one, which finishes its requests. Read ``detection.py`` next.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from pellucid.errors import PellucidError
from pellucid.serving.models.languages import resolved
from pellucid.serving.refusals import Reason, Refusal
from pellucid.translation.memory.units import TranslationMemory
from pellucid.translation.translator import Translator

__all__ = ["VERSION_DIGITS", "ModelPool", "ServedPair"]

_PROBE = "1 a"
"""What a model translates when it is opened, to show that it can."""
_RETRY_SECONDS = 5
_MOST_KNOWN: Final = 256
"""Pairs of codes as clients write them, which stand for the same models as long as the process runs."""
VERSION_DIGITS: Final = 12
"""Of the checksum of the weights."""


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
    aligns: bool = False
    """Whether its folder names heads that align words."""
    memory: TranslationMemory | None = None
    """The translation memory of the language pair, if any."""
    stamp: Callable[[], object] = lambda: None
    """Differs after another model has taken the place of this one on the disk; None: it cannot be seen now."""
    read_again: Callable[[], ServedPair] | None = None
    """Reads what stands in the place of this model."""


class _Open:
    def __init__(self, translator: Translator) -> None:
        self.translator = translator
        self.users = 0


def _opened_and_tried(pair: ServedPair) -> _Open:
    opened = _Open(pair.open())
    opened.translator.translate(_PROBE)
    return opened


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
        self._translated: dict[tuple[str, str], tuple[str, str] | None] = {}
        self._stamps = {key: pair.stamp() for key, pair in self.pairs.items()}

    @property
    def sources(self) -> tuple[str, ...]:
        """Codes of all source languages, each once."""
        return tuple(dict.fromkeys(source for source, _ in self.pairs))

    def targets_of(self, source: str) -> tuple[str, ...]:
        """Return the codes of the languages that a language is translated to."""
        return tuple(target for one, target in self.pairs if one == source)

    def sources_of(self, target: str) -> tuple[str, ...]:
        """Return the codes of the languages that are translated to one, as a client writes its code."""
        return tuple(one for one in self.sources if resolved(target, self.targets_of(one)) is not None)

    def is_one_language(self, source: str, target: str) -> bool:
        """Return whether a text in the first language is in the second already, so that no model translates it."""
        known = dict.fromkeys(code for pair in self.pairs for code in pair)
        own = resolved(source, known)
        return own is not None and own == resolved(target, known) and source not in self.sources_of(target)

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

    def translating(self, source: str, target: str) -> ServedPair | None:
        """Return the model for two languages; None where a text in the first is in the second already, and so stays.

        Raises:
            Refusal: as ``find``.
        """
        codes = source, target
        if codes not in self._translated:
            found = None if self.is_one_language(source, target) else self.find(source, target)
            if len(self._translated) >= _MOST_KNOWN:
                self._translated.clear()
            self._translated[codes] = None if found is None else (found.source, found.target)
        key = self._translated[codes]
        return None if key is None else self.pairs[key]

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

    def refresh(self) -> list[str]:
        """Take models that were replaced on the disk, and return a sentence for each; one that fails changes nothing.

        An open model is replaced when the new one has translated: requests that have begun go on with the old one.
        """
        said = []
        for key, pair in [*self.pairs.items()]:
            stamp = pair.stamp()
            if stamp is None or stamp == self._stamps[key] or pair.read_again is None:
                continue
            self._stamps[key] = stamp
            try:
                said += self._replaced(key, replace(pair.read_again(), memory=pair.memory))
            except PellucidError as error:
                said.append(f"{pair.name}: the new model cannot be used, and the old one stays: {error}")
        return said

    def _replaced(self, key: tuple[str, str], new: ServedPair) -> list[str]:
        old = self.pairs[key]
        if new.version == old.version:
            return []
        if (new.source, new.target) != key:
            return [f"{old.name}: the new model translates {new.source} → {new.target}, so the old one stays"]
        with self._opening:
            opened = _opened_and_tried(new) if key in self._open else None
            with self._lock:
                self.pairs[key] = new
                if opened is not None:
                    self._open[key] = opened
        return [f"{new.name}: {new.source} → {new.target}: the model {new.version} has replaced {old.version}"]

    def _held(self, key: tuple[str, str]) -> _Open | None:
        with self._lock:
            if (opened := self._open.get(key)) is not None:
                self._open.move_to_end(key)
                opened.users += 1
            return opened

    def _opened(self, pair: ServedPair) -> _Open:
        with self._lock:
            self._make_room(pair.weights_bytes)
        opened = _opened_and_tried(pair)
        opened.users = 1
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
