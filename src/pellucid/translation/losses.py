"""Find out whether numbers, addresses, placeholders and emoji of a source are in its translation.

Regular expressions with bounded repetitions, so that the time is linear in the length of the texts. Read ``flags.py``
next.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

__all__ = ["PLACEHOLDER", "lost_or_changed"]

_MAY_HOLD_ANY: Final = re.compile(r"[\d@%${<&\u200d\u2300-\u2bff\U0001f000-\U0001faff]|://|www\.", re.IGNORECASE)

_UNSPACED: Final = r"\u3000-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef"
"""Of a class of characters: those of scripts that set no space before or after an address or a placeholder."""
_LETTER: Final = rf"[^\W{_UNSPACED}]"
_ADDRESS: Final = re.compile(
    rf"""(?<!{_LETTER})[a-z][a-z0-9+.-]{{1,9}}://[^\s<>"{_UNSPACED}]+|(?<!{_LETTER})www\.[^\s<>"{_UNSPACED}]+"""
    rf"""|(?<![.+%-])(?<!{_LETTER})(?:{_LETTER}|[.+%-]){{1,64}}@(?:{_LETTER}|-)+(?:\.(?:{_LETTER}|-)+)+""",
    re.IGNORECASE,
)
_AFTER_AN_ADDRESS: Final = ".,;:!?)]}'\"»”’…。，"
PLACEHOLDER: Final = re.compile(
    r"\{\{[^{}\s]{0,64}\}\}|[$#]?\{[^{}\s]{0,64}\}"  # {{name}}, ${name}, #{name}, {name}, {0}, {0:.2f}, {}
    r"|(?<![\d%])%(?:\(\w{1,64}\)|\d\$)?[#0+-]{0,3}\d{0,3}(?:\.\d{1,3})?(?:hh?|ll?)?[sdifuxXeEgGc@](?!"
    + _LETTER
    + r")"  # %s, %1$s
    r"|&(?:[A-Za-z]\w{1,31}|#\d{1,7}|#x[0-9A-Fa-f]{1,6});"
    r"|</?[A-Za-z][\w:-]{0,63}(?=[\s/>])[^<>]{0,500}>"
    r"|\[X\d{1,6}X\]"
)
"""Placeholders of formats, character entities, tags, and the ``[X6X]`` that Weblate sends in place of them."""
_TAG_NAME: Final = re.compile(r"</?[A-Za-z][\w:-]*")
_EMOJI: Final = re.compile(
    "[\u231a-\u231b\u23e9-\u23fa\u2600-\u27bf\u2b50-\u2b55\U0001f000-\U0001f3fa\U0001f400-\U0001faff]"
)

_NUMBER: Final = re.compile(r"\d+(?:[.,'\u2019\u066b\u066c_]\d+|[\u00a0\u202f\u2009 ]\d{3}(?!\d))*")
_DIGITS: Final = re.compile(r"\d+")
_NOT_A_DIGIT: Final = re.compile(r"\D")
_LARGEST_SPELT_OUT: Final = 12
_LONGEST_SHOWN: Final = 60


def lost_or_changed(source: str, text: str) -> dict[str, str]:
    """Return which of ``numbers``, ``addresses``, ``placeholders`` and ``emoji`` did not come through.

    The value says what is missing from the translation, and what occurs only there.
    """
    if not (_MAY_HOLD_ANY.search(source) or _MAY_HOLD_ANY.search(text)):
        return {}
    found: dict[str, str] = {}
    source, own = _without(_ADDRESS, source)
    text, theirs = _without(_ADDRESS, text)
    if lost := Counter(a.rstrip(_AFTER_AN_ADDRESS) for a in own) - Counter(a.rstrip(_AFTER_AN_ADDRESS) for a in theirs):
        found["addresses"] = _difference(lost, [])
    source, own = _without(PLACEHOLDER, source)
    text, theirs = _without(PLACEHOLDER, text)
    wanted, given = Counter(map(_kind, own)), Counter(map(_kind, theirs))
    if wanted != given:
        found["placeholders"] = _difference(wanted - given, given - wanted)
    if missing := set(_EMOJI.findall(source)) - set(_EMOJI.findall(text)):
        found["emoji"] = _difference(sorted(missing), [])
    if numbers := _other_numbers(source, text):
        found["numbers"] = _difference(*numbers)
    return found


