"""White space beside the single codes of a translation, as their source has it. Read ``outcomes.py`` next.

A model that is given tags, or nothing, sets the space before a placeholder as it likes: ``yes{name}`` for ``oui
{name}``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from pellucid.documents.segments import Code, CodeKind, Parts, merged_text

__all__ = ["respaced"]

_NEEDS_NONE_BEHIND: Final = re.compile(r"[\s(\[{«„“‘\"'¿¡/\u2e80-\ud7ff\uf900-\ufaff\uff00-\uffef]")
"""After these, and beside letters of scripts without spaces, a code needs no space."""
_ENDS_A_WORD: Final = frozenset(" \t\n\r\xa0\u202f,.;:!?…)]}»")


def respaced(source: Parts, found: Parts) -> Parts:
    """Return a translation of a segment with a space where its source has one and words would run into codes.

    Beside a code that is white space itself, there is no other.
    """
    beside = {code: (_end_of(source, at - 1), _start_of(source, at + 1)) for at, code in _singles(source)}
    parts = list(found)
    for at, code in _singles(found):
        before, after = beside.get(code, ("", ""))
        if code.is_space:
            _change(parts, at - 1, lambda text: text.rstrip(" \t"))
            _change(parts, at + 1, lambda text: text.lstrip(" \t"))
        elif code.is_visible:
            left, right = _end_of(parts, at - 1), _start_of(parts, at + 1)
            if before.isspace() and left and not _NEEDS_NONE_BEHIND.match(left):
                _change(parts, at - 1, lambda text: f"{text} ")
            if after in _ENDS_A_WORD and right.isalnum() and not _NEEDS_NONE_BEHIND.match(right):
                _change(parts, at + 1, lambda text: f" {text}")
    return merged_text(parts)


def _singles(parts: Sequence[str | Code]) -> list[tuple[int, Code]]:
    return [(at, one) for at, one in enumerate(parts) if isinstance(one, Code) and one.kind is CodeKind.STANDALONE]


def _end_of(parts: Sequence[str | Code], at: int) -> str:
    part = parts[at] if 0 <= at < len(parts) else ""
    return part[-1:] if isinstance(part, str) else ""


def _start_of(parts: Sequence[str | Code], at: int) -> str:
    part = parts[at] if 0 <= at < len(parts) else ""
    return part[:1] if isinstance(part, str) else ""


def _change(parts: list[str | Code], at: int, change: Callable[[str], str]) -> None:
    part = parts[at] if 0 <= at < len(parts) else None
    if isinstance(part, str):
        parts[at] = change(part)
