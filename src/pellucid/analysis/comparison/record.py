"""The comparison of two traces: every signed difference, second minus first, or the reason why there is none.

Everything is in float64. Rows, columns and heads are those that ``matching.py`` matched, in the order of the first
trace, so ``compare(a, b)`` is exactly the negative of ``compare(b, a)``. Read ``report.py`` next.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pellucid.analysis.comparison.matching import Plan, plan_of, refuse_misfit, sides_of
from pellucid.config import NormOrder
from pellucid.errors import RequestError, counted
from pellucid.tracing.file import content_sha256
from pellucid.tracing.predictions import Array
from pellucid.tracing.record import Trace
from pellucid.tracing.sites import AttentionKind, unknown_site

__all__ = ["Comparison", "HeadChange", "compare"]

PROBABILITIES = "probabilities"
"""A quantity beside the sites: the exponentials of ``log_probabilities``."""
_VOCABULARY = ("logits", "log_probabilities", PROBABILITIES)


@dataclass(frozen=True)
class HeadChange:
    """How much of its attention a head moves: 0 is nothing, 1 is all of it.

    The change of a row is half of the sum of the absolute differences of its weights (the distance in total variation);
    weights on pieces that only one of the traces has count as moved.
    """

    kind: AttentionKind
    layer: int
    head: int
    other_layer: int
    other_head: int
    similarity: float
    """Mean cosine of the matched rows."""
    change: float
    """Mean change of the matched rows."""
    row: int
    """The row of the first trace that changes most."""
    row_change: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two traces and their difference; ``comparison["decoder.3.cross_attention.weights"]`` is second minus first.

    Names of sites, layers and heads are those of the first trace. Shapes are those of the site with the matched heads
    and the matched positions only: weights are [matched heads, matched rows, matched columns]. If the models differ,
    their vectors have no common axes unless one was trained from the other; compare attention and probabilities then.
    """

    first: Trace
    second: Trace
    """Both have every site, if they have a model."""
    plan: Plan
    """Which pieces, layers and heads belong together, and which stand alone."""

    @property
    def sites(self) -> tuple[str, ...]:
        """All sites of the first trace, and ``probabilities``."""
        return (*self.first.sites, *([PROBABILITIES] if "log_probabilities" in self.first.sites else []))

    @property
    def has_same_weights(self) -> bool:
        """Whether one and the same model made both traces."""
        digests = {trace.provenance.weights_sha256 for trace in (self.first, self.second)}
        return len(digests) == 1 and None not in digests

    @property
    def divergence(self) -> int | None:
        """The first step at which the translations differ; None if they are equal."""
        one, other = (trace.tokens.predicted_pieces for trace in (self.first, self.second))
        step = next((i for i, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), None)
        return min(len(one), len(other)) if step is None and len(one) != len(other) else step

    def __getitem__(self, site: str) -> Array:
        if reason := self.reason(site):
            raise RequestError(f"{site!r} has no difference: {reason}")
        first, second = self._sides(site)
        difference: Array = np.where(first == second, 0.0, second - first)  # two infinities are no difference
        return difference

    def reason(self, site: str) -> str | None:
        """Return why a site has no signed difference; None if it has one.

        Raises:
            RequestError: the first trace has no such site.
        """
        if site not in self.sites:
            raise RequestError(unknown_site(site, self.sites))
        other = self.other_name(site)
        if other is None:
            return "this layer has no partner in the second model"
        if missing := self._missing(site, other):
            return missing
        if site in _VOCABULARY and not self._has_same_vocabulary:
            return "the models have different vocabularies"
        place = site.rpartition(".")[0]
        if site.endswith(".concatenated") and not self._has_same_order(place):
            return "the heads are joined in another order; compare .context, head by head"
        sides = [self._array(index, name) for index, name in enumerate((site, other))]
        for axis, name in enumerate(axes_of(site)):
            sizes = [side.shape[axis] for side in sides]
            if name == "numbers" and sizes[0] != sizes[1]:
                return f"vectors of {sizes[0]} and of {counted(sizes[1], 'number')}"
        return None

    def other_name(self, site: str) -> str | None:
        """Return the name of a site in the second trace; None if its layer has no partner."""
        match = re.match(r"(encoder|decoder)\.(\d+)\.(.*)", site)
        if match is None:
            return site
        partner = dict(self.plan.layers[match[1]].pairs).get(int(match[2]))
        return None if partner is None else f"{match[1]}.{partner}.{match[3]}"

    def distances(self, site: str) -> Array:
        """Return the Euclidean length of the difference of each matched position of a site of vectors, [positions].

        Raises:
            RequestError: the site has no difference, or is not one of vectors without heads.
        """
        if axes_of(site)[-1:] != ("numbers",) or len(axes_of(site)) != 2:
            raise RequestError(f"{site!r} has no vectors of positions; name a site like 'encoder.0.feed_forward_norm'")
        lengths: Array = np.linalg.norm(self[site], axis=-1)
        return lengths

    def states(self, stack: str) -> dict[str, Array]:
        """Return how far apart the states of ``encoder`` or ``decoder`` are: its input, then the end of each layer.

        Each is [positions]: the distance, divided by the mean length of both vectors; 0 is equal, 2 is opposite.

        Raises:
            RequestError: the states have no difference.
        """
        found = {}
        for site in self._ends(stack):
            first, second = (np.linalg.norm(side, axis=-1) for side in self._checked(site))
            mean = (first + second) / 2
            found[site] = self.distances(site) / np.where(mean > 0, mean, 1.0)
        return found

    @cached_property
    def heads(self) -> tuple[HeadChange, ...]:
        """The matched heads, that with the largest change first; empty without attention weights."""
        found = [change for place in self.plan.heads for change in self._heads_of(place)]
        return tuple(sorted(found, key=lambda one: -one.change))

    @cached_property
    def step_log_probabilities(self) -> Array:
        """Return [matched steps, 2, 2]: row 0 is the first trace, row 1 the second; column 0 is what the first writes.

        Column 1 is what the second writes at its matched step. Equal pieces have equal columns. NaN stands where a
        trace does not know the log-probability of the other one's piece: other vocabularies, or numbers not stored.
        """
        table = np.full((len(self.plan.target.pairs), 2, 2), np.nan)
        for row, steps in enumerate(self.plan.target.pairs):
            for trace in (0, 1):
                for writer in (0, 1):
                    table[row, trace, writer] = self._log_probability(trace, steps, writer)
        return table

    def _log_probability(self, trace: int, steps: tuple[int, int], writer: int) -> float:
        own, other = (self.first, self.second)[trace], (self.first, self.second)[writer]
        predictions, step = own.predictions, steps[trace]
        if predictions is None:
            return np.nan
        if trace == writer or own.tokens.predicted_pieces[step] == other.tokens.predicted_pieces[steps[writer]]:
            return float(predictions.target_log_probability[step])
        if not self._has_same_vocabulary:
            return np.nan
        piece = other.tokens.predicted_ids[steps[writer]]
        if not self._missing("log_probabilities", "log_probabilities"):
            return float(self._array(trace, "log_probabilities")[step, piece])
        best = dict(zip(predictions.top_ids[step].tolist(), predictions.top_log_probabilities[step], strict=True))
        return float(best.get(piece, np.nan))

    @cached_property
    def _has_same_vocabulary(self) -> bool:
        prints = {trace.provenance.tokenizer_fingerprint for trace in (self.first, self.second)}
        return len(prints) == 1 and None not in prints

    def _array(self, side: int, site: str) -> Array:
        if site == PROBABILITIES:
            probabilities: Array = np.exp(self._array(side, "log_probabilities"))
            return probabilities
        return (self.first, self.second)[side][site].astype(np.float64)

    def _missing(self, site: str, other: str) -> str | None:
        for trace, asked, which in ((self.first, site, "first"), (self.second, other, "second")):
            name = "log_probabilities" if asked == PROBABILITIES else asked
            if name not in trace.sites:
                return f"the {which} trace has no such site"
            if name not in trace.arrays and trace.model is None:
                return f"the {which} trace does not store it and has no model; attach it with trace.attach(translator)"
        return None

    def _checked(self, site: str) -> tuple[Array, Array]:
        if reason := self.reason(site):
            raise RequestError(f"{site!r} has no difference: {reason}")
        return self._sides(site)

    def _sides(self, site: str) -> tuple[Array, Array]:
        """Return the matched parts of both arrays, in the order of the first."""
        sides = []
        for side, name in enumerate((site, self.other_name(site) or site)):
            array = self._array(side, name)
            for axis, kind in enumerate(axes_of(site)):
                if kind != "numbers":
                    array = array.take([pair[side] for pair in self._pairs(site, kind)], axis=axis)
            sides.append(array)
        return sides[0], sides[1]

    def _pairs(self, site: str, axis: str) -> Sequence[tuple[int, int]]:
        if axis == "heads":
            return self.plan.heads[site.rpartition(".")[0]].pairs
        return self.plan.source.pairs if axis == "source" else self.plan.target.pairs

    def _has_same_order(self, place: str) -> bool:
        heads = self.plan.heads[place]
        return len(set(heads.similarity.shape)) == 1 and all(one == other for one, other in heads.pairs)

    def _ends(self, stack: str) -> list[str]:
        configuration = self.first.provenance.configuration
        is_pre = configuration is not None and configuration.norm_order is NormOrder.PRE
        end = "residual" if is_pre else "norm"
        return [f"{stack}.0.input"] + [
            f"{stack}.{layer}.feed_forward_{end}" for layer, _ in self.plan.layers[stack].pairs
        ]

    def _heads_of(self, place: str) -> list[HeadChange]:
        site, matched = f"{place}.weights", self.plan.heads[place]
        kind = AttentionKind.of(site)
        if kind is None or not self.plan.heads[place].pairs:
            return []
        rows, columns = (self.plan.source if side == "source" else self.plan.target for side in sides_of(kind))
        if not rows.pairs:
            return []
        moved = np.abs(self[site]).sum(-1)
        for side, alone in enumerate((columns.only_first, columns.only_second)):
            array = self._array(side, f"{(matched.place, matched.other_place)[side]}.weights")
            array = array[[pair[side] for pair in matched.pairs]][:, [pair[side] for pair in rows.pairs]]
            moved = moved + array[:, :, list(alone)].sum(-1)
        changes = moved / 2
        layer, other_layer = (int(at.split(".")[1]) for at in (matched.place, matched.other_place))
        return [
            HeadChange(
                kind=kind,
                layer=layer,
                head=head,
                other_layer=other_layer,
                other_head=other,
                similarity=float(matched.similarity[head, other]),
                change=float(row.mean()),
                row=rows.pairs[int(row.argmax())][0],
                row_change=float(row.max()),
            )
            for (head, other), row in zip(matched.pairs, changes, strict=True)
        ]


