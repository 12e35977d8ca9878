"""What a translation says about itself. Every flag and its rule stands here, and nowhere else.

    blank           the source shows nothing (white space, invisible characters) or has no pieces; so is the translation
    passed_through  the source has neither letter nor digit; it is its own translation, and no model was asked
    failed          the text could not be translated; ``error`` says why
    unknown_tag     the source begins with a language tag that the model does not have
    missing_tag     the model has several language tags, and the source begins with none
    split           the source was translated in parts: sentence by sentence, or because it was over max_input_length
    max_length      the winner (of a part) came to the maximum length before it had ended
    dead_end        the winner (of a part) could not be continued within the constraints, and is cut there
    repetition      a block of 1 to 8 pieces comes 4 times or more in a row, more often than any block in the source
    omission        the source has letters or digits and the translation has none; or a part of a split text has no
                    translation, or one of less than a third of its pieces where it has 10 or more; or the translation
                    has fewer sentences than the source, and is shorter by more than half of their share
    numbers         a number of the source is not in the translation, or the other way round. Digits of every script
                    are equal, and so are 1,000.5 and 1.000,5 and 1 000,5. A number up to 12 may be written as a word,
                    and does not count unless there is a missing number on both sides
    addresses       a URL or an e-mail address of the source is not in the translation
    placeholders    the placeholders ({0}, {name}, ${x}, %s, %(x)d, %1$s), the names of tags or the character
                    entities (&amp;) are not those of the source
    emoji           an emoji of the source is not in the translation
    capitals        the source is written in capitals, and the model cuts it into 1.5 times or more as many pieces as
                    in small letters: it has seen few capitals, and the translation is likely wrong
    copy            the text equals its source but for white space around it, and has a letter
    unknown         a piece of the source is unknown to the model
    unknown_output  a piece of the translation is the unknown one, which shows as U+2047
    length          source and target differ by more than the factor 3 in pieces, the longer having 10 or more
    line_break      the model wrote a line break; it became a space, so that output stays line by line
    fewer           fewer than n_best different translations were found

Read ``translator.py`` next.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import eq
from typing import Final

from pellucid.translation.losses import lost_or_changed

__all__ = ["FLAGS", "diagnose", "in_order", "is_omitted", "most_repeats"]

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
    "omission",
    "numbers",
    "addresses",
    "placeholders",
    "emoji",
    "capitals",
    "copy",
    "unknown",
    "unknown_output",
    "length",
    "line_break",
    "fewer",
)

_LONGEST_BLOCK: Final = 8
_REPEATS: Final = 4
_RATIO: Final = 3
_RATIO_MINIMUM_PIECES: Final = 10
_MINIMUM_CAPITALS: Final = 5
_CAPITALS_SHARE: Final = 0.8
_CAPITALS_RATIO: Final = 1.5
# The end of a sentence that another one follows: a mark, and the quotes and brackets that close. A missing space
# ("tired.The dog") counts after a word and before a capital, so that "U.S.A." and "example.com" hold no end.
_BETWEEN_SENTENCES: Final = re.compile(
    r"(?<=[^\W\d_]{2})[.!?](?=[^\W\d_a-z][a-z])|"
    r"[.!?\u2026\u061f\u0964][\"'\u201d\u2019\u00bb)\]]{0,3}\s+(?=\S)"
    r"|[\u3002\uff01\uff1f][\u300d\u300f\u201d\u2019\uff09]{0,3}(?=\s*\S)"
)


def diagnose(
    source: str,
    text: str,
    *,
    source_ids: Sequence[int],
    target_ids: Sequence[int],
    unk_id: int,
    pieces_of: Callable[[str], int],
) -> set[str]:
    """Return the flags that source and translation show by themselves.

    Args:
        source: the source text.
        text: its translation.
        source_ids: of the source, without the end of sentence.
        target_ids: of the winner, without the end of sentence.
        unk_id: the id of the unknown piece.
        pieces_of: the number of source pieces of a text.
    """
    flags = lost_or_changed(source, text)
    if most_repeats(target_ids) >= max(_REPEATS, most_repeats(source_ids) + 1):
        flags.add("repetition")
    if _has_no_words(source, text) or _has_too_few_sentences(source, text, len(source_ids), len(target_ids)):
        flags.add("omission")
    if text.strip() == source.strip() and any(character.isalpha() for character in text):
        flags.add("copy")
    if unk_id in source_ids:
        flags.add("unknown")
    if unk_id in target_ids:
        flags.add("unknown_output")
    if _is_in_capitals(source) and len(source_ids) >= _CAPITALS_RATIO * pieces_of(source.lower()):
        flags.add("capitals")
    if _is_far_longer(source_ids, target_ids) or _is_far_longer(target_ids, source_ids):
        flags.add("length")
    return flags


def is_omitted(source: str, text: str, *, source_ids: Sequence[int], target_ids: Sequence[int]) -> bool:
    """Tell whether a part of a text that was split has no counterpart in its translation."""
    return _has_no_words(source, text) or _is_far_longer(source_ids, target_ids)


def _is_far_longer(longer: Sequence[int], shorter: Sequence[int]) -> bool:
    return len(longer) >= _RATIO_MINIMUM_PIECES and len(longer) > _RATIO * len(shorter)


def _has_no_words(source: str, text: str) -> bool:
    return any(map(str.isalnum, source)) and not any(map(str.isalnum, text))


def _has_too_few_sentences(source: str, text: str, source_length: int, target_length: int) -> bool:
    wanted = 1 + len(_BETWEEN_SENTENCES.findall(source.strip()))
    if wanted == 1:
        return False
    missing = wanted - 1 - len(_BETWEEN_SENTENCES.findall(text.strip()))
    return missing > 0 and target_length < (1 - missing / wanted / 2) * source_length


def _is_in_capitals(text: str) -> bool:
    capitals = sum(map(str.isupper, text))
    if capitals < _MINIMUM_CAPITALS:
        return False
    return capitals >= _CAPITALS_SHARE * (capitals + sum(map(str.islower, text)))


def most_repeats(ids: Sequence[int]) -> int:
    """Return how often in a row some block of 1 to 8 ids comes at most; 1 where nothing repeats."""
    most = 1 if ids else 0
    for size in range(1, _LONGEST_BLOCK + 1):
        is_equal = [*map(eq, ids, ids[size:])]
        if True in is_equal:
            longest = max(sum(run) for _, run in groupby(is_equal))
            most = max(most, 1 + longest // size)
    return most


def in_order(flags: set[str]) -> tuple[str, ...]:
    """Return flags in the order of the table above."""
    return tuple(flag for flag in FLAGS if flag in flags)
