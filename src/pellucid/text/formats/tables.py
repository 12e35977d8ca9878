"""Read CSV and TSV files, with or without a header. Read ``records.py`` next.

In CSV a cell may be in double quotes, with two for one, and may have line breaks; the separator is the comma, semicolon
or tab that is most frequent in the first line. TSV has no quoting. A header is a first row with the names of the two
columns, which are the keys of the corpus or language codes.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pellucid.errors import DataError
from pellucid.text.formats.languages import answers
from pellucid.text.formats.units import Found, LeftOut, Reason, Request, Unit
from pellucid.text.lines import read_lines

__all__ = ["Columns", "columns_of", "read_csv", "read_tsv"]

_QUOTE: Final = '"'
_SEPARATORS: Final = ",;\t"
_MOST_LINES_OF_A_ROW: Final = 200
_LONGEST_CELL: Final = 131_072
"""The limit of the standard library, which is one for the process and stays as it is."""


@dataclass(frozen=True)
class Columns:
    """Where the texts of a row are."""

    source: int
    target: int
    document: int | None = None
    codes: tuple[str, str] = ("", "")


def read_tsv(path: Path, request: Request) -> Iterator[Found]:
    """Yield the rows of a TSV file.

    Raises:
        DataError: the file cannot be read, or its header lacks a column.
    """
    lines = enumerate(_lines(path, request))
    rows = ((Reason.INVALID_TEXT if text is None else text.split("\t"), line) for line, text in lines)
    return _units(path, rows, request)


def read_csv(path: Path, request: Request) -> Iterator[Found]:
    """Yield the rows of a CSV file.

    Raises:
        DataError: the file cannot be read, or its header lacks a column.
    """
    return _units(path, _rows(_lines(path, request)), request)


def _lines(path: Path, request: Request) -> Iterator[str | None]:
    return read_lines(path, invalid_utf8=request.of_lines)


def _rows(every: Iterator[str | None]) -> Iterator[tuple[list[str] | Reason, int]]:
    """Yield rows with the line where they begin, or why such a row cannot be read.

    A quotation mark that is never closed costs its own line only: the lines after it are read again.
    """
    lines = enumerate(every)
    again: list[tuple[int, str | None]] = []
    separator = ""
    while True:
        line, text = again.pop(0) if again else next(lines, (-1, ""))
        if line < 0:
            return
        if text is None:
            yield Reason.INVALID_TEXT, line
            continue
        separator = separator or max(_SEPARATORS, key=text.count)
        taken: list[tuple[int, str | None]] = []
        whole: str | None = text
        while whole is not None and whole.count(_QUOTE) % 2:
            following = again.pop(0) if again else next(lines, None)
            is_end = following is None or following[1] is None
            if following is not None:
                taken.append(following)
            if is_end or len(taken) > _MOST_LINES_OF_A_ROW or len(whole) > _LONGEST_CELL:
                whole = None
            else:
                whole += f"\n{taken[-1][1]}"
        if whole is None:
            again = taken + again
        yield (None if whole is None else _cells(whole, separator)) or Reason.BROKEN, line


def _cells(text: str, separator: str) -> list[str] | None:
    try:
        rows = list(csv.reader([f"{line}\n" for line in text.split("\n")], delimiter=separator, strict=True))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None


def columns_of(path: Path, names: Sequence[str], request: Request) -> Columns | None:
    """Return where the columns with these names are; None if they are no names but a row of texts.

    Raises:
        DataError: one of the two columns has a name, and the other is missing.
    """
    corpus = request.corpus
    tidy = [name.strip().lstrip("\ufeff").casefold() for name in names]

    def place(key: str, language: str) -> int | None:
        if key.casefold() in tidy:
            return tidy.index(key.casefold())
        return next((i for i, name in enumerate(names) if answers(language, name)), None)

    source, target = (
        place(key, language) for key, language in zip((corpus.src_key, corpus.tgt_key), request.languages, strict=True)
    )
    if source is None and target is None:
        return None
    if source is None or target is None or source == target:
        raise DataError(
            f"{path}: has the columns {', '.join(repr(name) for name in names[:12])}; set src_key and tgt_key of the "
            "corpus to two of them"
        )
    document = tidy.index(corpus.document_key.casefold()) if corpus.document_key.casefold() in tidy else None
    codes = [
        names[i] if answers(language, names[i]) else ""
        for i, language in zip((source, target), request.languages, strict=True)
    ]
    return Columns(source, target, document, (codes[0], codes[1]))


def _units(path: Path, rows: Iterator[tuple[list[str] | Reason, int]], request: Request) -> Iterator[Found]:
    columns = None
    for cells, line in rows:
        if isinstance(cells, Reason):
            yield LeftOut(cells, line)
            continue
        if columns is None:
            columns = columns_of(path, cells, request)
            if columns is not None:
                continue
            columns = Columns(request.corpus.src_column, request.corpus.tgt_column)
        if max(columns.source, columns.target) >= len(cells):
            yield LeftOut(Reason.BROKEN, line)
            continue
        document = columns.document
        name = cells[document] if document is not None and document < len(cells) else ""
        yield Unit(cells[columns.source], cells[columns.target], line, name, columns.codes)
