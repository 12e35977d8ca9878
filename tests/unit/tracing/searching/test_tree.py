"""The tree of a search: the search is the ordinary one, every number re-adds, and every reason holds."""

from __future__ import annotations

import math

import pytest
import torch

import pellucid
from pellucid.config import LengthPenalty
from pellucid.errors import RequestError
from pellucid.tracing.making import trace
from pellucid.tracing.searching.making import tree_for, tree_of_trace
from pellucid.tracing.searching.record import ENDS, Node, Outcome, SearchTree, Stop
from pellucid.translation.beam import StopRule, beam_search
from pellucid.translation.constraints import constraints_for
from pellucid.translation.scoring import forced_log_probabilities
from pellucid.translation.stepper import ModelStepper

from .kit import SEARCHES, TEXT, search_tree, source_ids, translator


def penalty(length: int, form: LengthPenalty, alpha: float) -> float:
    """The formulas of the papers, written down a second time."""
    return {"none": 1.0, "average": length**alpha, "gnmt": ((5 + length) / 6) ** alpha}[form.value]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("settings", SEARCHES, ids=str)
def test_looking_changes_nothing(settings: dict[str, object], dtype: torch.dtype) -> None:
    own = translator(dtype=dtype)
    ordinary = own.translate(TEXT, **settings).alternatives[0]
    tree = search_tree(own, TEXT, **settings)
    assert tree.best == ordinary
    first = tree.hypotheses[0]
    assert (first.score, first.log_probability) == (ordinary.score, ordinary.log_probability)
    assert first.text == ordinary.text
    assert tree.ids(first.node) == ordinary.ids
    assert tuple(node.log_probability for node in tree.path(first.node)) == ordinary.token_log_probabilities


def test_the_searches_of_these_tests_come_to_every_end() -> None:
    outcomes, stops = set(), set()
    for settings in SEARCHES:
        tree = search_tree(translator(), TEXT, **settings)
        outcomes |= {node.outcome for node in tree.nodes}
        stops.add(tree.ending.stop)
    assert outcomes == set(Outcome) - {Outcome.STUCK}
    assert stops >= {Stop.FULL, Stop.CANNOT_WIN, Stop.MAX_LENGTH}


@pytest.mark.parametrize("settings", SEARCHES, ids=str)
def test_every_number_of_every_node_is_computed_again(settings: dict[str, object]) -> None:
    own = translator()
    tree = search_tree(own, TEXT, **settings)
    config = tree.provenance.search
    assert config is not None
    source = source_ids(own)
    paths = [tree.ids(node.number) for node in tree.nodes]
    terms = forced_log_probabilities(own.models, [source] * len(paths), paths)
    for node, ids, forced in zip(tree.nodes, paths, terms, strict=True):
        assert node.piece == own.tokenizer.target_pieces([node.token])[0]
        assert len(ids) == node.step + 1
        assert node.log_probability == pytest.approx(forced[-1], abs=1e-10)
        assert node.total == pytest.approx(math.fsum(forced), abs=1e-10)
        divisor = penalty(len(ids), config.length_penalty, config.alpha)
        assert node.score == pytest.approx(math.fsum(forced) / divisor, abs=1e-10)


@pytest.mark.parametrize("settings", [one for one in SEARCHES if not one.get("sampling") and one["beam_size"] != 1])
def test_the_candidates_are_the_best_of_all_and_the_reasons_hold(settings: dict[str, object]) -> None:
    """Expand every row by every piece again, sort, and apply the rules of the search by hand."""
    if {"banned_tokens", "min_length"} & settings.keys():
        pytest.skip("this test applies no constraints")
    own = translator()
    tree = search_tree(own, TEXT, **settings)
    beam = settings["beam_size"]
    assert isinstance(beam, int)
    eos, vocabulary = own.tokenizer.specials.eos, own.tokenizer.target_vocab_size
    allowed = [token for token in range(vocabulary) if token not in (0, 2)]
    rows: list[tuple[int, ...]] = [()]
    for step in tree.steps:
        nodes = tree.nodes[step.first : step.first + step.count]
        grown = [(*row, token) for row in rows for token in allowed]
        terms = forced_log_probabilities(own.models, [source_ids(own)] * len(grown), grown)
        best = sorted(zip(map(math.fsum, terms), grown, strict=True), key=lambda pair: -pair[0])[: 2 * beam]
        assert [tree.ids(node.number) for node in nodes] == [ids for _, ids in best]
        assert step.num_rows == len(rows)
        assert step.num_others == len(rows) * vocabulary - step.count
        going = [node for node in nodes if node.token != eos]
        for place, node in enumerate(nodes):
            if node.token == eos:
                assert node.outcome is (Outcome.FINISHED if place < beam else Outcome.LATE_END)
            elif going.index(node) >= beam:
                assert node.outcome is Outcome.OUTSIDE
            else:
                assert node.outcome in (Outcome.KEPT, Outcome.OPEN, Outcome.MAX_LENGTH)
        rows = [tree.ids(node.number) for node in going[:beam]]
        assert (step is tree.steps[-1]) == all(node.outcome is not Outcome.KEPT for node in nodes)
    ends = [node for node in tree.nodes if node.outcome in ENDS]
    order = sorted(ends, key=lambda node: (node.outcome is not Outcome.FINISHED, -node.score))
    assert [one.node for one in tree.hypotheses] == [node.number for node in order]


