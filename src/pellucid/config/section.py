"""The base of every section of a recipe: frozen, strict about names, plain about mistakes.

Read ``recipe.py`` next, which puts the sections together.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["Section"]


class Section(BaseModel):
    """A frozen group of settings; an unknown name is an error, never ignored."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        # "protected namespaces" would warn about a field called model_type, a name that
        # SentencePiece gave us.
        protected_namespaces=(),
    )
