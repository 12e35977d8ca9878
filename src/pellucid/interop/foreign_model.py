"""What goes between the parts of an exchange: a model read from another format, and a thing that cannot be held.

Read ``verification/comparison.py`` next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pellucid.config import ModelConfig, TranslationConfig
from pellucid.model.transformer import Transformer
from pellucid.text.tokenizer import Tokenizer

__all__ = ["ForeignModel", "Refusal", "refusal_message"]


@dataclass(frozen=True)
class ForeignModel:
    """A model of another format, as ours: everything that a model folder needs."""

    config: ModelConfig
    model: Transformer
    tokenizer: Tokenizer
    source_language: str
    target_language: str
    translation: TranslationConfig
    notes: tuple[str, ...] = ()
    """What a person should know: what was left out, and what another program would do otherwise."""


@dataclass(frozen=True)
class Refusal:
    """One reason why a model does not fit a format, and the setting of training that would."""

    reason: str
    remedy: str = ""
    """As on a command line, ``model.norm_order=post``; empty where no setting helps."""


def refusal_message(place: str, format_name: str, refusals: Sequence[Refusal]) -> str:
    """Return all reasons at once, and the options of ``pellucid train`` that lead to a model which fits."""
    lines = [f"{place}: this model cannot be held by the format {format_name!r}:"]
    lines += [f"  - {refusal.reason}" for refusal in refusals]
    remedies = dict.fromkeys(refusal.remedy for refusal in refusals if refusal.remedy)
    if remedies:
        options = " ".join(f"--set {remedy}" for remedy in remedies)
        lines.append(f"A model trained with these options fits: {options}")
    return "\n".join(lines)
