r"""Read lines one by one from a file or standard input; write an output file that appears complete or not at all.

Only the byte ``\n`` ends a line, as in ``text/lines.py``. That file reads corpora in blocks, more than once, and stops
at a bad line; here each line is read once, and a bad line does not stop the others. The limit on the length of a line
is lower here, because many lines wait in memory for their translation. Read ``translate.py`` next.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import BinaryIO, Final, TextIO

from pellucid.durable import can_be_name, draft_of, naming
from pellucid.errors import ConfigError, DataError, counted
from pellucid.terminal import shown_on
from pellucid.text.compression import (
    NO_COMPRESSION,
    Packer,
    open_compressed,
    packer_of,
    refuse_packed_stream,
    telling_damage,
)
from pellucid.text.formats.content import kind_of
from pellucid.text.formats.encodings import looks_like
from pellucid.text.lines import BYTE_ORDER_MARK, refuse_other_encoding, refuse_other_text
from pellucid.text.normalisation import nul_in

__all__ = [
    "MAX_LINE_BYTES",
    "BadLine",
    "LineSource",
    "check_files",
    "check_output",
    "is_stream",
    "is_text",
    "reading",
    "writing",
]

_LOOKED_AT_BYTES: Final = 1 << 18
MAX_LINE_BYTES: Final = 1 << 20
"""Limit on the bytes of a line, without its end."""


class BadLine(ValueError):
    """Why a line is no text, and what is left of it with U+FFFD in place of what is not."""

    def __init__(self, problem: str, replaced: str) -> None:
        super().__init__(problem)
        self.replaced = replaced


@dataclass(frozen=True)
class LineSource:
    """An open stream of bytes, and its name for messages."""

    stream: BinaryIO
    name: str
    status: os.stat_result | None
    """Status of the file behind the stream; None without a file."""
    compression: str = NO_COMPRESSION

    def lines(self, *, with_ends: bool = False) -> Iterator[str | ValueError]:
        r"""Yield each line as text, or an error that says what is wrong with it.

        With their ends, and a byte order mark at the start of the first, lines together are the whole file.

        Raises:
            DataError: the stream is in another encoding, is compressed but not a regular file, is damaged, or cannot
                be read.
        """
        number = 0
        with telling_damage(self.name, lambda: self.compression, lines=lambda: number):
            has_guessed = False
            while raw := self.stream.readline(MAX_LINE_BYTES + 1):
                line = raw if number else self._without_mark(raw)
                number += 1
                whole = raw if with_ends else line.removesuffix(b"\n").removesuffix(b"\r")
                if len(raw) > MAX_LINE_BYTES and not raw.endswith(b"\n"):
                    yield self._too_long(len(raw))
                else:
                    yield (text := _decoded(whole, guesses=not has_guessed))
                    has_guessed |= isinstance(text, ValueError)

    def _without_mark(self, raw: bytes) -> bytes:
        refuse_packed_stream(self.name, raw)
        refuse_other_text(self.name, raw)
        return raw.removeprefix(BYTE_ORDER_MARK)

    def _too_long(self, length: int) -> ValueError:
        """Skip the rest of a line whose first ``length`` bytes are read, and return the error."""
        while rest := self.stream.readline(MAX_LINE_BYTES):
            length += len(rest.removesuffix(b"\n"))
            if rest.endswith(b"\n"):
                break
        return ValueError(f"the line has {counted(length, 'byte')}, limit {MAX_LINE_BYTES:,}; split it into sentences")


def _decoded(line: bytes, *, guesses: bool) -> str | ValueError:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        place = f"byte {error.start + 1} (0x{line[error.start]:02x})"
        guess = looks_like(line) if guesses else ""
        problem = f"{place} is not valid UTF-8{guess}; correct the line, or save the file as UTF-8"
        text = line.decode("utf-8", errors="replace")
    else:
        if (found := nul_in(text)) is None:
            return text
        problem = f"{found}; remove it"
    return BadLine(problem, text.replace("\x00", "\ufffd"))


def is_text(file: str) -> bool:
    """Return whether an argument for an input file is a text itself: it has white space, and is no file's name."""
    return len(file.split()) > 1 and not (can_be_name(file) and Path(file).exists())


@contextmanager
def reading(file: str, *, what: str = "a text file", may_be_text: bool = False) -> Iterator[LineSource]:
    """Open a text file, compressed or not, or standard input for ``-``; ``what`` says what is expected.

    With ``may_be_text`` the argument can be the text itself; see ``is_text``.

    Raises:
        DataError: the file cannot be opened, or its compression is not supported.
    """
    if file == "-":
        if sys.stdin is None:
            raise DataError(f"standard input is closed; name {what}")
        yield LineSource(sys.stdin.buffer, "standard input", _status_of(sys.stdin))
        return
    if may_be_text and is_text(file):
        yield LineSource(BytesIO(file.encode("utf-8", errors="surrogateescape")), "the text", None)
        return
    if not file:
        raise DataError(f"the name of a file is empty; name {what}, or - for standard input")
    try:
        opened = open_compressed(Path(file))
    except FileNotFoundError:
        raise DataError(f"{file}: no such file; name {what}, or - for standard input") from None
    except IsADirectoryError:
        raise DataError(f"{file}: is a folder; name {what}, or - for standard input") from None
    except PermissionError:
        raise DataError(f"{file}: is not readable; check its permissions") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: cannot be read: {error}") from None
    with opened.stream as stream:
        yield LineSource(stream, file, Path(file).stat(), opened.compression)