def axes_of(site: str) -> tuple[str, ...]:
    """Return what each axis of a site counts: ``heads``, ``source``, ``target`` or ``numbers``."""
    kind, name = AttentionKind.of(site), site.rpartition(".")[2]
    if kind is None or name in ("concatenated", "output"):
        return ("source" if site.startswith(("source", "encoder")) else "target", "numbers")
    rows, columns = sides_of(kind)
    if name in ("scores", "scaled", "may_attend", "weights"):
        return ("heads", rows, columns)
    return ("heads", columns if name in ("keys", "values") else rows, "numbers")


def compare(
    first: Trace,
    second: Trace,
    *,
    layers: Mapping[str, Sequence[tuple[int, int]]] | None = None,
    heads: str = "auto",
) -> Comparison:
    """Compare two traces; see ``pellucid.compare``.

    Raises:
        RequestError: ``layers`` or ``heads`` has a wrong value.
    """
    refuse_misfit(first, second, layers=layers, heads=heads)
    first, second = (trace.at_level("full") if trace.model else trace for trace in (first, second))
    # Both methods of matching may choose between equals by the order of their arguments, so the order is always the
    # same.
    if content_sha256(first) <= content_sha256(second):
        plan = plan_of(first, second, layers=layers, heads=heads)
    else:
        swapped = {stack: [(b, a) for a, b in pairs] for stack, pairs in layers.items()} if layers else None
        plan = plan_of(second, first, layers=swapped, heads=heads).swapped()
    return Comparison(first, second, plan)
