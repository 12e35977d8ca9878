"""TensorBoard gets the numbers of the journal, each step once, also after a resumption; nothing is imported unasked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pellucid.errors import ConfigError
from pellucid.jobs.reporting import tensorboard
from pellucid.jobs.reporting.reporter import QuietReporter
from pellucid.jobs.reporting.tensorboard import TensorBoardReporter, refuse_missing_tensorboard
from pellucid.training.reporter import StartRecord, StepRecord, ValidationRecord


def start(first_step: int) -> StartRecord:
    return StartRecord(first_step, 0.0, 1, 1, 1, 10, None)


def step(number: int, loss: float, skipped: str = "") -> StepRecord:
    return StepRecord(number, 1.0, loss, loss, 1e-3, 0.5, 7, 70.0, 90.0, 0, 0.1, None, skipped)


def validation(number: int, bleu: float) -> ValidationRecord:
    return ValidationRecord(number, 1.0, 2.0, 2.0, {"bleu": bleu}, {}, True, 0, 0.1)


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), purge_orphaned_data=True)
    events.Reload()
    return [(event.step, round(event.value, 4)) for event in events.Scalars(tag)]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_numbers_arrive_once_also_after_a_kill_and_a_return_to_a_checkpoint(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    first = TensorBoardReporter(QuietReporter(), tmp_path)  # killed: it never closes
    first.started(start(0))
    for number in range(1, 5):
        first.stepped(step(number, float(number)))
    first.validated(validation(4, 10.0))
    first._writer.flush()
    with TensorBoardReporter(QuietReporter(), tmp_path) as second:  # continues from step 2
        second.started(start(2))
        second.stepped(step(3, 30.0))
        second.stepped(step(4, 40.0, skipped="the loss is nan"))
        second.stepped(step(5, 50.0))
        second.stepped(step(4, 41.0))  # returned to step 3
        second.validated(validation(4, 11.0))
    assert scalars(tmp_path, "training/loss") == [(1, 1.0), (2, 2.0), (3, 30.0), (4, 41.0)]
    assert scalars(tmp_path, "validation/bleu") == [(4, 11.0)]


def test_without_the_package_the_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"install 'pellucid\[tensorboard\]', or leave the setting out"):
        refuse_missing_tensorboard()


def test_it_is_not_imported_unless_asked_for() -> None:
    program = (
        "import sys, pellucid.jobs.train; "
        "sys.exit(any(name.split('.')[0] == 'tensorboard' or 'utils.tensorboard' in name for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
