"""What a run tells while it goes on: records, and the ``Reporter`` that receives them.

Jobs and the command line draw these on the screen; tests collect them in a list. Read ``journal.py``
next, which keeps them on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pellucid.model.transformer import Transformer

__all__ = [
    "Evaluator",
    "NewBest",
    "Reporter",
    "SavedRecord",
    "SilentReporter",
    "StartRecord",
    "StepRecord",
    "TrainingResult",
    "ValidationRecord",
]

Evaluator = Callable[["Transformer"], Mapping[str, float | str]]
"""Scores and samples of a model: numbers are scores (``bleu`` chooses the best model), strings are shown."""

NewBest = Callable[["Transformer", Mapping[str, float | str]], None]
"""Called with the averaged model and its facts whenever it is the best so far."""


@dataclass(frozen=True)
class StartRecord:
    """How a run begins. ``first_step`` is 0 for a new run, else the step it continues from."""

    first_step: int
    seconds: float
    num_parameters: int
    num_pairs: int
    batches_per_epoch: int
    train_steps: int | None
    minutes: float | None
    stop_at_exact_match: float | None = None


@dataclass(frozen=True)
class StepRecord:
    """One step. Loss and negative log-likelihood are means per target token, in nats.

    ``seconds`` is training time since the run began; speeds are tokens per second over the whole loop
    since the last record: real target tokens with end-of-sentence, and padded tokens of the longer side.
    ``skipped`` says why the weights were left as they were; it is empty for a step that counted.
    """

    step: int
    seconds: float
    loss: float
    nll: float
    learning_rate: float
    gradient_norm: float
    target_tokens: int
    tokens_per_second: float
    padded_tokens_per_second: float
    epoch: int
    fraction: float
    seconds_left: float | None
    skipped: str = ""

    def to_journal(self) -> dict[str, object]:
        """Return what is worth keeping: no guess of the future, and no empty excuse."""
        fields = asdict(self)
        del fields["seconds_left"]
        if not self.skipped:
            del fields["skipped"]
        return fields


@dataclass(frozen=True)
class ValidationRecord:
    """One validation, of the averaged weights. ``took_seconds`` is what it cost."""

    step: int
    seconds: float
    loss: float
    nll: float
    scores: Mapping[str, float]
    samples: Mapping[str, str]
    is_best: bool
    without_better: int
    took_seconds: float


@dataclass(frozen=True)
class SavedRecord:
    """A checkpoint is on disk."""

    step: int
    folder: Path
    size_bytes: int
    took_seconds: float


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended. ``best`` holds loss, nll and scores of the best validation; ``reason`` is a sentence."""

    steps: int
    seconds: float
    reason: str
    best: Mapping[str, float] = field(default_factory=dict)
    best_step: int | None = None
    epochs: float = 0.0
    target_tokens: int = 0
    skipped_steps: int = 0
    rollbacks: int = 0


class Reporter(Protocol):
    """The live view of a run. Every method returns quickly and raises nothing."""

    def started(self, record: StartRecord) -> None:
        """Receive the facts of the beginning, once."""

    def stepped(self, record: StepRecord) -> None:
        """Receive every step."""

    def validated(self, record: ValidationRecord) -> None:
        """Receive every validation."""

    def saved(self, record: SavedRecord) -> None:
        """Receive every checkpoint."""

    def message(self, text: str) -> None:
        """Receive a sentence for the person who watches."""


class SilentReporter:
    """A reporter that shows nothing."""

    def started(self, record: StartRecord) -> None:
        """Ignore."""

    def stepped(self, record: StepRecord) -> None:
        """Ignore."""

    def validated(self, record: ValidationRecord) -> None:
        """Ignore."""

    def saved(self, record: SavedRecord) -> None:
        """Ignore."""

    def message(self, text: str) -> None:
        """Ignore."""
