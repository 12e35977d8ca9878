"""Define the records that a run reports, and the ``Reporter`` that receives them.

Jobs and the command line show these records on the screen. Read ``journal.py`` next, which writes them to disk.
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
"""Returns scores and samples of a model: numbers are scores (``bleu`` selects the best model), strings are samples."""

NewBest = Callable[["Transformer", Mapping[str, float | str]], None]
"""Called with the averaged model and its facts after each validation that is the best so far."""


@dataclass(frozen=True)
class StartRecord:
    """The start of a run. ``first_step`` is 0 for a new run, or the step from which it continues."""

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

    ``seconds`` is training time since the start of the run. The speeds are tokens per second since the last record:
    target tokens with end of sentence, and padded tokens of the longer side. ``skipped`` says why the step
    did not change the weights; it is empty if it did.
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
        """Return the fields for the journal, without the estimated time and an empty ``skipped``."""
        fields = asdict(self)
        del fields["seconds_left"]
        if not self.skipped:
            del fields["skipped"]
        return fields


@dataclass(frozen=True)
class ValidationRecord:
    """One validation of the averaged weights; it took ``took_seconds``."""

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
    """The end of a run. ``best`` holds loss, nll and scores of the best validation; ``reason`` is a sentence."""

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
    """Receives the records of a run. Every method returns quickly and raises nothing."""

    def started(self, record: StartRecord) -> None:
        """Receive the start of the run, once."""

    def stepped(self, record: StepRecord) -> None:
        """Receive every step."""

    def validated(self, record: ValidationRecord) -> None:
        """Receive every validation."""

    def saved(self, record: SavedRecord) -> None:
        """Receive every checkpoint."""

    def message(self, text: str) -> None:
        """Receive a sentence for the user."""


class SilentReporter:
    """A reporter that shows nothing."""

    def started(self, record: StartRecord) -> None:
        """Do nothing."""

    def stepped(self, record: StepRecord) -> None:
        """Do nothing."""

    def validated(self, record: ValidationRecord) -> None:
        """Do nothing."""

    def saved(self, record: SavedRecord) -> None:
        """Do nothing."""

    def message(self, text: str) -> None:
        """Do nothing."""
