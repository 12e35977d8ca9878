"""General text that a fine-tuning must not forget: read it, and score a model on it.

Read ``comparison.py`` next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from pellucid.config import CorpusConfig, DataConfig
from pellucid.errors import DataError, counted
from pellucid.evaluation.bleu_words import TokenizerChoice, bleu_tokenizer
from pellucid.evaluation.metrics import corpus_score
from pellucid.text.cleaning import digest_of
from pellucid.text.corpus import SentencePair, read_pairs
from pellucid.text.tags import tagged
from pellucid.text.tokenizer import Tokenizer
from pellucid.text.unknown import UnknownCounter, refuse_unknown
from pellucid.translation.translator import Translator

__all__ = ["GeneralText", "OverlapCount", "read_general"]


@dataclass(frozen=True)
class GeneralText:
    """The first pairs of ``[data.general]``, their sources with the tag of that corpus."""

    pairs: tuple[SentencePair, ...]
    target_language: str
    tokenizer: TokenizerChoice
    """Of BLEU."""

    def bleu(self, translator: Translator) -> float:
        """Translate the sources and return BLEU."""
        texts = [result.text for result in translator.translate([pair.source for pair in self.pairs])]
        references = [pair.target for pair in self.pairs]
        return corpus_score(texts, references, target_language=self.target_language, tokenizer=self.tokenizer).value


def read_general(data: DataConfig, tokenizer: Tokenizer, *, most: int) -> GeneralText | None:
    """Read the first ``most`` pairs of the general text, or return None if there is none.

    Raises:
        DataError: the tokenizer does not know too many of its pieces, as of another language or script.
    """
    if data.general is None:
        return None
    read = _read(data, data.general)
    pairs = tuple(islice(tagged(read, [data.tag_of(data.general)], tokenizer), most))
    counters = []
    for side, encode in (("source", tokenizer.encode_source), ("target", tokenizer.encode_target)):
        texts = [getattr(pair, side) for pair in pairs]
        counters.append(UnknownCounter(side, encode, unk=tokenizer.specials.unk))
        rows = encode(texts)
        ids = np.array([i for row in rows for i in row], dtype=np.int64)
        counters[-1].see(texts, ids, np.cumsum([len(row) for row in rows], dtype=np.int64))
    try:
        refuse_unknown([counter.result() for counter in counters], most=data.max_unknown_share)
    except DataError as error:
        raise DataError(f"general text: {error}") from None
    language = data.general.tgt_lang or data.tgt_lang
    choice = bleu_tokenizer(language, references=(pair.target for pair in pairs), if_missing="char")
    return GeneralText(pairs, language, choice)


def _read(data: DataConfig, general: CorpusConfig) -> Iterator[SentencePair]:
    languages = data.languages_of(general)
    return read_pairs(general, index=0, invalid_utf8=data.invalid_utf8, languages=languages)


class OverlapCount:
    """Counts the pairs of a text that general text has too, as the pairs pass."""

    def __init__(self, data: DataConfig) -> None:
        general = _read(data, data.general) if data.general else ()
        self._general = {digest_of(pair) for pair in general}
        self._found: set[bytes] = set()

    def watching(self, pairs: Iterator[SentencePair]) -> Iterator[SentencePair]:
        """Yield the pairs as they are."""
        for pair in pairs:
            if self._general and (digest := digest_of(pair)) in self._general:
                self._found.add(digest)
            yield pair

    def lines(self) -> list[str]:
        """Return a note if there are such pairs."""
        if not self._found:
            return []
        return [
            f"note: {len(self._found):,} of {counted(len(self._general), 'pair')} of the "
            "general text are also trained on, so "
            "its score says too little about forgetting; remove them from one of the two"
        ]
