"""The ways in for documents: each is read, written again as it was, and written with other text.

What is accepted comes back byte for byte, and with the case of its letters changed it is to other readers the same
document but for that. Read ``targets.py`` for the other ways in.
"""

from __future__ import annotations

import time
from pathlib import Path

from tests.fuzz.document_damage import inside_document, mutate_markup
from tests.fuzz.document_views import view
from tests.fuzz.harness import Target
from tests.fuzz.kept import documents as kept_documents
from tests.fuzz.mutation import Mutator, mutate, mutate_json
from tests.unit.documents.test_html import PAGE as HTML
from tests.unit.documents.test_markdown import PAGE as MARKDOWN
from tests.unit.documents.test_strings import JSON, PO, XLIFF_1, XLIFF_2, YAML
from tests.unit.documents.test_subtitles import SRT, VTT
from tests.unit.documents.zipped.samples import SAMPLES

from pellucid.documents.limits import Reading
from pellucid.documents.naming import format_named, read_document
from pellucid.documents.segments import Document, Parts
from pellucid.errors import DocumentError
from pellucid.terminal import line_of

__all__ = ["DOCUMENT_TARGETS", "take"]

SECONDS = 5.0
"""Of the processor, for reading and writing one document of at most some hundred kilobytes."""
LONGEST_ERROR = 1_000
READING = Reading("a file", "en", "EN")
"""So a document that states its language is relabelled, and then differs in the case of letters only."""
XHTML = f'<?xml version="1.0"?><html><body>{"<p>One <b>big</b> dog &amp; a <br/>cat</p>" * 3}</body></html>'
TEXTS = {
    "txt": "One line.  Two.\r\n\r\n\tA column\tanother\n* an item\n",
    "html": HTML,
    "html, XML": XHTML,
    "markdown": MARKDOWN,
    "po": PO,
    "xliff": XLIFF_1,
    "xliff, version 2": XLIFF_2,
    "json": JSON,
    "yaml": YAML,
    "srt": SRT,
    "vtt": VTT,
}
_MUTATORS: dict[str, Mutator] = {"json": mutate_json} | dict.fromkeys(
    ("html", "html, XML", "markdown", "xliff", "xliff, version 2"), mutate_markup
)
_WORDS = [
    b"\n", b"\r\n", b'"', b"'", b": ", b"- ", b"| ", b"> ", b"# ", b"```", b"---", b"-->", b"[", b"](x)", b"**",
    b"<b>", b"</b>", b"&amp;", b"%s", b"{x}", b"msgid ", b'msgstr ""', b"00:00:01,000 --> 00:00:02,000\n", b"\\u00e9",
    b"{n, plural, one {x} other {y}}", b"WEBVTT\n\n", b"&a ", b"*a", b"!!str ", b"|\n  ", b">-\n  ", b"\t",
]  # fmt: skip


def take(name: str, content: bytes) -> None:
    """Read and write a document; its format is the name before the comma."""
    kind = name.partition(",")[0]
    begun = time.process_time()
    try:
        document = read_document(content, format_named(kind), READING)
    except DocumentError as error:
        message = str(error)
        is_clear = line_of(message) == message and len(message) < LONGEST_ERROR
        assert is_clear, f"it says {message[:2000]!r}"
        raise
    written = _shouted(document)
    assert document.merge([None for _ in document.segments]) == content, "what is not translated stays"
    if kind not in ("po", "xliff"):  # their targets are new
        assert document.merge([one.parts for one in document.segments]) == content, "the same text is the same file"
    spent = time.process_time() - begun
    assert spent < SECONDS, f"{spent:.1f} s"
    again = read_document(written, format_named(kind), READING)
    if kind in ("po", "xliff"):
        assert not again.segments, "what has a translation now has one"
    before, after = view(kind, content), view(kind, written)
    for member, seen in before.items():
        assert after.get(member) == seen, f"others see other text in {member}: {seen} and {after.get(member)}"


def _shouted(document: Document) -> bytes:
    """Return a document in which small letters are capitals, and the other way round."""
    return document.merge([_swapped(segment.parts) for segment in document.segments])


_SWAPPED = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)


def _swapped(parts: Parts) -> Parts:
    return tuple(part.translate(_SWAPPED) if isinstance(part, str) else part for part in parts)


def texts(folder: Path) -> Target:
    """Documents that are text."""
    seeds = {name: text.encode() for name, text in TEXTS.items()}
    mutators = {name: _MUTATORS.get(name, mutate) for name in seeds}
    return Target(take, seeds, mutators=mutators, words=_WORDS, kept=kept_documents(zipped=False))


def archives(folder: Path) -> Target:
    """Documents that are archives."""
    return Target(take, SAMPLES, mutators=dict.fromkeys(SAMPLES, inside_document), kept=kept_documents(zipped=True))


DOCUMENT_TARGETS = {"document_texts": texts, "document_archives": archives}
