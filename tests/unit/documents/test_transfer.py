"""Codes come through any translation: each once, balanced; and where the words are known, around the same words."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from pellucid.documents.segments import Code, CodeKind, Parts, Segment, is_balanced, merged_text, problem_with, text_of
from pellucid.documents.transfer.outcomes import Transferred, Way, report_on
from pellucid.documents.transfer.placing import placed
from pellucid.documents.transfer.plain import parts_of_tagged, plain_of, tagged
from pellucid.documents.transfer.words import AlignedText
from pellucid.documents.translating import translated_segments
from pellucid.translation.hypothesis import Alignment, Translation

TAG = re.compile(r"</?g\d+>|<x\d+/>")
Links = Callable[[int, int], Iterable[tuple[int, int]]]


def parts_from(shown: str) -> Parts:
    """Read ``Hello (1big 1) [2]``."""
    found: list[str | Code] = []
    for text, opening, closing, single in re.findall(r"([^()\[\]\d]+)|\((\d+)|(\d+)\)|\[(\d+)\]", shown):
        if text:
            found.append(text)
        elif opening or closing:
            found.append(Code(CodeKind.OPENING if opening else CodeKind.CLOSING, int(opening or closing)))
        else:
            found.append(Code(CodeKind.STANDALONE, int(single)))
    return tuple(found)


def shown(parts: Parts | None) -> str:
    marks = {CodeKind.OPENING: "({}", CodeKind.CLOSING: "{})", CodeKind.STANDALONE: "[{}]"}
    return "".join(p if isinstance(p, str) else marks[p.kind].format(p.number) for p in parts or ())


def backwards(count: int, other: int) -> list[tuple[int, int]]:
    return [(i, count - 1 - i) for i in range(count)]


def in_step(count: int, other: int) -> list[tuple[int, int]]:
    return [(i, i) for i in range(min(count, other))]


class FakeTranslator:
    """Translates plain text by a function; what it does to tags, and which words it links, is another's choice."""

    def __init__(
        self,
        translate: Callable[[str], str] = str,
        *,
        garble: Callable[[str], str] = lambda text: TAG.sub("", text),
        links: Links = in_step,
        error: str | None = None,
    ) -> None:
        self._translate, self._garble, self._links, self._error = translate, garble, links, error

    def translate_stream(
        self,
        texts: Iterable[str | None],
        *,
        chunk: int = 1,
        progress: Callable[[int], None] = lambda done: None,
        alignment: bool = False,
        placeholders: str = "translate",
    ) -> Iterator[Translation]:
        for text in texts:
            found = self._translate(self._garble(text or "") if TAG.search(text or "") else text or "")
            words = [re.findall(r"\w+|[^\w\s]", side) for side in (text or "", found)]
            links = Alignment(*map(tuple, words), tuple(sorted(set(self._links(*map(len, words))))))
            yield Translation(text or "", found, 0.0, (), (), error=self._error, alignment=links if alignment else None)


def one(source: str, translator: FakeTranslator, *, aligns: bool = True, **fields: Any) -> Transferred:
    (found,) = translated_segments(translator, [Segment(parts_from(source), **fields)], aligns=aligns)
    return found


def test_codes_at_the_ends_come_back_where_they_were() -> None:
    translator = FakeTranslator(str.upper)
    found = one(" [1](2 Hello \r\n  world 2) [3]\n", translator)
    assert shown(found.parts) == " [1](2 HELLO WORLD 2) [3]\n"
    assert found.way is Way.NO_CODES
    assert plain_of(Segment(parts_from(" [1](2 Hello \r\n  world 2) [3]\n"))).text == "Hello world"


@pytest.mark.parametrize(
    "source",
    [
        "a (1b1) c",
        "(1a1) b",
        "a (1b (2c2)1) d",
        "a [1] b",
        "a[1] b",
        "a [1]b",
        "(1a1) (2b2), (3c (4d4) e3) [5] f",
        "a (1[2] b1)",
    ],
)
def test_with_words_in_step_the_identity_is_the_segment(source: str) -> None:
    found = one(source, FakeTranslator(garble=lambda text: "lost"))
    assert shown(found.parts) == source
    assert found.way is Way.ALIGNED


