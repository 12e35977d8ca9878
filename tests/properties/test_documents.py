"""White space and list markers of a document come back, whatever they are."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.translation.shouting import TOKENIZER, ShoutingStepper

from pellucid.text.tokenizer import BytesTokenizer
from pellucid.translation.document.layout import Lines, blocks_of, looks_wrapped
from pellucid.translation.document.results import DocumentTranslation
from pellucid.translation.translator import Translator


class EchoingStepper(ShoutingStepper):
    """Each next token is the source's."""

    def step(self, last_ids):  # type: ignore[no-untyped-def]
        found = super().step(last_ids)
        found[:] = -30.0
        for row, ids in enumerate(self._sources):
            found[row, ids[min(self._length, len(ids) - 1)]] = 0.0
        return found


ECHO = Translator(EchoingStepper, TOKENIZER, source_language="en", target_language="en").with_settings(beam_size=1)
SHOUT = Translator(ShoutingStepper, TOKENIZER, source_language="en", target_language="en").with_settings(beam_size=1)

TAGGED = BytesTokenizer(tags=(">>fra<<", ">>deu<<"))


class TaggedStepper(ShoutingStepper):
    """Shouts what is behind the tag."""

    vocab_size = TAGGED.target_vocab_size

    def start(self, source_ids):  # type: ignore[no-untyped-def]
        assert all(ids[0] == TAGGED.source_id(">>fra<<") for ids in source_ids)
        super().start([ids[1:] for ids in source_ids])


WORDS = st.sampled_from(
    [
        "# Ox",
        "* [ ] go",
        "[x] done",
        "12) so",
        "(a) x",
        ">> no",
        ">so",
        "|",
        "-",
        "> - 1. An ox. Yes!",
        "z. B. one",
        "a",
        "An ox.",
        "Who?",
        "Yes!",
        "- one",
        "2.",
        "goats,",
        "Straße",
        "»so«",
        "Dr. No",
        "...",
        "x y",
    ]
)
SPACES = st.sampled_from(
    [" ", "  ", "\n", "\r\n", "\n\n", "\r\n \r\n", "\t", " \n\t", "   ", "\r", "\u2028", "\u3000", "", "\n\n\n  "]
)
DOCUMENTS = st.lists(st.tuples(SPACES, WORDS), max_size=9).flatmap(
    lambda parts: SPACES.map(lambda last: "".join(space + word for space, word in parts) + last)
)
# What the tokenizer makes one space of stands between two words of one sentence; see docs/guides/translating.md.
PLAIN = DOCUMENTS.filter(lambda text: not re.search(r"\S[ \u3000]{2}\S|\S\u3000\S", text))

LAYOUT = re.compile(r"(?:\s|[-*>#|]|\d+[.)]|\([a-z]\)|\[[ x]\])*")


def checked(found: DocumentTranslation) -> DocumentTranslation:
    """Return a result whose places are in order and cover all that is neither white space nor a marker."""
    for text, places in (
        (found.source, [(one.source_start, one.source_end) for one in found.sentences]),
        (found.text, [(one.target_start, one.target_end) for one in found.sentences]),
    ):
        ends = [0, *[end for _, end in places]]
        starts = [*[start for start, _ in places], len(text)]
        assert all(LAYOUT.fullmatch(text, a, b) for a, b in zip(ends, starts, strict=True))
    return found


@settings(max_examples=150, deadline=None)
@given(PLAIN)
def test_a_model_that_repeats_its_source_gives_the_document_byte_for_byte(text: str) -> None:
    found = checked(ECHO.translate_document(text))
    assert found.text == text
    for one in found.sentences:
        place = one.target_start, one.target_end
        assert place == (one.source_start, one.source_end)
        assert text[slice(*place)] == one.translation.source


@settings(max_examples=100, deadline=None)
@given(DOCUMENTS, st.sampled_from(list(Lines)))
def test_every_sentence_stands_where_the_places_say(text: str, lines: Lines) -> None:
    found = checked(SHOUT.translate_document(text, lines=lines))
    for one in found.sentences:
        assert found.text[one.target_start : one.target_end].split() == one.translation.text.split()
        assert text[one.source_start : one.source_end].split() == one.translation.source.split()


