"""Optimal transport of cross-attention: how far its mass would have to move to look like that of sound translations.

Guerreiro et al. 2023, "Optimal Transport for Unsupervised Hallucination Detection in Neural Machine Translation". The
mass of a source piece is its attention, averaged over the rows that write the translation and over layers and heads
(the paper takes the last layer). Two distances, both with a closed form:

    to uniform   moving mass costs 1, however far: the total variation, 1/2 sum |mass - 1/n|. It is large if the
                 translation looked at a few pieces only, such as the end of the sentence.
    to data      piece j of n stands at (j + 1/2) / n, and moving mass costs its way: the area between the two
                 distribution functions. The mean over the four nearest masses of sound translations.

Read ``measured.py`` next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from pellucid.tracing.predictions import Array
from pellucid.tracing.record import Trace
from pellucid.tracing.sites import AttentionKind

__all__ = ["distance", "distance_to_data", "distance_to_uniform", "source_mass"]

_NEAREST: Final = 4


def source_mass(trace: Trace, *, of_last_layer: bool = False) -> Array | None:
    """Return the share of the cross-attention that each source piece receives, [source]; they sum to 1.

    Of all layers or, as in the paper, of the last one. None if the trace has no weights of cross-attention.
    """
    sites = AttentionKind.CROSS.weights_among(trace.sites)
    if not sites or (trace.model is None and not all(site in trace.arrays for site in sites)):
        return None
    # [heads, target, source] by layer.
    counted = sites[-1:] if of_last_layer else sites
    mass: Array = np.mean([trace[site].astype(np.float64).mean((0, 1)) for site in counted], axis=0)
    return mass / mass.sum() if mass.sum() > 0 else None


def distance_to_uniform(mass: Array) -> float:
    """Return the share of a mass that would have to move to make all pieces equal, 0 to 1."""
    return float(np.abs(mass - 1 / len(mass)).sum() / 2)


def distance(first: Array, second: Array) -> float:
    """Return how far mass moves on average from one distribution to another, as a share of the sentence's length."""
    places = [(np.arange(len(mass)) + 0.5) / len(mass) for mass in (first, second)]
    points = np.concatenate(places)
    order = np.argsort(points, kind="stable")
    # What the first distribution has up to each point, less what the second one has.
    ahead = np.cumsum(np.concatenate([first, -np.asarray(second)])[order])
    return float(np.abs(ahead[:-1]) @ np.diff(points[order]))


def distance_to_data(mass: Array, references: Sequence[Sequence[float]]) -> float:
    """Return the mean distance to the nearest masses of sound translations.

    Args:
        mass: of the translation.
        references: masses of sound translations, each over its pieces; at least one.
    """
    nearest = sorted(distance(mass, np.asarray(reference) / sum(reference)) for reference in references)
    return float(np.mean(nearest[:_NEAREST]))
