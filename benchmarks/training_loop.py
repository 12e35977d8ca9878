"""Run the loop of ``pellucid train`` on made-up pairs, and watch its steps. Read ``train_gpu.py`` next."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from pellucid.config import PRESETS, ModelConfig, SpecialIds, TrainingConfig
from pellucid.errors import InterruptedByUser
from pellucid.model.transformer import Transformer
from pellucid.runtime import Runtime
from pellucid.training import trainer
from pellucid.training.inputs import RunInputs
from pellucid.training.probes import SNAPSHOT_STEPS
from pellucid.training.reporter import SilentReporter, StepRecord

VOCABULARIES = {"tiny": 97, "small": 8000, "base": 32_000, "big": 33_728}


@dataclass
class Watch(SilentReporter):
    """Remembers the steps, and stops the run ``seconds`` after the ``first`` steps."""

    first: int = 0
    seconds: float | None = None
    steps: list[StepRecord] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def stepped(self, record: StepRecord) -> None:
        """Remember a step."""
        self.steps.append(record)
        if self.seconds is None or len(self.steps) <= self.first + 2:
            return
        if record.seconds - self.steps[self.first].seconds > self.seconds:
            self.seconds = None
            os.kill(os.getpid(), signal.SIGINT)

    def message(self, text: str) -> None:
        """Remember a sentence."""
        self.messages.append(text)

    def speeds(self) -> dict[str, float]:
        """Return speeds of the first steps and of the later ones, without the step after a snapshot of the weights."""
        early, late = self.steps[1 : self.first], self.steps[self.first :]
        late = [record for record in late if record.step - 1 not in SNAPSHOT_STEPS] or self.steps[-1:]
        seconds = sum(record.target_tokens / record.tokens_per_second for record in late)
        padded = sum(
            record.padded_tokens_per_second * record.target_tokens / record.tokens_per_second for record in late
        )
        target = sum(record.target_tokens for record in late)
        return {
            "steps": len(self.steps),
            "target_tokens_per_second": target / seconds,
            "milliseconds_per_step": 1000 * seconds / len(late),
            "real_share_of_padded_tokens": target / padded,
            "first_steps": len(early) + 1,
            "seconds_of_first_steps": early[-1].seconds if early else 0.0,
            "first_steps_tokens_per_second": sum(record.target_tokens for record in early)
            / max(1e-9, sum(record.target_tokens / record.tokens_per_second for record in early)),
        }


def run(
    folder: Path, model: Transformer, store: MadeUpStore, config: TrainingConfig, runtime: Runtime, watch: Watch
) -> None:
    """Train in the real loop until its end or the watch's signal."""
    inputs = RunInputs(
        model=model,
        store=store,  # type: ignore[arg-type]
        valid_store=MadeUpStore(pairs=20, vocabulary=97, mean_length=9, seed=3),  # type: ignore[arg-type]
        tokenizer=store,  # type: ignore[arg-type]
        config=config,
        runtime=runtime,
        run_folder=folder,
        settings={},
        reporter=watch,
    )
    with suppress(InterruptedByUser):  # by the watch
        trainer.train(inputs)


class MadeUpStore:
    """Pairs of random ids with the lengths of natural text, in memory; also the tokenizer that the probes need."""

    def __init__(self, *, pairs: int, vocabulary: int, mean_length: int, seed: int) -> None:
        generator = np.random.default_rng(seed)
        lengths = np.clip(generator.gamma(3.0, mean_length / 3.0, pairs).astype(np.int64), 2, 4 * mean_length)
        self.source_lengths = lengths
        self.target_lengths = np.clip(lengths + generator.integers(-3, 4, pairs), 1, 4 * mean_length)
        self.source_ids, self.target_ids = (
            generator.integers(4, vocabulary, int(side.sum())).astype(np.int32)
            for side in (self.source_lengths, self.target_lengths)
        )
        self._ends = [np.cumsum(side) for side in (self.source_lengths, self.target_lengths)]
        self.corpus, self.line = np.zeros(pairs, dtype=np.int64), np.arange(pairs)
        self.fingerprint = f"made up, {pairs} pairs, seed {seed}"

    def __len__(self) -> int:
        return len(self.line)

    def source(self, row: int) -> np.ndarray:
        """Return the source ids of a row."""
        return self.source_ids[self._ends[0][row] - self.source_lengths[row] : self._ends[0][row]]

    def target(self, row: int) -> np.ndarray:
        """Return the target ids of a row."""
        return self.target_ids[self._ends[1][row] - self.target_lengths[row] : self._ends[1][row]]

    def source_pieces(self, ids: Sequence[int]) -> list[str]:
        """Return a piece for each id."""
        return [str(number) for number in ids]

    target_pieces = source_pieces


def make_model(preset: str, **changes: object) -> Transformer:
    """Return a model with random weights, always the same."""
    torch.manual_seed(1)
    size = VOCABULARIES[preset]
    config = ModelConfig.model_validate({**PRESETS[preset], **changes})
    return Transformer(config.with_vocabulary(source_size=size, target_size=size, specials=SpecialIds()))
