"""A draft is its writer's own, becomes the output in one step, and does not outlive its process."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pellucid.durable import DISK, can_be_name, draft_of, naming, refuse_full_disk, shortage_of
from pellucid.errors import StoppedError

LEAVE_ONE = """
import os, sys
from pathlib import Path
from pellucid.durable import draft_of
with draft_of(Path(sys.argv[1])) as draft:
    draft.write_text("half")
    os._exit(9)
"""


def fail(output: Path) -> None:
    with draft_of(output) as draft:
        draft.mkdir()
        raise ZeroDivisionError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_or_a_folder_is_there_at_the_end_and_not_before(tmp_path: Path) -> None:
    with draft_of(tmp_path / "file") as draft:
        draft.write_text("whole")
        assert not (tmp_path / "file").exists()
    with draft_of(tmp_path / "folder") as draft:
        draft.mkdir()
        (draft / "a").write_text("a")
    assert names(tmp_path) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "whole"
    assert names(tmp_path / "folder") == ["a"]


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        fail(tmp_path / "out")
    assert names(tmp_path) == []


def test_two_at_once_do_not_meet_and_the_first_to_end_stays(tmp_path: Path) -> None:
    out = tmp_path / "out"
    slow, quick = draft_of(out), draft_of(out)
    slowly, quickly = slow.__enter__(), quick.__enter__()
    assert slowly != quickly
    slowly.write_text("slow")
    quickly.write_text("quick")
    quick.__exit__(None, None, None)
    assert slowly.read_text() == "slow"
    with pytest.raises(FileExistsError, match="another process created it") as caught:
        slow.__exit__(None, None, None)
    assert caught.value.filename == str(out)
    assert out.read_text() == "quick"
    assert names(tmp_path) == ["out"]


def test_what_a_killed_process_left_goes_with_the_next_and_what_is_at_work_stays(tmp_path: Path) -> None:
    out = tmp_path / "o[u]t"
    done = subprocess.run([sys.executable, "-c", LEAVE_ONE, str(out)], env=os.environ, check=False)
    assert done.returncode == 9
    (left,) = tmp_path.iterdir()
    with draft_of(tmp_path / "o[u]t.other") as other:
        other.write_text("")
    assert left.exists()
    with draft_of(out) as first:
        first.write_text("first")
        assert not left.exists()
        with pytest.raises(ZeroDivisionError):
            fail(out)
        assert first.read_text() == "first"
    assert names(tmp_path) == ["o[u]t", "o[u]t.other"]


def test_a_folder_that_appears_in_the_last_moment_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "theirs").touch()
    draft = draft_of(out)
    draft.__enter__().mkdir()
    monkeypatch.setattr(Path, "exists", lambda path: path != out)
    with pytest.raises(FileExistsError, match="another process created it"):
        draft.__exit__(None, None, None)
    monkeypatch.undo()
    assert names(out) == ["theirs"]
    assert names(tmp_path) == ["out"]


SHORTAGES = {
    errno.ENOSPC: ("the disk is full", "make room"),
    errno.EDQUOT: ("the disk quota is used up", "have the quota raised"),
    errno.EFBIG: (r"a file exceeds the size limit \(ulimit -f\)", "raise the limit"),
}


@pytest.mark.parametrize("code", SHORTAGES)
def test_a_shortage_is_called_what_it_is(code: int, tmp_path: Path) -> None:
    what, remedy = SHORTAGES[code]
    error = OSError(code, os.strerror(code))
    for pattern in (what, remedy, "same command"):
        assert any(part in shortage_of(error) for part in pattern.replace("\\", "").split("|"))
    with (
        pytest.raises(StoppedError, match=rf"{tmp_path}: this save needs 3 bytes .*: {what}; .*{remedy}"),
        refuse_full_disk(tmp_path, needed_bytes=3),
    ):
        raise error


def test_any_other_failure_is_no_shortage() -> None:
    assert shortage_of(PermissionError(errno.EACCES, "Permission denied")) == ""
    assert shortage_of(OSError("no number")) == ""


def test_a_write_that_fails_names_its_file_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def broken() -> Iterator[bytes]:
        yield b"half"
        raise OSError(errno.EFBIG, "File too large")

    with pytest.raises(OSError, match=r"File too large.*\.x\.new"):
        DISK.write_replacing(tmp_path / "x", broken())
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device.*\.x\.new"):
        DISK.write_replacing(tmp_path / "x", b"whole")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError, match="nowhere"), naming("elsewhere"):
        (tmp_path / "nowhere").read_bytes()


def test_what_can_be_a_name(tmp_path: Path) -> None:
    assert can_be_name(tmp_path)
    assert can_be_name(tmp_path / "nothing here")
    assert can_be_name("")
    assert not can_be_name(tmp_path / ("x" * 256))
    assert not can_be_name("a\0b")
