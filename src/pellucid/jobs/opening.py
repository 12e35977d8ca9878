"""Open a run: check its recipe and its folder, choose the device, and read the model that it starts from.

Training and the dry run both begin here, so a dry run refuses what training would refuse. A run that starts from a
model keeps the shape and the tokenizer of that model; it also keeps the languages unless the recipe names others.
Read ``prepare.py`` next.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from pellucid.bundle import Bundle, load_bundle
from pellucid.config import PRESETS, ModelConfig, Recipe
from pellucid.errors import ConfigError, IncompatibleModelError
from pellucid.jobs.choosing.preset import Preset
from pellucid.jobs.reporting.tensorboard import refuse_missing_tensorboard
from pellucid.jobs.run_folder import continued_batches, recorded_facts, refuse_occupied
from pellucid.model.transformer import Transformer
from pellucid.runtime import Precision, Runtime
from pellucid.text.tokenizer import Tokenizer
from pellucid.training.machine.precision import precision_trial
from pellucid.training.processes.ranks import ONE_PROCESS, Ranks

__all__ = ["OpenedRun", "open_run"]

_REGULARISATION = ("dropout", "attention_dropout", "activation_dropout")
"""Settings of ``[model]`` that change no shape; the recipe decides them even when the run starts from a model."""


@dataclass(frozen=True)
class OpenedRun:
    """A run that passed every check of its settings and its folder; nothing is written yet."""

    recipe: Recipe
    """Complete: with the languages of the initial model where the recipe names none."""
    output: Path
    runtime: Runtime
    initial: Bundle | None
    """The model that the run starts from; None for fresh weights."""
    notes: tuple[str, ...]
    """Sentences for the screen: about the preset, and the languages of the initial model."""

    batch_of_rate: int | None = None
    """Tokens of the batch for which a preset chose the learning rate, where the batch of the run is not known yet."""

    def with_choice(self, chosen: Preset) -> OpenedRun:
        """Return this run with what a preset says of its choice, before the other sentences."""
        notes = (*filter(None, [chosen.text]), *self.notes)
        return replace(self, notes=notes, batch_of_rate=chosen.batch_of_rate)

    def make_model(self, tokenizer: Tokenizer) -> Transformer:
        """Return the model before the first step, on the device of the run; fresh weights depend on the seed alone."""
        torch.manual_seed(self.recipe.training.seed)
        if self.initial is None:
            sizes = {"source_size": tokenizer.source_vocab_size, "target_size": tokenizer.target_vocab_size}
            model = Transformer(self.recipe.model.with_vocabulary(**sizes, specials=tokenizer.specials))
        else:
            model = Transformer(_kept_shape(self.recipe, self.initial))
            model.load_state_dict(self.initial.model.state_dict())
        return model.to(self.runtime.torch_device())

    def with_precision(self, model: Transformer, *, ranks: Ranks = ONE_PROCESS) -> OpenedRun:
        """Return this run with the precision for ``auto`` on a processor, in its runtime and its recipe.

        A run keeps the precision that it began with; a new one takes the faster of a trial. Of several processes, the
        first decides.
        """
        training = self.recipe.training
        if training.precision != "auto":
            return self
        runtime = self.runtime
        if runtime.device == "cpu":
            chosen = ranks.from_first(lambda: "\n".join(self._chosen_precision(model)))
            precision, _, reason = chosen.partition("\n")
            runtime = replace(runtime, precision=Precision(precision), reason=reason)
        training = training.model_copy(update={"precision": runtime.precision.value})
        return replace(self, runtime=runtime, recipe=self.recipe.model_copy(update={"training": training}))

    def _chosen_precision(self, model: Transformer) -> tuple[str, str]:
        facts = recorded_facts(self.output)
        if facts is not None and facts.runtime.get("precision") in list(Precision):
            return str(facts.runtime["precision"]), "the precision that this run began with"
        found = precision_trial(model, config=self.recipe.training, runtime=self.runtime).applied_to(self.runtime)
        return found.precision.value, found.reason


def open_run(recipe: Recipe, output: Path, *, init_from: Path | None = None) -> OpenedRun:
    """Check a recipe and the folder of its run, apply the threads and the device, and load the initial model.

    Raises:
        ConfigError: the recipe names no training text or no length of training, or the device is missing.
        DataError: the output is no folder for a run.
        IncompatibleModelError: the run in the output has other settings, or the recipe requests another shape or
            tokenizer than the initial model has.
        BundleError: the initial model cannot be read.
    """
    _refuse_incomplete(recipe)
    refuse_occupied(recipe, output)
    recipe = continued_batches(recipe, output)
    training = recipe.training
    runtime = Runtime.detect(device=training.device, precision=training.precision, threads=training.threads)
    runtime.apply()
    if training.tensorboard:
        refuse_missing_tensorboard()
    if init_from is None:
        if recipe.data.general is not None:
            raise ConfigError(
                "data.general is text that a model must not forget, and this run starts from no model; give "
                "--init-from, or leave data.general out"
            )
        return OpenedRun(recipe, output, runtime, None, ())
    initial = load_bundle(init_from)
    _refuse_other_model(recipe, initial)
    recipe, notes = _with_languages(recipe, initial)
    return OpenedRun(recipe, output, runtime, initial, notes)


def _refuse_incomplete(recipe: Recipe) -> None:
    training = recipe.training
    problems = []
    if not recipe.data.train:
        problems.append("no training text: name it with --train-src and --train-tgt, or in a recipe as [[data.train]]")
    if training.train_steps is None and training.minutes is None and training.max_epochs is None:
        problems.append(
            "the length of training is not set: give --minutes 20, --set training.train_steps=10000 "
            "or --set training.max_epochs=10"
            + (f"; the promise of the recipe is for: {recipe.promise.command}" if recipe.promise else "")
        )
    if problems:
        raise ConfigError("\n".join(problems))


def _refuse_other_model(recipe: Recipe, initial: Bundle) -> None:
    requested = {f"model.{name}": pair for name, pair in _other_shape(recipe, initial).items()}
    requested |= {f"tokenizer.{name}": pair for name, pair in _other_tokenizer(recipe, initial.tokenizer).items()}
    if requested:
        shown = ", ".join(f"{name} = {_plain(new)} (it has {_plain(old)})" for name, (new, old) in requested.items())
        raise IncompatibleModelError(
            f"{initial.folder}: training that starts from this model keeps its shape and its tokenizer, but the recipe "
            f"asks for {shown}; leave preset, [model] and [tokenizer] out, or train without --init-from"
        )


def _with_languages(recipe: Recipe, initial: Bundle) -> tuple[Recipe, tuple[str, ...]]:
    """Return the recipe with the languages of the initial model where it names none, and notes for the screen.

    Fine-tuning may change the language, so another language than the model's causes a warning only.
    """
    data = recipe.data
    languages = {"src_lang": initial.description.source_language, "tgt_lang": initial.description.target_language}
    # A model that was trained without languages has the defaults "src" and "tgt", which name no language.
    others = {
        name: code
        for name, code in languages.items()
        if code not in (getattr(data, name), type(data).model_fields[name].default)
    }
    adopted = {name: code for name, code in others.items() if name not in data.model_fields_set}
    notes = [
        f"warning: {name} = {getattr(data, name)}, but the initial model {initial.folder} has {name} = {code}; "
        f"training continues with {name} = {getattr(data, name)}"
        for name, code in others.items()
        if name not in adopted
    ]
    if adopted:
        shown = ", ".join(f"{name} = {code}" for name, code in adopted.items())
        notes.append(f"languages: {shown}, from the initial model {initial.folder}")
    return recipe.model_copy(update={"data": data.model_copy(update=adopted)}), tuple(notes)


def _kept_shape(recipe: Recipe, initial: Bundle) -> ModelConfig:
    free = {name: getattr(recipe.model, name) for name in _REGULARISATION}
    return initial.description.model.model_copy(update=free)


def _other_shape(recipe: Recipe, initial: Bundle) -> dict[str, tuple[object, object]]:
    """Return the sizes that the recipe requests and the initial model does not have, with those that it has."""
    kept = _kept_shape(recipe, initial)
    # A default preset fills in sizes too; those give way to the sizes of the initial model.
    filled = {} if "preset" in recipe.model_fields_set else PRESETS.get(recipe.preset, {})
    pairs = {name: (getattr(recipe.model, name), getattr(kept, name)) for name in sorted(recipe.model.model_fields_set)}
    return {name: pair for name, pair in pairs.items() if pair[0] not in (pair[1], filled.get(name))}


def _other_tokenizer(recipe: Recipe, tokenizer: Tokenizer) -> dict[str, tuple[object, object]]:
    """Return the settings that the recipe requests and the tokenizer does not have, with those that it has."""
    config = recipe.tokenizer
    facts: dict[str, object] = {
        "kind": tokenizer.kind,
        "joint": tokenizer.joint,
        "lowercase": tokenizer.source.normaliser.lowercase,
        "vocab_size": tokenizer.target_vocab_size,
        **_recorded_settings(tokenizer),
    }
    found = {}
    for name in sorted(config.model_fields_set):
        wanted, default = getattr(config, name), type(config).model_fields[name].default
        if name == "vocab_size" and wanted in ("auto", tokenizer.source_vocab_size):
            continue
        # A default value requests nothing where the tokenizer does not record this setting.
        if wanted != facts.get(name, default):
            found[name] = (wanted, facts.get(name, "no recorded value"))
    return found


def _recorded_settings(tokenizer: Tokenizer) -> dict[str, object]:
    """Return the settings of its training that the tokenizer recorded."""
    options = tokenizer.training.get("options")
    first = options[0] if isinstance(options, list) and options and isinstance(options[0], dict) else {}
    found = {name: first[name] for name in ("model_type", "character_coverage", "byte_fallback") if name in first}
    if "input_sentence_size" in tokenizer.training:
        found["input_sentence_size"] = tokenizer.training["input_sentence_size"]
    return found


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
