"""Several commands on one run folder: one trains, others are refused or read."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from tests.forked import Started
from tests.models import save_model

from pellucid.bundle import load_bundle
from pellucid.errors import BundleError
from pellucid.model.transformer import Transformer

from .conftest import Command
from .small_runs import numbered_lines, settings


def arguments(steps: int) -> list[str]:
    return [
        "train", "--train-src", "s", "--train-tgt", "s", "--preset", "tiny", "--output", "run",
        *settings(f"training.train_steps={steps}", "tokenizer.kind=bytes", "training.valid_bleu_sentences=0",
                  "training.save_steps=3", "data.cleaning.drop_copies=false"),
    ]  # fmt: skip


@pytest.mark.slow
def test_one_trains_the_others_wait_or_read(command: Command, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "s").write_text(numbered_lines())
    (tmp_path / "x").write_text("wort\n")
    # The first translation on a machine compiles, and meanwhile the run would replace the model that was opened.
    assert command("translate", tiny_model, "x", "--beam-size", "1", "--set", "max_length_constant=2").status == 0
    first = Started("-m", "pellucid", *arguments(10**6), cwd=tmp_path, env=os.environ | {"OMP_NUM_THREADS": "1"})
    try:
        deadline = time.monotonic() + 300
        while not (tmp_path / "run/model/model.toml").is_file():
            assert first.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        refused = command(*arguments(10**6))
        assert refused.status == 1
        assert "run: another process is training in this run folder" in refused.err
        for _ in range(5):
            read = command("translate", "run", "x", "--beam-size", "1", "--set", "max_length_constant=2")
            assert read.status == 0, read.err
            assert read.out.count("\n") == 1
        assert first.poll() is None, "reading and being refused do not disturb the run"
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    newest = max(int(path.name[5:]) for path in (tmp_path / "run/checkpoints").glob("step-*"))
    after = command(*arguments(newest + 2))
    assert after.status == 0, after.err
    assert "continuing" in after.err


def test_a_model_that_is_replaced_while_it_is_read_is_read_again(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = load_bundle(tiny_model)
    folder = tmp_path / "model"
    newer = Transformer(bundle.model.config)

    save_model(folder, bundle.model)
    real = Path.is_symlink
    calls: list[Path] = []

    def replaced_meanwhile(path: Path) -> bool:
        if path.name.startswith("weights-") and not calls:
            calls.append(path)
            save_model(folder, newer)
        return real(path)

    monkeypatch.setattr(Path, "is_symlink", replaced_meanwhile)
    read = load_bundle(folder)
    assert calls
    assert read.description.weights != calls[0].name
    monkeypatch.undo()
    (folder / read.description.weights).unlink()
    with pytest.raises(BundleError, match="is missing"):
        load_bundle(folder)
