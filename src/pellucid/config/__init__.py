"""Settings as frozen records, with one file for each section; all defaults are here.

Nothing here imports torch, opens a model or acts on a setting. Reading order: ``section`` → ``data``, ``model``,
``training``, ``translation`` → ``recipe``.
"""

from pellucid.config.data import CleaningConfig, CorpusConfig, DataConfig, InvalidUtf8, TokenizerConfig
from pellucid.config.model import (
    PRESETS,
    Activation,
    DecoderStart,
    ModelConfig,
    NormOrder,
    PositionLayout,
    SpecialIds,
)
from pellucid.config.recipe import Recipe, load_recipe, read_toml, recipe_from, to_toml, validated
from pellucid.config.training import BatchType, DecayMethod, TrainingConfig
from pellucid.config.translation import LengthPenalty, SentenceSplitting, TranslationConfig

__all__ = [
    "PRESETS",
    "Activation",
    "BatchType",
    "CleaningConfig",
    "CorpusConfig",
    "DataConfig",
    "DecayMethod",
    "DecoderStart",
    "InvalidUtf8",
    "LengthPenalty",
    "ModelConfig",
    "NormOrder",
    "PositionLayout",
    "Recipe",
    "SentenceSplitting",
    "SpecialIds",
    "TokenizerConfig",
    "TrainingConfig",
    "TranslationConfig",
    "load_recipe",
    "read_toml",
    "recipe_from",
    "to_toml",
    "validated",
]
