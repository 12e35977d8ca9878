"""The folder of parts: whose it is, what may be in it, and what counts as finished."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from tests.unit.jobs.bulk.shouting import expected, fails_at, run, work, written

from pellucid.errors import ConfigError, DataError
from pellucid.jobs.bulk.folder import folder_for, open_folder


def test_another_command_is_refused_with_what_differs_until_restart(tmp_path: Path) -> None:
    source, output = written(tmp_path)
    with pytest.raises(ValueError, match="stop"):
        run(source, output, work(fails_at(5, ValueError("stop")), at_once=1, translation={"beam_size": 5}, same=1))
    kept = {path.name: path.read_bytes() for path in folder_for(output).iterdir()}
    with pytest.raises(ConfigError, match=r"translation\.beam_size = 5 there and 4 now\. Give .* --restart"):
        run(source, output, work(translation={"beam_size": 4}, same=1))
    source.write_text("other\n")
    with pytest.raises(ConfigError, match=r"input 1\.lines = 23 there and 1 now; input 1\.sha256 = "):
        run(source, output, work(translation={"beam_size": 5}, same=1))
    assert {path.name: path.read_bytes() for path in folder_for(output).iterdir()} == kept
    run(source, output, work(), restart=True)
    assert output.read_text() == "OTHER\n"


def test_a_file_that_was_moved_is_the_same_file(tmp_path: Path) -> None:
    source, output = written(tmp_path)
    with pytest.raises(ValueError, match="stop"):
        run(source, output, work(fails_at(5, ValueError("stop")), at_once=1))
    moved = source.rename(tmp_path / "moved")
    run(moved, output, work(fails_at(3, AssertionError("is finished"))))
    assert output.read_text() == expected(moved)[0]


@pytest.mark.parametrize("damage", ["text", "record", "no text", "no JSON", "another record"])
def test_a_damaged_part_is_run_again(damage: str, tmp_path: Path) -> None:
    source, output = written(tmp_path)
    with pytest.raises(ValueError, match="stop"):
        run(source, output, work(fails_at(5, ValueError("stop")), at_once=1))
    text, record = (folder_for(output) / f"part-000002.{suffix}" for suffix in ("txt", "json"))
    if damage == "text":
        text.write_bytes(text.read_bytes()[:-1])
    elif damage == "no text":
        text.unlink()
    elif damage == "no JSON":
        record.write_bytes(record.read_bytes()[:40])
    elif damage == "record":
        record.write_text(json.dumps(json.loads(record.read_text()) | {"tally": {"lines": "many"}}))
    else:
        for suffix in ("txt", "json"):
            other = folder_for(output) / f"part-000001.{suffix}"
            (folder_for(output) / f"part-000002.{suffix}").write_bytes(other.read_bytes())
    said: list[str] = []
    assert run(source, output, say=said.append) == expected(source)[1]
    assert output.read_text() == expected(source)[0]
    assert "damaged and are translated again: 1" in said[-1]


def unreadable(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let the first read of a file of that name fail, as on a damaged disk."""
    real, failed = Path.read_bytes, []

    def read(path: Path) -> bytes:
        if path.name == name and not failed:
            failed.append(path)
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read)


@pytest.mark.parametrize("name", ["part-000002.txt", "part-000002.json"])
def test_a_part_that_cannot_be_read_is_run_again(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, output = written(tmp_path)
    with pytest.raises(ValueError, match="stop"):
        run(source, output, work(fails_at(5, ValueError("stop")), at_once=1))
    unreadable(monkeypatch, name)
    said: list[str] = []
    assert run(source, output, say=said.append) == expected(source)[1]
    assert output.read_text() == expected(source)[0]
    assert "damaged and are translated again: 1" in said[-1]


def test_a_part_that_cannot_be_read_at_the_end_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, output = written(tmp_path)
    unreadable(monkeypatch, "part-000002.txt")  # parts of this run are read when they are joined
    with pytest.raises(DataError, match=r"part-000002\.txt: was changed .* or cannot be read; give the same command"):
        run(source, output)
    assert not output.exists()
    run(source, output)
    assert output.read_text() == expected(source)[0]


def test_a_manifest_that_cannot_be_read_is_no_other_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, output = written(tmp_path)
    with pytest.raises(ValueError, match="stop"):
        run(source, output, work(fails_at(5, ValueError("stop")), at_once=1))
    with monkeypatch.context() as patch:
        unreadable(patch, "manifest.json")
        with pytest.raises(ConfigError, match=r"manifest\.json: cannot be read: .*make it readable"):
            run(source, output)
    run(source, output)
    assert output.read_text() == expected(source)[0]


def test_one_process_at_a_time_has_an_output(tmp_path: Path) -> None:
    source, output = written(tmp_path)
    with (
        open_folder(output, {"model": "b"}, restart=False),
        pytest.raises(ConfigError, match=r"another process is translating to this file .* name another"),
    ):
        run(source, output)
    run(source, output)
    assert output.read_text() == expected(source)[0]


def test_a_folder_of_somebody_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    source, output = written(tmp_path)
    parts = folder_for(output)
    parts.mkdir()
    (parts / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match=r"holds 'thesis.txt', which pellucid did not write; move"):
        run(source, output, restart=True)
    (parts / "thesis.txt").rename(parts / "part-000001.txt")
    (parts / "part-000002.txt").symlink_to(source)
    with pytest.raises(DataError, match="symbolic link"):
        run(source, output, restart=True)
    assert (parts / "part-000001.txt").read_text() == "years of work"
    (tmp_path / "other.parts").write_text("a file")
    with pytest.raises(ConfigError, match="is something else; move it away"):
        run(source, tmp_path / "other")


@pytest.mark.parametrize("name", ["x" * 255, "\u00fc" * 120])
def test_an_output_with_a_long_name_has_a_folder(name: str, tmp_path: Path) -> None:
    source, _ = written(tmp_path)
    run(source, tmp_path / name)
    assert (tmp_path / name).read_text() == expected(source)[0]


def test_the_parts_of_a_linked_output_lie_beside_its_file(tmp_path: Path) -> None:
    source, _ = written(tmp_path)
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there/out")
    assert folder_for(tmp_path / "link") == tmp_path / "there" / "out.parts"
    run(source, tmp_path / "link")
    assert (tmp_path / "there" / "out").read_text() == expected(source)[0]
