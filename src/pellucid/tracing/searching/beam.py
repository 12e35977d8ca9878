"""The nodes of a beam search, from the expansions that it showed. Read ``walks.py`` next."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pellucid.config import TranslationConfig
from pellucid.tracing.searching.record import ENDS, Ending, Node, Outcome, Ranked, Step, Stop
from pellucid.translation.hypothesis import Hypothesis, length_divisor, make_hypothesis
from pellucid.translation.observer import Candidate, Expansion, Fate

__all__ = ["Grown", "beam_nodes", "divisor_of", "ranked"]


@dataclass(frozen=True)
class Grown:
    """Nodes and steps of a search, and why it ended."""

    nodes: tuple[Node, ...]
    steps: tuple[Step, ...]
    ending: Ending


def beam_nodes(
    expansions: Sequence[Expansion],
    *,
    config: TranslationConfig,
    max_length: int,
    vocab_size: int,
    eos_id: int,
    pieces: Callable[[Sequence[int]], Sequence[str]],
) -> Grown:
    """Return the tree of a search with one beam, for the best hypothesis alone (``n_best`` = 1), without terms.

    Args:
        expansions: of one sentence, every step.
        config: of the search.
        max_length: of a hypothesis.
        vocab_size: number of target pieces.
        eos_id: ends a sentence.
        pieces: of ids.
    """
    nodes: list[Node] = []
    steps: list[Step] = []
    rows: dict[int, int] = {}
    for expansion in expansions:
        candidates = expansion.candidates
        first = len(nodes)
        spelled = pieces([candidate.token for candidate in candidates])
        divisor = divisor_of(expansion.step + 1, config)
        next_rows: dict[int, int] = {}
        for place, candidate in enumerate(candidates):
            number = first + place
            nodes.append(
                Node(
                    number=number,
                    parent=rows[candidate.parent] if expansion.step else None,
                    step=expansion.step,
                    place=place,
                    token=candidate.token,
                    piece=spelled[place],
                    log_probability=candidate.token_log_probability,
                    total=candidate.log_probability,
                    divisor=divisor,
                    outcome=_outcome(candidate, eos_id),
                )
            )
            if candidate.row is not None:
                next_rows[candidate.row] = number
        live = len(expansion.rows)
        steps.append(Step(expansion.step, live, first, len(candidates), live * vocab_size - len(candidates)))
        if not candidates:
            for number in rows.values():
                nodes[number] = replace(nodes[number], outcome=Outcome.STUCK)
        rows = next_rows
    for number in rows.values():
        nodes[number] = replace(nodes[number], outcome=Outcome.OPEN)
    return Grown(tuple(nodes), tuple(steps), _ending(nodes, steps, config, max_length))


def divisor_of(length: int, config: TranslationConfig) -> float:
    """Return the length penalty of a hypothesis of so many pieces."""
    return length_divisor(length, form=config.length_penalty, alpha=config.alpha)


def ranked(
    nodes: Sequence[Node], config: TranslationConfig, text_of: Callable[[Sequence[int]], str]
) -> tuple[tuple[Ranked, ...], Hypothesis | None]:
    """Return the hypotheses of a result in their order, and the best one; the earlier first where scores are equal."""
    found: list[tuple[Ranked, Hypothesis]] = []
    for node in nodes:
        if node.outcome not in ENDS:
            continue
        path = [node]
        while (parent := path[-1].parent) is not None:
            path.append(nodes[parent])
        hypothesis = make_hypothesis(
            [one.token for one in reversed(path)],
            [one.log_probability for one in reversed(path)],
            is_finished=node.outcome is Outcome.FINISHED,
            form=config.length_penalty,
            alpha=config.alpha,
        )
        own = Ranked(
            node.number,
            text_of(hypothesis.ids),
            hypothesis.score,
            hypothesis.log_probability,
            hypothesis.is_finished,
        )
        found.append((own, hypothesis))
    found.sort(key=lambda pair: (not pair[0].is_finished, -pair[0].score))
    return tuple(own for own, _ in found), found[0][1] if found else None


def _outcome(candidate: Candidate, eos_id: int) -> Outcome:
    if candidate.fate is Fate.PRUNED:
        return Outcome.LATE_END if candidate.token == eos_id else Outcome.OUTSIDE
    return {Fate.LIVE: Outcome.KEPT, Fate.FINISHED: Outcome.FINISHED, Fate.MAX_LENGTH: Outcome.MAX_LENGTH}[
        candidate.fate
    ]


def _ending(nodes: Sequence[Node], steps: Sequence[Step], config: TranslationConfig, max_length: int) -> Ending:
    finished = [node.score for node in nodes if node.outcome is Outcome.FINISHED]
    still_open = [node.total for node in nodes if node.outcome is Outcome.OPEN]
    bound = max(still_open) / divisor_of(max_length, config) if still_open else None
    to_beat = max(finished, default=-math.inf)
    if not steps[-1].count:
        stop = Stop.STUCK
    elif len(steps) >= max_length:
        stop = Stop.MAX_LENGTH
    elif len(finished) >= config.beam_size:
        stop = Stop.FULL
    else:
        stop = Stop.CANNOT_WIN if still_open else Stop.NOTHING_LEFT
    return Ending(stop, len(finished), max_length, bound, to_beat if finished else None)
