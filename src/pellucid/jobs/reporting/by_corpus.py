"""The BLEU of each validation corpus of a run with several, such as one for each direction. Read ``../train.py``."""

from __future__ import annotations

from collections.abc import Sequence

from pellucid.config import DataConfig
from pellucid.evaluation.bleu_words import bleu_tokenizer
from pellucid.evaluation.metrics import corpus_score
from pellucid.text.corpus import SentencePair

__all__ = ["bleu_by_corpus"]


def bleu_by_corpus(data: DataConfig, pairs: Sequence[SentencePair], texts: Sequence[str]) -> dict[str, float]:
    """Return ``bleu_LABEL`` of each validation corpus, in its target language; nothing if there is only one.

    Args:
        data: ``corpus`` of a pair is an index into ``data.valid``.
        pairs: the validation pairs, from the first.
        texts: the translations of their sources.
    """
    if len(data.valid) < 2:
        return {}
    found: dict[str, float] = {}
    for number, corpus in enumerate(data.valid):
        rows = [(text, pair.target) for text, pair in zip(texts, pairs, strict=True) if pair.corpus == number]
        if not rows:
            continue
        own, references = (list(side) for side in zip(*rows, strict=True))
        language = corpus.tgt_lang or data.tgt_lang
        tokenizer = bleu_tokenizer(language, references=references, if_missing="char")
        score = corpus_score(own, references, target_language=language, tokenizer=tokenizer)
        found[f"bleu_{corpus.label()}"] = score.value
    return found
