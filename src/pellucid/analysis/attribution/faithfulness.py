"""Which method to believe: what a step loses if the pieces that a method ranks first are hidden from the model.

A piece is hidden by a mask: no position of either stack attends to it, and all other pieces keep their places. Every
method is measured by the same erasure, which none of them computes. A method that ranks well loses much early; a random
order is what it must beat ("comprehensiveness" of DeYoung et al. 2020, for the k largest parts, in nats).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from pellucid.analysis.atlas import is_special
from pellucid.analysis.attribution.methods import attribute_trace, question_of
from pellucid.analysis.attribution.question import Quantity, Question, batches
from pellucid.analysis.attribution.record import Method
from pellucid.errors import RequestError, counted
from pellucid.tracing.predictions import Array
from pellucid.tracing.record import Trace
from pellucid.tracing.sites import member

__all__ = ["RANDOM", "Faithfulness", "erasure_losses", "faithfulness"]

RANDOM: Final = "random"
"""The name of the row of random orders."""


@dataclass(frozen=True, eq=False)
class Faithfulness:
    """Mean losses of log-probability in nats, over all steps of all traces in which a count is possible."""

    methods: tuple[str, ...]
    """The last one is ``random``."""
    counts: tuple[int, ...]
    """How many of the largest pieces are hidden."""
    losses: Array
    """[methods, counts]."""
    standard_errors: Array
    """[methods, counts], of the means, with the traces as independent samples of equal weight."""
    traces: int
    steps: int

    def to_text(self) -> str:
        """Return a table: a row for each method, a column for each count."""
        width = max(map(len, self.methods))
        rows = [" " * width + "".join(f"{count:>9}" for count in self.counts)]
        rows += [
            f"{name:<{width}}" + "".join(f"{loss:>9.3f}" for loss in losses)
            for name, losses in zip(self.methods, self.losses, strict=True)
        ]
        return "\n".join([f"nats lost as the first source pieces go; {counted(self.traces, 'sentence')}", *rows])


def faithfulness(
    traces: Iterable[Trace],
    methods: Sequence[str] = tuple(Method),
    *,
    counts: Sequence[int] = (1, 2, 3, 5, 8),
    random_orders: int = 3,
    seed: int = 1,
    points: int | None = None,
) -> Faithfulness:
    """Measure how much every step of some traces loses as its first source pieces, by each method, are hidden.

    Parts are those of the log-probability, for ``alti_logit`` those of the logit. Special pieces are not hidden.

    Args:
        traces: with their models and without edits.
        methods: the rows, before that of random orders.
        counts: how many pieces are hidden, in growing order; a shorter sentence has no part in a count.
        random_orders: orders for each step, whose mean is the last row.
        seed: of these orders.
        points: of the integral of ``integrated_gradients``; None takes as many as its sums need.

    Raises:
        RequestError: there is no trace, or one has edits or no model; or a method or count does not exist.
    """
    names = [member(Method, name, "methods") for name in methods]
    if not counts or min(counts) < 1 or list(counts) != sorted(set(counts)):
        raise RequestError(f"counts = {tuple(counts)}; give numbers of pieces from 1, in growing order")
    generator = np.random.default_rng(seed)
    rows, steps = [], 0
    for trace in traces:
        if trace.provenance.edits:
            raise RequestError(f"the trace of {trace.source!r} has edits; trace the sentence without them")
        question = question_of(trace, quantity=Quantity.LOG_PROBABILITY)
        steps += len(question.steps)
        specials = is_special(trace.tokens.source_pieces, trace.tokens.source_ids, trace)
        hideable = [place for place, special in enumerate(specials) if not special]
        means = [_losses(question, _ranks(trace, name, hideable, points), counts) for name in names]
        orders = [[list(generator.permutation(hideable)) for _ in question.steps] for _ in range(random_orders)]
        means.append(np.mean([_losses(question, order, counts) for order in orders], axis=0))
        rows.append(np.stack(means))
    if not rows:
        raise RequestError("there are no traces to measure")
    table = np.stack(rows)
    possible = (~np.isnan(table)).sum(0)
    if not possible.all():
        raise RequestError(
            f"counts = {tuple(counts)}: no sentence has more than {counted(max(counts), 'piece')}; give fewer"
        )
    errors = np.nanstd(table, axis=0) / np.sqrt(np.maximum(possible - 1, 1))
    means_of_all = np.nanmean(table, axis=0)
    return Faithfulness((*names, RANDOM), tuple(counts), means_of_all, errors, len(rows), steps)


def _ranks(trace: Trace, method: Method, hideable: Sequence[int], points: int | None) -> list[list[int]]:
    """Return for each step the source positions that can be hidden, the largest part first."""
    found = attribute_trace(
        trace,
        method=method,
        quantity=Quantity.LOGIT if method is Method.ALTI_LOGIT else Quantity.LOG_PROBABILITY,
        points=points if method is Method.INTEGRATED_GRADIENTS else None,
    )
    return [sorted(hideable, key=lambda place: -row[place]) for row in found.source]


def _losses(question: Question, orders: Sequence[Sequence[int]], counts: Sequence[int]) -> Array:
    """Return the mean loss over the steps, [counts]; not a number for a count that hides every piece."""
    possible = [count for count in counts if count < len(orders[0])]
    means = np.full(len(counts), math.nan)
    if possible:
        means[: len(possible)] = erasure_losses(question, orders, possible).mean(0)
    return means


@torch.no_grad()
def erasure_losses(question: Question, orders: Sequence[Sequence[int]], counts: Sequence[int]) -> Array:
    """Return what each step loses as the first pieces of its order are hidden, [steps, counts].

    Args:
        question: whose steps and scores are measured; it has no edits.
        orders: source positions for each step.
        counts: how many of them are hidden.
    """
    hidden = [order[:count] for order in orders for count in (0, *counts)]
    numbers = [number for number in range(len(orders)) for _ in (0, *counts)]
    source = torch.tensor([question.source_ids], device=question.device)
    target = torch.tensor([question.fed_ids], device=question.device)
    found: list[float] = []
    for rows in batches(question, len(hidden)):
        mask = torch.ones(len(rows), len(question.source_ids), dtype=torch.bool, device=question.device)
        for row, place in enumerate(rows):
            mask[row, list(map(int, hidden[place]))] = False
        size = (len(rows), -1)
        scores = question.scores_of(question.model(source.expand(size), target.expand(size), source_mask=mask))
        found += [float(scores[row, numbers[place]]) for row, place in enumerate(rows)]
    table = np.array(found).reshape(len(orders), 1 + len(counts))
    losses: Array = table[:, :1] - table[:, 1:]
    return losses
