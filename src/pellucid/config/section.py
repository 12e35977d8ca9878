"""The base class of every section of a recipe.

Read ``recipe.py`` next, which combines the sections.
"""

from __future__ import annotations

import math
from typing import get_args

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

__all__ = ["Section"]


class Section(BaseModel):
    """A frozen group of settings; an unknown name is an error.

    The docstring below a field describes it; ``docs/reference/settings.md`` is generated from them.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        # pydantic would warn about the field model_type, which has the name of SentencePiece's option.
        protected_namespaces=(),
    )

    @field_validator("*", mode="before")
    @classmethod
    def _no_guessing(cls, value: object, info: ValidationInfo) -> object:
        # pydantic would read true as 1 and "3" as 3, but such values are more likely mistakes.
        # TOML has nan and inf, which no setting allows.
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
