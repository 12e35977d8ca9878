"""Files of strings (PO, XLIFF, JSON, YAML): only texts change, and other readers see the same file."""

from __future__ import annotations

import json
from typing import Any

import polib
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from tests.unit.documents.reading import changed, identity, opened, shown

from pellucid.errors import DocumentError, DocumentTooLargeError

PO = r"""# A comment
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\n"
"Plural-Forms: nplurals=2; plural=n != 1;\n"

#: a.c:1
msgctxt "menu"
msgid "Open \"%s\" <b>now</b>\n"
msgstr ""

msgid ""
"Two "
"lines"
msgstr   ""
""

msgid "Done"
msgstr "Fertig"

#, fuzzy
msgid "Guess"
msgstr "Rate"

msgid "%d file"
msgid_plural "%d files"
msgstr[0] ""
msgstr[1] ""

#~ msgid "Old"
#~ msgstr ""
"""


def test_po_gets_the_translations_that_it_lacks() -> None:
    document = opened("po", PO)
    assert shown(document) == ['Open "[1]" (2now2)[4]', "Two lines", "[1] file", "[1] files"]
    assert document.merge([None] * 4) == PO.encode()
    found = changed(document)
    filled = polib.pofile(found)
    assert [entry.msgstr for entry in filled if not entry.msgid_plural] == [
        'OPEN "%s" <b>NOW</b>\n',
        "TWO LINES",
        "Fertig",
        "Rate",
        "",
    ]
    assert filled[4].msgstr_plural == {0: "%d FILE", 1: "%d FILES"}
    assert not opened("po", found).segments
    kept = [line for line in PO.splitlines() if "msgstr" not in line and line != '""']
    assert [line for line in found.splitlines() if "msgstr" not in line] == kept
    with pytest.raises(DocumentError, match="line 2: is no line of a PO file"):
        opened("po", 'msgid "a"\nmsgstr "b\n')


XLIFF_1 = """<?xml version="1.0"?>
<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2"><file source-language="en" target-language="de">
<body>
  <trans-unit id="1">
    <source>A <g id="1">big</g> <x id="2"/>dog &amp; <ph id="3">&lt;br&gt;</ph></source>
    <note>A note</note>
  </trans-unit>
  <trans-unit id="2"><source>Done</source><target>Fertig</target></trans-unit>
  <trans-unit id="3"><source>Empty</source><target state="new"/>
    <alt-trans><source>x</source><target/></alt-trans></trans-unit>
  <trans-unit id="4" translate="no"><source>No</source></trans-unit>
  <trans-unit id="5"><source>S1. S2.</source>
    <seg-source><mrk mtype="seg" mid="1">S1.</mrk> <mrk mtype="seg" mid="2">S2.</mrk></seg-source></trans-unit>
  <group translate="no"><trans-unit id="6"><source>No</source></trans-unit></group>
</body></file></xliff>
"""
XLIFF_2 = """<xliff version="2.0" xmlns="urn:oasis:names:tc:xliff:document:2.0" srcLang="en" trgLang="de"><file id="f">
<unit id="1"><notes><note>x</note></notes><originalData><data id="d">y</data></originalData>
<segment><source>A <pc id="1">big</pc> <sc id="2"/>dog<ec startRef="2"/></source></segment>
<ignorable><source> </source></ignorable>
<segment state="final"><source>Done</source><target>Fertig</target></segment></unit></file></xliff>
"""


def test_xliff_gets_the_targets_that_it_lacks() -> None:
    document = opened("xliff", XLIFF_1)
    assert shown(document) == ["A (1big1) [3]dog & [4]", "Empty", "(1S1.1) (3S2.3)"]
    assert document.merge([None] * 3) == XLIFF_1.encode()
    found = changed(document)
    state = ' state="needs-review-translation"'
    first = f'<target{state}>A <g id="1">BIG</g> <x id="2"/>DOG &amp; <ph id="3">&lt;br&gt;</ph></target>'
    second = f'<target{state}><mrk mtype="seg" mid="1">S1.</mrk> <mrk mtype="seg" mid="2">S2.</mrk></target>'
    assert found == (
        XLIFF_1.replace("</source>\n    <note>", f"</source>\n    {first}\n    <note>")
        .replace('<target state="new"/>', '<target state="needs-review-translation">EMPTY</target>')
        .replace("</seg-source>", f"</seg-source>\n    {second}")
    )
    etree.fromstring(found.encode())
    assert not opened("xliff", found).segments


