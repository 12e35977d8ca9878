"""The words of the page: every language says the same things, the page uses them all, and none is missing."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Final

import pytest

import pellucid
from pellucid.analysis.atlas import LABELS
from pellucid.analysis.health import THRESHOLDS
from pellucid.documents.transfer.outcomes import Way
from pellucid.page.single_file import view_names

WEB: Final = Path(pellucid.__file__).parent / "web"
TEXTS: Final = WEB / "texts"
MODULES: Final = sorted((WEB / "modules").rglob("*.js"))
LANGUAGES: Final = sorted(path.stem for path in TEXTS.glob("*.json") if path.stem != "en")
PARTS: Final = sorted(path.parent.name for path in TEXTS.glob("*/en.json"))
"""Folders of texts; but for ``SHARED``, each comes with the modules of a folder of the same name."""
SHARED: Final = "said"
"""The words that both pages have for what is said of a translation."""
KEY: Final = r"[a-z_]+(?:\.[\w${}]+)+"


def unique(pairs: list[tuple[str, str]]) -> dict[str, str]:
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), sorted({name for name in names if names.count(name) > 1})
    return dict(pairs)


def part(folder: str, language: str) -> dict[str, str]:
    read = (TEXTS / folder / f"{language}.json").read_text(encoding="utf-8")
    found: dict[str, str] = json.loads(read, object_pairs_hook=unique)
    return found


@cache
def texts(language: str) -> dict[str, str]:
    """Return all texts of a language: those of the page that shows the inside, of its views, and of the other page."""
    return unique([pair for folder in ("", *PARTS) for pair in part(folder, language).items()])


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def first_arguments(source: str) -> list[str]:
    """Return what stands first between the brackets of every call of ``t``."""
    found = []
    for call in re.finditer(r"(?<![\w.$])t\(", source):
        depth, end = 0, call.end()
        while source[end] not in ",)" or depth:
            depth += (source[end] in "([{") - (source[end] in ")]}")
            end += 1
        found.append(source[call.end() : end])
    return found


@cache
def asked(*, without: str | None = None) -> tuple[frozenset[str], frozenset[str]]:
    """Return the keys that the modules ask for as they stand, and patterns of those that they put together."""
    fixed: set[str] = set()
    patterns: set[str] = set()
    for path in MODULES:
        if without and path.parent.name == without:
            continue
        for argument in first_arguments(path.read_text(encoding="utf-8")):
            fixed |= set(re.findall(rf'"({KEY})"', argument))
            for template in re.findall(r"`([^`]*)`", argument):
                patterns.add(r"\w+".join(re.escape(part) for part in re.split(r"\$\{[^}]*\}", template)))
    return frozenset(fixed), frozenset(patterns)


def exported(module: str, pattern: str) -> list[str]:
    return re.findall(pattern, (WEB / "modules" / module).read_text(encoding="utf-8"))


def test_there_is_more_than_one_language_and_the_page_offers_each() -> None:
    offered = exported("texts.js", r'\["(\w+)", "[^"]+"\]')
    assert sorted(offered) == sorted(["en", *LANGUAGES])
    assert LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_the_keys_of_english(language: str) -> None:
    assert not set(texts("en")) - set(texts(language)), "to be translated"
    assert not set(texts(language)) - set(texts("en")), "no longer there in English"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_fills_in_what_english_fills_in(language: str) -> None:
    own, english = texts(language), texts("en")
    assert not [key for key in own if placeholders(own[key]) != placeholders(english.get(key, ""))]


@pytest.mark.parametrize("language", ["en", *LANGUAGES])
def test_no_text_is_empty_or_has_stray_spaces(language: str) -> None:
    assert not [key for key, text in texts(language).items() if not text or text != text.strip() or "  " in text]


@pytest.mark.parametrize("language", ["en", *LANGUAGES])
def test_no_text_sends_a_reader_to_a_file_or_a_name_that_the_page_does_not_have(language: str) -> None:
    hidden = re.compile(r"\bdocs/|\bbenchmarks/|\.md\b|Wass-to")
    assert not [key for key, text in texts(language).items() if hidden.search(text)]


def test_every_key_that_the_page_asks_for_exists() -> None:
    fixed, patterns = asked()
    assert len(fixed) > 100
    assert not sorted(fixed - set(texts("en")))
    assert not [one for one in patterns if not any(re.fullmatch(one, key) for key in texts("en"))]


def test_every_key_is_asked_for() -> None:
    fixed, patterns = asked()
    rest = set(texts("en")) - fixed
    assert not sorted(key for key in rest if not any(re.fullmatch(one, key) for one in patterns))


def test_the_prose_of_a_chapter_is_the_text_of_nothing_else() -> None:
    """One key for two texts put a paragraph on a button."""
    fixed, _ = asked()
    assert not {key for key in fixed if key.split(".")[0] in view_names() and key.endswith((".lede", ".more"))}


@pytest.mark.parametrize("folder", [folder for folder in PARTS if folder != SHARED])
def test_the_texts_of_a_view_are_asked_for_by_that_view_alone(folder: str) -> None:
    fixed, patterns = asked(without=folder)
    own = part(folder, "en")
    assert not fixed & own.keys()
    assert not [key for key in own if any(re.fullmatch(one, key) for one in patterns)]


def test_the_page_for_translators_asks_for_its_words_and_the_shared_ones_alone() -> None:
    known = part("translator", "en").keys() | part(SHARED, "en").keys()
    asked_for = set()
    for path in (WEB / "modules" / "translator").glob("*.js"):
        for argument in first_arguments(path.read_text(encoding="utf-8")):
            asked_for |= set(re.findall(rf'"({KEY})"', argument))
    assert len(asked_for) > 50
    assert not asked_for - known


def test_every_way_of_tags_has_its_words() -> None:
    wanted = {f"translator.way.{re.sub(r'[^a-z]+', '_', way)}" for way in Way}
    assert wanted == {key for key in part("translator", "en") if key.startswith("translator.way.")}


def test_views_stops_signs_and_labels_have_their_texts() -> None:
    views = exported("views.js", r'\{name: "(\w+)", Component')
    stops = exported("tour_stops.js", r'\{\s*name: "(\w+)",\s+(?:subject|state)')
    assert views
    assert stops
    wanted = {f"{name}.{part}" for name in views for part in ("name", "title", "lede", "more")}
    wanted |= {f"tour.{name}.{part}" for name in stops for part in ("title", "text")}
    wanted |= {f"health.{name}" for name in THRESHOLDS}
    wanted |= {f"heads.label.{label.replace(' ', '_')}" for label in LABELS}
    assert not sorted(wanted - set(texts("en")))
    told = {key.split(".")[1] for key in texts("en") if re.fullmatch(r"tour\.\w+\.(title|text)", key)}
    assert told == set(stops), "texts of stops that the tour does not make"


def test_every_chapter_has_words_and_every_word_a_chapter_and_a_sentence() -> None:
    views = exported("views.js", r'\{name: "(\w+)", Component')
    chapters = dict(
        re.findall(r"^  (\w+): \[([^\]]*)\],$", (WEB / "modules/glossary.js").read_text(encoding="utf-8"), re.M)
    )
    assert list(chapters) == views
    shown = {name: re.findall(r'"(\w+)"', words) for name, words in chapters.items()}
    assert all(words and len(words) == len(set(words)) for words in shown.values())
    used = {word for words in shown.values() for word in words}
    assert {f"words.{word}.{part}" for word in used for part in ("name", "text")} == {
        key for key in texts("en") if key.startswith("words.") and key != "words.title"
    }


def test_chinese_is_written_with_its_own_punctuation() -> None:
    """Half-width commas, colons and brackets beside Chinese characters are slips of the keyboard."""
    slip = re.compile(r"[\u4e00-\u9fff][,:;?!()]|[,:;?!()][\u4e00-\u9fff]")
    assert not [key for key, text in texts("zh").items() if slip.search(text)]


def test_a_warning_says_that_translations_with_its_sign_were_bad() -> None:
    """ "Right in 63 %" beside a translation read as if the translation were right; both pages have the words."""
    both = part(SHARED, "en")
    for key in ("doubt.worth", "doubt.worth_other"):
        assert "Right" not in both[key]
        assert placeholders(both[key]) == {"precision", "kind"}
    assert {f"health.kind.{kind}" for kind in ("detached", "looping", "poor")} <= set(both)


def test_ranks_say_that_the_best_has_0_and_steps_that_they_are_counted_from_0() -> None:
    english = texts("en")
    assert all("the best has 0" in english[key] for key in ("search.has_rank", "search.worse"))
    assert "from 0" in english["pick.step"]
    assert "Step" not in english["whole.at_step"], "the picture counts pieces that are written, from 1"
