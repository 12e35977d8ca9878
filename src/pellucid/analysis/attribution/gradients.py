"""Attribution by gradients: input x gradient, and integrated gradients.

The inputs are the embeddings of both sides, before they are scaled and before positions are added; a part is the sum
over the d_model components of one piece. Read ``removals.py`` next.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import Tensor

from pellucid.analysis.attribution.question import Parts, Question, batches
from pellucid.errors import RequestError, counted
from pellucid.tracing.predictions import Array

__all__ = ["FEWEST_POINTS", "MOST_POINTS", "TOLERANCE", "Embeddings", "input_x_gradient", "integrated_gradients"]

TOLERANCE: Final = 0.02

MOST_POINTS: Final = 4096

_FIRST_INTERVALS: Final = 4
"""With fewer, errors of single parts that cancel in the sum could pass unseen: up to a third of the parts, measured."""
_POINTS_OF_INTERVAL: Final = 4
FEWEST_POINTS: Final = _FIRST_INTERVALS * _POINTS_OF_INTERVAL
"""Points of the undivided way."""


class Embeddings:
    """A recorder that puts given embeddings [batch, time, d_model] in the place of those of the ids."""

    def __init__(self, source: Tensor, target: Tensor) -> None:
        self._given = {"source.embedding": source, "target.embedding": target}

    def visit(self, site: str, value: Tensor) -> Tensor:
        """Return the given embeddings at their sites, every other value unchanged."""
        return self._given.get(site, value)


def input_x_gradient(question: Question) -> Parts:
    """Multiply the gradient of the score with the embedding (Shrikumar et al. 2016).

    A first-order estimate of what the score loses if the embedding shrinks to zero; the parts have no exact sum.
    """
    (parts,) = _slopes(question, np.ones(1))
    return Parts(*_sides(parts, question))


def integrated_gradients(
    question: Question, *, points: int | None = None, tolerance: float = TOLERANCE, most_points: int = MOST_POINTS
) -> Parts:
    """Integrate the gradient on the straight way from zero embeddings to those of the pieces, and multiply with them.

    Sundararajan et al. 2017, equation 1, both sides together; positions stay. The parts of a step sum to its score
    minus its score with zero embeddings.

    Every unit of the feed-forward networks that changes its sign on the way makes the gradient jump, so no fixed number
    of points suits every sentence. The way is therefore divided into intervals of four Gauss-Legendre points each. The
    parts of an interval must sum to what the score gains on it, so its error is known. Intervals are halved until the
    absolute errors of all sum to no more than the limit: those whose own error is over it or, if there are none, the
    one with the largest error; so no interval is halved in vain, and the points are the fewest that halving comes to.

    Args:
        question: the scores.
        points: of one Gauss-Legendre sum over the whole way, whatever its error; None divides the way.
        tolerance: limit for the errors of all intervals together: this share of the gain, or of 1 if the gain is
            smaller. It bounds the error of a sum; single parts can be wrong in opposite directions.
        most_points: limit for the points where the way is divided, those of halved intervals included.

    Raises:
        RequestError: so many points do not suffice.
    """
    ends = _scores(question, np.array([0.0, 1.0]))
    gain = ends[1] - ends[0]
    if points is None:
        total, count = _divided(question, tolerance * gain.abs().clamp(min=1), most_points)
    else:
        places, weights = np.polynomial.legendre.leggauss(points)
        total, count = _weighted(_slopes(question, (places + 1) / 2), weights / 2), points
    source, target = _sides(total, question)
    return Parts(source, target, expected_sums=gain, points=count)


def _divided(question: Question, limits: Tensor, most_points: int) -> tuple[Tensor, int]:
    """Return the integral, [steps, source + target], and its points; ``limits`` [steps] are those of the errors."""
    edges = np.linspace(0, 1, _FIRST_INTERVALS + 1)
    starts, ends = edges[:-1], edges[1:]
    parts, missed = _on_intervals(question, starts, ends)
    computed = FEWEST_POINTS
    while bool((missed.sum(0) > limits).any()):
        if computed >= most_points:
            worst = int((missed.sum(0) / limits).argmax())
            raise RequestError(
                f"integrated gradients: with {counted(computed, 'point')} the parts of step "
                f"{question.steps[worst]} miss what they "
                f"must sum to by up to {float(missed.sum(0)[worst]):.3g}, and the limit is {float(limits[worst]):.3g}; "
                "give a number of points, and the sum is shown as it is, or use another method"
            )
        badness = (missed / limits).amax(1).cpu().numpy()
        is_split = badness >= min(1, badness.max())
        middles = (starts[is_split] + ends[is_split]) / 2
        new_starts = np.concatenate([starts[is_split], middles])
        new_ends = np.concatenate([middles, ends[is_split]])
        new_parts, new_missed = _on_intervals(question, new_starts, new_ends)
        computed += len(new_starts) * _POINTS_OF_INTERVAL
        starts, ends = np.concatenate([starts[~is_split], new_starts]), np.concatenate([ends[~is_split], new_ends])
        kept = torch.from_numpy(~is_split)
        parts, missed = torch.cat([parts[kept], new_parts]), torch.cat([missed[kept], new_missed])
    return parts.sum(0), len(starts) * _POINTS_OF_INTERVAL


def _on_intervals(question: Question, starts: Array, ends: Array) -> tuple[Tensor, Tensor]:
    """Return the parts on each interval, [intervals, steps, source + target], and their errors [intervals, steps]."""
    places, weights = np.polynomial.legendre.leggauss(_POINTS_OF_INTERVAL)
    widths = (ends - starts)[:, None]
    slopes = _slopes(question, (starts[:, None] + widths * (places + 1) / 2).ravel())
    slopes = slopes.reshape(len(starts), -1, *slopes.shape[1:])
    parts = torch.stack([_weighted(one, weights * width / 2) for one, width in zip(slopes, widths, strict=True)])
    gains = _scores(question, ends) - _scores(question, starts)
    return parts, (parts.sum(-1) - gains).abs()


def _weighted(slopes: Tensor, weights: Array) -> Tensor:
    total: Tensor = torch.tensordot(torch.from_numpy(weights).to(slopes), slopes, dims=1)
    return total


def _slopes(question: Question, places: Array) -> Tensor:
    """Return gradient times embedding at each place of the way, [places, steps, source + target], in float64."""
    embeddings = question.embeddings()
    found = []
    for rows in batches(question, len(places)):
        leaves = [one.requires_grad_() for one in _at(embeddings, places[rows.start : rows.stop])]
        with torch.enable_grad():
            scores = question.ask(Embeddings(*leaves), batch=len(rows))
        by_step = []
        for number in range(len(question.steps)):
            slopes = torch.autograd.grad(scores[:, number].sum(), leaves, retain_graph=True)
            sides = [(one.double() * given.double()).sum(-1) for one, given in zip(slopes, embeddings, strict=True)]
            by_step.append(torch.cat(sides, dim=1))
        found.append(torch.stack(by_step, dim=1))
    return torch.cat(found)


@torch.no_grad()
def _scores(question: Question, places: Array) -> Tensor:
    """Return the scores at each place of the way, [places, steps], in float64."""
    embeddings = question.embeddings()
    found = []
    for rows in batches(question, len(places)):
        given = Embeddings(*_at(embeddings, places[rows.start : rows.stop]))
        found.append(question.ask(given, batch=len(rows)).double())
    return torch.cat(found)


def _at(embeddings: tuple[Tensor, Tensor], places: Array) -> tuple[Tensor, Tensor]:
    """Return the embeddings at places of the way, [places, time, d_model]."""
    source, target = (torch.from_numpy(places).to(one)[:, None, None] * one for one in embeddings)
    return source, target


def _sides(parts: Tensor, question: Question) -> tuple[Tensor, Tensor]:
    return parts[..., : question.sides[0]], parts[..., question.sides[0] :]
