"""Read and verify parallel text: two files line by line, TSV, JSON lines, or the ``files`` that ``formats/`` reads.

``read_pairs`` streams one corpus. ``verify_corpora`` reads every file of a run once and reports all problems together,
before the training begins. TSV has no quoting and no header; tabs separate the columns. A JSON line is an object with
two strings. ``lines.py`` defines a line; read ``notices.py`` next.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import Final

import numpy as np

from pellucid.config import CorpusConfig, DataConfig, InvalidUtf8
from pellucid.errors import DataError, counted
from pellucid.text.formats.reading import FilesReader, describe_files
from pellucid.text.formats.units import FileReport
from pellucid.text.lines import TOO_LONG, LineReader, Report, place_of, read_lines
from pellucid.text.notices import SideNotices, notes_on

__all__ = ["CorpusFacts", "SentencePair", "read_lines", "read_pairs", "verify_corpora"]

MAX_PROBLEMS_PER_FILE: Final = 5
ROWS_AT_ONCE: Final = 4096
BAD_JSON_TEXT: Final = "NUL character or lone surrogate"
_UNWRITABLE: Final = re.compile("[\x00\ud800-\udfff]")
_END: Final = object()


@dataclass(frozen=True, slots=True)
class SentencePair:
    """A sentence and its translation, with their place."""

    source: str
    target: str
    line: int
    """Line in the file, from 0."""
    corpus: int
    """Index of the corpus in the recipe, from 0."""
    document: int = 0
    """Number of the document within the corpus, from 1; 0 where it is not known."""


@dataclass(frozen=True)
class CorpusFacts:
    """The facts of a verified corpus."""

    label: str
    pairs: int
    """The number of pairs that ``read_pairs`` yields."""
    skipped: dict[str, int]
    """The number of skipped lines for each reason; ``pairs`` and these add up to the lines."""
    sha256: str
    """Of the text after decompression, or for two files of their digests."""
    replaced: int
    """The number of lines that the policy ``replace`` changed."""
    names: tuple[str, ...]
    """The names of all files."""
    notes: tuple[str, ...]
    """Notes about text that is allowed but probably a mistake."""
    files: tuple[LineReader, ...] = ()
    """Files that are read line by line, with the facts of the pass over each."""
    reports: tuple[FileReport, ...] = ()
    """Of ``files`` in the recipe: what became of the units of each."""


def read_pairs(
    corpus: CorpusConfig, *, index: int, invalid_utf8: InvalidUtf8, languages: tuple[str, str] = ("", "")
) -> Iterator[SentencePair]:
    """Yield the pairs of a corpus in order and in constant memory, without skipped lines.

    Args:
        corpus: names the files.
        index: its place in the recipe, from 0.
        invalid_utf8: the policy for bad text.
        languages: codes of source and target, which ``files`` need.

    Raises:
        DataError: at the first problem, with file and line.
    """
    if corpus.files:
        for unit in FilesReader(corpus, languages=languages, invalid_utf8=invalid_utf8).read():
            yield SentencePair(unit.source, unit.target, unit.line, index, unit.document)
        return
    if corpus.src is not None and corpus.tgt is not None:
        yield from _read_parallel(corpus.src, corpus.tgt, index, invalid_utf8)
        return
    for path in corpus.paths():
        rows = _Rows(corpus, LineReader(path, invalid_utf8=invalid_utf8))
        for line, sides in rows.read():
            if sides is not None:
                yield SentencePair(sides[0], sides[1], line, index)


def _read_parallel(src: Path, tgt: Path, index: int, invalid_utf8: InvalidUtf8) -> Iterator[SentencePair]:
    sides = zip_longest(
        read_lines(src, invalid_utf8=invalid_utf8), read_lines(tgt, invalid_utf8=invalid_utf8), fillvalue=_END
    )
    for line, (source, target) in enumerate(sides):
        if source is _END or target is _END:
            more = 1 + sum(1 for _ in sides)
            counts = (line + more, line) if target is _END else (line, line + more)
            raise DataError(_unequal(src, tgt, *counts))
        if isinstance(source, str) and isinstance(target, str):
            yield SentencePair(source, target, line, index)


class _Rows:
    """The rows of a TSV or JSON-lines file as (line, sides); sides are None for a skipped row."""

    def __init__(self, corpus: CorpusConfig, reader: LineReader) -> None:
        self.corpus = corpus
        self.reader = reader
        self._parse = self._parse_tsv if corpus.tsv is not None else self._parse_json

    def read(self) -> Iterator[tuple[int, tuple[str, str] | None]]:
        line = 0
        for block in self.reader.blocks():
            for text in block:
                yield line, None if text is None else self._parse(text, line)
                line += 1

    def _parse_tsv(self, text: str, line: int) -> tuple[str, str] | None:
        columns = text.split("\t")
        source, target = self.corpus.src_column, self.corpus.tgt_column
        if max(source, target) < len(columns):
            return columns[source], columns[target]
        self.reader.report(
            line,
            f"the row has {counted(len(columns), 'column')}, but src_column = {source} and tgt_column = {target} need "
            f"{max(source, target) + 1} (columns are counted from 0); correct the row or the settings",
        )
        return None

    def _parse_json(self, text: str, line: int) -> tuple[str, str] | None:
        keys = (self.corpus.src_key, self.corpus.tgt_key)
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            self.reader.report(
                line, f"is not JSON ({error}); each line must be an object with {keys[0]!r} and {keys[1]!r}"
            )
            return None
        if not isinstance(record, dict):
            self.reader.report(
                line, f"is JSON but not an object; each line must be an object with {keys[0]!r} and {keys[1]!r}"
            )
            return None
        sides: list[str] = []
        for key in keys:
            value = record.get(key)
            if not isinstance(value, str):
                found = f"is not a string ({type(value).__name__})" if key in record else "is missing"
                self.reader.report(line, f"the key {key!r} {found}; the line has the keys {sorted(record)[:8]}")
                return None
            checked = self._checked(value, key, line)
            if checked is None:
                return None
            sides.append(checked)
        return sides[0], sides[1]

    def _checked(self, value: str, key: str, line: int) -> str | None:
        """Return a value as one line of valid UTF-8, by the same policy as a line of a text file."""
        if "\n" in value:
            self.reader.report(
                line, f"the value of {key!r} has a line break, which is not allowed; split it or join its lines"
            )
            return None
        clean = _UNWRITABLE.sub("\ufffd", value)
        if clean == value:
            return value
        policy = self.reader.invalid_utf8
        if policy is InvalidUtf8.STRICT:
            self.reader.report(
                line,
                f"the value of {key!r} has a {BAD_JSON_TEXT}; correct the file, or for training set "
                "data.invalid_utf8 = 'replace' or 'skip'",
            )
            return None
        self.reader.bad_lines[line] = BAD_JSON_TEXT
        return clean if policy is InvalidUtf8.REPLACE else None


def verify_corpora(data: DataConfig) -> tuple[CorpusFacts, ...]:
    """Read every training and validation file once; return facts for each corpus, training ones first.

    Raises:
        DataError: one line for each problem, with file and line (for each file only the first few); for files of
            unequal length, both counts and the line where they probably diverge.
    """
    problems: list[str] = []
    facts: list[CorpusFacts] = []
    for corpus in data.corpora():
        found = _Problems()
        verified = _verify(corpus, data, found)
        problems += found.lines()
        if verified is not None:
            facts.append(verified)
    if problems:
        raise DataError("\n".join(problems))
    return tuple(facts)


class _Problems:
    """The problems of one corpus: the first few of each file, and the number of the others."""

    def __init__(self) -> None:
        self._by_file: dict[Path, list[str]] = {}
        self._counts: Counter[Path] = Counter()
        self._plain: list[str] = []

    def of_file(self, path: Path) -> Report:
        def report(line: int | None, problem: str) -> None:
            self._counts[path] += 1
            if self._counts[path] <= MAX_PROBLEMS_PER_FILE:
                self._by_file.setdefault(path, []).append(f"{place_of(path, line)}: {problem}")

        return report

    def add(self, problem: str) -> None:
        self._plain.append(problem)

    def __bool__(self) -> bool:
        return bool(self._counts or self._plain)

    def lines(self) -> list[str]:
        found: list[str] = []
        for path, messages in self._by_file.items():
            found += messages
            if (more := self._counts[path] - len(messages)) > 0:
                found.append(f"{path}: {counted(more, 'more bad line')}")
        return found + self._plain


def _verify_files(corpus: CorpusConfig, data: DataConfig, problems: _Problems) -> CorpusFacts | None:
    """Read the units of ``files`` once; their digest depends on what is used and not on names or dates."""
    notes: list[str] = []
    digest, pairs = hashlib.sha256(), 0
    languages = data.languages_of(corpus)
    try:
        reader = FilesReader(corpus, languages=languages, invalid_utf8=data.invalid_utf8, say=notes.append)
        for unit in reader.read():
            digest.update(f"{unit.document} {len(unit.source)} {unit.source}{unit.target}\n".encode())
            pairs += 1
    except DataError as error:
        problems.add(str(error))
        return None
    reports = reader.reports()
    lines = describe_files(reports, languages)
    if not pairs:
        problems.add("; ".join((f"{corpus.label()}: no unit can be used", *lines)))
        return None
    skipped: Counter[str] = Counter()
    for report in reports:
        skipped.update(report.left_out)
    return CorpusFacts(
        label=corpus.label(),
        pairs=pairs,
        skipped=dict(skipped),
        sha256=digest.hexdigest(),
        replaced=0,
        names=tuple(file.label for file in reader.files),
        notes=(*lines, *notes),
        reports=reports,
    )


def _verify(corpus: CorpusConfig, data: DataConfig, problems: _Problems) -> CorpusFacts | None:
    if corpus.files:
        return _verify_files(corpus, data, problems)
    readers = [LineReader(p, invalid_utf8=data.invalid_utf8, report=problems.of_file(p)) for p in corpus.paths()]
    notices = [SideNotices(name) for name in _side_names(corpus)]
    complete = True
    for number, reader in enumerate(readers):
        try:
            if corpus.src is None:
                _see_rows(_Rows(corpus, reader), notices)
            else:
                for block in reader.blocks():
                    notices[number].see(block)
        except DataError as error:
            problems.add(str(error))
            complete = False
    counts = [reader.num_lines for reader in readers]
    if complete and len(set(counts)) > 1:
        problems.add(_unequal(readers[0].path, readers[1].path, *counts) + _drift(readers[0].path, readers[1].path))
    if problems:
        return None
    return _facts(corpus, readers, problems, notes=notes_on(notices, languages=(data.src_lang, data.tgt_lang)))


def _side_names(corpus: CorpusConfig) -> list[str]:
    if corpus.tsv is not None:
        return [f"{corpus.tsv}, column {column}" for column in (corpus.src_column, corpus.tgt_column)]
    if corpus.jsonl is not None:
        return [f"{corpus.jsonl}, key {key!r}" for key in (corpus.src_key, corpus.tgt_key)]
    return [str(path) for path in corpus.paths()]


def _see_rows(rows: _Rows, notices: Sequence[SideNotices]) -> None:
    waiting = rows.read()
    while some := [sides for _, sides in islice(waiting, ROWS_AT_ONCE)]:
        pairs = [sides for sides in some if sides is not None]
        for number, side in enumerate(notices):
            side.see([pair[number] for pair in pairs])


def _facts(
    corpus: CorpusConfig, readers: list[LineReader], problems: _Problems, *, notes: tuple[str, ...]
) -> CorpusFacts | None:
    skips = readers[0].invalid_utf8 is InvalidUtf8.SKIP
    left_out: dict[int, str] = {}
    replaced: set[int] = set()
    for reader in reversed(readers):  # if both sides are bad, the reason of the source counts
        for line, reason in reader.bad_lines.items():
            if skips or reason == TOO_LONG:
                left_out[line] = reason
            else:
                replaced.add(line)
    pairs = readers[0].num_lines - len(left_out)
    if pairs == 0:
        lines = counted(len(left_out), "line")
        problems.add(f"{readers[0].path}: every line is bad and skipped ({lines}); save the file as UTF-8")
        return None
    digests = [reader.sha256 for reader in readers]
    both = digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()
    return CorpusFacts(
        label=corpus.label(),
        pairs=pairs,
        skipped=dict(Counter(left_out.values())),
        sha256=both,
        replaced=len(replaced - left_out.keys()),
        names=tuple(reader.path.name for reader in readers),
        files=tuple(readers),
        notes=notes,
    )


def _unequal(src: Path, tgt: Path, num_source: int, num_target: int) -> str:
    return (
        f"{src} has {counted(num_source, 'line')} and {tgt} has {num_target:,}; line N "
        "of one file must translate line N of "
        "the other, so both need the same number of lines"
    )


def _drift(src: Path, tgt: Path) -> str:
    """Guess where two files of unequal length diverge: by one shift, at the line where sentence lengths agree best.

    This reads both files again, but only before an error, and keeps four bytes for each line.
    """
    sides = []
    for path in (src, tgt):
        lines = read_lines(path, invalid_utf8=InvalidUtf8.SKIP)
        sides.append(np.fromiter((len(line or "") + 1 for line in lines), dtype=np.float32))
    if sides[0].size == sides[1].size:
        return ""
    longer, shorter = sorted((np.log(side) for side in sides), key=len, reverse=True)
    shift = len(longer) - len(shorter)
    bias = float(np.median(longer[: len(shorter)]) - np.median(shorter))
    straight = np.abs(longer[: len(shorter)] - shorter - bias)
    shifted = np.abs(longer[shift:] - shorter - bias)
    cost = np.concatenate(([0.0], np.cumsum(straight - shifted, dtype=np.float64)))
    return f". Sentence lengths suggest that they diverge near line {int(np.argmin(cost)) + 1:,}"
