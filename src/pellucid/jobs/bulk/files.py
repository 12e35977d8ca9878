"""From input files to an output file in parts: planned in order, run side by side, kept on disk, joined at the end.

The output gets its name when all parts are joined. Until then a kill, Ctrl-C, SIGTERM or a full disk leaves the
finished parts in ``OUTPUT.parts``, and the same command continues with them. Read ``translate.py`` next, which knows
what runs a part.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pellucid.errors import DataError
from pellucid.jobs.bulk.crew import Crew, Stopped
from pellucid.jobs.bulk.folder import PartsFolder, open_folder
from pellucid.jobs.bulk.survey import Part, Survey, parts_of
from pellucid.jobs.bulk.tally import Tally
from pellucid.jobs.line_files import writing
from pellucid.signals import stopped_by

__all__ = ["Finished", "Progress", "Runner", "Work", "run_files", "write_texts"]

Progress = Callable[[int, int | None], None]
"""Called with the number of lines that are done, and of all lines; None if it is unknown."""


@dataclass(frozen=True)
class Finished:
    """What became of a part."""

    text: str
    tally: Tally


class Runner(Protocol):
    """Runs parts, several at once from different threads."""

    def __call__(self, part: Part, advance: Callable[[int], None]) -> Finished:
        """Run a part; call ``advance`` now and then with the number of its lines that are done, and let it raise."""


@dataclass(frozen=True)
class Work:
    """How parts are run."""

    run: Runner
    at_once: int
    lines_per_part: int
    facts: Mapping[str, Any]
    """Everything that the result depends on besides the inputs, as JSON."""


def write_texts(output: Path, texts: Iterable[str]) -> None:
    """Write the texts of all parts, one after the other."""
    with writing(output, sources=()) as sink:
        for text in texts:
            sink.write(text)


def run_files(
    surveys: Sequence[Survey],
    output: Path,
    work: Work,
    *,
    restart: bool = False,
    say: Callable[[str], None] = lambda text: None,
    progress: Progress = lambda done, total: None,
    write: Callable[[Path, Iterable[str]], None] = write_texts,
) -> Tally:
    """Run all lines of files with equal numbers of lines, or what an earlier call left of them; write the output.

    ``write`` writes the output from the texts of all parts, in order.

    Raises:
        ConfigError: ``OUTPUT.parts`` holds parts of another command, or is in use.
        DataError: an input cannot be read, or changed meanwhile.
        StoppedError: Ctrl-C or SIGTERM; says how many lines are kept.
        OSError: writing fails, as on a full disk; the finished parts stay.
    """
    inputs = {f"input {number}": survey.facts() for number, survey in enumerate(surveys, start=1)}
    facts = {**work.facts, **inputs, "lines_per_part": work.lines_per_part}
    with open_folder(output, facts, restart=restart) as folder:
        count = _Count(surveys[0].lines, progress)
        try:
            _run_parts(surveys, folder, work, count, say=say)
            tally = _join(folder, output, lines=surveys[0].lines, write=write)
        except KeyboardInterrupt as interrupt:
            raise stopped_by(interrupt, _left_by(count, folder, output)) from None
        folder.clear()
    return tally


class _Count:
    """The lines that are done: those of finished parts, and those of parts that run."""

    def __init__(self, total: int, progress: Progress) -> None:
        self.total = total
        self.kept = 0
        self._inside: dict[int, int] = {}
        self._lock = threading.Lock()
        self._progress = progress

    def advance(self, part: Part, done: int) -> None:
        with self._lock:
            self._inside[part.number] = done

    def keep(self, part: Part) -> None:
        with self._lock:
            self._inside.pop(part.number, None)
            self.kept += len(part.lines)

    def show(self) -> None:
        with self._lock:
            done = self.kept + sum(self._inside.values())
        self._progress(done, self.total)


def _run_parts(
    surveys: Sequence[Survey], folder: PartsFolder, work: Work, count: _Count, *, say: Callable[[str], None]
) -> None:
    def run(part: Part) -> None:
        def advance(done: int) -> None:
            if crew.is_stopping:
                raise Stopped
            count.advance(part, done)

        finished = work.run(part, advance)
        folder.keep(part, finished.text, finished.tally)
        count.keep(part)

    is_continued = folder.holds_parts()
    with Crew(run, workers=work.at_once, look=count.show) as crew:
        for part in parts_of(surveys, most_lines=work.lines_per_part):
            if folder.tally_of(part) is not None:
                count.keep(part)
                continue
            if is_continued:
                say(_continuing(count, folder))
                is_continued = False
            crew.hand_over(part)
    if is_continued:
        say(_continuing(count, folder))
    count.show()
    if folder.damaged:
        say(f"parts in {folder.path} that were damaged and are translated again: {folder.damaged:,}")


def _continuing(count: _Count, folder: PartsFolder) -> str:
    return f"continuing: the first {count.kept:,} of {count.total:,} lines are finished, in {folder.path}"


def _join(folder: PartsFolder, output: Path, *, lines: int, write: Callable[[Path, Iterable[str]], None]) -> Tally:
    tally = Tally()

    def texts() -> Iterator[str]:
        nonlocal tally
        for text, counts in folder.finished():
            tally += counts
            yield text
        if tally.lines != lines:
            raise DataError(
                f"{folder.path}: another program removed parts; give the same command again, and they are translated "
                "again"
            )

    write(output, texts())
    return tally


def _left_by(count: _Count, folder: PartsFolder, output: Path) -> str:
    """Say what an interruption leaves behind."""
    if not count.kept:
        return f"interrupted before the first part was finished; {output} is as it was before"
    return (
        f"interrupted: {count.kept:,} of {count.total:,} lines are finished and kept in {folder.path}; the same "
        f"command continues with the others (--restart discards them). {output} is as it was before"
    )
