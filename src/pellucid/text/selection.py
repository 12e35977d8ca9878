"""Select from the corpora of a recipe the pairs that a run trains on and the pairs that validate it.

Every pass over the text yields the same pairs in the same order, so nothing is kept in memory. Without validation
files, a seeded part of the training text is held out. Read ``store.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

import numpy as np

from pellucid.config import DataConfig
from pellucid.errors import DataError, counted
from pellucid.text.capitals import with_capitals
from pellucid.text.cleaning import Cleaner, CleaningReport
from pellucid.text.corpus import SentencePair, read_pairs

__all__ = ["Selection", "cleaned_pairs", "deciding_settings", "describe_cleaning", "select_pairs"]

_LARGEST_HELD_OUT: Final = 1000
_HELD_OUT_SHARE: Final = 100
_PAIRS_BETWEEN_REPORTS: Final = 5000
_DEFAULTS: Final = DataConfig.model_fields


def cleaned_pairs(data: DataConfig, cleaner: Cleaner) -> Iterator[SentencePair]:
    """Yield the training pairs of all corpora that the filters keep, in order."""
    for index, corpus in enumerate(data.train):
        yield from cleaner.clean(read_pairs(corpus, index=index, invalid_utf8=data.invalid_utf8))


@dataclass(frozen=True)
class Selection:
    """Which of the cleaned pairs train and which validate."""

    data: DataConfig
    seed: int
    report: CleaningReport
    held_out: frozenset[int]
    """Places among the cleaned pairs, from 0, that validate; empty where the recipe names validation files."""

    def training_pairs(self) -> Iterator[SentencePair]:
        """Yield the pairs to train on, with the copies in capitals."""
        kept = self._rows(is_held_out=False)
        return with_capitals(kept, share=self.data.capitals_share, seed=self.seed)

    def validation_pairs(self) -> Iterator[SentencePair]:
        """Yield the pairs of the validation files in turns, which are not cleaned, or those that are held out."""
        if not self.data.valid:
            return self._rows(is_held_out=True)
        policy = self.data.invalid_utf8
        corpora = [read_pairs(c, index=i, invalid_utf8=policy) for i, c in enumerate(self.data.valid)]
        return (pair for turn in zip_longest(*corpora) for pair in turn if pair is not None)

    def _rows(self, *, is_held_out: bool) -> Iterator[SentencePair]:
        pairs = enumerate(cleaned_pairs(self.data, Cleaner(self.data.cleaning)))
        return (pair for row, pair in pairs if (row in self.held_out) == is_held_out)


def select_pairs(data: DataConfig, *, seed: int, progress: Callable[[int], None]) -> Selection:
    """Read and clean the training text once, and choose the pairs to hold out where there are no validation files.

    Raises:
        DataError: a file is damaged, no pair is left, or the only pair would have to be held out.
    """
    cleaner = Cleaner(data.cleaning)
    kept_of_corpus = [0] * len(data.train)
    for number, pair in enumerate(cleaned_pairs(data, cleaner), start=1):
        kept_of_corpus[pair.corpus] += 1
        if number % _PAIRS_BETWEEN_REPORTS == 0:
            progress(number)
    report = cleaner.report()
    if not report.kept:
        raise DataError(f"no training pair is left; {describe_cleaning(report)}")
    held_out = _held_out(data, kept_of_corpus, seed=seed) if not data.valid else frozenset()
    return Selection(data, seed, report, held_out)


def _held_out(data: DataConfig, kept_of_corpus: Sequence[int], *, seed: int) -> frozenset[int]:
    """Choose places among the cleaned pairs, from the corpora whose pairs may be held out."""
    ends = np.cumsum(kept_of_corpus)
    rows = np.concatenate(
        [
            np.arange(end - kept, end)
            for corpus, end, kept in zip(data.train, ends, kept_of_corpus, strict=True)
            if corpus.hold_out
        ]
        or [ends[:0]]
    )
    if ends[-1] < 2 or not rows.size:
        few = "one training pair" if ends[-1] < 2 else "no training pair that may be held out (hold_out = false)"
        raise DataError(f"{few} and no validation text: give --valid-src and --valid-tgt, or more text")
    count = min(_LARGEST_HELD_OUT, max(1, rows.size // _HELD_OUT_SHARE))
    chosen = np.random.default_rng([seed, 0x5EED]).choice(rows.size, size=count, replace=False)
    return frozenset(rows[chosen].tolist())


def describe_cleaning(report: CleaningReport) -> str:
    """Return the line about the filters for the screen and the card."""
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in report.dropped.items() if count)
    return f"cleaning: {counted(report.read, 'pair')} read, {report.kept:,} kept" + (
        f"; dropped: {reasons}" if reasons else ""
    )


def deciding_settings(data: DataConfig) -> dict[str, object]:
    """Return the settings that decide which pairs a run reads, for its record; names of files are not among them.

    A setting that older releases lack is left out where it has no effect, so that their runs can be continued.
    """
    unused = {
        name for name in ("capitals_share", "mixing_temperature") if getattr(data, name) == _DEFAULTS[name].default
    }
    tags = [data.tag_of(corpus) for corpus in data.corpora()]
    shares = [corpus.share for corpus in data.train]
    held_out = [corpus.hold_out for corpus in data.train]
    return {
        "columns": _unusual_columns(data),
        "data": data.model_dump(
            mode="json", exclude={"train", "valid", "general", "tag", "max_unknown_share", *unused}
        ),
        **({"tags": tags} if any(tags) else {}),
        "weights": [corpus.weight for corpus in data.train],
        **({"shares": shares} if any(shares) else {}),
        **({} if all(held_out) else {"hold_out": held_out}),
        "has_valid": bool(data.valid),
        **({"has_general": True} if data.general is not None else {}),
    }


def _unusual_columns(data: DataConfig) -> dict[str, list[int | str]] | None:
    """Return the columns or keys that are read where they are not the default; the bytes of a file do not show them."""
    found: dict[str, list[int | str]] = {}
    for number, corpus in enumerate(data.corpora()):
        if corpus.tsv is not None and (corpus.src_column, corpus.tgt_column) != (0, 1):
            found[str(number)] = [corpus.src_column, corpus.tgt_column]
        if corpus.jsonl is not None and (corpus.src_key, corpus.tgt_key) != ("source", "target"):
            found[str(number)] = [corpus.src_key, corpus.tgt_key]
    return found or None
