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
ones in the results, each sorted by score; the earlier found first where scores are equal.

Several hypotheses may spell one text. Where a caller says which are the same (``key_of``), the best of
them is kept, and what else the search sees fills the list up, in the order of scores: the ends that rule 3 drops, and,
if these are too few, what a search that rule ``full`` would end comes to before the maximum length. Neither may come
before the best hypothesis of the search itself, which is the same whatever ``n_best`` is.

The candidates of a sentence that has terms are chosen by ``terms/banks.py``; a beam in groups that avoid each other's
tokens is ``diversity/groups.py``. Read ``scoring.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from enum import StrEnum
from functools import partial

import torch
from torch import Tensor

from pellucid.config import TranslationConfig
from pellucid.translation.candidates import Candidates, best_of_rows
from pellucid.translation.constraints import Constraints, max_length_of
from pellucid.translation.diversity.groups import Groups
from pellucid.translation.found import Found
from pellucid.translation.hypothesis import Hypothesis, length_divisor, make_hypothesis
from pellucid.translation.observer import BeamObserver, Expansion, Fate, LiveRow
from pellucid.translation.stepper import AttentiveStepper, Stepper
from pellucid.translation.terms.banks import Banks, Choice, Live
from pellucid.translation.terms.watch import Watch

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
    key_of: Callable[[Sequence[int]], Hashable] | None = None,
    watches: Sequence[Watch | None] = (),
) -> list[list[Hypothesis]]:
    """Search the ``n_best`` best hypotheses of each sentence.

    Args:
        stepper: the model.
        source_ids: of each sentence, with its end.
        config: of the search.
        constraints: of what may come.
        stop: when a sentence has been searched enough.
        observer: sees every expansion.
        key_of: of a hypothesis; those with equal keys count as one. None: all differ.
        watches: the terms of each sentence, or none for all; ``terms/banks.py`` has the rules of their search.

    Returns:
        For every sentence at least one hypothesis, at most ``n_best``, the best first.

    Raises:
        RequestError: the stepper returns NaN.
    """
    groups = Groups.of(config, source_ids, constraints)
    if groups is not None:
        source_ids, config, constraints = groups.source_ids, groups.config, groups.constraints
    with torch.inference_mode():
        search = _Search(
            stepper, source_ids, config=config, constraints=constraints, stop=stop, observer=observer, key_of=key_of
        )
        search.groups = groups
        if any(watch is not None for watch in watches):
            search.banks = Banks(watches, eos_id=stepper.eos_id, beam_size=config.beam_size)
            search.look(None)
        while search.sentences.numel():
            search.advance()
    every = [found.best(config.n_best) for found in search.found]
    return every if groups is None else groups.merged(every, key_of)


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
        key_of: Callable[[Sequence[int]], Hashable] | None,
    ) -> None:
        self.stepper = stepper
        self.config = config
        self.constraints = constraints
        self.stop = stop
        self.observer = observer
        self.fills_up = key_of is not None
        self.banks: Banks | None = None
        self.groups: Groups | None = None
        self.found = [Found(key_of) for _ in source_ids]
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
        self.only_fills_up = torch.zeros(count, dtype=torch.bool, device=device)
        self.sums = torch.zeros((count, 1), dtype=torch.float64, device=device)
        self.history = torch.empty((count, 1, 0), dtype=torch.long, device=device)
        self.gains = torch.empty((count, 1, 0), dtype=self.log_probabilities.dtype, device=device)
        self.attention: Tensor | None = None
        """[sentences, width, steps, source], the present step included; for the places of terms."""

    def advance(self) -> None:
        """Take one step and, where sentences are left, ask the stepper for the next log-probabilities."""
        candidates = self._candidates()
        self._finish(candidates, candidates.finishes, is_finished=True)
        if self.fills_up:
            self._finish(candidates, candidates.late_ends, is_finished=True, is_spare=True)
        at_limit = self.history.shape[2] + 1 >= self.limits
        if at_limit.any():
            self._finish(candidates, candidates.continues & at_limit[:, None], is_finished=False)
        self._keep_rows_without_continuation(candidates)
        if self.observer is not None:
            self._tell(self.observer, candidates, at_limit)
        self._go_on(candidates, at_limit)

    def _candidates(self) -> Candidates:
        count, width = self.sums.shape
        rows = self.history.flatten(0, 1), self.sentences.repeat_interleave(width)
        self.constraints.apply(self.log_probabilities, *rows)
        if self.banks is not None:
            self.banks.ban(self.log_probabilities, *rows)
        found = self._expanded(self.log_probabilities.view(count, width, -1))
        return found if self.banks is None else self._with_terms(self.banks, found)

    def _expanded(self, log_probabilities: Tensor) -> Candidates:
        among = partial(Candidates.among, beam_size=self.config.beam_size, eos_id=self.stepper.eos_id)
        if self.groups is None:
            return among(log_probabilities, self.sums)
        lots: list[Candidates] = []
        order: list[Tensor] = []
        for places, costs in self.groups.turns(self.sentences, vocab_size=log_probabilities.shape[2]):
            lots.append(among(log_probabilities[places], self.sums[places], costs=costs))
            order.append(places)
            self.groups.take_note(self.sentences[places], lots[-1])
        return Candidates.joined(lots, torch.cat(order).argsort())

    def _with_terms(self, banks: Banks, candidates: Candidates) -> Candidates:
        """Return the candidates with those of sentences that have terms chosen by their banks."""
        width = self.sums.shape[1]
        best = best_of_rows(self.log_probabilities, max(self.config.beam_size, 2))[1].tolist()
        chosen: dict[int, list[Choice]] = {}
        for index, sentence in enumerate(self.sentences.tolist()):
            if not banks.has_demands(sentence):
                continue
            rows = slice(index * width, (index + 1) * width)
            live = Live(
                sentence,
                limit=int(self.limits[index]),
                ids=self.history[index].tolist(),
                totals=self._own_sums(index),
                best=best[rows],
                log_probabilities=self.log_probabilities[rows],
                attention=None if self.attention is None else self.attention[index].tolist(),
            )
            if (choices := banks.choose(live)) is not None:
                chosen[index] = choices
        return candidates.with_choices(chosen)

    def _finish(self, candidates: Candidates, which: Tensor, *, is_finished: bool, is_spare: bool = False) -> None:
        rows, columns = which.nonzero(as_tuple=True)
        if not rows.numel():
            return
        parents = candidates.parents[rows, columns]
        ids = torch.cat([self.history[rows, parents], candidates.tokens[rows, columns, None]], dim=1)
        gains = torch.cat([self.gains[rows, parents], candidates.gains[rows, columns, None]], dim=1)
        self._add(rows, parents, ids, gains, is_finished=is_finished, is_spare=is_spare)

    def _keep_rows_without_continuation(self, candidates: Candidates) -> None:
        """Of sentences where no row has any continuation, keep the rows themselves as they are."""
        is_over = candidates.sums[:, 0] == -torch.inf
        if is_over.any():
            rows, columns = (is_over[:, None] & (self.sums > -torch.inf)).nonzero(as_tuple=True)
            self._add(rows, columns, self.history[rows, columns], self.gains[rows, columns], is_finished=False)

    def _add(
        self, rows: Tensor, parents: Tensor, ids: Tensor, gains: Tensor, *, is_finished: bool, is_spare: bool = False
    ) -> None:
        for row, parent, sentence, tokens, terms in zip(
            rows.tolist(), parents.tolist(), self.sentences[rows].tolist(), ids.tolist(), gains.tolist(), strict=True
        ):
            found = self.found[sentence]
            form, alpha = self.config.length_penalty, self.config.alpha
            hypothesis = make_hypothesis(tokens, terms, is_finished=is_finished, form=form, alpha=alpha)
            handicap = 0.0
            if self.banks is not None and self.attention is not None:
                missed = self.banks.misplacement(sentence, tokens, self.attention[row, parent].tolist())
                handicap = missed / self._divisor(len(tokens))
            if is_spare or self.only_fills_up[row]:
                found.add_spare(hypothesis, handicap=handicap)
                continue
            found.add(hypothesis, handicap=handicap)
            self.scores_to_beat[row] = found.score_to_beat(self.config.n_best)
            self.is_full[row] = found.num_finished >= self.config.beam_size

    def _go_on(self, candidates: Candidates, at_limit: Tensor) -> None:
        width = int(candidates.continues.sum(dim=1).max())
        # The continuing candidates to the front, in order; the places after them have minus infinity.
        places = (~candidates.continues).to(torch.uint8).argsort(dim=1, stable=True)[:, :width]
        sums = candidates.sums.gather(1, places)
        sums = torch.where(candidates.continues.gather(1, places), sums, -torch.inf)
        is_over = at_limit | self._cannot_win(sums)
        if self.banks is not None:
            self._look_for_leaders(self.banks, sums)
        if self.stop is StopRule.FULL:
            is_over |= self.is_full & self._has_enough()
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
        if self.stop is StopRule.FULL:
            self.only_fills_up = self.is_full.clone()  # as it is before the next step, which may fill a sentence
        if kept.numel():
            rows = (kept[:, None] * old_width + parents).flatten()
            if rows.numel() != num_rows or not torch.equal(rows, torch.arange(num_rows, device=rows.device)):
                self.stepper.select(rows)
            self.log_probabilities = self.stepper.step(tokens.flatten())
            if self.banks is not None:
                self.look(kept, parents)

    def look(self, kept: Tensor | None, parents: Tensor | None = None) -> None:
        """Keep the attention of the present step, behind that of the kept rows."""
        now = self.stepper.attention() if isinstance(self.stepper, AttentiveStepper) else None
        if now is None:
            return
        now = now.view(*self.sums.shape, 1, -1)
        if kept is not None and parents is not None and self.attention is not None:
            now = torch.cat([self.attention[kept[:, None], parents], now], dim=2)
        self.attention = now

    def _own_sums(self, index: int) -> list[float]:
        """Return the summed log-probabilities of a sentence's rows, without what the search adds to them."""
        sums = self.gains[index].double().sum(dim=-1)
        return torch.where(self.sums[index] > -torch.inf, sums, -torch.inf).tolist()

    def _look_for_leaders(self, banks: Banks, sums: Tensor) -> None:
        """Call a sentence with terms full only where no live row, as it is, scores better than what has finished.

        Rows that write a term too early finish early, before those that write it in its place.
        """
        if not sums.shape[1]:
            return
        leads = sums.amax(dim=1) / self._divisor(self.history.shape[2] + 1) > self.scores_to_beat
        for index, sentence in enumerate(self.sentences.tolist()):
            if banks.has_demands(sentence):
                self.is_full[index] = self.found[sentence].num_finished >= self.config.beam_size and not leads[index]

    def _has_enough(self) -> Tensor:
        """Tell of each sentence whether ``n_best`` different hypotheses are there to be returned."""
        if not self.fills_up:
            return torch.ones_like(self.is_full)
        enough = [
            not is_full or self.found[sentence].num_different() >= self.config.n_best
            for sentence, is_full in zip(self.sentences.tolist(), self.is_full.tolist(), strict=True)
        ]
        return torch.tensor(enough, device=self.is_full.device)

    def _cannot_win(self, sums: Tensor) -> Tensor:
        """Tell of each sentence whether the best any live row can come to is no better than what it has."""
        if not sums.shape[1]:
            return torch.ones_like(self.is_full)
        best = sums[:, 0]
        if self.groups is not None:  # whose sums are less than what rows will be scored by
            return best == -torch.inf
        return (best == -torch.inf) | (best / self.largest_divisors <= self.scores_to_beat)

    def _divisor(self, length: int) -> float:
        return length_divisor(length, form=self.config.length_penalty, alpha=self.config.alpha)

    def _tell(self, observer: BeamObserver, candidates: Candidates, at_limit: Tensor) -> None:
        for index, sentence in enumerate(self.sentences.tolist()):
            rows = zip(self.sums[index].tolist(), self.history[index].tolist(), strict=True)
            after = Fate.MAX_LENGTH if at_limit[index] else Fate.LIVE
            observer.expanded(
                Expansion(
                    sentence=sentence,
                    step=self.history.shape[2],
                    rows=tuple(LiveRow(tuple(ids), total) for total, ids in rows if total > -torch.inf),
                    candidates=candidates.seen(index, after=after),
                )
            )
