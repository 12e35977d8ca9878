"""Copies of training pairs in capitals, so that a model can translate text in capitals.

Ordinary text has few capitals, so a model translates "THE CAT" badly. A few per cent of copies in capitals teach it
their pieces. ``cleaning.py`` comes before this step.
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
    """Yield every pair, and after a random ``share`` of them the same pair in capitals.

    A pair that capitals do not change gets no copy. The draw depends only on the seed and the pair's place in its
    corpus, so every pass over the pairs draws the same ones.
    """
    for pair in pairs:
        yield pair
        if share and _drawn(pair, seed) < share and (copy := in_capitals(pair)) != pair:
            yield copy


def in_capitals(pair: SentencePair) -> SentencePair:
    """Return the pair with both sides in capitals; a language tag at the start of the source is not changed.

    The rules are those of Unicode for all languages ("ß" becomes "SS"); rules of single languages, such as the dotted
    capital i of Turkish, are not supported.
    """
    tag = _TAG.match(pair.source)
    end = tag.end() if tag else 0
    return replace(pair, source=pair.source[:end] + pair.source[end:].upper(), target=pair.target.upper())


def _drawn(pair: SentencePair, seed: int) -> float:
    digest = hashlib.sha256(f"{seed} {pair.corpus} {pair.line}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / _PARTS
