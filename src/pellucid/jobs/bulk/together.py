"""Several processes, on one machine or many, that run the parts of one output together.

Each gives the same command and works in the same folder of parts, on a file system that all of them see. A process
takes the lease of a part, runs it, and keeps it in the folder; one that sees all parts finished joins them. There is no
coordinator and no rank: any launcher will do, processes may come late and end early, and one that is killed costs the
parts that it was at.

A part at which two processes ended is run line by line, with the present line noted in its lease. A line at which two
processes ended then is left out as a failed line, so it costs itself only. Read ``files.py`` next.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from pellucid.errors import DataError, counted
from pellucid.jobs.bulk.crew import Crew, Stopped
from pellucid.jobs.bulk.folder import PartsFolder
from pellucid.jobs.bulk.leases import History, Leases
from pellucid.jobs.bulk.survey import Part
from pellucid.jobs.bulk.tally import Tally
from pellucid.jobs.bulk.work import Finished, Work

__all__ = ["Shared", "work_together"]

_ENDS_BEFORE_CARE: Final = 2
"""So many processes must end at a part before its lines are run alone."""
_ENDS_OF_A_LINE: Final = 2
"""So many processes must end at a line that they run alone before it is left out."""
_LOOKS: Final = 30
"""Fewest looks at the leases of others within the patience, while there is nothing else to do."""
_FIRST_PAUSE_SECONDS: Final = 0.05
"""Between two looks, at first: the others usually end a moment later. Growing pauses spare a shared disk otherwise."""
_PAUSE_GROWTH: Final = 1.25
_JOINING: Final = "join"


@dataclass(frozen=True)
class Shared:
    """What the processes of an output share, and what one of them is told."""

    parts: Callable[[], Iterable[Part]]
    """Yields all parts anew, in order."""
    folder: PartsFolder
    join: Callable[[], Tally]
    """Writes the output from the finished parts; two processes that do it write the same."""
    kept: Callable[[Part], None]
    """Called for each part that is finished, by whomever, once."""
    advance: Callable[[Part, int], None]
    """Called with the number of lines of a part that are done here."""
    look: Callable[[], None]
    """Called some times a second while this process works or waits."""
    patience: float
    """Seconds without a sign of life after which a process is taken to have ended."""


def work_together(shared: Shared, work: Work) -> Tally:
    """Run parts until all are finished, here or elsewhere, and the output is written; return its tally.

    Raises:
        DataError: an input changed, or parts were removed.
        OSError: writing fails.
    """
    with Leases(shared.folder.path, patience=shared.patience) as leases:
        member = _Member(shared, work, leases)
        while (tally := shared.folder.joined()) is None:
            try:
                if waiting := member.run_what_is_free():
                    member.wait_for_one_of(waiting)
                elif leases.take(_JOINING) is None:
                    member.wait_for_one_of([_JOINING])
                elif shared.folder.joined() is None:
                    shared.folder.note_joined(shared.join())
            except (DataError, OSError):
                # Another process has written the output meanwhile, and removed the files that this one was at.
                if shared.folder.joined() is None:
                    raise
    # The one that wrote the output may have been killed since, and this one may have finished a part after it.
    shared.folder.tidy()
    return tally


class _Member:
    """This process among the others."""

    def __init__(self, shared: Shared, work: Work, leases: Leases) -> None:
        self._shared = shared
        self._work = work
        self._leases = leases
        self._finished: set[int] = set()
        self._elsewhere: list[int] = []
        self._lock = threading.Lock()

    def run_what_is_free(self) -> list[str]:
        """Go through all parts once and run those that nobody has; return the leases of those that others have."""
        self._elsewhere = []

        def run(part: Part) -> None:
            def advance(done: int) -> None:
                if crew.is_stopping:
                    raise Stopped
                self._shared.advance(part, done)

            self._run(part, advance)

        with Crew(run, workers=self._work.at_once, look=self._shared.look) as crew:
            for part in self._shared.parts():
                if part.number not in self._finished:
                    crew.hand_over(part)
        return [_lease_of(number) for number in self._elsewhere]

    def wait_for_one_of(self, leases: list[str]) -> None:
        """Wait until one of these leases is free, or the output is written."""
        pause = _FIRST_PAUSE_SECONDS
        while self._shared.folder.joined() is None and not any(map(self._leases.is_free, leases)):
            time.sleep(min(pause, self._shared.patience / _LOOKS))
            pause *= _PAUSE_GROWTH
            self._shared.look()

    def _run(self, part: Part, advance: Callable[[int], None]) -> None:
        name = _lease_of(part.number)
        if self._shared.folder.tally_of(part) is None:
            if self._shared.folder.joined() is not None:  # the output is written, and parts are removed
                return
            history = self._leases.take(name)
            if history is None:
                with self._lock:
                    self._elsewhere.append(part.number)
                return
            try:
                # Another process may have finished it and given its lease back between the two calls above.
                if self._shared.folder.tally_of(part) is None:
                    finished = self._finish(part, history, advance)
                    self._shared.folder.keep(part, finished.text, finished.tally, mark=self._leases.member)
            finally:
                self._leases.release(name)
        with self._lock:
            self._finished.add(part.number)
        self._shared.kept(part)

    def _finish(self, part: Part, history: History, advance: Callable[[int], None]) -> Finished:
        if history.ends < _ENDS_BEFORE_CARE:
            return self._work.run(part, advance)
        texts, tally = [], Tally()
        for done, line in enumerate(part.lines):
            number = part.first_line + done
            advance(done)
            ends = history.suspects.get(str(number), 0)
            if ends >= _ENDS_OF_A_LINE:
                line = (
                    ValueError(f"{counted(ends, 'process')} ended while they translated this line; it was left out"),
                    *line[1:],
                )
            else:
                self._leases.note(_lease_of(part.number), number)
            finished = self._work.run(replace(part, first_line=number, lines=(line,)), lambda done: None)
            texts.append(finished.text)
            tally += finished.tally
        return Finished("".join(texts), tally)


def _lease_of(number: int) -> str:
    return f"part-{number:06}"
