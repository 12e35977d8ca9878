"""A text is cut between sentences, never inside of one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.growth import growth

from pellucid.text.corpus import SentencePair
from pellucid.text.sentences import SentenceCount, has_single_sentences, holds_several, sentences_of

SEVERAL = [
    ("en", ["The cat is very tired. ", "The dog is happy."]),
    ("en", ["I am a student.  ", "The animal is tired!\u00a0", "Is it?\t", "(Yes.) No."]),
    ("en", ["He works at Apple Inc. ", "He watches TV. ", "“Go!” ", "She went."]),
    ("en", ["See Fig. 3. ", "It has 42. ", "That is all."]),
    ("fr", ["M. Martin est venu ; Mme. Dupont aussi. ", "« Viens ! » ", "Puis ils sont partis."]),
    ("de", ["Dr. Müller kam am 3. Mai. ", "Der 2. Mann ging z. B. nicht."]),
    ("es", ["¿Qué? ", "¡Hola! ", "Soy el Sr. García."]),
    ("ru", ["Он ушёл. ", "Она осталась?"]),
    ("zh-CN", ["你好世界。", "今天很好！", "走吧？", "好"]),
    ("ja", ["今日は。", "明日も。"]),
    ("hi", ["वह आया। ", "वह गया।"]),
    ("ar", ["جاء الرجل. ", "من؟ ", "نعم."]),
    ("src", ["Mr. Smith came. ", "He left."]),
]


@pytest.mark.parametrize(("language", "sentences"), SEVERAL)
def test_sentences_are_parted(language: str, sentences: list[str]) -> None:
    assert sentences_of("".join(sentences), language) == sentences
    assert holds_several(f" {''.join(sentences)} ", language)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "I am a student."),
        ("en", "Mr. J. K. Smith came at 3 p.m. Friday, e.g. to the U.S. Army."),
        ("en", "Well... Yes, hmm… No."),
        ("en", "1. Introduction"),
        ("en", "“Come!” he said."),
        ("en", "Visit www.example.com or mail a.b@c.org, ver. 2.0, now"),
        ("en", "Hi.There"),
        ("en", "Stop. 🙂"),
        ("en", "- ... The cat."),
        ("de", "Der 3. Mann, Hr. Bd. Maier, kam am 12. Oktober."),
        ("fr", "Mlle. Anne et le Dr. Martin de St. Malo."),
        ("nl", "Hier woont Mevr. Jansen."),
        ("pl", "Tow. Kowalski mieszka na ul. Nowa 5. Dom."),
        ("zh", "“你好！”他说。"),
        ("zh", "3.5米"),
        ("qq", "Dr. Who came on the 3. May."),
        ("no language", "Dr. Who came on the 3. May."),
        ("th", "สวัสดี ครับ"),
    ],
)
def test_one_sentence_is_whole(language: str, text: str) -> None:
    assert sentences_of(text, language) == [text]
    assert not holds_several(text, language)


@given(
    st.text(st.sampled_from("aB1.!?。！… \u00a0\n“”'()你-é🙂"), max_size=40), st.sampled_from(["en", "de", "zh", "src"])
)
def test_the_sentences_are_the_text(text: str, language: str) -> None:
    bare = text.lstrip()
    found = sentences_of(bare, language)
    assert "".join(found) == bare
    assert all(sentence == sentence.lstrip() for sentence in found)
    if len(found) > 1:
        assert all(any(c.isalnum() for c in sentence) for sentence in found)


def test_a_long_text_is_parted_like_a_short_one() -> None:
    sentences = [f"Der Satz {number} ist für Müller da{end} " for number in range(400) for end in ".?"]
    assert sentences_of("".join(sentences), "de") == sentences
    with_a_long_one = ["Kurz ist er. ", f"Lang {'sehr ' * 900}ist er. ", "Dann noch einer."]
    assert sentences_of("".join(with_a_long_one), "de") == with_a_long_one


@pytest.mark.parametrize(
    "shape",
    [
        lambda n: "你。" * (n // 2),
        lambda n: "Où ? " * (n // 5),
        lambda n: "The cat is tired. " * (n // 18),
        lambda n: "a" + "." * n,
        lambda n: "a. " + "(" * n + "b",
        lambda n: "a!\u2028" * (n // 3),
        lambda n: "x. " * (n // 3),
        lambda n: "a" + " " * n + "b. C",
    ],
)
def test_the_time_is_linear_in_the_length(shape: Callable[[int], str]) -> None:
    assert growth(lambda text: sentences_of(text, "en"), shape, 20_000) <= 2.5


def test_the_share_of_several_decides_what_a_model_learns() -> None:
    sources = ["One. Two is more.", "One", "Mr. One", "One! Yes."]
    pairs = [SentencePair(source, "", line, 0) for line, source in enumerate(sources)]
    count = SentenceCount("en", expected=4)
    assert list(count.watching(iter(pairs))) == pairs
    assert count.share == 0.5
    assert count.in_words().startswith("sentences: 50.0 % of the sources hold more than one; the model learns text of")
    assert [has_single_sentences(share) for share in (None, 0.0, 0.06, 0.13, 1.0)] == [True, True, True, False, False]


def test_of_very_many_sources_a_sample_is_counted() -> None:
    count = SentenceCount("en", expected=1_000_000)
    pairs = (SentencePair("One. Two is more.", "", line, 0) for line in range(95))
    assert len(list(count.watching(pairs))) == 95
    assert (count._seen, count.share) == (10, 1.0)
