"""Marian's YAML is read as a general reader reads it where that is right, and pieces as they are spelt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.interop.npz_kit import OPTIONS, options_text

from pellucid.errors import BundleError
from pellucid.interop.marian.yaml_file import read_settings, read_vocabulary


def test_settings_as_a_general_reader_has_them() -> None:
    yaml = pytest.importorskip("yaml")
    text = options_text(OPTIONS, (13, 17)) + "\nmodels: [a.npz, 'b c.npz']\nword-penalty: -0.5 # a word\n"
    assert read_settings(text, place="x") == yaml.load(text, Loader=yaml.BaseLoader)


@pytest.mark.parametrize(
    "text",
    ["a: b\na: c", "no colon", "  indented: first", "a:\n  b: c", "a: {b: c}", "a: &x b", "a: |", "a: [b", 'a: "b'],
)
def test_other_yaml_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(BundleError, match=r"line [12] "):
        read_settings(text, place="x")


def test_pieces_are_taken_as_they_are_spelt() -> None:
    text = '"</s>": 0\n"<unk>": 1\nno: 2\n~: 3\n1e3: 4\n"\\"": 5\n"\\\\": 6\n"\\xe9\\u2581\\U0001F600": 7\n'
    text += "'it''s': 8\n? \"long\"\n: 9\n\u2581\u2028x: 10\n\":\": 11\n"
    pieces = ["</s>", "<unk>", "no", "~", "1e3", '"', "\\", "é▁😀", "it's", "long", "▁\u2028x", ":"]
    assert read_vocabulary(text, place="x") == {piece: number for number, piece in enumerate(pieces)}


def test_json_does_as_well() -> None:
    assert read_vocabulary('{"</s>": 0, "a": 1}', place="x") == {"</s>": 0, "a": 1}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "each once"),
        ("a: 0\nb: 2\n", "each once"),
        ("a: 0\na: 1\n", "twice"),
        ("a: 0\nb\n", "line 2"),
        ("a: zero\n", "line 1"),
        ('"\\q": 0\n', "unknown escape"),
        ('"\\U00110000": 0\n', "no character"),
        ('"\\ud800": 0\n', "surrogate"),
        ('{"a": 0, "a": 1}', "twice"),
        ('{"a": true}', "each piece"),
        ("{", "none"),
    ],
)
def test_vocabularies_that_are_none(text: str, words: str) -> None:
    with pytest.raises(BundleError, match=words):
        read_vocabulary(text, place="vocab.yml")


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), unique=True, min_size=1))
def test_what_is_quoted_comes_back(pieces: list[str]) -> None:
    def quoted(piece: str) -> str:
        return "".join(c if c.isalnum() else f"\\U{ord(c):08x}" for c in piece)

    text = "".join(f'"{quoted(piece)}": {number}\n' for number, piece in enumerate(pieces))
    assert list(read_vocabulary(text, place="x")) == pieces