def test_pairs_follow_their_words_to_other_places() -> None:
    reverse = FakeTranslator(lambda text: " ".join(text.split()[::-1]), links=backwards)
    assert shown(one("a (1b c1) (2d2) [3]e", reverse).parts) == "[3]e (2d2) (1c b1) a"
    assert shown(one("a (1b (2c2)1) d", reverse).parts) == "d (1(2c2) b1) a"


def test_a_code_without_words_goes_as_one() -> None:
    assert shown(one("a (1 1) b c", FakeTranslator()).parts) == "a (1 1) b c"
    assert shown(one("a (1[2] [3]1) b", FakeTranslator()).parts) == "a (1[2] [3]1) b"


def test_codes_may_span_sentences() -> None:
    translator = FakeTranslator(
        lambda text: text.replace("Two", "Zwei zwei"),
        links=lambda n, m: [(0, 0), (1, 1), (2, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7), (7, 8)],
    )
    assert shown(one("One. (1Two. Three.1) Four.", translator).parts) == "One. (1Zwei zwei. Three.1) Four."


def test_what_nothing_places_goes_around_the_sentence_or_by_proportion() -> None:
    blind = FakeTranslator(links=lambda n, m: [])
    found = one("a b (1c1) d", blind)
    assert (shown(found.parts), found.way) == ("(1a b c d1)", Way.AROUND_ALL)
    found = one("(1a1) b c (2d2)", blind)
    assert (shown(found.parts), found.way) == ("(1a1) b c (2d2)", Way.PROPORTION)
    assert one("a (1b1)", FakeTranslator(lambda text: "", links=lambda n, m: [])).parts is not None


def test_tags_that_the_model_copies_are_taken() -> None:
    found = one("a (1b1) [2] c", FakeTranslator(str.swapcase, garble=lambda text: text.swapcase()))
    assert (shown(found.parts), found.way) == ("a (1b1) [2] c", Way.COPIED)
    # An emptied pair, and another order where halves of pairs are among the codes, are not taken.
    assert one("a (1b1) c", FakeTranslator(garble=lambda text: "a <g1></g1> b c")).way is Way.ALIGNED
    swapped = FakeTranslator(garble=lambda text: "<x2/> a b <x1/> c")
    assert one("a [1] b [2] c", swapped).way is Way.COPIED
    found = one("a [1] b [2] c", swapped, keeps_order=True)
    assert (shown(found.parts), found.way) == ("a [1] b [2] c", Way.ALIGNED)


def test_without_heads_they_are_kept_in_their_order() -> None:
    calls: list[str] = []

    def garble(text: str) -> str:
        calls.append(text)
        return TAG.sub("", text) if len(calls) == 1 else text

    found = one("a (1b1) c", FakeTranslator(garble=garble), aligns=False)
    assert (shown(found.parts), found.way) == ("a (1b1) c", Way.IN_ORDER)


def test_what_a_memory_has_does_not_reach_the_model() -> None:
    pytest.importorskip("rapidfuzz")
    from pellucid.translation.memory.units import TranslationMemory
    from pellucid.translation.terms.glossary import Glossary, Term

    memory = TranslationMemory([("a <g1>b</g1> c", "C <g1>B</g1> A"), ("d", "D"), ("e <x1/> f", "F")])
    segments = [Segment(parts_from(source)) for source in ("a (1b1) c", "(1d1)", "e [1] f", "d d")]
    found = translated_segments(FakeTranslator(), segments, aligns=True, memory=memory)
    assert [shown(one.parts) for one in found] == ["C (1B1) A", "(1D1)", "e [1] f", "d d"]
    assert [one.way is Way.MEMORY for one in found] == [True, True, False, False]
    report = report_on(segments, found)
    assert report.origins == {"memory": 2, "model": 2}
    assert "from the memory 2" in report.lines()[0]
    terms = Glossary([Term("d", "x")])
    (other,) = translated_segments(FakeTranslator(), segments[1:2], aligns=True, memory=memory, glossary=terms)
    assert shown(other.parts) == "(1d1)"


