"""Word links from one trace: by every head of the cross-attention, the mean of each layer, and ALTI+.

Links are made as in ``translation/alignment/links.py``: both directions, symmetrised. Known links judge them on the
page. Read ``attribution/alti.py`` next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from pellucid.analysis.atlas import is_special
from pellucid.analysis.attribution.methods import contributions
from pellucid.errors import RequestError
from pellucid.text.vocabulary import WORD_BOUNDARY
from pellucid.tracing.predictions import Array
from pellucid.tracing.record import Trace
from pellucid.tracing.sites import AttentionKind, member
from pellucid.translation.alignment.heads import AlignmentHeads, AlignmentStep, heads_in
from pellucid.translation.alignment.links import Link, Span, between_spaces, links_of, word_weights
from pellucid.translation.alignment.pairs import places_of, stretches_of, words_of

__all__ = ["LinksOfTrace", "Unit", "links_of_trace"]

Links = tuple[Link, ...]


class Unit(StrEnum):
    """What is linked."""

    SPACES = "spaces"
    """What stands between spaces, as ``pellucid align`` numbers it: two are linked if words in them are."""
    WORDS = "words"
    """Words; punctuation is one, and so is every piece of a script without spaces."""


@dataclass(frozen=True)
class LinksOfTrace:
    """Links (source word, target word) by every way; both count from 0."""

    source_words: tuple[str, ...]
    target_words: tuple[str, ...]
    source_spans: tuple[Span, ...]
    """The pieces of each source word in the trace."""
    target_spans: tuple[Span, ...]
    """The steps that write each target word."""
    heads: Mapping[AlignmentStep, Sequence[Sequence[Links]]]
    """By layer and head."""
    means: Mapping[AlignmentStep, Sequence[Links]]
    """By layer: the mean of its heads."""
    named: AlignmentHeads | None
    """The heads that the model folder names."""
    by_named: Links | None
    contributions: Links | None
    """By ALTI+ at the step that writes; None if edits left no sums that it can split."""


def links_of_trace(trace: Trace, *, unit: str = Unit.SPACES) -> LinksOfTrace:
    """Return the links of a trace by every head, by the mean of each layer and by ALTI+.

    Raises:
        RequestError: there is no such unit, or the trace has no cross-attention.
        BundleError: the model folder names heads that the model does not have.
    """
    chosen = member(Unit, unit, "unit")
    sites = AttentionKind.CROSS.weights_among(trace.sites)
    if not sites:
        raise RequestError("this trace has no weights of a cross-attention, so nothing links its words")
    tokens = trace.tokens
    source = _inside(tokens.source_pieces, tokens.source_ids, trace, tags=_tags(trace))
    target = _inside(tokens.predicted_pieces, tokens.predicted_ids, trace)
    words = _units(tokens.source_pieces, source, chosen), _units(tokens.predicted_pieces, target, chosen)
    source_spans, source_places = _words(tokens.source_pieces, source, chosen)
    target_spans, target_places = _words(tokens.predicted_pieces, target, chosen)
    layers = [trace[site].astype(np.float64) for site in sites]

    def linked(weights: Array, step: AlignmentStep = AlignmentStep.WRITES) -> Links:
        rows = step.rows(tokens.target_length, tokens.target_length)
        found = links_of(word_weights(weights[rows], source=source_spans, target=target_spans))
        return between_spaces(found, source=source_places, target=target_places)

    named = _named(trace)
    by_alti = _by_contributions(trace)
    return LinksOfTrace(
        source_words=tuple(text for text, _ in words[0]),
        target_words=tuple(text for text, _ in words[1]),
        source_spans=tuple(span for _, span in words[0]),
        target_spans=tuple(span for _, span in words[1]),
        heads={step: [[linked(head, step) for head in layer] for layer in layers] for step in AlignmentStep},
        means={step: [linked(layer.mean(0), step) for layer in layers] for step in AlignmentStep},
        named=named,
        by_named=linked(np.mean([layers[i][h] for i, h in named.heads], axis=0), named.step) if named else None,
        contributions=None if by_alti is None else linked(by_alti),
    )


def _inside(pieces: Sequence[str], ids: Sequence[int], trace: Trace, *, tags: frozenset[int] = frozenset()) -> range:
    """Return the positions of a side without tags before, and without starts and ends on, either end."""
    special = is_special(pieces, ids, trace)
    first, last = 0, len(pieces)
    while first < last and (special[first] or (ids and ids[first] in tags)):
        first += 1
    while last > first and special[last - 1]:
        last -= 1
    return range(first, last)


def _tags(trace: Trace) -> frozenset[int]:
    if trace.translator is None:
        return frozenset()
    tokenizer = trace.translator.tokenizer
    found = (tokenizer.source_id(tag) for tag in tokenizer.source_tags)
    return frozenset(index for index in found if index is not None)


def _units(pieces: Sequence[str], inside: range, unit: Unit) -> list[tuple[str, Span]]:
    """Return text and positions of every word on a side."""
    own = pieces[inside.start : inside.stop]
    words = words_of(own)
    found = [(word.text, (word.start, word.end)) for word in words]
    if unit is Unit.SPACES:
        spans = stretches_of(own)
        found = [("".join(w.text for w in words if start <= w.start < end), (start, end)) for start, end in spans]
    return [(text.replace(WORD_BOUNDARY, " "), (inside.start + a, inside.start + b)) for text, (a, b) in found]


def _words(pieces: Sequence[str], inside: range, unit: Unit) -> tuple[list[Span], Sequence[int]]:
    """Return the pieces of every word on a side, and the number of each among the units."""
    own = pieces[inside.start : inside.stop]
    words = words_of(own)
    spans = [(inside.start + word.start, inside.start + word.end) for word in words]
    return spans, places_of(own, words) if unit is Unit.SPACES else range(len(words))


def _named(trace: Trace) -> AlignmentHeads | None:
    origin = trace.translator.origin if trace.translator else None
    if origin is None:
        return None
    return heads_in(origin.description.facts, origin.description.model, place=f"{origin.folder}/model.toml")


def _by_contributions(trace: Trace) -> Array | None:
    try:
        whole = contributions(trace)
    except RequestError:
        return None
    last: Array = whole.source[-1]
    return last
