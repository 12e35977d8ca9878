"""The live view of a whole job. Read ``train.py`` for who calls it, and ``cli/training_screen.py`` for the screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pellucid.training.reporter import Reporter, SilentReporter

__all__ = ["JobReporter", "QuietReporter"]


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
