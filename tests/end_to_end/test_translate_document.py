"""``translate --document``: from a file or standard input, with its white space."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import pellucid
from pellucid.cli.main import app
from pellucid.errors import ConfigError, DataError

TEXT = b"\xef\xbb\xbfThe cat\r\n\r\n  The dog sleeps. The cat eats.\tThe bird\r\n\r\n...\r\n  The girl reads.  "


@pytest.fixture
def model() -> Path:
    return Path(pellucid.__file__).parent / "sample" / "walkthrough" / "model"


def run(*arguments: object, given: bytes = b"") -> bytes:
    fixed = [
        "--engine",
        "torch",
        "--beam-size",
        "1",
        "--set",
        "max_length_constant=3",
        "--set",
        "max_length_factor=0.1",
    ]
    result = CliRunner().invoke(app, ["translate", *map(str, arguments), *fixed], input=given, catch_exceptions=False)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout_bytes


def layout(raw: bytes) -> list[str]:
    """Return the lines of a text without what is between their white space."""
    lines = raw.decode().split("\n")
    return [line[: len(line) - len(line.lstrip())] + "|" + line[len(line.rstrip()) :] for line in lines]


def test_a_file_keeps_its_layout(model: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(TEXT)
    run(model, tmp_path / "a.txt", "--document", "--output", tmp_path / "b.txt")
    written = (tmp_path / "b.txt").read_bytes()
    assert written.startswith(b"\xef\xbb\xbf")
    assert layout(written) == layout(TEXT)
    assert written.split(b"\r\n")[4] == b"..."
    assert run(model, "--document", given=TEXT) == written


def test_records_have_the_places_of_every_sentence(model: Path) -> None:
    records = [json.loads(line) for line in run(model, "--document", "--format", "jsonl", given=TEXT).splitlines()]
    text = TEXT.decode()
    target = run(model, "--document", given=TEXT).decode()
    assert [record["line"] for record in records] == [1, 3, 3, 3, 5, 6]
    for record in records:
        (a, b), (c, d) = record["places"]["source"], record["places"]["target"]
        assert text[a:b] == record["source"]
        assert target[c:d] == record["text"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--restart"], "--restart is for lines"),
        (["--prefix-file", "x"], "--prefix-file is for lines"),
        (["--format", "moses"], "--format moses holds lines"),
        (["--n-best", "2", "--set", "beam_size=2"], "n_best = 2 does not fit a document"),
        (["--lines", "no"], "--lines 'no' is unknown"),
    ],
)
def test_what_does_not_go_with_documents(model: Path, options: list[str], error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        run(model, "--document", *options, given=b"a")


def test_lines_need_a_document(model: Path) -> None:
    with pytest.raises(ConfigError, match="--lines is for --document"):
        run(model, "--lines", "wrap", given=b"a")


def test_a_document_that_cannot_be_read_names_the_line(model: Path) -> None:
    with pytest.raises(DataError, match="standard input, line 2: byte 2"):
        run(model, "--document", given=b"a\nb\xff\n")
