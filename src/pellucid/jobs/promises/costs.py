"""Measure what the parts of a training run cost in time and memory, by doing each of them on a sample.

Every part is the one of the real run: the step with its optimiser, the loss and the greedy translations of a
validation, the checkpoint. Batches are timed that are spread evenly over an epoch; before them come those that need
most memory. Read ``forecast.py`` next, which adds the parts up.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch

from pellucid.config import TranslationConfig
from pellucid.errors import counted
from pellucid.jobs.opening import OpenedRun
from pellucid.jobs.reporting.validation import validation_engine
from pellucid.model.transformer import Transformer
from pellucid.text.corpus import SentencePair
from pellucid.text.sampling.epochs import subword_sampler
from pellucid.text.store import TokenStore
from pellucid.text.tokenizer import Tokenizer
from pellucid.training.averaging import MovingAverage
from pellucid.training.batches import BatchStream
from pellucid.training.checkpoints import write_checkpoint
from pellucid.training.optimisation import make_optimiser
from pellucid.training.packed.gradients import choose_packed
from pellucid.training.processes.ranks import Ranks
from pellucid.training.state import RunFacts, TrainingState, checkpoint_files
from pellucid.training.update import Updater
from pellucid.training.validation import measure_loss
from pellucid.translation.translator import Translator

__all__ = ["Clock", "Cost", "StepCosts", "busy_note", "measure", "peak_memory"]

_TIMED_PROCESSOR_SECONDS: Final = 12.0
_TIMED_SECONDS: Final = 40.0
"""Limit on a machine where other programs take most of the processor time."""
_MOST_TIMED_STEPS: Final = 16
_SHORT_STEP_SECONDS: Final = 0.6
"""Of a shorter packed step, a large part goes to shapes that it has not met before. A run meets few of them."""
_TRANSLATED: Final = 100
_LOSS_BATCHES: Final = 4
_BUSY_SHARE: Final = 0.1
_TASKS: Final = Path("/proc/self/task")


@dataclass(frozen=True)
class Cost:
    """Wall time and processor time."""

    seconds: float = 0.0
    processor_seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.seconds + other.seconds, self.processor_seconds + other.processor_seconds)

    def __mul__(self, times: float) -> Cost:
        return Cost(self.seconds * times, self.processor_seconds * times)


class Clock:
    """Measures from its making on."""

    def __init__(self) -> None:
        self._seconds = time.monotonic()
        self._processor = time.process_time()
        self._ran, self._waited = _scheduled()

    def cost(self) -> Cost:
        """Return the time since then."""
        return Cost(time.monotonic() - self._seconds, time.process_time() - self._processor)

    def waiting_share(self) -> float | None:
        """Return the share of time since then in which our threads could run and others did; None if unknown."""
        ran, waited = (now - before for now, before in zip(_scheduled(), (self._ran, self._waited), strict=True))
        return waited / (ran + waited) if ran + waited > 0 else None


def _scheduled() -> tuple[int, int]:
    """Return the nanoseconds that the threads of this process ran, and those that they waited for a core (Linux)."""
    ran = waited = 0
    for path in _TASKS.glob("*/schedstat"):
        try:
            fields = path.read_text("ascii").split()
        except OSError:  # the thread has ended
            continue
        ran, waited = ran + int(fields[0]), waited + int(fields[1])
    return ran, waited


@dataclass(frozen=True)
class StepCosts:
    """The costs of one run's parts."""

    step: Cost
    """Mean of the timed batches."""
    target_tokens: float
    """Mean of one step."""
    loss_of_a_token: Cost
    """Of the validation loss, for each target token."""
    translation: Cost
    """Of the greedy translation of one sentence, as long as its reference."""
    early_translation: Cost
    """The same by a model that has learnt nothing yet, as long as it writes."""
    save: Cost
    checkpoint_bytes: int
    weights_bytes: int
    memory_bytes: int
    waiting_share: float | None
    """Share of the time in which the threads of the steps waited for a core that another program had."""


def measure(
    run: OpenedRun, model: Transformer, tokenizer: Tokenizer, store: TokenStore, sample: Sequence[SentencePair]
) -> StepCosts:
    """Do each part of the run on a sample, below the folder of its store."""
    config = run.recipe.training
    optimiser = make_optimiser(model, config=config)
    average = MovingAverage(model, decay=config.average_decay, tail=config.average_tail)
    stream = BatchStream(
        store,
        config=config,
        specials=model.config.specials,
        start_id=model.start_id,
        device=run.runtime.torch_device(),
        sampler=subword_sampler(store, tokenizer, config),
    )
    updater = Updater(
        model.train(),
        optimiser,
        stream=stream,
        config=config,
        runtime=run.runtime,
        ranks=Ranks(),
        message=lambda text: None,
        packed=choose_packed(model, config=config, runtime=run.runtime, keeps=None, message=lambda text: None),
    )
    batches = stream.first_epoch()
    step, tokens, waiting = _time_steps(updater, average, batches, store, accum_count=config.accum_count)
    saving = Clock()
    files = checkpoint_files(
        TrainingState(), facts=RunFacts({}, {}, {}), model=model, average=average, optimiser=optimiser
    )
    folder, size = write_checkpoint(store.folder.parent / "saved", step=0, files=files)
    save = saving.cost()
    loss, translation, early = _time_validation(run, average.refresh(), tokenizer, stream, batches, store, sample)
    return StepCosts(
        step=step,
        target_tokens=tokens,
        loss_of_a_token=loss,
        translation=translation,
        early_translation=early,
        save=save,
        checkpoint_bytes=size,
        weights_bytes=(folder / "weights.safetensors").stat().st_size,
        memory_bytes=peak_memory(run.runtime.device),
        waiting_share=waiting,
    )


