"""Read a form with files (``multipart/form-data``, RFC 7578) whose body is in memory. Read ``answering.py`` next."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from pellucid.serving.refusals import Reason, Refusal

__all__ = ["Upload", "parts_in"]

_BOUNDARY: Final = re.compile(r"""boundary=(?:"([^"\r\n]{1,200})"|([^\s;"]{1,200}))""", re.IGNORECASE)
_DISPOSITION: Final = re.compile(r"^content-disposition:\s*form-data\s*(;[^\r\n]*)?$", re.IGNORECASE | re.MULTILINE)
_TYPE: Final = re.compile(r"^content-type:\s*([^\r\n]{0,200}?)\s*$", re.IGNORECASE | re.MULTILINE)
_PARAMETER: Final = re.compile(r""";\s*([\w*-]{1,40})=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))""")
_LONGEST_HEAD: Final = 8192


@dataclass(frozen=True)
class Upload:
    """A file of a form."""

    file_name: str
    media_type: str
    data: bytes = field(repr=False)


def parts_in(body: bytes, content_type: str, *, most: int) -> Iterator[tuple[str, str | Upload]]:
    """Yield the fields of a form with their names; one with a file name is a file.

    Raises:
        Refusal: it is no such form, has more than ``most`` fields, or text that is not UTF-8.
    """
    stated = _BOUNDARY.search(content_type)
    mark = b"--" + (stated[1] or stated[2]).encode("latin-1") if stated else b""
    if not mark or not body.startswith(mark):
        raise _malformed("its boundary is missing")
    place = len(mark)
    for _ in range(most + 1):
        if body.startswith(b"--", place):
            return
        start = body.find(b"\r\n\r\n", place, place + _LONGEST_HEAD)
        end = body.find(b"\r\n" + mark, max(start, place))
        if not body.startswith(b"\r\n", place) or start < 0 or end < start + 2:
            raise _malformed("a part of it has no beginning or no end")
        yield _part(body[place + 2 : start], body[start + 4 : end])
        place = end + 2 + len(mark)
    raise _malformed(f"it has more than {most} fields")


def _part(head: bytes, data: bytes) -> tuple[str, str | Upload]:
    try:
        lines = head.decode("utf-8")
        found = _DISPOSITION.search(lines.replace("\r\n", "\n"))
        parameters = {one[1].lower(): _unquoted(one) for one in _PARAMETER.finditer((found and found[1]) or "")}
        name = parameters.get("name", "")
        if not name:
            raise _malformed("a part of it has no name")
        if "filename" not in parameters:
            return name, data.decode("utf-8")
    except UnicodeDecodeError:
        raise _malformed("its text is not UTF-8") from None
    stated = _TYPE.search(lines.replace("\r\n", "\n"))
    return name, Upload(parameters["filename"], stated[1] if stated else "", data)


def _unquoted(found: re.Match[str]) -> str:
    return re.sub(r'\\(["\\])', r"\1", found[2]).replace("%22", '"') if found[2] is not None else found[3]


def _malformed(problem: str) -> Refusal:
    return Refusal(Reason.INVALID, f"the form with files cannot be read: {problem}")
