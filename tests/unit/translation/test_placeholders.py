"""Placeholders and tags come through a translation exactly once and in their order."""

from __future__ import annotations

import random
from importlib.resources import as_file, files

import pytest

import pellucid
from pellucid.config import TranslationConfig
from pellucid.sample import build_corpus
from pellucid.translation.placeholders.attention import evenly
from pellucid.translation.placeholders.markers import markers_of, taken_out
from pellucid.translation.placeholders.placing import Side, with_markers
from pellucid.translation.translator import Translator

from .shouting import TOKENIZER, ShoutingStepper

MARKERS = (
    "{0}",
    "{name}",
    "%s",
    "%1$d",
    "%(count)d",
    "${x}",
    "&amp;",
    "&#39;",
    "<br/>",
    "<b>",
    "</b>",
    "<a href='x y'>",
)


def shouter(**settings: object) -> Translator:
    config = TranslationConfig.model_validate({"placeholders": "keep", **settings})
    return Translator(ShoutingStepper, TOKENIZER, config=config, source_language="en")


def tagged(sentence: str, generator: random.Random) -> str:
    """Return a sentence with tags around words, and placeholders and entities between and beside words."""
    words = sentence.split(" ")
    for _ in range(generator.randint(1, 4)):
        place = generator.randrange(len(words))
        tag = generator.choice(["b", "i", "span class='c'", "x1"])
        last = generator.randrange(place, len(words))
        choice = generator.randrange(4)
        if choice < 2:
            words[place] = f"<{tag}>{words[place]}"
            words[last] += f"</{tag.split()[0]}>"
        elif choice == 2:
            words.insert(place, generator.choice(MARKERS))
        else:
            words[place] = generator.choice(["{0}" + words[place], words[place] + "%s", words[place] + "<br/>"])
    return " ".join(words)


@pytest.mark.parametrize(
    ("text", "rest", "places"),
    [
        ("a <b>red</b> cow", "a red cow", [2, 5]),
        ("a<br/>cow", "a cow", [1]),
        ("tired.<br/>You", "tired. You", [6]),
        ("<b>tired</b>.", "tired.", [0, 5]),
        ("you have %d cows", "you have cows", [9]),
        ("{0}: %s", ":", [0, 1]),
        ("R&amp;D", "R D", [1]),
        ("<p><b>x</b></p>", "x", [0, 0, 1, 1]),
        ("no marker, 5 % off", "no marker, 5 % off", []),
    ],
)
def test_what_is_taken_out(text: str, rest: str, places: list[int]) -> None:
    found, markers = taken_out(text)
    assert found == rest
    assert [marker.place for marker in markers] == places
    assert [marker.text for marker in markers] == markers_of(text)


@pytest.mark.parametrize(
    ("text", "translation"),
    [
        ("a <b>red</b> cow", "une vache <b>rouge</b>"),
        ("a <b>red cow</b>", "une <b>vache rouge</b>"),
        ("<p>a red cow</p>", "<p>une vache rouge</p>"),
        ("a {0} red cow", "une {0} vache rouge"),
        ("a {0}red cow", "une {0}vache rouge"),
        ("a <i>red</i> <b>cow</b>", "une <i>vache</i> <b>rouge</b>"),  # in the order of the source
    ],
)
def test_a_marker_goes_where_its_words_go(text: str, translation: str) -> None:
    rest, markers = taken_out(text)
    source = Side(rest, [b" a", b" red", b" cow"])
    target = Side("une vache rouge", [b" une", b" vache", b" rouge"])
    weights = [[0.8, 0.1, 0.1], [0.1, 0.1, 0.8], [0.1, 0.8, 0.1]]
    assert with_markers(source, target, markers, weights) == translation


@pytest.mark.parametrize(
    ("target", "surfaces", "wanted"),
    [
        ("it's red", [b" it", b"'", b"s", b" red"], "it's {0} red"),
        ("l'eau rouge", [b" l", b"'", b"eau", b" rouge"], "l' {0} eau rouge"),
    ],
)
def test_a_marker_goes_into_no_word(target: str, surfaces: list[bytes], wanted: str) -> None:
    rest, markers = taken_out("a {0} cow")
    weights = [[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9]]
    assert with_markers(Side(rest, [b" a", b" cow"]), Side(target, surfaces), markers, weights) == wanted


