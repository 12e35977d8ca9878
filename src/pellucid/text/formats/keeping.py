"""Parse each file of a run once: inside of ``parsing_once``, its units are kept on disk for the passes that follow.

A run goes over its text to verify it, to clean it, to learn pieces and to store tokens. Memory holds one unit; the kept
units are in files without a name, which end with the block or with the process. Read ``markup.py`` next.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Generator, Hashable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from pellucid.text.formats.units import FileTally

__all__ = ["Draft", "KeptPass", "KeptUnits", "kept_units", "parsing_once"]

Row = tuple[str, str, int, int]
"""Source, target, line and document."""

_KEPT: Final[ContextVar[KeptUnits | None]] = ContextVar("kept units", default=None)


@contextmanager
def parsing_once(folder: Path) -> Iterator[None]:
    """Keep the units of every file that is parsed inside of the block, on the disk of ``folder``, which need not exist.

    Raises:
        OSError: the disk has no room for them.
    """
    place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    with ExitStack() as files:
        before = _KEPT.set(KeptUnits(place, files))
        try:
            yield
        finally:
            _KEPT.reset(before)


def kept_units() -> KeptUnits | None:
    """Return what is kept; None outside of ``parsing_once``."""
    return _KEPT.get()


@dataclass(frozen=True)
class KeptPass:
    """A whole pass over the files of a corpus."""

    file: IO[bytes]
    tallies: Sequence[FileTally]
    notes: Sequence[str]

    def rows(self) -> Iterator[Row]:
        """Yield the units again; several may read at once."""
        for line in io.BufferedReader(_FromItsStart(self.file.fileno())):
            source, target, place, document = json.loads(line)
            yield source, target, place, document


@dataclass(frozen=True)
class KeptUnits:
    """The whole passes of a run by what decides them: the corpus, its languages and the state of its files."""

    folder: Path
    files: ExitStack
    """Closes the files that are kept."""
    passes: dict[Hashable, KeptPass] = field(default_factory=dict)

    @contextmanager
    def draft(self) -> Generator[Draft]:
        """Yield a place for the units of a pass; what is not kept in the end is gone."""
        with ExitStack() as own:
            yield Draft(self, own, own.enter_context(tempfile.TemporaryFile(dir=self.folder)))


@dataclass(frozen=True)
class Draft:
    """The units of a pass that goes on."""

    owner: KeptUnits
    own: ExitStack
    file: IO[bytes]

    def add(self, row: Row) -> None:
        """Write a unit."""
        with self._naming_the_folder():
            self.file.write(json.dumps(row).encode() + b"\n")

    def keep(self, key: Hashable, *, tallies: Sequence[FileTally], notes: Sequence[str]) -> None:
        """Keep the pass, which is whole."""
        with self._naming_the_folder():
            self.file.flush()
        self.owner.passes[key] = KeptPass(self.file, tuple(tallies), tuple(notes))
        self.owner.files.push(self.own.pop_all())

    @contextmanager
    def _naming_the_folder(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:  # the file has no name that could be shown
            raise OSError(error.errno, error.strerror, str(self.owner.folder)) from None


class _FromItsStart(io.RawIOBase):
    """A file that others read too, each from a place of its own."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._place = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        content = os.pread(self._descriptor, len(buffer), self._place)
        buffer[: len(content)] = content
        self._place += len(content)
        return len(content)
