"""What each format gives: the texts, the codes as placeholders, and a report that adds up."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.memory import traced_peak
from tests.unit.text.formats.memories import DATE, USER, po, tmx, tu, write, xliff_1, xliff_2

from pellucid.config import CorpusConfig, InvalidUtf8
from pellucid.errors import DataError
from pellucid.text.formats.inline import INLINE_TAG
from pellucid.text.formats.reading import FilesReader, NumberedUnit
from pellucid.text.formats.units import FileReport
from pellucid.translation.placeholders.markers import markers_of

Pairs = list[tuple[str, str]]


def read(
    *paths: Path | str,
    languages: tuple[str, str] = ("de", "en"),
    invalid_utf8: InvalidUtf8 = InvalidUtf8.STRICT,
    notes: list[str] | None = None,
    **settings: object,
) -> tuple[list[NumberedUnit], FileReport]:
    corpus = CorpusConfig(files=tuple(str(path) for path in paths), **settings)
    say = (lambda text: None) if notes is None else notes.append
    reader = FilesReader(corpus, languages=languages, invalid_utf8=invalid_utf8, say=say)
    units = list(reader.read())
    for report in reader.reports():
        assert report.units == report.used + sum(report.left_out.values())
    assert sum(report.used for report in reader.reports()) == len(units)
    return units, reader.reports()[0]


def texts(units: list[NumberedUnit]) -> Pairs:
    return [(unit.source, unit.target) for unit in units]


def test_a_memory_in_several_languages_gives_a_pair_a_unit(tmp_path: Path) -> None:
    units = [
        tu(("de-DE", "Ein Hund."), ("fr", "Un chien."), ("en-GB", "A dog.")),
        tu(("de-DE", "Ja"), ("en-GB", "Yes")),
    ]
    found, report = read(write(tmp_path / "m.tmx", tmx(units)))
    assert texts(found) == [("Ein Hund.", "A dog."), ("Ja", "Yes")]
    assert report.codes == ({"de-DE": 2}, {"en-GB": 2})
    backwards, _ = read(tmp_path / "m.tmx", languages=("fr", "de"))
    assert texts(backwards) == [("Un chien.", "Ein Hund.")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-8-sig", "windows-1252"])
def test_encodings_of_a_memory(tmp_path: Path, encoding: str) -> None:
    stated = "utf-8" if encoding == "utf-8-sig" else encoding
    text = tmx([tu(("de", "Öl für Züge"), ("en", "Oil – trains"))], encoding=stated)
    assert texts(read(write(tmp_path / "m.tmx", text, encoding))[0]) == [("Öl für Züge", "Oil – trains")]


def test_old_and_packed_memories(tmp_path: Path) -> None:
    text = tmx([tu(("DE", "Ja"), ("EN_us", "Yes"), attribute="lang")])
    (tmp_path / "m.tmx.gz").write_bytes(gzip.compress(text.encode()))
    assert texts(read(tmp_path / "m.tmx.gz")[0]) == [("Ja", "Yes")]


def test_the_very_variant_comes_first_then_the_usual_one(tmp_path: Path) -> None:
    both = tu(("de", "Farbe"), ("en-US", "color"), ("en-GB", "colour"))
    units = [both, tu(("de", "eins"), ("en-GB", "one")), tu(("de", "zwei"), ("en-US", "two"))]
    path = write(tmp_path / "m.tmx", tmx([*units, tu(("de", "drei"), ("en-GB", "three"))]))
    assert [unit.target for unit in read(path)[0]] == ["colour", "one", "two", "three"]
    only_american, report = read(path, languages=("de", "en-US"))
    assert [unit.target for unit in only_american] == ["color", "two"]
    assert report.left_out == {"no text in the target language": 2}


def test_scripts_are_not_mixed(tmp_path: Path) -> None:
    units = [
        tu(("de", "eins"), ("zh-CN", "一汉")),
        tu(("de", "zwei"), ("zh-CN", "二汉")),
        tu(("de", "drei"), ("zh-TW", "三漢")),
    ]
    found, report = read(write(tmp_path / "m.tmx", tmx(units)), languages=("de", "zh"))
    assert [unit.target for unit in found] == ["一汉", "二汉"]
    assert report.left_out == {"another script of the language": 1}


def test_inline_codes_are_placeholders_with_the_numbers_of_the_source(tmp_path: Path) -> None:
    german = (
        'Der <bpt i="1" x="1">{\\b </bpt>rote<ept i="1">}</ept> <ph x="2"><sub>Bild</sub></ph>Hund <hi x="3">bellt</hi>'
        ' <ph>%s</ph><it pos="begin" x="4">x</it>.'
    )
    english = (
        'The <ph x="2"/><hi x="3">barking</hi> dog is <bpt i="9" x="1">{\\b </bpt>red<ept i="9">}</ept> <ph>%s</ph>'
        '<it pos="begin" x="4">x</it>.'
    )
    ((pair,), _) = read(write(tmp_path / "m.tmx", tmx([tu(("de", german), ("en", english))])))
    assert pair.source == "Der <g1>rote</g1> <x2/>Hund <g3>bellt</g3> %s<x4/>."
    assert pair.target == "The <x2/><g3>barking</g3> dog is <g1>red</g1> %s<x4/>."
    assert sorted(markers_of(pair.source)) == sorted(markers_of(pair.target))
    assert [mark for mark in markers_of(pair.source) if mark != "%s"] == INLINE_TAG.findall(pair.source)


BROKEN = [
    "<tu><tuv xml:lang='de'><seg>A & B</seg></tuv><tuv xml:lang='en'><seg>A</seg></tuv></tu>",
    "<tu><tuv xml:lang='de'><seg>offen</tuv><tuv xml:lang='en'><seg>open</seg></tuv></tu>",
    "<tu><tuv xml:lang='de'><seg>kein Ende",
    "<tu><tuv xml:lang='de'><seg>&unknown;</seg></tuv><tuv xml:lang='en'><seg>x</seg></tuv></tu>",
    "<tu><tuv xml:lang='de'><seg>Null &#0;</seg></tuv><tuv xml:lang='en'><seg>x</seg></tuv></tu>",
    "<tu " + "x='1' " * 3 + "><seg/></tu>",
    "<tu><!-- kein Ende</tu>",
    "<tu>" + "<a>" * 500 + "</a>" * 500 + "</tu>",
]


@pytest.mark.parametrize("unit", BROKEN)
def test_a_broken_unit_costs_itself_only(tmp_path: Path, unit: str) -> None:
    good = [tu(("de", f"Satz {n}"), ("en", f"Sentence {n}")) for n in range(7)]
    found, report = read(write(tmp_path / "m.tmx", tmx([*good[:3], unit, *good[3:]])))
    assert texts(found) == [(f"Satz {n}", f"Sentence {n}") for n in range(7)]
    assert report.left_out == {"broken": 1}
    assert report.places == {"broken": (7,)}


def test_bytes_of_no_encoding_cost_their_unit_or_are_replaced(tmp_path: Path) -> None:
    raw = (
        tmx([tu(("de", "Stra?e"), ("en", "Street")), tu(("de", "Ja"), ("en", "Yes"))]).encode().replace(b"a?", b"a\xdf")
    )
    (tmp_path / "m.tmx").write_bytes(raw)
    found, report = read(tmp_path / "m.tmx")
    assert texts(found) == [("Ja", "Yes")]
    assert report.left_out == {"invalid text": 1}
    assert read(tmp_path / "m.tmx", invalid_utf8=InvalidUtf8.REPLACE)[0][0].source == "Stra\ufffde"


def test_a_unit_that_is_too_large_is_left_out_and_not_held(tmp_path: Path) -> None:
    path = tmp_path / "m.tmx"
    good = tu(("de", "Ja"), ("en", "Yes"))
    head, _, tail = tmx(["@"]).partition("@")
    with path.open("w") as file:
        file.write(head + good + "<tu><tuv xml:lang='de'><seg>")
        for _ in range(40):
            file.write("a" * 100_000)
        file.write("</seg></tuv></tu>" + good + tail)
    found, report = read(path)
    assert texts(found) == [("Ja", "Yes")] * 2
    assert report.left_out == {"too large": 1}


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE tmx [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>',
        '<!DOCTYPE tmx [<!ENTITY x SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE tmx SYSTEM "http://example.org/x.dtd" [\n<!ENTITY % p SYSTEM "x">]>',
        '<!ENTITY a "b">',
    ],
)
def test_declared_entities_are_refused(tmp_path: Path, doctype: str) -> None:
    path = write(tmp_path / "m.tmx", tmx([tu(("de", "&b;"), ("en", "x"))], doctype=doctype))
    with pytest.raises(DataError, match=r"m\.tmx, line 2: declares entities .* remove the document type"):
        read(path)


def test_a_language_that_is_not_there_is_said_with_those_that_are(tmp_path: Path) -> None:
    path = write(tmp_path / "m.tmx", tmx([tu(("de-AT", "Ja"), ("en-GB", "Yes"))]))
    with pytest.raises(DataError, match=r"m\.tmx: has no text in 'fr'; its languages are de-AT, en-GB"):
        read(path, languages=("de", "fr"))


def test_xliff_1_segments_states_and_what_is_not_for_translation(tmp_path: Path) -> None:
    def unit(inside: str, attributes: str = "") -> str:
        return f'<trans-unit id="1" {attributes}>{inside}</trans-unit>\n'

    units = [
        unit('<source>Ein <g id="1">Hund</g><x id="2"/></source><target>A <g id="1">dog</g><x id="2"/></target>'),
        unit(
            '<source>S</source><seg-source><mrk mtype="seg" mid="1">Eins.</mrk> <mrk mtype="seg" mid="2">Zwei.</mrk>'
            '</seg-source><target><mrk mtype="seg" mid="2">Two.</mrk><mrk mtype="seg" mid="1">One.</mrk></target>'
        ),
        unit('<source>a</source><target state="needs-review-translation">b</target>'),
        unit('<source>a</source><target state-qualifier="fuzzy-match">b</target>'),
        unit('<source>a</source><target state="new">a</target>'),
        unit("<source>a</source>"),
        unit("<source>a</source><target/>"),
        unit("<source>a</source><target>b</target>", 'translate="no"'),
        unit("<source>a</source><target>b</target>", 'approved="no"'),
        unit("<source>Gut</source><target>Good</target><alt-trans><target>Well</target></alt-trans>"),
        unit("<source>Marke</source><target><sdl:mark>Brand</sdl:mark></target>"),
    ]
    found, report = read(write(tmp_path / "a.xlf", xliff_1(units)))
    pairs = [("Ein <g1>Hund</g1><x2/>", "A <g1>dog</g1><x2/>"), ("Eins.", "One."), ("Zwei.", "Two.")]
    assert texts(found) == [*pairs, ("Gut", "Good"), ("Marke", "Brand")]
    assert report.left_out == {"fuzzy": 3, "untranslated": 3, "not for translation": 1}
    assert {unit.document for unit in found} == {1}


def test_xliff_2(tmp_path: Path) -> None:
    units = [
        '<unit id="u1"><segment state="final"><source>Ein <pc id="1">Hund</pc> <ph id="2" equiv="{0}"/></source>'
        '<target>A <pc id="1">dog</pc> <ph id="2" equiv="{0}"/></target></segment><ignorable><source> </source>'
        "</ignorable><segment><source>Ja</source><target>Yes</target></segment></unit>",
        '<unit id="u2"><segment state="initial"><source>Ja</source><target>Ja</target></segment></unit>',
        '<unit id="u3"><segment><source><sc id="1"/>fett<ec startRef="1"/></source>'
        '<target><sc id="1"/>bold<ec startRef="1"/></target></segment></unit>',
    ]
    found, report = read(write(tmp_path / "a.xliff", xliff_2(units)))
    fett = ("<g1>fett</g1>", "<g1>bold</g1>")
    assert texts(found) == [("Ein <g1>Hund</g1> {0}", "A <g1>dog</g1> {0}"), ("Ja", "Yes"), fett]
    assert report.left_out == {"untranslated": 1}


def test_files_in_the_other_direction_are_turned_and_others_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlf", xliff_1(["<trans-unit><source>Ja</source><target>Yes</target></trans-unit>"]))
    notes: list[str] = []
    assert texts(read(path, languages=("en", "de"), notes=notes)[0]) == [("Yes", "Ja")]
    assert "read the other way round" in notes[0]
    with pytest.raises(DataError, match=r"translates from 'de' into 'en-GB'"):
        read(path, languages=("de", "fr"))
    entries = write(tmp_path / "a.po", po(['msgid "Yes"\nmsgstr "Ja"']))
    assert texts(read(entries, languages=("de", "en"))[0]) == [("Ja", "Yes")]
    with pytest.raises(DataError, match="into 'de'"):
        read(entries, languages=("en", "fr"))


ENTRIES = [
    '#, python-format\n#: a.c:1\nmsgid "Hello %s"\nmsgstr "Hallo %s"',
    'msgid "one dog"\nmsgid_plural "%d dogs"\nmsgstr[0] "ein Hund"\nmsgstr[1] "%d Hunde"',
    '#, fuzzy\nmsgid "Cat"\nmsgstr "Hund"',
    'msgctxt "menu"\nmsgid "Open"\nmsgstr "Öffnen"',
    'msgid "Left"\nmsgstr ""',
    '#~ msgid "Gone"\n#~ msgstr "Weg"',
    'msgid "torn\nmsgstr "kaputt"',
    'msgid ""\n"Two\\n"\n"lines"\nmsgstr "Zwei\\nZeilen"',
]


def test_po_entries_and_why_some_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.po", po(ENTRIES))
    found, report = read(path, languages=("en", "de"))
    pairs = [("Hello %s", "Hallo %s"), ("one dog", "ein Hund"), ("%d dogs", "%d Hunde"), ("Two lines", "Zwei Zeilen")]
    assert texts(found) == pairs
    assert report.left_out == {"fuzzy": 1, "with a context": 1, "untranslated": 1, "obsolete": 1, "broken": 1}
    assert ("Open", "Öffnen") in texts(read(path, languages=("en", "de"), keep_context=True)[0])


def test_plural_forms_of_russian_and_japanese(tmp_path: Path) -> None:
    entry = 'msgid "a dog"\nmsgid_plural "%d dogs"\n'
    three = entry + 'msgstr[0] "%d собака"\nmsgstr[1] "%d собаки"\nmsgstr[2] "%d собак"'
    found, report = read(
        write(tmp_path / "ru.po", po([three], language="ru", plurals="nplurals=3; plural=0;")), languages=("en", "ru")
    )
    assert texts(found) == [("a dog", "%d собака"), ("%d dogs", "%d собак")]
    assert report.left_out == {"further plural form": 1}
    one = write(
        tmp_path / "ja.po", po([entry + 'msgstr[0] "犬 %d 匹"'], language="ja", plurals="nplurals=1; plural=0;")
    )
    assert texts(read(one, languages=("en", "ja"))[0]) == [("%d dogs", "犬 %d 匹")]


def test_csv_with_quotes_separators_headers_and_torn_rows(tmp_path: Path) -> None:
    rows = (
        'id;de;en\n1;"Ein ""Hund""; ja";"A ""dog""; yes"\n2;"zwei\nZeilen";two lines\n3;"nie zu;x\n4;Ja;Yes\n5;kurz\n'
    )
    found, report = read(write(tmp_path / "a.csv", rows))
    assert texts(found) == [('Ein "Hund"; ja', 'A "dog"; yes'), ("zwei Zeilen", "two lines"), ("Ja", "Yes")]
    assert report.left_out == {"broken": 2}
    bare = write(tmp_path / "b.csv", "Ja,Yes\nNein,No\n")
    assert texts(read(bare)[0]) == [("Ja", "Yes"), ("Nein", "No")]
    named = write(tmp_path / "c.csv", "quelle,ziel\nJa,Yes\n")
    assert texts(read(named, src_key="quelle", tgt_key="ziel")[0]) == [("Ja", "Yes")]
    half = write(tmp_path / "d.csv", "de,ziel\nJa,Yes\n")
    with pytest.raises(DataError, match="set src_key and tgt_key"):
        read(half)


def test_tsv_json_lines_and_moses(tmp_path: Path) -> None:
    tsv = write(tmp_path / "a.tsv", 'source\ttarget\tdocument\n"Ja\tYes\tx\nNein\tNo\ty\nnur\n')
    found, report = read(tsv)
    assert texts(found) == [('"Ja', "Yes"), ("Nein", "No")]
    assert report.left_out == {"broken": 1}
    assert [unit.document for unit in found] == [1, 2]
    records = [{"translation": {"de": "Ja", "en": "Yes"}}, {"source": "Nein", "target": "No"}, {"de": 3, "en": "x"}, []]
    lines = "\n".join(json.dumps(record) for record in records)
    found, report = read(write(tmp_path / "a.jsonl", lines + "\n{torn\n"))
    assert texts(found) == [("Ja", "Yes"), ("Nein", "No")]
    assert report.left_out == {"broken": 3}
    write(tmp_path / "c.de", "Ja\nNein\n")
    write(tmp_path / "c.en", "Yes\nNo\n")
    for pattern in ("c.de", "c.en", "c.*"):
        assert texts(read(tmp_path / pattern)[0]) == [("Ja", "Yes"), ("Nein", "No")]
    write(tmp_path / "c.en", "Yes\n")
    with pytest.raises(DataError, match="different numbers of lines"):
        read(tmp_path / "c.de")


def test_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    from pyarrow import parquet

    table = pyarrow.table({"de": ["Ja", None, "Nein"], "en": ["Yes", "x", "No"], "user": [USER] * 3})
    parquet.write_table(table, tmp_path / "a.parquet")
    found, report = read(tmp_path / "a.parquet")
    assert texts(found) == [("Ja", "Yes"), ("Nein", "No")]
    assert report.left_out == {"untranslated": 1}
    nested = pyarrow.table({"translation": [{"de": "Ja", "en": "Yes"}]})
    parquet.write_table(nested, tmp_path / "b.parquet")
    assert texts(read(tmp_path / "b.parquet")[0]) == [("Ja", "Yes")]
    write(tmp_path / "c.parquet", "PAR1 no")
    with pytest.raises(DataError, match="is not a Parquet file"):
        read(tmp_path / "c.parquet")


def test_one_or_many_by_pattern_each_once(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    write(tmp_path / "a.tmx", tmx([tu(("de", "eins"), ("en", "one"))]))
    write(tmp_path / "deep" / "b.tsv", "zwei\ttwo\n")
    found, _ = read(tmp_path / "a.tmx", f"{tmp_path}/**/*.t*")
    assert texts(found) == [("eins", "one"), ("zwei", "two")]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.tmx", "no such file"),
        ("*.sdlxliff", "no file matches this pattern"),
        ("", r"is a folder; name files in it by a pattern"),
        ("a.docx", r"its name does not tell its format; the endings are \.tmx, .*set the format"),
        ("half.de", r"has no other half, half\.en"),
        ("empty.tmx", "is empty"),
        ("empty.po", "is empty"),
        ("not.tmx", r"has no units \(<tu>\)"),
        ("not.xlf", "has no units"),
        ("not.po", "no entries"),
        ("coded.tmx", "unknown encoding 'klingon'"),
    ],
)
def test_bad_files_are_named_with_the_remedy(tmp_path: Path, name: str, message: str) -> None:
    for own, text in {
        "a.docx": "x",
        "half.de": "x\n",
        "empty.tmx": "",
        "empty.po": "",
        "not.po": "# nothing\n",
    }.items():
        write(tmp_path / own, text)
    write(tmp_path / "not.tmx", "<a/>")
    write(tmp_path / "not.xlf", "plain text")
    write(tmp_path / "coded.tmx", '<?xml version="1.0" encoding="klingon"?><tmx/>')
    with pytest.raises(DataError, match=message):
        read(tmp_path / name)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        path = write(
            tmp_path / "m.tmx", tmx([tu(("de", f"Satz {n} " * 9), ("en", f"Sentence {n} " * 9)) for n in range(count)])
        )
        reader = FilesReader(CorpusConfig(files=(str(path),)), languages=("de", "en"), invalid_utf8=InvalidUtf8.STRICT)
        with traced_peak() as found:
            assert sum(1 for _ in reader.read()) == count
        return found.bytes

    peak(10)  # what is imported and compiled once
    assert peak(8000) < 1.25 * peak(2000) + 100_000


def test_dates_users_and_names_never_come_out(tmp_path: Path) -> None:
    memory = write(tmp_path / "m.tmx", tmx([tu(("de", "Ja"), ("en", "Yes"), document=f"C:/{USER}/a.docx")]))
    entries = write(tmp_path / "a.po", po([f'# {USER}\nmsgid "Yes"\nmsgstr "Ja"']))
    for path in (memory, entries):
        found, report = read(path)
        assert USER not in f"{found} {report}"
        assert DATE not in f"{found} {report}"


@given(st.text(st.characters(codec="utf-8"), max_size=400), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_any_text_in_place_of_a_unit_harms_nothing_before_it(tmp_path_factory: object, junk: str, place: int) -> None:
    good = [tu(("de", f"Satz {n}"), ("en", f"Sentence {n}")) for n in range(3)]
    path = tmp_path_factory.mktemp("any") / "m.tmx"
    write(path, tmx([*good[:place], junk, *good[place:]]))
    try:
        found, _ = read(path)
    except DataError:
        return
    assert texts(found)[:place] == [(f"Satz {n}", f"Sentence {n}") for n in range(place)][:3]
