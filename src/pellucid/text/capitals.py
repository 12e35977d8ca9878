"""Copies of training pairs in capitals, so that a model knows text that is written so.

A model reads "THE CAT" as letters that it has hardly seen, and writes anything. A few per cent of copies teach it
the pieces of capitals. Read ``cleaning.py`` for what comes before.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from pellucid.text.corpus import SentencePair

__all__ = ["in_capitals", "with_capitals"]

_TAG: Final = re.compile(r"\s*>>[^\s<>]{1,64}<<")
_PARTS: Final = 1 << 32


def with_capitals(pairs: Iterable[SentencePair], *, share: float, seed: int) -> Iterator[SentencePair]:
    """Yield every pair, and after a ``share`` of them, drawn by the seed, the same pair in capitals.

    A pair without small letters, which would be its own copy, gets none. What is drawn depends on the pair's place in
    its corpus alone, so that every pass over the pairs draws the same.
    """
    for pair in pairs:
        yield pair
        if share and _drawn(pair, seed) < share and (copy := in_capitals(pair)) != pair:
            yield copy


def in_capitals(pair: SentencePair) -> SentencePair:
    """Return the pair with both sides in capitals; a language tag that leads the source stays as it is.

    By the rules of Unicode that hold for every language ("ß" becomes "SS"); those of single languages, such as
    the dotted capital i of Turkish, are not known here.
    """
    tag = _TAG.match(pair.source)
    end = tag.end() if tag else 0
    return replace(pair, source=pair.source[:end] + pair.source[end:].upper(), target=pair.target.upper())


def _drawn(pair: SentencePair, seed: int) -> float:
    digest = hashlib.sha256(f"{seed} {pair.corpus} {pair.line}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / _PARTS
