"""Models that the browser tests look into: one trained for a few steps, and random ones of any shape."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlencode

import torch
from tests.end_to_end.small_runs import write_corpus
from tests.forked import Started
from tests.models import random_model, save_model

import pellucid
from pellucid.tracing.record import Trace

SHAPE = {
    "model.d_model": 24,
    "model.num_heads": 3,
    "model.d_feedforward": 29,
    "model.num_encoder_layers": 2,
    "model.num_decoder_layers": 3,
    "training.train_steps": 6,
    "training.batch_size": 499,
    "training.warmup_steps": 2,
    "training.valid_steps": 3,
    "training.valid_bleu_sentences": 5,
    "training.threads": 1,
}


def run_pellucid(*arguments: str | Path) -> None:
    """Run the command in a process of its own."""
    process = Started("-m", "pellucid", *arguments, stderr=subprocess.PIPE, text=True)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said


def train_small_run(folder: Path) -> Path:
    """Train six steps on the embedded corpus: English and French pieces, journal, probes and snapshots."""
    write_corpus(folder, train=499, valid=23, test=2)
    run_pellucid(
        "train", "--train-src", folder / "train.en", "--train-tgt", folder / "train.fr",
        "--valid-src", folder / "valid.en", "--valid-tgt", folder / "valid.fr", "--src-lang", "en", "--tgt-lang", "fr",
        "--preset", "tiny", "--output", folder / "small", *(f"--set={name}={value}" for name, value in SHAPE.items()),
    )  # fmt: skip
    return folder / "small"


def save_random_model(folder: Path, *, bias_deviation: float = 0.0, **changes: object) -> Path:
    """Write a model of bytes with random weights: 2 encoder and 3 decoder layers, 3 heads, but for ``changes``.

    A new model has biases of zero, which would hide one that is forgotten; ``bias_deviation`` makes them random.
    """
    shape = {"num_encoder_layers": 2, "num_decoder_layers": 3, "max_positions": 1031} | changes
    model = random_model(**shape)
    if bias_deviation:
        for name, parameter in model.named_parameters():
            if name.endswith(".bias"):
                torch.nn.init.normal_(parameter, std=bias_deviation)
    return save_model(folder, model, card="random", source_language="en", target_language="fr")


@dataclass(frozen=True)
class Shown:
    """Models on one server, and the same in this process."""

    address: str
    folders: dict[str, Path]
    """By the id that the page knows a model by."""

    def link(self, model: str, **state: object) -> str:
        """Return the address of a picture of a model."""
        return f"{self.address}#{urlencode({'model': model} | state)}"

    def trace(self, model: str, source: str, target: str) -> Trace:
        """Return the trace that the page shows of a pair, made here."""
        return _trace(self.folders[model], source, target)


@cache
def _trace(folder: Path, source: str, target: str) -> Trace:
    return pellucid.trace(pellucid.load(folder, threads=1), source, target=target)
