"""A17: what reads the text of a request takes time in proportion to its length, whatever the text is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.growth import growth
from tests.unit.serving.service_kit import Shouter

from pellucid.documents.markup.segmenting import spans_of
from pellucid.serving.documents.markup import HTML_IN_A_REQUEST
from pellucid.serving.models.detection import can_detect, detect
from pellucid.serving.protocols.deepl_options import Options
from pellucid.text.sentences import sentences_of
from pellucid.translation.document.layout import Lines, blocks_of
from pellucid.translation.placeholders.markers import taken_out
from pellucid.translation.terms.glossary import Glossary, Term

LENGTH = 20_000
SHAPES: dict[str, Callable[[int], str]] = {
    "angle brackets": lambda size: "<" * size,
    "tags that never end": lambda size: "<a " * (size // 3),
    "ampersands": lambda size: "&" * size,
    "braces": lambda size: "{" * size,
    "percent signs": lambda size: "%1$" * (size // 3),
    "blanks": lambda size: "a" + " " * size + "b",
    "blanks and line ends": lambda size: "a" + " \n" * (size // 2),
    "carriage returns": lambda size: "a\r" * (size // 2),
    "full stops": lambda size: ". " * (size // 2),
    "abbreviations": lambda size: "z. B. " * (size // 6),
    "brackets with numbers": lambda size: "[111 111 " * (size // 9),
    "an address": lambda size: "http://" + "a." * (size // 2),
    "at signs": lambda size: "a@" * (size // 2),
    "one word": lambda size: "a" * size,
    "combining marks": lambda size: "e" + "\u0301" * size,
    "right to left": lambda size: "\u202eא" * (size // 2),
    "markers": lambda size: "> - 1. " * (size // 7),
}
GLOSSARY = Glossary([Term("a", "b"), Term("a a", "c"), Term("aa", "d")])
OPTIONS = Options("de", "en", (), (), joins_lines=True, keeps_formatting=True)
READERS: dict[str, Callable[[str], object]] = {
    "sentences": lambda text: sentences_of(text, "en"),
    "lines": lambda text: blocks_of(text, Lines.KEEP),
    "placeholders": taken_out,
    "markup": lambda text: spans_of(text, HTML_IN_A_REQUEST),
    "terms": lambda text: GLOSSARY.within(text),
    "options of DeepL": lambda text: (OPTIONS.one_line(text), OPTIONS.headers([text], [text], "en")),
    "language": lambda text: detect(text) if can_detect() else None,
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reader", READERS)
def test_the_time_is_linear(reader: str, shape: str) -> None:
    assert growth(READERS[reader], SHAPES[shape], LENGTH) <= 3.0


def test_the_tokenizer_that_counts_pieces_is_linear() -> None:
    tokenizer = Shouter().tokenizer
    assert growth(lambda text: tokenizer.encode_source([text]), SHAPES["one word"], LENGTH) <= 3.0
