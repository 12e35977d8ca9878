"""The journal of corrections: a file of JSON lines to which is only ever added, by the server and by a review.

A correction is a line with its texts; a decision is a later line with its id and the new state. A line is on the disk
before anybody is told so. What a killed process left of its last line was never promised; the next writer removes it.
Several processes may write: each takes a lock for a line. Read ``../service.py`` next.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Final

from pellucid.durable import DISK, naming, open_to_append
from pellucid.errors import ConfigError, DataError, RequestError
from pellucid.serving.corrections.states import Correction, State, correction_of

__all__ = ["FULL", "Journal"]

NAME: Final = "corrections.jsonl"
FULL: Final = "the journal of corrections is full; its owner has to review it and to move the file away"


class Journal:
    """The corrections of a folder; safe for several threads.

    Args:
        folder: of the journal.
        limit_bytes: of its file; no correction is added beyond.
    """

    def __init__(self, folder: Path, *, limit_bytes: int = 64 << 20) -> None:
        self.path = folder / NAME
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._known: set[str] | None = None

    def make_folder(self) -> None:
        """Make the folder, which only its owner can read, and check that the journal can be written.

        Raises:
            ConfigError: it cannot.
        """
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._writing():
                pass
        except OSError as error:
            raise ConfigError(
                f"--corrections {self.path.parent}: cannot be written ({error.strerror}); name a folder that can"
            ) from None

    def add(self, correction: Correction) -> str:
        """Add a correction, unless it is there, wait until it is on the disk, and return its id.

        Raises:
            RequestError: the journal is full.
            DataError: the journal is damaged.
            OSError: the disk is full.
        """
        with self._lock:
            if self._known is None:
                self._known = {one.id for one in self.corrections()}
            if correction.id not in self._known:
                self._append([correction.record()], limit_bytes=self._limit_bytes)
                self._known.add(correction.id)
        return correction.id

    def decide(self, ids: Iterable[str], state: State) -> list[Correction]:
        """Give corrections a state, and return them.

        Raises:
            RequestError: there is no such id; nothing is written.
            DataError: the journal is damaged.
            OSError: the disk is full.
        """
        known = {one.id: one for one in self.corrections()}
        wanted = [*dict.fromkeys(ids)]
        if unknown := next((one for one in wanted if one not in known), None):
            raise RequestError(f"{self.path}: has no correction {unknown!r}; 'pellucid corrections list' shows them")
        self._append([{"id": one, "state": state.value} for one in wanted if known[one].state is not state])
        return [replace(known[one], state=state) for one in wanted]

    def corrections(self) -> list[Correction]:
        """Return all corrections in the order of their arrival, with what was decided last.

        Raises:
            DataError: a line is damaged; the message names it.
        """
        found: dict[str, Correction] = {}
        for place, record in self._records():
            id, state = record.get("id"), record.get("state")
            if not isinstance(id, str) or state not in list(State):
                raise DataError(f"{place}: is no line of a journal of corrections; restore the file from a copy")
            one = found.get(id) or correction_of(record, place)
            found[id] = replace(one, state=State(str(state)))
        return [*found.values()]

    def _records(self) -> Iterator[tuple[str, dict[str, object]]]:
        try:
            lines = self.path.read_bytes().split(b"\n")[:-1]  # behind the last line feed is what was never promised
        except FileNotFoundError:
            return
        for number, line in enumerate(lines, start=1):
            place = f"{self.path}, line {number}"
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            if not isinstance(record, dict):
                raise DataError(f"{place}: is no JSON object; restore the file from a copy")
            yield place, record

    def _append(self, records: Iterable[dict[str, str]], *, limit_bytes: int | None = None) -> None:
        lines = "".join(json.dumps(record) + "\n" for record in records).encode("ascii")
        with self._writing() as file:
            size = os.fstat(file.fileno()).st_size
            if limit_bytes is not None and size + len(lines) > limit_bytes:
                raise RequestError(FULL)
            try:
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                os.ftruncate(file.fileno(), size)  # half a line is none
                raise

    @contextmanager
    def _writing(self) -> Iterator[BinaryIO]:
        """Open the file at its end, alone, and remove half a line of a killed writer."""
        is_new = not self.path.exists()
        with naming(self.path), open_to_append(self.path) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if is_new:
                self.path.chmod(0o600)
                DISK.sync(self.path.parent)
            _remove_half_a_line(file, self.path)
            yield file


def _remove_half_a_line(file: BinaryIO, path: Path) -> None:
    size = os.fstat(file.fileno()).st_size
    if not size:
        return
    with path.open("rb") as whole:
        whole.seek(size - 1)
        if whole.read(1) == b"\n":
            return
        whole.seek(0)
        os.ftruncate(file.fileno(), whole.read().rfind(b"\n") + 1)