def _difference(missing: Iterable[str], added: Iterable[str]) -> str:
    """Say what is missing and what was added, a few of each."""
    sides = (("missing", [*missing]), ("only in the translation", [*added]))
    return "; ".join(f"{name}: {_some(items)}" for name, items in sides if items)


def _some(items: Sequence[str]) -> str:
    shown = ", ".join(item if len(item) <= _LONGEST_SHOWN else f"{item[: _LONGEST_SHOWN - 3]}..." for item in items[:5])
    return shown if len(items) <= 5 else f"{shown} and {len(items) - 5} more"


def _without(pattern: re.Pattern[str], text: str) -> tuple[str, list[str]]:
    found = pattern.findall(text)
    return (pattern.sub(" ", text) if found else text), found


def _kind(placeholder: str) -> str:
    """Return what of a placeholder must not change: of a tag its name, because attributes may hold text."""
    tag = _TAG_NAME.match(placeholder)
    return tag[0] if tag else placeholder


def _other_numbers(source: str, text: str) -> tuple[list[str], list[str]] | None:
    """Return the numbers that are missing from the translation and those that occur only there; None if all is well."""
    source, text = _in_ascii(source), _in_ascii(text)
    if _groups(source) == _groups(text):
        return None
    own, theirs = _numbers(source), _numbers(text)
    lost, new = _unmatched(own, theirs), _unmatched(theirs, own)
    if (lost and new) or not all(map(_may_be_spelt_out, (*lost, *new))):
        return [min(values, key=len) for values in lost], [min(values, key=len) for values in new]
    return None


def _in_ascii(text: str) -> str:
    """Write the decimal digits of every script as 0 to 9."""
    return text if text.isascii() else "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)


def _groups(text: str) -> Counter[str]:
    return Counter(_plain(group) for group in _DIGITS.findall(text))


def _plain(digits: str) -> str:
    return digits.lstrip("0") or "0"


def _numbers(text: str) -> list[frozenset[str]]:
    """Return for each number of a text the values that it may stand for: digits, with a point before decimals."""
    return [values for found in _NUMBER.findall(text) for values in _readings(found)]


def _readings(number: str) -> list[frozenset[str]]:
    """Read a number as every locale may: ``1.000`` is a thousand or one, ``1.000,5`` has decimals, ``1.2.3`` is three.

    Grouped digits are groups of three, or of two before the last three (India).
    """
    groups = _NOT_A_DIGIT.split(number)
    marks = [mark for mark in number if not mark.isdecimal()]
    joined, decimal = _plain("".join(groups)), _plain("".join(groups[:-1])) + "." + groups[-1]
    is_grouped = len(groups[-1]) == 3 and len(groups[0]) <= 3 and {len(group) for group in groups[1:-1]} <= {2, 3}
    if not marks:
        return [frozenset({joined})]
    if len(marks) == 1:
        values = {decimal.rstrip("0").rstrip(".")}
        return [frozenset(values | {joined} if is_grouped else values)]
    if len(set(marks)) == 1 and is_grouped:
        return [frozenset({joined})]
    if len(set(marks[:-1])) == 1 and marks[-1] != marks[0] and all(len(group) == 3 for group in groups[1:-1]):
        return [frozenset({decimal.rstrip("0").rstrip(".")})]
    return [frozenset({_plain(group)}) for group in groups]


def _unmatched(numbers: list[frozenset[str]], others: list[frozenset[str]]) -> list[frozenset[str]]:
    """Return the numbers that have no equal among the others, each of which is the equal of one."""
    waiting: dict[str, list[int]] = {}
    for place, values in enumerate(others):
        for value in values:
            waiting.setdefault(value, []).append(place)
    taken: set[int] = set()
    unmatched = []
    for values in numbers:
        for value in sorted(values):
            places = waiting.get(value, [])
            while places and places[-1] in taken:
                places.pop()
            if places:
                taken.add(places.pop())
                break
        else:
            unmatched.append(values)
    return unmatched


def _may_be_spelt_out(values: frozenset[str]) -> bool:
    return any(value.isdecimal() and int(value) <= _LARGEST_SPELT_OUT for value in values if len(value) <= 2)
