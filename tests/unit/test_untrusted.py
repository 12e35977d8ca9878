"""TOML and JSON of anybody: refused by limits before a parser runs, and never because of what strings hold."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import time
import tomllib
import tracemalloc
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.bundle import load_bundle, read_description
from pellucid.config import load_recipe, recipe_from
from pellucid.config.tables import parse_settings
from pellucid.errors import BundleError, ConfigError
from pellucid.untrusted import TooLargeError, parse_json, parse_toml, read_at_most
from pellucid.weights_file import read_header

WALKTHROUGH = Path(str(resources.files("pellucid.sample"))) / "walkthrough" / "model"

BOMBS = {
    "one dotted key": "a" + ".a" * 100_000 + " = 1",
    "a dotted key without a value": "a" + ".a" * 100_000,
    "a dotted key with spaces": "a" + " . a" * 50_000 + " = 1",
    "a dotted key of quoted parts": '"a"' + ".'a'" * 50_000 + " = 1",
    "a dotted header": "[a" + ".a" * 100_000 + "]\nb = 1",
    "a dotted header of a list": "[[a" + ".a" * 100_000 + "]]\nb = 1",
    "a dotted key in an inline table": "x = {a" + ".a" * 100_000 + " = 1}",
    "a dotted key after a comment and strings": "# '\nx = '\"'\ny = \"\\\"'\"\na" + ".a" * 100_000 + " = 1",
    "a dotted key after long strings": 'x = \'\'\'\'\'\'\'\ny = """"""""\na' + ".a" * 100_000 + " = 1",
    "deep lists": "x = " + "[" * 20_000 + "]" * 20_000,
    "deep inline tables": "x = " + "{a = " * 20_000 + "1" + "}" * 20_000,
    "many keys": "".join(f"k{i} = 1\n" for i in range(60_000)),
    "many headers": "".join(f"[h{i}]\n" for i in range(60_000)),
    "many items": "x = [" + "1," * 200_000 + "]",
    "too long": "# " + "x" * (1 << 20),
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS.keys())
def test_what_would_take_memory_and_time_is_refused_unparsed(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tomllib, "loads", lambda text: pytest.fail("the parser saw it"))
    with pytest.raises(TooLargeError):
        parse_toml(text)


@pytest.mark.parametrize("name", ["one dotted key", "many keys", "deep lists"])
def test_bombs_in_recipes_models_and_settings_are_told_shortly(name: str, tmp_path: Path) -> None:
    (tmp_path / "model.toml").write_text(BOMBS[name])
    tracemalloc.start()
    try:
        with pytest.raises(ConfigError, match=r"cannot be read as TOML: .*; no valid setting is so large") as one:
            load_recipe(tmp_path / "model.toml")
        with pytest.raises(BundleError, match=r"model\.toml: cannot be read as TOML") as two:
            read_description(tmp_path)
        with pytest.raises(ConfigError, match="cannot be read") as three:
            parse_settings([f"data.train={{{BOMBS[name]}}}"])
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()
    for caught in (one, two, three):
        assert len(str(caught.value)) < 600


def test_a_setting_with_a_name_without_end_is_refused() -> None:
    with pytest.raises(ConfigError, match="the limit is 8") as caught:
        recipe_from({}, ["a" + ".a" * 50_000 + "=1"])
    assert len(str(caught.value)) < 600


def test_many_problems_are_counted_and_cut() -> None:
    with pytest.raises(ConfigError) as caught:
        recipe_from({f"unknown{i}": i for i in range(9_000)})
    lines = str(caught.value).splitlines()
    assert len(lines) == 21
    assert lines[-1] == "and 8,980 more"


@pytest.mark.parametrize("count", [1, 19, 20])
def test_few_problems_are_all_told(count: int) -> None:
    with pytest.raises(ConfigError) as caught:
        recipe_from({f"unknown{i}": i for i in range(count)})
    assert len(str(caught.value).splitlines()) == count
    assert " more" not in str(caught.value)


@pytest.mark.parametrize("value", [{"x" * 900_000: 1}, {"description": ["x" * 900_000]}, {"preset": "x" * 900_000}])
def test_long_names_and_values_are_cut(value: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        recipe_from(value)
    assert len(str(caught.value)) < 1000


def test_a_name_of_control_characters_is_shown_escaped() -> None:
    with pytest.raises(ConfigError) as caught:
        recipe_from({"training": {"\x1b]0;mine\x07": 1}})
    assert "\x1b" not in str(caught.value)
    assert r"\x1b]0;mine" in str(caught.value)


DOTS = "." * 3000
BRACKETS = "[{" * 3000


@pytest.mark.parametrize(
    "text",
    [
        f'x = "{DOTS}{BRACKETS}"',
        f"x = '{DOTS}{BRACKETS}'",
        f'x = """{DOTS}\n"{BRACKETS}"" \\" """',
        f"x = '''{DOTS}\n'{BRACKETS}'' '''",
        f'x = """a{BRACKETS}"""""',
        f"x = 1 # {DOTS}{BRACKETS}\ny = 2 # it's",
        f'"{DOTS}{BRACKETS}" = 1',
        "x = [0.25, 1.5, -2.5e3, 1979-05-27T00:32:00.999]\r\ny = 3",
        "x = " + "[" * 8 + "]" * 8,
        "a" + ".a" * 7 + " = 1",
        "",
    ],
)
def test_what_strings_and_comments_hold_counts_for_nothing(text: str) -> None:
    assert parse_toml(text) == tomllib.loads(text)


@given(st.text(alphabet="ab.=[]{}\"'#\\, \n1", max_size=60))
def test_within_the_limits_it_is_the_parser_of_python(text: str) -> None:
    def outcome(parse: Callable[[str], object]) -> object:
        try:
            return parse(text)
        except tomllib.TOMLDecodeError:
            return "no TOML"

    try:
        assert outcome(parse_toml) == outcome(tomllib.loads)
    except TooLargeError:
        assert max(text.count("["), text.count("{"), text.count(".")) >= 8


@pytest.mark.parametrize("unit", ['"""', "'''", '"', "'", '"\\', "# \n", ".", ". ", "=", '""""', "a.'"])
def test_the_time_of_the_limits_grows_with_the_length(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tomllib, "loads", lambda text: {})

    def seconds(length: int) -> float:
        text = unit * (length // len(unit))
        started = time.thread_time()  # of this thread on its processor: a busy neighbour does not count
        with contextlib.suppress(ValueError):
            parse_toml(text)
        return time.thread_time() - started

    pairs = [(seconds(250_000), seconds(1_000_000)) for _ in range(7)]
    once, four_times = (min(taken) for taken in zip(*pairs, strict=True))
    assert four_times < 2.5**2 * once + 0.05, "four times the length; quadratic time would be sixteen times as long"


def test_json_is_bounded_by_values_and_depth() -> None:
    assert parse_json(b'{"a": [1, 2]}') == {"a": [1, 2]}
    assert parse_json(b"[1,2,3]", most_values=4) == [1, 2, 3]
    with pytest.raises(TooLargeError, match="4 values exceed the limit of 3"):
        parse_json(b"[1,2,3,4]", most_values=3)
    with pytest.raises(TooLargeError):
        parse_json(json.dumps({str(i): {} for i in range(200_000)}).encode())
    with pytest.raises(TooLargeError, match="nested"):
        parse_json(b"[" * 90_000)
    with pytest.raises(ValueError, match="utf-8"):
        parse_json(b'"\xff"')


def test_the_most_that_the_limits_let_through_takes_little_memory() -> None:
    text = "".join(f"k{i}.a.a.a.a.a.a.a = 1\n" for i in range(9_999))
    tracemalloc.start()
    try:
        parse_toml(text)
        assert tracemalloc.get_traced_memory()[1] < 150 << 20
    finally:
        tracemalloc.stop()


def test_no_more_of_a_file_is_read_than_it_may_have(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"12345")
    assert read_at_most(tmp_path / "x", 5) == b"12345"
    with pytest.raises(TooLargeError, match="more than 4 bytes"):
        read_at_most(tmp_path / "x", 4)
    with pytest.raises(TooLargeError):
        read_at_most(Path("/dev/zero"), 1 << 20)


WIDE = b'{"a": [' + b"{}," * 3_000_000 + b"{}]}"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokenizer/tokenizer.json", WIDE),
        ("tokenizer/tokenizer.json", b"[" * 90_000),
        ("tokenizer/tokenizer.json", b'{"format": "pellucid-tokenizer", "kind": "' + b"x" * 900_000 + b'"}'),
        ("tokenizer/vocabulary.json", WIDE + WIDE),
        ("tokenizer/vocabulary.json", b'{"a": ' * 90_000),
    ],
    ids=["wide", "deep", "long", "a wide vocabulary", "a deep vocabulary"],
)
def test_json_of_a_model_folder_is_bounded(name: str, content: bytes, tmp_path: Path) -> None:
    shutil.copytree(WALKTHROUGH, tmp_path / "model")
    seal(tmp_path / "model", name, content)
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match=rf"{Path(name).name}: ") as caught:
            load_bundle(tmp_path / "model")
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 1000


def seal(folder: Path, name: str, content: bytes) -> None:
    """Put a file in the place of another, with the checksums that it needs to be read."""
    for place in (folder / "model.toml", folder / "tokenizer" / "tokenizer.json"):
        text, before = place.read_text(), (folder / name).read_bytes()
        place.write_text(text.replace(hashlib.sha256(before).hexdigest(), hashlib.sha256(content).hexdigest()))
    if name != "tokenizer/tokenizer.json":  # its description was changed as well
        description = (folder / "tokenizer" / "tokenizer.json").read_bytes()
        model = (folder / "model.toml").read_text()
        new = hashlib.sha256(description).hexdigest()
        line = next(row for row in model.splitlines() if "tokenizer.json" in row)
        (folder / "model.toml").write_text(model.replace(line, f'"tokenizer/tokenizer.json" = "{new}"'))
    (folder / name).write_bytes(content)


def test_names_in_a_header_of_weights_are_cut(tmp_path: Path) -> None:
    shutil.copytree(WALKTHROUGH, tmp_path / "model")
    name = next((tmp_path / "model").glob("weights-*")).name
    header = json.dumps({"x" * 900_000 + str(i): {"shape": [1], "dtype": "F32"} for i in range(9)}).encode()
    padding = bytes((tmp_path / "model" / name).stat().st_size)
    seal(tmp_path / "model", name, len(header).to_bytes(8, "little") + header + padding)
    with pytest.raises(BundleError, match="the weights are not those of the model") as caught:
        load_bundle(tmp_path / "model")
    assert len(str(caught.value)) < 3000


def test_a_header_of_weights_is_bounded(tmp_path: Path) -> None:
    header = b'{"a": [' + b"[]," * 2_000_000 + b"1]}"
    (tmp_path / "w").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(BundleError, match="is not a safetensors file"):
        read_header(tmp_path / "w")
