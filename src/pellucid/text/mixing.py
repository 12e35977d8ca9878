"""How often an epoch shows the pairs of each corpus: from shares, weights and temperature to one weight a corpus.

A corpus has a weight (how often an epoch shows each of its pairs) or a share (how much of an epoch comes from it).
``batching.py`` draws an epoch by the weights; read it next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pellucid.config import DataConfig
from pellucid.errors import DataError, counted

__all__ = ["corpus_weights", "describe_mixture"]

_LONGEST: Final = 1000
"""Times the text that an epoch can show; the largest weight is as much."""


def corpus_weights(data: DataConfig, pairs: Sequence[int]) -> list[float]:
    """Return how often an epoch shows each pair of each training corpus.

    The corpora without a share keep the number of pairs that their weights give together; a temperature T divides it
    among them in proportion to weight * pairs^(1/T). Shares are of the whole epoch.

    Args:
        data: the training corpora.
        pairs: number of pairs of each training corpus.

    Raises:
        DataError: a corpus with a share has no pairs, or a share is so near to 1 that an epoch would hardly end.
    """
    shares = [corpus.share or 0.0 for corpus in data.train]
    free = [0 if share else n for n, share in zip(pairs, shares, strict=True)]
    weights = _tempered([c.weight for c in data.train], free, temperature=data.mixing_temperature)
    rest = sum(w * n for w, n in zip(weights, free, strict=True))
    epoch = rest / (1 - sum(shares))
    if any(shares) and epoch > _LONGEST * sum(pairs):
        raise DataError(
            f"the shares of the training corpora leave {1 - sum(shares):.2g} of an epoch to those without, so it "
            f"would show {counted(round(epoch), 'pair')}, {epoch / sum(pairs):,.0f} times the text "
            f"(limit {_LONGEST:,}); lower the shares"
        )
    for number, (corpus, share) in enumerate(zip(data.train, shares, strict=True)):
        if not share:
            continue
        if not pairs[number] or not rest:
            empty = corpus.label() if not pairs[number] else "the corpora without a share"
            raise DataError(
                f"{empty}: no pair is left to train on, so share = {share:g} of {corpus.label()} cannot be had"
            )
        weights[number] = share * epoch / pairs[number]
    return weights


def _tempered(weights: Sequence[float], pairs: Sequence[int], *, temperature: float) -> list[float]:
    if temperature == 1 or not any(pairs):
        return list(weights)
    wanted = [weight * n ** (1 / temperature) for weight, n in zip(weights, pairs, strict=True)]
    scale = sum(w * n for w, n in zip(weights, pairs, strict=True)) / sum(wanted)
    return [scale * want / n if n else weight for want, n, weight in zip(wanted, pairs, weights, strict=True)]


def describe_mixture(data: DataConfig, pairs: Sequence[int]) -> str:
    """Return the line about the corpora of an epoch for the screen and the card."""
    weights = corpus_weights(data, pairs)
    shown = [weight * n for weight, n in zip(weights, pairs, strict=True)]
    parts = [
        f"{corpus.label()} {part / sum(shown):.1%} ({counted(n, 'pair')}, each {weight:.3g} times)"
        for corpus, part, n, weight in zip(data.train, shown, pairs, weights, strict=True)
    ]
    return f"mixing: an epoch shows {counted(round(sum(shown)), 'pair')}: {', '.join(parts)}"
