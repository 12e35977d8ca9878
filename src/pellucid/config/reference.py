"""Generate the reference of all settings as Markdown.

``python -m pellucid.config.reference > docs/reference/settings.md`` updates the page. The docstring below a field, or
below a choice of an enum, is its description.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
from enum import Enum
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from types import NoneType, UnionType
from typing import Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pellucid.config.data import CleaningConfig, CorpusConfig, DataConfig, SplitConfig, TokenizerConfig
from pellucid.config.model import PRESETS, ModelConfig, SpecialIds
from pellucid.config.promise import LearningCurve, Promise, PromisedScore
from pellucid.config.recipe import Recipe
from pellucid.config.service import KeyConfig, ServedGlossary, ServedMemory, ServedModel, ServiceConfig, ServiceLimits
from pellucid.config.training import TrainingConfig
from pellucid.config.translation import TranslationConfig

__all__ = ["SECTIONS", "choices_of", "meanings_of", "settings_reference"]

SECTIONS: Final[tuple[tuple[str, type[BaseModel]], ...]] = (
    ("", Recipe),
    ("`[data]`", DataConfig),
    ("`[[data.train]]`, `[data.valid]`, `[data.test]`", CorpusConfig),
    ("`[data.split]`", SplitConfig),
    ("`[data.cleaning]`", CleaningConfig),
    ("`[tokenizer]`", TokenizerConfig),
    ("`[model]`", ModelConfig),
    ("`[model.specials]`", SpecialIds),
    ("`[training]`", TrainingConfig),
    ("`[translation]`", TranslationConfig),
    ("`[promise]`", Promise),
    ("`[[promise.scores]]`", PromisedScore),
    ("`[promise.curve]`", LearningCurve),
)
"""Every table of a recipe in TOML, and its record."""

_OF_THE_SERVICE: Final[tuple[tuple[str, type[BaseModel]], ...]] = (
    ("At the top of the file of `pellucid serve --config`", ServiceConfig),
    ("`[[models]]` of the service", ServedModel),
    ("`[[memories]]` of the service", ServedMemory),
    ("`[[glossaries]]` of the service", ServedGlossary),
    ("`[[keys]]` of the service", KeyConfig),
    ("`[limits]` of the service", ServiceLimits),
)

_INTRODUCTION: Final = """\
# Settings

All settings of a recipe. In a recipe, a setting is in the table that the heading names; on the command line it is
`--set training.seed=7`, with a value in TOML, where words need no quotes. An unknown name is an error with the most
similar valid name, and all problems are reported at once. "Section" means a section of the paper, Vaswani et al. 2017.

The last five tables are those of the [translation service](../guides/serving.md), in a file of their own.

`python -m pellucid.config.reference` generates this page.
"""
_BOUNDS: Final = {
    "ge": "{} or more",
    "gt": "over {}",
    "le": "at most {}",
    "lt": "under {}",
    "min_length": "not empty",
}
_NAMES: Final[dict[object, str]] = {int: "whole number", float: "number", str: "text", Path: "file name"}


def settings_reference() -> str:
    """Return the page ``docs/reference/settings.md``."""
    parts = [_INTRODUCTION]
    for title, section in (*SECTIONS, *_OF_THE_SERVICE):
        parts.append(f"## {title or 'At the top'}\n")
        parts += [f"{paragraph}\n" for paragraph in _paragraphs(section)]
        parts.append(_table(section))
        parts += [
            _explained(name, choices)
            for name, field in section.model_fields.items()
            if (choices := _enum_of(field)) is not None
        ]
        if section is Recipe:
            parts.append(_presets())
    return "\n".join(parts)


def choices_of(choices: type[Enum]) -> dict[str, str]:
    """Return the value and the docstring of each member of an enum; Python does not store these docstrings."""
    docstrings = meanings_of(choices)
    return {str(member.value): docstrings.get(member.name, "") for member in choices}


def meanings_of(kind: type) -> dict[str, str]:
    """Return the docstring below each name that the body of a class assigns."""
    definition = ast.parse(dedent(inspect.getsource(kind))).body[0]
    found: dict[str, str] = {}
    for statement, after in pairwise(definition.body if isinstance(definition, ast.ClassDef) else ()):
        if isinstance(statement, ast.Assign | ast.AnnAssign) and isinstance(after, ast.Expr):
            target = statement.target if isinstance(statement, ast.AnnAssign) else statement.targets[0]
            if isinstance(target, ast.Name) and isinstance(after.value, ast.Constant):
                found[target.id] = str(after.value.value)
    return found


def _table(section: type[BaseModel]) -> str:
    rows = ["| name | default | allowed | meaning |", "|---|---|---|---|"]
    meanings = meanings_of(section)
    for name, field in section.model_fields.items():
        if not isinstance(field.default, BaseModel):
            rows.append(f"| `{name}` | {_default(field)} | {_allowed(field)} | {_in_a_cell(meanings.get(name, ''))} |")
    return "\n".join(rows) + "\n"


def _presets() -> str:
    """Return the settings of each preset as a table."""
    sizes = list(next(iter(PRESETS.values())))
    rows = [f"| preset | {' | '.join(f'`{name}`' for name in sizes)} |", "|---" * (len(sizes) + 1) + "|"]
    rows += [f"| `{preset}` | {' | '.join(str(table[name]) for name in sizes)} |" for preset, table in PRESETS.items()]
    return "\n".join(rows) + "\n"


def _explained(name: str, choices: type[Enum]) -> str:
    lines = [f"`{name}` is one of", ""]
    lines += [f"* `{value}`: {_markdown(meaning)}" for value, meaning in choices_of(choices).items()]
    return "\n".join(lines) + "\n"


def _paragraphs(section: type[BaseModel]) -> list[str]:
    return [_markdown(text) for text in inspect.cleandoc(section.__doc__ or "").split("\n\n")]


def _enum_of(field: FieldInfo) -> type[Enum] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Enum) else None


def _default(field: FieldInfo) -> str:
    """Return the default as TOML writes it."""
    if field.is_required():
        return "must be given"
    value = field.default
    if value is None:
        return "not set"
    if isinstance(value, Enum):
        value = value.value
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _allowed(field: FieldInfo) -> str:
    if choices := _enum_of(field):
        return ", ".join(f"`{choice.value}`" for choice in choices)
    is_union = get_origin(field.annotation) in {Union, UnionType}
    kinds = get_args(field.annotation) if is_union else (field.annotation,)
    words = [_kind_in_words(kind) for kind in kinds if kind is not NoneType]
    return " or ".join(words) + "".join(f", {bound}" for bound in _bounds(field))


def _kind_in_words(kind: object) -> str:
    if kind is bool:
        return "`true`, `false`"
    if get_origin(kind) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kind))
    if get_origin(kind) is tuple:
        inner = get_args(kind)[0]
        return "tables" if _is_record(inner) else f"list of {_kind_in_words(inner)}s"
    return "table" if _is_record(kind) else _NAMES[kind]


def _is_record(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _bounds(field: FieldInfo) -> list[str]:
    found = [(form, getattr(rule, name, None)) for rule in field.metadata for name, form in _BOUNDS.items()]
    return [form.format(bound) for form, bound in found if bound is not None]


def _markdown(text: str) -> str:
    return text.replace("``", "`")


def _in_a_cell(text: str) -> str:
    return " ".join(_markdown(text).split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(settings_reference())
