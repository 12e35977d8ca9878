"""Choose the heads whose attention aligns words best: score every candidate against links that are known.

The candidates are every single head of the cross-attention and, for every layer, the mean of its heads; each at the
step that writes a target piece and at the step that reads it. The score is the alignment error rate (Och and Ney 2003),
1 - 2 |A and G| / (|A| + |G|), over the links A of the head and the known links G of all pairs together; no link is
merely possible. Read ``results.py`` for the use of what is chosen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pellucid.errors import RequestError
from pellucid.translation.alignment.attention import every_head
from pellucid.translation.alignment.heads import AlignmentHeads, AlignmentStep
from pellucid.translation.alignment.links import Link, Span, Weights, between_spaces, links_of, word_weights

if TYPE_CHECKING:
    from pellucid.model.transformer import Transformer

__all__ = ["KnownPair", "Scored", "error_rate", "scored_heads"]


@dataclass(frozen=True)
class KnownPair:
    """A pair in pieces, without ends of sentence, with the pieces of its words and the links that are known."""

    source_ids: Sequence[int]
    target_ids: Sequence[int]
    source_words: Sequence[Span]
    target_words: Sequence[Span]
    links: Collection[Link]
    places: tuple[Sequence[int], Sequence[int]] | None = None
    """What the numbers of the links count, if not words: the number of each source word, and of each target word."""


@dataclass(frozen=True)
class Scored:
    """What a candidate scored; ``precision`` is the share of its links that are known, ``recall`` the share found."""

    heads: AlignmentHeads
    precision: float
    recall: float
    error_rate: float


def error_rate(found: Iterable[Collection[Link]], known: Iterable[Collection[Link]]) -> tuple[float, float, float]:
    """Return precision, recall and alignment error rate of the links of several pairs; 0, 0 and 1 without links."""
    common = num_found = num_known = 0
    for own, gold in zip(found, known, strict=True):
        common += len(set(own) & set(gold))
        num_found += len(own)
        num_known += len(gold)
    if not num_found or not num_known:
        return 0.0, 0.0, 1.0
    return common / num_found, common / num_known, 1 - 2 * common / (num_found + num_known)


def scored_heads(model: Transformer, pairs: Sequence[KnownPair], *, batch_size: int) -> list[Scored]:
    """Score every candidate, the best first; of equal ones the lower layer, then the lower head.

    Raises:
        RequestError: the pairs have no links.
    """
    if not any(pair.links for pair in pairs):
        raise RequestError("the pairs have no links between words, so there is nothing to compare heads with")
    layers, heads = range(model.config.num_decoder_layers), range(model.config.num_heads)
    groups: list[tuple[tuple[int, int], ...]] = [((layer, head),) for layer in layers for head in heads]
    groups += [tuple((layer, head) for head in heads) for layer in layers] if len(heads) > 1 else []
    candidates = [AlignmentHeads(group, step) for step in AlignmentStep for group in groups]
    found: dict[AlignmentHeads, list[tuple[Link, ...]]] = {candidate: [] for candidate in candidates}
    known: list[Collection[Link]] = []
    eos = model.config.specials.eos
    ids = [([*pair.source_ids, eos], pair.target_ids) for pair in pairs]
    for place, weights in every_head(model, ids, batch_size=batch_size):
        known.append(pairs[place].links)
        for candidate in candidates:
            found[candidate].append(_links(weights[candidate.step], candidate, pairs[place]))
    scored = [Scored(candidate, *error_rate(links, known)) for candidate, links in found.items()]
    return sorted(scored, key=lambda one: one.error_rate)


def _links(weights: Weights, candidate: AlignmentHeads, pair: KnownPair) -> tuple[Link, ...]:
    mean: Weights = sum(weights[layer, head] for layer, head in candidate.heads)[:, : len(pair.source_ids)]
    found = links_of(word_weights(mean, source=pair.source_words, target=pair.target_words))
    return found if pair.places is None else between_spaces(found, source=pair.places[0], target=pair.places[1])
