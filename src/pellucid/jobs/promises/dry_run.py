"""Check everything that a training run needs, and report what to expect, without training.

Every file is read and every setting is checked. The tokenizer is trained on a sample, and a few steps are timed on real
batches of that sample, so sizes and times are measured, not guessed.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from pellucid.config import Recipe
from pellucid.errors import ConfigError, DataError
from pellucid.jobs.opening import OpenedRun, open_run
from pellucid.model.transformer import Transformer
from pellucid.runtime import Runtime, keeping_memory
from pellucid.text.cleaning import Cleaner
from pellucid.text.corpus import SentencePair, verify_corpora
from pellucid.text.selection import cleaned_pairs
from pellucid.text.store import TokenStore, write_store
from pellucid.text.tokenizer import Tokenizer, train_tokenizer
from pellucid.text.unknown import refuse_unknown
from pellucid.training.batches import BatchStream, DataPosition
from pellucid.training.distributed import Ranks
from pellucid.training.optimisation import make_optimiser
from pellucid.training.update import Updater

__all__ = ["dry_run"]

_SAMPLE_PAIRS = 20_000
_SAMPLE_CHARACTERS = 3_000_000
"""Of both sides together; with many more, the tokenizer would take too long for a dry run."""
_TIMED_SECONDS = 6.0
_MOST_TIMED_STEPS = 10


def dry_run(recipe: Recipe, output: Path, *, init_from: Path | None = None) -> str:
    """Check files and settings; measure sizes, memory and speed on a sample; return the report.

    Raises:
        PellucidError: every error that would stop the run before its first step.
    """
    run = open_run(recipe, output, init_from=init_from)
    recipe, runtime = run.recipe, run.runtime
    facts = verify_corpora(recipe.data)
    cleaner = Cleaner(recipe.data.cleaning)
    sample = list(_sample(cleaned_pairs(recipe.data, cleaner)))
    if not sample:
        raise DataError("no training pair is left after cleaning")
    report = cleaner.report()
    pairs = sum(f.pairs for f in facts[: len(recipe.data.train)])
    # Assume that the rest of the corpus resembles its beginning.
    kept = round(pairs * report.kept / report.read)
    tokenizer, difference = _tokenizer(run, sample, is_whole=report.read == pairs)
    model = run.make_model(tokenizer)
    with tempfile.TemporaryDirectory(prefix="pellucid-") as scratch:
        store = _stored(recipe, Path(scratch) / "sample", sample, tokenizer)
        with keeping_memory(runtime.device):
            seconds, tokens = _time_steps(recipe, model, store, runtime)
        batches = _stream(recipe, model, store, runtime).batches_of_epoch(0)
    weight = sum(f.pairs * corpus.weight for f, corpus in zip(facts, recipe.data.train, strict=False)) / pairs
    steps_per_epoch = max(1, round(batches * weight * kept / len(sample) / recipe.training.accum_count))
    steps, minutes = _length(recipe, steps_per_epoch, seconds / 60)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return "\n".join(
        (
            f"files: {', '.join(f'{f.label} {f.pairs:,} pairs' for f in facts)}; all readable and parallel",
            *(f"note: {note}" for f in facts for note in f.notes),
            f"pairs: {kept:,} to train on" + ("" if report.read == pairs else " (estimated from the first ones)"),
            *run.notes,
            f"machine: {runtime.to_text()}",
            f"model: {model.num_parameters():,} parameters, {tokenizer.source_vocab_size:,} source and "
            f"{tokenizer.target_vocab_size:,} target pieces (from a sample of {len(sample):,} pairs{difference})",
            *(f"pieces: {side}" for side in store.unknown if side.unknown),
            f"memory: {peak / 2**30:.1f} GiB while training, about {5 * 4 * model.num_parameters() / 2**20:,.0f} MiB "
            "for each checkpoint kept",
            f"steps: {steps_per_epoch:,} an epoch, {seconds:.3f} s and {tokens:,.0f} target tokens each "
            f"({tokens / seconds:,.0f} tokens/s){_busy(runtime)}",
            f"run: about {steps:,} steps, {steps / steps_per_epoch:.1f} epochs, {minutes:.1f} minutes",
            f"output: {output}"
            + (" (exists: training would continue its run)" if (output / "checkpoints").exists() else ""),
        )
    )


def _length(recipe: Recipe, steps_per_epoch: int, minutes_per_step: float) -> tuple[int, float]:
    """Return the steps and minutes of the run; of several budgets, the shortest decides."""
    training = recipe.training
    bounds: list[tuple[int, float]] = []
    if training.minutes is not None:
        bounds.append((int(training.minutes / minutes_per_step), training.minutes))
    if training.train_steps is not None:
        bounds.append((training.train_steps, training.train_steps * minutes_per_step))
    if training.max_epochs is not None:
        steps = training.max_epochs * steps_per_epoch
        bounds.append((steps, steps * minutes_per_step))
    return min(bounds)


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


def _stream(recipe: Recipe, model: Transformer, store: TokenStore, runtime: Runtime) -> BatchStream:
    return BatchStream(
        store,
        config=recipe.training.model_copy(update={"max_epochs": None}),  # a short run must not end while it is timed
        specials=model.config.specials,
        start_id=model.start_id,
        device=runtime.torch_device(),
    )


def _busy(runtime: Runtime) -> str:
    """Return a note if other programs slowed the timing down."""
    if runtime.device != "cpu" or not hasattr(os, "getloadavg"):
        return ""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    # The load includes the dry run itself, which keeps every core busy.
    is_busy = load > cores + 1
    return f"; other programs slow this machine down (load {load:.1f} on {cores} cores)" if is_busy else ""


def _time_steps(recipe: Recipe, model: Transformer, store: TokenStore, runtime: Runtime) -> tuple[float, float]:
    """Return the median seconds of a step, without the first if there are more, and its mean target tokens."""
    stream = _stream(recipe, model, store, runtime)
    updater = Updater(
        model.train(),
        make_optimiser(model.parameters(), config=recipe.training),
        stream=stream,
        config=recipe.training,
        runtime=runtime,
        ranks=Ranks(),
        message=lambda text: None,
    )
    position, tokens = DataPosition(), 0
    took: list[float] = []
    begin = time.monotonic()
    while len(took) < _MOST_TIMED_STEPS and (not took or time.monotonic() - begin < _TIMED_SECONDS):
        rows, position = stream.take(position, recipe.training.accum_count)
        start = time.monotonic()
        tokens += updater.step(rows, learning_rate=1e-6).target_tokens
        took.append(time.monotonic() - start)
    settled = sorted(took[1:] or took)
    return settled[len(settled) // 2], tokens / len(took)
