"""A Transformer translator that you train on your own text, run anywhere, and see through.

This module holds only the public names. Each is imported on first use, so importing this package is quick and does
not import torch.

    translator = pellucid.load("runs/de-en")
    print(translator.translate("Ein Hund rennt."))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from pellucid.version import __version__

if TYPE_CHECKING:
    from pellucid.analysis.attribution.record import Attribution
    from pellucid.config import Recipe
    from pellucid.errors import PellucidError
    from pellucid.jobs.comparing.surface import Comparison, compare
    from pellucid.jobs.loading import load
    from pellucid.jobs.surface import SearchTree, Trace, attribute, load_recipe, search_tree, trace, train
    from pellucid.model.transformer import Transformer
    from pellucid.translation.hypothesis import Translation
    from pellucid.translation.terms.glossary import Term
    from pellucid.translation.translator import Translator

__all__ = [
    "Attribution",
    "Comparison",
    "PellucidError",
    "Recipe",
    "SearchTree",
    "Term",
    "Trace",
    "Transformer",
    "Translation",
    "Translator",
    "__version__",
    "attribute",
    "compare",
    "load",
    "load_recipe",
    "search_tree",
    "trace",
    "train",
]

_HOMES = {
    "Attribution": "pellucid.analysis.attribution.record",
    "Comparison": "pellucid.jobs.comparing.surface",
    "PellucidError": "pellucid.errors",
    "Recipe": "pellucid.config",
    "SearchTree": "pellucid.jobs.surface",
    "Term": "pellucid.translation.terms.glossary",
    "Trace": "pellucid.jobs.surface",
    "Transformer": "pellucid.model.transformer",
    "Translation": "pellucid.translation.hypothesis",
    "Translator": "pellucid.translation.translator",
    "attribute": "pellucid.jobs.surface",
    "compare": "pellucid.jobs.comparing.surface",
    "load": "pellucid.jobs.loading",
    "load_recipe": "pellucid.jobs.surface",
    "search_tree": "pellucid.jobs.surface",
    "trace": "pellucid.jobs.surface",
    "train": "pellucid.jobs.surface",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'pellucid' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
