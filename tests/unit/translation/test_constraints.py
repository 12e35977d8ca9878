from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from pellucid.config import SpecialIds, TranslationConfig
from pellucid.errors import ConfigError
from pellucid.text.tokenizer import BytesTokenizer
from pellucid.translation.beam import beam_search
from pellucid.translation.constraints import Constraints, constraints_for, max_length_of
from pellucid.translation.greedy import greedy_search
from pellucid.translation.sampling import sample

from .markov import EOS, MarkovStepper, brute_force, free, random_table, settings

STEPPER = MarkovStepper(random_table(101, 5, seed=23, sharpness=0.8))
SOURCES = [[3, EOS], [1, EOS], [6, 2, EOS]]


def repeats_an_ngram(ids: tuple[int, ...], size: int) -> bool:
    grams = [ids[start : start + size] for start in range(len(ids) - size + 1)]
    return len(set(grams)) < len(grams)


def exhaustive(constraints: Constraints, allowed: Callable[[tuple[int, ...]], bool], *, max_length: int = 5) -> None:
    """A beam that is never full finds exactly what the rule, said in another way, allows."""
    config = settings(max_length, beam_size=1300, n_best=1300)
    for source, found in zip(
        SOURCES, beam_search(STEPPER, SOURCES, config=config, constraints=constraints), strict=True
    ):
        truth = brute_force(STEPPER, source, max_length=max_length, allowed=allowed)
        assert [h.ids for h in found] == [h.ids for h in truth[:1300]]


def test_prefix_is_forced_and_scored() -> None:
    exhaustive(free(prefix=(4, 2)), lambda ids: ids[:2] == (4, 2))


def test_banned_tokens_never_come() -> None:
    exhaustive(free(forbidden_ids=(1, 3)), lambda ids: not {1, 3} & set(ids))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_ngrams_are_not_repeated(size: int) -> None:
    def allowed(ids: tuple[int, ...]) -> bool:
        return not repeats_an_ngram(ids, size)

    exhaustive(free(no_repeat_ngram_size=size), allowed)


def test_constraints_compose() -> None:
    rules = free(prefix=(3, 3), forbidden_ids=(3,), min_length=3, no_repeat_ngram_size=2)

    def allowed(ids: tuple[int, ...]) -> bool:
        rest_is_free = ids[:2] == (3, 3) and 3 not in ids[2:]
        return rest_is_free and EOS not in ids[:3] and not repeats_an_ngram(ids, 2)

    exhaustive(rules, allowed)


def test_the_prefix_is_stronger_than_a_ban_and_counts_for_ngrams() -> None:
    rules = free(prefix=(4, 4, 4), forbidden_ids=(4,), no_repeat_ngram_size=1)
    for (hypothesis,) in greedy_search(STEPPER, SOURCES, config=settings(9), constraints=rules):
        assert hypothesis.ids[:3] == (4, 4, 4)
        assert 4 not in hypothesis.ids[3:]


@pytest.mark.parametrize("search", [beam_search, greedy_search, sample])
def test_the_end_comes_early_rather_than_a_repetition(search: Callable[..., list[list[Any]]]) -> None:
    # Four pieces, none twice, and at least six wanted: after the fourth only the end is left.
    changes = {"sampling": True} if search is sample else {"beam_size": 3}
    rules = free(no_repeat_ngram_size=1, min_length=6)
    for (hypothesis,) in search(STEPPER, SOURCES, config=settings(17, **changes), constraints=rules):
        assert sorted(hypothesis.ids[:-1]) == [1, 2, 3, 4]
        assert hypothesis.ids[-1] == EOS
        assert hypothesis.is_finished


def test_everything_banned_ends_at_once() -> None:
    rules = free(forbidden_ids=(1, 2, 3, 4), min_length=3)
    for (hypothesis,) in beam_search(STEPPER, SOURCES, config=settings(7, beam_size=2), constraints=rules):
        assert hypothesis.ids == (EOS,)


def test_an_impossible_prefix_gives_an_unfinished_nothing() -> None:
    table = random_table(7, 5, seed=1)
    table[:, 2] = -math.inf
    for search in (beam_search, greedy_search):
        ((hypothesis,),) = search(
            MarkovStepper(table), [[3]], config=settings(7, beam_size=2), constraints=free(prefix=(1, 2))
        )
        assert (hypothesis.ids, hypothesis.is_finished) == ((1,), False)


def test_maximum_length_counts_the_end_and_is_never_passed() -> None:
    table = torch.tensor([1e-6, 0.3, 0.3, 0.4 - 1e-6], dtype=torch.float64).log().expand(7, 4)
    for search in (beam_search, greedy_search):
        results = search(MarkovStepper(table), SOURCES, config=settings(5, beam_size=3), constraints=free())
        for hypotheses in results:
            assert [(len(h.ids), h.is_finished) for h in hypotheses] == [(5, False)]


def test_maximum_length_by_sentence() -> None:
    config = TranslationConfig(max_length_factor=1.5, max_length_constant=2)
    assert max_length_of(7, config=config, stepper_max_length=100) == 12
    assert max_length_of(7, config=config, stepper_max_length=11) == 11
    table = torch.tensor([1e-9, 1 - 1e-9], dtype=torch.float64).log().expand(7, 2)
    sources = [[1, EOS], [1, 1, 1, EOS], [1, 1, EOS]]
    results = greedy_search(MarkovStepper(table), sources, config=config, constraints=free())
    assert [(len(h.ids), h.is_finished) for (h,) in results] == [(5, False), (8, False), (6, False)]


def test_the_end_can_be_neither_forbidden_nor_forced() -> None:
    with pytest.raises(ValueError, match="end of sentence"):
        free(forbidden_ids=(EOS,))
    with pytest.raises(ValueError, match="end of sentence"):
        free(prefix=(1, EOS))


class TestFromSettings:
    tokenizer = BytesTokenizer()

    def test_padding_and_start_are_forbidden_and_unknown_is_not(self) -> None:
        specials = self.tokenizer.specials
        rules = constraints_for(TranslationConfig(), self.tokenizer)
        assert rules.forbidden_ids == tuple(sorted({specials.pad, specials.bos}))
        assert specials.unk not in rules.forbidden_ids

    def test_a_start_that_is_also_the_end_may_come(self) -> None:
        tokenizer = BytesTokenizer(specials=SpecialIds(pad=7, unk=1, bos=0, eos=0))
        assert constraints_for(TranslationConfig(), tokenizer).forbidden_ids == (7,)

    def test_pieces_become_ids(self) -> None:
        config = TranslationConfig(banned_tokens=("<unk>", "<0x41>"))
        rules = constraints_for(config, self.tokenizer)
        assert self.tokenizer.specials.unk in rules.forbidden_ids
        assert self.tokenizer.target_id("<0x41>") in rules.forbidden_ids

    def test_what_is_no_piece_is_told_with_its_pieces(self) -> None:
        with pytest.raises(ConfigError, match=r"'AB' is no piece .* '<0x41>', '<0x42>'"):
            constraints_for(TranslationConfig(banned_tokens=("AB",)), self.tokenizer)

    def test_the_end_is_not_banned(self) -> None:
        with pytest.raises(ConfigError, match="min_length"):
            constraints_for(TranslationConfig(banned_tokens=("</s>",)), self.tokenizer)
