"""Settings as frozen records, with one file for each section; all defaults are here.

Nothing here imports torch, opens a model or acts on a setting. Names are looked up when they are first used, since the
records of a recipe take longer to make than a sentence to translate. Reading order: ``section`` → ``data``, ``model``,
``training``, ``translation`` → ``tables`` → ``recipe``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pellucid.config.data import CleaningConfig, CorpusConfig, DataConfig, InvalidUtf8, SplitConfig, TokenizerConfig
    from pellucid.config.model import (
        PRESETS,
        Activation,
        DecoderStart,
        ModelConfig,
        NormOrder,
        PositionLayout,
        SpecialIds,
    )
    from pellucid.config.promise import LearningCurve, Promise, PromisedScore
    from pellucid.config.recipe import Recipe, load_recipe, recipe_from
    from pellucid.config.tables import read_toml, to_toml, validated
    from pellucid.config.training import (
        BatchLengths,
        BatchType,
        DecayMethod,
        Optimizer,
        StepMethod,
        TrainingConfig,
        WordDropout,
    )
    from pellucid.config.translation import LengthPenalty, SentenceSplitting, TranslationConfig

__all__ = [
    "PRESETS",
    "Activation",
    "BatchLengths",
    "BatchType",
    "CleaningConfig",
    "CorpusConfig",
    "DataConfig",
    "DecayMethod",
    "DecoderStart",
    "InvalidUtf8",
    "LearningCurve",
    "LengthPenalty",
    "ModelConfig",
    "NormOrder",
    "Optimizer",
    "PositionLayout",
    "Promise",
    "PromisedScore",
    "Recipe",
    "SentenceSplitting",
    "SpecialIds",
    "SplitConfig",
    "StepMethod",
    "TokenizerConfig",
    "TrainingConfig",
    "TranslationConfig",
    "WordDropout",
    "load_recipe",
    "read_toml",
    "recipe_from",
    "to_toml",
    "validated",
]

_HOMES = {
    "Activation": "pellucid.config.model",
    "BatchLengths": "pellucid.config.training",
    "BatchType": "pellucid.config.training",
    "CleaningConfig": "pellucid.config.data",
    "CorpusConfig": "pellucid.config.data",
    "DataConfig": "pellucid.config.data",
    "DecayMethod": "pellucid.config.training",
    "DecoderStart": "pellucid.config.model",
    "InvalidUtf8": "pellucid.config.data",
    "LearningCurve": "pellucid.config.promise",
    "LengthPenalty": "pellucid.config.translation",
    "ModelConfig": "pellucid.config.model",
    "NormOrder": "pellucid.config.model",
    "Optimizer": "pellucid.config.training",
    "PRESETS": "pellucid.config.model",
    "PositionLayout": "pellucid.config.model",
    "Promise": "pellucid.config.promise",
    "PromisedScore": "pellucid.config.promise",
    "Recipe": "pellucid.config.recipe",
    "SentenceSplitting": "pellucid.config.translation",
    "SpecialIds": "pellucid.config.model",
    "SplitConfig": "pellucid.config.data",
    "StepMethod": "pellucid.config.training",
    "TokenizerConfig": "pellucid.config.data",
    "TrainingConfig": "pellucid.config.training",
    "TranslationConfig": "pellucid.config.translation",
    "WordDropout": "pellucid.config.training",
    "load_recipe": "pellucid.config.recipe",
    "read_toml": "pellucid.config.tables",
    "recipe_from": "pellucid.config.recipe",
    "to_toml": "pellucid.config.tables",
    "validated": "pellucid.config.tables",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'pellucid.config' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
