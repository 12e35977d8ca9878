"""Compare what an .npz says of its arrays with what a model of Marian's has. Read ``reading.py`` next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["NUMBER_FORMATS", "shape_problems", "squeezed"]

NUMBER_FORMATS: Final = ("<f4", "<f2", "<f8")
"""What weights may be stored in."""


def squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape without its leading axes of length 1, of which Marian writes some."""
    axes = list(shape)
    while len(axes) > 1 and axes[0] == 1:
        axes.pop(0)
    return tuple(axes)


def shape_problems(
    found: Mapping[str, tuple[tuple[int, ...], str]], expected: Mapping[str, tuple[int, ...]]
) -> list[str]:
    """Compare what an archive holds with what it must hold; return a sentence for each difference."""
    problems = [f"{name} is missing" for name in sorted(expected.keys() - found.keys())]
    problems += [f"{name} is unknown" for name in sorted(found.keys() - expected.keys())]
    for name in sorted(found.keys() & expected.keys()):
        shape, dtype = found[name]
        if squeezed(shape) != squeezed(expected[name]):
            problems.append(f"{name} has shape {list(shape)}, needed {list(expected[name])}")
        elif dtype not in NUMBER_FORMATS:
            problems.append(f"{name} has number format {dtype!r}, allowed {', '.join(NUMBER_FORMATS)}")
    return problems
