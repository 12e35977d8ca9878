"""Everything that a run needs, as one record, and what a run records of it. Read ``trainer.py`` next."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.config import TrainingConfig
from pellucid.durable import DISK, Disk
from pellucid.model.attention import has_short_attention
from pellucid.runtime import Runtime
from pellucid.training.batches import BatchStream
from pellucid.training.probes import Probes
from pellucid.training.processes.ranks import ONE_PROCESS, Ranks
from pellucid.training.reporter import Evaluator, NewBest, Reporter
from pellucid.training.state import RunFacts

if TYPE_CHECKING:
    from pellucid.model.transformer import Transformer
    from pellucid.text.sampling.epochs import SubwordSampler
    from pellucid.text.store import TokenStore
    from pellucid.text.tokenizer import Tokenizer

__all__ = ["RunInputs", "facts_of", "probes_of", "stream_of"]


@dataclass(frozen=True, kw_only=True)
class RunInputs:
    """Everything that a run needs."""

    model: Transformer
    """Changed in place; at the end it has the last weights, not the averaged or the best ones."""
    store: TokenStore
    valid_store: TokenStore
    tokenizer: Tokenizer
    config: TrainingConfig
    runtime: Runtime
    run_folder: Path
    settings: Mapping[str, object]
    """The complete recipe: a run continues only with the same one, except for ``resuming.FREE_SETTINGS``."""
    reporter: Reporter
    evaluator: Evaluator | None = None
    last_evaluator: Evaluator | None = None
    """The evaluator of the validation at the end of the run, where it is another one."""
    on_new_best: NewBest | None = None
    """Receives the averaged model whenever it is the best so far."""
    judge: Callable[[Path], Mapping[str, object]] | None = None
    """Called with the journal after every validation; the fields go to the journal, their ``text`` to the screen."""
    validates_first: bool = False
    """Validate before the first step, so that the model that the run starts from can be the best one."""
    seconds_before: float = 0.0
    """Duration of the preparation, which counts towards a budget of minutes."""
    corpus_weights: Sequence[float] | None = None
    sampler: SubwordSampler | None = None
    """Cuts the words of the store in another way in each epoch; None keeps the ids of the store."""
    disk: Disk = DISK
    clock: Callable[[], float] = time.monotonic
    ranks: Ranks = ONE_PROCESS
    """The processes that train together; only the first of them writes, reports and evaluates."""


def facts_of(inputs: RunInputs, *, method: str) -> RunFacts:
    """Return what a checkpoint records of a run whose steps are made by ``method``."""
    return RunFacts(
        settings=inputs.settings,
        data={
            "train": inputs.store.fingerprint,
            "valid": inputs.valid_store.fingerprint,
            "corpus_weights": None if inputs.corpus_weights is None else list(inputs.corpus_weights),
        },
        runtime={
            **inputs.runtime.describe(),
            "processes": inputs.ranks.count,
            **({} if method == "eager" else {"steps": method}),
            **({"attention": "compiled"} if has_short_attention(inputs.model) else {}),
        },
    )


def stream_of(inputs: RunInputs, *, batches_of_first_epoch: int = 0) -> BatchStream:
    """Return the batches of a run; a run that is continued knows how many its first epoch has."""
    return BatchStream(
        inputs.store,
        config=inputs.config,
        specials=inputs.model.config.specials,
        start_id=inputs.model.start_id,
        device=inputs.runtime.torch_device(),
        corpus_weights=inputs.corpus_weights,
        sampler=inputs.sampler,
        batches_of_first_epoch=batches_of_first_epoch,
    )


def probes_of(inputs: RunInputs) -> Probes:
    """Choose the sentence pairs of the probes, and write their index."""
    return Probes.prepare(
        inputs.run_folder / "probes",
        store=inputs.valid_store,
        tokenizer=inputs.tokenizer,
        model=inputs.model,
        disk=inputs.disk,
    )
