"""One row a sentence: the loop that greedy search and sampling share, and greedy search itself.

Rows leave when they end. Read ``sampling.py`` next, then ``beam.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pellucid.config import TranslationConfig
from pellucid.translation.candidates import refuse_not_a_number
from pellucid.translation.constraints import Constraints, max_length_of
from pellucid.translation.hypothesis import Hypothesis, make_hypothesis
from pellucid.translation.observer import ChosenToken, WalkObserver
from pellucid.translation.stepper import Stepper

__all__ = ["Choice", "greedy_search", "rows_that_go_on", "walk"]

Choice = Callable[[Tensor, Tensor], Tensor]
"""From log-probabilities [rows, vocab] after the constraints, and the walks' numbers [rows], the next
tokens [rows]. Called once a step; every row has a token that can come."""


def greedy_search(
    stepper: Stepper,
    source_ids: Sequence[Sequence[int]],
    *,
    config: TranslationConfig,
    constraints: Constraints,
    observer: WalkObserver | None = None,
) -> list[list[Hypothesis]]:
    """Take the most probable token at every step; the lowest id where several are.

    Returns:
        For every sentence a list of one hypothesis.
    """
    step = 0

    def most_probable(log_probabilities: Tensor, walks: Tensor) -> Tensor:
        nonlocal step
        # Of several largest, argmax documents that it returns the first.
        tokens = log_probabilities.argmax(dim=1)
        if observer is not None:
            for row in rows_that_go_on(log_probabilities):
                observer.chosen(ChosenToken(int(walks[row]), 0, step, log_probabilities[row], int(tokens[row])))
        step += 1
        return tokens

    with torch.inference_mode():
        walks = walk(stepper, source_ids, 1, config=config, constraints=constraints, choose=most_probable)
    return [[hypothesis] for hypothesis in walks]


def rows_that_go_on(log_probabilities: Tensor) -> list[int]:
    """Return the rows [rows, vocab] in which some token can come."""
    return (log_probabilities.amax(dim=1) > -torch.inf).nonzero().flatten().tolist()


def walk(
    stepper: Stepper,
    source_ids: Sequence[Sequence[int]],
    walks_each: int,
    *,
    config: TranslationConfig,
    constraints: Constraints,
    choose: Choice,
) -> list[Hypothesis]:
    """Grow ``walks_each`` target sentences for each source sentence, one chosen token at a time.

    Walk ``i`` belongs to sentence ``i // walks_each``. A walk that reaches its maximum length, or that no
    token can continue, is left unfinished with what it has.
    """
    limits = torch.tensor(
        [
            max_length_of(len(ids), config=config, stepper_max_length=stepper.max_length)
            for ids in source_ids
            for _ in range(walks_each)
        ]
    )
    found: list[Hypothesis | None] = [None] * len(limits)
    stepper.start(source_ids)
    log_probabilities = stepper.step(None).repeat_interleave(walks_each, dim=0)
    device = log_probabilities.device
    walks = torch.arange(len(limits), device=device)
    limits = limits.to(device)
    if walks_each > 1:
        stepper.select(walks // walks_each)
    history = torch.empty((len(limits), 0), dtype=torch.long, device=device)
    gains = torch.empty((len(limits), 0), dtype=log_probabilities.dtype, device=device)
    while True:
        constraints.apply(log_probabilities, history, walks // walks_each)
        best = log_probabilities.amax(dim=1)
        refuse_not_a_number(best)
        is_stuck = best == -torch.inf
        _collect(found, walks, history, gains, ends=is_stuck, is_finished=False, config=config)
        tokens = choose(log_probabilities, walks)
        history = torch.cat([history, tokens[:, None]], dim=1)
        gains = torch.cat([gains, log_probabilities.gather(1, tokens[:, None])], dim=1)
        is_finished = (tokens == stepper.eos_id) & ~is_stuck
        is_full = (history.shape[1] >= limits) & ~is_finished & ~is_stuck
        _collect(found, walks, history, gains, ends=is_finished, is_finished=True, config=config)
        _collect(found, walks, history, gains, ends=is_full, is_finished=False, config=config)
        ended = is_stuck | is_finished | is_full
        if ended.any():
            rows = (~ended).nonzero().flatten()
            if not rows.numel():
                return [hypothesis for hypothesis in found if hypothesis is not None]
            stepper.select(rows)
            walks, limits, history, gains = walks[rows], limits[rows], history[rows], gains[rows]
        log_probabilities = stepper.step(history[:, -1])


def _collect(
    found: list[Hypothesis | None],
    walks: Tensor,
    history: Tensor,
    gains: Tensor,
    *,
    ends: Tensor,
    is_finished: bool,
    config: TranslationConfig,
) -> None:
    rows = ends.nonzero().flatten()
    if not rows.numel():
        return
    for walk_number, ids, terms in zip(walks[rows].tolist(), history[rows].tolist(), gains[rows].tolist(), strict=True):
        found[walk_number] = make_hypothesis(
            ids, terms, is_finished=is_finished, form=config.length_penalty, alpha=config.alpha
        )
