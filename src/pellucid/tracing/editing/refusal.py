"""The refusal of single edits, so that a page can name them and apply the others. Read ``choices.py`` next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pellucid.errors import RequestError

__all__ = ["EditError", "as_written", "refusals_of"]


class EditError(RequestError):
    """Some edits of a list cannot be applied; the others could be.

    Args:
        refused: each of them, as an edit or as its text, with the reason.
    """

    def __init__(self, refused: Sequence[tuple[object, str]]) -> None:
        super().__init__("; ".join(reason for _, reason in refused))
        self.refused = tuple(refused)


@contextmanager
def refusals_of(edit: object) -> Iterator[None]:
    """Turn the refusal of a request inside into one of this edit."""
    try:
        yield
    except EditError:
        raise
    except RequestError as error:
        raise EditError([(edit, str(error))]) from None


@contextmanager
def as_written(texts: Mapping[Any, str]) -> Iterator[None]:
    """Let the refusals inside name edits by the texts with which a request gave them."""
    try:
        yield
    except EditError as error:
        raise EditError([(texts[edit], reason) for edit, reason in error.refused]) from None
