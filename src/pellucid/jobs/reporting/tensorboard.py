"""Pass the numbers of a run on to TensorBoard, as scalars in ``RUN/tensorboard``.

TensorBoard shows the events of all files of a folder together. A run that continues from a checkpoint repeats the
steps after it, so each writer announces its first step, and TensorBoard hides what earlier ones wrote from there on.
The package is imported only for ``training.tensorboard = true``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pellucid.errors import ConfigError
from pellucid.jobs.reporting.reporter import JobReporter, PassingReporter

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter

    from pellucid.training.reporter import SavedRecord, StartRecord, StepRecord, ValidationRecord

__all__ = ["TensorBoardReporter", "refuse_missing_tensorboard"]

_OF_STEPS: Final = (
    "loss",
    "nll",
    "learning_rate",
    "gradient_norm",
    "target_tokens",
    "tokens_per_second",
    "padded_tokens_per_second",
)


def refuse_missing_tensorboard() -> None:
    """Refuse a run that wants TensorBoard where it is not installed.

    Raises:
        ConfigError: the package is missing.
    """
    if find_spec("tensorboard") is None:
        raise ConfigError(
            "training.tensorboard = true needs the package tensorboard, which is not installed; install "
            "'pellucid[tensorboard]', or leave the setting out: metrics.jsonl has the same numbers"
        )


class TensorBoardReporter(PassingReporter):
    """A reporter that writes scalars, and passes everything on to another one; use it as a context manager."""

    def __init__(self, inner: JobReporter, folder: Path) -> None:
        super().__init__(inner)
        self._folder = folder
        self._writer: SummaryWriter | None = None
        self._last_step = 0

    def __enter__(self) -> TensorBoardReporter:
        return self

    def __exit__(self, *exception: object) -> None:
        self._close()

    def started(self, record: StartRecord) -> None:
        """Begin a file whose steps replace those of earlier files."""
        self._begin(record.first_step + 1)
        super().started(record)

    def stepped(self, record: StepRecord) -> None:
        """Write the numbers of a step that changed the weights; after a return to a checkpoint, begin anew."""
        if record.step <= self._last_step:
            self._begin(record.step)
        self._last_step = record.step
        if not record.skipped:
            self._write("training", {name: getattr(record, name) for name in _OF_STEPS}, record.step)
        super().stepped(record)

    def validated(self, record: ValidationRecord) -> None:
        """Write loss and scores."""
        self._write("validation", {"loss": record.loss, "nll": record.nll, **record.scores}, record.step)
        super().validated(record)

    def saved(self, record: SavedRecord) -> None:
        """Write what is waiting, so that a killed run loses no more here than in its checkpoint."""
        if self._writer is not None:
            self._writer.flush()
        super().saved(record)

    def _begin(self, first_step: int) -> None:
        from torch.utils.tensorboard.writer import SummaryWriter

        self._close()
        make: Callable[..., SummaryWriter] = SummaryWriter
        self._writer = make(log_dir=str(self._folder), purge_step=first_step)
        self._last_step = first_step - 1

    def _write(self, group: str, numbers: Mapping[str, float], step: int) -> None:
        if self._writer is not None:
            for name, value in numbers.items():
                add: Callable[..., None] = self._writer.add_scalar
                add(f"{group}/{name}", value, step)

    def _close(self) -> None:
        if self._writer is not None:
            close: Callable[[], None] = self._writer.close
            close()
            self._writer = None
