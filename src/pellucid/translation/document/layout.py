r"""Cut a document into blocks that are translated, and the white space between them, which is not.

The rules:

1. A line ends at ``\n``, ``\r\n``, ``\r``, or another character at which Unicode breaks lines. White space at both ends
   of a line, blank lines and the ends of lines are layout.
2. Markers at the start of a line are layout too: bullets, signs of headings and quotations, numbers and letters of
   lists (``1.``, ``2)``, ``(a)``), check boxes (``[ ]``, ``[x]``), one or several, each with white space behind it
   (``>`` needs none). A letter with a full stop is no marker: it begins "z. B." and "A. Smith" as well.
3. Inside a line, a tab and a run of three or more white-space characters separate columns, which are blocks.
4. What a line, or a column, has between is a block. With ``Lines.KEEP`` that is all.
5. With ``Lines.JOIN`` and ``Lines.WRAP`` a line that goes on in the next is one block with it. It goes on where the
   first word of the next line begins with a small letter, or would not have fitted: into the width of the widest line
   without a blank line between. A line does not go on into one with a marker, or one that is indented further
   (except below a marker), nor into or out of one with columns.

Read ``results.py`` next.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby, islice
from typing import Final

__all__ = ["Block", "Lines", "after_markers", "blocks_of", "breaks_of", "looks_wrapped"]

_LINE_END: Final = re.compile("\r\n|[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_COLUMN_GAP: Final = re.compile(r"\s*\t\s*|\s{3,}")
_BYTE_ORDER_MARK: Final = "\ufeff"
_MARKERS: Final = re.compile(
    r"(?:(?:[-*+•‣◦–—·>|#]+|\(?\d{1,3}[.)]|\(?[A-Za-z]\)|\[[ xX]\])\s+"
    r"|>++(?!=|\w+<<))+"  # a quotation; neither ">=" nor a language tag as in ">>fra<<"
)
_FEWEST_LINES: Final = 8
"""Fewer say nothing of how a document is set."""


class Lines(StrEnum):
    """What the ends of lines inside a paragraph mean."""

    KEEP = "keep"
    """Each line is a text of its own and stays a line."""
    JOIN = "join"
    """Lines that go on in the next are one text, whose translation is one line."""
    WRAP = "wrap"
    """The same, and the translation is broken into lines as wide as those of the paragraph."""


@dataclass(frozen=True)
class Block:
    """A stretch of a document that is translated: without white space at its ends, behind the markers of its line."""

    start: int
    end: int
    width: int = 0
    """Characters of the widest line of its paragraph where it has several lines, else 0."""
    indent: str = ""
    """White space before the lines after the first."""
    line_end: str = "\n"
    """What ends the lines of its paragraph."""


@dataclass(frozen=True)
class _Line:
    start: int
    end: int
    """Without white space at both ends, as ``start``."""
    body: int
    """Where the text behind its markers starts; ``start`` if it has none."""
    indent: str
    line_end: str
    columns: tuple[tuple[int, int], ...]

    @property
    def width(self) -> int:
        return len(self.indent) + self.end - self.start

    @property
    def has_marker(self) -> bool:
        return self.body > self.start

    @property
    def is_blank(self) -> bool:
        return self.start == self.end


def blocks_of(text: str, lines: Lines) -> list[Block]:
    """Return the blocks of a document, in order."""
    found: list[Block] = []
    for is_blank, group in groupby(_lines_of(text), key=lambda line: line.is_blank):
        if is_blank:
            continue
        paragraph = list(group)
        width = max(line.width for line in paragraph)
        run: list[_Line] = []
        for line in paragraph:
            if run and (lines is Lines.KEEP or not _goes_on(text, run, line, width)):
                found += _as_blocks(run, width)
                run = []
            run.append(line)
        found += _as_blocks(run, width)
    return found


def looks_wrapped(text: str) -> bool:
    """Return whether most lines of a document go on in the next, which ``Lines.KEEP`` translates apart."""
    if not next(islice(_LINE_END.finditer(text), _FEWEST_LINES - 2, None), None):
        return False  # most texts of a service are a line or two
    every = [line for line in _lines_of(text) if not line.is_blank]
    joined = len(blocks_of(text, Lines.JOIN))
    columns = sum(len(line.columns) for line in every)
    begins_small = sum(text[line.start].islower() for line in every)
    return len(every) >= _FEWEST_LINES and joined <= columns / 2 and begins_small >= len(every) / 4


def after_markers(text: str, start: int, end: int) -> int:
    """Return where the text behind the markers at ``start`` begins; ``start`` where there are none."""
    found = _MARKERS.match(text, start, end)
    return found.end() if found and found.end() < end else start


def breaks_of(text: str, block: Block, *, starts_at: int) -> list[int]:
    """Return the places of the spaces of a text that become ends of lines, so that no line is wider than the block's.

    Args:
        text: the translation, in one line.
        block: one of a single line has no breaks.
        starts_at: characters before the text in its first line.
    """
    found: list[int] = []
    if not block.width:
        return found
    line_start, last_space = -starts_at, -1
    for place, character in enumerate([*text, " "]):
        if character != " ":
            continue
        if place - line_start > block.width and last_space > max(line_start, 0):
            found.append(last_space)
            line_start = last_space + 1 - len(block.indent)
        last_space = place
    return found


def _lines_of(text: str) -> list[_Line]:
    found = []
    start = int(text.startswith(_BYTE_ORDER_MARK))
    ends = [(one.start(), one.end(), one[0]) for one in _LINE_END.finditer(text)]
    for end, after, line_end in [*ends, (len(text), len(text), "")]:
        body = text[start:end]
        bare = body.strip()
        indent = body[: len(body) - len(body.lstrip())] if bare else ""
        first = start + len(indent)
        last = first + len(bare)
        text_start = after_markers(text, first, last)
        found.append(_Line(first, last, text_start, indent, line_end, tuple(_columns(text, text_start, last))))
        start = after
    return found


def _columns(text: str, start: int, end: int) -> list[tuple[int, int]]:
    if start == end:
        return []
    found = []
    for gap in _COLUMN_GAP.finditer(text, start, end):
        found.append((start, gap.start()))
        start = gap.end()
    return [*found, (start, end)]


def _goes_on(text: str, before: Sequence[_Line], line: _Line, width: int) -> bool:
    """Return whether the last of some lines of one block goes on in the next line."""
    last = before[-1]
    if len(last.columns) > 1 or len(line.columns) > 1 or line.has_marker:
        return False
    hangs = len(before) == 1 and last.has_marker
    if len(line.indent) > len(last.indent) and not hangs:
        return False
    first_word = text[line.start : line.end].split(None, 1)[0]
    return first_word[0].islower() or last.width + 1 + len(first_word) > width


def _as_blocks(lines: Sequence[_Line], width: int) -> list[Block]:
    if len(lines) == 1:
        return [Block(start, end) for start, end in lines[0].columns]
    return [Block(lines[0].body, lines[-1].end, width, lines[1].indent, lines[0].line_end)]
