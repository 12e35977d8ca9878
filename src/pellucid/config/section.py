"""The base class of every section of a recipe.

Read ``recipe.py`` next, which combines the sections.
"""

from __future__ import annotations

import math
from typing import ClassVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
)

__all__ = ["Section"]


class Section(BaseModel):
    """A frozen group of settings; an unknown name is an error.

    The docstring below a field describes it; ``docs/reference/settings.md`` is generated from them.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        allow_inf_nan=False,  # also in lists, whose items the validator below does not see
        # pydantic would warn about the field model_type, which has the name of SentencePiece's option.
        protected_namespaces=(),
    )

    NEWER: ClassVar[tuple[str, ...]] = ()
    """Settings that are written only if they are not at their default, because earlier versions refuse them, and the
    runs of earlier versions do not have them."""

    @model_serializer(mode="wrap")
    def _without_unused_news(self, serialise: SerializerFunctionWrapHandler) -> dict[str, object]:
        table: dict[str, object] = serialise(self)
        news = {name: type(self).model_fields[name].default for name in self.NEWER}
        return {name: value for name, value in table.items() if name not in news or value != news[name]}

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
