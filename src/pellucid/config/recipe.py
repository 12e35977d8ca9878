"""A whole recipe: combine the sections, read them from TOML, and apply ``--set``. Read ``tables.py`` for the errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from pellucid.config.data import DataConfig, TokenizerConfig
from pellucid.config.model import PRESETS, ModelConfig, SpecialIds
from pellucid.config.promise import Promise
from pellucid.config.section import Section
from pellucid.config.tables import Table, parse_settings, read_toml, validated
from pellucid.config.training import TrainingConfig
from pellucid.config.translation import TranslationConfig
from pellucid.errors import ConfigError

__all__ = ["Recipe", "load_recipe", "recipe_from"]


class Recipe(Section):
    """Everything that decides a training run. ``preset`` gives the settings that ``model`` does not set."""

    preset: Literal["auto", "tiny", "small", "base", "big"] = "base"
    """Sizes and dropout: ``tiny`` and ``small`` for a laptop, ``base`` and ``big`` are the paper's, table 3. ``auto``
    chooses sizes, pieces, regularisation, batch and rate by the text and the budget, and writes them as numbers."""
    data: DataConfig = DataConfig()
    """The text."""
    tokenizer: TokenizerConfig = TokenizerConfig()
    """How text is cut into pieces."""
    model: ModelConfig = ModelConfig()
    """The shape of the model."""
    training: TrainingConfig = TrainingConfig()
    """How the model is trained."""
    translation: TranslationConfig = TranslationConfig()
    """How the trained model searches by default."""
    description: str = ""
    """A line for the model card."""
    promise: Promise | None = None
    """What a run of this recipe is expected to reach, for ``--check``."""

    @model_validator(mode="before")
    @classmethod
    def _sizes_of_the_preset(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        sizes = PRESETS.get(str(value.get("preset", "base")))
        model = value.get("model", {})
        if sizes is None or not isinstance(model, dict):
            return value
        return value | {"model": sizes | model}

    @model_validator(mode="after")
    def _sections_fit(self) -> Self:
        problems = []
        if self.model.share_embeddings and not self.tokenizer.joint:
            problems.append(
                "model.share_embeddings = true needs tokenizer.joint = true; for separate vocabularies set "
                "model.share_embeddings = false"
            )
        rates = (self.model.dropout, self.model.attention_dropout, self.model.activation_dropout)
        if self.training.r_drop and not any(rates):
            problems.append(
                f"training.r_drop = {self.training.r_drop:g} compares two passes that differ by dropout, and every "
                "dropout is 0; set model.dropout = 0.1 or more, or training.r_drop = 0"
            )
        if self.training.max_length > self.model.max_positions:
            problems.append(
                f"training.max_length = {self.training.max_length} tokens do not fit model.max_positions = "
                f"{self.model.max_positions}; lower the first or raise the second"
            )
        if self.model.source_vocab_size or self.model.target_vocab_size or self.model.specials != SpecialIds():
            problems.append(
                "model.source_vocab_size, model.target_vocab_size and model.specials come from the tokenizer; "
                "leave them out of a recipe, and set tokenizer.vocab_size"
            )
        if self.data.general is not None and not self.training.valid_bleu_sentences:
            problems.append(
                "data.general needs training.valid_bleu_sentences, which is 0, because forgetting is measured in BLEU; "
                "set that to 500, or leave data.general out"
            )
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def below(self, folder: Path) -> Recipe:
        """Return the same recipe with relative names of files in ``folder``."""
        promise = self.promise.below(folder) if self.promise else None
        return self.model_copy(update={"data": self.data.below(folder), "promise": promise})


def load_recipe(path: Path, settings: Sequence[str] = ()) -> Recipe:
    """Read a recipe file and apply ``key=value`` settings on top.

    Raises:
        ConfigError: the file is missing, is not TOML, or has wrong values; the message has all problems.
    """
    try:
        table = read_toml(path)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such recipe file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a folder; name a recipe file (*.toml)") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    return recipe_from(table, settings, place=str(path))


def recipe_from(table: Mapping[str, object], settings: Sequence[str] = (), *, place: str = "settings") -> Recipe:
    """Build a recipe from nested tables and ``key=value`` settings.

    Raises:
        ConfigError: a setting is wrong; the message has a line for each problem, with ``place``.
    """
    merged: Table = _merge({}, table)
    for keys, value in parse_settings(settings):
        nested: object = value
        for key in reversed(keys):
            nested = {key: nested}
        merged = _merge(merged, nested)  # type: ignore[arg-type]
    return validated(Recipe, merged, place=place)


def _merge(base: Mapping[str, object], change: Mapping[str, object]) -> Table:
    merged: Table = dict(base)
    for key, value in change.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
