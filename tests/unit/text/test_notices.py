"""What is odd about a corpus is said once, with its place; ordinary text gives no note, and nothing is altered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pellucid.config import CorpusConfig, DataConfig, InvalidUtf8
from pellucid.text.corpus import read_pairs, verify_corpora

PLAIN = [("Der Hund rennt.", "The dog runs."), ("Nein!", "No!"), ('"Ja", sagt er.', 'He says "yes"'), ("", "")]


def notes(corpus: CorpusConfig, **languages: str) -> tuple[str, ...]:
    (facts,) = verify_corpora(DataConfig(train=(corpus,), **languages))  # type: ignore[arg-type]
    return facts.notes


def two_files(folder: Path, pairs: list[tuple[str, str]]) -> CorpusConfig:
    for number, name in enumerate(("s", "t")):
        (folder / name).write_text("".join(f"{pair[number]}\n" for pair in pairs), encoding="utf-8", newline="")
    return CorpusConfig(src=folder / "s", tgt=folder / "t")


def tsv(folder: Path, pairs: list[tuple[str, str]]) -> CorpusConfig:
    (folder / "x.tsv").write_text("".join(f"{s}\t{t}\n" for s, t in pairs), encoding="utf-8", newline="")
    return CorpusConfig(tsv=folder / "x.tsv")


def json_lines(folder: Path, pairs: list[tuple[str, str]]) -> CorpusConfig:
    rows = [json.dumps({"source": s, "target": t}) + "\n" for s, t in pairs]
    (folder / "x.jsonl").write_text("".join(rows))
    return CorpusConfig(jsonl=folder / "x.jsonl")


FORMS = pytest.mark.parametrize("form", [two_files, tsv, json_lines])


@FORMS
def test_ordinary_text_gives_no_note(form, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert notes(form(tmp_path, PLAIN)) == ()


def test_quotes_around_every_cell_are_told_and_kept(tmp_path: Path) -> None:
    pairs = [
        ('"The donkey didn\'t enter the cellar."', "\"L'âne n'est pas entré dans la cave.\""),
        ('"My bicycle is behind the bakery."', '"Mon vélo est derrière la boulangerie."'),
        ('"She wears a shirt."', '"Elle porte une chemise."'),
    ]
    corpus = tsv(tmp_path, pairs)
    (note,) = notes(corpus)
    assert "x.tsv, column 0: 3 of 3 texts" in note
    assert "x.tsv, column 1: 3 of 3 texts" in note
    assert "write the file again without quoting" in note
    found = [(p.source, p.target) for p in read_pairs(corpus, index=0, invalid_utf8=InvalidUtf8.STRICT)]
    assert found == pairs


def test_quotes_of_one_side_are_told_of_that_side(tmp_path: Path) -> None:
    (note,) = notes(two_files(tmp_path, [('"Ja."', "Yes."), ('"Nein."', "No."), ("Gut.", "Good.")]))
    assert "s: 2 of 3 texts" in note
    assert f"{tmp_path}/t:" not in note


@FORMS
def test_one_doubled_quote_shows_the_quoting_of_csv(form, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (note,) = notes(form(tmp_path, [*PLAIN * 9, ('"Er sagt ""ja""."', "He says yes.")]))
    assert "1 of 37 texts are in double quotes" in note


def test_a_dialogue_among_many_texts_is_not_csv(tmp_path: Path) -> None:
    assert notes(tsv(tmp_path, [*PLAIN * 500, ('"Was?""Nichts."', "What? Nothing.")])) == ()


@FORMS
@pytest.mark.parametrize(
    ("header", "languages"),
    [
        (("source", "target"), {}),
        (("Source text", "Translation"), {}),
        (("en", "de"), {}),
        (('"src"', '"tgt"'), {}),
        (("EN-us", "pt_BR"), {}),
        (("eng_Latn", "deu_Latn"), {}),
        (("German", "English"), {}),
        (("hsb", "de"), {"src_lang": "hsb"}),
    ],
)
def test_a_first_row_that_is_a_header_is_told(form, header, languages, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (note,) = notes(form(tmp_path, [header, *PLAIN]), **languages)
    assert repr(header[0]) in note
    assert repr(header[1]) in note
    assert "looks like a header" in note
    assert notes(form(tmp_path, [*PLAIN, header]), **languages) == ()


@FORMS
@pytest.mark.parametrize(
    "row", [("Source", "Quelle"), ("Go", "Geh"), ("no.", "ne"), ("text and more", "text"), ("", "")]
)
def test_a_first_row_that_is_a_pair_is_none(form, row, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert notes(form(tmp_path, [row, *PLAIN])) == ()


@FORMS
@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\r"])
def test_other_ends_of_line_are_told_and_the_pairs_stay_aligned(form, character, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    pairs = [*PLAIN, (f"a{character}b", "c"), (f"d{character}{character}e", "f")]
    corpus = form(tmp_path, pairs)
    (note,) = notes(corpus)
    assert ": 2 of 6 texts contain U+2028 or another character" in note
    assert "the pairs stay aligned" in note
    found = [(p.source, p.target) for p in read_pairs(corpus, index=0, invalid_utf8=InvalidUtf8.STRICT)]
    assert found == pairs


def test_what_a_policy_leaves_out_is_not_looked_at(tmp_path: Path) -> None:
    corpus = two_files(tmp_path, [("a", "b"), ("c", "d")])
    (tmp_path / "s").write_bytes(b"a\n\xff\r.\n")
    (facts,) = verify_corpora(DataConfig(train=(corpus,), invalid_utf8=InvalidUtf8.SKIP))
    assert facts.notes == ()
