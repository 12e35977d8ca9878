"""The tree of a search in the terminal: the best hypothesis is the trunk, and everything else branches off from it.

Each line is a candidate: its step, the log-probability of its piece, the sum along its path, the score, the piece, and
what became of it. A branch is indented; the trunk of a branch is not. Read ``terminal.py`` next.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pellucid.config import LengthPenalty, TranslationConfig
from pellucid.errors import counted
from pellucid.figures.terminal import TerminalStyle, fitted, shown
from pellucid.tracing.searching.record import (
    Ending,
    Method,
    Node,
    Outcome,
    ReferenceInTree,
    SearchTree,
    Stop,
    Verdict,
)

__all__ = ["ending_text", "outcome_text", "reference_text", "tree_text"]

_LONGEST_PIECE: Final = 18
_MOST_LINES: Final = 400
_MOST_LOST: Final = 5
_DEEPEST_GUIDE: Final = 8


def tree_text(tree: SearchTree, *, style: TerminalStyle | None = None, most_lines: int = _MOST_LINES) -> str:
    """Return the tree as lines, each ended; at most ``most_lines`` of its branches, and a note if there are more."""
    style = style or TerminalStyle()
    lines = [_method_text(tree), ending_text(tree.ending, _config(tree)), ""]
    lines.append("rank   score      sum  hypothesis")
    for number, one in enumerate(tree.hypotheses):
        note = "" if one.is_finished else "  (not finished)"
        text = shown(one.text, ascii_only=style.ascii_only)
        lines.append(f"{number:>4} {one.score:>7.4f} {one.log_probability:>8.4f}  {text}{note}")
    lines += ["", "step   log p      sum   score   piece and what became of it"]
    walk = _Walk(tree, style)
    for count, line in enumerate(walk.lines()):
        if count == most_lines:
            lines.append(f"the tree has more lines than {most_lines:,}, and the rest is not shown")
            break
        lines.append(line)
    others = sum(step.num_others for step in tree.steps)
    lines.append(f"{counted(others, 'other continuation')} ranked lower and were not recorded one by one")
    if tree.reference is not None:
        lines += ["", *reference_text(tree).splitlines()]
    return "\n".join(lines) + "\n"


def outcome_text(tree: SearchTree, node: Node) -> str:
    """Return what became of a candidate, and why; empty if it simply went on."""
    config = _config(tree)
    beam = config.beam_size
    if node.outcome in (Outcome.FINISHED, Outcome.MAX_LENGTH, Outcome.STUCK):
        return _rank_text(tree, node)
    return {
        Outcome.KEPT: "",
        Outcome.OPEN: "in the beam when the search ended",
        Outcome.OUTSIDE: f"outside of the beam of {beam}",
        Outcome.LATE_END: f"an end, but not among the first {counted(beam, 'candidate')}",
        Outcome.LESS_PROBABLE: "less probable",
        Outcome.CUT_TOP_K: f"cut: not among the {config.top_k} most probable",
        Outcome.CUT_TOP_P: f"cut: the pieces before it reach {config.top_p:g}",
        Outcome.NOT_DRAWN: "not drawn",
    }[node.outcome]


def ending_text(ending: Ending, config: TranslationConfig) -> str:
    """Return in words why a search ended."""
    text = {
        Stop.FULL: f"ended: {_hypotheses(ending.num_finished)} finished, and the beam holds {config.beam_size}",
        Stop.CANNOT_WIN: "ended: no open hypothesis can still win",
        Stop.MAX_LENGTH: f"ended: the limit of {ending.max_length} pieces was reached",
        Stop.NOTHING_LEFT: "ended: no hypothesis is open",
        Stop.STUCK: "ended: no piece may follow",
        Stop.END: "ended: the end of the sentence was taken",
    }[ending.stop]
    if ending.bound is not None and ending.to_beat is not None:
        relation = "still" if ending.may_have_missed else "no longer"
        text += (
            f"; an open one could come to {ending.bound:.4f} at most, so it could {relation} beat {ending.to_beat:.4f}"
        )
    return text


def reference_text(tree: SearchTree) -> str:
    """Return in words what a reference shows: an error of the search, or one of the model."""
    found = tree.reference
    if found is None:
        return ""
    scores = f"the model gives it the score {found.score:.4f}, and {found.found_score:.4f} to the best one found"
    verdict = {
        Verdict.FOUND: "the search found it",
        Verdict.SAME_TEXT: f"the search found this text in other pieces; {scores}",
        Verdict.SEARCH_ERROR: f"an error of the search: {scores}; a wider beam may find it",
        Verdict.MODEL_ERROR: f"an error of the model: {scores}, so a better search would not choose it",
    }[found.verdict]
    return f"reference: {verdict}{_lost_text(tree, found)}"


def _lost_text(tree: SearchTree, found: ReferenceInTree) -> str:
    if found.lost_step is None:
        return "" if found.rank in (None, 0) else f"\nthe search came to it too: it has rank {found.rank}"
    piece = found.pieces[found.lost_step]
    if found.lost_node is None:
        return f"\nits path ends at step {found.lost_step}: {piece} was not among the candidates"
    node = tree.nodes[found.lost_node]
    return f"\nits path ends at step {found.lost_step}, {piece}: {outcome_text(tree, node)}"


def _rank_text(tree: SearchTree, node: Node) -> str:
    rank = next(i for i, one in enumerate(tree.hypotheses) if one.node == node.number)
    what = {
        Outcome.FINISHED: "finished",
        Outcome.MAX_LENGTH: "at the maximum length",
        Outcome.STUCK: "no piece may follow",
    }[node.outcome]
    if rank == 0:
        return f"{what}: the result"
    worse = tree.hypotheses[0].score - tree.hypotheses[rank].score
    return f"{what}: rank {rank}" + (f", worse than the best by {worse:.4f}" if worse > 0 else "")


def _method_text(tree: SearchTree) -> str:
    config = _config(tree)
    penalty = "no length penalty"
    if config.length_penalty is not LengthPenalty.NONE:
        penalty = f"length penalty {config.length_penalty}, alpha {config.alpha:g}"
    how = {
        Method.BEAM: f"beam search, beam size {config.beam_size}, {penalty}",
        Method.GREEDY: f"greedy search, {penalty}",
        Method.SAMPLING: f"sampling, temperature {config.temperature:g}, top-k {config.top_k or 'off'}, top-p "
        f"{config.top_p if config.top_p < 1 else 'off'}, seed {config.seed}",
    }[tree.method]
    size = f"{counted(len(tree.steps), 'step')}, {counted(len(tree.nodes), 'candidate')}"
    return f"{how}: {size}, {_hypotheses(len(tree.hypotheses))}"


def _hypotheses(number: int) -> str:
    return counted(number, "hypothesis")


def _config(tree: SearchTree) -> TranslationConfig:
    return tree.provenance.search or TranslationConfig()


@dataclass
class _Walk:
    """The lines of a tree, from the trunk out."""

    tree: SearchTree
    style: TerminalStyle

    def __post_init__(self) -> None:
        # The best rank behind each node; parents have lower numbers than their children.
        self._best = [math.inf] * len(self.tree.nodes)
        for rank, one in enumerate(self.tree.hypotheses):
            self._best[one.node] = rank
        for node in reversed(self.tree.nodes):
            if node.parent is not None:
                self._best[node.parent] = min(self._best[node.parent], self._best[node.number])
        self._winner = set(self.tree.winner)

    def lines(self) -> Iterator[str]:
        """Yield a line for each node; a stack instead of recursion, because a sentence may have a thousand pieces."""
        stack = self._behind(None, 0)
        while stack:
            item, depth = stack.pop()
            if isinstance(item, str):
                yield self._guided(" " * 29, " ", depth, item)
                continue
            yield self._line(self.tree.nodes[item], depth)
            stack += self._behind(item, depth)

    def _behind(self, parent: int | None, depth: int) -> list[tuple[int | str, int]]:
        """Return the children as a stack, its end to be drawn first: the trunk goes on below all branches."""
        children = sorted(self.tree.children.get(parent, ()), key=self._order)
        if not children:
            return []
        trunk, *branches = children
        # Of candidates that lost at once, the best are enough for a terminal.
        lost = [one for one in branches if math.isinf(self._best[one]) and not self.tree.children.get(one)]
        hidden = set(lost[_MOST_LOST:])
        drawn: list[tuple[int | str, int]] = [(one, depth + 1) for one in branches if one not in hidden]
        if hidden:
            drawn.append((f"and {len(hidden):,} more", depth + 1))
        return [(trunk, depth), *reversed(drawn)]

    def _order(self, number: int) -> tuple[float, bool, int]:
        node = self.tree.nodes[number]
        return self._best[number], node.outcome is not Outcome.KEPT, node.place

    def _line(self, node: Node, depth: int) -> str:
        plain = self.style.ascii_only
        mark = "*" if node.number in self._winner else " " if node.outcome is Outcome.KEPT else "x" if plain else "×"
        if node.outcome in (Outcome.FINISHED, Outcome.OPEN) and mark != "*":
            mark = "." if plain else "·"
        piece = shown(fitted(shown(node.piece, ascii_only=plain), _LONGEST_PIECE), ascii_only=plain)
        why = outcome_text(self.tree, node)
        if node.narrowed is not None and node.narrowed > -math.inf:
            why = f"p {math.exp(node.narrowed):.4f} of the draw" + (f"; {why}" if why else "")
        numbers = f"{node.step:>4} {node.log_probability:>7.3f} {node.total:>8.3f} {node.score:>7.4f}"
        return self._guided(numbers, mark, depth, f"{piece}  {why}")

    def _guided(self, numbers: str, mark: str, depth: int, text: str) -> str:
        guide = ("| " if self.style.ascii_only else "│ ") * min(depth, _DEEPEST_GUIDE)
        return f"{numbers} {mark}{guide}{text}".rstrip()
