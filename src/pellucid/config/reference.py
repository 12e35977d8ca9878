"""The reference of all settings as Markdown, written from the records themselves.

``python -m pellucid.config.reference > docs/reference/settings.md`` brings the page up to date.
"""

from __future__ import annotations

import sys
from enum import Enum

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pellucid.config.data import CleaningConfig, CorpusConfig, DataConfig, TokenizerConfig
from pellucid.config.model import PRESETS, ModelConfig, SpecialIds
from pellucid.config.training import TrainingConfig
from pellucid.config.translation import TranslationConfig

__all__ = ["settings_reference"]

_SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("data", DataConfig),
    ("data.train", CorpusConfig),
    ("data.cleaning", CleaningConfig),
    ("tokenizer", TokenizerConfig),
    ("model", ModelConfig),
    ("model.specials", SpecialIds),
    ("training", TrainingConfig),
    ("translation", TranslationConfig),
)


def settings_reference() -> str:
    """Return the page ``docs/reference/settings.md``."""
    lines = [
        "# Settings",
        "",
        "Every setting of a recipe with its default. On the command line each can be given as",
        "`--set section.name=value`. An unknown name is an error with the nearest right one.",
        "This page is written by `python -m pellucid.config.reference`.",
        "",
        f"`preset` (`base`) fills in the sizes of `[model]`: {', '.join(PRESETS)}.",
        "",
    ]
    for name, section in _SECTIONS:
        lines += [f"## [{name}]", "", *_about(section), "", "| name | default | |", "|---|---|---|"]
        lines += [
            f"| `{key}` | {_default(field)} | {_meaning(field)} |"
            for key, field in section.model_fields.items()
            if not _is_section(field)
        ]
        lines.append("")
    return "\n".join(lines)


def _about(section: type[BaseModel]) -> list[str]:
    paragraphs = (section.__doc__ or "").strip().split("\n\n")
    return ["\n".join(line.strip() for line in text.splitlines()).replace("``", "`") + "\n" for text in paragraphs][:2]


def _is_section(field: FieldInfo) -> bool:
    return isinstance(field.default, BaseModel)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "(must be given)"
    value = field.default
    if value is None:
        return "(not set)"
    return f"`{value.value if isinstance(value, Enum) else value}`"


def _meaning(field: FieldInfo) -> str:
    parts = [field.description] if field.description else []
    if isinstance(field.default, Enum):
        doc = (type(field.default).__doc__ or "").strip().splitlines()[0]
        parts.append(f"{doc} One of {', '.join(f'`{choice.value}`' for choice in type(field.default))}")
    return " ".join(parts).replace("|", "\\|").replace("``", "`")


if __name__ == "__main__":
    sys.stdout.write(settings_reference())
