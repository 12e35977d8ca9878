"""Read a stranger's TOML, JSON and zip listings within limits that are checked before parsing.

The memory and time of a parser depend on what a text describes, not on its length: one dotted key of 200 KB cost
TOML's 11 GB. So bytes, depth and number of values are bounded first, in time linear in the length. Messages show
only the beginning of such a text. Read ``config/recipe.py`` next.
"""

from __future__ import annotations

import json
import re
import tomllib
import zipfile
from collections.abc import Callable, Iterable
from itertools import accumulate, islice
from pathlib import Path
from typing import Final

from pellucid.errors import BundleError, counted

__all__ = [
    "MAX_TOML_BYTES",
    "MAX_TOML_DEPTH",
    "TooLargeError",
    "first_of",
    "parse_json",
    "parse_toml",
    "plain_file",
    "read_at_most",
    "refuse_zip",
    "shown",
]

MAX_TOML_BYTES: Final = 1 << 20
MAX_TOML_DEPTH: Final = 8
"""Of nested brackets, and of parts in a dotted key; recipes and model folders need three."""
MAX_TOML_VALUES: Final = 10_000
MAX_JSON_VALUES: Final = 100_000

_CHUNK_BYTES: Final = 1 << 20
_ZIP_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ZIP_ENCRYPTED: Final = 0x1
_ZIP_SMALL_BYTES: Final = 1 << 20
_LONGEST_SHOWN: Final = 200
_MOST_SHOWN: Final = 20

# Comments and strings, in which brackets and dots mean nothing. Possessive, so that no text makes it go back. A
# quotation mark that closes nowhere ends the parsing with an error, so what follows it does not count.
# In old releases of Python a possessive group ends right only if its last alternative is (?!), which never matches.
_OPAQUE: Final = re.compile(
    r'#[^\n]*+|"""(?:[^"\\]++|\\.|"(?!"")|(?!))*+"{3,5}|' + r"'''(?:[^']++|'(?!'')|(?!))*+'{3,5}|"
    r'"(?:[^"\\\n]++|\\[^\n]|(?!))*+"|' + r"'[^'\n]*+'|[\"'].*+",
    re.DOTALL,
)
_BETWEEN_MARKS: Final = re.compile(r"([^=,\[\]{}\n]*+)([=,\[\]{}\n]|\Z)")
_BRACKETS: Final = {"[": 1, "{": 1, "]": -1, "}": -1}


class TooLargeError(ValueError):
    """A text exceeds a limit of this file."""


def parse_toml(text: str) -> dict[str, object]:
    """Parse TOML whose size, depth and number of values are bounded.

    Raises:
        TooLargeError: it exceeds a limit; nothing was parsed.
        tomllib.TOMLDecodeError: it is not TOML.
        ValueError: it has a number of thousands of digits.
    """
    if len(text) > MAX_TOML_BYTES:
        raise TooLargeError(f"{counted(len(text), 'character')} exceed the limit of {MAX_TOML_BYTES:,}")
    bare = _OPAQUE.sub('"', text)
    values = sum(bare.count(mark) for mark in "=,[{")
    if values > MAX_TOML_VALUES:
        raise TooLargeError(f"{counted(values, 'key')} and values exceed the limit of {MAX_TOML_VALUES:,}")
    depth = max(accumulate((_BRACKETS[mark] for mark in re.findall(r"[][{}]", bare)), initial=0))
    if depth > MAX_TOML_DEPTH:
        raise TooLargeError(f"brackets are nested {depth:,} deep, limit {MAX_TOML_DEPTH}")
    if (parts := _longest_key(bare)) > MAX_TOML_DEPTH:
        raise TooLargeError(f"a key has {counted(parts, 'part')} with dots between them, limit {MAX_TOML_DEPTH}")
    return tomllib.loads(text)


def _longest_key(bare: str) -> int:
    """Return the number of parts of the longest dotted key; any text that does not follow ``=`` may be a key."""
    longest, before = 0, ""
    for stretch, mark in _BETWEEN_MARKS.findall(bare):
        if before != "=":
            longest = max(longest, stretch.count(".") + 1)
        before = mark
    return longest


