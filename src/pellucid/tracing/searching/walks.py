"""The nodes of greedy search and of sampling: at each step the most probable pieces, and the one that was taken.

Read ``reference.py`` next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from pellucid.config import TranslationConfig
from pellucid.tracing.predictions import Array
from pellucid.tracing.searching.beam import Grown, divisor_of
from pellucid.tracing.searching.record import Ending, Node, Outcome, Step, Stop

if TYPE_CHECKING:
    from pellucid.translation.observer import ChosenToken

__all__ = ["Distribution", "walk_nodes"]

_ROUNDING: Final = 1e-5
"""The probabilities of a vocabulary in float32 add up to 1 within this."""


@dataclass(frozen=True)
class Distribution:
    """What a recorder keeps of a choice: the most probable pieces with their numbers, and sums over the others."""

    ids: tuple[int, ...]
    """The most probable first; the chosen one is among them, in its place or last."""
    log_probabilities: tuple[float, ...]
    narrowed: tuple[float, ...] | None
    chosen: int
    num_others: int
    others: float
    """Log-probability of all others."""
    others_narrowed: float | None
    excluded: float
    """Log-probability that rules of the search took away."""
    uniform: float | None
    ranks: tuple[int, ...]
    """Of each piece among all; 0 is the most probable."""

    @staticmethod
    def of(choice: ChosenToken, most: int) -> Distribution:
        """Keep the ``most`` most probable pieces of a choice."""
        own = choice.log_probabilities.detach().double().cpu().numpy()
        order = np.argsort(-own, kind="stable")
        rank = int(np.flatnonzero(order == choice.token)[0])
        places = [*range(min(most, len(own)))] if rank < most else [*range(most), rank]
        places = [place for place in places if own[order[place]] > -math.inf]
        ids = [int(order[place]) for place in places]
        narrowed = None if choice.narrowed is None else choice.narrowed.detach().double().cpu().numpy()
        is_other = np.ones(len(own), dtype=bool)
        is_other[ids] = False
        everything = _log_sum(own)
        return Distribution(
            ids=tuple(ids),
            log_probabilities=tuple(own[ids].tolist()),
            narrowed=None if narrowed is None else tuple(narrowed[ids].tolist()),
            chosen=choice.token,
            num_others=int((is_other & (own > -math.inf)).sum()),
            others=_log_sum(own[is_other]),
            others_narrowed=None if narrowed is None else _log_sum(narrowed[is_other]),
            excluded=math.log(-math.expm1(everything)) if everything < -_ROUNDING else -math.inf,
            uniform=choice.uniform,
            ranks=tuple(places),
        )


def walk_nodes(
    choices: Sequence[Distribution],
    *,
    config: TranslationConfig,
    max_length: int,
    eos_id: int,
    pieces: Callable[[Sequence[int]], Sequence[str]],
) -> Grown:
    """Return the tree of one walk; ``choices`` has one for each step."""
    nodes: list[Node] = []
    steps: list[Step] = []
    parent: int | None = None
    total = 0.0
    for step, choice in enumerate(choices):
        first = len(nodes)
        is_last = step + 1 == len(choices)
        spelled = pieces(choice.ids)
        for place, token in enumerate(choice.ids):
            narrowed = None if choice.narrowed is None else choice.narrowed[place]
            nodes.append(
                Node(
                    number=first + place,
                    parent=parent,
                    step=step,
                    place=choice.ranks[place],
                    token=token,
                    piece=spelled[place],
                    log_probability=choice.log_probabilities[place],
                    total=total + choice.log_probabilities[place],
                    divisor=divisor_of(step + 1, config),
                    outcome=_outcome(choice, place, config, eos_id, is_last=is_last, is_full=step + 1 >= max_length),
                    narrowed=narrowed,
                )
            )
        steps.append(
            Step(
                step,
                1,
                first,
                len(choice.ids),
                choice.num_others,
                choice.others,
                choice.others_narrowed,
                choice.excluded,
                choice.uniform,
            )
        )
        parent = first + choice.ids.index(choice.chosen)
        total = nodes[parent].total
    return Grown(tuple(nodes), tuple(steps), _ending(nodes, parent, max_length))


def _outcome(
    choice: Distribution, place: int, config: TranslationConfig, eos_id: int, *, is_last: bool, is_full: bool
) -> Outcome:
    token = choice.ids[place]
    if token == choice.chosen:
        if token == eos_id:
            return Outcome.FINISHED
        if not is_last:
            return Outcome.KEPT
        return Outcome.MAX_LENGTH if is_full else Outcome.STUCK
    if choice.narrowed is None:
        return Outcome.LESS_PROBABLE
    if choice.narrowed[place] > -math.inf:
        return Outcome.NOT_DRAWN
    return Outcome.CUT_TOP_K if config.top_k and choice.ranks[place] >= config.top_k else Outcome.CUT_TOP_P


def _ending(nodes: Sequence[Node], last: int | None, max_length: int) -> Ending:
    outcome = Outcome.STUCK if last is None else nodes[last].outcome
    stop = {Outcome.FINISHED: Stop.END, Outcome.MAX_LENGTH: Stop.MAX_LENGTH}.get(outcome, Stop.STUCK)
    score = nodes[last].score if last is not None and stop is Stop.END else None
    return Ending(stop, int(stop is Stop.END), max_length, None, score)


def _log_sum(values: Array) -> float:
    largest = values.max(initial=-math.inf)
    if largest == -math.inf:
        return -math.inf
    return float(largest + math.log(float(np.exp(values - largest).sum())))
