"""Plain text: each block of lines that ``Lines`` joins is a segment; what is between them stays.

Read ``html.py`` next.
"""

from __future__ import annotations

from pellucid.documents.limits import Reading
from pellucid.documents.segments import Segment, has_letters
from pellucid.documents.spans import Place, Span, SpanDocument, as_it_is, decoded, line_of, lines_of
from pellucid.translation.document.layout import Lines, blocks_of

__all__ = ["read"]


def read(data: bytes, reading: Reading) -> SpanDocument:
    """Read plain text; each line, or column of a line, is a segment."""
    file = decoded(data, reading)
    text = file.text
    starts = lines_of(text)
    spans = []
    for block in blocks_of(text, Lines.KEEP):
        body = text[block.start : block.end]
        if has_letters(body):
            segment = Segment((body,), line_of(starts, block.start))
            spans.append(Span(Place(block.start, block.end), segment, as_it_is))
    return SpanDocument(file, spans, reading.name)