def test_a_failed_segment_stays_and_is_reported() -> None:
    segment = Segment(parts_from("a (1b1)"), "line 7")
    found = translated_segments(FakeTranslator(error="too long"), [segment], aligns=True)
    assert found[0].parts is None
    report = report_on([segment], found, ["a note"])
    assert (report.failed, report.problems) == (1, ("line 7: not translated: too long",))
    assert report.lines() == ["1 segment, 2 codes; not translated 1", "a note"]


def test_tagged_text_can_be_read_again() -> None:
    plain = plain_of(Segment(parts_from("a (1b1) [2]c")))
    assert parts_of_tagged(plain, tagged(plain)) == plain.inner
    assert parts_of_tagged(plain, "x <g9> <x2/>") == ("x <g9> ", Code(CodeKind.STANDALONE, 2))


def tagged_sentence(chance: random.Random) -> Parts:
    """Return a sentence with nested pairs, single codes, empty pairs, odd white space and several scripts."""
    found: list[str | Code] = []
    numbers = iter(range(1, 99))

    def fill(depth: int) -> None:
        for _ in range(chance.randrange(1, 5)):
            kind = chance.randrange(7)
            if kind == 0:
                found.append(Code(CodeKind.STANDALONE, next(numbers)))
            elif kind == 1 and depth < 4:
                number = next(numbers)
                found.append(Code(CodeKind.OPENING, number))
                if chance.random() < 0.8:
                    fill(depth + 1)
                found.append(Code(CodeKind.CLOSING, number))
            else:
                found.append(
                    chance.choice(["word", " two words ", " ", "\n  ", ".", "שלום עולם", " 你好。", "a<b & c>", "  x"])
                )

    fill(0)
    return merged_text(found)


def adversary(chance: random.Random) -> FakeTranslator:
    """Return a translator that drops, doubles and permutes tags and words, and links words at random."""

    def garble(text: str) -> str:
        pieces = re.split(f"({TAG.pattern})", text)
        chance.shuffle(pieces)
        return " ".join(piece for piece in pieces for _ in range(chance.choice([0, 1, 1, 1, 2])))

    def translate(text: str) -> str:
        words = text.split()
        chance.shuffle(words)
        return " ".join(words[: chance.randrange(len(words) + 2)] * chance.choice([1, 1, 2]))

    def links(count: int, other: int) -> list[tuple[int, int]]:
        number = chance.randrange(count + 1) if count and other else 0
        return [(chance.randrange(count), chance.randrange(other)) for _ in range(number)]

    return FakeTranslator(translate, garble=garble, links=links)


@pytest.mark.parametrize("aligns", [True, False])
def test_a_thousand_tagged_sentences_keep_their_codes_whatever_the_translator_does(aligns: bool) -> None:
    chance = random.Random(7)
    segments = [Segment(tagged_sentence(chance), keeps_order=chance.random() < 0.2) for _ in range(1000)]
    found = translated_segments(adversary(chance), segments, aligns=aligns)
    for segment, result in zip(segments, found, strict=True):
        assert result.parts is not None
        assert not problem_with(segment.parts, result.parts)
        assert is_balanced(result.parts)
        if segment.keeps_order:
            assert [p for p in result.parts if isinstance(p, Code)] == list(segment.codes)
        if not text_of(segment.parts).strip():
            assert result.parts == segment.parts
    assert sum(report_on(segments, found).ways.values()) == 1000


def test_a_code_before_a_sign_keeps_the_space_before_it() -> None:
    plain = plain_of(Segment(parts_from("das kostet [1] Euro.")))
    source, target = ((0, 3), (4, 10), (11, 15), (15, 16)), ((0, 4), (5, 10), (10, 11))
    found = placed(plain, AlignedText("this costs.", source, target, ((0, 0), (1, 1), (3, 2))))
    assert shown(found.parts) == "this costs [1]."


@pytest.mark.parametrize("parts", [("42",), ("12.03.2019",), (" 3,50 € ", *parts_from("[1]"), " "), ("(1 50 % 1)",)])
def test_a_segment_without_letters_stays_and_no_model_is_asked(parts: tuple[str | Code, ...]) -> None:
    (found,) = translated_segments(FakeTranslator(lambda text: f"At {text}"), [Segment(parts)], aligns=False)
    assert (found.parts, found.way) == (parts, Way.AS_IT_IS)
    assert report_on([Segment(parts)], [found]).origins["model"] == 0
