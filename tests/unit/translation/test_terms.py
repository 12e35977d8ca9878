from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import DataError
from pellucid.text.tokenizer import BytesTokenizer
from pellucid.translation.terms.forms import occurrences, spellings_of
from pellucid.translation.terms.glossary import Glossary, Term, read_terms
from pellucid.translation.terms.watch import Pen, Watch

TOKENIZER = BytesTokenizer()


def ids(text: str) -> list[int]:
    return TOKENIZER.encode_target([text])[0]


def watch_of(*terms: Term) -> Watch:
    watch = Watch.of(terms, Pen(TOKENIZER))
    assert watch is not None
    return watch


def sources(glossary: Glossary, text: str) -> list[str]:
    return [term.source for term in glossary.within(text)]


@pytest.mark.parametrize(
    ("form", "text", "is_there"),
    [
        ("hound", "a hound.", True),
        ("hound", "greyhound", False),
        ("hound", "hounds", False),
        ("hound", "Hound", True),
        ("hound", "A HOUND!", True),
        ("hound", "hOund", False),
        ("Hound", "the hound", False),
        ("hot dog", "Hot Dog", True),
        ("homme", "l'homme", True),
        ("R&D", "the R&D team", True),
        ("C++", "in C++.", True),
        ("\u732b", "\u9ed2\u732b\u304c", True),  # a cat between other characters of Japanese
        ("\u0939\u093f", "\u0939\u093f\u0902", False),  # Hindi: a vowel sign goes on with the word
        ("\u00e9t\u00e9", "\u00c9t\u00e9", True),
    ],
)
def test_a_form_stands_at_the_boundaries_of_words(form: str, text: str, is_there: bool) -> None:
    assert any(occurrences(text, spellings_of(form))) is is_there


def test_terms_of_a_source_are_the_longest_from_the_left() -> None:
    glossary = Glossary([Term("Hund", "hound"), Term("heißer Hund", "hot dog"), Term("Hunde", "hounds")])
    assert sources(glossary, "Der Hund frisst einen heißen Hund.") == ["Hund"]
    assert sources(glossary, "Ein heißer Hund.") == ["heißer Hund"]
    assert sources(glossary, "Heißer Hund! Hunde, Hund, Hund") == ["heißer Hund", "Hunde", "Hund"]
    assert sources(glossary, "HUND hund Hundehütte") == []


def test_composed_and_decomposed_letters_are_the_same_term() -> None:
    assert sources(Glossary([Term("cafe\u0301", "coffee")]), "un caf\u00e9") == ["caf\u00e9"]


def test_a_file_of_terms() -> None:
    lines = ["# comment", "", "Hund\thound | hounds\tdog | dogs", "Katze\tcat", "Maus\t\trat"]
    assert read_terms(lines, name="terms.tsv").terms == (
        Term("Hund", ("hound", "hounds"), ("dog", "dogs")),
        Term("Katze", "cat"),
        Term("Maus", avoid="rat"),
    )


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["Hund"], "line 1: has 1 column;"),
        (["a\tb\tc\td"], "line 1: has 4 columns"),
        (["Hund\t"], "no target form and none to avoid"),
        (["Hund\thound | "], "a form is a text"),
        (["Hund\thound\thound"], "both as a target form and as one to avoid"),
        (["Hund\thound", "Katze\tcat", "Hund\tdog"], "lines 1 and 3 are both for 'Hund'"),
        (["Hund\thound", ValueError("bytes that are not UTF-8")], "line 2: bytes that are not UTF-8"),
    ],
)
def test_a_wrong_line_is_named(lines: list[str | ValueError], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_terms(lines, name="terms.tsv")


class TestWatch:
    def test_text_counts_and_not_pieces(self) -> None:
        watch = watch_of(Term("x", ["hound", "hounds"]))
        assert watch.left(ids("A hound")) == watch.left(ids("hounds, he said")) == 0
        assert watch.left(ids("A greyhound")) > 0

    def test_a_term_that_is_met_can_come_undone(self) -> None:
        watch = watch_of(Term("x", "hound"))
        assert [watch.left(ids(text)) for text in ("", "a h", "a hound", "a hounds", "a hounds hound")] == [
            5,
            4,
            0,
            5,
            0,
        ]

    def test_terms_need_places_of_their_own(self) -> None:
        watch = watch_of(Term("x", "York"), Term("y", "New York"))
        assert [one.term.source for one in watch.unmet("New York")] == ["x"]
        assert watch.unmet("York and New York") == watch.unmet("New York, York") == []

    def test_a_form_to_avoid_may_stand_in_one_that_is_asked_for(self) -> None:
        watch = watch_of(Term("x", "hot dog stand"), Term("y", avoid="dog"))
        assert not watch.violations("a hot dog stand")
        assert watch.violations("a hot dog")
        assert not watch.violations("a hot dog", is_over=False)
        assert watch.violations("a dog and a hot dog stand")

    def test_banned_pieces_are_those_that_complete_a_form(self) -> None:
        watch = watch_of(Term("x", avoid="dog"))
        assert watch.banned(ids("a do")) == ids("g")
        assert watch.banned(ids("A DO")) == ids("G")
        assert watch.banned(ids("redo")) == watch.banned(ids("a d")) == []
        assert watch.banned(ids("a dog, do")) == ids("g")  # what a forced prefix wrote bans no more than another

    def test_a_form_that_no_piece_writes_is_not_asked_for_and_said_in_the_result(self) -> None:
        watch = Watch.of([Term("x", "hound"), Term("y", "cat")], Pen(TOKENIZER, avoided=ids("u")))
        assert watch is not None
        assert [one.term.source for one in watch.demands] == ["y"]
        (said,) = watch.broken("a cat")
        assert said.startswith("'hound', a term's target for 'x', cannot be written")

    @given(
        st.lists(st.sampled_from(["ab", "b a", "a", "ba", "c"]), min_size=1, max_size=4, unique=True), st.text("abc ")
    )
    def test_proposed_pieces_meet_every_term(self, forms: list[str], beginning: str) -> None:
        watch = watch_of(*(Term(f"x{number}", form) for number, form in enumerate(forms)))
        written = ids(beginning)
        for _ in range(200):
            left = watch.left(written)
            if not left:
                break
            ways = {token: watch.left([*written, token]) for token in watch.next_ids(written)}
            assert ways, "there is always a piece that goes on"
            best = min(ways, key=lambda token: (ways[token], token))
            written.append(best)
        assert not watch.unmet(TOKENIZER.decode_target([written])[0])
