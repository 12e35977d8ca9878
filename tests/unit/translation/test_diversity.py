"""Diverse beam search against a plain rewriting of the paper's algorithm, and what follows from its rule."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import pytest

from pellucid.config import TranslationConfig
from pellucid.config.tables import validated
from pellucid.errors import ConfigError, RequestError
from pellucid.translation.beam import beam_search
from pellucid.translation.hypothesis import Hypothesis
from pellucid.translation.terms.glossary import Term
from pellucid.translation.translator import Translator

from .markov import EOS, MarkovStepper, free, random_table, settings
from .shouting import TOKENIZER, ShoutingStepper

Rows = list[tuple[float, tuple[int, ...]]]


def by_the_paper(
    stepper: MarkovStepper, source: Sequence[int], *, size: int, groups: int, penalty: float, longest: int
) -> list[set[tuple[int, ...]]]:
    """Return the finished hypotheses of each group: rows and sums in lists, a group after the other in each step."""
    live: list[Rows] = [[(0.0, ())] for _ in range(groups)]
    ended: list[set[tuple[int, ...]]] = [set() for _ in range(groups)]
    for step in range(longest):
        taken: Counter[int] = Counter()
        for group in range(groups):
            if len(ended[group]) >= size:
                continue
            ways = []
            for number, (total, ids) in enumerate(live[group]):
                table = stepper.table[state_after(stepper, source, ids)].tolist()
                ways += [(-(total + p - penalty * taken[w]), number, w) for w, p in enumerate(table) if p > -math.inf]
            ways = sorted(ways)[: 2 * size]
            ended[group] |= {(*live[group][n][1], w) for _, n, w in ways[:size] if w == EOS}
            going = [(-cost, (*live[group][n][1], w)) for cost, n, w in ways if w != EOS][:size]
            live[group] = going
            taken.update(ids[-1] for _, ids in going)
            if step == longest - 1:
                ended[group] |= {ids for _, ids in going}
    return ended


def state_after(stepper: MarkovStepper, source: Sequence[int], ids: Sequence[int]) -> int:
    state = source[0] % len(stepper.table)
    for token in ids:
        state = stepper.after(state, token)
    return state


def found_by(stepper: MarkovStepper, sources: list[list[int]], **changes: object) -> list[list[Hypothesis]]:
    return beam_search(stepper, sources, config=settings(6, **changes), constraints=free())


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("size", "groups", "penalty"), [(2, 3, 0.7), (1, 4, 5.0), (3, 2, 0.2)])
def test_groups_find_what_the_paper_finds(seed: int, size: int, groups: int, penalty: float) -> None:
    stepper = MarkovStepper(random_table(11, 7, seed=seed))
    sources = [[1], [5, 2], [9, 3, 4]]
    beam = size * groups
    found = found_by(stepper, sources, beam_size=beam, n_best=beam, num_beam_groups=groups, diversity_penalty=penalty)
    for source, hypotheses in zip(sources, found, strict=True):
        wanted = by_the_paper(stepper, source, size=size, groups=groups, penalty=penalty, longest=6)
        assert {h.ids for h in hypotheses} <= set().union(*wanted)
        for group in wanted:
            finished = {ids for ids in group if ids[-1] == EOS}
            assert len(finished) > size or finished <= {h.ids for h in hypotheses}
        for one in hypotheses:
            terms = stepper.log_probabilities(source, one.ids)
            assert one.token_log_probabilities == pytest.approx(terms)
            assert one.log_probability == pytest.approx(math.fsum(terms))


def test_the_first_group_is_beam_search() -> None:
    stepper = MarkovStepper(random_table(13, 9, seed=3))
    plain = found_by(stepper, [[1], [2], [7]], beam_size=3, n_best=1)
    diverse = found_by(stepper, [[1], [2], [7]], beam_size=9, n_best=9, num_beam_groups=3, diversity_penalty=2.0)
    for (best,), others in zip(plain, diverse, strict=True):
        assert best.ids in {one.ids for one in others}
        assert others == sorted(others, key=lambda one: (not one.is_finished, -one.score))


def test_a_great_penalty_makes_the_first_tokens_differ() -> None:
    stepper = MarkovStepper(random_table(13, 9, seed=5))
    (found,) = found_by(stepper, [[1]], beam_size=4, n_best=4, num_beam_groups=4, diversity_penalty=1000.0)
    assert len({one.ids[0] for one in found}) == len(found) == 4


def test_a_sentence_alone_is_as_in_a_batch() -> None:
    stepper = MarkovStepper(random_table(13, 9, seed=6))
    how: dict[str, object] = {"beam_size": 6, "n_best": 3, "num_beam_groups": 3, "diversity_penalty": 1.5}
    together = found_by(stepper, [[1], [2], [7]], **how)
    assert together == [found_by(stepper, [source], **how)[0] for source in ([1], [2], [7])]


def test_each_group_gives_a_translation() -> None:
    shouter = Translator(ShoutingStepper, TOKENIZER, source_language="en")
    how: dict[str, object] = {"beam_size": 6, "n_best": 3, "target_prefix": "O"}
    diverse = shouter.translate(["ox", "owl"], num_beam_groups=3, diversity_penalty=4.0, **how)
    assert diverse[0].text == "OX"
    for one in diverse:
        assert len({h.text for h in one.alternatives}) == 3
        assert all(h.text.startswith("O") for h in one.alternatives)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"num_beam_groups": 2}, "does not divide beam_size = 5"),
        ({"num_beam_groups": 2, "sampling": True}, "sampling = true"),
        ({"diversity_penalty": 2.0}, "needs num_beam_groups"),
    ],
)
def test_settings_that_do_not_go_together(given: dict[str, object], error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        validated(TranslationConfig, given, place="translation")


def test_groups_do_not_follow_terms() -> None:
    shouter = Translator(ShoutingStepper, TOKENIZER)
    with pytest.raises(RequestError, match="num_beam_groups = 2 cannot follow terms"):
        shouter.translate("ox", terms=[Term("ox", "OX")], beam_size=4, num_beam_groups=2)
