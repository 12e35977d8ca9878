"""Select from the corpora of a recipe the pairs that a run trains on and the pairs that validate it.

Every pass over the text yields the same pairs in the same order, so only the role of each is kept in memory, a byte.
The first pass cleans, and the others read the roles. Without validation files, a seeded part of the training text is
held out. Read ``store.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pellucid.config import CorpusConfig, DataConfig
from pellucid.errors import DataError, counted
from pellucid.text.capitals import with_capitals
from pellucid.text.cleaning import Cleaner, CleaningReport
from pellucid.text.corpus import SentencePair, read_pairs
from pellucid.text.splits.leakless import Role, Split, SplitRows, split_rows

__all__ = ["Selection", "cleaned_pairs", "deciding_settings", "describe_cleaning", "select_pairs"]

_LARGEST_HELD_OUT: Final = 1000
_HELD_OUT_SHARE: Final = 100
_PAIRS_BETWEEN_REPORTS: Final = 5000
_DEFAULTS: Final = DataConfig.model_fields


def cleaned_pairs(data: DataConfig, cleaner: Cleaner) -> Iterator[SentencePair]:
    """Yield the training pairs of all corpora that the filters keep, in order."""
    return cleaner.clean(_training_text(data))


def _training_text(data: DataConfig) -> Iterator[SentencePair]:
    for index, corpus in enumerate(data.train):
        yield from _read(data, corpus, index=index)


@dataclass(frozen=True)
class Selection:
    """Which of the pairs that were read train and which validate."""

    data: DataConfig
    seed: int
    report: CleaningReport
    roles: NDArray[np.uint8]
    """The role of each pair that was read: which train, validate, test, are left out, or dropped in the cleaning."""
    split: Split | None = None
    """How they were split without leaks; None where pairs are held out at random, or none is."""

    def count(self, role: Role) -> int:
        """Return how many pairs have a role."""
        return int(np.count_nonzero(self.roles == role))

    def training_pairs(self) -> Iterator[SentencePair]:
        """Yield the pairs to train on, with the copies in capitals."""
        return with_capitals(self._rows(Role.TRAINING), share=self.data.capitals_share, seed=self.seed)

    def validation_pairs(self) -> Iterator[SentencePair]:
        """Yield the pairs of the validation files in turns, which are not cleaned, or those that are held out."""
        if not self.data.valid:
            return self._rows(Role.VALIDATION)
        corpora = [_read(self.data, corpus, index=index) for index, corpus in enumerate(self.data.valid)]
        return (pair for turn in zip_longest(*corpora) for pair in turn if pair is not None)

    def test_pairs(self) -> Iterator[SentencePair]:
        """Yield the pairs of the test files, which are not cleaned, or those that are held out, if any."""
        return self._rows(Role.TEST) if self.data.test is None else _read(self.data, self.data.test)

    def _rows(self, role: Role) -> Iterator[SentencePair]:
        roles = self.roles.data  # much faster to iterate over than the array
        return (pair for pair, own in zip(_training_text(self.data), roles, strict=True) if own == role)


def _read(data: DataConfig, corpus: CorpusConfig, *, index: int = 0) -> Iterator[SentencePair]:
    languages = data.languages_of(corpus)
    return read_pairs(corpus, index=index, invalid_utf8=data.invalid_utf8, languages=languages)


def select_pairs(
    data: DataConfig, *, seed: int, progress: Callable[[int], None], folder: Path | None = None
) -> Selection:
    """Read and clean the training text once, and choose the pairs to hold out where there are no validation files.

    ``folder`` is where the digests go that tell duplicates in a large text; without it, memory has them.

    Raises:
        DataError: a file is damaged, no pair is left, or the only pair would have to be held out.
    """
    cleaner = Cleaner(data.cleaning, folder=folder)
    kept_of_corpus = [0] * len(data.train)
    config, rows = data.split_without_leaks(), SplitRows(seed=seed)
    is_kept = bytearray()
    for number, pair in enumerate(_training_text(data), start=1):
        keeps = cleaner.keeps(pair)
        is_kept.append(keeps)
        if number % _PAIRS_BETWEEN_REPORTS == 0:
            progress(number)
        if not keeps:
            continue
        kept_of_corpus[pair.corpus] += 1
        if config is not None:
            rows.add(pair, may_be_held_out=data.train[pair.corpus].hold_out)
    report = cleaner.report()
    del cleaner  # and its digests, before the roles of all pairs are put together
    if not report.kept:
        raise DataError(f"no training pair is left; {describe_cleaning(report)}")
    if config is not None:
        chosen = Selection(data, seed, report, np.zeros(0, dtype=np.uint8))
        split = split_rows(
            rows,
            config,
            valid=chosen.validation_pairs() if data.valid else None,
            test=chosen.test_pairs() if data.test else None,
        )
        return Selection(data, seed, report, _of_all(is_kept, split.roles), split)
    roles = np.full(report.kept, Role.TRAINING, dtype=np.uint8)
    if not data.valid:
        roles[_held_out(data, kept_of_corpus, report, seed=seed)] = Role.VALIDATION
    return Selection(data, seed, report, _of_all(is_kept, roles))


def _of_all(is_kept: bytearray, roles: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the roles of all pairs that were read from those of the cleaned ones."""
    found = np.full(len(is_kept), Role.DROPPED, dtype=np.uint8)
    found[np.frombuffer(is_kept, dtype=np.bool_)] = roles
    return found


def _held_out(
    data: DataConfig, kept_of_corpus: Sequence[int], report: CleaningReport, *, seed: int
) -> NDArray[np.int64]:
    """Choose places among the cleaned pairs, from the corpora whose pairs may be held out."""
    free = np.array([kept * corpus.hold_out for corpus, kept in zip(data.train, kept_of_corpus, strict=True)])
    total, size = sum(kept_of_corpus), int(free.sum())
    if total < 2 or not size:
        few = "one training pair" if total < 2 else "no training pair that may be held out (hold_out = false)"
        raise DataError(
            f"{few} and no validation text: give --valid-src and --valid-tgt, or more text; {describe_cleaning(report)}"
        )
    count = min(_LARGEST_HELD_OUT, max(1, size // _HELD_OUT_SHARE))
    chosen = np.random.default_rng([seed, 0x5EED]).choice(size, size=count, replace=False)
    # From a place among the pairs that may be held out to one among all: the other corpora before it come on top.
    corpus = np.searchsorted(np.cumsum(free), chosen, side="right")
    before = np.cumsum(np.array(kept_of_corpus) - free)
    found: NDArray[np.int64] = chosen + before[corpus]
    return found


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
            mode="json", exclude={"train", "valid", "general", "test", "split", "tag", "max_unknown_share", *unused}
        ),
        **({"tags": tags} if any(tags) else {}),
        "weights": [corpus.weight for corpus in data.train],
        **({"shares": shares} if any(shares) else {}),
        **({} if all(held_out) else {"hold_out": held_out}),
        "has_valid": bool(data.valid),
        **({"has_general": True} if data.general is not None else {}),
        **({"has_test": True} if data.test is not None else {}),
        **({"split": split.model_dump(mode="json")} if (split := data.split_without_leaks()) is not None else {}),
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
