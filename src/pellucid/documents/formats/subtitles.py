"""Subtitles: SubRip (.srt) and WebVTT (.vtt). Each cue is a segment; times, numbers, notes and styles stay.

A translation has as many lines as its source where it has words enough. In a cue in which people speak in turns, each
turn is a segment. The dash before a turn, the name of a speaker in capitals, and notes of music are codes. A file that
ends within the times of a cue was cut off, and is refused. Read ``xliff.py`` next.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from operator import itemgetter
from typing import Final

from pellucid.documents.limits import Reading
from pellucid.documents.markup.escapes import escaper, resolved
from pellucid.documents.segments import Code, CodeKind, Segment, has_letters, merged_text
from pellucid.documents.spans import Place, Span, SpanDocument, as_it_is, decoded, line_of, lines_of
from pellucid.errors import DocumentError

__all__ = ["read"]

_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_TIMES: Final = re.compile(r"\s*(?:\d+:)?\d+:\d\d[.,]\d+\s*-->\s*(?:\d+:)?\d+:\d\d[.,]\d+")
_CODE: Final = re.compile(r"</?[A-Za-z\d][^<>\r\n]{0,200}>|\{\\[^{}\r\n]{1,200}\}")
_LEAD: Final = re.compile(
    r"(?:(?:<[^<>\r\n]{1,40}>|\{\\[^{}\r\n]{1,200}\})\s*)*"
    r"(?P<dash>[-–—]\s*)?"
    r"(?P<speaker>[^\W\d_a-zà-ÿ][^\W_a-zà-ÿ]*(?:(?:\. |[ .'’-])[^\W_a-zà-ÿ]+){0,4}\.?[ \u00a0\u202f]?:\s+)?"
)
"""What a turn begins with that is not spoken: a dash, and a name such as ``MR. SMITH:``."""
_MUSIC: Final = re.compile(r"[♩-♬]+[ \t]*|[ \t]*[♩-♬]+|[\[\]]")
"""Notes of music, and brackets around a sound."""
_TAG: Final = re.compile(r"<(/?)([A-Za-z]{1,20})")
_TURN: Final = re.compile(r"\s*(?:<[^<>]{1,40}>)?[-–—]")
_BREAK: Final = re.compile(r"\r\n|\r|\n")
_TIMES_BEGUN: Final = re.compile(r"\s*\d+:\d\d[\d:.,]*\s*-{0,2}>?\s*[\d:.,]*")
_END: Final = 1000


def read(data: bytes, reading: Reading) -> SpanDocument:
    """Read subtitles; a file that begins with WEBVTT has the character references of WebVTT."""
    file = decoded(data, reading)
    text = file.text
    is_vtt = text.startswith("WEBVTT")
    starts = lines_of(text)
    spans = []
    for place in _cues(text):
        raw = text[place.start : place.end]
        segment = _segment(raw, place, line_of(starts, place.start), is_vtt=is_vtt)
        if has_letters(segment.text):
            write: Callable[[str], str] = escaper(raw) if is_vtt else as_it_is
            spans.append(Span(place, segment, write, partial(_in_lines, breaks=_BREAK.findall(raw))))
    return SpanDocument(file, spans, reading.name, notes=_notes_of_end(text, reading, starts))


def _notes_of_end(text: str, reading: Reading, starts: list[int]) -> list[str]:
    """Say that the last cue is a number and nothing else; refuse a file that ends within the times of a cue."""
    end = text.rstrip()
    before, last = ["", "", *_BREAK.split(end[-_END:])][-2:]
    if before.strip() and not before.strip().isdecimal():
        return []
    if _TIMES_BEGUN.fullmatch(last) and not _TIMES.match(last):
        where = line_of(starts, len(end) - 1)
        raise DocumentError(
            f"{reading.name}, {where}: the file ends within these times, so it was cut off; fetch it again"
        )
    is_number = last.strip().isdecimal() and not before.strip() and len(end) > len(last)
    return ["the last cue has a number and nothing else; check that the file was not cut off"] if is_number else []


def _cues(text: str) -> Iterator[Place]:
    """Yield the places of the texts of cues, without the line end after them."""
    is_text = False
    lines: list[Place] = []
    for found in _LINE.finditer(text):
        bare = found[0].rstrip("\r\n")
        if is_text and bare.strip():
            lines.append(Place(found.start(), found.start() + len(bare)))
        else:
            yield from _as_segments(text, lines)
            lines = []
            is_text = _TIMES.match(bare) is not None
    yield from _as_segments(text, lines)


def _as_segments(text: str, lines: list[Place]) -> list[Place]:
    if not lines:
        return []
    turns = [lines[:1]]
    for line in lines[1:]:
        if _TURN.match(text, line.start, line.end):
            turns.append([line])
        else:
            turns[-1].append(line)
    return [Place(turn[0].start, turn[-1].end) for turn in turns]


def _segment(raw: str, place: Place, where: str, *, is_vtt: bool) -> Segment:
    found: list[str | Code] = []
    waiting: list[tuple[str, int]] = []
    end = 0
    keeps_order = False

    def words(stretch: str) -> str:
        return resolved(stretch, is_html=True) if is_vtt else stretch

    for number, (first, after) in enumerate(_codes(raw), start=1):
        written = raw[first:after]
        found.append(words(raw[end:first]))
        end = after
        own = Place(place.start + first, place.start + after)
        kind, code_number = CodeKind.STANDALONE, number
        tag = _TAG.match(written)
        if tag and not tag[1]:
            waiting.append((tag[2], len(found)))
        elif tag and waiting and waiting[-1][0] == tag[2]:
            opening = found[waiting[-1][1]]
            if isinstance(opening, Code):
                found[waiting.pop()[1]] = replace(opening, kind=CodeKind.OPENING)
                kind, code_number = CodeKind.CLOSING, opening.number
        elif tag:
            keeps_order = True
        found.append(Code(kind, code_number, own, written, is_visible=False))
    return Segment(merged_text([*found, words(raw[end:])]), where, keeps_order or bool(waiting))


def _codes(raw: str) -> Iterator[tuple[int, int]]:
    """Yield the places of codes: tags, and what is not spoken."""
    lead = _LEAD.match(raw)
    named = [lead.span(name) for name in ("dash", "speaker") if lead[name]] if lead else []
    found = [*named, *(one.span() for one in _CODE.finditer(raw)), *(one.span() for one in _MUSIC.finditer(raw))]
    end = 0
    for first, after in sorted(found):
        if first >= end:
            yield first, after
            end = after


def _in_lines(written: str, *, breaks: list[str]) -> str:
    """Return a text in as many lines as its source had, of about the same length."""
    flat = " ".join(line.strip() for line in _BREAK.split(written) if line.strip())
    spaces = list(_spaces_in(flat))
    length = _shown_length(flat)
    lines: list[str] = []
    done = before = first = 0
    for place, one in enumerate(breaks):
        if first == len(spaces):
            break
        wanted = before + (length - before) / (len(breaks) + 1 - place)
        after = bisect_left(spaces, wanted, first, key=itemgetter(1))
        nearest = [number for number in (after - 1, after) if first <= number < len(spaces)]
        chosen = min(nearest, key=lambda number, wanted=wanted: abs(spaces[number][1] - wanted))  # type: ignore[misc]
        at, shown = spaces[chosen]
        lines.append(flat[done:at] + one)
        done, before, first = at + 1, shown + 1, chosen + 1
    return "".join(lines) + flat[done:]


def _spaces_in(text: str) -> Iterator[tuple[int, int]]:
    """Yield the spaces outside codes: the place of each, and the number of characters before it that are shown."""
    end = hidden = 0
    for code in [*_CODE.finditer(text), None]:
        until = code.start() if code else len(text)
        yield from ((at, at - hidden) for at in range(end, until) if text[at] == " ")
        if code:
            end, hidden = code.end(), hidden + len(code[0])


def _shown_length(written: str) -> int:
    return len(_CODE.sub("", written))
