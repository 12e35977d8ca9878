"""What an input file is, found in one pass before any work; and its lines in parts, in a second pass.

Parts are cut by the content alone, so that every run of the same command cuts in the same places. Read ``folder.py``
next.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final, cast

from pellucid.durable import can_be_name
from pellucid.errors import DataError
from pellucid.jobs.bulk.table import open_column
from pellucid.jobs.line_files import LineSource, reading
from pellucid.text.compression import telling_damage

__all__ = ["Line", "Part", "Survey", "can_be_read_twice", "parts_of", "survey_of"]

PART_BYTES: Final = 4 << 20
"""A part ends after the line that reaches this many bytes, so that long lines do not fill the memory."""
_BLOCK_BYTES: Final = 1 << 20

Line = tuple[str | ValueError, ...]
"""A line of each input: its text, or what is wrong with it."""


@dataclass(frozen=True)
class Survey:
    """A file as it was when it was surveyed; ``sha256`` and ``bytes`` are those of its plain text."""

    file: str
    sha256: str
    bytes: int
    lines: int
    status: tuple[int, ...]
    """Changes when somebody writes to the file."""
    column: str | None = None
    """Of a Parquet file: the column whose rows are the lines."""

    def facts(self) -> dict[str, object]:
        """Return what a translation depends on, and the name for people."""
        left_out = {"status"} if self.column is not None else {"status", "column"}
        return {name: value for name, value in asdict(self).items() if name not in left_out}

    def refuse_change(self) -> None:
        """Refuse to go on if the file was written to and is not what it was.

        Raises:
            DataError: it has other content.
        """
        if _status_of(self.file) != self.status and survey_of(self.file, column=self.column).sha256 != self.sha256:
            raise DataError(changed(self.file))


def changed(file: str) -> str:
    """Return the message for a file whose content changed."""
    return (
        f"{file}: was changed while it was translated. Finished parts are of its old content: put that back and give "
        "the same command again, or begin again with --restart"
    )


def can_be_read_twice(file: str) -> bool:
    """Return whether an input is a regular file; standard input and pipes are not."""
    return file != "-" and can_be_name(file) and Path(file).is_file()


@contextmanager
def _opened(file: str, column: str | None) -> Iterator[LineSource]:
    if column is None:
        with reading(file) as source:
            yield source
    else:
        with open_column(file, column) as stream:
            yield LineSource(stream, file, None)


def survey_of(file: str, *, column: str | None = None) -> Survey:
    """Read a file once; of a Parquet file, a column.

    Raises:
        DataError: it cannot be read, or its compressed data is damaged.
    """
    digest, size, feeds, last = hashlib.sha256(), 0, 0, b"\n"
    with _opened(file, column) as source:
        status = _status_of(file)
        with telling_damage(source.name, lambda: source.compression, lines=lambda: feeds):
            while block := source.stream.read(_BLOCK_BYTES):
                digest.update(block)
                size += len(block)
                feeds += block.count(b"\n")
                last = block[-1:]
    return Survey(file, digest.hexdigest(), size, feeds + (last != b"\n"), status, column)


def _status_of(file: str) -> tuple[int, ...]:
    try:
        status = Path(file).stat()
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from None
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{file}: is no longer a regular file")
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev


@dataclass(frozen=True)
class Part:
    """Some lines that follow each other."""

    number: int
    """From 1."""
    first_line: int
    """Number of its first line in the file, from 1."""
    lines: tuple[Line, ...]
    source_sha256: str
    """Of the bytes of its lines."""


def parts_of(surveys: Sequence[Survey], *, most_lines: int) -> Iterator[Part]:
    """Yield the parts of one file, or of several with equal numbers of lines.

    Raises:
        DataError: a file is not what it was when it was surveyed, or cannot be read.
    """
    with ExitStack() as opened:
        sources = [opened.enter_context(_opened(survey.file, survey.column)) for survey in surveys]
        streams = [_HashedStream(source.stream) for source in sources]
        hashed = [replace(source, stream=cast(BinaryIO, s)) for source, s in zip(sources, streams, strict=True)]
        rows = zip(*(source.lines() for source in hashed), strict=False)
        number, first = 1, 1
        while lines := _next_lines(rows, streams, most_lines):
            for survey in surveys:
                survey.refuse_change()
            yield Part(number, first, tuple(lines), _joint([stream.take_sha256() for stream in streams]))
            number, first = number + 1, first + len(lines)
        for survey, source, stream in zip(surveys, sources, streams, strict=True):
            while stream.readline(_BLOCK_BYTES):  # lines that a file has now, and the other has not
                pass
            if stream.whole.hexdigest() != survey.sha256:
                raise DataError(changed(source.name))


def _next_lines(rows: Iterator[Line], streams: Sequence[_HashedStream], most_lines: int) -> list[Line]:
    lines: list[Line] = []
    while len(lines) < most_lines and sum(stream.taken_bytes for stream in streams) < PART_BYTES:
        try:
            lines.append(next(rows))
        except StopIteration:
            break
    return lines


def _joint(sums: Sequence[str]) -> str:
    return sums[0] if len(sums) == 1 else hashlib.sha256(" ".join(sums).encode()).hexdigest()


class _HashedStream:
    """A stream that is read by lines and knows the SHA-256 of what was read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._part = hashlib.sha256()
        self.whole = hashlib.sha256()
        self.taken_bytes = 0
        """Since the last ``take_sha256``."""

    def readline(self, limit: int) -> bytes:
        """Read a line, or the first ``limit`` bytes of it."""
        read = self._stream.readline(limit)
        self._part.update(read)
        self.whole.update(read)
        self.taken_bytes += len(read)
        return read

    def take_sha256(self) -> str:
        """Return the SHA-256 of what was read since the last call."""
        found, self._part, self.taken_bytes = self._part.hexdigest(), hashlib.sha256(), 0
        return found
