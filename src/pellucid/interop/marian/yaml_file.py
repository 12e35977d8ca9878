"""Read the two kinds of YAML that Marian writes: flat settings, and a vocabulary of one piece a line.

PyYAML only cuts the text into events, so ``no``, ``~`` and ``1e3`` stay texts and no object is built. The events must
form one flat table: names, each with a text or a list of texts. Aliases, tags, deeper tables, repeated names and a
second document are refused with the number of their line. Read ``options.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeVar, cast

import yaml

from pellucid.errors import BundleError
from pellucid.interop.foreign_model import piece_ids
from pellucid.interop.untrusted.files import without_doubles
from pellucid.untrusted import parse_json

__all__ = ["Settings", "read_settings", "read_vocabulary"]

Settings = dict[str, str | list[str]]
"""The contents of a file of settings: unchanged texts, or lists of them."""

_MOST_VALUES: Final = 1 << 22
T = TypeVar("T")
_Entry = tuple[int, str, str | list[str]]
# YAML 1.1, which PyYAML reads, ends a line at these; YAML 1.2, which Marian writes, has them inside a piece. While a
# text is read, characters that Unicode keeps for such internal use stand for them.
_STAND_INS: Final = {"\x85": "\ufdd0", "\u2028": "\ufdd1", "\u2029": "\ufdd2"}
_INWARD: Final = str.maketrans(_STAND_INS)
_OUTWARD: Final = str.maketrans({stand_in: character for character, stand_in in _STAND_INS.items()})


def read_settings(text: str, *, place: str) -> Settings:
    """Return the settings of ``special:model.yml`` or ``decoder.yml``.

    Raises:
        BundleError: it is not YAML, not a flat table of texts and lists of texts, or repeats a name.
    """
    return _table(text, place, lambda value: value)


def read_vocabulary(text: str, *, place: str) -> dict[str, int]:
    """Return the ids of a vocabulary, by piece, from YAML or JSON.

    Raises:
        BundleError: it is not a table of ids by piece, repeats a piece, or its ids are not 0, 1, 2 ... each once.
    """
    if not text.lstrip().startswith("{"):
        return piece_ids(_table(text, place, _id), place=place)
    try:
        table = parse_json(text.encode("utf-8", "surrogatepass"), most_values=_MOST_VALUES, pairs=without_doubles)
    except ValueError as error:
        raise BundleError(f"{place}: begins like JSON but is not JSON ({str(error)[:100]})") from None
    return piece_ids(cast(dict[str, object], table), place=place)


def _table(text: str, place: str, read: Callable[[str | list[str]], T]) -> dict[str, T]:
    table: dict[str, T] = {}
    for line, name, value in _entries(text, place):
        if name in table:
            raise BundleError(f"{place}: line {line}: {name[:60]!r} occurs twice; is it a file of Marian's?")
        try:
            table[name] = read(value)
        except ValueError as error:
            raise BundleError(f"{place}: line {line}: {name[:60]!r} {error}") from None
    return table


def _id(value: str | list[str]) -> int:
    if isinstance(value, list) or not (value.isascii() and value.isdecimal()) or len(value) > 9:
        raise ValueError("must have a whole number, its id")
    return int(value)


def _entries(text: str, place: str) -> Iterator[_Entry]:
    """Yield each entry of a flat table with its line."""
    if any(stand_in in text for stand_in in _STAND_INS.values()):
        raise BundleError(f"{place}: holds a code point that Unicode keeps for internal use (U+FDD0 to U+FDD2)")
    events = yaml.parse(text.removeprefix("\ufeff").translate(_INWARD), Loader=yaml.BaseLoader)
    try:
        yield from _flat(events)
    except yaml.MarkedYAMLError as error:
        mark = error.context_mark or error.problem_mark  # where the faulty construct begins
        raise BundleError(f"{place}: line {mark.line + 1}: {error.problem}; is it a file of Marian's?") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # ValueError: an escape beyond the last code point
        raise BundleError(f"{place}: is not YAML ({' '.join(str(error).split())[:100]})") from None


def _flat(events: Iterator[yaml.Event]) -> Iterator[_Entry]:
    next(events)  # the stream starts
    event = next(events)
    if isinstance(event, yaml.StreamEndEvent):
        return
    _need(next(events), yaml.MappingStartEvent, "is not a table of names and values")
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        name, line = _text(event), event.start_mark.line + 1
        event = next(events)
        value: str | list[str]
        if isinstance(event, yaml.SequenceStartEvent):
            _refuse_anchor(event)
            value = []
            while not isinstance(event := next(events), yaml.SequenceEndEvent):
                value.append(_text(event))
        else:
            value = _text(event)
        yield line, name, value
    next(events)  # the document ends
    _need(next(events), yaml.StreamEndEvent, "a second document begins")


def _text(event: yaml.Event) -> str:
    _need(event, yaml.ScalarEvent, "is not a text; only flat tables of texts and lists of texts are supported")
    _refuse_anchor(event)
    return str(event.value).translate(_OUTWARD)


def _refuse_anchor(event: yaml.Event) -> None:
    if event.anchor is not None or event.tag is not None:
        problem = "has an anchor or a tag, which Marian does not write"
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


def _need(event: yaml.Event, kind: type[yaml.Event], problem: str) -> None:
    if not isinstance(event, kind):
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
