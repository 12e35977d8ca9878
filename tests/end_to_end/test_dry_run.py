"""A dry run stays quick on a large corpus, and does not fail where the run itself would not."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from pellucid.jobs.promises import costs, dry_run

from .conftest import Command
from .small_runs import settings

WORDS = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in "bdfgklmnprst"]
TEXT = "".join(" ".join(WORDS[(7 * line + i) % len(WORDS)] for i in range(9)) + "\n" for line in range(300))


def test_pieces_are_learnt_from_a_bounded_sample(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "s").write_text(TEXT)
    (tmp_path / "t").write_text(TEXT.upper())
    arguments = (
        "train", "--train-src", "s", "--train-tgt", "t", "--preset", "tiny", "--output", "run", "--dry-run",
        *settings("training.train_steps=5", "tokenizer.vocab_size=700"),
    )  # fmt: skip
    whole = command(*arguments)
    assert whole.status == 0, whole.err
    assert "700 source" in whole.err
    assert "warning: the" not in whole.err
    monkeypatch.setattr(dry_run.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1 << 20))
    monkeypatch.setattr(dry_run, "free_memory", lambda: 2 << 20)
    monkeypatch.setattr(dry_run, "_SAMPLE_CHARACTERS", 1500)
    part = command(*arguments)
    assert part.status == 0, part.err
    assert "estimated from the first ones" in part.err
    assert "the sample is too small to test tokenizer.vocab_size = 700" in part.err
    assert f"warning: the disk of {tmp_path} has 1 MiB free, and the run needs up to" in part.err
    assert "warning: the memory of this machine has 2 MiB free, and the run needs up to" in part.err


def test_a_slow_step_is_timed_once_and_a_busy_machine_is_told(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "s").write_text(TEXT)
    (tmp_path / "t").write_text(TEXT.upper())
    steps: list[int] = []
    real = costs.Updater.step

    def counted(*arguments: object, **settings: object) -> object:
        steps.append(1)
        return real(*arguments, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(costs.Updater, "step", counted)
    monkeypatch.setattr(costs, "_TIMED_SECONDS", 0.0)
    for waited_share, is_told in ((0.5, True), (0.01, False)):
        now = itertools.count()
        monkeypatch.setattr(
            costs,
            "_scheduled",
            lambda now=now, share=waited_share: ((1 - share) * 1e9 * (n := next(now)), share * 1e9 * n),
        )
        outcome = command(
            "train", "--train-src", "s", "--train-tgt", "t", "--preset", "tiny", "--output", "run", "--dry-run",
            *settings("training.train_steps=5", "tokenizer.kind=bytes"),
        )  # fmt: skip
        assert outcome.status == 0, outcome.err
        assert ("other programs slow this machine down: our threads waited 50%" in outcome.err) is is_told
    assert len(steps) == 2 * 3, "two for memory, and one that is timed"


def test_a_run_of_few_batches_and_weights_is_told_in_steps(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "s").write_text(TEXT)
    (tmp_path / "t").write_text(TEXT.upper())
    steps, memory = {}, {}
    monkeypatch.setattr(dry_run, "order_bytes", lambda pairs, weight=1.0: round((5 << 30) * weight * pairs / 300))
    for weight, epochs, also in ((1.0, 1, ""), (3.0, 1, ""), (1.0, 3, ""), (1.0, 3, "training.train_steps=2")):
        outcome = command(
            "train", "--output", "run", "--dry-run",
            *settings("preset=tiny", "tokenizer.kind=bytes", f"training.max_epochs={epochs}", *filter(None, [also])),
            "--set", f'data.train=[{{src="s",tgt="t",weight={weight}}}]', "--set", "training.batch_size=7000",
        )  # fmt: skip
        assert outcome.status == 0, outcome.err
        found = re.search(r"run: about ([\d,]+) steps", outcome.err)
        assert found, outcome.err
        steps[weight, epochs, also] = int(found[1])
        memory[weight] = float(re.findall(r"memory: ([\d.]+) GiB at most", outcome.err)[0])
    plain = steps[1.0, 1, ""]
    assert 1 < plain < 10
    assert steps[3.0, 1, ""] == steps[1.0, 3, ""] == 3 * plain
    assert steps[1.0, 3, "training.train_steps=2"] == 2
    assert memory[3.0] - memory[1.0] == pytest.approx(10, abs=1), "the order of a longer epoch takes more"
