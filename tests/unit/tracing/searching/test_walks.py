"""Greedy search and sampling: what could come, what was cut, and what was taken."""

from __future__ import annotations

import math

import pytest
import torch
from tests.unit.translation.markov import EOS, MarkovStepper, free
from tests.unit.translation.markov import settings as settings_of

from pellucid.text.tokenizer import BytesTokenizer
from pellucid.tracing.searching.beam import beam_nodes, ranked
from pellucid.tracing.searching.record import ENDS, Method, Outcome, Stop
from pellucid.tracing.searching.recorder import Recorder
from pellucid.tracing.searching.walks import walk_nodes
from pellucid.translation.beam import beam_search
from pellucid.translation.greedy import greedy_search
from pellucid.translation.translator import Translator

from ..kit import make_model
from .kit import SEARCHES, TEXT, search_tree, translator


@pytest.mark.parametrize("beam", [1, 2])
def test_hypotheses_that_nothing_may_follow_are_the_result(beam: int) -> None:
    """In the states of this automaton that the second piece leads to, no piece is possible."""
    table = torch.full((7, 3), -math.inf, dtype=torch.float64)
    table[2] = torch.log(torch.tensor([0.0, 0.7, 0.3], dtype=torch.float64))  # 1 leads to state 0, 2 to state 3
    table[0, 1] = table[3, 2] = 0.0
    stepper = MarkovStepper(table)
    config = settings_of(9, beam_size=beam)
    recorder = Recorder(lambda: None)
    common = {"config": config, "max_length": 9, "eos_id": EOS, "pieces": lambda ids: [str(i) for i in ids]}
    if beam == 1:
        ((found,),) = greedy_search(stepper, [[2]], config=config, constraints=free(), observer=recorder)
        grown = walk_nodes(recorder.choices, **common)
    else:
        ((found,),) = beam_search(stepper, [[2]], config=config, constraints=free(), observer=recorder)
        grown = beam_nodes(recorder.expansions, vocab_size=3, **common)
    hypotheses, best = ranked(grown.nodes, config, str)
    assert grown.ending.stop is Stop.STUCK
    assert best == found
    assert len(hypotheses) == beam
    assert {grown.nodes[one.node].outcome for one in hypotheses} == {Outcome.STUCK}


@pytest.mark.parametrize("settings", [one for one in SEARCHES if one.get("sampling")], ids=str)
def test_the_distribution_of_a_draw_is_narrowed_by_the_rules(settings: dict[str, object]) -> None:
    own = translator()
    tree = search_tree(own, TEXT, **settings)
    config = tree.provenance.search
    assert config is not None
    assert tree.method is Method.SAMPLING
    for step in tree.steps:
        nodes = tree.nodes[step.first : step.first + step.count]
        assert step.num_others == 0  # so few words that all are listed
        whole = math.fsum(math.exp(node.log_probability) for node in nodes)
        assert step.excluded_log_probability is not None
        assert whole + math.exp(step.excluded_log_probability) == pytest.approx(1, abs=1e-9)
        expected = narrowed_by_hand(
            [node.log_probability for node in nodes], config.temperature, config.top_k, config.top_p
        )
        for node, wanted in zip(nodes, expected, strict=True):
            assert node.narrowed is not None
            assert math.exp(node.narrowed) == pytest.approx(wanted, abs=1e-10)
            if wanted:
                assert node.outcome in (Outcome.NOT_DRAWN, Outcome.KEPT, Outcome.FINISHED, Outcome.MAX_LENGTH)
            elif config.top_k and node.place >= config.top_k:
                assert node.outcome is Outcome.CUT_TOP_K
            else:
                assert node.outcome is Outcome.CUT_TOP_P
        (drawn,) = (node for node in nodes if node.outcome in (Outcome.KEPT, *ENDS))
        assert drawn.narrowed is not None
        assert drawn.narrowed > -math.inf
        assert step.uniform is not None
        # The inverse of the distribution function: in the order of ids, or of ranks where something is cut.
        by_rank = bool(config.top_k or config.top_p < 1)
        order = sorted(nodes, key=lambda node: node.place if by_rank else node.token)
        below = math.fsum(math.exp(n.narrowed or 0.0) for n in order[: order.index(drawn)] if n.narrowed is not None)
        assert below <= step.uniform + 1e-9
        assert step.uniform < below + math.exp(drawn.narrowed) + 1e-9


def narrowed_by_hand(log_probabilities: list[float], temperature: float, top_k: int, top_p: float) -> list[float]:
    heated = [math.exp(value / temperature) for value in log_probabilities]  # the most probable first
    kept = [value if not top_k or place < top_k else 0.0 for place, value in enumerate(heated)]
    kept = [value / math.fsum(kept) for value in kept]
    found, reached = [], 0.0
    for value in kept:
        found.append(value if reached < top_p else 0.0)
        reached += value
    return [value / math.fsum(found) for value in found]


def test_greedy_search_shows_the_whole_distribution() -> None:
    tree = search_tree(translator(), TEXT, beam_size=1)
    assert tree.method is Method.GREEDY
    for step in tree.steps:
        nodes = tree.nodes[step.first : step.first + step.count]
        assert [node.place for node in nodes] == list(range(len(nodes)))
        assert [node.outcome for node in nodes[1:]] == [Outcome.LESS_PROBABLE] * (len(nodes) - 1)
        shares = [node.log_probability for node in nodes]
        assert shares == sorted(shares, reverse=True)


def test_what_is_not_listed_is_added_up() -> None:
    tokenizer = BytesTokenizer()
    own = Translator(make_model(tokenizer, noise=0.2), tokenizer)
    for settings in ({"beam_size": 1}, {"sampling": True, "top_k": 200, "temperature": 2.0}):
        tree = search_tree(own, "ab", max_length_factor=0.01, max_length_constant=4, **settings)
        for step in tree.steps:
            nodes = tree.nodes[step.first : step.first + step.count]
            assert step.count in (20, 21)
            assert step.others_log_probability is not None
            assert step.excluded_log_probability is not None
            logs = [*(n.log_probability for n in nodes), step.others_log_probability, step.excluded_log_probability]
            assert math.fsum(map(math.exp, logs)) == pytest.approx(1, abs=1e-9)
            assert step.count + step.num_others == tokenizer.target_vocab_size - 2  # no start and no padding
            if tree.method is Method.SAMPLING:
                assert step.others_narrowed is not None
                drawn = [*(n.narrowed for n in nodes if n.narrowed is not None), step.others_narrowed]
                assert math.fsum(map(math.exp, drawn)) == pytest.approx(1, abs=1e-9)
