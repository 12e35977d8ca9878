"""Train a translator: prepare the text, build the model, run the trainer, save the best model as a folder.

    RUN/recipe.toml    the complete settings         RUN/checkpoints/  RUN/snapshots/  RUN/probes/
    RUN/data/          token stores, tokenizer       RUN/metrics.jsonl
    RUN/model/         the best model so far, complete at every instant

Read ``pellucid.training.trainer`` for the loop itself.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pellucid.bundle import load_bundle
from pellucid.config import Recipe
from pellucid.durable import DISK, shortage_of
from pellucid.errors import ConfigError, DataError, StoppedError, counted
from pellucid.jobs.choosing.attention import choose_attention
from pellucid.jobs.choosing.preset import with_preset
from pellucid.jobs.choosing.processes import refuse_processes, sharing_of
from pellucid.jobs.fine_tuning.general import read_general
from pellucid.jobs.opening import OpenedRun, open_run
from pellucid.jobs.prepare import PreparedData, prepare
from pellucid.jobs.promises.batch_size import with_batch_lengths, with_batch_size
from pellucid.jobs.promises.signs import Situation
from pellucid.jobs.promises.watching import RunWatch, padding_share
from pellucid.jobs.reporting.reporter import JobReporter, QuietReporter
from pellucid.jobs.reporting.tensorboard import TensorBoardReporter
from pellucid.jobs.reporting.validation import ValidationBleu, settings_in_toml
from pellucid.jobs.run_folder import mend_model, recorded_facts, settings_of
from pellucid.model.transformer import Transformer
from pellucid.signals import RaiseOnSigterm
from pellucid.text.formats.keeping import parsing_once
from pellucid.text.mixing import corpus_weights
from pellucid.text.sampling.epochs import subword_sampler
from pellucid.training import trainer
from pellucid.training.gpu.step_choice import way_of_run
from pellucid.training.inputs import RunInputs
from pellucid.training.packed.gradients import takes_packed
from pellucid.training.processes.local import end_with_first
from pellucid.training.processes.ranks import Ranks, ranks_of_environment
from pellucid.training.reporter import TrainingResult

__all__ = [
    "JobReporter",
    "QuietReporter",
    "TrainOutcome",
    "train",
]


_STOPPED_PREPARING = "stopped by SIGTERM while the text was prepared; the same command starts the preparation again"
_STOPPED_OUTSIDE = (
    "stopped by SIGTERM outside the training steps; the checkpoints are intact, and the same command continues"
)


@dataclass(frozen=True)
class TrainOutcome:
    """The result of a run and the folder of its model."""

    result: TrainingResult
    model: Path
    seconds: float
    """Of this command; ``result.seconds`` are those of the run, over all its continuations."""
    warnings: tuple[str, ...] = ()
    """What was not normal in the course of the run, each with its first step."""

    def to_text(self) -> str:
        """Return the lines for the screen."""
        result, here = self.result, self.seconds
        time_taken = f"{max(result.seconds, here):.0f} s in total"
        time_taken += f", {here:.0f} of them in this command" if result.seconds > here + 1 else ""
        untrained = "" if result.steps else "\nno step was trained: the budget ended before the first one; give more"
        seen = f"\nnot normal in this run: {'; '.join(self.warnings)}" if self.warnings else ""
        best = "  ".join(f"{name} {value:.3f}" for name, value in result.best.items())
        return (
            f"{result.reason}: {counted(result.steps, 'step')}, {result.epochs:.1f} epochs, "
            f"{counted(result.target_tokens, 'target token')}, {time_taken}{untrained}\n"
            f"best at step {result.best_step:,}: {best}\n"
            f"the model is in {self.model}{seen}"
        )


def train(recipe: Recipe, output: Path, *, init_from: Path | None = None, reporter: JobReporter) -> TrainOutcome:
    """Train with a recipe into a run folder, or continue the run in that folder.

    Raises:
        DataError: the text is missing or wrong.
        ConfigError: a setting cannot be met.
        IncompatibleModelError: the run in the folder has other settings or another text; or the recipe does not fit
            the initial model.
        StoppedError: training stopped early; nothing is lost, and the same call continues it.
    """
    with RaiseOnSigterm(lambda: StoppedError(_STOPPED_OUTSIDE)), parsing_once(output):
        started = time.monotonic()
        end_with_first()
        chosen = with_preset(recipe, output, init_from=init_from)
        recipe = chosen.recipe
        run = open_run(recipe, output, init_from=init_from).with_choice(chosen)
        _make_folder(output)
        ranks = ranks_of_environment(run.runtime.torch_device())
        refuse_processes(run.recipe.training, output, runtime=run.runtime, ranks=ranks)
        with ExitStack() as held:
            if ranks.is_first:
                held.enter_context(_one_at_a_time(output))
            if ranks.is_first and recipe.training.tensorboard:
                reporter = held.enter_context(TensorBoardReporter(reporter, output / "tensorboard"))
            outcome = _train(run, ranks=ranks, reporter=reporter if ranks.is_first else QuietReporter(), since=started)
    return outcome


def _make_folder(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if shortage_of(error):
            raise
        raise ConfigError(
            f"{output}: this run folder cannot be made: {error.strerror}; choose another --output"
        ) from error


def _train(run: OpenedRun, *, ranks: Ranks, reporter: JobReporter, since: float) -> TrainOutcome:
    for line in (run.runtime.to_text(), *run.notes):
        reporter.message(line)
    attention = choose_attention(run, say=reporter.message)
    with RaiseOnSigterm(lambda: StoppedError(_STOPPED_PREPARING)):
        data = _prepare(run, reporter=reporter, ranks=ranks)
    model = run.make_model(data.tokenizer)
    attention.apply_to(model)
    run, size = with_batch_size(run, model, data.store, pairs=len(data.store), ranks=ranks)
    is_tried = run.recipe.training.precision == "auto"
    run = run.with_precision(model, ranks=ranks)
    run, lengths = with_batch_lengths(run, model, ranks=ranks)
    sharing = sharing_of(run, model, ranks=ranks)
    recipe, output, most = run.recipe, run.output, run.recipe.training.valid_bleu_sentences
    general = read_general(recipe.data, data.tokenizer, most=most)
    evaluator = ValidationBleu(
        recipe, data, output / "model", general, threads=run.runtime.threads, say=reporter.message
    )
    precision = f"precision: {run.runtime.precision}, {run.runtime.reason}" if is_tried else ""
    scoring = evaluator.to_text() if most else ""
    for line in filter(None, (attention.text, precision, size, lengths, sharing.text, scoring)):
        reporter.message(line)
    if ranks.is_first:
        DISK.write_replacing(output / "recipe.toml", settings_in_toml(recipe).encode())
    facts = recorded_facts(output)
    if ranks.is_first and facts is not None and facts.data.get("train") == data.store.fingerprint:
        mend_model(output, model, keep=evaluator.keep, is_finished=False, say=reporter.message)
    watch = _watch(run, data, model, evaluator, is_new=facts is None) if ranks.is_first else None
    with sharing.started(run, ranks=ranks, say=reporter.message) as (run, processes):
        inputs = _inputs(run, data, model, evaluator, watch, reporter)
        result = trainer.train(replace(inputs, ranks=processes, seconds_before=time.monotonic() - since))
    if ranks.is_first:
        mend_model(output, model, keep=evaluator.keep, is_finished=True, say=reporter.message)
    warnings = watch.warnings() if watch else ()
    outcome = TrainOutcome(result, output / "model", time.monotonic() - since, warnings)
    reporter.message(outcome.to_text())
    if ranks.is_first and run.initial is not None and most:
        _compare(run, run.initial.model, evaluator, reporter)
    return outcome


def _inputs(
    run: OpenedRun,
    data: PreparedData,
    model: Transformer,
    evaluator: ValidationBleu,
    watch: RunWatch | None,
    reporter: JobReporter,
) -> RunInputs:
    """Return what the trainer needs, for a single process."""
    recipe = run.recipe
    if (sampler := subword_sampler(data.store, data.tokenizer, recipe.training)) is not None:
        reporter.message(sampler.to_text())
    return RunInputs(
        model=model,
        store=data.store,
        valid_store=data.valid_store,
        tokenizer=data.tokenizer,
        config=recipe.training,
        runtime=run.runtime,
        run_folder=run.output,
        settings=settings_of(recipe),
        reporter=reporter,
        evaluator=evaluator,
        last_evaluator=evaluator.of_all,
        on_new_best=evaluator.keep,
        judge=watch,
        validates_first=run.initial is not None and recipe.training.valid_bleu_sentences > 0,
        sampler=sampler,
        corpus_weights=corpus_weights(recipe.data, data.store.pairs_of_corpora(len(recipe.data.train))),
    )


def _watch(
    run: OpenedRun, data: PreparedData, model: Transformer, evaluator: ValidationBleu, *, is_new: bool
) -> RunWatch:
    keeps = way_of_run(run.output, run.runtime)
    pads = not takes_packed(model, config=run.recipe.training, runtime=run.runtime, keeps=keeps)
    situation = Situation(
        warmup_steps=run.recipe.training.warmup_steps,
        vocabulary=data.tokenizer.target_vocab_size,
        padding=padding_share(data.store, run.recipe.training) if pads else 0.0,
    )
    return RunWatch(situation, promise=run.recipe.promise, faults=evaluator.faults, first_run=is_new)


def _compare(run: OpenedRun, initial: Transformer, evaluator: ValidationBleu, reporter: JobReporter) -> None:
    """Compare the initial model with the best one, on the screen and in ``fine_tuning.json``."""
    device = run.runtime.torch_device()
    report = evaluator.compare(initial.to(device), load_bundle(run.output / "model").model.to(device))
    DISK.write_replacing(run.output / "fine_tuning.json", report.to_json())
    reporter.message(report.to_text())


def _prepare(run: OpenedRun, *, reporter: JobReporter, ranks: Ranks) -> PreparedData:
    """Prepare the text; under torchrun the first process prepares it, and the others reuse the result."""

    def prepared() -> PreparedData:
        return prepare(run, say=reporter.message, progress=reporter.counted)

    data = prepared() if ranks.is_first else None
    ranks.wait()
    return data or prepared()


@contextmanager
def _one_at_a_time(output: Path) -> Iterator[None]:
    """Lock the run folder during the training; the lock ends with the process, even after a kill."""
    # Neither follow nor truncate the file: in the folder of a stranger it may be a link, or a file with two names.
    with os.fdopen(os.open(output / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(
                f"{output}: another process is training in this run folder; wait for it or stop it. You can "
                "translate with the model in the meantime"
            ) from None
        yield
