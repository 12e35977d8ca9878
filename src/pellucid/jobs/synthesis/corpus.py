"""Rows to a corpus: a file with one pair on each line and a tab between the sides, without duplicates.

Read ``job.py`` next.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from pellucid.config.synthesis import SynthesisConfig
from pellucid.errors import DataError, counted
from pellucid.jobs.line_files import writing
from pellucid.jobs.synthesis.pairs import pairs_of
from pellucid.text.cleaning import DUPLICATE, CleaningReport, DigestSet, digest_of

__all__ = ["CorpusWriter", "describe"]


class CorpusWriter:
    """Writes the pairs of all rows that are kept; afterwards it knows the counts and the SHA-256 of the text.

    Memory does not grow with the corpus, except for 16 bytes for each pair where duplicates are dropped.
    """

    def __init__(self, config: SynthesisConfig) -> None:
        self._config = config
        self.report = CleaningReport(0, 0, {})
        self.sha256 = ""

    def write(self, output: Path, texts: Iterable[str]) -> None:
        """Write the corpus from the rows of all parts.

        Raises:
            DataError: no pair is kept.
            OSError: writing fails, as on a full disk.
        """
        seen, digest, counts = DigestSet(), hashlib.sha256(), Counter[str]()
        with writing(output, sources=()) as sink:
            for reason, pair in pairs_of(_rows(texts)):
                if not reason and self._config.cleaning.drop_duplicates and not seen.add(digest_of(pair)):
                    reason = DUPLICATE
                counts[reason] += 1
                if not reason:
                    line = f"{pair.source}\t{pair.target}\n"
                    digest.update(line.encode())
                    sink.write(line)
            kept = counts.pop("", 0)
            self.report = CleaningReport(kept + sum(counts.values()), kept, dict(counts.most_common()))
            if not kept:
                raise DataError(
                    f"{output}: no pair is left ({describe(self.report)}); correct the input, or allow more with --set "
                    "and --restart"
                )
        self.sha256 = digest.hexdigest()


def _rows(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from text.removesuffix("\n").split("\n") if text else ()


def describe(report: CleaningReport) -> str:
    """Return the line about the counts."""
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in report.dropped.items())
    return f"{counted(report.read, 'line')} read, {counted(report.kept, 'pair')} written" + (
        f"; dropped: {reasons}" if reasons else ""
    )
