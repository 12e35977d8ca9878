r"""Read the lines of one text file exactly: plain, gzip or xz; what was wrong is said with file and line.

A line ends at the byte ``\n`` and nowhere else (``str.splitlines`` also breaks at U+2028, U+0085,
``\x0b`` and others, and would shift every later pair of a parallel corpus); one ``\r`` before it is
stripped, and so is a byte order mark at the start of the file. The first bytes of a file decide
whether it is compressed, not its name. Lines are counted from 0 in records and from 1 in messages.
Read ``corpus.py`` next.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, cast

from pellucid.config import InvalidUtf8
from pellucid.errors import DataError

__all__ = ["LineReader", "read_lines"]

BLOCK_BYTES: Final = 1 << 18
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
INVALID: Final = "invalid UTF-8"
NUL: Final = "NUL character"
_BY_SUFFIX: Final = {".gz": "gzip", ".xz": "xz"}
Report = Callable[[int | None, str], None]


def read_lines(path: Path, *, invalid_utf8: InvalidUtf8) -> Iterator[str | None]:
    """Yield the lines of a file without their ends; ``None`` stands for a line left out by the policy ``skip``.

    Raises:
        DataError: the file cannot be read, is empty or damaged, or holds a bad line under ``strict``.
    """
    for block in LineReader(path, invalid_utf8=invalid_utf8).blocks():
        yield from block


class LineReader:
    """One pass over the lines of a file, and the facts of that pass.

    A line with invalid UTF-8 or a NUL character is a bad line. ``strict``: an error. ``replace``: each
    offending byte becomes U+FFFD. ``skip``: the line becomes ``None``, so that parallel files stay aligned.

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
        self.compression = "none"
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
            block = self._decode(raw)
            self.num_lines += len(block)
            yield block
        if self.num_lines == 0:
            raise DataError(f"{self.path}: is empty; give a file with one sentence per line")

    def _raw_blocks(self) -> Iterator[bytes]:
        """Yield whole lines, some hundred kilobytes at a time; only the last block may lack its newline."""
        pending: list[bytes] = []
        try:
            with self._open() as stream:
                is_first = True
                while chunk := stream.read(BLOCK_BYTES):
                    self._hash.update(chunk)
                    if is_first:
                        chunk, is_first = self._without_mark(chunk), False
                    head, newline, tail = chunk.rpartition(b"\n")
                    if newline:
                        pending.append(head + newline)
                        yield b"".join(pending)
                        pending = []
                    if tail:
                        pending.append(tail)  # joined once, so that a line of many megabytes stays linear
        except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
            raise DataError(
                f"{self.path}: the {self.compression} data is truncated or damaged after line "
                f"{self.num_lines:,} ({error}); fetch or compress the file again"
            ) from None
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read: {error.strerror or error}") from None
        if pending:
            yield b"".join(pending)

    def _without_mark(self, chunk: bytes) -> bytes:
        self.had_byte_order_mark = chunk.startswith(BYTE_ORDER_MARK)
        if chunk[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise DataError(f"{self.path}: the file is UTF-16; save it as UTF-8 (iconv -f UTF-16 -t UTF-8)")
        return chunk.removeprefix(BYTE_ORDER_MARK)

    def _open(self) -> BinaryIO:
        path = self.path
        if path.is_dir():
            raise DataError(f"{path}: is a folder; give a text file")
        if not path.exists():
            raise DataError(f"{path}: no such file; looked for it at {path.absolute()}")
        if not path.is_file():
            raise DataError(f"{path}: is not a regular file; corpora are read more than once, so write it to disk")
        with path.open("rb") as stream:
            magic = stream.read(6)
        if magic.startswith(b"\x1f\x8b"):
            self.compression = "gzip"
            return cast(BinaryIO, gzip.open(path, "rb"))
        if magic.startswith(b"\xfd7zXZ\x00"):
            self.compression = "xz"
            return cast(BinaryIO, lzma.open(path, "rb"))
        if magic and (expected := _BY_SUFFIX.get(path.suffix)):
            raise DataError(
                f"{path}: is named {path.suffix} but its first bytes are not {expected} data; rename it if it is "
                "plain text, or fetch it again"
            )
        return path.open("rb")

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