@pytest.mark.parametrize(
    ("source", "seen", "target"),
    [
        ("<![CDATA[A <b>big</b> dog &c]]>", "A (1big1) dog &c", "A &lt;b&gt;BIG&lt;/b&gt; DOG &amp;C"),
        ("A &lt;i&gt;dog&lt;/i&gt; %s", "A (1dog1) [3]", "A &lt;i&gt;DOG&lt;/i&gt; %s"),
        ("<g id='1'>a <![CDATA[<br/>]]></g>b", "(1a [3]1)b", "<g id='1'>A &lt;br/&gt;</g>B"),
        ("<![CDATA[a <b>c]]>", "a [1]c", "A &lt;b&gt;C"),
    ],
)
def test_xliff_has_the_tags_of_another_markup_as_codes(source: str, seen: str, target: str) -> None:
    file = f"<xliff><trans-unit><source>{source}</source></trans-unit></xliff>"
    document = opened("xliff", file)
    assert shown(document) == [seen]
    found = changed(document)
    assert f'</source><target state="needs-review-translation">{target}</target>' in found
    etree.fromstring(found.encode())
    assert document.merge([None]) == file.encode()


def test_xliff_2_segment_by_segment() -> None:
    document = opened("xliff", XLIFF_2)
    assert shown(document) == ["A (1big1) (3dog3)"]
    assert '</source><target>A <pc id="1">BIG</pc> <sc id="2"/>DOG<ec startRef="2"/></target></segment>' in changed(
        document
    )
    with pytest.raises(DocumentError, match="not XLIFF"):
        opened("xliff", "<a/>")
    with pytest.raises(DocumentError, match=r"not well-formed XML .mismatched tag at line 1"):
        opened("xliff", XLIFF_2.replace("\n", "").replace("</segment>", "", 1))
    with pytest.raises(DocumentError, match="entities"):
        opened("xliff", '<!DOCTYPE a [<!ENTITY b "c">]>' + XLIFF_1)


JSON = r'''{ "@@locale": "en",
  "menu": {"open": "Open {name}", "n": 3, "url": "https:\/\/a.b/c", "list": ["One", "2", true, "caf\u00e9 <b>x</b>"]},
  "@menu": {"description": "not this"}, "n": "{n, plural, one {a} other {b}}", "empty": "" }
'''  # fmt: skip


def test_json_strings_are_replaced_in_place() -> None:
    document = opened("json", JSON)
    assert [segment.place for segment in document.segments] == ["menu.open", "menu.list", "menu.list", "n", "n"]
    assert shown(document) == ["Open [1]", "One", "café (1x1)", "a", "b"]
    assert document.notes == ("1 untranslatable value left as it is",)
    assert identity(document) == JSON.encode()
    assert changed(document) == (
        JSON.replace("Open {", "OPEN {")
        .replace("One", "ONE")
        .replace(r"caf\u00e9 <b>x", r"CAF\u00c9 <b>X")
        .replace("{a}", "{A}")
        .replace("{b}", "{B}")
    )
    evil = 'a"b\\c\n\u2028'
    assert json.loads(changed(opened("json", '{"a": "b"}'), lambda text: evil)) == {"a": evil}
    with pytest.raises(DocumentError, match="not valid JSON"):
        opened("json", "{'a': 1}")
    with pytest.raises(DocumentTooLargeError, match="levels deep"):
        opened("json", "[" * 900 + "]" * 900)


