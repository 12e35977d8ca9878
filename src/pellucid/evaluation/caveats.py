"""Notes about text that makes a score misleading: empty lines, and text that was split into tokens.

A tokenised reference, or tokenised translations, lower BLEU by tens of points, which the number itself does not show.
Read ``report.py`` next.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

__all__ = ["notes_on_texts", "tokenised_lines"]

_TOKENISED_SHARE: Final = 0.1
_MARKS_OF_A_TOKENIZER: Final = re.compile(
    r"(?<=\S) [.,](?=\s|$)"  # a full stop or comma after a space; not an ellipsis or ".5"
    r"|(?<=\S) [。，、！？；：](?=\s|$)"
    r"|\w ['’](?:s|t|ll|re|ve|d|m)\b|\w n['’]t\b"  # English: "doesn 't", "does n't", "we 'll"
    r"|(?<!\w)(?:[cdjlmnst]|qu)['’] \w"  # French, Italian: "l' homme"
    r"|&(?:apos|quot|#91|#93|#124);| @-@ ",  # escapes of the Moses tokenizer
    re.IGNORECASE,
)
_SET_APART: Final = re.compile(r"(?<=\S) [?!;:](?=\s|$)")
_WRITES_SPACES: Final = frozenset({"fr", "fra", "fre", "br", "bre", "oc", "oci", "co", "cos"})
"""Languages with a space before ? ! ; and :."""
_UNDECIDED: Final = frozenset({"", "tgt", "trg", "target", "und", "mul", "xx"})


def notes_on_texts(sides: Mapping[str, Sequence[str]], *, language: str) -> list[str]:
    """Return a note for every side that has empty lines or looks tokenised.

    Args:
        sides: the texts of each side by its name in messages, a plural.
        language: code of their language.
    """
    notes = []
    for name, texts in sides.items():
        if empty := sum(not text.strip() for text in texts):
            notes.append(f"{empty} of {len(texts)} {name} are empty")
        tokenised = tokenised_lines(texts, language=language)
        if tokenised > _TOKENISED_SHARE * len(texts):
            notes.append(
                f"{tokenised} of {len(texts)} {name} look tokenised, as in 'it does n't rain .', so the score is far "
                "too low; use plain text on both sides"
            )
    return notes


def tokenised_lines(texts: Sequence[str], *, language: str) -> int:
    """Count the texts that look tokenised, by spaces in places where ordinary text has none."""
    code = re.split(r"[-_]", language.strip().lower())[0]
    patterns = [_MARKS_OF_A_TOKENIZER]
    if code not in _WRITES_SPACES | _UNDECIDED:
        patterns.append(_SET_APART)
    return sum(any(pattern.search(text) for pattern in patterns) for text in texts)
