"""Constrained search against brute force, on a model whose alphabet is a, b and the space."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from pellucid.config import LengthPenalty, SpecialIds
from pellucid.text.normalisation import Normaliser
from pellucid.text.subword import Side, Tokenizer
from pellucid.text.vocabulary import Vocabulary
from pellucid.translation.beam import StopRule, beam_search
from pellucid.translation.constraints import Constraints
from pellucid.translation.hypothesis import Hypothesis, make_hypothesis
from pellucid.translation.terms.glossary import Term
from pellucid.translation.terms.watch import Pen, Watch

from .markov import EOS, MarkovStepper, free, random_table, settings

# "ab" can be written with one piece or with two; the segmenter knows bytes alone.
PIECES = ("<0x20>", "<0x61>", "<0x62>", "ab")
VOCABULARY = Vocabulary.build(PIECES, specials=SpecialIds(pad=2, unk=1, bos=2, eos=EOS))
_SIDE = Side(Normaliser(), None, VOCABULARY)
TOKENIZER = Tokenizer(_SIDE, _SIDE)
LETTERS = tuple(VOCABULARY.ids[piece] for piece in PIECES)
MAX_LENGTH = 5
SOURCES = [[3, EOS], [1, EOS], [6, 2, EOS]]


def table(seed: int) -> Tensor:
    """Return a random table in which specials other than the end never come."""
    found = random_table(101, len(VOCABULARY), seed=seed)
    found[:, [1, 2]] = -math.inf
    return torch.log_softmax(found, dim=1)


def watch_of(*terms: Term) -> Watch:
    watch = Watch.of(terms, Pen(TOKENIZER))
    assert watch is not None
    return watch


def text_of(ids: tuple[int, ...]) -> str:
    return TOKENIZER.decode_target([ids])[0]


def every_translation() -> Iterator[tuple[int, ...]]:
    waiting: list[tuple[int, ...]] = [()]
    while waiting:
        ids = waiting.pop()
        if len(ids) < MAX_LENGTH:
            yield (*ids, EOS)
            waiting += [(*ids, letter) for letter in LETTERS]


def truth(stepper: MarkovStepper, source: list[int], watch: Watch, *, form: LengthPenalty) -> list[Hypothesis]:
    found = []
    for ids in every_translation():
        keeps = not watch.broken(text_of(ids))
        bans = any(watch.violations(text_of(ids[:end]), is_over=False) for end in range(len(ids)))
        if keeps and not bans:
            terms = stepper.log_probabilities(source, ids)
            found.append(make_hypothesis(ids, terms, is_finished=True, form=form, alpha=1.0))
    return sorted(found, key=lambda hypothesis: -hypothesis.score)


@pytest.mark.parametrize("form", ["none", "average"])
@pytest.mark.parametrize(
    "terms",
    [
        [Term("x", "ab")],
        [Term("x", "a b")],
        [Term("x", ["bb", "ba"])],
        [Term("x", "a"), Term("y", "b")],
        [Term("x", "ab"), Term("y", "a")],
        [Term("x", "b a"), Term("y", "b")],
        [Term("x", avoid="a")],
        [Term("x", avoid=["ab", "b"])],
        [Term("x", "b"), Term("y", avoid="a")],
        [Term("x", "a b"), Term("y", avoid="a")],
    ],
    ids=lambda terms: ", ".join(map(str, terms)),
)
def test_a_wide_beam_finds_the_best_translations_that_keep_to_the_terms(terms: list[Term], form: str) -> None:
    watch = watch_of(*terms)
    stepper = MarkovStepper(table(1))
    config = settings(MAX_LENGTH, beam_size=5000, n_best=7, length_penalty=form, alpha=1.0)
    (found,) = beam_search(
        stepper, SOURCES[:1], config=config, constraints=free(), stop=StopRule.EXACT, watches=[watch]
    )
    best = truth(stepper, SOURCES[0], watch, form=LengthPenalty(form))[:7]
    finished = [hypothesis for hypothesis in found if hypothesis.is_finished]
    assert [h.ids for h in finished] == [h.ids for h in best]
    assert [h.score for h in finished] == pytest.approx([h.score for h in best], abs=1e-12)


@pytest.mark.parametrize("stop", StopRule)
@pytest.mark.parametrize("beam_size", [1, 2, 5])
def test_every_term_is_met_with_any_beam(beam_size: int, stop: StopRule) -> None:
    watch = watch_of(Term("x", "bab"), Term("y", "ab b"), Term("z", ["aa", "bb"]))
    for seed in range(7):
        config = settings(19, beam_size=beam_size, n_best=beam_size, length_penalty="average")
        for found in beam_search(
            MarkovStepper(table(seed)), SOURCES, config=config, constraints=free(), stop=stop, watches=[watch] * 3
        ):
            assert all(not watch.broken(text_of(hypothesis.ids)) for hypothesis in found)


def test_terms_that_just_fit_are_met() -> None:
    watch = watch_of(Term("x", "ba"), Term("y", "bb"))
    for seed in range(7):
        config = settings(len("ba bb"), beam_size=3)
        for (best,) in beam_search(
            MarkovStepper(table(seed)), SOURCES, config=config, constraints=free(), watches=[watch] * 3
        ):
            assert text_of(best.ids) in {"ba bb", "bb ba"}


def test_terms_that_do_not_fit_are_given_up_the_dearest_first() -> None:
    watch = watch_of(Term("x", "bbbbbbbb"), Term("y", "ba"))
    config = settings(7, beam_size=3)
    for (best,) in beam_search(
        MarkovStepper(table(1)), SOURCES, config=config, constraints=free(), watches=[watch] * 3
    ):
        assert watch.broken(text_of(best.ids)) == ["'bbbbbbbb' is missing, for 'x'"]


def test_terms_of_one_sentence_change_no_other() -> None:
    watch = watch_of(Term("x", "ab a"), Term("y", avoid="b"))
    stepper = MarkovStepper(table(3))
    config = settings(17, beam_size=4, n_best=4, length_penalty="average")
    alone = beam_search(stepper, SOURCES, config=config, constraints=free())
    mixed = beam_search(stepper, SOURCES, config=config, constraints=free(), watches=[None, watch, None])
    (constrained,) = beam_search(stepper, SOURCES[1:2], config=config, constraints=free(), watches=[watch])
    assert mixed == [alone[0], constrained, alone[2]]


def test_a_term_whose_pieces_are_forbidden_is_given_up() -> None:
    watch = watch_of(Term("x", "bbb"))
    constraints = Constraints(eos_id=EOS, no_repeat_ngram_size=1)
    config = settings(9, beam_size=3)
    for (best,) in beam_search(
        MarkovStepper(table(4)), SOURCES, config=config, constraints=constraints, watches=[watch] * 3
    ):
        assert best.ids
        assert watch.broken(text_of(best.ids))
