"""Look for a given translation in the tree of a search: was it lost by the search, or does the model not want it?"""

from __future__ import annotations

from collections.abc import Sequence

from pellucid.config import TranslationConfig
from pellucid.tracing.searching.record import Node, Outcome, Ranked, ReferenceInTree, Verdict
from pellucid.translation.hypothesis import ScoredPair, make_hypothesis

__all__ = ["look_for"]


def look_for(
    text: str,
    scored: ScoredPair,
    *,
    nodes: Sequence[Node],
    hypotheses: Sequence[Ranked],
    found_score: float,
    found_text: str,
    config: TranslationConfig,
    spelled: str,
) -> ReferenceInTree:
    """Compare a translation that the model has scored with what the search found.

    Args:
        text: as given.
        scored: by the model of the search.
        nodes: of the tree.
        hypotheses: of the tree.
        found_score: of the best hypothesis.
        found_text: of the best hypothesis.
        config: of the search.
        spelled: the text of the ids of ``scored``.
    """
    own = make_hypothesis(
        scored.ids,
        scored.token_log_probabilities,
        is_finished=True,
        form=config.length_penalty,
        alpha=config.alpha,
    )
    path, lost_step = _followed(scored.ids, nodes)
    last = path[-1] if path else None
    is_reached = lost_step is None and last is not None
    rank = next((i for i, one in enumerate(hypotheses) if is_reached and last and one.node == last.number), None)
    if rank == 0:
        verdict = Verdict.FOUND
    elif spelled == found_text:
        verdict = Verdict.SAME_TEXT
    else:
        verdict = Verdict.SEARCH_ERROR if own.score > found_score else Verdict.MODEL_ERROR
    return ReferenceInTree(
        text=text,
        pieces=scored.pieces,
        ids=scored.ids,
        token_log_probabilities=scored.token_log_probabilities,
        log_probability=own.log_probability,
        score=own.score,
        found_score=found_score,
        verdict=verdict,
        lost_step=lost_step,
        lost_node=last.number if last is not None and lost_step == last.step else None,
        rank=rank,
    )


def _followed(ids: Sequence[int], nodes: Sequence[Node]) -> tuple[list[Node], int | None]:
    """Return the nodes that the ids pass, and the step at which they leave the beam, or None."""
    by_place = {(node.parent, node.token): node for node in nodes}
    path: list[Node] = []
    for step, token in enumerate(ids):
        node = by_place.get((path[-1].number if path else None, token))
        if node is None:
            return path, step
        path.append(node)
        if node.outcome is Outcome.FINISHED:
            return path, None
        if node.outcome is not Outcome.KEPT:
            return path, step
    return path, None
