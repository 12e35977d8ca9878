"""Read two parallel files, line by line: the pairs of OPUS and of Moses."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Final

from pellucid.errors import DataError
from pellucid.text.formats.units import Found, LeftOut, Reason, Request, Unit
from pellucid.text.lines import read_lines

__all__ = ["read_moses"]

_END: Final = object()


def read_moses(source: Path, target: Path, request: Request) -> Iterator[Found]:
    """Yield the lines of both files as units.

    Raises:
        DataError: a file cannot be read, or one has more lines than the other.
    """
    sides = zip_longest(
        read_lines(source, invalid_utf8=request.of_lines),
        read_lines(target, invalid_utf8=request.of_lines),
        fillvalue=_END,
    )
    for line, (one, other) in enumerate(sides):
        if one is _END or other is _END:
            raise DataError(
                f"{source} and {target} have different numbers of lines; the shorter one has {line:,}; line N of one "
                "must translate line N of the other"
            )
        if isinstance(one, str) and isinstance(other, str):
            yield Unit(one, other, line)
        else:
            yield LeftOut(Reason.INVALID_TEXT, line)
