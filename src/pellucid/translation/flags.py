"""What a translation says about itself. Every flag and its rule stands here, and nowhere else.

    blank           the source shows nothing (white space, invisible characters) or has no pieces; so is the translation
    passed_through  the source has neither letter nor digit; it is its own translation, and no model was asked
    memory          the translation is that of a translation memory, and no model was asked
    memory_match    a translation memory has a text like the source, which is shown and not used
    failed          the text could not be translated; ``error`` says why
    unknown_tag     the source begins with a language tag that the model does not have
    missing_tag     the model has several language tags, and the source begins with none
    split           the source was translated in parts: sentence by sentence, or because it was over max_input_length
    max_length      the winner (of a part) came to the maximum length before it had ended
    dead_end        the winner (of a part) could not be continued within the constraints, and is cut there
    repetition      a block of 1 to 24 pieces comes 4 times or more in a row, or one of 3 or more pieces (characters,
                    in scripts without spaces) twice; each more often than any block in the source
    omission        the source has letters or digits and the translation has none; or a part of a split text has no
                    translation, or one of less than a third of its pieces where it has 10 or more; or the translation
                    has fewer sentences, or fewer clauses between commas, than the source, and is shorter by more
                    than 40 % of their share
    addition        the translation has more sentences than the source, which is shorter by more than 35 % of their
                    share
    ending          the source ends with a mark that ends a sentence, and the translation with a letter or a digit
    numbers         a number of the source is not in the translation, or the other way round. Digits of every script
                    are equal, and so are 1,000.5 and 1.000,5 and 1 000,5. A number up to 12 may be written as a word,
                    and does not count unless there is a missing number on both sides
    addresses       a URL or an e-mail address of the source is not in the translation
    placeholders    the placeholders ({0}, {name}, ${x}, %s, %(x)d, %1$s), the names of tags or the character
                    entities (&amp;) are not those of the source
    emoji           an emoji of the source is not in the translation
    capitals        the source is written in capitals, and the model cuts it into 1.5 times or more as many pieces as
                    in small letters: it has seen few capitals, and the translation is likely wrong
    copy            the text equals its source but for white space around it, and has a letter; or 4 or more words in a
                    row, half of the translation or more, stand in the source in the same order
    unknown         a piece of the source is unknown to the model
    unknown_output  a piece of the translation is the unknown one, which shows as U+2047; or the translation has more
                    U+FFFD than the source, because the model wrote bytes that are no character
    length          source and target differ by more than the factor 3 in pieces, the longer having 10 or more
    line_break      the model wrote a line break; it became a space, so that output stays line by line
    terms           a target form of a term is not in the translation (it did not fit in the maximum length, or other
                    settings forbid it), or a form to avoid is
    low_confidence  the mean probability (geometric) of a piece of the winner, or of a part, is under 0.3
    fewer           fewer than n_best different translations were found

``evidence`` of a translation says in a few words why each of these flags is set, where there is more to say than the
rule. docs/reference/flags.md has the share of planted faults that each one sees. Read ``translator.py`` next.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Sequence
from typing import Final

from pellucid.errors import counted
from pellucid.translation.losses import lost_or_changed
from pellucid.translation.repeats import Repeat, repeats_in

__all__ = ["FLAGS", "diagnose", "doubtful", "in_order", "is_omitted", "most_repeats"]

FLAGS: Final = (
    "blank",
    "passed_through",
    "memory",
    "memory_match",
    "failed",
    "unknown_tag",
    "missing_tag",
    "split",
    "max_length",
    "dead_end",
    "repetition",
    "omission",
    "addition",
    "ending",
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
    "terms",
    "low_confidence",
    "fewer",
)

_NO_CHARACTER: Final = "\ufffd"
_REPEATS: Final = 4
_REPEATED_CLAUSE: Final = 3
_COPIED_WORDS: Final = 4
_LEAST_PROBABILITY: Final = 0.3
_LONGEST_SHOWN: Final = 60
_MISSING_SHARE: Final = 0.4
_ADDED_SHARE: Final = 0.35
_RATIO: Final = 3
_RATIO_MINIMUM_PIECES: Final = 10
_MINIMUM_CAPITALS: Final = 5
_CAPITALS_SHARE: Final = 0.8
_CAPITALS_RATIO: Final = 1.5
# The end of a sentence that another one follows: a mark, and the quotes and brackets that close. A missing space
# ("tired.The dog") counts after a word and before a capital, so that "U.S.A." and "example.com" hold no end.
_BETWEEN_SENTENCES: Final = re.compile(
    r"(?<=[^\W\d_]{2})[.!?](?=[^\W\d_a-z][a-z])|"
    r"[.!?\u2026\u061f\u0964][\"'\u201d\u2019\u00bb)\]]{0,3}\s+(?=[^\s\u201d\u00bb)\]])"
    r"|[\u3002\uff01\uff1f][\u300d\u300f\u201d\u2019\uff09]{0,3}(?=\s*\S)"
)
_UNSPACED: Final = re.compile("[\u3040-\u9fff\u0e00-\u0eff]")
_BETWEEN_CLAUSES: Final = re.compile(
    rf"(?:{_BETWEEN_SENTENCES.pattern})|[,;:\u060c](?=\s+\S)|[\uff0c\uff1b\uff1a](?=\s*\S)"
)
_MAY_DIVIDE: Final = re.compile("[.!?\u2026\u061f\u0964\u3002\uff01\uff1f,;:\u060c\uff0c\uff1b\uff1a](?=.)", re.DOTALL)
"""A mark that the two patterns above may match, and something behind it."""
_ENDS_A_SENTENCE: Final = re.compile(
    r"[.!?\u2026\u061f\u0964\u3002\uff01\uff1f][\"'\u201d\u2019\u00bb\u300d\u300f)\]\uff09]{0,3}$"
)


def diagnose(
    source: str,
    text: str,
    *,
    source_ids: Sequence[int],
    target_ids: Sequence[int],
    unk_id: int,
    pieces_of: Callable[[str], int],
    spelled: Callable[[Sequence[int]], str] = lambda ids: "",
) -> dict[str, str]:
    """Return the flags that source and translation show by themselves, each with its evidence.

    Args:
        source: the source text.
        text: its translation.
        source_ids: of the source, without the end of sentence.
        target_ids: of the winner, without the end of sentence.
        unk_id: the id of the unknown piece.
        pieces_of: the number of source pieces of a text.
        spelled: the text of some target pieces, for the evidence.
    """
    flags = lost_or_changed(source, text)
    flags |= _repetition(source, text, source_ids, target_ids, spelled)
    flags |= _of_sentences(source, text, len(source_ids), len(target_ids))
    if _has_no_words(source, text):
        flags["omission"] = "the translation has no letters and no digits"
    flags |= _copy(source, text)
    if unk_id in source_ids:
        flags["unknown"] = counted([*source_ids].count(unk_id), "piece") + " of the source"
    if unk_id in target_ids:
        flags["unknown_output"] = counted([*target_ids].count(unk_id), "piece") + " of the translation"
    elif (broken := text.count(_NO_CHARACTER)) > source.count(_NO_CHARACTER):
        flags["unknown_output"] = f"U+FFFD {counted(broken, 'time')} in the translation"
    if _is_in_capitals(source) and len(source_ids) >= _CAPITALS_RATIO * (small := pieces_of(source.lower())):
        flags["capitals"] = f"{counted(len(source_ids), 'piece')}, {small} in small letters"
    if _is_far_longer(source_ids, target_ids) or _is_far_longer(target_ids, source_ids):
        flags["length"] = f"{counted(len(source_ids), 'piece')} in the source, {len(target_ids)} in the translation"
    return flags


def doubtful(log_probability: float, length: int) -> str | None:
    """Return the evidence that the model itself was in doubt about a winner of ``length`` pieces, or None."""
    probability = math.exp(log_probability / length) if length else 1.0
    return f"mean probability of a piece {probability:.2f}" if probability < _LEAST_PROBABILITY else None


def _repetition(
    source: str,
    text: str,
    source_ids: Sequence[int],
    target_ids: Sequence[int],
    spelled: Callable[[Sequence[int]], str],
) -> dict[str, str]:
    """Look at the pieces, and in scripts without spaces at the characters, which pieces cut in different places."""
    if worst := _worst_repeat(target_ids, source_ids):
        block = spelled(target_ids[worst.start : worst.start + worst.size])
    elif len(_UNSPACED.findall(text)) * 2 > len(text):
        characters = [*map(ord, text)]
        worst = _worst_repeat(characters, [*map(ord, source)])
        block = text[worst.start : worst.start + worst.size] if worst else ""
    return {"repetition": f"{_shortened(block.strip())!r} {counted(worst.times, 'time')} in a row"} if worst else {}


def _worst_repeat(ids: Sequence[int], source_ids: Sequence[int]) -> Repeat | None:
    """Return the longest row of repeats that is longer than those of the source; a long block needs a long one there.

    One id twice in the source, as in "ee" of its letters, excuses no clause that comes twice.
    """
    usual = most_repeats(source_ids)
    usual_of_long = max((repeat.times for repeat in repeats_in(source_ids) if repeat.size > 1), default=1)
    found = [
        repeat
        for repeat in repeats_in(ids)
        if (repeat.times >= _REPEATS and repeat.times > usual)
        or (repeat.size >= _REPEATED_CLAUSE and repeat.times > usual_of_long)
    ]
    return max(found, key=lambda repeat: (repeat.times * repeat.size, -repeat.size), default=None)


def _shortened(text: str) -> str:
    """Return a text for an evidence, its middle left out where it is long."""
    half = _LONGEST_SHOWN // 2
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:half]} ... {text[-half:]}"


def _copy(source: str, text: str) -> dict[str, str]:
    if text.strip() == source.strip():
        return {"copy": "all of it"} if any(map(str.isalpha, text)) else {}
    words, run = text.split(), _longest_run(source.split(), text.split())
    if len(run) >= _COPIED_WORDS and 2 * len(run) >= len(words) and any(map(str.islower, "".join(run))):
        return {"copy": repr(_shortened(" ".join(run)))}
    return {}


def _longest_run(words: Sequence[str], others: Sequence[str]) -> Sequence[str]:
    """Return the longest run of ``others`` that stands in ``words`` too, by its 4-grams, in linear time."""
    grams = {tuple(words[place : place + _COPIED_WORDS]) for place in range(len(words) - _COPIED_WORDS + 1)}
    best: Sequence[str] = ()
    start: int | None = None
    for place in range(len(others) - _COPIED_WORDS + 1):
        if tuple(others[place : place + _COPIED_WORDS]) not in grams:
            start = None
            continue
        start = place if start is None else start
        if place + _COPIED_WORDS - start > len(best):
            best = others[start : place + _COPIED_WORDS]
    return best


def is_omitted(source: str, text: str, *, source_ids: Sequence[int], target_ids: Sequence[int]) -> bool:
    """Tell whether a part of a text that was split has no counterpart in its translation."""
    return _has_no_words(source, text) or _is_far_longer(source_ids, target_ids)


def _is_far_longer(longer: Sequence[int], shorter: Sequence[int]) -> bool:
    return len(longer) >= _RATIO_MINIMUM_PIECES and len(longer) > _RATIO * len(shorter)


def _has_no_words(source: str, text: str) -> bool:
    return any(map(str.isalnum, source)) and not any(map(str.isalnum, text))


def _of_sentences(source: str, text: str, source_length: int, target_length: int) -> dict[str, str]:
    """Compare how many sentences and clauses both sides have, and how they end."""
    source, text = source.strip(), text.strip()
    flags: dict[str, str] = {}
    has_several = _MAY_DIVIDE.search(source) or _MAY_DIVIDE.search(text)  # most texts are one clause
    for name, pattern in (("clause", _BETWEEN_CLAUSES), ("sentence", _BETWEEN_SENTENCES)) if has_several else ():
        wanted, given = 1 + len(pattern.findall(source)), 1 + len(pattern.findall(text))
        told = f"{counted(wanted, name)} in the source, {given} in the translation"
        if given < wanted and target_length < (1 - _MISSING_SHARE * (wanted - given) / wanted) * source_length:
            flags["omission"] = told
        if (
            name == "sentence"
            and given > wanted
            and source_length < (1 - _ADDED_SHARE * (given - wanted) / given) * target_length
        ):
            flags["addition"] = told
    if text and _ENDS_A_SENTENCE.search(source) and text[-1].isalnum() and not _is_thai(text[-1]):
        flags["ending"] = (
            f"the source ends with {source.split()[-1][-12:]!r}, the translation with {text.split()[-1][-12:]!r}"
        )
    return flags


def _is_thai(character: str) -> bool:
    return "\u0e00" <= character <= "\u0eff"  # Thai and Lao, which end sentences without a mark


def _is_in_capitals(text: str) -> bool:
    capitals = sum(map(str.isupper, text))
    if capitals < _MINIMUM_CAPITALS:
        return False
    return capitals >= _CAPITALS_SHARE * (capitals + sum(map(str.islower, text)))


def most_repeats(ids: Sequence[int]) -> int:
    """Return how often in a row some block of 1 to 24 ids comes at most; 1 where nothing repeats."""
    return max((repeat.times for repeat in repeats_in(ids)), default=1 if ids else 0)


def in_order(flags: Collection[str]) -> tuple[str, ...]:
    """Return flags in the order of the table above."""
    return tuple(flag for flag in FLAGS if flag in flags)
