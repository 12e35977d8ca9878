"""Read the two kinds of YAML that Marian writes: flat settings, and a vocabulary of one piece a line.

No YAML in general: no anchors, no types, no nested tables; what is not one of the two is refused. A piece is
taken as it is spelt, since general readers turn ``no``, ``~`` or ``1e3`` into something else. Read
``marian_npz_options.py`` next.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, cast

from pellucid.errors import BundleError
from pellucid.untrusted import parse_json

__all__ = ["Settings", "read_settings", "read_vocabulary"]

_MOST_VALUES: Final = 1 << 22

Settings = dict[str, str | list[str]]
"""What a file of settings holds: words as they stand there, or lists of them."""

_ESCAPES: Final[Mapping[str, str]] = {
    "0": "\0",
    "a": "\a",
    "b": "\b",
    "t": "\t",
    "n": "\n",
    "v": "\v",
    "f": "\f",
    "r": "\r",
    "e": "\x1b",
    " ": " ",
    '"': '"',
    "/": "/",
    "\\": "\\",
    "N": "\x85",
    "_": "\xa0",
    "L": "\u2028",
    "P": "\u2029",
}
_ESCAPE: Final = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\']|\'\')*\'', re.DOTALL)
_COMMENT: Final = re.compile(r"(?:^|[ \t])#.*$")
_KEY: Final = re.compile(r"([A-Za-z0-9_.-]+):(?:[ \t]+(.*))?$")


def read_settings(text: str, *, place: str) -> Settings:
    """Return the settings of ``special:model.yml`` or ``decoder.yml``.

    Raises:
        BundleError: a line that is neither ``name: value`` nor an item of a list, or a name twice.
    """
    settings: Settings = {}
    name = ""
    for number, line in _lines(text):
        if not line.strip() or line.lstrip().startswith("#") or line.rstrip() in ("---", "..."):
            continue
        try:
            if match := _KEY.match(line.rstrip()):
                name = match[1]
                if name in settings:
                    raise ValueError(f"{name} stands in it twice")
                settings[name] = _value(match[2] or "")
            elif name and (line[0] in " \t" or line.startswith("- ")):
                _append(settings, name, line.strip())
            else:
                raise ValueError("is neither 'name: value' nor an item of a list")
        except ValueError as error:
            raise BundleError(f"{place}: line {number} {error}: {line[:60]!r}; is it a file of Marian's?") from None
    return settings


def read_vocabulary(text: str, *, place: str) -> dict[str, int]:
    """Return the ids of a vocabulary, by piece; a JSON object does as well.

    Raises:
        BundleError: a line that is not ``piece: id``, a piece twice, or ids that are not 0, 1, 2 ... each once.
    """
    if text.lstrip().startswith("{"):
        try:
            pairs = cast(list[tuple[str, int]], parse_json(text.encode(), most_values=_MOST_VALUES, pairs=list))
        except ValueError as error:
            raise BundleError(f"{place}: begins like JSON and is none ({str(error)[:100]})") from None
        if not all(type(number) is int for _, number in pairs):
            raise BundleError(f"{place}: must map each piece to its id")
    else:
        pairs = _vocabulary_lines(text, place)
    ids = dict(pairs)
    if len(ids) != len(pairs):
        raise BundleError(f"{place}: a piece stands in it twice; {len(pairs) - len(ids)} in all")
    if not ids or sorted(ids.values()) != list(range(len(ids))):
        raise BundleError(f"{place}: the ids of {len(ids):,} pieces must be 0 to {len(ids) - 1:,}, each once")
    try:
        "".join(ids).encode("utf-8")
    except UnicodeEncodeError:
        raise BundleError(f"{place}: a piece holds half a character (a lone surrogate); the file is damaged") from None
    return ids


def _vocabulary_lines(text: str, place: str) -> list[tuple[str, int]]:
    pairs: list[tuple[str, int]] = []
    waiting: str | None = None  # a long piece stands on a line of its own: "? piece", then ": id"
    for number, line in _lines(text):
        if waiting is None and (not line.strip() or line.rstrip() in ("---", "...")):
            continue
        try:
            if line.startswith("? "):
                waiting = _word(line[2:].rstrip())
                continue
            piece, rest = _split(line) if waiting is None else (waiting, line)
            waiting = None
            match = re.fullmatch(r"\s*:\s*([0-9]{1,9})\s*", rest)
            if match is None:
                raise ValueError("is not 'piece: id'")
        except ValueError as error:
            raise BundleError(f"{place}: line {number} {error}: {line[:60]!r}") from None
        pairs.append((piece, int(match[1])))
    return pairs


def _split(line: str) -> tuple[str, str]:
    """Cut a line after its piece."""
    if quoted := _QUOTED.match(line):
        return _word(quoted[0]), line[quoted.end() :]
    piece, colon, rest = line.rpartition(":")
    return piece, colon + rest


def _value(text: str) -> str | list[str]:
    text = text.strip()
    if text.startswith("["):
        inner = _without_comment(text)
        if not inner.endswith("]"):
            raise ValueError("begins a list and does not end it")
        return [_word(item.strip()) for item in inner[1:-1].split(",") if item.strip()]
    if text[:1] in ("{", "&", "*", "!", "|", ">", "@", "`", "%"):
        raise ValueError("holds YAML that Marian does not write")
    return _word(text)


def _append(settings: Settings, name: str, text: str) -> None:
    """Take an indented line to the setting above it: ``- item``, or a list in brackets, or a word."""
    held = settings[name]
    if text.startswith("- ") or text == "-":
        if isinstance(held, str):
            if held:
                raise ValueError("is an item of what is no list")
            held = settings[name] = []
        held.append(_word(text[1:].strip()))
    elif held == "" and not _KEY.match(text):
        settings[name] = _value(text)
    else:
        raise ValueError("is a table within a table")


def _word(text: str) -> str:
    """Return what a scalar means, its quotation marks undone."""
    quoted = _QUOTED.match(text)
    if quoted is None:
        if text[:1] in ('"', "'"):
            raise ValueError("begins with a quotation mark that is not closed")
        return _without_comment(text)
    if _without_comment(text[quoted.end() :]).strip():
        raise ValueError("goes on after its quotation marks")
    inner = quoted[0][1:-1]
    return inner.replace("''", "'") if quoted[0][0] == "'" else _ESCAPE.sub(_unescaped, inner)


def _unescaped(match: re.Match[str]) -> str:
    if code := match[1] or match[2] or match[3]:
        if int(code, 16) > 0x10FFFF:
            raise ValueError(f"has \\{match[0][1:]}, which is no character")
        return chr(int(code, 16))
    if match[4] not in _ESCAPES:
        raise ValueError(f"has the unknown escape \\{match[4]}")
    return _ESCAPES[match[4]]


def _without_comment(text: str) -> str:
    return _COMMENT.sub("", text).strip()


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines with their numbers; only a line feed ends one, since pieces may hold other separators."""
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        yield number, line.removesuffix("\r")
