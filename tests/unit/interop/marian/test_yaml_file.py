"""Marian's YAML is read as a general reader reads it where that is right, and pieces as they are spelt."""

from __future__ import annotations

from itertools import pairwise

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.interop.npz_kit import OPTIONS, options_text

from pellucid.errors import BundleError
from pellucid.interop.marian.yaml_file import read_settings, read_vocabulary


def test_settings_as_a_general_reader_has_them() -> None:
    text = options_text(OPTIONS, (13, 17)) + "\nmodels: [a.npz, 'b c.npz']\nword-penalty: -0.5 # a word\n"
    assert read_settings(text, place="x") == yaml.load(text, Loader=yaml.BaseLoader)


@pytest.mark.parametrize(
    "text",
    [
        *("a: b\na: c", "no colon", "- a", "a:\n  b: c", "a: {b: c}", "a: [b", 'a: "b', "a: b\n---\nb: c"),
        *("a: &x b", "a: &x [b]", "a: [&x b]", "&x a: b", "a: *x"),
        *("a: !!int 3", "a: !!python/object/apply:os.system [b]", "a: [[b]]", "[" * 50_000),
    ],
)
def test_other_yaml_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(BundleError, match=r"^x: line [123]: "):
        read_settings(text, place="x")


def test_what_is_read_grows_with_the_text_and_no_faster() -> None:
    """Ten aliases of ten aliases of ten ... would be a billion texts."""
    bomb = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in pairwise("abcdefgh"))
    with pytest.raises(BundleError, match="anchor"):
        read_settings(bomb, place="x")


def test_characters_that_unicode_keeps_are_no_pieces() -> None:
    with pytest.raises(BundleError, match="internal use"):
        read_vocabulary("\ufdd1: 0\n", place="x")


def test_pieces_are_taken_as_they_are_spelt() -> None:
    text = '"</s>": 0\n"<unk>": 1\nno: 2\n~: 3\n1e3: 4\n"\\"": 5\n"\\\\": 6\n"\\xe9\\u2581\\U0001F600": 7\n'
    text += "'it''s': 8\n? \"long\"\n: 9\n\u2581\u2028x: 10\n\":\": 11\n"
    text += "<<: 12\n=: 13\n---: 14\nyes: 15\n0x1: 16\n1:2: 17\n"
    text += 'a\x85b: 18\n"\\N\\L\\P": 19\n\u2029\ufffd: 20\n'
    pieces = ["</s>", "<unk>", "no", "~", "1e3", '"', "\\", "é▁😀", "it's", "long", "▁\u2028x", ":", "<<"]
    pieces += ["=", "---", "yes", "0x1", "1:2", "a\x85b", "\x85\u2028\u2029", "\u2029\ufffd"]
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
        ("a: [0]\n", "line 1"),
        ("a: 0\nb: \u0661\n", "line 2"),
        ('"\\q": 0\n', "unknown escape"),
        ('"\\U00110000": 0\n', "not YAML"),
        ('"\\ud800": 0\n', "surrogate"),
        ('{"a": 0, "a": 1}', "twice"),
        ('{"a": true}', "each piece"),
        ("{", "not JSON"),
    ],
)
def test_vocabularies_that_are_none(text: str, words: str) -> None:
    with pytest.raises(BundleError, match=words):
        read_vocabulary(text, place="vocab.yml")


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=100), unique=True, min_size=1))
def test_what_is_quoted_comes_back(pieces: list[str]) -> None:
    # A name in YAML is spelt in 1,024 characters at most.
    def quoted(piece: str) -> str:
        return "".join(c if c.isalnum() else f"\\U{ord(c):08x}" for c in piece)

    text = "".join(f'"{quoted(piece)}": {number}\n' for number, piece in enumerate(pieces))
    assert list(read_vocabulary(text, place="x")) == pieces
