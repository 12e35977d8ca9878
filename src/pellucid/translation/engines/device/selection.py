"""The search of ``translation/beam.py``, one step for all slots, without a look at any value.

Nothing here depends on a value: no branch, no shape, no copy to the processor. So a step can be recorded once and
replayed. The rules and their order are those of ``beam.py``, whose docstring numbers them; greedy search is a beam of
one. Read ``graphs.py`` next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from pellucid.translation.engines.device.network import Network
from pellucid.translation.engines.device.slots import BROKEN, LIVE, OVER, Slots

__all__ = ["advance", "best_of_groups"]

_GROUP: Final = 32


@dataclass(frozen=True)
class _Candidates:
    """The candidates of a step, [slots, 2 * beam], the best first."""

    parents: Tensor
    tokens: Tensor
    gains: Tensor
    sums: Tensor
    finishes: Tensor
    continues: Tensor


def advance(network: Network, slots: Slots, target: int, source: int) -> None:
    """Take one step in every slot; all that changes is the state of the slots.

    Args:
        network: computes the log-probabilities.
        slots: live ones grow by a token.
        target: positions that the step may attend to in the target; more than any live slot has.
        source: the same in the source.
    """
    logits = network.logits(slots.last_ids, slots.view(target, source))
    log_probabilities = torch.log_softmax(logits, dim=-1)
    largest = _apply_constraints(log_probabilities, slots)
    candidates = _candidates(log_probabilities, largest, slots)
    is_live = slots.status == LIVE
    is_number = (largest < torch.inf).view_as(slots.sums).all(dim=1)
    if slots.size.log_steps:
        _write_down(candidates, slots)
    is_over = _judge(candidates, slots, is_live)
    _go_on(candidates, slots, target, largest_id=network.vocab_size - 1)
    slots.status.masked_fill_(is_live & is_over, OVER)
    slots.status.masked_fill_(is_live & ~is_number, BROKEN)
    slots.step += slots.status == LIVE


def _apply_constraints(log_probabilities: Tensor, slots: Slots) -> Tensor:
    """Write minus infinity over every token that may not come; return the largest that is left, [rows].

    The rules are those of ``translation/constraints.py``: where nothing else may come, the end of sentence may come
    too early.
    """
    if slots.size.forbidden:
        log_probabilities.index_fill_(1, slots.forbidden_ids, -torch.inf)
    if not slots.size.has_minimum:
        return log_probabilities.amax(dim=1)
    end = log_probabilities[:, slots.size.eos_id].clone()
    log_probabilities[:, slots.size.eos_id].fill_(-torch.inf)
    others = log_probabilities.amax(dim=1)
    is_early = (slots.step < slots.min_length).repeat_interleave(slots.size.beam_size, output_size=len(end))
    end = end.masked_fill(is_early & (others != -torch.inf), -torch.inf)
    log_probabilities[:, slots.size.eos_id].copy_(end)
    return torch.maximum(others, end)


def best_of_groups(values: Tensor, count: int, group: int) -> tuple[Tensor, Tensor]:
    """Return the ``count`` largest values of each row and their columns; of equal values the first columns.

    The largest of a group of neighbouring columns stands for the group. Each of the ``count`` best values lies in one
    of the ``count`` groups that come first by their largest value, then by their place: every one of those groups has
    a value that comes before all values of any other group. So all columns are read once, and few are sorted.

    Args:
        values: [rows, columns]; ``columns`` is a multiple of ``group``.
        count: of the values wanted.
        group: columns of a group.
    """
    grouped = values.view(len(values), -1, group)
    count_groups = min(count, grouped.shape[1])
    chosen = grouped.amax(dim=2).sort(dim=1, descending=True, stable=True)[1][:, :count_groups]
    chosen = chosen.sort(dim=1)[0]
    columns = (chosen[:, :, None] * group + torch.arange(group, device=values.device)).flatten(1)
    ordered, places = values.gather(1, columns).sort(dim=1, descending=True, stable=True)
    return ordered[:, :count], columns.gather(1, places[:, :count])


def _candidates(log_probabilities: Tensor, largest: Tensor, slots: Slots) -> _Candidates:
    count, beam = slots.size.slots, slots.size.beam_size
    gains, tokens = best_of_groups(log_probabilities, slots.size.candidates, _GROUP)
    each = gains.shape[1]
    sums = (slots.sums[:, :, None] + gains.reshape(count, beam, each)).flatten(1)
    sums, places = sums.sort(dim=1, descending=True, stable=True)
    sums, places = sums[:, : slots.size.candidates], places[:, : slots.size.candidates]
    tokens = tokens.reshape(count, -1).gather(1, places)
    is_possible = sums > -torch.inf
    is_end = tokens == slots.size.eos_id
    goes_on = is_possible & ~is_end
    finishes = is_possible & is_end
    finishes[:, beam:].fill_(False)
    return _Candidates(
        parents=places // each,
        tokens=tokens,
        gains=gains.reshape(count, -1).gather(1, places),
        sums=sums,
        finishes=finishes,
        continues=goes_on & (goes_on.cumsum(dim=1) <= beam),
    )


def _judge(candidates: _Candidates, slots: Slots, is_live: Tensor) -> Tensor:
    """Keep the best hypothesis of each slot, and return which slots have been searched enough, [slots].

    Of the candidates that finish in a step the first is the best, for all have the same length. Where a list of several
    hypotheses is wanted, ``lists.py`` keeps them, and a slot goes on until it cannot.
    """
    sums, at_limit = candidates.sums, slots.step + 1 >= slots.limit
    end, has_end = _first(candidates.finishes)
    row, has_row = _first(candidates.continues)
    best_live = sums.gather(1, row)[:, 0].masked_fill(~has_row, -torch.inf)
    if slots.size.log_steps:
        return at_limit | ~has_row
    score = sums.gather(1, end)[:, 0] / slots.divisors[slots.step + 1]
    is_better = is_live & has_end & (score > slots.best_score)
    slots.best_score.copy_(torch.where(is_better, score, slots.best_score))
    slots.num_finished += candidates.finishes.sum(dim=1)
    cannot_win = ~has_row | (best_live / slots.divisors[slots.limit] <= slots.best_score)
    is_over = at_limit | cannot_win | (slots.num_finished >= slots.size.beam_size)
    # A sentence that ends without a finished hypothesis keeps its best row: with the token that has no room any more,
    # or, where no token may come at all, as it is.
    is_unfinished = is_live & is_over & (slots.num_finished == 0)
    place = torch.where(is_better[:, None], end, row)
    is_stuck = sums[:, 0] == -torch.inf
    token = candidates.tokens.gather(1, place)[:, 0].masked_fill(is_stuck, -1)
    parent = candidates.parents.gather(1, place)[:, 0]
    facts = torch.stack([slots.step, parent, token, is_better.long()], dim=1)
    is_new = is_better | is_unfinished
    slots.best_end.copy_(torch.where(is_new[:, None], facts, slots.best_end))
    slots.best_gain.copy_(torch.where(is_new, candidates.gains.gather(1, place)[:, 0], slots.best_gain))
    return is_over


def _first(which: Tensor) -> tuple[Tensor, Tensor]:
    """Return the place of the first true value of each row, [rows, 1], and whether there is one, [rows]."""
    return which.to(torch.uint8).argmax(dim=1, keepdim=True), which.any(dim=1)


def _go_on(candidates: _Candidates, slots: Slots, target: int, *, largest_id: int) -> None:
    """Make the continuing candidates the live rows of the next step; the rows after them have minus infinity."""
    beam = slots.size.beam_size
    places = (~candidates.continues).to(torch.uint8).sort(dim=1, stable=True)[1][:, :beam]
    continues = candidates.continues.gather(1, places)
    # The table is padded: where few tokens may come, a row without a continuation may have drawn a column of padding.
    tokens = candidates.tokens.gather(1, places).clamp(max=largest_id)
    parents = candidates.parents.gather(1, places)
    slots.sums.copy_(candidates.sums.gather(1, places).masked_fill(~continues, -torch.inf))
    slots.last_ids.copy_(tokens)
    slots.links[slots.slot_numbers, slots.step] = tokens * beam + parents
    slots.gains[slots.slot_numbers, slots.step] = candidates.gains.gather(1, places)
    ancestry = slots.ancestry[:, :, :target]
    inherited = ancestry.gather(1, parents[:, :, None].expand(-1, -1, target))
    is_past = (slots.positions[:target] <= slots.step[:, None])[:, None]
    ancestry.copy_(torch.where(is_past, inherited, slots.rows[None, :, None]))


def _write_down(candidates: _Candidates, slots: Slots) -> None:
    """Add all candidates to the log, for ``lists.py``."""
    links = candidates.tokens * slots.size.beam_size + candidates.parents
    for log, values in (
        (slots.log_links, links),
        (slots.log_gains, candidates.gains),
        (slots.log_sums, candidates.sums),
    ):
        log.index_copy_(0, slots.log_step, values[None])
    slots.log_step += 1