FOR_PROGRAMS = ["#ff0000", "#FFF", "assets/img/cat.png", "/usr/bin", "./a", "C:\\x", "a/b/c", "index.html",
                "1.0.2-beta.1", "a.b.c", "btn_ok", "_x", "ERROR_CODE", "myValue", "iPhone2G", "2024-01-01T10:00:00Z",
                "12px", "-1.5rem", "https://a.b/c", "www.a.b", "mailto:a@b.c", "a@b.cd", "12", "\ud800"]  # fmt: skip
FOR_PEOPLE = [
    "OK",
    "Yes/No",
    "A cat.",
    "Self-made",
    "word",
    "Mr. X",
    "#hashtag",
    "50 px",
    "a_b c",
    "e-mail: a@b.c",
    "It's",
]


def test_values_for_programs_stay() -> None:
    given = {"people": FOR_PEOPLE, "programs": FOR_PROGRAMS}
    document = opened("json", json.dumps(given))
    assert [one.text for one in document.segments] == FOR_PEOPLE
    assert document.notes == ("22 untranslatable values left as they are",)
    assert json.loads(changed(document))["programs"] == FOR_PROGRAMS
    assert [one.text for one in opened("yaml", yaml.safe_dump(given)).segments] == FOR_PEOPLE


def test_strings_state_the_new_language() -> None:
    arb = '{"@@locale": "fr_CA", "a": "Un chat", "b": "fr"}'
    document = opened("json", arb, source_language="fr", target_language="pt-BR")
    assert changed(document) == arb.replace("fr_CA", "pt_BR").replace("Un chat", "UN CHAT").replace('"fr"', '"FR"')
    assert identity(document) == arb.encode()
    header = 'msgid ""\nmsgstr ""\n"Language: %s\\n"\n"X: y\\n"\n\nmsgid "Un chat"\nmsgstr ""\n'
    for stated, new in (("", "en"), ("fr_FR", "en"), ("de", "de")):
        document = opened("po", header % stated, source_language="fr", target_language="en")
        assert f'"Language: {new}\\n"' in changed(document)
        assert document.merge([None]) == (header % stated).encode()
    assert '"Language: \\n"' in changed(opened("po", header % ""))


def test_xliff_states_the_target_language_that_it_needs() -> None:
    for file, attribute in ((XLIFF_1, ' target-language="de"'), (XLIFF_2, ' trgLang="de"')):
        bare = file.replace(attribute, "")
        document = opened("xliff", bare, source_language="en", target_language="nl")
        assert attribute.replace("de", "nl") + ">" in changed(document)
        assert document.merge([None] * len(document.segments)) == bare.encode()
        assert attribute in changed(opened("xliff", file, source_language="en", target_language="nl"))


def test_what_stays_of_files_of_translations_is_counted() -> None:
    assert opened("po", PO).notes == ("1 translation left as it is", "1 fuzzy translation left as it is")
    assert opened("xliff", XLIFF_1).notes == (
        "2 untranslatable units left as they are",
        "1 translated unit left as it is",
    )


def test_xliff_of_editors() -> None:
    unit = '<source>x</source><seg-source><mrk mtype="seg" mid="0">A <mrk mtype="protected">Rex</mrk> dog</mrk>'
    file = f'<xliff><trans-unit>{unit}</seg-source><target><mrk mtype="seg" mid="0"/></target></trans-unit></xliff>'
    document = opened("xliff", file)
    assert shown(document) == ["(1A [2] dog1)"]
    assert '<target><mrk mtype="seg" mid="0">A <mrk mtype="protected">Rex</mrk> DOG</mrk></target>' in changed(document)
    kept = (
        '<xliff><segment><source>A <mrk id="1" translate="no">Rex</mrk>, <pc id="2">b</pc></source></segment></xliff>'
    )
    assert shown(opened("xliff", kept)) == ["A [1], (2b2)"]


