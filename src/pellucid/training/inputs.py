"""Everything that a run is given, as one value. Read ``trainer.py`` next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.config import TrainingConfig
from pellucid.durable import Disk
from pellucid.runtime import Runtime
from pellucid.training.distributed import Ranks
from pellucid.training.reporter import Evaluator, NewBest, Reporter

if TYPE_CHECKING:
    from pellucid.model.transformer import Transformer
    from pellucid.text.store import TokenStore
    from pellucid.text.tokenizer import Tokenizer

__all__ = ["RunInputs"]


@dataclass(frozen=True)
class RunInputs:
    """Everything that a run is given; the words are explained at ``trainer.train``."""

    model: Transformer
    store: TokenStore
    valid_store: TokenStore
    tokenizer: Tokenizer
    config: TrainingConfig
    runtime: Runtime
    run_folder: Path
    evaluator: Evaluator | None
    reporter: Reporter
    on_new_best: NewBest | None
    seconds_before: float
    settings: Mapping[str, object]
    corpus_weights: Sequence[float] | None
    disk: Disk
    clock: Callable[[], float]
    ranks: Ranks
