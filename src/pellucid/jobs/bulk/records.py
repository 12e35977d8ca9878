"""Records with a text among other fields: JSON lines, and the rows of a Parquet file as ``table.py`` reads them.

A record keeps its fields and gets the translation as one more. Of JSON lines the bytes stay as they are, so that
numbers and escapes come out as they went in. A record that cannot be translated is kept and gets a field that says why.
Read ``record_files.py`` next.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pellucid.errors import ConfigError, DataError
from pellucid.jobs.line_files import BadLine
from pellucid.translation.hypothesis import Translation

__all__ = ["Fields", "Record", "choose_fields", "record_in", "written"]

_NATURAL: Final = {"source": "target", "src": "tgt", "text": "translation", "sentence": "translation"}
"""Names of the field of a text, and that of its translation."""
_MOST_NAMES: Final = 12


@dataclass(frozen=True)
class Fields:
    """The names of the fields of a text and its translation."""

    text: str
    translation: str

    @property
    def error(self) -> str:
        """The field that says why there is no translation."""
        return f"{self.translation}_error"


def choose_fields(names: Sequence[str] | None, *, field: str | None, to_field: str | None, place: str) -> Fields:
    """Return the fields that are named, or those with a usual name.

    Args:
        names: of the fields of the first record; None if there is no record, and so any field will do.
        field: of the text, if it is named.
        to_field: of the translation, likewise.
        place: the file, for messages.

    Raises:
        DataError: the first record has no such field, or none with a usual name.
        ConfigError: both fields are the same.
    """
    if names is None:
        names = [field or "text"]
    found = field or next((name for name in _NATURAL if name in names), None)
    if found is None or found not in names:
        shown = ", ".join(repr(name) for name in names[:_MOST_NAMES])
        usual = ", ".join(_NATURAL)
        missing = f"no field {field!r}" if field else f"none of the fields {usual}"
        raise DataError(
            f"{place}: the first record has {missing}, but {shown}; name the field of the text with --field"
        )
    chosen = Fields(found, to_field or _NATURAL.get(found, "translation"))
    if chosen.text == chosen.translation:
        raise ConfigError(f"--field and --to-field are both {found!r}; give the translation a field of its own")
    return chosen


@dataclass(frozen=True)
class Record:
    """A line with a record."""

    line: str
    """As it was read, with U+FFFD for what is no text; empty if it is too long."""
    text: str | ValueError
    """To translate, or why there is none."""
    table: dict[str, Any] | None
    """The fields; None if the line is no record."""


def record_in(line: str | ValueError, fields: Fields) -> Record:
    """Read a line as a record."""
    if isinstance(line, ValueError):
        return Record(line.replaced if isinstance(line, BadLine) else "", line, None)
    try:
        table = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Record(line, ValueError(f"is not JSON ({error})"), None)
    if not isinstance(table, dict):
        return Record(line, ValueError("is JSON but not an object"), None)
    text = table.get(fields.text)
    if not isinstance(text, str):
        problem = f"is {json.dumps(text)[:40]} and not a text" if fields.text in table else "is missing"
        return Record(line, ValueError(f"the field {fields.text!r} {problem}"), table)
    try:
        text.encode()
    except UnicodeEncodeError:
        return Record(line, ValueError(f"the field {fields.text!r} has a lone surrogate"), table)
    return Record(line, text, table)


def written(record: Record, result: Translation, error: str | None, fields: Fields) -> str:
    """Return the line with the translation, or with what is wrong."""
    news: dict[str, str | None] = {fields.translation: None if error else result.text}
    if error:
        news[fields.error] = error
    if record.table is None:
        return json.dumps({"line": record.line, **news}, ensure_ascii=False) + "\n"
    if news.keys() & record.table.keys():
        kept = {name: value for name, value in record.table.items() if name != fields.error}
        return json.dumps({**kept, **news}, ensure_ascii=False) + "\n"
    begun = record.line.rstrip().removesuffix("}").rstrip()
    added = json.dumps(news, ensure_ascii=False)[1:]
    return f"{begun}{', ' if record.table else ''}{added}\n"