@given(
    st.recursive(
        st.text() | st.integers() | st.booleans() | st.none(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_comes_back_byte_for_byte_and_changes_in_texts_only(value: Any) -> None:
    for data in (
        json.dumps(value, indent=1),
        json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode(),
    ):
        document = opened("json", data)
        assert identity(document) == data.encode()
        assert without_texts(json.loads(changed(document, lambda text: text + '"\\'))) == without_texts(
            json.loads(data)
        )


def without_texts(value: Any) -> Any:
    """Return the structure of a value."""
    if isinstance(value, dict):
        return {key: without_texts(one) for key, one in value.items()}
    return (
        [without_texts(one) for one in value]
        if isinstance(value, list)
        else ("text" if isinstance(value, str) else value)
    )


YAML = """# A comment
en: &anchor
  open: Open %{name} now   # stays
  yes: 'It''s done'
  no_text: 12
  date: 2020-01-01
  double: "A \\"word\\"\\n"
  block: |
    First line
    Second <b>line</b>

    Third
  folded: >-
    One text
    in two lines
  list: [One, "Two, three", true]
  plain: two
    lines
copy: *anchor
"""


def test_yaml_strings_are_replaced_in_place() -> None:
    document = opened("yaml", YAML)
    assert shown(document) == [
        "Open [1] now", "It's done", 'A "word"[1]', "First line", "Second (1line1)", "Third",
        "One text in two lines", "One", "Two, three", "two lines",
    ]  # fmt: skip
    assert identity(document) == YAML.encode()
    found = changed(document)
    assert found == (
        YAML.replace("Open %{name} now", '"OPEN %{name} NOW"')  # in a list it could not stand without them
        .replace("It''s done", "IT''S DONE").replace('A \\"word', 'A \\"WORD')
        .replace("First line", "FIRST LINE").replace("Second <b>line", "SECOND <b>LINE").replace("Third", "THIRD")
        .replace("One text\n    in two lines", "ONE TEXT IN TWO LINES")
        .replace("[One, \"Two, three\"", "[ONE, \"TWO, THREE\"")
        .replace("two\n    lines", "TWO LINES")
    )  # fmt: skip


@pytest.mark.parametrize(
    "text", ["yes", "12 a: b", "a #b", "- a", "'", "a\nb", "x, [y]", "null", "\u2028\u0085", "a:", "%", "é"]
)
def test_new_texts_in_yaml_are_quoted_where_they_must_be(text: str) -> None:
    given = {"a": "one", "b": ["two", {"c": "three", "d": 4}]}
    for style in (None, "'", '"'):
        document = opened("yaml", yaml.safe_dump(given, default_style=style, default_flow_style=style == "'"))
        if style is None:
            assert len(document.segments) == 3
        assert yaml.safe_load(changed(document, lambda old: text))["b"][0] == text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a: &b Hello\nc: *b\n", "a: &b HELLO\nc: *b\n"),
        ("a: !!str Hello\n", "a: !!str HELLO\n"),
        ("a: &b\n  Hello\n", "a: &b\n  HELLO\n"),
        ("a: &b  # why\n  'Hello'\n", "a: &b  # why\n  'HELLO'\n"),
        ("a: !!str &b |\n  Hello\n", "a: !!str &b |\n  HELLO\n"),
        ("[&b Hello, *b, !!str x]\n", "[&b HELLO, *b, !!str X]\n"),
        ("a: !ours Hello\n", "a: !ours Hello\n"),
    ],
)
def test_anchors_and_tags_of_texts_in_yaml_stay(text: str, wanted: str) -> None:
    assert changed(opened("yaml", text)) == wanted


def test_yaml_that_is_damaged_or_deep_is_refused() -> None:
    with pytest.raises(DocumentError, match="not valid YAML"):
        opened("yaml", "a: [b")
    with pytest.raises(DocumentTooLargeError, match="levels deep"):
        opened("yaml", "[" * 300 + "]" * 300)
    bomb = "a: &a [x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)},*{chr(97 + n)}]\n" for n in range(20)
    )
    assert len(opened("yaml", bomb).segments) == 2
