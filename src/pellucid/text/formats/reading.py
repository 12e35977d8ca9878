"""From the files of a corpus to pairs of texts, with a report that adds up. Read ``keeping.py`` next.

White space with a line break or a tab becomes one space, and none is left at the ends. The policy ``replace`` for
invalid text replaces it; with any other policy such a unit is left out, because a memory of years has a few. With
``strict`` a file is refused where most units beyond ASCII are invalid: it is in another encoding.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from pellucid.config import CorpusConfig, InvalidUtf8
from pellucid.errors import DataError, counted
from pellucid.text.formats.encodings import is_other_encoding, looks_like
from pellucid.text.formats.inline import INLINE_TAG
from pellucid.text.formats.keeping import kept_units
from pellucid.text.formats.languages import tidy_code
from pellucid.text.formats.moses import read_moses
from pellucid.text.formats.naming import NamedFile, files_of, refuse_other_format
from pellucid.text.formats.po import read_po
from pellucid.text.formats.records import read_jsonl, read_parquet
from pellucid.text.formats.sides import SwapWatch, languages_in
from pellucid.text.formats.tables import read_csv, read_tsv
from pellucid.text.formats.tmx import read_tmx
from pellucid.text.formats.units import (
    MAX_UNIT_CHARACTERS,
    FileReport,
    FileTally,
    Found,
    LeftOut,
    Reason,
    Request,
    Unit,
)
from pellucid.text.formats.xliff import read_xliff
from pellucid.text.lines import ends_within_a_line, sample_of_bad_lines

__all__ = ["FilesReader", "NumberedUnit", "describe_files"]

_READERS: Final = {
    "tmx": read_tmx,
    "xliff": read_xliff,
    "po": read_po,
    "csv": read_csv,
    "tsv": read_tsv,
    "jsonl": read_jsonl,
    "parquet": read_parquet,
}
_WITH_LANGUAGES: Final = frozenset({"tmx", "xliff", "po"})
_OF_LINES: Final = {"po": "entry", "csv": "row", "tsv": "row", "jsonl": "record"}
_SPACES: Final = re.compile(r"[ \u00a0]*[\t\n\r\v\f\x1c-\x1e\x85\u2028\u2029][\s]*")
_BAD: Final = re.compile("[\x00\ud800-\udfff]")
_MOST_SHOWN: Final = 8
_REMEDIES: Final = {
    Reason.CONTEXT: "keep_context = true of the corpus keeps entries with a context",
    Reason.NO_SOURCE: "check --src-lang",
    Reason.NO_TARGET: "check --tgt-lang",
    Reason.BROKEN: "check the format and the columns",
}


@dataclass(frozen=True, slots=True)
class NumberedUnit:
    """A unit to use, with its place."""

    source: str
    target: str
    line: int
    """From 0, in its file."""
    document: int
    """From 1, by first appearance; 0 where the file names no document."""


class FilesReader:
    """One pass over the files of a corpus, and its reports.

    Args:
        corpus: names the files.
        languages: codes of source and target.
        invalid_utf8: the policy for invalid text.
        say: receives notes.
    """

    def __init__(
        self,
        corpus: CorpusConfig,
        *,
        languages: tuple[str, str],
        invalid_utf8: InvalidUtf8,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.files = files_of(corpus, languages)
        self._notes: list[str] = []
        self._say = say
        self._request = Request(languages, corpus, invalid_utf8, self._note)
        self._documents: dict[tuple[int, str], int] = {}
        self._tallies: list[FileTally] = []

    def read(self) -> Iterator[NumberedUnit]:
        """Yield the units to use; inside of ``parsing_once``, those of files that are parsed already come from there.

        Raises:
            DataError: a file cannot be read, is of another format or has other languages.
        """
        kept = kept_units()
        if kept is None:
            yield from self._parsed()
        elif (found := kept.passes.get(key := self._key())) is not None:
            for note in found.notes:
                self._note(note)
            self._tallies += found.tallies
            yield from (NumberedUnit(*row) for row in found.rows())
        else:
            with kept.draft() as draft:
                for unit in self._parsed():
                    draft.add((unit.source, unit.target, unit.line, unit.document))
                    yield unit
                draft.keep(key, tallies=self._tallies, notes=self._notes)

    def _parsed(self) -> Iterator[NumberedUnit]:
        for number, file in enumerate(self.files):
            tally, watch = FileTally(file.label, file.format), SwapWatch(self._request.languages)
            self._tallies.append(tally)
            last: Found | None = None
            for raw in self._found(file):
                last = found = self._checked(raw)
                tally.count(found)
                if isinstance(found, Unit):
                    if watch.is_swapped(found):
                        tally.count_swapped(found)
                    yield NumberedUnit(found.source, found.target, found.line, self._document(number, found.document))
            _refuse_cut_off(file, tally, last)
            self._refuse_other_encoding(file, tally)

    def _refuse_other_encoding(self, file: NamedFile, tally: FileTally) -> None:
        bad = tally.left_out[Reason.INVALID_TEXT.value]
        if self._request.invalid_utf8 is not InvalidUtf8.STRICT or not is_other_encoding(
            bad_lines=bad, good_lines=tally.beyond_ascii
        ):
            return
        name, lines = file.label, sample_of_bad_lines(file.path)
        if file.partner is not None:
            name = str(file.path if lines else file.partner)
            lines = lines or sample_of_bad_lines(file.partner)
        raise DataError(
            f"{name}, line {tally.places[Reason.INVALID_TEXT.value][0]:,}: has invalid text, like {bad:,} of "
            f"{counted(bad + tally.beyond_ascii, 'unit')} with characters beyond ASCII{looks_like(lines)}; save the "
            "file as UTF-8, or for training set data.invalid_utf8 = 'skip'"
        )

    def reports(self) -> tuple[FileReport, ...]:
        """Return a report for each file that was read."""
        return tuple(tally.report() for tally in self._tallies)

    def _note(self, text: str) -> None:
        self._notes.append(text)
        self._say(text)

    def _key(self) -> Hashable:
        """Return all that decides the units."""
        paths = [path for file in self.files for path in (file.path, file.partner) if path is not None]
        states = tuple((path, (status := path.stat()).st_size, status.st_mtime_ns) for path in paths)
        return self._request.corpus.model_dump_json(), self._request.languages, self._request.invalid_utf8, states

    def _found(self, file: NamedFile) -> Iterator[Found]:
        if file.partner is not None:
            return read_moses(file.path, file.partner, self._request)
        if file.format == "moses":
            raise DataError(f"{file.path}: has no other half")
        refuse_other_format(file)
        source, target = self._request.languages
        if file.format in _WITH_LANGUAGES and tidy_code(source) == tidy_code(target):
            known = ", ".join(languages_in(file))
            raise DataError(
                f"{file.path}: both languages are {source!r}, and a text is no translation of itself; name two with "
                f"--src-lang and --tgt-lang{f'; its languages are {known}' if known else ''}"
            )
        return _READERS[file.format](file.path, self._request)

    def _checked(self, found: Found) -> Found:
        if isinstance(found, LeftOut):
            return found
        if len(found.source) + len(found.target) > MAX_UNIT_CHARACTERS:
            return LeftOut(Reason.TOO_LARGE, found.line)
        sides = []
        for text in (found.source, found.target):
            if _BAD.search(text):
                if self._request.invalid_utf8 is not InvalidUtf8.REPLACE:
                    return LeftOut(Reason.INVALID_TEXT, found.line)
                text = _BAD.sub("\ufffd", text)
            sides.append(_SPACES.sub(" ", text).strip())
            if not INLINE_TAG.sub("", sides[-1]).strip():
                return LeftOut(Reason.EMPTY, found.line)
        return replace(found, source=sides[0], target=sides[1])

    def _document(self, file: int, name: str) -> int:
        return self._documents.setdefault((file, name), len(self._documents) + 1) if name else 0


def _refuse_cut_off(file: NamedFile, tally: FileTally, last: Found | None) -> None:
    """Refuse a file of lines that ends in the middle of a unit: nobody knows how much of it is missing.

    Those of XML, of Parquet and compressed ones state their own end, and their readers look for it.
    """
    if not isinstance(last, LeftOut) or last.reason is not Reason.BROKEN or file.format not in _OF_LINES:
        return
    if ends_within_a_line(file.path):
        raise DataError(
            f"{file.label}, line {last.line + 1:,}: the file ends within this {_OF_LINES[file.format]}, after "
            f"{counted(tally.units - 1, 'unit')}, so it was cut off; export or fetch it again, or remove the rest of "
            "this one to use what is there"
        )


def describe_files(reports: tuple[FileReport, ...], languages: tuple[str, str]) -> list[str]:
    """Return the lines for the screen: the units, why some are left out, and the language codes that were taken."""
    units, used = (sum(getattr(report, name) for report in reports) for name in ("units", "used"))
    reasons: dict[str, int] = {}
    for report in reports:
        for reason, count in report.left_out.items():
            reasons[reason] = reasons.get(reason, 0) + count
    files = reports[0].name if len(reports) == 1 else f"{counted(len(reports), 'file')}"
    line = f"{files}: {counted(units, 'unit')} = {used:,} used"
    line += "".join(f" + {count:,} {reason}" for reason, count in sorted(reasons.items(), key=lambda one: -one[1]))
    lines = [line]
    for side, asked in enumerate(languages):
        codes: dict[str, int] = {}
        for report in reports:
            for code, count in report.codes[side].items():
                codes[code] = codes.get(code, 0) + count
        if set(codes) - {asked}:
            stated = ", ".join(f"{code} ({count:,})" for code, count in sorted(codes.items(), key=lambda one: -one[1]))
            lines.append(f"{files}: for {asked!r} the texts in {stated} are taken")
    for report in reports[:_MOST_SHOWN]:
        broken = [
            reason for reason in (Reason.BROKEN, Reason.TOO_LARGE, Reason.INVALID_TEXT) if reason in report.places
        ]
        for reason in broken:
            places = ", ".join(f"{place:,}" for place in report.places[reason])
            lines.append(f"{report.name}: {reason.value} at line {places}")
        if report.swapped:
            places = ", ".join(f"{place:,}" for place in report.swapped_places)
            lines.append(
                f"{report.name}: {counted(report.swapped, 'used unit')} "
                f"{'seems' if report.swapped == 1 else 'seem'} to have the languages swapped, at line {places}; "
                "correct or remove them, because they are used as they are"
            )
    remedies = [text for reason, text in _REMEDIES.items() if not used and reasons.get(reason)]
    return lines + [f"{files}: {text}" for text in remedies]
