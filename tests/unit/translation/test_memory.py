"""A translation memory: what matches exactly, what is similar, and how much work that is."""

from __future__ import annotations

import random

import pytest

from pellucid.errors import DataError
from pellucid.translation.hypothesis import Translation
from pellucid.translation.memory import units as units_module
from pellucid.translation.memory.index import MOST_COMPARED, MOST_READ
from pellucid.translation.memory.matches import differing
from pellucid.translation.memory.recalling import recall
from pellucid.translation.memory.units import TranslationMemory
from pellucid.translation.terms.glossary import Term

rapidfuzz = pytest.importorskip("rapidfuzz")


def test_a_source_matches_after_the_one_normalisation_and_no_further() -> None:
    memory = TranslationMemory([("Cafe\u0301  offen.", "Open café.")])
    for same in ("Café offen.", "Café\u00a0 offen.", "Ca\u00adfé offen."):
        assert memory.exact(same) == "Open café."
    for other in ("café offen.", "Café offen", "<b>Café</b> offen."):
        assert memory.exact(other) is None


def test_a_translation_without_the_placeholders_of_its_source_is_only_shown() -> None:
    memory = TranslationMemory([("Noch {0} Tage", "Days left"), ("<g1>Neu</g1>", "<g1>New</g1>")])
    assert memory.exact("<g1>Neu</g1>") == "<g1>New</g1>"
    found = recall("Noch {0} Tage", [memory])
    assert (found.target, [(one.target, one.score) for one in found.matches]) == (None, [("Days left", 100.0)])


def test_of_several_translations_the_most_frequent_counts_and_of_these_the_last() -> None:
    rows = [("Hund", "dog"), ("Hund", "hound"), ("Hund", "dog"), ("Katze", "cat"), ("Katze", "kitty")]
    memory = TranslationMemory(rows)
    assert [memory.exact("Hund"), memory.exact("Katze"), len(memory)] == ["dog", "kitty", 2]
    assert [one.target for one in recall("Katze", [memory]).matches] == ["cat"]


def test_terms_of_the_request_go_before_the_memory() -> None:
    memory = TranslationMemory([("Ein Hund.", "A dog.")])
    for term in (Term("Hund", "hound"), Term("Hund", avoid="dog")):
        found = recall("Ein Hund.", [memory], terms=[term])
        assert found.target is None
        assert found.matches[0].target == "A dog."
    assert recall("Ein Hund.", [memory], terms=[Term("Hund", "dog")]).target == "A dog."


def test_the_first_memory_has_the_translation_and_matches_come_best_first() -> None:
    one, other = TranslationMemory([("Ein Hund", "A hound")]), TranslationMemory([("Ein Hund", "A dog")])
    assert recall("Ein Hund", [one, other]).target == "A hound"
    found = recall("Ein Hund bellt", [TranslationMemory([("Ein Hund bellt laut", "1"), ("Ein Hund bellte", "2")])])
    assert [match.target for match in found.matches] == ["2", "1"]
    assert all(70 <= match.score < 100 for match in found.matches)


def test_what_differs_is_told_in_words_and_in_characters_where_there_are_no_spaces() -> None:
    assert differing("The red dog barks.", "The <b>old</b> dog sleeps.") == (("red", "barks"), ("<b>old</b>", "sleeps"))
    assert differing("今天天气好", "明天天气好") == (("今",), ("明",))


def test_what_cannot_be_looked_up_is_not_found() -> None:
    memory = TranslationMemory([("ab", "cd")])
    for text in ("", "  ", "a\0b", "ab\ud800"):
        assert recall(text, [memory]).target is None


def test_the_text_of_a_memory_keeps_the_white_space_around_and_its_origin() -> None:
    found = recall(" ab\n", [TranslationMemory([("ab", "cd")])]).translation_of(" ab\n")
    assert found is not None
    assert (found.text, found.origin, found.flags) == (" cd\n", "memory", ("memory",))
    assert Translation("a", "b", 0.0, (), ()).origin == "model"


def test_a_memory_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units_module, "MOST_UNITS", 3)
    with pytest.raises(DataError, match=r"big\.tmx: has over 3 different sources"):
        TranslationMemory(((str(n), "x") for n in range(9)), name="big.tmx")


WORDS = [
    f"{a}{b}{c}" for a in ("ba", "kro", "sti", "mel") for b in ("no", "ra", "ku", "ti") for c in ("s", "len", "", "x")
]


def sentences(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return list(dict.fromkeys(" ".join(rng.choices(WORDS, k=rng.randint(3, 14))) for _ in range(count)))


def test_the_work_for_a_text_does_not_grow_with_the_memory() -> None:
    # 64 words in 30,000 units: every group of characters is in thousands of them.
    memory = TranslationMemory((text, "x") for text in sentences(30_000, seed=1))
    for text in (*sentences(20, seed=2), "no", "ba"):
        found = memory.candidates(text)
        assert len(found.numbers) <= MOST_COMPARED
        assert found.read <= max(MOST_READ, len(memory))


def test_similar_units_are_those_of_a_comparison_with_every_unit() -> None:
    from rapidfuzz import fuzz, process

    rng = random.Random(3)
    stored = sentences(3000, seed=4)
    memory = TranslationMemory((text, "x") for text in stored)
    seen = wanted = 0
    for text in rng.sample(stored, 100):
        words = text.split(" ")
        words[rng.randrange(len(words))] = "NEU"
        changed = " ".join(words)
        best = process.extractOne(changed, stored, scorer=fuzz.ratio, score_cutoff=70)
        if best is not None:
            wanted += 1
            found = memory.similar(changed, most=1)
            seen += bool(found) and found[0].score >= round(best[1], 1)
    assert wanted > 80
    assert seen >= 0.97 * wanted
