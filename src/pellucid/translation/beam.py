"""Beam search: the best rows of every sentence grow together, one stepper call a step for all.

A step, for sentences with ``width`` live rows each:

1. The stepper's log-probabilities, after the constraints; from each row the best 2 * beam_size.
2. Of these the best 2 * beam_size of the sentence, by summed log-probability: the candidates. A row has
   one end of sentence, so beam_size of them at least go on.
3. An end of sentence among the best beam_size candidates finishes a hypothesis. (One that is ranked lower
   is dropped, as in fairseq and Hugging Face; beam_size = 1 is greedy search by this rule.)
4. The best beam_size other candidates are the live rows of the next step.
5. Sentences that have to go no further leave; the stepper's rows are selected once.

Equal candidates are ordered by parent row, then by token id. Finished hypotheses come before unfinished
ones in the results, each sorted by score; the earlier found first where scores are equal. Read
``scoring.py`` next.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from pellucid.config import TranslationConfig
from pellucid.translation.candidates import best_of_rows, refuse_not_a_number
from pellucid.translation.constraints import Constraints, max_length_of
from pellucid.translation.hypothesis import Hypothesis, length_divisor, make_hypothesis
from pellucid.translation.observer import BeamObserver, Candidate, Expansion, Fate, LiveRow
from pellucid.translation.stepper import Stepper

__all__ = ["StopRule", "beam_search"]


class StopRule(StrEnum):
    """When a sentence has been searched enough.

    Both stop at the maximum length, when no row is left, and when the live rows cannot win: an upper bound
    of what any of them can come to is the best live sum divided by the length penalty of the maximum length
    (sums only fall, divisors only rise), and that must beat the n-th best finished score.
    ``full`` also stops as soon as beam_size hypotheses have finished: the field's rule (fairseq, CTranslate2,
    Hugging Face with early_stopping=True). ``exact`` does not, so that no better one is missed within the
    beam (Hugging Face with early_stopping="never").
    """

    FULL = "full"
    EXACT = "exact"


def beam_search(
    stepper: Stepper,
    source_ids: Sequence[Sequence[int]],
    *,
    config: TranslationConfig,
    constraints: Constraints,
    stop: StopRule = StopRule.FULL,
    observer: BeamObserver | None = None,
) -> list[list[Hypothesis]]:
    """Search the ``n_best`` best hypotheses of each sentence.

    Returns:
        For every sentence at least one hypothesis, at most ``n_best``, the best first.

    Raises:
        RequestError: the stepper returns NaN.
    """
    with torch.inference_mode():
        search = _Search(stepper, source_ids, config=config, constraints=constraints, stop=stop, observer=observer)
        while search.sentences.numel():
            search.advance()
    return [found.best(config.n_best) for found in search.found]


class _Found:
    """The hypotheses of one sentence so far, sorted as they will be returned."""

    def __init__(self) -> None:
        self._hypotheses: list[Hypothesis] = []
        self.num_finished = 0

    def add(self, hypothesis: Hypothesis) -> None:
        bisect.insort_right(self._hypotheses, hypothesis, key=lambda h: (not h.is_finished, -h.score))
        self.num_finished += hypothesis.is_finished

    def best(self, count: int) -> list[Hypothesis]:
        return self._hypotheses[:count]

    def score_to_beat(self, count: int) -> float:
        return self._hypotheses[count - 1].score if self.num_finished >= count else -torch.inf


@dataclass(frozen=True)
class _Candidates:
    """The candidates of a step, all [sentences, candidates], the best first."""

    parents: Tensor
    tokens: Tensor
    gains: Tensor
    """Log-probability of the token."""
    sums: Tensor
    """float64; minus infinity where there is no such candidate."""
    finishes: Tensor
    continues: Tensor


class _Search:
    """The state of a search: live rows of live sentences, [sentences, width] where not said otherwise."""

    def __init__(
        self,
        stepper: Stepper,
        source_ids: Sequence[Sequence[int]],
        *,
        config: TranslationConfig,
        constraints: Constraints,
        stop: StopRule,
        observer: BeamObserver | None,
    ) -> None:
        self.stepper = stepper
        self.config = config
        self.constraints = constraints
        self.stop = stop
        self.observer = observer
        self.found = [_Found() for _ in source_ids]
        stepper.start(source_ids)
        self.log_probabilities = stepper.step(None)
        device = self.log_probabilities.device
        count = len(source_ids)
        limits = [max_length_of(len(ids), config=config, stepper_max_length=stepper.max_length) for ids in source_ids]
        self.sentences = torch.arange(count, device=device)
        self.limits = torch.tensor(limits, device=device)
        self.largest_divisors = torch.tensor([self._divisor(limit) for limit in limits], device=device).double()
        self.scores_to_beat = torch.full((count,), -torch.inf, device=device).double()
        self.is_full = torch.zeros(count, dtype=torch.bool, device=device)
        self.sums = torch.zeros((count, 1), dtype=torch.float64, device=device)
        self.history = torch.empty((count, 1, 0), dtype=torch.long, device=device)
        self.gains = torch.empty((count, 1, 0), dtype=self.log_probabilities.dtype, device=device)

    def advance(self) -> None:
        """Take one step and, where sentences are left, ask the stepper for the next log-probabilities."""
        candidates = self._candidates()
        self._finish(candidates, candidates.finishes, is_finished=True)
        at_limit = self.history.shape[2] + 1 >= self.limits
        if at_limit.any():
            self._finish(candidates, candidates.continues & at_limit[:, None], is_finished=False)
        self._keep_rows_without_continuation(candidates)
        if self.observer is not None:
            self._tell(self.observer, candidates, at_limit)
        self._go_on(candidates, at_limit)

    def _candidates(self) -> _Candidates:
        beam_size = self.config.beam_size
        count, width = self.sums.shape
        self.constraints.apply(self.log_probabilities, self.history.flatten(0, 1))
        gains, tokens = best_of_rows(self.log_probabilities, 2 * beam_size)
        sums = self.sums[:, :, None] + gains.reshape(count, width, -1)
        sums, places = best_of_rows(sums.flatten(1), 2 * beam_size)
        refuse_not_a_number(sums[:, 0])
        tokens = tokens.reshape(count, -1).gather(1, places)
        is_possible = sums > -torch.inf
        is_end = tokens == self.stepper.eos_id
        continues = is_possible & ~is_end
        finishes = is_possible & is_end
        finishes[:, beam_size:] = False
        return _Candidates(
            parents=places // gains.shape[1],
            tokens=tokens,
            gains=gains.reshape(count, -1).gather(1, places),
            sums=sums,
            finishes=finishes,
            continues=continues & (continues.cumsum(dim=1) <= beam_size),
        )

    def _finish(self, candidates: _Candidates, which: Tensor, *, is_finished: bool) -> None:
        rows, columns = which.nonzero(as_tuple=True)
        if not rows.numel():
            return
        parents = candidates.parents[rows, columns]
        ids = torch.cat([self.history[rows, parents], candidates.tokens[rows, columns, None]], dim=1)
        gains = torch.cat([self.gains[rows, parents], candidates.gains[rows, columns, None]], dim=1)
        self._add(rows, ids, gains, is_finished=is_finished)

    def _keep_rows_without_continuation(self, candidates: _Candidates) -> None:
        """Of sentences where no row has any continuation, keep the rows themselves as they are."""
        is_over = candidates.sums[:, 0] == -torch.inf
        if is_over.any():
            rows, columns = (is_over[:, None] & (self.sums > -torch.inf)).nonzero(as_tuple=True)
            self._add(rows, self.history[rows, columns], self.gains[rows, columns], is_finished=False)

    def _add(self, rows: Tensor, ids: Tensor, gains: Tensor, *, is_finished: bool) -> None:
        for row, sentence, tokens, terms in zip(
            rows.tolist(), self.sentences[rows].tolist(), ids.tolist(), gains.tolist(), strict=True
        ):
            found = self.found[sentence]
            form, alpha = self.config.length_penalty, self.config.alpha
            found.add(make_hypothesis(tokens, terms, is_finished=is_finished, form=form, alpha=alpha))
            self.scores_to_beat[row] = found.score_to_beat(self.config.n_best)
            self.is_full[row] = found.num_finished >= self.config.beam_size

    def _go_on(self, candidates: _Candidates, at_limit: Tensor) -> None:
        width = int(candidates.continues.sum(dim=1).max())
        # The continuing candidates to the front, in order; the places after them have minus infinity.
        places = (~candidates.continues).to(torch.uint8).argsort(dim=1, stable=True)[:, :width]
        sums = candidates.sums.gather(1, places)
        sums = torch.where(candidates.continues.gather(1, places), sums, -torch.inf)
        is_over = at_limit | self._cannot_win(sums)
        if self.stop is StopRule.FULL:
            is_over |= self.is_full
        kept = (~is_over).nonzero().flatten()
        parents = candidates.parents.gather(1, places)[kept]
        tokens = candidates.tokens.gather(1, places)[kept]
        gains = candidates.gains.gather(1, places)[kept]
        old_width = self.sums.shape[1]
        num_rows = self.sums.numel()
        self.sums = sums[kept]
        self.history = torch.cat([self.history[kept[:, None], parents], tokens[:, :, None]], dim=2)
        self.gains = torch.cat([self.gains[kept[:, None], parents], gains[:, :, None]], dim=2)
        if kept.numel() < is_over.numel():
            self.sentences, self.limits = self.sentences[kept], self.limits[kept]
            self.largest_divisors, self.scores_to_beat = self.largest_divisors[kept], self.scores_to_beat[kept]
            self.is_full = self.is_full[kept]
        if kept.numel():
            rows = (kept[:, None] * old_width + parents).flatten()
            if rows.numel() != num_rows or not torch.equal(rows, torch.arange(num_rows, device=rows.device)):
                self.stepper.select(rows)
            self.log_probabilities = self.stepper.step(tokens.flatten())

    def _cannot_win(self, sums: Tensor) -> Tensor:
        """Tell of each sentence whether the best any live row can come to is no better than what it has."""
        if not sums.shape[1]:
            return torch.ones_like(self.is_full)
        best = sums[:, 0]
        return (best == -torch.inf) | (best / self.largest_divisors <= self.scores_to_beat)

    def _divisor(self, length: int) -> float:
        return length_divisor(length, form=self.config.length_penalty, alpha=self.config.alpha)

    def _tell(self, observer: BeamObserver, candidates: _Candidates, at_limit: Tensor) -> None:
        for index, sentence in enumerate(self.sentences.tolist()):
            rows = zip(self.sums[index].tolist(), self.history[index].tolist(), strict=True)
            after = Fate.MAX_LENGTH if at_limit[index] else Fate.LIVE
            observer.expanded(
                Expansion(
                    sentence=sentence,
                    step=self.history.shape[2],
                    rows=tuple(LiveRow(tuple(ids), total) for total, ids in rows if total > -torch.inf),
                    candidates=_told(candidates, index, after=after),
                )
            )


def _told(candidates: _Candidates, index: int, *, after: Fate) -> tuple[Candidate, ...]:
    told: list[Candidate] = []
    next_row = 0
    for place, total in enumerate(candidates.sums[index].tolist()):
        if total == -torch.inf:
            break
        fate, row = Fate.PRUNED, None
        if candidates.finishes[index, place]:
            fate = Fate.FINISHED
        elif candidates.continues[index, place]:
            fate, row, next_row = after, next_row if after is Fate.LIVE else None, next_row + 1
        told.append(
            Candidate(
                parent=int(candidates.parents[index, place]),
                token=int(candidates.tokens[index, place]),
                token_log_probability=float(candidates.gains[index, place]),
                log_probability=total,
                fate=fate,
                row=row,
            )
        )
    return tuple(told)
