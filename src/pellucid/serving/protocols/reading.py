"""Read the fields of a request: JSON, or a form with the query, as LibreTranslate merges them.

A body over the limit is refused by its announced length, and again while it is read. Read ``multipart.py`` next.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from pellucid.serving.access.keys import KEY_FIELDS
from pellucid.serving.bodies import body_of
from pellucid.serving.protocols.multipart import parts_in
from pellucid.serving.refusals import Reason, Refusal

__all__ = ["NOT_APPLIED", "Fields", "boolean", "not_applied", "number", "read_fields", "text", "unknown_in"]

NOT_APPLIED: Final = "X-Options-Not-Applied"
"""A header of answers with the names of the fields that had no effect."""

Fields = dict[str, object]
"""A field of a form that occurs several times is a list."""

_JSON: Final = "application/json"
_FORM: Final = "application/x-www-form-urlencoded"
_FILES: Final = "multipart/form-data"
_MOST_FIELDS: Final = 2000
_MOST_NAMED: Final = 20
_LONGEST_NAME: Final = 40


async def read_fields(request: Request, *, limit: int) -> Fields:
    """Return the fields of a request: of a JSON object, or else of the query and the form together.

    Raises:
        Refusal: the body is too large, of another type, or no JSON object.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await body_of(request, limit)
    if body is None:
        raise Refusal(Reason.TOO_LARGE, f"the request is over {limit:,} bytes; send less text at once")
    if body and (kind == _JSON or kind.endswith("+json")):  # some clients send the type with every GET, too
        return _object(body)
    form: Sequence[tuple[str, object]]
    if kind == _FILES:
        form = list(parts_in(body, request.headers["content-type"], most=_MOST_FIELDS))
    elif body and kind not in (_FORM, ""):
        raise Refusal(
            Reason.INVALID, f"send the request as {_JSON}, {_FORM} or {_FILES}, not as {kind[:60]!r}", status=415
        )
    else:
        form = _pairs(body)
    fields: Fields = {}
    for name, value in (*request.query_params.multi_items(), *form):
        known = fields.get(name)
        fields[name] = value if known is None else [*(known if isinstance(known, list) else [known]), value]
    return fields


def _pairs(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except (ValueError, UnicodeError):
        raise Refusal(
            Reason.INVALID, f"the form cannot be read: it needs UTF-8 and at most {_MOST_FIELDS} fields"
        ) from None


def _object(body: bytes) -> Fields:
    try:
        table = json.loads(body)
    except (ValueError, RecursionError):
        table = None
    if not isinstance(table, dict):
        raise Refusal(Reason.INVALID, "Invalid JSON format")
    return table


def text(fields: Mapping[str, object], name: str, default: str | None = None) -> str:
    """Return a field that is a text.

    Raises:
        Refusal: it is missing and has no default, or is something else.
    """
    value = fields.get(name)
    if value is None or value == "":
        if default is None:
            raise Refusal(Reason.INVALID, f"Invalid request: missing {name} parameter")
        return default
    if not isinstance(value, str):
        raise Refusal(Reason.INVALID, f"Invalid request: {name} parameter is not a text")
    return value


def number(fields: Mapping[str, object], name: str, *, default: int, most: int, least: int = 0) -> int:
    """Return a field that is a whole number, also as text.

    Raises:
        Refusal: it is something else, or out of range.
    """
    value = fields.get(name, default)
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 10:
        value, is_number = int(value), True
    if not is_number or not isinstance(value, int):
        raise Refusal(Reason.INVALID, f"Invalid request: {name} parameter is not a number")
    if value > most:
        raise Refusal(Reason.INVALID, f"Invalid request: {name} parameter must be <= {most}")
    if value < least:
        raise Refusal(Reason.INVALID, f"Invalid request: {name} parameter must be >= {least}")
    return value


def boolean(fields: Mapping[str, object], name: str, *, default: bool) -> bool:
    """Return a field that is true or false, also as text or 0 and 1.

    Raises:
        Refusal: it is something else.
    """
    value = fields.get(name, default)
    known = {"true": True, "1": True, "false": False, "0": False}.get(str(value).lower())
    if known is None or isinstance(value, list | dict):
        raise Refusal(Reason.INVALID, f"Invalid request: {name} parameter must be true or false")
    return known


def unknown_in(fields: Mapping[str, object], known: Collection[str]) -> list[str]:
    """Return the names of fields that are not known, but for keys and those without a value."""
    every = [name for name, value in fields.items() if value not in (None, "", [])]
    return [name for name in every if name not in known and name not in KEY_FIELDS]


def not_applied(names: Iterable[str]) -> dict[str, str]:
    """Return the header that names fields without an effect; none if there are none."""
    safe = [re.sub(r"[^\w.-]", "?", one, flags=re.ASCII)[:_LONGEST_NAME] for one in dict.fromkeys(names)]
    return {NOT_APPLIED: ", ".join(safe[:_MOST_NAMED])} if safe else {}
