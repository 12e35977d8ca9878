"""From input files to an output file in parts: planned in order, run side by side, kept on disk, joined at the end.

The output gets its name when all parts are joined. Until then a kill, Ctrl-C, SIGTERM or a full disk leaves the
finished parts in ``OUTPUT.parts``, and the same command continues with them. Several processes may do it together
(``together.py``). Read ``translate.py`` next, which knows what runs a part.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from pellucid.errors import DataError, are, counted
from pellucid.jobs.bulk.crew import Crew, Stopped
from pellucid.jobs.bulk.folder import PartsFolder, open_folder
from pellucid.jobs.bulk.survey import Part, Survey, parts_of
from pellucid.jobs.bulk.tally import Tally
from pellucid.jobs.bulk.together import Shared, work_together
from pellucid.jobs.bulk.work import Progress, Work
from pellucid.jobs.line_files import writing
from pellucid.jobs.options.parts import PartsOptions
from pellucid.signals import stopped_by

__all__ = ["run_files", "write_texts"]


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
    parts: PartsOptions = PartsOptions(),
    say: Callable[[str], None] = lambda text: None,
    progress: Progress = lambda done, total: None,
    write: Callable[[Path, Iterable[str]], None] = write_texts,
) -> Tally:
    """Run all lines of files with equal numbers of lines, or what an earlier call left of them; write the output.

    ``write`` writes the output from the texts of all parts, in order. With ``parts.together``, other processes that run
    the same command do their share.

    Raises:
        ConfigError: ``OUTPUT.parts`` holds parts of another command, or is in use.
        DataError: an input cannot be read, or changed meanwhile.
        StoppedError: Ctrl-C or SIGTERM; says how many lines are kept.
        OSError: writing fails, as on a full disk; the finished parts stay.
    """
    inputs = {f"input {number}": survey.facts() for number, survey in enumerate(surveys, start=1)}
    together = parts.together
    facts = {**work.facts, **inputs, "lines_per_part": work.lines_per_part}
    with open_folder(output, facts, restart=parts.restart, together=together is not None) as folder:
        count = _Count(surveys[0].lines, progress)

        def join() -> Tally:
            if together is not None:
                folder.begin_together()  # another command may have begun at the same instant
            return _join(folder, output, lines=surveys[0].lines, write=write)

        try:
            if together is not None:
                shared = Shared(
                    parts=lambda: parts_of(surveys, most_lines=work.lines_per_part),
                    folder=folder,
                    join=join,
                    kept=count.keep,
                    advance=count.advance,
                    look=count.show,
                    patience=together,
                )
                return work_together(shared, work)
            _run_parts(surveys, folder, work, count, say=say)
            tally = join()
        except KeyboardInterrupt as interrupt:
            raise stopped_by(interrupt, _left_by(count, folder, output, is_alone=together is None)) from None
        if not parts.keeps:
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
    lines = f"{counted(count.total, 'line')} {are(count.total)}"
    return f"continuing: the first {count.kept:,} of {lines} finished, in {folder.path}"


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


def _left_by(count: _Count, folder: PartsFolder, output: Path, *, is_alone: bool) -> str:
    """Say what an interruption leaves behind."""
    if not is_alone:
        return (
            f"interrupted: the parts that this process finished are kept in {folder.path}, and other processes of this "
            "command go on; the same command joins them again"
        )
    if not count.kept:
        return f"interrupted before the first part was finished; {output} is as it was before"
    return (
        f"interrupted: {count.kept:,} of {counted(count.total, 'line')} {are(count.total)} finished "
        f"and kept in {folder.path}; the same "
        f"command continues with the others (--restart discards them). {output} is as it was before"
    )
