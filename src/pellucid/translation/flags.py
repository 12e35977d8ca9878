"""What a translation says about itself. Every flag and its rule stands here, and nowhere else.

    blank        the source shows nothing (white space, invisible characters) or has no pieces; so is the translation
    passed_through  the source has neither letter nor digit; it is its own translation, and no model was asked
    failed       the text could not be translated; ``error`` says why
    unknown_tag  the source begins with a language tag that the model does not have
    missing_tag  the model has several language tags, and the source begins with none
    split        the source was translated in parts: sentence by sentence, or because it was over max_input_length
    max_length   the winner (of a part) came to the maximum length before it had ended
    dead_end     the winner (of a part) could not be continued within the constraints, and is cut there
    repetition   a block of 1 to 8 pieces comes 4 times or more in a row, more often than any block in the source
    copy         the text equals its source but for white space around it, and has a letter
    unknown      a piece of the source is unknown to the model
    length       source and target differ by more than the factor 3 in pieces, the longer having 10 or more
    line_break   the model wrote a line break; it became a space, so that output stays line by line

Read ``translator.py`` next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

__all__ = ["FLAGS", "diagnose", "in_order", "most_repeats"]

FLAGS: Final = (
    "blank",
    "passed_through",
    "failed",
    "unknown_tag",
    "missing_tag",
    "split",
    "max_length",
    "dead_end",
    "repetition",
    "copy",
    "unknown",
    "length",
    "line_break",
)

_LONGEST_BLOCK: Final = 8
_REPEATS: Final = 4
_RATIO: Final = 3
_RATIO_MINIMUM_PIECES: Final = 10


def diagnose(source: str, text: str, *, source_ids: Sequence[int], target_ids: Sequence[int], unk_id: int) -> set[str]:
    """Return the flags that source and translation show by themselves.

    Args:
        source: the source text.
        text: its translation.
        source_ids: of the source, without the end of sentence.
        target_ids: of the winner, without the end of sentence.
        unk_id: the id of the unknown piece.
    """
    flags = set()
    if most_repeats(target_ids) >= max(_REPEATS, most_repeats(source_ids) + 1):
        flags.add("repetition")
    if text.strip() == source.strip() and any(character.isalpha() for character in text):
        flags.add("copy")
    if unk_id in source_ids:
        flags.add("unknown")
    shorter, longer = sorted((len(source_ids), len(target_ids)))
    if longer >= _RATIO_MINIMUM_PIECES and longer > _RATIO * shorter:
        flags.add("length")
    return flags


def most_repeats(ids: Sequence[int]) -> int:
    """Return how often in a row some block of 1 to 8 ids comes at most; 1 where nothing repeats."""
    most = 1 if ids else 0
    for size in range(1, _LONGEST_BLOCK + 1):
        equal = 0
        for place in range(size, len(ids)):
            equal = equal + 1 if ids[place] == ids[place - size] else 0
            most = max(most, 1 + equal // size)
    return most


def in_order(flags: set[str]) -> tuple[str, ...]:
    """Return flags in the order of the table above."""
    return tuple(flag for flag in FLAGS if flag in flags)