@pytest.mark.parametrize("settings", [one for one in SEARCHES if not one.get("sampling") and one["beam_size"] != 1])
def test_the_search_ended_for_the_reason_that_is_given(settings: dict[str, object]) -> None:
    own = translator()
    tree = search_tree(own, TEXT, **settings)
    ending, config = tree.ending, tree.provenance.search
    assert config is not None
    finished = [node for node in tree.nodes if node.outcome is Outcome.FINISHED]
    still_open = [node for node in tree.nodes if node.outcome is Outcome.OPEN]
    assert ending.num_finished == len(finished)
    assert ending.to_beat == (max(node.score for node in finished) if finished else None)
    if still_open:
        last = penalty(ending.max_length, config.length_penalty, config.alpha)
        assert ending.bound == pytest.approx(max(node.total for node in still_open) / last, abs=1e-12)
    if ending.stop is Stop.FULL:
        assert len(finished) >= config.beam_size
    elif ending.stop is Stop.CANNOT_WIN:
        assert not ending.may_have_missed
        assert len(finished) < config.beam_size
    else:
        assert ending.stop is Stop.MAX_LENGTH
        assert len(tree.steps) == ending.max_length


def test_a_search_that_may_have_missed_says_so_and_a_patient_one_finds_it() -> None:
    """Where an open hypothesis could still have won, the rule ``exact`` sometimes does find a better one."""
    gained = 0
    for seed in range(8):
        own = translator(seed)
        tree = search_tree(own, TEXT, beam_size=2)
        config = tree.provenance.search
        assert config is not None
        ((patient, *_),) = beam_search(
            ModelStepper(own.model),
            [source_ids(own)],
            config=config,
            constraints=constraints_for(config, own.tokenizer),
            stop=StopRule.EXACT,
        )
        assert patient.score >= tree.best.score - 1e-12
        if patient.score > tree.best.score + 1e-12:
            gained += 1
            assert tree.ending.may_have_missed
    assert gained


def test_a_node_opens_as_a_trace_of_its_hypothesis() -> None:
    own = translator()
    tree = search_tree(own, TEXT, beam_size=3)
    pruned = next(node for node in tree.nodes if node.outcome is Outcome.OUTSIDE and node.step == 2)
    for node in (pruned, tree.nodes[tree.hypotheses[0].node]):
        opened = trace(own, TEXT, target_ids=tree.ids(node.number))
        assert opened.hypothesis is not None
        assert opened.hypothesis.is_finished == (node.outcome is Outcome.FINISHED)
        own_terms = [one.log_probability for one in tree.path(node.number)]
        assert opened.hypothesis.token_log_probabilities == pytest.approx(own_terms, abs=1e-10)
        assert opened.hypothesis.score == pytest.approx(node.score, abs=1e-10)
        assert opened.tokens.predicted_ids == tree.ids(node.number)
        assert opened.search == ()
        assert pellucid.Trace.of(opened).check().passed


@pytest.mark.parametrize(
    ("ids", "problem"),
    [
        ([], "0 ids"),
        ([5, True], "target_ids\\[1\\] = True"),
        ([5, 99], "target_ids\\[1\\] = 99; allowed are whole numbers from 0 to 12"),
        ([3, 5], "ends the sentence"),
        ([5] * 30, "allowed are 1 to 29"),
    ],
)
def test_ids_that_are_no_hypothesis_are_refused(ids: list[int], problem: str) -> None:
    with pytest.raises(RequestError, match=problem):
        trace(translator(), TEXT, target_ids=ids)


