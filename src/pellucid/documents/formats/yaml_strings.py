"""Strings of software in YAML (.yml, .yaml): texts that are values are replaced in place; all else stays.

Comments, anchors, keys, numbers and dates stay, and so does what ``json_strings.py`` leaves as it is. A block in which
line breaks count (``|``) is translated line by line. A text that can no longer stand without quotation marks gets some.
Read ``markdown.py`` next.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from pellucid.documents.formats.json_strings import is_for_people
from pellucid.documents.limits import Reading, reason_of
from pellucid.documents.messages import MESSAGE_SYNTAX, escaped_in_message, forms_of, text_of_form
from pellucid.documents.placeholders import parts_of_form, parts_of_string
from pellucid.documents.segments import Segment, has_letters, notes_of
from pellucid.documents.spans import Place, Span, SpanDocument, as_it_is, decoded, line_of, lines_of
from pellucid.errors import DocumentError, DocumentTooLargeError, counted

if TYPE_CHECKING:
    from yaml.events import Event, ScalarEvent

__all__ = ["read", "spans_of_value", "values_in"]

_MOST_BYTES: Final = 4 << 20
"""The parser is slow."""
# In old releases of Python a possessive group ends right only if its last alternative is (?!), which never matches.
_PLAIN: Final = re.compile(r"[^\W\d_](?:[^:#\[\]{},\n\r\\]|:(?=\S)|(?<=\S)#|(?!))*+$")
"""What can stand without quotation marks wherever a text can, if it is not a word with another meaning."""
_PROPERTIES: Final = re.compile(
    r"(?:[&!][^\s,\[\]{}]*+(?:[ \t]++|[ \t]*+(?:(?<=[ \t])#[^\r\n]*+)?[\r\n]++[ \t]*+|(?!))*+)+"
)
_BLOCK_LINE: Final = re.compile(r"[^\r\n]+")
_STRING: Final = "tag:yaml.org,2002:str"


@dataclass
class _Level:
    """A mapping or a list that is being read."""

    is_mapping: bool
    is_key: bool = True
    """Whether the next node of a mapping is a key."""
    key: str = ""


def read(data: bytes, reading: Reading) -> SpanDocument:
    """Read a file of strings."""
    if len(data) > _MOST_BYTES:
        raise DocumentTooLargeError(
            f"{reading.name}: has {counted(len(data), 'byte')}, limit of YAML {_MOST_BYTES:,}; divide the document"
        )
    file = decoded(data, reading)
    if not file.text.strip():  # the parser refuses a line of a tab
        return SpanDocument(file, [], reading.name)
    starts = lines_of(file.text)
    spans, notes = [], []
    left = Counter[str]()
    for scalar, path in values_in(file.text, reading):
        where = (
            f"{line_of(starts, scalar.start_mark.index)}, {path}" if path else line_of(starts, scalar.start_mark.index)
        )
        if MESSAGE_SYNTAX.search(scalar.value):
            forms = _spans_of_forms(file.text, scalar, where)
            spans += forms
            notes += [] if forms else [f"{where}: stays, because text stands around its forms (plural or select)"]
        elif is_for_people(scalar.value):
            spans += spans_of_value(file.text, scalar, where)
        else:
            left["untranslatable value"] += has_letters(scalar.value)
    return SpanDocument(file, spans, reading.name, notes=[*notes, *notes_of(left)])


def values_in(text: str, reading: Reading) -> Iterator[tuple[ScalarEvent, str]]:
    """Yield the texts that are values, and the keys that lead to each; aliases are not followed."""
    import yaml

    resolver = yaml.SafeLoader("")
    levels: list[_Level] = []
    try:
        # A mark counts characters, and this parser skips a byte order mark, which the text has no longer.
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            is_key = bool(levels) and levels[-1].is_mapping and levels[-1].is_key
            if isinstance(event, yaml.ScalarEvent):
                path = [level.key for level in levels if level.is_mapping]
                if is_key:
                    levels[-1].key = event.value
                elif _is_text(event, resolver) and not any(key.startswith(("@", "$")) for key in path):
                    yield event, ".".join(path)[-80:]
            _step(event, levels, reading)
    except yaml.YAMLError as error:
        raise DocumentError(f"{reading.name}: is not valid YAML ({reason_of(error)}); correct it") from None


def _step(event: Event, levels: list[_Level], reading: Reading) -> None:
    """Follow an event: whether the next node is a key, and how deep it is."""
    import yaml

    if isinstance(event, yaml.CollectionEndEvent):
        levels.pop()
    elif not isinstance(event, yaml.NodeEvent):
        return
    if isinstance(event, yaml.CollectionStartEvent):
        levels.append(_Level(isinstance(event, yaml.MappingStartEvent)))
        if len(levels) > reading.limits.depth:
            raise DocumentTooLargeError(
                f"{reading.name}: is nested over {reading.limits.depth} levels deep; flatten it"
            )
    elif levels:  # a node is complete
        levels[-1].is_key = not levels[-1].is_key


def _is_text(event: ScalarEvent, resolver: object) -> bool:
    import yaml

    if event.tag is not None:
        return event.tag in ("!", _STRING)
    if event.style:
        return True
    return resolver.resolve(yaml.ScalarNode, event.value, (True, False)) == _STRING  # type: ignore[attr-defined, no-any-return]


def spans_of_value(text: str, scalar: ScalarEvent, where: str) -> list[Span]:
    """Return the spans of a text that is a value; of a block, one for each line or paragraph."""
    start, end = scalar.start_mark.index, scalar.end_mark.index
    if scalar.anchor is not None or scalar.tag is not None:  # they stand before the text, and belong to its mark
        properties = _PROPERTIES.match(text, start, end)
        start = properties.end() if properties else start
    if scalar.style in ("|", ">"):
        return _block_spans(text, Place(start, end), where, is_folded=scalar.style == ">")
    write: Callable[[str], str] = {"'": _single, '"': _double}.get(scalar.style or "", _bare)
    segment = Segment(parts_of_string(scalar.value), where)
    return [Span(Place(start, end), segment, write)]


def _spans_of_forms(text: str, scalar: ScalarEvent, where: str) -> list[Span]:
    """Return the forms of a message as segments, if it is a mere choice and stands in the file as it is."""
    start = scalar.end_mark.index - len(scalar.value) - 1
    write = {"'": _single, '"': _double}.get(scalar.style or "")
    if write is None or text[start : scalar.end_mark.index - 1] != scalar.value:
        return []
    spans = []
    for form in forms_of(scalar.value) or ():
        own = text_of_form(scalar.value[form.start : form.end])
        if is_for_people(own):
            parts = parts_of_form(own, is_plural=form.is_plural, write=partial(_without_marks, write=write))
            place = Place(start + form.start, start + form.end)
            spans.append(Span(place, Segment(parts, where), partial(_in_message, write=write)))
    return spans


def _in_message(text: str, *, write: Callable[[str], str]) -> str:
    return _without_marks(escaped_in_message(text), write=write)


def _without_marks(text: str, *, write: Callable[[str], str]) -> str:
    """Return text as it is written between quotation marks, without them."""
    return write(text)[1:-1]


def _block_spans(text: str, place: Place, where: str, *, is_folded: bool) -> list[Span]:
    """Return the lines of a block; of a folded one, lines that follow each other are one text."""
    header = text.find("\n", place.start, place.end)
    if header < 0:
        return []
    runs: list[Place] = []
    for line in _BLOCK_LINE.finditer(text, header + 1, place.end):
        bare = line[0].strip()
        first = line.start() + len(line[0]) - len(line[0].lstrip())
        follows = bool(runs) and is_folded and text[runs[-1].end : first].count("\n") == 1
        if not bare:
            continue
        if follows:
            runs[-1] = Place(runs[-1].start, first + len(bare))
        else:
            runs.append(Place(first, first + len(bare)))
    spans = []
    for run in runs:
        value = text[run.start : run.end]
        value = " ".join(value.split()) if "\n" in value else value  # of a folded block
        if is_for_people(value):
            spans.append(Span(run, Segment(parts_of_string(value), where), as_it_is, _one_line))
    return spans


def _one_line(written: str) -> str:
    return " ".join(written.split("\n")).strip() or written


def _bare(text: str) -> str:
    import yaml

    if _PLAIN.match(text) and not text[-1].isspace():
        is_word = yaml.SafeLoader("").resolve(yaml.ScalarNode, text, (True, False))
        if is_word == _STRING:
            return text
    return _double(text)


def _single(text: str) -> str:
    return "'" + text.replace("'", "''") + "'" if text.isprintable() else _double(text)


def _double(text: str) -> str:
    # Strings of JSON are strings of YAML; what YAML cannot hold as it is, JSON does not escape.
    escaped = json.dumps(text, ensure_ascii=False)
    return "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in escaped)
