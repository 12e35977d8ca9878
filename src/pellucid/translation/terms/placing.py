"""Where in a translation a term belongs: where the model attends to the source form.

A model that has never seen a form in a translation gives it the same small probability everywhere, so probability does
not say where it belongs. The cross-attention of the step that writes its first piece does: the share of its weight that
is on the tokens of the source form. Its logarithm, times a constant, is added to the score by which hypotheses are
compared. Hasler et al. 2018, "Neural Machine Translation Decoding with Terminology Constraints", section 3.2, place
terms by the attention, too; here it is a preference, so no term is lost by it. Read ``banks.py`` next.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from pellucid.translation.placeholders.placing import Side
from pellucid.translation.terms.glossary import Term
from pellucid.translation.terms.watch import Watch

if TYPE_CHECKING:
    from pellucid.text.tokenizer import Tokenizer

__all__ = ["misplacement", "source_tokens"]


_WEIGHT: Final = 4.0
"""Of the logarithm of the share, beside the log-probability; chosen on sentences of ``benchmarks/terms.py``."""
_LEAST: Final = 1e-3
"""A share of the attention below this is as bad as this."""


def source_tokens(
    places: Mapping[Term, Sequence[tuple[int, int]]], text: str, ids: Sequence[int], tokenizer: Tokenizer
) -> dict[Term, list[int]]:
    """Return the numbers of the source tokens of each term.

    Args:
        places: of the terms in a source sentence in its NFC form.
        text: the sentence, with its language tag.
        ids: of its tokens.
        tokenizer: of the model.
    """
    if not places:
        return {}
    surfaces = [tokenizer.source.vocabulary.surfaces[index] for index in ids]
    middles = Side(unicodedata.normalize("NFC", text), surfaces).middles()
    return {
        term: [number for number, middle in enumerate(middles) if any(a <= middle <= b for a, b in some)]
        for term, some in places.items()
    }


def misplacement(watch: Watch, ids: Sequence[int], attention: Sequence[Sequence[float]]) -> float:
    """Return what is added to the score of a translation for the places of its terms: 0 where all are right, or less.

    Args:
        watch: of the terms.
        ids: of the translation so far.
        attention: of each of its steps, [steps, source].
    """
    found = 0.0
    for demand, step in watch.steps(ids):
        tokens = watch.sources.get(demand.term)
        if tokens and step < len(attention):
            share = sum(attention[step][token] for token in tokens)
            found += _WEIGHT * math.log(max(share, _LEAST))
    return found
