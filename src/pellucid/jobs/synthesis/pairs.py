"""Lines through a translator to rows: a training pair, or the reason why there is none.

A row is ``reason TAB source TAB target``, with an empty reason for a pair that is kept. Every line gives one row, so
the counts of a corpus add up to its input. Read ``corpus.py`` next.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pellucid.config import InvalidUtf8
from pellucid.config.synthesis import SynthesisConfig
from pellucid.evaluation.sentence_bleu import SentenceBleu
from pellucid.jobs.bulk.survey import Part
from pellucid.jobs.bulk.tally import MOST_PROBLEMS, Tally
from pellucid.jobs.bulk.work import Finished
from pellucid.jobs.line_files import BadLine
from pellucid.text.cleaning import FILTERS, is_empty, is_too_long
from pellucid.text.corpus import SentencePair
from pellucid.translation.flags import in_order
from pellucid.translation.hypothesis import Translation
from pellucid.translation.translator import Translator

__all__ = ["FAILED", "FLAGGED", "UNREADABLE", "PairMaker", "SynthesisKind", "pairs_of"]

UNREADABLE: Final = "unreadable"
"""The reason for a line that is not valid UTF-8, has a NUL character or is too long to be read."""
FAILED: Final = "failed"
"""The reason for a line that could not be translated."""
FLAGGED: Final = "flag "
"""A flag as a reason begins with this, because a filter can have the same name."""
_UNFINISHED: Final = "max_length"
_SEPARATORS: Final = re.compile(r"[\t\r\n]")


class SynthesisKind(StrEnum):
    """Which side of a pair the model writes."""

    BACK_TRANSLATION = "back-translation"
    """The source: a reverse model translates text in the target language (Sennrich et al. 2016a)."""
    DISTILLATION = "distillation"
    """The target: a teacher translates source text (Kim and Rush 2016)."""


@dataclass(frozen=True)
class PairMaker:
    """Makes the rows of a part; called from several threads."""

    translator: Translator
    kind: SynthesisKind
    config: SynthesisConfig
    chunk_lines: int
    language_tag: str = ""
    """Stands before each line for the model, and not in the corpus."""
    closeness: SentenceBleu | None = None
    """Chooses the translation that is closest to the second text of a line; None takes the first."""

    def __call__(self, part: Part, advance: Callable[[int], None]) -> Finished:
        """Translate the lines of a part; each gives a row."""
        lines = [tuple(map(self._readable, line)) for line in part.lines]
        early = [self._reason_before(line) for line in lines]
        before = f"{self.language_tag} " if self.language_tag else ""
        texts = [None if reason else f"{before}{line[0]}" for line, reason in zip(lines, early, strict=True)]
        rows: list[str] = []
        problems: list[tuple[int, str]] = []
        results = self.translator.translate_stream(
            texts, chunk=self.chunk_lines, progress=lambda done: advance(len(rows) + done)
        )
        for place, (line, reason, result) in enumerate(zip(lines, early, results, strict=True)):
            if reason == UNREADABLE or (not reason and result.error):
                problem = next((str(text) for text in line if isinstance(text, ValueError)), result.error or "")
                problems.append((part.first_line + place, problem))
            rows.append(_row(reason) if reason else self._finished(line, result))
        tally = Tally(len(rows), len(problems), tuple(problems[:MOST_PROBLEMS]))
        return Finished("".join(rows), tally)

    def _readable(self, text: str | ValueError) -> str | ValueError:
        replaces = self.config.invalid_utf8 is InvalidUtf8.REPLACE
        return text.replaced if replaces and isinstance(text, BadLine) else text

    def _reason_before(self, line: tuple[str | ValueError, ...]) -> str:
        """Return why a line needs no translation, or ""."""
        if any(isinstance(text, ValueError) for text in line):
            return UNREADABLE
        text = str(line[0])
        alone = SentencePair(text, text, 0, 0)
        if is_empty(alone, self.config.cleaning):
            return "empty"
        return "too_long" if is_too_long(alone, self.config.cleaning) else ""

    def _finished(self, line: tuple[str | ValueError, ...], result: Translation) -> str:
        if result.error:
            return _row(FAILED)
        text, flags = self._chosen(line, result)
        own, made = _SEPARATORS.sub(" ", str(line[0])).strip(), _SEPARATORS.sub(" ", text).strip()
        pair = SentencePair(*((made, own) if self.kind is SynthesisKind.BACK_TRANSLATION else (own, made)), 0, 0)
        for name, drops in FILTERS.items():
            if drops(pair, self.config.cleaning):
                return _row(name)
        for flag in in_order(flags):
            if flag in self.config.drop_flags:
                return _row(f"{FLAGGED}{flag}")
        return _row("", pair)

    def _chosen(self, line: tuple[str | ValueError, ...], result: Translation) -> tuple[str, set[str]]:
        """Return the translation to keep and its flags; an alternative was checked for its end alone."""
        if self.closeness is None or len(result.alternatives) < 2:
            return result.text, set(result.flags)
        place = self.closeness.closest([one.text for one in result.alternatives], str(line[1]))
        if place == 0:
            return result.text, set(result.flags)
        chosen = result.alternatives[place]
        return chosen.text, set() if chosen.is_finished else {_UNFINISHED}


def _row(reason: str, pair: SentencePair | None = None) -> str:
    return f"{reason}\t{pair.source}\t{pair.target}\n" if pair is not None else f"{reason}\t\t\n"


def pairs_of(rows: Iterator[str]) -> Iterator[tuple[str, SentencePair]]:
    """Yield the reason, or "", and the pair of each row."""
    for row in rows:
        reason, source, target = row.split("\t")
        yield reason, SentencePair(source, target, 0, 0)
