"""The recipe of a MarianMT-compatible model trains, goes out, and opens in ``transformers``."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .conftest import Command
from .domains import translated_by_transformers

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "marian-compatible.toml"
SENTENCES = ["Ein Hund rennt über die Wiese.", "Zwei Frauen sitzen im Café.", "Der Mann trägt einen großen Hut."]
TRANSLATIONS = ["A dog runs across the meadow.", "Two women sit in a café.", "The man wears a large hat."]


@pytest.mark.slow
def test_the_recipe_trains_and_opens_in_transformers(command: Command, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    data = tmp_path / "data"
    data.mkdir()
    for name, repeats in (("train", 23), ("valid", 2)):
        for side, lines in (("de", SENTENCES), ("en", TRANSLATIONS)):
            text = "".join(f"{line} {number}\n" for number in range(repeats) for line in lines)
            (data / f"{name}.{side}").write_text(text, encoding="utf-8")
    training = {"train_steps": 2, "valid_steps": 2, "batch_size": 64, "warmup_steps": 1, "threads": 1}
    model = {"d_model": 12, "num_heads": 3, "d_feedforward": 17, "num_encoder_layers": 1, "num_decoder_layers": 2}
    small = {f"training.{name}": value for name, value in training.items()} | {"training.valid_bleu_sentences": 0}
    small |= {f"model.{name}": value for name, value in model.items()}
    options = [word for name, value in small.items() for word in ("--set", f"{name}={value}")]
    done = command("train", "--recipe", RECIPE, "--data-dir", data, "--output", "run", *options)
    assert done.status == 0, done.err
    done = command("export", "run", "--format", "marian", "--output", "out", "--threads", "1")
    assert done.status == 0, done.err
    assert "against transformers" in done.err
    assert len(translated_by_transformers(tmp_path / "out", SENTENCES)) == len(SENTENCES)
    shutil.rmtree(tmp_path / "run")
