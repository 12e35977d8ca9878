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
from pathlib import Path
from typing import BinaryIO, Final

from pellucid.config import InvalidUtf8
from pellucid.errors import DataError
from pellucid.text.compression import NO_COMPRESSION, open_compressed, telling_damage

__all__ = ["BYTE_ORDER_MARK", "MAX_LINE_BYTES", "TOO_LONG", "LineReader", "read_lines", "refuse_other_text"]

MAX_LINE_BYTES: Final = 1 << 24
"""Most bytes of a line, its end aside; never below ``BLOCK_BYTES``."""
BLOCK_BYTES: Final = 1 << 18
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
INVALID: Final = "invalid UTF-8"
NUL: Final = "NUL character"
TOO_LONG: Final = "line too long"
Report = Callable[[int | None, str], None]


def read_lines(path: Path, *, invalid_utf8: InvalidUtf8) -> Iterator[str | None]:
    """Yield the lines of a file without their ends; ``None`` stands for a line left out by the policy ``skip``.

    Raises:
        DataError: the file cannot be read, is empty or damaged, or holds a bad line under ``strict``.
    """
    for block in LineReader(path, invalid_utf8=invalid_utf8).blocks():
        yield from block


def refuse_other_text(name: str | Path, first: bytes) -> None:
    r"""Refuse text whose first bytes, a block or a line, say that it is no UTF-8 with lines that end in ``\n``.

    Raises:
        DataError: it is UTF-16, or its lines end in ``\r`` alone.
    """
    if first[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{name}: the file is UTF-16; save it as UTF-8 (iconv -f UTF-16 -t UTF-8)")
    if b"\n" not in first and b"\r" in first[:-1]:  # the last byte may be the first half of \r\n
        raise DataError(
            f"{name}: its lines end in \\r alone, as old Macintosh programs write them, so that all of it would be one "
            "line; convert it (tr '\\r' '\\n' < OLD > NEW)"
        )


class LineReader:
    """One pass over the lines of a file, and the facts of that pass.

    A line with invalid UTF-8 or a NUL character, or of more than ``MAX_LINE_BYTES``, is a bad line. ``strict``: an
    error. ``replace``: each offending byte becomes U+FFFD. ``skip``: the line becomes ``None``, so that parallel
    files stay aligned; a line that is too long does so under ``replace``, too.

    Args:
        path: the file.
        invalid_utf8: what to do with a bad line.
        report: called with (line from 0, or None for the whole file; what is wrong) instead of raising
            at the first bad line; the line then becomes ``None``.
    """

    def __init__(self, path: Path, *, invalid_utf8: InvalidUtf8, report: Report | None = None) -> None:
        self.path = path
        self.invalid_utf8 = invalid_utf8
        self.num_lines = 0
        self.had_byte_order_mark = False
        self.compression = NO_COMPRESSION
        self.bad_lines: dict[int, str] = {}
        """Reason of every bad line that ``replace`` or ``skip`` met, by line."""
        self._report = report or self._raise
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Digest of the bytes read, after decompression."""
        return self._hash.hexdigest()

    def blocks(self) -> Iterator[list[str | None]]:
        """Yield the lines, many at a time (much faster than one by one).

        Raises:
            DataError: the file cannot be read, is empty or damaged; or a bad line, see the class.
        """
        for raw in self._raw_blocks():
            block = self._too_long() if raw is None else self._decode(raw)
            self.num_lines += len(block)
            yield block
        if self.num_lines == 0:
            raise DataError(f"{self.path}: is empty; give a file with one sentence per line")

    def _raw_blocks(self) -> Iterator[bytes | None]:
        """Yield whole lines, some hundred kilobytes at a time; only the last block may lack its newline.

        None stands for a line that is too long; no more of it than ``MAX_LINE_BYTES`` and a block is in memory.
        """
        pending: list[bytes] = []  # of a line that has begun; joined once, so that long lines stay linear
        size = 0  # of that line, with what was thrown away of it
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
        with telling_damage(self.path, lambda: self.compression, lines=lambda: self.num_lines), self._open() as stream:
            is_first = True
            while chunk := stream.read(BLOCK_BYTES):
                self._hash.update(chunk)
                if is_first:
                    refuse_other_text(self.path, chunk)
                    self.had_byte_order_mark = chunk.startswith(BYTE_ORDER_MARK)
                    chunk, is_first = chunk.removeprefix(BYTE_ORDER_MARK), False
                yield chunk

    def _open(self) -> BinaryIO:
        path = self.path
        if path.is_dir():
            raise DataError(f"{path}: is a folder; give a text file")
        if not path.exists():
            raise DataError(f"{path}: no such file; looked for it at {path.absolute()}")
        if not path.is_file():
            raise DataError(f"{path}: is not a regular file; corpora are read more than once, so write it to disk")
        opened = open_compressed(path)
        self.compression = opened.compression
        return opened.stream

    def _too_long(self) -> list[str | None]:
        told = f"the line has more than {MAX_LINE_BYTES:,} bytes, which is no sentence; cut or remove it"
        if self.invalid_utf8 is InvalidUtf8.STRICT:
            self._report(self.num_lines, f"{told}, or for training set data.invalid_utf8 = 'skip'")
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
        return [self._decode_line(row.removesuffix(b"\r"), self.num_lines + i) for i, row in enumerate(rows)]

    def _decode_line(self, raw: bytes, line: int) -> str | None:
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            reason, detail = INVALID, f"byte {error.start + 1} (0x{raw[error.start]:02x}) is not valid UTF-8"
        else:
            if "\x00" not in text:
                return text
            reason, detail = NUL, f"character {text.index(chr(0)) + 1} is a NUL character"
        if self.invalid_utf8 is InvalidUtf8.STRICT:
            self._report(
                line,
                f"{detail}; mend the file (is it UTF-8?), or for training set data.invalid_utf8 = 'replace' or 'skip'",
            )
            return None
        self.bad_lines[line] = reason
        if self.invalid_utf8 is InvalidUtf8.SKIP:
            return None
        return raw.decode("utf-8", errors="replace").replace("\x00", "\ufffd")

    def _raise(self, line: int | None, problem: str) -> None:
        place = f"{self.path}" if line is None else f"{self.path}, line {line + 1}"
        raise DataError(f"{place}: {problem}")
