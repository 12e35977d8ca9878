"""Beam search that brings every term into the translation: dynamic beam allocation.

A sentence with terms keeps its rows in banks, by the fewest pieces that are left to write until all terms are met.
Beside the best tokens of the whole beam, a step considers for each row its best tokens and every token that brings a
term on its way. The places of the beam go to the banks in turns, the best candidate of each first, so that rows that
have met more do not lose to rows that have met less. A sentence ends only where all terms are met, and rows that have
no room for them before the maximum length are dropped. A term is given up, the one with the most pieces first, where
all together do not fit in the maximum length, or where no row can go on; the translator sees in the text that the term
is not there.

Post and Vilar 2018, "Fast lexically constrained decoding with dynamic beam allocation", section 3; Hu et al. 2019,
"Improved lexically constrained decoding", section 3, for terms of several pieces. ``beam.py`` calls this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor

from pellucid.translation.terms.placing import misplacement
from pellucid.translation.terms.watch import Demand, Watch

__all__ = ["Banks", "Choice", "Live"]

_MOST_BANKS: Final = 16
"""A beam is as wide as its banks are many, up to this."""


@dataclass(frozen=True)
class Choice:
    """A candidate of a step, and what becomes of it."""

    parent: int
    token: int
    gain: float
    total: float
    left: int
    """Pieces that are left to write until all terms are met."""
    finishes: bool = False
    is_late_end: bool = False
    continues: bool = False

    @property
    def rank(self) -> tuple[float, int, int]:
        """Sort by this: the most probable first."""
        return -self.total, self.parent, self.token


@dataclass(frozen=True)
class Live:
    """The live rows of one sentence at a step."""

    sentence: int
    limit: int
    ids: Sequence[Sequence[int]]
    totals: Sequence[float]
    """Summed log-probability of each row; minus infinity where there is no row."""
    best: Sequence[Sequence[int]]
    """The best tokens of each row."""
    log_probabilities: Tensor
    """[rows, vocab]."""
    attention: Sequence[Sequence[Sequence[float]]] | None = None
    """[rows, steps, source], the present step included; None where the stepper has none."""


class Banks:
    """The banks of all sentences of a search.

    Args:
        watches: of each sentence; None where it has no terms.
        eos_id: ends a sentence.
        beam_size: of the search.
    """

    def __init__(self, watches: Sequence[Watch | None], *, eos_id: int, beam_size: int) -> None:
        self._watches = list(watches)
        self._eos_id = eos_id
        self._beam_size = beam_size

    def ban(self, log_probabilities: Tensor, history: Tensor, sentences: Tensor) -> None:
        """Write minus infinity over every token that would complete a form to avoid, in place.

        Args:
            log_probabilities: [rows, vocab].
            history: [rows, step], the tokens so far.
            sentences: [rows], the number of each row's sentence.
        """
        for row, sentence in enumerate(sentences.tolist()):
            watch = self._watches[sentence]
            if watch is None or not watch.avoided:
                continue
            ids = history[row].tolist()
            log_probabilities[row, watch.banned(ids)] = -torch.inf
            if (only := watch.only(ids)) is not None:
                kept = log_probabilities[row, only]
                log_probabilities[row] = -torch.inf
                log_probabilities[row, only] = kept

    def has_demands(self, sentence: int) -> bool:
        """Return whether a sentence has terms that are still asked for."""
        watch = self._watches[sentence]
        return watch is not None and bool(watch.demands)

    def misplacement(self, sentence: int, ids: Sequence[int], attention: Sequence[Sequence[float]]) -> float:
        """See ``placing.py``; 0 where a sentence has no terms."""
        watch = self._watches[sentence]
        return misplacement(watch, ids, attention) if watch is not None and watch.demands else 0.0

    def choose(self, live: Live) -> list[Choice] | None:
        """Return the candidates of a sentence, the best first; None where its demands have all been given up."""
        watch = self._watches[live.sentence]
        while watch is not None and watch.demands:
            candidates = self._candidates(watch, live) if live.ids[0] or watch.cost <= live.limit else []
            if candidates:
                return self._allocated(candidates, width=self._width(watch))
            watch = watch.without(_dearest(watch, live))
            self._watches[live.sentence] = watch
        return None

    def _width(self, watch: Watch) -> int:
        return max(self._beam_size, min(_MOST_BANKS, 1 + watch.cost))

    def _candidates(self, watch: Watch, live: Live) -> list[Choice]:
        """Return the candidates, those that have room for the rest of the demands if there are some."""
        pairs = [
            (parent, token)
            for parent, (ids, best, total) in enumerate(zip(live.ids, live.best, live.totals, strict=True))
            if total > -torch.inf
            for token in sorted({*best, *watch.next_ids(ids)})
        ]
        if not pairs:
            return []
        rows, tokens = zip(*pairs, strict=True)
        gains = live.log_probabilities[list(rows), list(tokens)].tolist()
        room = live.limit - len(live.ids[0]) - 1
        found = []
        for (parent, token), gain in zip(pairs, gains, strict=True):
            if gain == -torch.inf:
                continue
            ids = live.ids[parent] if token == self._eos_id else [*live.ids[parent], token]
            left = watch.left(ids)
            if not (left and token == self._eos_id):
                total = live.totals[parent] + gain
                if live.attention is not None:
                    total += misplacement(watch, ids, live.attention[parent])
                found.append(Choice(parent, token, gain, total, left))
        in_time = [choice for choice in found if choice.left <= room]
        return sorted(in_time or found, key=lambda choice: choice.rank)

    def _allocated(self, candidates: Sequence[Choice], *, width: int) -> list[Choice]:
        """Say of each candidate what becomes of it; they come sorted."""
        banks: dict[int, list[Choice]] = {}
        for choice in candidates:
            if choice.token != self._eos_id:
                banks.setdefault(choice.left, []).append(choice)
        kept = {choice.rank for choice in _in_turns([banks[left] for left in sorted(banks)], width)}
        complete = [choice for choice in candidates if not choice.left]
        early = {choice.rank for choice in complete[: self._beam_size]}
        return [
            replace(
                choice,
                finishes=choice.token == self._eos_id and choice.rank in early,
                is_late_end=choice.token == self._eos_id and choice.rank not in early,
                continues=choice.rank in kept,
            )
            for choice in candidates
        ]


def _in_turns(banks: Sequence[Sequence[Choice]], width: int) -> list[Choice]:
    """Take the best of each bank, then the second best of each, until there are ``width``."""
    longest = max(map(len, banks), default=0)
    ordered = [bank[turn] for turn in range(longest) for bank in banks if turn < len(bank)]
    return ordered[:width]


def _dearest(watch: Watch, live: Live) -> Demand:
    """Return the demand with the most pieces that the best row has not met; of a met one there is nothing to save."""
    unmet = watch.unmet(watch.pen.visible(watch.pen.text_of(live.ids[0])))
    return max(unmet or watch.demands, key=lambda demand: demand.cost)
