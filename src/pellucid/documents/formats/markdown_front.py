"""The front matter of a Markdown document, which is YAML: of its values, those that readers see are translated."""

from __future__ import annotations

from typing import Final

from pellucid.documents.formats.yaml_strings import spans_of_value, values_in
from pellucid.documents.limits import Reading
from pellucid.documents.spans import Place, Span, line_of, moved
from pellucid.errors import DocumentError

__all__ = ["front_spans"]

_READ: Final = frozenset({"title", "linktitle", "subtitle", "description", "summary", "excerpt", "tagline"})
_MARK: Final = "---"


def front_spans(text: str, front: Place, reading: Reading, starts: list[int]) -> list[Span]:
    """Return the spans of the values that readers see; ``front`` is the front matter with its marks.

    What is no YAML, or too deep, stays as it is.
    """
    if not text.startswith(_MARK, front.start, front.end):
        return []
    begin = text.index("\n", front.start) + 1
    body = text[begin : text.rindex(_MARK, begin, front.end)]
    found: list[Span] = []
    try:
        for scalar, path in values_in(body, reading):
            if path.lower() in _READ:
                where = f"{line_of(starts, begin + scalar.start_mark.index)}, {path}"
                found += spans_of_value(body, scalar, where)
    except DocumentError:
        return []
    return moved(found, begin, starts)
