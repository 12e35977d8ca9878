"""Check everything that a training run needs, and report what to expect, without training.

Every file is read and every setting is checked. The tokenizer is trained on a sample, and each part of the run is done
on that sample, so sizes and times are measured, not guessed. ``benchmarks/dry_run.py`` compares the predictions with
runs. Read ``costs.py`` and ``forecast.py`` next.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

from pellucid.config import Recipe
from pellucid.errors import ConfigError, DataError, counted
from pellucid.jobs.choosing.attention import choose_attention
from pellucid.jobs.choosing.preset import with_preset
from pellucid.jobs.choosing.processes import refuse_processes, sharing_of
from pellucid.jobs.fine_tuning.general import read_general
from pellucid.jobs.opening import OpenedRun, open_run
from pellucid.jobs.preparation.copies import CopyCount
from pellucid.jobs.promises.batch_size import free_memory, with_batch_lengths, with_batch_size
from pellucid.jobs.promises.costs import Clock, Cost, StepCosts, busy_note, measure
from pellucid.jobs.promises.forecast import Forecast, RunCosts, forecast
from pellucid.jobs.reporting.validation import ENOUGH_TO_SEE
from pellucid.model.transformer import Transformer
from pellucid.runtime import Runtime, keeping_memory
from pellucid.text.batching import order_bytes
from pellucid.text.cleaning import Cleaner
from pellucid.text.corpus import CorpusFacts, SentencePair, verify_corpora
from pellucid.text.mixing import corpus_weights
from pellucid.text.sampling.epochs import subword_sampler
from pellucid.text.selection import cleaned_pairs
from pellucid.text.store import TokenStore, write_store
from pellucid.text.tokenizer import Tokenizer, train_tokenizer
from pellucid.text.unknown import refuse_unknown
from pellucid.training.batches import BatchStream

__all__ = ["Prediction", "dry_run"]

_SAMPLE_PAIRS: Final = 20_000
_SAMPLE_CHARACTERS: Final = 3_000_000
"""Of both sides together; with many more, the tokenizer would take too long for a dry run."""
_CLEANING_PASSES: Final = 3
"""How often a run reads and cleans its text: to choose pairs, for the tokenizer, and for the store."""


@dataclass(frozen=True)
class Prediction:
    """What a dry run found out."""

    forecast: Forecast
    memory_bytes: int
    lines: tuple[str, ...]

    def to_text(self) -> str:
        """Return the report for the screen."""
        return "\n".join(self.lines)


def dry_run(recipe: Recipe, output: Path, *, init_from: Path | None = None) -> Prediction:
    """Check files and settings, and measure each part of the run on a sample.

    Raises:
        PellucidError: every error that would stop the run before its first step.
    """
    free = free_memory()
    chosen = with_preset(recipe, output, init_from=init_from)
    recipe = chosen.recipe
    run = open_run(recipe, output, init_from=init_from).with_choice(chosen)
    refuse_processes(run.recipe.training, output, runtime=run.runtime)
    attention = choose_attention(run)
    reading = Clock()
    facts = verify_corpora(run.recipe.data)
    sample = _read_sample(run, facts, reading.cost())
    read_general(run.recipe.data, sample.tokenizer, most=run.recipe.training.valid_bleu_sentences)
    model = run.make_model(sample.tokenizer)
    with tempfile.TemporaryDirectory(prefix="pellucid-") as scratch:
        storing = Clock()
        store = _stored(run.recipe, Path(scratch) / "sample", sample.pairs, sample.tokenizer)
        preparation = sample.cost + storing.cost() * sample.times_stored
        attention.apply_to(model)
        run, size = with_batch_size(run, model, store, pairs=sample.kept)
        run = run.with_precision(model)
        run, lengths = with_batch_lengths(run, model)
        sharing = sharing_of(run, model)
        run = sharing.applied_to(run)
        with sharing.threads_of_one(run), keeping_memory(run.runtime.device):
            costs = sharing.divided(measure(run, model, sample.tokenizer, store, sample.pairs))
        batches = _batches(run.recipe, model, store, sample.tokenizer, run.runtime)
        stored = sum(file.stat().st_size for file in store.folder.iterdir())
    training = run.recipe.training
    if run.runtime.device == "cpu":  # otherwise the memory is that of the device
        ordering = order_bytes(sample.kept, weight=sample.weight) - order_bytes(len(sample.pairs))
        costs = replace(costs, memory_bytes=costs.memory_bytes + max(0, ordering))
    steps_per_epoch = max(1, round(batches * sample.weight * sample.kept / len(sample.pairs) / training.accum_count))
    tokens_of_a_pair = costs.target_tokens * batches / training.accum_count / len(sample.pairs)
    run_costs = _run_costs(
        run.recipe, costs, sample, preparation, tokens_of_a_pair=tokens_of_a_pair, stored_bytes=stored
    )
    found = forecast(training, run_costs, steps_per_epoch=steps_per_epoch)
    lines = (
        *_describe_text(facts, sample),
        *run.notes,
        f"machine: {run.runtime.to_text()}",
        f"model: {counted(model.num_parameters(), 'parameter')}, {sample.tokenizer.source_vocab_size:,} source and "
        f"{counted(sample.tokenizer.target_vocab_size, 'target piece')} (from a sample of "
        f"{counted(len(sample.pairs), 'pair')}{sample.difference})",
        *(f"pieces: {side}" for side in store.unknown if side.unknown),
        *filter(None, [attention.text, size, lengths, sharing.text]),
        *_describe_costs(found, costs, run_costs, steps_per_epoch, busy_note(costs.waiting_share, run.runtime.device)),
        *_shortages(found, costs, output=output, memory=free if run.runtime.device == "cpu" else None),
        *_describe_promise(recipe),
        f"output: {output}"
        + (" (exists: training would continue its run)" if (output / "checkpoints").exists() else ""),
    )
    return Prediction(found, costs.memory_bytes, lines)


def _run_costs(
    recipe: Recipe,
    costs: StepCosts,
    sample: _Sample,
    preparation: Cost,
    *,
    tokens_of_a_pair: float,
    stored_bytes: int,
) -> RunCosts:
    loss = costs.loss_of_a_token * (sample.valid * tokens_of_a_pair)
    translated = min(max(recipe.training.valid_bleu_sentences, 1), sample.valid)
    is_seen_first = translated >= 2 * ENOUGH_TO_SEE and recipe.data.general is None
    decoded = sample.valid / 3 + 2 * translated  # as in training.validation.cost_in_steps
    return RunCosts(
        preparation=preparation,
        step=costs.step,
        validation=loss + costs.translation * translated,
        early_validation=loss + costs.early_translation * (ENOUGH_TO_SEE if is_seen_first else translated),
        early_last_validation=loss + costs.early_translation * translated,
        save=costs.save,
        checkpoint_bytes=costs.checkpoint_bytes,
        weights_bytes=costs.weights_bytes,
        data_bytes=round(stored_bytes * sample.times_stored),
        steps_of_a_validation=tokens_of_a_pair * decoded / max(costs.target_tokens, 1.0),
    )


@dataclass(frozen=True)
class _Sample:
    """The beginning of the training text; the rest is assumed to resemble it."""

    pairs: list[SentencePair]
    tokenizer: Tokenizer
    difference: str
    """How the tokenizer differs from that of the run."""
    is_whole: bool
    kept: int
    """Training pairs after cleaning."""
    valid: int
    weight: float
    """How often an epoch shows a pair on average."""
    cost: Cost
    """Of reading, cleaning and learning pieces in the run."""

    @property
    def times_stored(self) -> float:
        """The pairs that the run stores, as a multiple of the sample."""
        return (self.kept + self.valid) / len(self.pairs)


def _read_sample(run: OpenedRun, facts: Sequence[CorpusFacts], cost: Cost) -> _Sample:
    recipe = run.recipe
    cleaner, cleaning = Cleaner(recipe.data.cleaning), Clock()
    sample = list(_sample(cleaned_pairs(recipe.data, cleaner)))
    if not sample:
        raise DataError("no training pair is left after cleaning")
    report = cleaner.report()
    pairs = sum(f.pairs for f in facts[: len(recipe.data.train)])
    kept = round(pairs * report.kept / report.read)
    cost += cleaning.cost() * (_CLEANING_PASSES * pairs / report.read)
    learning = Clock()
    tokenizer, difference = _tokenizer(run, sample, is_whole=report.read == pairs)
    learnt = min(kept, recipe.tokenizer.input_sentence_size)
    cost += learning.cost() * (1.0 if run.initial else max(1.0, learnt / len(sample)))
    sizes = [f.pairs for f in facts[: len(recipe.data.train)]]
    weight = sum(n * w for n, w in zip(sizes, corpus_weights(recipe.data, sizes), strict=True)) / pairs
    own_valid = facts[len(sizes) : len(sizes) + len(recipe.data.valid)]
    valid = sum(f.pairs for f in own_valid) or min(1000, kept // 100)
    return _Sample(sample, tokenizer, difference, report.read == pairs, kept, valid, weight, cost)


def _describe_text(facts: Sequence[CorpusFacts], sample: _Sample) -> list[str]:
    copies = CopyCount()
    for _ in copies.watching(iter(sample.pairs)):
        pass
    read = [f"{f.label} {counted(f.pairs, 'pair')}" for f in facts]
    return [
        f"files: {', '.join(read)}; all readable and parallel",
        *(f"note: {note}" for f in facts for note in f.notes),
        f"pairs: {sample.kept:,} to train on" + ("" if sample.is_whole else " (estimated from the first ones)"),
        *copies.lines(),
    ]


def _describe_costs(found: Forecast, costs: StepCosts, parts: RunCosts, steps_per_epoch: int, busy: str) -> list[str]:
    step = costs.step.seconds
    cores = f"; {_duration(found.cost.processor_seconds)} of processor time on all threads together"
    return [
        f"memory: {costs.memory_bytes / 2**30:.2f} GiB at most, measured with the longest batches; "
        "the order of an epoch is computed",
        f"disk: {_gigabytes(found.disk_bytes)} at the end, {_gigabytes(found.most_disk_bytes)} at most; "
        f"{_gigabytes(costs.checkpoint_bytes)} for each checkpoint",
        f"steps: {steps_per_epoch:,} an epoch, {step:.3f} s and "
        f"{counted(round(costs.target_tokens), 'target token')} each "
        f"({costs.target_tokens / step:,.0f} tokens/s){busy}",
        f"beside the steps: preparation {parts.preparation.seconds:.0f} s, "
        f"{counted(found.validations, 'validation')} of "
        f"{parts.validation.seconds:.1f} s, checkpoints of {costs.save.seconds:.1f} s",
        f"run: about {counted(found.steps, 'step')}, {found.steps / steps_per_epoch:,.1f} epochs, "
        f"{_duration(found.cost.seconds)}" + (f" as busy as now{cores}" if busy else ""),
    ]


def _shortages(found: Forecast, costs: StepCosts, *, output: Path, memory: int | None) -> list[str]:
    """Return a warning for disk or memory that is too small; ``memory`` is None where it is not known."""
    folder = next(path for path in (output.absolute(), *output.absolute().parents) if path.is_dir())
    needs = {
        f"disk of {folder}": (found.most_disk_bytes - _bytes_below(output), shutil.disk_usage(folder).free),
        "memory of this machine": (costs.memory_bytes, memory),
    }
    return [
        f"warning: the {place} has {_gigabytes(free)} free, and the run needs up to {_gigabytes(most)}"
        for place, (most, free) in needs.items()
        if free is not None and most > free
    ]


def _bytes_below(folder: Path) -> int:
    """Return the size of what an earlier part of the run has written already."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0


