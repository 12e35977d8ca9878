"""Word links of texts with placeholders and tags that are kept."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import as_file, files

import pytest

import pellucid
from pellucid.translation.alignment.markers import with_markers_as_words
from pellucid.translation.hypothesis import Alignment
from pellucid.translation.placeholders.markers import markers_of, taken_out
from pellucid.translation.translator import Translator

PLAIN = ["The dog sleeps near the house.", "The dog sleeps. The cat eats."]
TAGGED = [
    ("The <b>dog</b> sleeps near {0} the house.", 0),
    ("{0} The dog<br/> sleeps near the <i>house</i>.", 0),
    ("<p>The dog sleeps. The cat %s eats.</p>", 1),
]


@pytest.fixture(scope="module")
def translator() -> Iterator[Translator]:
    with as_file(files("pellucid") / "sample" / "walkthrough" / "model") as folder:
        loaded = pellucid.load(folder, device="cpu", engine="torch")
        yield loaded.with_settings(beam_size=1, alignment=True, split_sentences="always")


def links_of(alignment: Alignment, markers: list[str]) -> list[tuple[str, str]]:
    return [
        (alignment.source_words[i], alignment.target_words[j])
        for i, j in alignment.links
        if alignment.source_words[i] not in markers
    ]


def test_words_are_aligned_as_without_markers_and_markers_with_themselves(translator: Translator) -> None:
    plain = translator.translate(PLAIN)
    kept = translator.translate([text for text, _ in TAGGED], placeholders="keep")
    for one, (text, number) in zip(kept, TAGGED, strict=True):
        alignment, bare = one.alignment, plain[number].alignment
        assert alignment is not None
        assert bare is not None
        markers = markers_of(text)
        assert links_of(alignment, markers) == links_of(bare, [])
        own = [(i, j) for i, j in alignment.links if alignment.source_words[i] in markers]
        assert [alignment.source_words[i] for i, _ in own] == markers
        assert [alignment.target_words[j] for _, j in own] == markers
        for words, places, whole in (
            (alignment.source_words, alignment.source_places, text),
            (alignment.target_words, alignment.target_places, one.text),
        ):
            assert list(places) == sorted(places)
            assert all(word in whole.split()[place] for word, place in zip(words, places, strict=True))
            assert set(places) == set(range(len(whole.split())))


def test_an_unknown_word_does_not_shift_the_others() -> None:
    text = "a <b>☃</b> bc {0}d"
    bare, markers = taken_out(text)
    assert bare == "a ☃ bc d"
    words = ("a", "<unk>", "bc", "d")
    numbers = (0, 1, 2, 3)
    links = tuple(zip(numbers, numbers, strict=True))
    alignment = Alignment(words, words, links, source_places=numbers, target_places=numbers)
    found = with_markers_as_words(
        alignment, (text, text), (bare, bare), markers, normalised=(lambda text: text, lambda text: text)
    )
    assert found.source_words == ("a", "<b>", "<unk>", "</b>", "bc", "{0}", "d")
    assert found.pharaoh == "0-0 1-1 2-2 3-3"
    assert len(found.links) == 7
