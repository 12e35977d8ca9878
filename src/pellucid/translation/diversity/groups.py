"""Diverse beam search: the beam in groups of equal size that take turns in each step.

A group pays the penalty for a token once for each row of the groups before it that has just taken this token (the
Hamming diversity of the paper). What it paid decides which of its rows go on; the scores of its hypotheses are the
model's. The first group pays nothing: it is beam search with the beam of a group.

The n best are taken from the groups in turns, the best of each group first, and then sorted by score: so ``n_best``
groups give a translation each. Vijayakumar et al. 2018, "Diverse Beam Search for Improved Description of Complex
Scenes", section 3. ``beam.py`` calls this.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pellucid.config import TranslationConfig
from pellucid.translation.constraints import Constraints
from pellucid.translation.hypothesis import Hypothesis

if TYPE_CHECKING:
    from pellucid.translation.candidates import Candidates

__all__ = ["Groups"]


@dataclass
class Groups:
    """A search in which each sentence stands once for each group; sentence ``i`` is of group ``i % count``."""

    count: int
    penalty: float
    n_best: int
    source_ids: list[Sequence[int]]
    config: TranslationConfig
    """Of one group."""
    constraints: Constraints
    _taken: Tensor = field(default_factory=lambda: torch.empty(0))
    """[sentences, vocab]: how many rows took each token in this step."""

    @staticmethod
    def of(config: TranslationConfig, source_ids: Sequence[Sequence[int]], constraints: Constraints) -> Groups | None:
        """Return the groups that a configuration asks for, or None for a single one."""
        count = config.num_beam_groups
        if count == 1:
            return None
        size = config.beam_size // count
        prefixes = constraints.prefixes
        if len(prefixes) > 1:
            prefixes = tuple(prefix for prefix in prefixes for _ in range(count))
        return Groups(
            count,
            config.diversity_penalty,
            config.n_best,
            [ids for ids in source_ids for _ in range(count)],
            config.model_copy(update={"beam_size": size, "n_best": min(size, config.n_best)}),
            replace(constraints, prefixes=prefixes),
        )

    def turns(self, sentences: Tensor, *, vocab_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield for each group in turn the places of its live sentences, and what each token costs [places, vocab].

        Args:
            sentences: the numbers of the live ones.
            vocab_size: number of tokens.
        """
        self._taken = torch.zeros((len(self.source_ids) // self.count, vocab_size), device=sentences.device)
        for group in range(self.count):
            places = (sentences % self.count == group).nonzero().flatten()
            if places.numel():
                yield places, self.penalty * self._taken[sentences[places] // self.count]

    def take_note(self, sentences: Tensor, candidates: Candidates) -> None:
        """Count the tokens that the rows of a group have taken."""
        rows, columns = candidates.continues.nonzero(as_tuple=True)
        which = sentences[rows] // self.count, candidates.tokens[rows, columns]
        self._taken.index_put_(which, torch.ones(len(rows), device=self._taken.device), accumulate=True)

    def merged(
        self, found: Sequence[Sequence[Hypothesis]], key_of: Callable[[Sequence[int]], Hashable] | None
    ) -> list[list[Hypothesis]]:
        """Return the n best of each sentence out of those of its groups, each key once."""
        result = []
        for start in range(0, len(found), self.count):
            in_turns = zip_longest(*found[start : start + self.count])
            ordered = [one for turn in in_turns for one in turn if one is not None]
            first: dict[Hashable, Hypothesis] = {}
            for one in ordered:
                first.setdefault(one.ids if key_of is None else key_of(one.ids), one)
            chosen = [*first.values()][: self.n_best]
            result.append(sorted(chosen, key=lambda one: (not one.is_finished, -one.score)))
        return result