def parse_json(
    raw: bytes,
    *,
    most_values: int = MAX_JSON_VALUES,
    pairs: Callable[[list[tuple[str, object]]], object] | None = None,
) -> object:
    """Parse JSON in UTF-8 whose number of values is bounded; a comma within a text counts as one between values.

    Args:
        raw: the whole file, of bounded size.
        most_values: the limit.
        pairs: makes an object of its names and values, as ``object_pairs_hook`` of ``json.loads``.

    Raises:
        ValueError: it exceeds the limit, is not JSON, not UTF-8, or nested too deep.
    """
    values = sum(raw.count(mark) for mark in (b",", b"[", b"{"))
    if values > most_values:
        raise TooLargeError(f"{counted(values, 'value')} exceed the limit of {most_values:,}")
    try:
        return json.loads(raw.decode("utf-8"), object_pairs_hook=pairs)
    except RecursionError:
        raise TooLargeError("it is nested thousands of levels deep") from None


def plain_file(path: Path) -> Path:
    """Return a path that is a file in its own right, not a link to one.

    Raises:
        BundleError: it is missing, a folder or a symbolic link.
    """
    if path.is_symlink():
        raise BundleError(
            f"{path}: is a symbolic link, not a plain file; copy the folder with its files in place of the links "
            "(cp -rL FOLDER COPY) and name the copy"
        )
    if not path.is_file():
        raise BundleError(f"{path}: is missing, or is not a plain file; fetch the whole folder again")
    return path


def read_at_most(path: Path, most: int) -> bytes:
    """Return a file's bytes.

    Raises:
        TooLargeError: there are more than ``most``; the rest was not read.
        OSError: it cannot be read.
    """
    raw = bytearray()
    with path.open("rb") as file:
        # In pieces, since a single read allocates its maximum whatever the file has.
        while chunk := file.read(min(_CHUNK_BYTES, most + 1 - len(raw))):
            raw += chunk
    if len(raw) > most:
        raise TooLargeError(f"it has more than {most:,} bytes, the limit")
    return bytes(raw)


def refuse_zip(
    members: list[zipfile.ZipInfo], size: int, *, most_members: int, most_bytes: int, most_ratio: int
) -> None:
    """Refuse an archive whose list exceeds a limit, or has a rare way of packing.

    Args:
        members: the list.
        size: of the file, in bytes.
        most_members: limit on their number.
        most_bytes: limit on their bytes together.
        most_ratio: limit on the bytes as a multiple of the file's; an unpacked megabyte is always allowed.

    Raises:
        ValueError: the archive is refused.
    """
    if not 1 <= len(members) <= most_members:
        raise TooLargeError(f"it has {counted(len(members), 'member')}; 1 to {most_members:,} are supported")
    for member in members:
        if member.flag_bits & _ZIP_ENCRYPTED:
            raise ValueError(f"its member {member.filename[:80]!r} is encrypted")
        if member.compress_type not in _ZIP_METHODS:
            method = f"is compressed by method {member.compress_type}, and only deflate is supported"
            raise ValueError(f"its member {member.filename[:80]!r} {method}")
    total = sum(member.file_size for member in members)
    if total > most_bytes:
        raise TooLargeError(f"it unpacks to {counted(total, 'byte')}, limit {most_bytes:,}")
    if total > max(most_ratio * size, _ZIP_SMALL_BYTES):
        raise TooLargeError(f"it unpacks to {total // max(size, 1):,} times its size, limit {most_ratio} times")


def shown(value: object) -> str:
    """Return a value for a message: on one line, without control characters, shortened."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return "a number of thousands of digits"
    except RecursionError:
        return "a value nested thousands of levels deep"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def first_of(problems: Iterable[str], *, count: int) -> list[str]:
    """Return the first of ``count`` lines, and a last one with the number of the others, which are not built."""
    more = [f"and {count - _MOST_SHOWN:,} more"] if count > _MOST_SHOWN else []
    return [*islice(problems, _MOST_SHOWN), *more]
