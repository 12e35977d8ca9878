"""When two sources are the same for a split: a model that has seen one knows the other. Read ``leakless.py`` next."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final

from pellucid.text.formats.inline import INLINE_TAG

__all__ = ["bare_source", "digest_of_source"]

_NO_WORD: Final = re.compile(r"[\W_]+")
_DIGITS: Final = re.compile(r"\d+")


def bare_source(text: str) -> str:
    """Return a text without case, punctuation, white space and inline codes, and with 0 for every number.

    A text of nothing else is returned as it is, without white space at its ends.
    """
    folded = unicodedata.normalize("NFKC", INLINE_TAG.sub(" ", text)).casefold()
    return _NO_WORD.sub(" ", _DIGITS.sub("0", folded)).strip() or text.strip()


def digest_of_source(text: str, *, seed: int) -> int:
    """Return 64 bits that depend on the bare source and the seed; a collision leaves out one pair too many."""
    key = seed.to_bytes(8, "little", signed=True)
    raw = bare_source(text).encode("utf-8", errors="surrogatepass")
    return int.from_bytes(hashlib.blake2b(raw, digest_size=8, key=key).digest(), "little")