@settings(max_examples=100, deadline=None)
@given(DOCUMENTS, st.sampled_from([Lines.JOIN, Lines.WRAP]))
def test_where_no_line_goes_on_joining_changes_nothing(text: str, lines: Lines) -> None:
    if blocks_of(text, lines) == blocks_of(text, Lines.KEEP):
        assert SHOUT.translate_document(text, lines=lines).text == SHOUT.translate_document(text).text


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text("abc", min_size=1, max_size=9), min_size=2, max_size=40), st.integers(10, 30))
def test_a_wrapped_paragraph_comes_back_wrapped(words: list[str], width: int) -> None:
    lines = [""]
    for word in words:
        fits = len(lines[-1]) + 1 + len(word) <= width
        lines[-1:] = [f"{lines[-1]} {word}".strip()] if fits else [lines[-1], word]
    text = "\n".join(line for line in lines if line)
    widest = max(map(len, text.split("\n")))
    found = checked(ECHO.translate_document(text, lines="wrap"))
    assert found.text.split() == text.split()
    assert len(found.sentences) == 1
    assert max(map(len, found.text.split("\n"))) <= widest
    assert checked(ECHO.translate_document(text, lines="join")).text == " ".join(text.split())


MARKED = [
    *["- ", "* ", "+ ", "• ", "– ", "1. ", "12) ", "(3) ", "a) ", "(b) ", "# ", "### ", "> ", ">", "> > ", ">> ", "| "],
    *["[ ] ", "[x] ", "- [ ] ", "1. [X] ", "> - ", "> # ", "-   ", "1.\t", "- - "],
]


@pytest.mark.parametrize("lines", list(Lines))
def test_markers_are_not_translated_and_come_back(lines: Lines) -> None:
    text = "".join(f"  {marker}An ox.\r\n" for marker in MARKED)
    found = SHOUT.translate_document(text, lines=lines)
    assert found.text == text.replace("An ox.", "AN OX.")
    assert [one.translation.source for one in found.sentences] == ["An ox."] * len(MARKED)
    for one in found.sentences:
        assert found.text[one.target_start : one.target_end] == "AN OX."
        assert text[one.source_start : one.source_end] == "An ox."


@pytest.mark.parametrize("text", ["z. B. so", "A. Smith", "-5 oxen", "1990. So", "#ox", "**ox** so", "1.5 x", ">= so"])
def test_what_only_looks_like_a_marker_is_translated(text: str) -> None:
    (one,) = SHOUT.translate_document(text).sentences
    assert one.translation.source == text


def test_markers_stand_before_or_behind_a_language_tag() -> None:
    translator = Translator(TaggedStepper, TAGGED, source_language="en", target_language="fr")
    text = "- >>fra<< An ox.\n>>fra<< - An ox.\n>>fra<< - [ ] An ox. A cow.\n"
    found = translator.with_settings(beam_size=1).translate_document(text)
    assert found.text.replace(">>fra<<", "") == "- AN OX.\n- AN OX.\n- [ ] AN OX. A COW.\n"
    for one in found.sentences:
        assert text[one.source_start : one.source_end] == one.translation.source.removeprefix(">>fra<< ")
        assert found.text[one.target_start : one.target_end] == one.translation.text


@pytest.mark.parametrize("text", ["- so go we\n  to town", "1. so go we\n   to town", "> so go we\nto town"])
def test_a_line_with_a_marker_goes_on_in_the_next(text: str) -> None:
    first, second = text.split("\n")
    joined = SHOUT.translate_document(text, lines="join")
    assert joined.text == f"{first[: first.index('so')]}SO GO WE TO TOWN"
    assert len(joined.sentences) == 1
    assert SHOUT.translate_document(text, lines="wrap").text == first.upper() + "\n" + second.upper()


@pytest.mark.parametrize("sign", [">", ">-", "->", "- ", "[ ] ", "1. ", "#"])
def test_many_markers_take_linear_time(sign: str) -> None:
    text = sign * 100_000 + "\n"
    assert blocks_of(text, Lines.JOIN)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\u2028"])
def test_a_document_looks_wrapped_from_eight_lines_on(end: str) -> None:
    lines = ["An ox and a goat go", *["to the old mill and to"] * 9]
    assert [looks_wrapped(end.join(lines[:count])) for count in (1, 7, 8, 10)] == [False, False, True, True]
    assert not looks_wrapped(end.join(["An ox."] * 9)), "each line ends a sentence"
    assert not looks_wrapped("to the old mill and to" + end * 9), "blank lines are none"
