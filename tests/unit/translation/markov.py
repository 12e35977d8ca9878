"""A hand-made model for the tests of search: a finite automaton whose states have next-token tables.

The state takes in every token, so a row that was reordered wrongly goes on with visibly wrong numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from pellucid.config import LengthPenalty, TranslationConfig
from pellucid.translation.constraints import Constraints
from pellucid.translation.hypothesis import Hypothesis, make_hypothesis
from pellucid.translation.prefixes import Prefix

EOS = 0
EXACT_MAX_LENGTH = 1e-9  # a factor that adds nothing to max_length_constant


class MarkovStepper:
    """State 0 ... states - 1; a sentence begins in the state of its first id."""

    def __init__(self, table: Tensor, *, eos_id: int = EOS, max_length: int = 1000) -> None:
        self.table = table  # [states, vocab] log-probabilities
        self.vocab_size = table.shape[1]
        self.eos_id = eos_id
        self.max_length = max_length
        self.states = torch.empty(0, dtype=torch.long)
        self.num_selects = 0

    def start(self, source_ids: Sequence[Sequence[int]]) -> None:
        self.states = torch.tensor([ids[0] % len(self.table) for ids in source_ids])

    def after(self, state: int, token: int) -> int:
        return (5 * state + 3 * token + 1) % len(self.table)

    def step(self, last_ids: Tensor | None) -> Tensor:
        if last_ids is not None:
            assert last_ids.shape == self.states.shape
            self.states = (5 * self.states + 3 * last_ids + 1) % len(self.table)
        return self.table[self.states]

    def select(self, rows: Tensor) -> None:
        self.num_selects += 1
        self.states = self.states[rows]

    def log_probabilities(self, source: Sequence[int], ids: Sequence[int]) -> list[float]:
        state, terms = source[0] % len(self.table), []
        for token in ids:
            terms.append(float(self.table[state, token]))
            state = self.after(state, token)
        return terms


def random_table(states: int, vocab: int, *, seed: int, sharpness: float = 1.5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.log_softmax(sharpness * torch.randn(states, vocab, generator=generator, dtype=torch.float64), dim=1)


def settings(max_length: int, **changes: object) -> TranslationConfig:
    """A configuration with a maximum length of just so many tokens, whatever the source."""
    table = {"max_length_factor": EXACT_MAX_LENGTH, "max_length_constant": max_length, "length_penalty": "none"}
    return TranslationConfig.model_validate(table | changes)


def free(prefix: tuple[int, ...] = (), **rules: object) -> Constraints:
    return Constraints(eos_id=EOS, prefixes=(Prefix(prefix),) if prefix else (), **rules)  # type: ignore[arg-type]


def every_sequence(vocab: int, max_length: int) -> Iterator[tuple[int, ...]]:
    """Every sequence that ends with its first end of sentence or at the maximum length."""
    waiting: list[tuple[int, ...]] = [()]
    while waiting:
        ids = waiting.pop()
        if ids and (ids[-1] == EOS or len(ids) == max_length):
            yield ids
        else:
            waiting += [(*ids, token) for token in range(vocab)]


def brute_force(
    stepper: MarkovStepper,
    source: Sequence[int],
    *,
    max_length: int,
    form: LengthPenalty = LengthPenalty.NONE,
    alpha: float = 1.0,
    allowed: Callable[[tuple[int, ...]], bool] = lambda ids: True,
) -> list[Hypothesis]:
    """Every finished hypothesis that can come and is allowed, the best first; then the unfinished ones."""
    found = []
    for ids in every_sequence(stepper.vocab_size, max_length):
        terms = stepper.log_probabilities(source, ids)
        if min(terms) > -math.inf and allowed(ids):
            found.append(make_hypothesis(ids, terms, is_finished=ids[-1] == EOS, form=form, alpha=alpha))
    return sorted(found, key=lambda h: (not h.is_finished, -h.score))