def _time_steps(
    updater: Updater, average: MovingAverage, batches: Sequence[np.ndarray], store: TokenStore, *, accum_count: int
) -> tuple[Cost, float, float | None]:
    """Return the mean cost of a step, its mean target tokens, and the share of time that its threads waited.

    First come the batches with the longest sentences and with the most target tokens. They are not timed, because the
    first step of all also makes the state of the optimiser.
    """
    longest = [int(np.maximum(store.source_lengths[rows], store.target_lengths[rows]).max()) for rows in batches]
    most = [int(store.target_lengths[rows].sum()) for rows in batches]
    for place in (int(np.argmax(longest)), int(np.argmax(most))):
        clock = Clock()
        updater.step([batches[place]] * accum_count, learning_rate=1e-6)
    is_short = clock.cost().seconds < min(_SHORT_STEP_SECONDS, _TIMED_SECONDS)
    order = sorted(range(len(batches)), key=longest.__getitem__)
    places = [order[place] for place in _spread(len(order), _MOST_TIMED_STEPS * accum_count)]
    chosen: Sequence[list[np.ndarray]] = [
        [batches[place] for place in places[i : i + accum_count]] for i in range(0, len(places), accum_count)
    ]
    if updater.method == "packed" and is_short:
        chosen = _with_known_shapes(updater, chosen)
    clock, tokens, steps = Clock(), 0, 0
    for rows in chosen:
        outcome = updater.step(rows, learning_rate=1e-6)
        average.update(steps + 1)
        tokens, steps = tokens + outcome.target_tokens, steps + 1
        spent = clock.cost()
        if spent.processor_seconds > _TIMED_PROCESSOR_SECONDS or spent.seconds > _TIMED_SECONDS:
            break
    return clock.cost() * (1 / steps), tokens / steps, clock.waiting_share()


def _with_known_shapes(updater: Updater, chosen: Sequence[list[np.ndarray]]) -> Sequence[list[np.ndarray]]:
    """Make the steps, so that their products are prepared, for no longer than they are timed; return those made."""
    clock = Clock()
    for number, rows in enumerate(chosen, start=1):
        updater.step(rows, learning_rate=1e-6)
        spent = clock.cost()
        if spent.processor_seconds > _TIMED_PROCESSOR_SECONDS or spent.seconds > _TIMED_SECONDS:
            return chosen[:number]
    return chosen


def _spread(count: int, wanted: int) -> list[int]:
    """Return places spread evenly over ``count``, in an order in which every beginning is spread evenly too."""
    number = min(count, wanted)
    places = [(2 * index + 1) * count // (2 * number) for index in range(number)]
    golden = (5**0.5 - 1) / 2
    return [places[index] for index in sorted(range(number), key=lambda index: (index * golden) % 1)]


def _time_validation(
    run: OpenedRun,
    model: Transformer,
    tokenizer: Tokenizer,
    stream: BatchStream,
    batches: Sequence[np.ndarray],
    store: TokenStore,
    sample: Sequence[SentencePair],
) -> tuple[Cost, Cost, Cost]:
    """Return the cost of the loss for a target token, and of the greedy translation of a sentence, usual and early."""
    loaded = [stream.load(batches[place]) for place in _spread(len(batches), _LOSS_BATCHES)]
    clock = Clock()
    with torch.no_grad():
        measure_loss(model, loaded, label_smoothing=0.0, runtime=run.runtime)
    loss = clock.cost() * (1 / sum(batch.num_target_tokens for batch in loaded))
    wanted = min(run.recipe.training.valid_bleu_sentences, _TRANSLATED, len(sample)) or 1
    pairs = [sample[place] for place in _spread(len(sample), wanted)]
    # An untrained model does not end its translations, so they end where those of a trained one would.
    factor = max(int(store.target_lengths.sum()) / max(int(store.source_lengths.sum()), 1), 0.01)
    usual = TranslationConfig(beam_size=1, max_length_factor=min(factor, 1000.0), max_length_constant=1)
    early = run.recipe.translation.model_copy(update={"beam_size": 1, "n_best": 1})
    costs = []
    for search in (usual, early):
        translator = Translator(
            model,
            tokenizer,
            config=search,
            source_language=run.recipe.data.src_lang,
            target_language=run.recipe.data.tgt_lang,
            engine=validation_engine(model, threads=run.runtime.threads),
        )
        clock = Clock()
        translator.translate([pair.source for pair in pairs])
        costs.append(clock.cost() * (1 / len(pairs)))
    return loss, costs[0], costs[1]


def peak_memory(device: str) -> int:
    """Return the most bytes that this process has had so far: of the GPU if it computes there, else of the machine."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_reserved(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def busy_note(waiting_share: float | None, device: str) -> str:
    """Return a note if other programs slowed the measurement down; by the load where the waiting is not known."""
    if device != "cpu":
        return ""
    if waiting_share is not None:
        if waiting_share < _BUSY_SHARE:
            return ""
        return f"; other programs slow this machine down: our threads waited {waiting_share:.0%} of the time for a core"
    load, cores = (os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0), os.cpu_count() or 1
    # The load includes the dry run itself, which keeps every core busy.
    return (
        f"; other programs slow this machine down (load {load:.1f} on {counted(cores, 'core')})"
        if load > cores + 1
        else ""
    )
