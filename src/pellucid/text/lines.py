r"""Read the lines of one text file exactly, compressed or not; what was wrong is said with file and line.

A line ends at the byte ``\n`` and nowhere else (``str.splitlines`` also breaks at U+2028, U+0085,
``\x0b`` and others, and would shift every later pair of a parallel corpus); one ``\r`` before it is
stripped, and so is a byte order mark at the start of the file. A file without ``\n`` whose lines end in ``\r``
alone is refused, and a line of more than ``MAX_LINE_BYTES`` is a bad line, so that memory stays bounded.
Lines are counted from 0 in records and from 1 in messages. Read ``corpus.py`` next.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final

from pellucid.config import InvalidUtf8
from pellucid.errors import DataError, counted
from pellucid.text.compression import NO_COMPRESSION, Opened, open_compressed, telling_damage
from pellucid.text.formats.content import LINES_NEVER_ARE, SHOWN, kind_of
from pellucid.text.formats.encodings import is_other_encoding, is_utf8, looks_like
from pellucid.text.normalisation import nul_in

__all__ = [
    "BYTE_ORDER_MARK",
    "FOR_TRAINING",
    "MAX_LINE_BYTES",
    "TOO_LONG",
    "LineReader",
    "Report",
    "ends_within_a_line",
    "open_text",
    "place_of",
    "read_lines",
    "refuse_other_encoding",
    "refuse_other_text",
    "sample_of_bad_lines",
]

MAX_LINE_BYTES: Final = 1 << 24
"""Largest line in bytes, without its end; never below ``BLOCK_BYTES``."""
BLOCK_BYTES: Final = 1 << 18
_LOOKED_AT: Final = 1_000_000
_SAMPLE_LINES: Final = 200
_SAMPLE_BYTES: Final = 1 << 14
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
INVALID: Final = "invalid UTF-8"
NUL: Final = "NUL character"
TOO_LONG: Final = "line too long"
FOR_TRAINING: Final = "or for training set data.invalid_utf8 = {}"
"""The part of messages that says how to set a policy."""
Report = Callable[[int | None, str], None]


def read_lines(path: Path, *, invalid_utf8: InvalidUtf8) -> Iterator[str | None]:
    """Yield the lines of a file without their ends; ``None`` stands for a skipped line.

    Raises:
        DataError: the file cannot be read, is empty or damaged, or has a bad line under ``strict``.
    """
    for block in LineReader(path, invalid_utf8=invalid_utf8).blocks():
        yield from block


def refuse_other_text(name: str | Path, first: bytes) -> None:
    r"""Refuse what by its first bytes, a block or a line, is not UTF-8 with lines that end in ``\n``.

    Raises:
        DataError: the text is UTF-16, or its lines end in ``\r`` alone; or it is plainly of another format.
    """
    if first[:2] in _UTF16_MARKS:
        raise DataError(f"{name}: the file is UTF-16; save it as UTF-8 (iconv -f UTF-16 -t UTF-8)")
    if (kind := kind_of(first)) in LINES_NEVER_ARE:
        raise DataError(
            f"{name}: its content is {SHOWN[kind]}, not lines of text; give the file the ending of its format, or save "
            "it as text"
        )
    if b"\n" not in first and b"\r" in first[:-1]:  # the last byte may be the first half of \r\n
        raise DataError(
            f"{name}: its lines end in \\r alone, as in files of old Macintosh programs, so it would be a single line; "
            "convert it (tr '\\r' '\\n' < OLD > NEW)"
        )


def refuse_other_encoding(name: str | Path, block: bytes) -> None:
    """Refuse a file whose first lines are mostly in another encoding; a few damaged lines are no reason.

    Raises:
        DataError: the message says what the text looks like.
    """
    if block[:2] in _UTF16_MARKS:  # refused in other words when it is read
        return
    lines = [line for line in block.split(b"\n") if not line.isascii()]
    bad = [line for line in lines if not is_utf8(line)]
    if not is_other_encoding(bad_lines=len(bad), good_lines=len(lines) - len(bad)):
        return
    number = 1 + block[: block.index(bad[0])].count(b"\n")
    raise DataError(
        f"{name}, line {number:,}: is not valid UTF-8, like {len(bad):,} of the first {counted(len(lines), 'line')} "
        f"with characters beyond ASCII{looks_like(block)}; save the file as UTF-8"
    )


def sample_of_bad_lines(path: Path) -> bytes:
    """Return some lines of a file that are not UTF-8, for a guess; nothing where there are none."""
    found: list[bytes] = []
    with open_text(path) as opened:
        for line in islice(iter(lambda: opened.stream.readline(_SAMPLE_BYTES), b""), _LOOKED_AT):
            if not is_utf8(line):
                found.append(line)
                if len(found) == _SAMPLE_LINES:
                    break
    return b"".join(found)


def ends_within_a_line(path: Path) -> bool:
    """Return whether the last line of a file has no line end; a compressed file is read to its end."""
    last = b""
    with open_text(path) as opened:
        if opened.compression == NO_COMPRESSION:
            opened.stream.seek(max(0, path.stat().st_size - 1))
        while chunk := opened.stream.read(BLOCK_BYTES):
            last = chunk[-1:]
    return last not in (b"", b"\n", b"\r")


def place_of(path: Path, line: int | None) -> str:
    """Return how messages name a line (counted from 0) of a file, or the whole file for None."""
    return f"{path}" if line is None else f"{path}, line {line + 1}"


@contextmanager
def open_text(path: Path) -> Iterator[Opened]:
    """Open a regular file of text, compressed or not.

    Raises:
        DataError: it is missing or no regular file, or its compression is not supported.
        OSError: it cannot be opened.
    """
    if path.is_dir():
        raise DataError(f"{path}: is a folder; give a text file")
    if not path.exists():
        raise DataError(f"{path}: no such file; the absolute path is {path.absolute()}")
    if not path.is_file():
        raise DataError(f"{path}: is not a regular file; training reads a corpus more than once, so save it as a file")
    opened = open_compressed(path)
    with opened.stream:
        yield opened


class LineReader:
    """One pass over the lines of a file, and the facts of that pass.

    A bad line has invalid UTF-8, a NUL character, or more than ``MAX_LINE_BYTES``. ``strict`` raises an error.
    ``replace`` turns each invalid byte into U+FFFD. ``skip`` turns the line into ``None``, so that parallel files stay
    aligned; ``replace`` does the same with a line that is too long.

    Args:
        path: the file.
        invalid_utf8: the policy for bad lines.
        report: called with (line from 0, or None for the whole file; problem) instead of raising at the first bad line,
            which then becomes ``None``.
        option: the part of messages that says how to set a policy, with ``{}`` in its place.
    """

    def __init__(
        self, path: Path, *, invalid_utf8: InvalidUtf8, report: Report | None = None, option: str = FOR_TRAINING
    ) -> None:
        self.path = path
        self.invalid_utf8 = invalid_utf8
        self.num_lines = 0
        self.compression = NO_COMPRESSION
        self.bad_lines: dict[int, str] = {}
        """The reason of every bad line under ``replace`` or ``skip``, by line."""
        self.report = report or self._raise
        self._option = option
        self._has_guessed = False
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Digest of the bytes read, after decompression."""
        return self._hash.hexdigest()

    def blocks(self) -> Iterator[list[str | None]]:
        """Yield the lines in lists of many, which is much faster than one by one.

        Raises:
            DataError: the file cannot be read, is empty or damaged, or has a bad line under ``strict``.
        """
        for raw in self._raw_blocks():
            block = self._too_long() if raw is None else self._decode(raw)
            self.num_lines += len(block)
            yield block
        if self.num_lines == 0:
            raise DataError(f"{self.path}: is empty; give a file with one sentence per line")

    def _raw_blocks(self) -> Iterator[bytes | None]:
        """Yield whole lines in blocks of some hundred kilobytes; only the last block can lack its newline.

        None stands for a line that is too long. At most ``MAX_LINE_BYTES`` and a block are in memory.
        """
        pending: list[bytes] = []  # the parts of an incomplete line, joined once so that long lines take linear time
        size = 0  # of that line, with the parts that were dropped
        for chunk in self._chunks():
            head, newline, tail = chunk.rpartition(b"\n")
            if newline:
                first, more, rest = head.partition(b"\n")
                if size + len(first) > MAX_LINE_BYTES:
                    yield None
                    if more:
                        yield rest + newline
                else:
                    yield b"".join((*pending, head, newline))
                pending, size = [], 0
            size += len(tail)
            pending.append(tail)
            if size > MAX_LINE_BYTES:
                pending = []
        if size:
            yield None if size > MAX_LINE_BYTES else b"".join(pending)

    def _chunks(self) -> Iterator[bytes]:
        """Yield the plain bytes of the file without its byte order mark."""
        with (
            telling_damage(self.path, lambda: self.compression, lines=lambda: self.num_lines),
            open_text(self.path) as opened,
        ):
            self.compression, stream = opened.compression, opened.stream
            is_first = True
            while chunk := stream.read(BLOCK_BYTES):
                self._hash.update(chunk)
                if is_first:
                    refuse_other_text(self.path, chunk)
                    chunk, is_first = chunk.removeprefix(BYTE_ORDER_MARK), False
                yield chunk

    def _too_long(self) -> list[str | None]:
        problem = f"the line has more than {MAX_LINE_BYTES:,} bytes, the limit; cut or remove it"
        if self.invalid_utf8 is InvalidUtf8.STRICT:
            option = self._option.format("'skip'")
            self.report(self.num_lines, f"{problem}, {option}")
        else:
            self.bad_lines[self.num_lines] = TOO_LONG
        return [None]

    def _decode(self, raw: bytes) -> list[str | None]:
        if b"\x00" in raw:
            return self._decode_each(raw)
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            return self._decode_each(raw)
        lines = text.removesuffix("\n").split("\n")
        if "\r" in text:
            lines = [line.removesuffix("\r") for line in lines]
        return list(lines)

    def _decode_each(self, raw: bytes) -> list[str | None]:
        rows = raw.removesuffix(b"\n").split(b"\n")
        return [self._decode_line(row.removesuffix(b"\r"), self.num_lines + i, raw) for i, row in enumerate(rows)]

    def _decode_line(self, raw: bytes, line: int, block: bytes) -> str | None:
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            reason, detail = INVALID, f"byte {error.start + 1} (0x{raw[error.start]:02x}) is not valid UTF-8"
        else:
            problem = nul_in(text)
            if problem is None:
                return text
            reason, detail = NUL, problem
        if self.invalid_utf8 is InvalidUtf8.STRICT:
            guess = "" if self._has_guessed else looks_like(block)
            self._has_guessed = True
            others = self._option.format("'replace' or 'skip'")
            self.report(line, f"{detail}{guess}; correct the file or save it as UTF-8, {others}")
            return None
        self.bad_lines[line] = reason
        if self.invalid_utf8 is InvalidUtf8.SKIP:
            return None
        return raw.decode("utf-8", errors="replace").replace("\x00", "\ufffd")

    def _raise(self, line: int | None, problem: str) -> None:
        raise DataError(f"{place_of(self.path, line)}: {problem}")
