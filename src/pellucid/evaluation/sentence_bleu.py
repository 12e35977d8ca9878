"""BLEU of single sentences, to choose among several translations of one source.

Corpus BLEU has no meaning for one sentence, because most have no matching 4-gram. Here orders without an n-gram are
left out, and a precision of 0 is smoothed (Chen and Cherry 2014, method 3). Such figures compare translations of the
same sentence, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

from pellucid.evaluation.bleu_words import TokenizerChoice

__all__ = ["SentenceBleu"]


class SentenceBleu:
    """Sentence BLEU with one tokenizer."""

    def __init__(self, tokenizer: TokenizerChoice) -> None:
        from sacrebleu.metrics.bleu import BLEU

        self._bleu = BLEU(tokenize=tokenizer.name, effective_order=True, force=True)

    def score(self, text: str, reference: str) -> float:
        """Return the score of a translation, in percent."""
        return float(self._bleu.sentence_score(text, [reference]).score)

    def closest(self, texts: Sequence[str], reference: str) -> int:
        """Return the index of the text with the highest score; of equal ones, the first."""
        scores = [self.score(text, reference) for text in texts]
        return scores.index(max(scores))