def _refuse_other_encoding(file: str) -> None:
    """Refuse a file whose beginning is in another encoding: line by line, all that is not ASCII would fail."""
    opened = open_compressed(Path(file))
    with opened.stream as stream, telling_damage(file, lambda: opened.compression, lines=lambda: 0):
        block = stream.read(_LOOKED_AT_BYTES)
    if not kind_of(block):
        refuse_other_encoding(file, block if len(block) < _LOOKED_AT_BYTES else block.rpartition(b"\n")[0])


def check_files(files: Sequence[str], output: Path | None, *, may_be_text: bool = False) -> None:
    """Refuse inputs that cannot be read and an output that cannot be written, before any work.

    With ``may_be_text`` the first argument can be the text itself. A pipe is not opened, because its writer may fail
    once a reader has left it.

    Raises:
        DataError: an input cannot be opened, or is in another encoding than UTF-8.
        ConfigError: see ``check_output``; or standard output is needed and closed.
    """
    with ExitStack() as opened:
        named = [file for number, file in enumerate(files) if number or not (may_be_text and is_text(file))]
        sources = [opened.enter_context(reading(file)) for file in named if file == "-" or not Path(file).is_fifo()]
        for file in named:
            if file != "-" and Path(file).is_file():
                _refuse_other_encoding(file)
        if output is not None:
            check_output(output, sources=sources)
        elif sys.stdout is None:
            raise ConfigError("standard output is closed; give --output FILE")


def check_output(output: Path, *, sources: Sequence[LineSource]) -> tuple[Path, os.stat_result | None]:
    """Refuse an output file that could not be written at the end.

    Returns:
        The file behind the name, and its status if it exists.

    Raises:
        ConfigError: the file is a folder, is not writable or in no folder, is also an input, or has the ending of an
            unsupported compression.
    """
    try:
        target = output.resolve()
        status = output.stat() if output.exists() else None
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(f"{output}: cannot be written: {error}") from None
    if status is not None and stat.S_ISDIR(status.st_mode):
        raise ConfigError(f"{output}: is a folder; name a file with --output")
    is_special = is_stream(output)
    read = [source.status for source in sources if source.status is not None]
    if status is not None and not is_special and any(os.path.samestat(status, other) for other in read):
        raise ConfigError(f"--output {output} is also the input; name another file")
    if not is_special and status is not None and not os.access(target, os.W_OK):
        raise ConfigError(f"{output}: is not writable; check its permissions")
    if not is_special and not target.parent.is_dir():
        raise ConfigError(f"{output}: cannot be written: there is no folder {target.parent}; create it")
    packer_of(output)
    return target, status


@contextmanager
def writing(output: Path | None, *, sources: Sequence[LineSource]) -> Iterator[TextIO]:
    """Open standard output, or a file that gets its name only when it is complete.

    The end of the name decides the compression. A special file (a pipe, ``/dev/stdout``) is written to directly; on a
    terminal, control characters are spelt out.

    Raises:
        ConfigError: the file cannot be written, is also an input, or has the ending of an unsupported compression.
        OSError: writing fails, as on a full disk; ``filename`` is set.
    """
    if output is None:
        if sys.stdout is None:
            raise ConfigError("standard output is closed; give --output FILE")
        with naming("standard output"):
            yield shown_on(sys.stdout)
        return
    target, status = check_output(output, sources=sources)
    is_special = is_stream(output)
    pack = packer_of(output)
    with ExitStack() as stack:
        stack.enter_context(naming(str(output)))
        try:
            path = output if is_special else stack.enter_context(draft_of(target, may_replace=True))
            sink = _text_to(path, pack, stack)
        except OSError as error:
            raise ConfigError(f"{output}: cannot be written in that folder: {error.strerror or error}") from None
        yield shown_on(sink)
        if status is not None and not is_special:
            path.chmod(stat.S_IMODE(status.st_mode))


def _text_to(path: Path, pack: Packer | None, stack: ExitStack) -> TextIO:
    """Open a file for text; the stack closes the file after the streams that wrap it."""
    file = stack.enter_context(path.open("wb"))
    stream = stack.enter_context(pack(file)) if pack is not None else file
    # newline="": a line ends with one \n on every system.
    return stack.enter_context(TextIOWrapper(stream, encoding="utf-8", newline=""))


def is_stream(output: Path) -> bool:
    """Return whether output goes there directly (a pipe, ``/dev/stdout``) instead of to a draft of the file."""
    return (output.exists() and not output.is_file()) or output.is_relative_to("/dev")


def _status_of(stream: TextIO) -> os.stat_result | None:
    try:
        return os.fstat(stream.fileno())
    except (OSError, ValueError):  # not a stream of the system
        return None
