"""Train a translator: prepare the text, build the model, run the trainer, keep the best model as a folder.

    RUN/recipe.toml    the settings, resolved        RUN/checkpoints/  RUN/snapshots/  RUN/probes/
    RUN/data/          token stores, tokenizer       RUN/metrics.jsonl
    RUN/model/         the best model so far, whole at every instant

Read ``pellucid.training.trainer`` for the loop itself.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from pellucid.bundle import Bundle, load_bundle, save_bundle
from pellucid.config import Recipe, to_toml
from pellucid.durable import DISK
from pellucid.errors import ConfigError, DataError, StoppedError
from pellucid.evaluation.bleu_words import bleu_tokenizer
from pellucid.evaluation.metrics import Score, corpus_score
from pellucid.jobs.card import write_card
from pellucid.jobs.prepare import PreparedData, prepare
from pellucid.jobs.run_folder import mend_model, recorded_facts, refuse_links_in_run
from pellucid.jobs.starting import build_model, refuse_other_model, with_languages
from pellucid.model.transformer import Transformer
from pellucid.runtime import Runtime
from pellucid.signals import RaiseOnSigterm
from pellucid.text.corpus import SentencePair
from pellucid.text.sentences import has_single_sentences
from pellucid.training import trainer
from pellucid.training.checkpoints import list_checkpoints
from pellucid.training.distributed import Ranks, ranks_of_environment
from pellucid.training.reporter import Reporter, SilentReporter, TrainingResult
from pellucid.training.resuming import refuse_changes
from pellucid.translation.translator import Translator

__all__ = [
    "JobReporter",
    "QuietReporter",
    "TrainOutcome",
    "refuse_incomplete",
    "refuse_occupied",
    "train",
]


_STOPPED_PREPARING = "stopped by SIGTERM while the text was prepared; the same command begins with that again"
_STOPPED_OUTSIDE = "stopped by SIGTERM outside of the steps; what was saved is intact, the same command continues"


class JobReporter(Reporter, Protocol):
    """The live view of a whole job: what the trainer tells, and how preparation goes on."""

    def counted(self, what: str, done: int) -> None:
        """Receive how many of something are done."""


class QuietReporter(SilentReporter):
    """A live view that shows nothing of a job."""

    def counted(self, what: str, done: int) -> None:
        """Ignore."""


@dataclass(frozen=True)
class TrainOutcome:
    """How a run ended and where its model is."""

    result: TrainingResult
    model: Path
    seconds: float

    def to_text(self) -> str:
        """Return the lines for the screen."""
        result = self.result
        best = "  ".join(f"{name} {value:.3f}" for name, value in result.best.items())
        return (
            f"{result.reason}: {result.steps:,} steps, {result.epochs:.1f} epochs, "
            f"{result.target_tokens:,} target tokens, {self.seconds:.0f} s in all\n"
            f"best at step {result.best_step:,}: {best}\n"
            f"the model is in {self.model}"
        )


def train(recipe: Recipe, output: Path, *, init_from: Path | None = None, reporter: JobReporter) -> TrainOutcome:
    """Train by a recipe into a run folder, or continue the run that is there.

    Raises:
        DataError: the text is missing or wrong.
        ConfigError: a setting cannot be met.
        IncompatibleModelError: the run that is there was made with other settings or other text; or the recipe's
            model is not the one to start from.
        StoppedError: stopped early; nothing is lost, and the same call continues.
    """
    with RaiseOnSigterm(lambda: StoppedError(_STOPPED_OUTSIDE)):
        return _train(recipe, output, init_from=init_from, reporter=reporter)


def _train(recipe: Recipe, output: Path, *, init_from: Path | None, reporter: JobReporter) -> TrainOutcome:
    started = time.monotonic()
    refuse_incomplete(recipe)
    refuse_occupied(recipe, output)
    training = recipe.training
    runtime = Runtime.detect(device=training.device, precision=training.precision, threads=training.threads)
    runtime.apply()
    initial = load_bundle(init_from) if init_from is not None else None
    refuse_other_model(recipe, initial)
    recipe, languages = with_languages(recipe, initial)
    output.mkdir(parents=True, exist_ok=True)
    ranks = ranks_of_environment(runtime.torch_device())
    if not ranks.is_first:
        reporter = QuietReporter()
    with _one_at_a_time(output) if ranks.is_first else nullcontext():
        reporter.message(runtime.to_text())
        for line in languages:
            reporter.message(line)
        with RaiseOnSigterm(lambda: StoppedError(_STOPPED_PREPARING)):
            data = _prepare(recipe, output, runtime=runtime, initial=initial, reporter=reporter, ranks=ranks)
        torch.manual_seed(training.seed)
        model = build_model(recipe, data.tokenizer, initial=initial).to(runtime.torch_device())
        if ranks.is_first:
            DISK.write_replacing(output / "recipe.toml", to_toml(recipe).encode())
        evaluator = ValidationBleu(recipe, data, output / "model")
        if recipe.training.valid_bleu_sentences:
            reporter.message(evaluator.to_text())
        facts = recorded_facts(output)
        if ranks.is_first and facts is not None and facts.data.get("train") == data.store.fingerprint:
            mend_model(output, model, keep=evaluator.keep, is_finished=False, say=reporter.message)
        result = trainer.train(
            model,
            data.store,
            config=training,
            runtime=runtime,
            run_folder=output,
            valid_store=data.valid_store,
            tokenizer=data.tokenizer,
            reporter=reporter,
            evaluator=evaluator,
            on_new_best=evaluator.keep,
            seconds_before=time.monotonic() - started,
            settings=_settings_of(recipe),
            corpus_weights=[corpus.weight for corpus in recipe.data.train],
            ranks=ranks,
        )
        if ranks.is_first:
            mend_model(output, model, keep=evaluator.keep, is_finished=True, say=reporter.message)
    outcome = TrainOutcome(result, output / "model", time.monotonic() - started)
    reporter.message(outcome.to_text())
    return outcome


def refuse_occupied(recipe: Recipe, output: Path) -> None:
    """Refuse an output that a run by this recipe may not use, before anything in it is touched.

    Raises:
        DataError: it is a file, holds links where a run writes, or holds a model whose checkpoints are gone.
        IncompatibleModelError: the run that is there was made with other settings.
    """
    if output.exists() and not output.is_dir():
        raise DataError(f"{output}: is a file; --output names the folder of a run")
    refuse_links_in_run(output)
    has_begun = bool(list_checkpoints(output / "checkpoints"))
    if not has_begun and any((output / name).exists() for name in ("model.toml", "model/model.toml")):
        raise DataError(
            f"{output}: holds a model but no checkpoints, so its run cannot be continued, and a new run would replace "
            "the model; give another --output, or remove the model"
        )
    if (facts := recorded_facts(output)) is not None:
        refuse_changes(output, old_settings=facts.settings, new_settings=_settings_of(recipe), old_data={}, new_data={})


def _settings_of(recipe: Recipe) -> dict[str, object]:
    return recipe.model_dump(mode="json", exclude={"data"})


def _prepare(
    recipe: Recipe, output: Path, *, runtime: Runtime, initial: Bundle | None, reporter: JobReporter, ranks: Ranks
) -> PreparedData:
    """Prepare the text; under torchrun the first process does it, and the others find everything done."""

    def prepared() -> PreparedData:
        return prepare(
            recipe,
            output / "data",
            runtime=runtime,
            initial=initial,
            has_begun=bool(list_checkpoints(output / "checkpoints")),
            say=reporter.message,
            progress=reporter.counted,
        )

    data = prepared() if ranks.is_first else None
    ranks.wait()
    return data or prepared()


def refuse_incomplete(recipe: Recipe) -> None:
    """Refuse a recipe that names no text, or does not say how long to train; both are said at once.

    Raises:
        ConfigError: something is missing.
    """
    training = recipe.training
    problems = []
    if not recipe.data.train:
        problems.append("no training text: name it with --train-src and --train-tgt, or in a recipe as [[data.train]]")
    if training.train_steps is None and training.minutes is None and training.max_epochs is None:
        problems.append(
            "how long to train is not said: give --minutes 20, --set training.train_steps=10000 "
            "or --set training.max_epochs=10"
        )
    if problems:
        raise ConfigError("\n".join(problems))


class ValidationBleu:
    """The evaluator of a run: greedy BLEU, exact matches and a sample; keeps the best model as a folder."""

    def __init__(self, recipe: Recipe, data: PreparedData, folder: Path) -> None:
        self._recipe = recipe
        self._data = data
        self._folder = folder
        targets = (pair.target for pair in data.valid_pairs)
        self._tokenizer_choice = bleu_tokenizer(recipe.data.tgt_lang, references=targets, if_missing="char")
        self._score: Score | None = None

    def to_text(self) -> str:
        """Return how BLEU will be counted, in a line for the screen."""
        choice = self._tokenizer_choice
        note = f"; note: {choice.note}" if choice.note else ""
        return f"BLEU of the validations: tokenizer {choice.name}, {choice.reason}{note}"

    def __call__(self, model: Transformer) -> Mapping[str, float | str]:
        """Translate and score; without BLEU sentences there is a sample only. ``exact_match`` is a share, 0 to 1."""
        recipe = self._recipe
        wanted = recipe.training.valid_bleu_sentences
        pairs: tuple[SentencePair, ...] = self._data.valid_pairs[: max(wanted, 1)]
        translator = Translator(
            model,
            self._data.tokenizer,
            config=recipe.translation.model_copy(update={"beam_size": 1, "n_best": 1}),
            source_language=recipe.data.src_lang,
            target_language=recipe.data.tgt_lang,
            single_sentences=has_single_sentences(self._data.share_of_several_sentences),
        )
        texts = [result.text for result in translator.translate([pair.source for pair in pairs])]
        shown = min(range(len(pairs)), key=lambda i: abs(len(pairs[i].source) - 60))
        found: dict[str, float | str] = {
            "source": pairs[shown].source,
            "output": texts[shown],
            "reference": pairs[shown].target,
        }
        if wanted:
            references = [pair.target for pair in pairs]
            language = recipe.data.tgt_lang
            self._score = corpus_score(texts, references, target_language=language, tokenizer=self._tokenizer_choice)
            found["bleu"] = self._score.value
            found["exact_match"] = sum(map(str.__eq__, texts, references)) / len(references)
        return found

    def keep(self, model: Transformer, facts: Mapping[str, float | str]) -> None:
        """Write the model folder; the one that is there stays whole until the new one is."""
        recipe = self._recipe
        save_bundle(
            self._folder,
            model,
            tokenizer=self._data.tokenizer,
            card=write_card(recipe, self._data, facts=facts, score=self._score, num_parameters=model.num_parameters()),
            source_language=recipe.data.src_lang,
            target_language=recipe.data.tgt_lang,
            translation=recipe.translation,
            facts=dict(facts),
            share_of_several_sentences=self._data.share_of_several_sentences,
        )


@contextmanager
def _one_at_a_time(output: Path) -> Iterator[None]:
    """Hold the run folder while it is trained in; the lock goes with the process, however it ends."""
    # Neither followed nor cut: the file of a stranger's folder may be a link or have another name, too.
    with os.fdopen(os.open(output / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(
                f"{output}: another process is training in this run folder; wait for it or end it. Translating with "
                "the model works meanwhile"
            ) from None
        yield
