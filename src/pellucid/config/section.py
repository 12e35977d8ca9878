"""The base of every section of a recipe: frozen, strict about names, plain about mistakes.

Read ``recipe.py`` next, which puts the sections together.
"""

from __future__ import annotations

import math
from typing import get_args

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

__all__ = ["Section"]


class Section(BaseModel):
    """A frozen group of settings; an unknown name is an error, never ignored.

    The docstring below a field is its meaning; ``docs/reference/settings.md`` is made of them.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        # "protected namespaces" would warn about a field called model_type, a name that
        # SentencePiece gave us.
        protected_namespaces=(),
    )

    @field_validator("*", mode="before")
    @classmethod
    def _no_guessing(cls, value: object, info: ValidationInfo) -> object:
        # pydantic would read true as 1 and "3" as 3; a mistake is more likely than that meaning.
        # TOML can write nan and inf, and no setting means anything by them.
        annotation = cls.model_fields[info.field_name or ""].annotation
        kinds = set(get_args(annotation)) or {annotation}
        is_number = not kinds.isdisjoint({int, float})
        may_be_text = not kinds <= {int, float, type(None)}
        if is_number and value == "" and not may_be_text:
            raise ValueError("has no value; give a number")
        if is_number and (isinstance(value, bool) or (isinstance(value, str) and not may_be_text)):
            raise ValueError(f"{value!r} is not a number")
        if is_number and isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{value!r} is not a finite number")
        if annotation is bool and not isinstance(value, bool):
            raise ValueError(f"{value!r} is neither true nor false")
        return value
