"""The tree in the terminal: every candidate is a line or is counted, and the reasons are in words."""

from __future__ import annotations

from tests.unit.tracing.searching.kit import SEARCHES, TEXT, search_tree, translator

from pellucid.figures.search_tree import outcome_text, tree_text
from pellucid.figures.terminal import TerminalStyle
from pellucid.tracing.searching.record import Outcome


def test_every_candidate_is_a_line_or_is_counted() -> None:
    for settings in SEARCHES:
        tree = search_tree(translator(), TEXT, **settings)
        lines = tree_text(tree, most_lines=10_000).splitlines()
        drawn = sum(
            f"{node.step:>4} {node.log_probability:>7.3f} {node.total:>8.3f} {node.score:>7.4f}" in text
            for text in lines
            for node in tree.nodes
            if text[:29] == f"{node.step:>4} {node.log_probability:>7.3f} {node.total:>8.3f} {node.score:>7.4f}"
            and node.piece in text
        )
        counted = sum(int(line.split("and ")[1].split()[0]) for line in lines if line.endswith(" more"))
        assert drawn + counted == len(tree.nodes), settings


def test_the_best_hypothesis_is_the_trunk() -> None:
    tree = search_tree(translator(), TEXT, beam_size=3)
    trunk = [line for line in tree_text(tree).splitlines() if line[29:31] == " *"]
    assert len(trunk) == len(tree.best.ids)
    for line, number in zip(trunk, tree.winner, strict=True):
        assert line[31:].startswith(tree.nodes[number].piece)
    assert trunk[-1].endswith("finished: the result")


def test_a_plain_tree_is_ascii_and_a_long_one_is_bounded() -> None:
    tree = search_tree(translator(), TEXT, beam_size=5)
    assert tree_text(tree, style=TerminalStyle(ascii_only=True)).isascii()
    assert "the tree has more lines than 4, and the rest is not shown" in tree_text(tree, most_lines=4)


def test_reasons_name_the_numbers_that_decided() -> None:
    said: dict[Outcome, str] = {}
    for settings in SEARCHES:
        tree = search_tree(translator(), TEXT, **settings)
        for node in tree.nodes:
            said.setdefault(node.outcome, outcome_text(tree, node))
    assert said[Outcome.OUTSIDE] == "outside of the beam of 2"
    assert said[Outcome.LATE_END].startswith("an end, but not among the first ")
    assert said[Outcome.CUT_TOP_K] == "cut: not among the 3 most probable"
    assert said[Outcome.CUT_TOP_P] == "cut: the pieces before it reach 0.6"
    assert said[Outcome.KEPT] == ""


def test_a_reference_is_judged_in_words() -> None:
    own = translator()
    text = tree_text(search_tree(own, TEXT, beam_size=8, reference="zwei zwei zwei"))
    assert "reference: an error of the model: the model gives it the score -" in text
    best = search_tree(own, TEXT, beam_size=8).hypotheses[0].text
    assert "reference: the search found it" in tree_text(search_tree(own, TEXT, beam_size=8, reference=best))
