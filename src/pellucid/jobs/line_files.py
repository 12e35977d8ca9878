r"""Read lines as they come, from a file or standard input; write a file so that it is there whole or not at all.

Only the byte ``\n`` ends a line, as in ``text/lines.py``, which reads corpora: those are read more than once
and block by block, and a bad line ends the work; here a line is read once, alone, and fails alone. Many lines
wait together for their translation, so that they may be less long here. Read ``translate.py`` next.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO, Final, TextIO

from pellucid.durable import draft_of, naming
from pellucid.errors import ConfigError, DataError
from pellucid.jobs.packing import Packer, packer_of
from pellucid.terminal import shown_on
from pellucid.text.compression import NO_COMPRESSION, open_compressed, refuse_packed_stream, telling_damage
from pellucid.text.lines import BYTE_ORDER_MARK, refuse_other_text

__all__ = ["MAX_LINE_BYTES", "LineSource", "is_stream", "reading", "writing"]

MAX_LINE_BYTES: Final = 1 << 20
"""Most bytes of a line, its end aside."""


@dataclass(frozen=True)
class LineSource:
    """An open stream of bytes, and its name for messages."""

    stream: BinaryIO
    name: str
    status: os.stat_result | None
    """Of the file behind the stream, where there is one."""
    compression: str = NO_COMPRESSION

    def lines(self) -> Iterator[str | ValueError]:
        r"""Yield each line as text, or an error that says why it is none.

        Raises:
            DataError: the stream is not UTF-8 with lines that end in ``\n``, is compressed and no regular file, is
                damaged, or cannot be read.
        """
        number = 0
        with telling_damage(self.name, lambda: self.compression, lines=lambda: number):
            while raw := self.stream.readline(MAX_LINE_BYTES + 1):
                line = raw if number else self._without_mark(raw)
                number += 1
                if len(raw) > MAX_LINE_BYTES and not raw.endswith(b"\n"):
                    yield self._too_long(len(raw))
                else:
                    yield _decoded(line.removesuffix(b"\n").removesuffix(b"\r"))

    def _without_mark(self, raw: bytes) -> bytes:
        refuse_packed_stream(self.name, raw)
        refuse_other_text(self.name, raw)
        return raw.removeprefix(BYTE_ORDER_MARK)

    def _too_long(self, length: int) -> ValueError:
        """Read on to the end of a line of which ``length`` bytes are read, and keep nothing of it."""
        while rest := self.stream.readline(MAX_LINE_BYTES):
            length += len(rest.removesuffix(b"\n"))
            if rest.endswith(b"\n"):
                break
        return ValueError(f"the line has {length:,} bytes, and {MAX_LINE_BYTES:,} are allowed; cut it into sentences")


def _decoded(line: bytes) -> str | ValueError:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        place = f"byte {error.start + 1} (0x{line[error.start]:02x})"
        return ValueError(f"{place} is not valid UTF-8; mend the line, or save the file as UTF-8")
    if "\x00" in text:
        return ValueError(f"character {text.index(chr(0)) + 1} is a NUL character; remove it")
    return text


@contextmanager
def reading(file: str) -> Iterator[LineSource]:
    """Open a text file, compressed or not, or standard input for ``-``.

    Raises:
        DataError: there is nothing to read from, or it is compressed in a way that cannot be read here.
    """
    if file == "-":
        if sys.stdin is None:
            raise DataError("standard input is closed; name a text file")
        yield LineSource(sys.stdin.buffer, "standard input", _status_of(sys.stdin))
        return
    if not file:
        raise DataError("the name of the text file is empty; name a file, or - for standard input")
    try:
        opened = open_compressed(Path(file))
    except FileNotFoundError:
        raise DataError(f"{file}: no such file; name a text file, or - for standard input") from None
    except IsADirectoryError:
        raise DataError(f"{file}: is a folder; name a text file, or - for standard input") from None
    except PermissionError:
        raise DataError(f"{file}: may not be read; check its permissions") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: cannot be read: {error}") from None
    with opened.stream as stream:
        yield LineSource(stream, file, Path(file).stat(), opened.compression)


@contextmanager
def writing(output: Path | None, *, sources: Sequence[LineSource]) -> Iterator[TextIO]:
    """Open standard output, or a file that takes its name only when all of it is written.

    The file is compressed as its name says. A special file (a pipe, ``/dev/stdout``) is written to directly; a terminal
    gets control characters spelt out.

    Raises:
        ConfigError: it cannot be written, is a file that is read, or has the name of a compression that is not
            written.
        OSError: writing fails, as on a full disk; ``filename`` is set.
    """
    if output is None:
        if sys.stdout is None:
            raise ConfigError("standard output is closed; give --output FILE")
        with naming("standard output"):
            yield shown_on(sys.stdout)
        return
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
        raise ConfigError(f"--output {output} is the file that is read; name another file")
    if not is_special and status is not None and not os.access(target, os.W_OK):
        raise ConfigError(f"{output}: may not be written; check its permissions")
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
    """Open a file for text; the stack closes what was opened, the innermost last."""
    file = stack.enter_context(path.open("wb"))
    stream = stack.enter_context(pack(file)) if pack is not None else file
    # newline="": a line ends with one \n on every system.
    return stack.enter_context(TextIOWrapper(stream, encoding="utf-8", newline=""))


def is_stream(output: Path) -> bool:
    """Return whether what is written there is out at once (a pipe, ``/dev/stdout``), not a file that is made whole."""
    return (output.exists() and not output.is_file()) or output.is_relative_to("/dev")


def _status_of(stream: TextIO) -> os.stat_result | None:
    try:
        return os.fstat(stream.fileno())
    except (OSError, ValueError):  # not a stream of the system
        return None
