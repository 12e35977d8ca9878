"""Observe, and optionally replace, every intermediate value of a forward pass.

``Transformer.forward`` takes an optional ``Recorder``. Each module adds its name to the place, so the site of
the second encoder layer's attention weights is ``encoder.1.self_attention.weights``. Without a recorder
the scope is ``None``, and each site costs only a call that returns immediately, since names are built
here. ``model/__init__.py`` lists the sites. Read ``positions.py`` next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

__all__ = ["Recorder", "Scope", "below", "scope_of", "visit"]


class Recorder(Protocol):
    """An object that observes or replaces values."""

    def visit(self, site: str, value: Tensor) -> Tensor:
        """Return the value with which the forward pass continues: ``value``, or another tensor of its shape.

        The first axis is the batch, so an edit can change only some rows. ``value`` can share memory with
        other tensors: an edit must return a new tensor and not write into ``value``.
        """
        ...


@dataclass(frozen=True)
class Scope:
    """A recorder and its current place in the model."""

    recorder: Recorder
    place: str = ""

    def site(self, name: str) -> str:
        """Return the full name of a site at this place."""
        return f"{self.place}.{name}" if self.place else name


def scope_of(recorder: Recorder | None, place: str = "") -> Scope | None:
    """Return the scope of a recorder, or ``None`` without a recorder."""
    return None if recorder is None else Scope(recorder, place)


def below(scope: Scope | None, name: str | int) -> Scope | None:
    """Return the scope of a submodule, by its name or its number."""
    return None if scope is None else Scope(scope.recorder, scope.site(str(name)))


def visit(scope: Scope | None, name: str, value: Tensor) -> Tensor:
    """Pass ``value`` to the recorder, if there is one, and return its result.

    Raises:
        ValueError: the recorder changed the shape.
    """
    if scope is None:
        return value
    site = scope.site(name)
    seen = scope.recorder.visit(site, value)
    if seen.shape != value.shape:
        raise ValueError(
            f"{site}: the recorder returned shape {list(seen.shape)} instead of {list(value.shape)}; "
            "an edit must keep the shape"
        )
    return seen
