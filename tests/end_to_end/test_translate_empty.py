"""``translate`` of files without text, of every kind: empty, or of blank lines; where the output exists, or not."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

import pellucid
from pellucid.cli.main import app
from pellucid.documents.naming import FORMATS
from pellucid.errors import PellucidError

MODEL = Path(pellucid.__file__).parent / "sample" / "walkthrough" / "model"
EMPTY = {"empty": b"", "blank lines": b"\n  \r\n\t\n\n"}
NOTHING_IS_ONE = {"txt", "html", "markdown", "po", "yaml", "srt", "vtt"}
OLD = b"what was there before"


def run(*arguments: object) -> Result:
    fixed = ["--engine", "torch", "--beam-size", "1"]
    result = CliRunner().invoke(app, ["translate", str(MODEL), *map(str, arguments), *fixed])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.mark.parametrize("content", EMPTY)
@pytest.mark.parametrize("kind", [one.name for one in FORMATS])
def test_a_document_without_text(kind: str, content: str, tmp_path: Path) -> None:
    suffix = next(one.suffixes[0] for one in FORMATS if one.name == kind)
    source, output = tmp_path / f"zero{suffix}", tmp_path / f"out{suffix}"
    source.write_bytes(EMPTY[content])
    given = [source, "--format", kind, "-o", output]
    if kind not in NOTHING_IS_ONE:
        output.write_bytes(OLD)
        with pytest.raises(PellucidError, match=f"zero{suffix}: is empty, and a document of the format {kind} is not"):
            run(*given, "--force")
        assert output.read_bytes() == OLD
        return
    result = run(*given)
    assert output.read_bytes() == EMPTY[content]
    assert (result.exit_code, "no text to translate" in result.stderr) == (0, True)
    output.write_bytes(OLD)
    with pytest.raises(PellucidError, match="is there already; name another file, or replace it with --force"):
        run(*given)
    assert output.read_bytes() == OLD
    run(*given, "--force")
    assert output.read_bytes() == EMPTY[content]
    with pytest.raises(PellucidError, match="--restart is for lines"):
        run(*given, "--force", "--restart")


@pytest.mark.parametrize("options", [[], ["--force"], ["--restart"], ["--document"], ["--document", "--force"]])
@pytest.mark.parametrize("content", EMPTY)
def test_lines_without_text(content: str, options: list[str], tmp_path: Path) -> None:
    source, output = tmp_path / "zero.txt", tmp_path / "out.txt"
    source.write_bytes(EMPTY[content])
    for _ in range(2):  # also over its own output
        result = run(source, "-o", output, *options)
        kept = EMPTY[content] if "--document" in options else b"\n" * EMPTY[content].count(b"\n")
        assert output.read_bytes() == kept
        assert result.exit_code == 0
        said = "blank 4" if content == "blank lines" and "--document" not in options else "has no text to translate"
        assert said in result.stderr
    assert sorted(one.name for one in tmp_path.iterdir()) == ["out.txt", "zero.txt"], "nothing is left beside it"


def test_a_file_without_a_record_gives_one(tmp_path: Path) -> None:
    source, output = tmp_path / "zero.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(b"")
    run(source, "-o", output)
    assert output.read_bytes() == b""


def test_blank_lines_are_no_records(tmp_path: Path) -> None:
    source, output = tmp_path / "zero.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(EMPTY["blank lines"])
    output.write_bytes(OLD)
    with pytest.raises(PellucidError, match=r"zero\.jsonl: holds no record"):
        run(source, "-o", output, "--restart")
    assert output.read_bytes() == OLD
    source.write_bytes(b'{"source": ""}\n')
    run(source, "-o", output, "--restart")
    assert output.read_bytes() != OLD