def test_the_shouter_keeps_them_in_place() -> None:
    text = "a <b>horse</b> and {0}, an ox %s <br/> &amp; a goat"
    assert shouter().translate(text).text == "A <b>HORSE</b> AND {0}, AN OX %s <br/> &amp; A GOAT"
    assert shouter(placeholders="translate").translate(text).text.startswith("A <B>HORSE</B> AND {0}")


@pytest.mark.parametrize("text", ["{0}", " <br/> ", "<b>%s</b>: {0}", "&amp;"])
def test_a_text_of_nothing_else_is_its_own_translation(text: str) -> None:
    found = shouter().translate(text)
    assert found.text == text
    assert found.flags == ("passed_through",)


def test_texts_without_placeholders_are_translated_as_ever() -> None:
    texts = ["a horse", "", "an ox, 5 % off"]
    assert shouter().translate(texts, n_best=3) == shouter(placeholders="translate").translate(texts, n_best=3)


def test_a_placeholder_before_a_sign_does_not_run_into_a_word() -> None:
    _, markers = taken_out("a {0}, cow")
    source, target = Side("a, cow", [b" a", b",", b" cow"]), Side("une vache", [b" une", b" vache"])
    assert with_markers(source, target, markers, [[0.9, 0.05, 0.05], [0.0, 0.1, 0.9]]) == "une {0} vache"


@pytest.mark.parametrize("marker", ["{0}", "<x1/>"])
def test_a_placeholder_keeps_its_spaces_in_braces_and_as_a_tag(marker: str) -> None:
    """As a tag it stands in documents, whose codes are tags for the translator."""
    _, markers = taken_out(f"das kostet {marker} Euro.")
    source = Side("das kostet Euro.", [b"das", b" kostet", b" Euro", b"."])
    target = Side("this costs.", [b"this", b" costs", b"."])
    weights = [[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 0.5, 0.5]]
    assert with_markers(source, target, markers, weights) == f"this costs {marker}."
    _, markers = taken_out(f"a {marker}, cow")
    source, target = Side("a, cow", [b" a", b",", b" cow"]), Side("une vache", [b" une", b" vache"])
    written = with_markers(source, target, markers, [[0.9, 0.05, 0.05], [0.0, 0.1, 0.9]])
    assert written == f"une {marker} vache"


def test_a_line_break_between_words_gets_no_spaces() -> None:
    _, markers = taken_out("a<br/>cow")
    source, target = Side("a cow", [b" a", b" cow"]), Side("une vache", [b" une", b" vache"])
    assert with_markers(source, target, markers, [[1.0, 0.0], [0.0, 1.0]]).split("<br/>")[0].strip() == "une"


def test_what_the_model_makes_up_does_not_come_twice() -> None:
    source, target = Side("a cow", [b" a", b" cow"]), Side("une {0} vache", [b" une", b" {0}", b" vache"])
    _, markers = taken_out("a {0} cow")
    assert with_markers(source, target, markers, evenly([1, 2], [1, 2, 3])).count("{0}") == 1


def test_generated_texts_come_back_with_the_same_tags() -> None:
    generator = random.Random(7)
    words = ["a", "horse", "(an", "ox)", "and", "goats.", "Here,", "bee", "it's"]
    plain = [" ".join(generator.choices(words, k=generator.randint(1, 9))) for _ in range(200)]
    texts = [tagged(sentence, generator) for sentence in plain]
    for text, found in zip(texts, shouter(beam_size=2, n_best=2).translate(texts), strict=True):
        for alternative in found.alternatives:
            assert markers_of(alternative.text) == markers_of(text), text
        assert "placeholders" not in found.flags


@pytest.mark.slow
def test_a_thousand_sentences_of_a_trained_model_come_back_with_the_same_tags() -> None:
    generator = random.Random(11)
    corpus = build_corpus(seed=1, train_size=20_000, valid_size=500, test_size=1000)
    texts = [tagged(pair.source, generator) for pair in corpus.test]
    with as_file(files("pellucid") / "sample" / "walkthrough" / "model") as folder:
        found = pellucid.load(folder, device="cpu").translate(texts, placeholders="keep", beam_size=1)
    assert [markers_of(one.text) for one in found] == [markers_of(text) for text in texts]
