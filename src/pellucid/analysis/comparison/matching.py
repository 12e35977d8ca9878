"""Which pieces, layers and heads of two traces belong together, and which stand alone.

Pieces: equal runs are matched (the longest first, as ``difflib`` does), and a run that another one of the same length
replaces is matched place by place; other runs stand alone. A target position is matched by the piece that it writes.

Layers: a layer belongs to the one that ends at the same share of the depth, unless the caller says otherwise.

Heads: models with the same weights have the same heads, which are matched by their numbers. Otherwise two heads are as
similar as the cosines of their matched rows of attention weights, over the matched columns, on average; the heads of a
layer are matched so that the sum of these similarities is the largest possible. Read ``record.py`` next.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from pellucid.analysis.comparison.assignment import best_pairs
from pellucid.analysis.effect import Part, parts_of
from pellucid.errors import RequestError
from pellucid.tracing.predictions import Array
from pellucid.tracing.record import Trace
from pellucid.tracing.sites import AttentionKind

__all__ = ["STACKS", "HeadMatching", "LayerMatching", "PieceMatching", "Plan", "plan_of", "refuse_misfit", "sides_of"]

STACKS: Final = ("encoder", "decoder")
_HEADS: Final = ("auto", "number", "rows")

Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class PieceMatching:
    """How the pieces of one side of two traces belong together."""

    parts: tuple[Part, ...]
    """The difference of both, part by part; ``before`` is the first trace, ``after`` the second."""

    @property
    def pairs(self) -> Pairs:
        """The matched positions (first, second), rising in both."""
        return tuple(
            pair
            for part in self.parts
            if _length(part.before) == _length(part.after)
            for pair in zip(range(*part.before), range(*part.after), strict=True)
        )

    @property
    def only_first(self) -> tuple[int, ...]:
        """Positions of the first trace without a partner."""
        return tuple(at for part in self.parts if not _is_matched(part) for at in range(*part.before))

    @property
    def only_second(self) -> tuple[int, ...]:
        """Positions of the second trace without a partner."""
        return tuple(at for part in self.parts if not _is_matched(part) for at in range(*part.after))

    def swapped(self) -> PieceMatching:
        """Return the matching of the second trace with the first."""
        other = {"removed": "added", "added": "removed"}
        return PieceMatching(tuple(Part(other.get(p.kind, p.kind), p.after, p.before) for p in self.parts))


@dataclass(frozen=True)
class LayerMatching:
    """How the layers of a stack belong together."""

    pairs: Pairs
    only_first: tuple[int, ...] = ()
    only_second: tuple[int, ...] = ()

    def swapped(self) -> LayerMatching:
        """Return the matching of the second model with the first."""
        return LayerMatching(_swapped(self.pairs), self.only_second, self.only_first)


@dataclass(frozen=True, eq=False)
class HeadMatching:
    """How the heads of an attention, such as ``decoder.3.cross_attention``, belong together."""

    place: str
    other_place: str
    pairs: Pairs
    """(head of the first, head of the second), rising in the first."""
    similarity: Array
    """[heads of the first, heads of the second]: mean cosine of the matched rows."""

    def swapped(self) -> HeadMatching:
        """Return the matching of the second model with the first."""
        return HeadMatching(self.other_place, self.place, _swapped(self.pairs), self.similarity.T)


@dataclass(frozen=True)
class Plan:
    """Everything that is matched."""

    source: PieceMatching
    target: PieceMatching
    layers: Mapping[str, LayerMatching]
    heads: Mapping[str, HeadMatching]
    """By the place in the first trace; empty where the weights of the attention are not known."""
    heads_by: str
    """``number`` or ``rows``."""

    def swapped(self) -> Plan:
        """Return the plan of the second trace with the first."""
        return replace(
            self,
            source=self.source.swapped(),
            target=self.target.swapped(),
            layers={stack: layers.swapped() for stack, layers in self.layers.items()},
            heads={heads.other_place: heads.swapped() for heads in self.heads.values()},
        )


def plan_of(first: Trace, second: Trace, *, layers: Mapping[str, Sequence[tuple[int, int]]] | None, heads: str) -> Plan:
    """Match two traces, after ``refuse_misfit``."""
    source = PieceMatching(parts_of(first.tokens.source_pieces, second.tokens.source_pieces))
    target = PieceMatching(parts_of(first.tokens.predicted_pieces, second.tokens.predicted_pieces))
    matched = {stack: _layers_of(stack, first, second, (layers or {}).get(stack)) for stack in STACKS}
    weights = {trace.provenance.weights_sha256 for trace in (first, second)}
    is_same = len(weights) == 1 and None not in weights
    by = ("number" if is_same else "rows") if heads == "auto" else heads
    plan = Plan(source, target, matched, {}, by)
    return replace(plan, heads=dict(_heads_of(first, second, plan)))


def refuse_misfit(
    first: Trace, second: Trace, *, layers: Mapping[str, Sequence[tuple[int, int]]] | None, heads: str
) -> None:
    """Refuse a matching that two traces cannot have.

    Raises:
        RequestError: ``heads`` is unknown; or ``layers`` names a stack or a layer that does not exist, or one twice.
    """
    if heads not in _HEADS:
        raise RequestError(f"heads = {heads!r}; allowed are {', '.join(map(repr, _HEADS))}")
    for stack, pairs in (layers or {}).items():
        if stack not in STACKS:
            raise RequestError(f"layers has {stack!r}; allowed are 'encoder' and 'decoder'")
        for side, (name, trace) in enumerate((("first", first), ("second", second))):
            used, depth = [pair[side] for pair in pairs], _depth(trace, stack)
            if len(set(used)) < len(used) or not set(used) <= set(range(depth)):
                raise RequestError(
                    f"layers[{stack!r}] = {list(pairs)}: the {name} trace has the {stack} layers 0 to {depth - 1}, and "
                    "each may occur once"
                )


def _layers_of(stack: str, first: Trace, second: Trace, given: Sequence[tuple[int, int]] | None) -> LayerMatching:
    depths = [_depth(trace, stack) for trace in (first, second)]
    pairs = _by_depth(*depths) if given is None else tuple(sorted((a, b) for a, b in given))
    alone = [tuple(sorted(set(range(depth)) - {pair[side] for pair in pairs})) for side, depth in enumerate(depths)]
    return LayerMatching(pairs, alone[0], alone[1])


def _by_depth(first: int, second: int) -> Pairs:
    """Match each layer of the shallower stack with the one that ends at the same share of the depth."""
    if first > second:
        return _swapped(_by_depth(second, first))
    return tuple((layer, -(-(layer + 1) * second // first) - 1) for layer in range(first))


def _depth(trace: Trace, stack: str) -> int:
    found = [int(match[1]) for site in trace.sites if (match := re.match(rf"{stack}\.(\d+)\.", site))]
    return max(found, default=-1) + 1


def _heads_of(first: Trace, second: Trace, plan: Plan) -> Sequence[tuple[str, HeadMatching]]:
    found = []
    for kind in AttentionKind:
        rows, columns = (plan.source if side == "source" else plan.target for side in sides_of(kind))
        for layer, other in plan.layers[kind.value.partition(".")[0]].pairs:
            place, other_place = kind.at(layer), kind.at(other)
            pair = [(trace, f"{at}.weights") for trace, at in ((first, place), (second, other_place))]
            if all(site in trace.sites and (site in trace.arrays or trace.model is not None) for trace, site in pair):
                weights = [trace[site].astype(np.float64) for trace, site in pair]
                similarity = _similarity(weights[0], weights[1], rows.pairs, columns.pairs)
                by_number = tuple((head, head) for head in range(min(similarity.shape)))
                pairs = by_number if plan.heads_by == "number" else best_pairs(similarity)
                found.append((place, HeadMatching(place, other_place, pairs, similarity)))
    return found


def sides_of(kind: AttentionKind) -> tuple[str, str]:
    """Return whether rows and columns of an attention are positions of the ``source`` or of the ``target``."""
    return (
        "source" if kind is AttentionKind.ENCODER else "target",
        "target" if kind is AttentionKind.DECODER else "source",
    )


def _similarity(first: Array, second: Array, rows: Pairs, columns: Pairs) -> Array:
    """Return the mean cosine of matched rows, [heads, heads]; a row without weight on matched columns counts 0."""
    units = []
    for side, weights in enumerate((first, second)):
        part = weights[:, [pair[side] for pair in rows]][:, :, [pair[side] for pair in columns]]
        lengths = np.linalg.norm(part, axis=-1, keepdims=True)
        units.append(part / np.where(lengths > 0, lengths, 1.0))
    cosines: Array = np.einsum("hrc,krc->hk", units[0], units[1]) / max(len(rows), 1)
    return cosines


def _length(span: tuple[int, int]) -> int:
    return span[1] - span[0]


def _is_matched(part: Part) -> bool:
    return _length(part.before) == _length(part.after)


def _swapped(pairs: Pairs) -> Pairs:
    return tuple(sorted((b, a) for a, b in pairs))