def test_a_trace_holds_the_same_tree() -> None:
    own = translator().with_settings(beam_size=3, length_penalty="gnmt")
    recorded, searched = tree_of_trace(trace(own, TEXT)), search_tree(own, TEXT)
    assert recorded is not None
    assert recorded == searched
    assert tree_of_trace(trace(own, TEXT, target="a dog")) is None


def test_every_step_asks_whether_to_go_on() -> None:
    class EnoughError(Exception):
        pass

    calls = 0

    def stop_at_the_fourth() -> None:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise EnoughError

    for settings in ({"beam_size": 3}, {"beam_size": 1}, {"sampling": True}):
        calls = 0
        with pytest.raises(EnoughError):
            search_tree(translator(), TEXT, between_steps=stop_at_the_fourth, **settings)  # type: ignore[arg-type]


def test_the_surface_draws_what_the_record_holds() -> None:
    tree = pellucid.search_tree(translator(), TEXT, beam_size=3)
    assert isinstance(tree, SearchTree)
    text = tree.to_text()
    for node in tree.nodes:
        assert f"{node.log_probability:7.3f} {node.total:8.3f} {node.score:7.4f}" in text
    with pytest.raises(RequestError, match="text = 3 is of type int"):
        pellucid.search_tree(translator(), 3)  # type: ignore[arg-type]


def test_paths_and_children_agree() -> None:
    tree = search_tree(translator(), TEXT, beam_size=4)

    def behind(parent: int | None, before: tuple[Node, ...]) -> int:
        numbers = tree.children.get(parent, ())
        for number in numbers:
            assert tree.path(number) == (*before, tree.nodes[number])
        return len(numbers) + sum(behind(number, tree.path(number)) for number in numbers)

    assert behind(None, ()) == len(tree.nodes)
    with pytest.raises(RequestError, match=f"nodes 0 to {len(tree.nodes) - 1}"):
        tree.path(len(tree.nodes))


def test_a_trace_with_edits_shows_the_search_that_it_recorded() -> None:
    own = translator().with_settings(beam_size=3)
    edited = trace(own, TEXT, edits=["decoder.0.cross_attention.head.1=zero"])
    tree = tree_for(edited)
    assert tree.best == edited.hypothesis
    assert [node.token for node in tree.path(tree.hypotheses[0].node)] == list(edited.tokens.predicted_ids)
    assert tree.nodes != search_tree(own, TEXT).nodes
    pruned = next(node for node in tree.nodes if node.outcome is Outcome.OUTSIDE)
    opened = trace(own, TEXT, edits=edited.provenance.edits, target_ids=tree.ids(pruned.number))
    assert opened.hypothesis is not None
    assert opened.hypothesis.score == pytest.approx(pruned.score, abs=1e-10)
    assert pellucid.Trace.of(opened).check().passed
    assert tree_for(opened).best == edited.hypothesis, "searched again, with the edits"


@pytest.mark.parametrize("settings", [{"beam_size": 2}, {"beam_size": 1}, {"sampling": True, "seed": 3}])
@pytest.mark.parametrize(
    "edits",
    [
        ["encoder.0.feed_forward=mean", "decoder.0.cross_attention.head.1.row.1=zero"],
        ["step.1=runs", 'ban="▁dog"', "word.1=drop"],
    ],
)
def test_another_search_has_the_edits_too(edits: list[str], settings: dict[str, object]) -> None:
    own = translator()
    edited = trace(own, TEXT, edits=edits)
    tree = tree_for(edited, settings=settings)
    wanted = trace(own.with_settings(**settings), TEXT, edits=edits)
    assert wanted.hypothesis is not None
    assert tree.best.ids == wanted.hypothesis.ids
    assert tree.best.score == pytest.approx(wanted.hypothesis.score, abs=1e-10)
    assert tree.source == edited.source
    assert tree.provenance.edits == edited.provenance.edits
    assert tree.nodes != tree_for(trace(own, TEXT), settings=settings).nodes


def test_a_reference_is_scored_with_the_edits() -> None:
    own, edit = translator(), "decoder.1.feed_forward=zero"
    edited = trace(own, TEXT, edits=[edit])
    found = tree_for(edited, reference="dog cat").reference
    given = trace(own, TEXT, edits=[edit], target="dog cat").hypothesis
    assert found is not None
    assert given is not None
    assert found.score == pytest.approx(given.score, abs=1e-10)
    with pytest.raises(RequestError, match="not asked for a reference"):
        tree_for(trace(own, TEXT, edits=["step.1=runs"]), reference="dog cat")
