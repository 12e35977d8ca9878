"""The optional observer: sees, and may replace, every intermediate value of a forward pass.

A ``Recorder`` is handed to ``Transformer.forward``. On its way down each module adds its own name,
so that the site of the second encoder layer's attention weights is
``encoder.1.self_attention.weights``. Without a recorder the scope is ``None``, and a call that
returns at once is all that is paid: names are put together here, never before. The list of sites
stands in ``model/__init__.py``. Read ``positions.py`` next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

__all__ = ["Recorder", "Scope", "below", "scope_of", "visit"]


class Recorder(Protocol):
    """Anything that wants to see values, or to put others in their place."""

    def visit(self, site: str, value: Tensor) -> Tensor:
        """Return the value that the forward pass goes on with: ``value`` itself, or another of its shape.

        The first axis is the batch, so an edit can act on some rows only. ``value`` may share
        memory with others: return a new tensor for an edit, never write into it.
        """
        ...


@dataclass(frozen=True)
class Scope:
    """A recorder together with the place in the model where it is now."""

    recorder: Recorder
    place: str = ""

    def site(self, name: str) -> str:
        """Return the full name of a site here."""
        return f"{self.place}.{name}" if self.place else name


def scope_of(recorder: Recorder | None, place: str = "") -> Scope | None:
    """Return the scope of a recorder, or ``None`` where there is none."""
    return None if recorder is None else Scope(recorder, place)


def below(scope: Scope | None, name: str | int) -> Scope | None:
    """Return the scope of a part of the module at hand, by its name or its number."""
    return None if scope is None else Scope(scope.recorder, scope.site(str(name)))


def visit(scope: Scope | None, name: str, value: Tensor) -> Tensor:
    """Show ``value`` to the recorder, if there is one, and return what to go on with.

    Raises:
        ValueError: an edit changed the shape.
    """
    if scope is None:
        return value
    site = scope.site(name)
    seen = scope.recorder.visit(site, value)
    if seen.shape != value.shape:
        raise ValueError(
            f"{site}: the recorder returned shape {list(seen.shape)} in place of {list(value.shape)}; "
            "an edit keeps the shape"
        )
    return seen
