"""Every option of DeepL's client for texts, one test each: it is honoured, refused, or named in a header.

The client is DeepL's own, over a real socket. The table in ``docs/reference/protocols.md`` says the same in words.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.end_to_end.deepl_kit import Server, deepl_serving

deepl = pytest.importorskip("deepl")

GERMAN = "Der schnelle braune Fuchs springt über den Hund."
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with deepl_serving() as found:
        yield found


def test_source_lang(server: Server) -> None:
    assert server.translated("ab").detected_source_lang == "DE"
    assert server.translated("ab", source="de-AT").text == "AB", "more than DeepL understands"
    with pytest.raises(deepl.DeepLException, match="Value for 'source_lang' not supported"):
        server.translated("ab", source="XX")
    assert server.translated(GERMAN, source=None, target="PT-BR").detected_source_lang == "DE", "the only one"


def test_source_lang_that_is_left_out_is_detected_for_each_text(server: Server) -> None:
    pytest.importorskip("py3langid")
    english = "The quick brown fox jumps over the dog."
    with_two = [one.detected_source_lang for one in server.translated([GERMAN, english], source=None, target="EN-GB")]
    # Only German is translated to English, so nothing is detected.
    assert with_two == ["DE", "DE"]


@pytest.mark.parametrize(("target", "named"), [("EN-US", True), ("EN-GB", True), ("PT-BR", False), ("DE", False)])
def test_target_lang_names_a_region_that_the_model_does_not_choose(server: Server, target: str, named: bool) -> None:
    source = "EN" if target == "DE" else "DE"
    assert server.translated("ab", source=source, target=target).text == "AB"
    assert (server.header == "target_lang") is named
    with pytest.raises(deepl.DeepLException, match="Value for 'target_lang' not supported"):
        server.translated("ab", target="PT-PT")


def test_context_is_a_hint_that_is_named(server: Server) -> None:
    assert server.translated("ab", context="Ein Brief.").text == "AB"
    assert (server.named, server.model.calls) == (["context"], [["ab"]])


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        (None, ["Cd", "ab.", "ef"]),  # as the model was trained: this one with single sentences
        ("1", ["Cd", "ab.", "ef"]),
        ("nonewlines", ["Cd ef", "ab."]),
        ("0", ["ab. Cd ef"]),
    ],
)
def test_split_sentences(server: Server, value: str | None, parts: list[str]) -> None:
    options = {} if value is None else {"split_sentences": value}
    found = server.translated("ab. Cd\nef", **options)
    assert (server.parts, server.named) == (parts, [])
    assert found.text == ("AB. CD\nEF" if value in (None, "1") else "AB. CD EF")
    with pytest.raises(deepl.DeepLException, match="Value for 'split_sentences' not supported"):
        server.translated("ab", split_sentences="2")


def test_split_sentences_keeps_blank_lines_apart_and_says_so(server: Server) -> None:
    assert server.translated("ab\n\ncd", split_sentences="nonewlines").text == "AB\n\nCD"
    assert server.named == ["split_sentences"]
    assert server.translated("<p>ab\ncd</p>", tag_handling="html", split_sentences="1").text == "<p>AB CD</p>"
    assert server.named == ["split_sentences"], "in markup, line ends are white space"


def test_preserve_formatting_is_named_where_the_model_changed_it(server: Server) -> None:
    text = "  Ab,\n\n\tCD! "
    assert server.translated(text, preserve_formatting=True).text == text.upper()
    assert server.named == []
    assert server.translated("ab", preserve_formatting=True).text == "AB"
    assert server.named == ["preserve_formatting"], "a capital that the source does not have"
    assert server.translated("ab", preserve_formatting=False).text == "AB"
    assert server.named == []
    with pytest.raises(deepl.DeepLException, match="preserve_formatting"):
        server.translated("ab", extra_body_parameters={"preserve_formatting": "perhaps"})


def test_formality_is_refused_as_deepl_refuses_it_and_a_preference_is_named(server: Server) -> None:
    for value in ("more", "less"):
        with pytest.raises(deepl.DeepLException, match="'formality' is not supported for given 'target_lang'"):
            server.translated("ab", formality=value)
    for value, named in (("default", []), ("prefer_more", ["formality"]), ("prefer_less", ["formality"])):
        assert server.translated("ab", formality=value).text == "AB"
        assert server.named == named
    with pytest.raises(deepl.DeepLException, match="Value for 'formality' not supported"):
        server.translated("ab", formality="polite")


def test_tag_handling_and_its_version(server: Server) -> None:
    assert server.translated("<b>ab</b> cd", tag_handling="html").text == "<b>AB</b> CD"
    assert server.translated("<b>ab</b> cd", tag_handling="xml").text == "<b>AB</b> CD"
    assert server.translated("</b> cd", tag_handling="xml", tag_handling_version="v1").text == "</b> CD"
    with pytest.raises(deepl.DeepLException, match="Tag handling parsing failed"):
        server.translated("</b> cd", tag_handling="xml", tag_handling_version="v2")
    assert server.translated("<br> cd", tag_handling="html", tag_handling_version="v2").text == "<br> CD"
    for name, value in (("tag_handling", "sgml"), ("tag_handling_version", "v3")):
        with pytest.raises(deepl.DeepLException, match=f"Value for '{name}' not supported"):
            server.translated("ab", **{name: value})


OUTLINE = "<doc><par>ab</par><par>cd</par></doc>"


def test_outline_detection(server: Server) -> None:
    assert server.translated(OUTLINE, tag_handling="xml").text == OUTLINE.replace("ab", "AB").replace("cd", "CD")
    assert server.parts == ["ab", "cd"]
    server.translated(OUTLINE, tag_handling="xml", outline_detection=False)
    assert len(server.parts) == 1, "without it, only splitting_tags part sentences"
    assert server.named == []
    server.translated(OUTLINE, tag_handling="html", outline_detection=False)
    assert server.named == ["outline_detection"], "it is for XML"


def test_splitting_tags(server: Server) -> None:
    server.translated(OUTLINE, tag_handling="xml", outline_detection=False, splitting_tags=["par"])
    assert server.parts == ["ab", "cd"]
    server.translated("<x>ab</x> <y>cd</y>", tag_handling="html", splitting_tags="x,y")
    assert server.parts == ["ab", "cd"]


def test_non_splitting_tags(server: Server) -> None:
    server.translated(OUTLINE, tag_handling="xml", non_splitting_tags=["par", "doc"])
    assert len(server.parts) == 1
    server.translated("<p>ab</p><p>cd</p>", tag_handling="html", non_splitting_tags="p")
    assert len(server.parts) == 1


def test_ignore_tags(server: Server) -> None:
    for kind in ("xml", "html"):
        text = "ab <keep>cd</keep> ef"
        assert server.translated(text, tag_handling=kind, ignore_tags=["keep"]).text == "AB <keep>cd</keep> EF"


def test_options_of_tags_without_tag_handling_are_named(server: Server) -> None:
    text = "ab <keep>cd</keep>"
    assert server.translated(text, ignore_tags="keep", splitting_tags=["p"]).text == text.upper()
    assert sorted(server.named) == ["ignore_tags", "splitting_tags"]


def test_model_type_is_the_width_of_the_search(server: Server) -> None:
    for value, used, settings in (
        (None, None, {}),
        ("quality_optimized", "quality_optimized", {}),
        ("prefer_quality_optimized", "quality_optimized", {}),
        ("latency_optimized", "latency_optimized", {"beam_size": 1, "n_best": 1}),
    ):
        for text, more in (("ab", {}), ("<b>ab</b> cd", {"tag_handling": "xml"})):
            found = server.translated(text, model_type=value, **more)
            assert found.model_type_used == used
            (given, *_) = server.model.settings
            assert {name: given[name] for name in ("beam_size", "n_best") if name in given} == settings
    with pytest.raises(deepl.DeepLException, match="Value for 'model_type' not supported"):
        server.translated("ab", model_type="cheap")


def test_show_billed_characters(server: Server) -> None:
    assert server.translated("abc").billed_characters == 3, "the client always asks for it"
    with pytest.raises(TypeError):  # so says the client where the answer has none
        server.translated("abc", extra_body_parameters={"show_billed_characters": False})


@pytest.mark.parametrize(
    "option",
    [
        {"style_rule": "1"},
        {"custom_instructions": ["Be brief."]},
        {"translation_memory": "1"},
        {"translation_memory": "1", "translation_memory_threshold": 80},
    ],
    ids=lambda one: next(reversed(one)),
)
def test_what_the_server_cannot_do_is_refused(server: Server, option: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(deepl.DeepLException, match="is not supported by this server; leave it out"):
        server.translated("ab", **option)
    if "custom_instructions" not in option:
        with pytest.raises(deepl.DeepLException, match="is not supported by this server; leave it out"):
            server.client.translate_document_upload(b"ab", filename="a.txt", target_lang="EN-US", **option)


def test_what_nobody_knows_is_named(server: Server) -> None:
    unknown = {"tone": "warm", "x\r\ny: z": 1, "empty": None}
    assert server.translated("ab", extra_body_parameters=unknown).text == "AB"
    assert server.named == ["tone", "x??y??z"]


def test_usage(server: Server) -> None:
    before = server.client.get_usage().character
    server.translated("abcd")
    after = server.client.get_usage()
    assert (after.character.count - before.count, after.any_limit_reached) == (4, False)
    assert after.character.limit == 1_000_000_000_000


def test_languages(server: Server) -> None:
    client = server.client
    assert {one.code: one.name for one in client.get_source_languages()} == {"DE": "German", "EN": "English"}
    targets = {one.code: (one.name, one.supports_formality) for one in client.get_target_languages()}
    assert targets == {
        "EN-GB": ("English (British)", False), "EN-US": ("English (American)", False),
        "DE": ("German", False), "PT-BR": ("Portuguese (Brazil)", False),
    }  # fmt: skip
    for code in targets:  # what the client lists, it can ask for
        assert server.translated("ab", source="EN" if code == "DE" else "DE", target=code).text == "AB"


def test_the_table_names_every_option_of_the_client(server: Server) -> None:
    """A new option of DeepL's client needs a row in the table, and a decision."""
    every = {
        "context": "a", "split_sentences": "1", "preserve_formatting": True, "formality": "default", "glossary": "1",
        "tag_handling": "xml", "tag_handling_version": "v1", "outline_detection": True, "non_splitting_tags": "a",
        "splitting_tags": "a", "ignore_tags": "a", "model_type": "quality_optimized", "style_rule": "1",
        "translation_memory": "1", "translation_memory_threshold": 75, "custom_instructions": ["a"],
    }  # fmt: skip
    known = {*every, "self", "text", "source_lang", "target_lang", "glossary_ids", "extra_body_parameters"}
    assert set(inspect.signature(deepl.DeepLClient.translate_text).parameters) == known
    with pytest.raises(deepl.DeepLException):
        server.translated("ab", **every)
    page = (ROOT / "docs" / "reference" / "protocols.md").read_text(encoding="utf-8")
    names = {*server.sent, "glossary_ids", "output_format", "filename"}
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []
