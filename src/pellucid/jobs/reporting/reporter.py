"""The live view of a whole job. Read ``train.py`` for who calls it, and ``cli/training_screen.py`` for the screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pellucid.training.reporter import (
    Reporter,
    SavedRecord,
    SilentReporter,
    StartRecord,
    StepRecord,
    ValidationRecord,
)

__all__ = ["JobReporter", "PassingReporter", "QuietReporter"]


class JobReporter(Reporter, Protocol):
    """The live view of a whole job: the events of the trainer, and the progress of the preparation."""

    def counted(self, what: str, done: int) -> None:
        """Receive the number of ``what`` that are done."""


class QuietReporter(SilentReporter):
    """A live view that passes sentences on to ``say`` and shows nothing else."""

    def __init__(self, say: Callable[[str], None] = lambda text: None) -> None:
        self._say = say

    def message(self, text: str) -> None:
        """Pass a sentence on."""
        self._say(text)

    def counted(self, what: str, done: int) -> None:
        """Ignore."""


class PassingReporter:
    """A live view that passes everything on to another one; subclasses add to some of the events."""

    def __init__(self, inner: JobReporter) -> None:
        self._inner = inner

    def started(self, record: StartRecord) -> None:
        """Pass on."""
        self._inner.started(record)

    def stepped(self, record: StepRecord) -> None:
        """Pass on."""
        self._inner.stepped(record)

    def validated(self, record: ValidationRecord) -> None:
        """Pass on."""
        self._inner.validated(record)

    def saved(self, record: SavedRecord) -> None:
        """Pass on."""
        self._inner.saved(record)

    def message(self, text: str) -> None:
        """Pass on."""
        self._inner.message(text)

    def counted(self, what: str, done: int) -> None:
        """Pass on."""
        self._inner.counted(what, done)
