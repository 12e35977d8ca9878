"""Texts that come again are translated once. Read ``lines.py`` next."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, repeat
from typing import Final

from pellucid.translation.hypothesis import Translation
from pellucid.translation.memory.translating import Remembering
from pellucid.translation.translator import Translator

__all__ = ["Repeats"]

_MOST: Final = 20_000
"""Translations that are kept, those that were used last."""
_LONGEST: Final = 200
"""Characters of a text that is kept: short texts come again, and the memory stays small."""

Key = tuple[str | None, str | None]
"""A text and what its translation begins with; no text where the line could not be read."""


class Repeats:
    """Translate streams of texts, each text once in a chunk, and short ones seldom again after it.

    Several threads may use one of these. ``keeps`` says whether translations are used again in later chunks: for an
    engine whose results have the same bits in any batch, so that what is kept does not show in the output.
    """

    def __init__(self, *, keeps: bool, most: int = _MOST) -> None:
        self._most = most if keeps else 0
        self._kept: OrderedDict[Key, Translation] = OrderedDict()
        self._lock = threading.Lock()

    def translate_stream(
        self,
        translator: Translator | Remembering,
        texts: Iterable[str | None],
        prefixes: Iterable[str] | None,
        *,
        chunk: int,
        progress: Callable[[int], None],
    ) -> Iterator[Translation]:
        """Translate a stream in order, as ``Translator.translate_stream`` does."""
        keys: Iterator[Key] = iter(zip(texts, repeat(None) if prefixes is None else prefixes, strict=False))
        while some := list(islice(keys, chunk)):
            found = self._found(some)
            new = [key for key in dict.fromkeys(some) if key not in found]
            stream = translator.translate_stream(
                [text for text, _ in new],
                chunk=max(1, len(new)),
                target_prefix=None if prefixes is None else [prefix or "" for _, prefix in new],
                progress=progress,
            )
            for key in some:
                if key not in found:
                    found[key] = next(stream)
                yield found[key]
            self._keep({key: found[key] for key in new})

    def _found(self, keys: Iterable[Key]) -> dict[Key, Translation]:
        with self._lock:
            found = {key: self._kept[key] for key in dict.fromkeys(keys) if key in self._kept}
            for key in found:
                self._kept.move_to_end(key)
            return found

    def _keep(self, fresh: dict[Key, Translation]) -> None:
        if not self._most:
            return
        with self._lock:
            for (text, prefix), translation in fresh.items():
                if text is not None and translation.error is None and len(text) <= _LONGEST:
                    self._kept[text, prefix] = translation
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
