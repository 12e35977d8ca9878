"""Strings of software in JSON (.json, .arb): texts in objects and lists are replaced in place, all else stays.

Keys stay, and so do texts without letters, values below keys that begin with ``@`` or ``$`` (notes for people and
programs), and what is for programs: addresses, names of files, colours, identifiers. Read ``yaml_strings.py`` next.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from pellucid.documents.languages import restated
from pellucid.documents.limits import Reading
from pellucid.documents.messages import MESSAGE_SYNTAX, escaped_in_message, forms_of, text_of_form
from pellucid.documents.placeholders import parts_of_form, parts_of_string
from pellucid.documents.segments import Segment, has_letters, notes_of
from pellucid.documents.spans import Decoded, Label, Place, Span, SpanDocument, decoded
from pellucid.errors import DocumentError, DocumentTooLargeError

__all__ = ["is_for_people", "read"]

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|[][{}:,]')
_ADDRESS: Final = re.compile(r"(?:[a-z][a-z0-9+.-]{1,20}://|www\.|mailto:)\S*$|[^\s@]+@[^\s@]+\.[a-z]+$", re.IGNORECASE)
_IDENTIFIER: Final = re.compile(
    r"\w*_\w*|[a-z]+\d*(?:[A-Z][a-z0-9]*)+"  # snake_case, CONSTANTS, camelCase
    r"|#[0-9A-Fa-f]{3,8}|[\w-]+(?:\.[\w-]+)+"  # a colour; a key, a version, the name of a file
    r"|(?:\.{0,2}/|[A-Za-z]:\\)\S*|(?:[\w.~@-]+/)+[\w.~-]*\.\w{1,5}|(?:[\w.~@-]+/){2,}[\w.~-]*"  # a path
    r"|\d[\dTZ:.+-]*|-?\d+(?:\.\d+)?(?:px|r?em|pt|v[hw]|m?s|deg|fr)"  # a time, a length
)
_CHARACTER: Final = re.compile(
    r"\\u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|\\.|.", re.DOTALL
)
"""A character of a string, as it is written."""
_LOCALE: Final = "@@locale"
"""The language of a file of Flutter (.arb)."""
_LONGEST_KEY_SHOWN: Final = 80


def read(data: bytes, reading: Reading) -> SpanDocument:
    """Read a file of strings."""
    file = decoded(data, reading)
    _refuse_damaged(file, reading)
    spans, notes = [], []
    labels: list[Label] = []
    left = Counter[str]()
    for place, path in _values(file.text, reading):
        value = json.loads(file.text[place.start : place.end])
        if path == _LOCALE:
            new = restated(value, reading)
            labels += [Label(place, json.dumps(new))] if new else []
        elif MESSAGE_SYNTAX.search(value):
            forms = _spans_of_forms(file.text, place, value, path)
            spans += forms
            notes += [] if forms else [f"{path}: stays, because text stands around its forms (plural or select)"]
        elif not is_for_people(value):
            left["untranslatable value"] += has_letters(value)
        else:
            is_ascii = file.text[place.start : place.end].isascii() and not value.isascii()
            write = _escaped if is_ascii else _written
            spans.append(Span(place, Segment(parts_of_string(value), path), write, _quoted))
    return SpanDocument(file, spans, reading.name, labels=labels, notes=[*notes, *notes_of(left)])


def _spans_of_forms(text: str, place: Place, value: str, path: str) -> list[Span]:
    """Return the forms of a message as segments, or nothing where it is no mere choice."""
    found = forms_of(value) or ()
    places = [place.start + 1 + one.end() for one in _CHARACTER.finditer(text[place.start + 1 : place.end - 1])]
    at = [place.start + 1, *places]
    spans = []
    for form in found:
        own = text_of_form(value[form.start : form.end])
        if is_for_people(own):
            segment = Segment(parts_of_form(own, is_plural=form.is_plural, write=_written), path)
            spans.append(Span(Place(at[form.start], at[form.end]), segment, _written_in_message))
    return spans


def _written_in_message(text: str) -> str:
    return _written(escaped_in_message(text))


def is_for_people(value: str) -> bool:
    """Return whether a string is a text: it has letters, can be written, and is no address and no identifier."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:  # half of a pair of surrogates
        return False
    bare = value.strip()
    return has_letters(bare) and not _ADDRESS.match(bare) and not _IDENTIFIER.fullmatch(bare)


def _refuse_damaged(file: Decoded, reading: Reading) -> None:
    try:
        json.loads(file.text)
    except RecursionError:
        raise DocumentTooLargeError(f"{reading.name}: is nested thousands of levels deep; flatten it") from None
    except ValueError as error:
        raise DocumentError(f"{reading.name}: is not valid JSON ({error}); correct it") from None


def _values(text: str, reading: Reading) -> Iterator[tuple[Place, str]]:
    """Yield the place of each string that is a value, and the keys that lead to it."""
    path: list[str | int] = []
    key = ""
    is_object: list[bool] = []
    awaits_value = True
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in "{[":
            path.append(key if is_object and is_object[-1] else "")
            is_object.append(mark == "{")
            awaits_value = mark == "["
            if len(path) > reading.limits.depth:
                raise DocumentTooLargeError(
                    f"{reading.name}: is nested over {reading.limits.depth} levels deep; flatten it"
                )
        elif mark in "}]":
            path.pop()
            is_object.pop()
        elif mark == ",":
            awaits_value = not is_object[-1]
        elif mark == ":":
            awaits_value = True
        elif not awaits_value:
            key = json.loads(mark)
        else:
            keys = [str(one) for one in (*path, key if is_object and is_object[-1] else "") if one]
            if not any(one.startswith(("@", "$")) for one in keys) or keys == [_LOCALE]:
                yield Place(token.start(), token.end()), ".".join(keys)[-_LONGEST_KEY_SHOWN:] or "the text"


def _written(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _escaped(text: str) -> str:
    return json.dumps(text)[1:-1]


def _quoted(written: str) -> str:
    return f'"{written}"'
