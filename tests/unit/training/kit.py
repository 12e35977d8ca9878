"""What the tests of this room train with: a corpus in memory, a very small model, a reporter that remembers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pellucid.config import ModelConfig, SpecialIds, TrainingConfig
from pellucid.model.transformer import Transformer
from pellucid.runtime import Precision, Runtime
from pellucid.training.inputs import RunInputs
from pellucid.training.reporter import SavedRecord, StartRecord, StepRecord, TrainingResult, ValidationRecord
from pellucid.training.trainer import train

RUNTIME = Runtime("cpu", Precision.FP32, 1, "as the tests ask")
SPECIALS = SpecialIds()
VOCABULARY = 23


class ArrayStore:
    """A token store in memory."""

    def __init__(self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> None:
        self._sources = [np.asarray(ids, dtype=np.int64) for ids in sources]
        self._targets = [np.asarray(ids, dtype=np.int64) for ids in targets]
        self.source_lengths = np.array([len(ids) for ids in sources], dtype=np.int64)
        self.target_lengths = np.array([len(ids) for ids in targets], dtype=np.int64)
        self.source_ids, self.target_ids = np.concatenate(self._sources), np.concatenate(self._targets)
        self.corpus = np.zeros(len(sources), dtype=np.int64)
        self.line = np.arange(len(sources), dtype=np.int64)
        self.left_out = 0
        self.fingerprint = hashlib.sha256(repr((sources, targets)).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self._sources)

    def source(self, row: int) -> np.ndarray:
        return self._sources[row]

    def target(self, row: int) -> np.ndarray:
        return self._targets[row]


def reversal_store(*, pairs: int, seed: int, longest: int = 7) -> ArrayStore:
    """Sentences and their reversals."""
    generator = np.random.default_rng(seed)
    sources = [
        generator.integers(4, VOCABULARY, size=generator.integers(2, longest + 1)).tolist() for _ in range(pairs)
    ]
    return ArrayStore(sources, [ids[::-1] for ids in sources])


class NumberedPieces:
    """Enough of a tokenizer for a probe: the piece of id 5 is ``p5``."""

    def source_pieces(self, ids: Sequence[int]) -> list[str]:
        return [f"p{i}" for i in ids]

    target_pieces = source_pieces


def tiny_config(**changes: object) -> ModelConfig:
    settings: dict[str, object] = {
        "d_model": 14,
        "num_heads": 2,
        "d_feedforward": 19,
        "num_encoder_layers": 1,
        "num_decoder_layers": 1,
        "dropout": 0.1,
        "source_vocab_size": VOCABULARY,
        "target_vocab_size": VOCABULARY,
    }
    return ModelConfig.model_validate(settings | changes)


def tiny_model(*, seed: int = 3, **changes: object) -> Transformer:
    torch.manual_seed(seed)
    return Transformer(tiny_config(**changes))


def training_config(**changes: object) -> TrainingConfig:
    settings: dict[str, object] = {
        "batch_size": 61,
        "train_steps": 20,
        "warmup_steps": 5,
        "learning_rate": 3e-3,
        "valid_steps": 7,
        "average_decay": 0.9,
        "save_seconds": 1e9,
        "valid_bleu_sentences": 0,
        "threads": 1,
    }
    if changes.get("minutes"):
        settings |= {"train_steps": None, "valid_steps": None}
    return TrainingConfig.model_validate(settings | changes)


class Listener:
    """Remembers everything that a run tells."""

    def __init__(self) -> None:
        self.starts: list[StartRecord] = []
        self.steps: list[StepRecord] = []
        self.validations: list[ValidationRecord] = []
        self.saves: list[SavedRecord] = []
        self.messages: list[str] = []

    def started(self, record: StartRecord) -> None:
        self.starts.append(record)

    def stepped(self, record: StepRecord) -> None:
        self.steps.append(record)

    def validated(self, record: ValidationRecord) -> None:
        self.validations.append(record)

    def saved(self, record: SavedRecord) -> None:
        self.saves.append(record)

    def message(self, text: str) -> None:
        self.messages.append(text)


def run_training(folder: Path, **changes: object) -> tuple[TrainingResult, Transformer, Listener]:
    """Train the tiny model; ``config_*`` keys go to the training settings, the rest to ``RunInputs``."""
    config = training_config(**{k.removeprefix("config_"): v for k, v in changes.items() if k.startswith("config_")})
    rest = {k: v for k, v in changes.items() if not k.startswith("config_")}
    listener = rest.pop("reporter", None) or Listener()
    model = rest.pop("model", None) or tiny_model()
    arguments: dict[str, object] = {
        "store": reversal_store(pairs=83, seed=1),
        "valid_store": reversal_store(pairs=17, seed=2),
        "runtime": RUNTIME,
        "tokenizer": NumberedPieces(),
        "run_folder": folder,
        "settings": {"training": config.model_dump(mode="json")},
    }
    arguments |= rest
    result = train(RunInputs(model=model, config=config, reporter=listener, **arguments))  # type: ignore[arg-type]
    return result, model, listener


def equal_weights(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
