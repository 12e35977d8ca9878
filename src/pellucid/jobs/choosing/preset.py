"""Replace ``preset = "auto"`` in a recipe by plain numbers, after a look at the text.

Every setting that the recipe sets stays. A run that is continued keeps what it began with, and a run that starts from
a model keeps the shape and the tokenizer of that model, so nothing is chosen for it. Read ``../opening.py`` next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from pellucid.config import BatchType, Recipe
from pellucid.config.tables import validated
from pellucid.errors import counted
from pellucid.jobs.choosing.rules import Budget, TextFacts, choose
from pellucid.jobs.run_folder import recorded_facts
from pellucid.runtime import Runtime
from pellucid.text.corpus import read_pairs, verify_corpora

__all__ = ["Preset", "settings_in_words", "text_facts", "with_preset"]

_LOOKED_AT: Final = 20_000
"""Pairs of each corpus that decide length and alphabet."""
_MOST_WORDS: Final = 100_000
_BYTES_OF_A_TOKEN: Final = 4.0
_EXCLUSIVE: Final = ("r_drop", "simcut")


class Preset(NamedTuple):
    """A recipe without ``auto``."""

    recipe: Recipe
    text: str = ""
    """A line for the screen; empty if nothing was chosen."""
    batch_of_rate: int | None = None
    """Tokens of a batch for which the peak learning rate was chosen; None if it was not chosen here, or that batch is
    the one of the recipe."""


def with_preset(recipe: Recipe, output: Path, *, init_from: Path | None = None) -> Preset:
    """Return a recipe without ``auto``.

    Raises:
        DataError: the text is missing or wrong.
    """
    if recipe.preset != "auto":
        return Preset(recipe)
    if init_from is not None:
        return Preset(_written(recipe, {}, None))
    if (facts := recorded_facts(output)) is not None:
        return Preset(_continued(recipe, facts.settings), "preset auto: the settings that this run began with")
    if not recipe.data.train:
        return Preset(_written(recipe, {}, "small"))  # refused when the run is opened
    training = recipe.training
    runtime = Runtime.detect(device=training.device, precision=training.precision, threads=training.threads)
    budget = Budget(
        minutes=training.minutes,
        steps=training.train_steps,
        epochs=training.max_epochs,
        is_gpu=runtime.device.startswith("cuda"),
        threads=runtime.threads,
    )
    given = {
        name: getattr(training, name) for name in ("batch_size", "accum_count") if name in training.model_fields_set
    }
    numbers = {name: value for name, value in given.items() if isinstance(value, int)}
    choice = choose(text_facts(recipe), budget, **numbers)
    chosen = _written(recipe, choice.settings, choice.nearest_preset)
    is_for_another = chosen.training.batch_size == "auto" and "learning_rate" not in training.model_fields_set
    return Preset(
        chosen,
        f"preset auto: {settings_in_words(chosen)}; {choice.reason}",
        choice.settings["training"]["batch_size"] if is_for_another else None,
    )


def text_facts(recipe: Recipe) -> TextFacts:
    """Return the pairs, the length and the alphabet of the training text."""
    data = recipe.data
    facts = verify_corpora(data)
    pairs = sum(found.pairs for found in facts[: len(data.train)])
    seen, size, characters, words = 0, 0, Counter[str](), set[str]()
    for index, corpus in enumerate(data.train):
        # Evenly over the whole corpus: files are often sorted by length.
        every = read_pairs(corpus, index=index, invalid_utf8=data.invalid_utf8, languages=data.languages_of(corpus))
        for pair in islice(every, 0, None, max(1, facts[index].pairs // _LOOKED_AT)):
            seen += 1
            size += len(pair.target.encode("utf-8", errors="replace"))
            characters.update(pair.source)
            characters.update(pair.target)
            if len(words) < _MOST_WORDS:
                words.update(pair.source.split(), pair.target.split())
    covered, alphabet, total = 0, 0, sum(characters.values())
    for _, count in characters.most_common():
        if covered >= recipe.tokenizer.character_coverage * total:
            break
        covered, alphabet = covered + count, alphabet + 1
    mean_tokens = size / max(seen, 1) / _BYTES_OF_A_TOKEN + 1
    return TextFacts(pairs=pairs, mean_tokens=mean_tokens, alphabet=alphabet, words=len(words))


def _continued(recipe: Recipe, settings: Mapping[str, object]) -> Recipe:
    """Return the recipe with the recorded values of what the grid chooses."""
    table = {name: settings.get(name) for name in ("model", "tokenizer", "training")}
    known = choose(TextFacts(30_000, 12.0, 60), Budget(1.0, None, None, is_gpu=False, threads=1)).settings
    recorded = {
        section: {name: value[name] for name in names if name in value}
        for section, names in known.items()
        if isinstance(value := table[section], dict)
    }
    return _written(recipe, recorded, str(settings.get("preset", "small")))


def _written(recipe: Recipe, settings: Mapping[str, Mapping[str, Any]], preset: str | None) -> Recipe:
    """Return the recipe with settings that it does not set itself, checked as a whole."""
    table = recipe.model_dump(exclude_unset=True, exclude={"preset"})
    unfit = {"vocab_size"} if recipe.tokenizer.kind != "sentencepiece" else set()  # bytes need no pieces
    unfit |= {"batch_size"} if recipe.training.batch_type != BatchType.TOKENS else set()
    for section, values in settings.items():
        own = getattr(recipe, section).model_fields_set
        added = {name: value for name, value in values.items() if name not in own | unfit}
        if own.intersection(_EXCLUSIVE):
            added = {name: value for name, value in added.items() if name not in _EXCLUSIVE}
        table[section] = added | table.get(section, {})
    if preset is not None:
        table["preset"] = preset
    return validated(Recipe, table, place="preset auto")


def settings_in_words(recipe: Recipe) -> str:
    """Return the settings that the preset decides, in one line."""
    model, training = recipe.model, recipe.training
    noise = {
        "dropout": model.dropout,
        "attention dropout": model.attention_dropout,
        "source word dropout": training.source_word_dropout,
        "target word dropout": training.target_word_dropout,
        "SimCut": training.simcut,
        "R-Drop": training.r_drop,
    }
    times = "" if training.accum_count == 1 else f"{training.accum_count} x "
    return (
        f"{model.num_encoder_layers}+{model.num_decoder_layers} layers, d_model {model.d_model}, feed-forward "
        f"{model.d_feedforward:,}, {counted(model.num_heads, 'head')}, {recipe.tokenizer.vocab_size} pieces, "
        f"{', '.join(f'{name} {value:g}' for name, value in noise.items() if value)}, {times}{training.batch_size} "
        f"tokens a step, peak rate {training.learning_rate:g} after {counted(training.warmup_steps, 'step')}, "
        f"{training.optimizer.value}"
    )