def _describe_promise(recipe: Recipe) -> list[str]:
    """Return what the recipe promises, if anything."""
    if (promise := recipe.promise) is None:
        return []
    scores = ", ".join(f"{score.metric} {score.value:g}" for score in promise.scores)
    return [
        f"promise of the recipe: {scores or 'no score, ' + promise.not_measured}"
        + (
            f" on {promise.test_src}, after {counted(promise.minutes, 'minute')} on {promise.hardware}"
            if scores
            else ""
        )
    ]


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:,.1f} minutes"


def _gigabytes(size: int) -> str:
    return f"{size / 2**30:.2f} GiB" if size >= 2**30 else f"{size / 2**20:,.0f} MiB"


def _sample(pairs: Iterable[SentencePair]) -> Iterator[SentencePair]:
    characters = 0
    for pair in islice(pairs, _SAMPLE_PAIRS):
        yield pair
        characters += len(pair.source) + len(pair.target)
        if characters >= _SAMPLE_CHARACTERS:
            return


def _tokenizer(run: OpenedRun, sample: Sequence[SentencePair], *, is_whole: bool) -> tuple[Tokenizer, str]:
    """Return a tokenizer like that of the run, and how the two differ."""
    if run.initial is not None:
        return run.initial.tokenizer, ""
    config, seed, threads = run.recipe.tokenizer, run.recipe.training.seed, run.runtime.threads
    try:
        return train_tokenizer(lambda: sample, config, seed=seed, threads=threads), ""
    except ConfigError:
        if is_whole or config.vocab_size == "auto":
            raise
    smaller = config.model_copy(update={"vocab_size": "auto"})
    difference = f"; the sample is too small to test tokenizer.vocab_size = {config.vocab_size}"
    return train_tokenizer(lambda: sample, smaller, seed=seed, threads=threads), difference


def _stored(recipe: Recipe, folder: Path, sample: Sequence[SentencePair], tokenizer: Tokenizer) -> TokenStore:
    most = recipe.training.max_length
    store = write_store(folder, sample, tokenizer, max_length=most, progress=None)
    if not len(store):
        raise DataError(f"no pair has at most {most} tokens on both sides (training.max_length)")
    refuse_unknown(store.unknown, most=recipe.data.max_unknown_share)
    return store


def _batches(recipe: Recipe, model: Transformer, store: TokenStore, tokenizer: Tokenizer, runtime: Runtime) -> int:
    """Return the batches of an epoch of the sample."""
    stream = BatchStream(
        store,
        config=recipe.training,
        specials=model.config.specials,
        start_id=model.start_id,
        device=runtime.torch_device(),
        sampler=subword_sampler(store, tokenizer, recipe.training),
    )
    return stream.batches_of_first_epoch()
