"""What is left of the parts after the output is written, whenever and wherever a process ended."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.jobs.bulk.shouting import expected, run, shout, work, written
from tests.unit.jobs.bulk.test_files import in_child

from pellucid.durable import Disk
from pellucid.errors import ConfigError
from pellucid.jobs.bulk import folder as folder_module
from pellucid.jobs.bulk.folder import folder_for
from pellucid.jobs.bulk.survey import Part
from pellucid.jobs.bulk.work import Finished

LINES = b"".join(b"zeile %d\n" % number for number in range(5))
NOTES = ["joined.json", "manifest.json"]
PATIENCE = 0.2
Patch = pytest.MonkeyPatch


def left(output: Path) -> list[str]:
    folder = folder_for(output)
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def killed_at(number: int, source: Path, output: Path, patch: Patch, **given: object) -> bool:
    """Run a command in a process that ends at this operation of the disk; return whether there was one."""
    count = 0

    def stop(kind: str, path: Path) -> None:
        nonlocal count
        count += 1
        if count == number:
            os._exit(9)

    def act() -> None:
        patch.setattr(folder_module, "DISK", Disk(stop))
        run(source, output, **given)

    return in_child(act) == 9


@pytest.mark.slow
@pytest.mark.parametrize("next_together", [True, False])
def test_a_kill_at_any_operation_of_a_process_that_shares(
    next_together: bool, tmp_path: Path, monkeypatch: Patch
) -> None:
    source, output = written(tmp_path, LINES)
    text, tally = expected(source)
    tidying = 0
    for number in range(1, 200):
        output.unlink(missing_ok=True)
        was_killed = killed_at(number, source, output, monkeypatch, together=PATIENCE)
        is_written = "joined.json" in left(output)
        if is_written:
            assert output.read_text() == text
        tidying += was_killed and is_written
        ran: list[int] = []

        def noted(part: Part, advance: Callable[[int], None], ran: list[int] = ran) -> Finished:
            ran.append(part.number)
            return shout(part, advance)

        assert run(source, output, work(noted), together=PATIENCE if next_together else None) == tally
        assert output.read_text() == text
        if next_together:
            assert left(output) == NOTES
            assert not (is_written and ran), "the next command only removes what is left"
            run(source, output)  # alone, it translates again and leaves nothing
        assert not folder_for(output).exists()
        if not was_killed:
            break
    assert tidying >= 6 + 1, "three parts have six files, and the names of the folder are synced"


@pytest.mark.slow
@pytest.mark.parametrize("before_together", [True, False])
def test_what_a_killed_command_leaves_counts_for_no_other(
    before_together: bool, tmp_path: Path, monkeypatch: Patch
) -> None:
    """A kill while a folder is cleared leaves records without their manifest: parts, and that the output is written."""
    source, output = written(tmp_path, LINES)
    whispered = "".join(f"zeile {number}!\n" for number in range(5))
    cleared = 0

    def whisper(part: Part, advance: Callable[[int], None]) -> Finished:
        return Finished("".join(f"{line}!\n" for (line,) in part.lines), shout(part).tally)

    for number in range(1, 200):
        output.unlink(missing_ok=True)
        if before_together:
            run(source, output, together=PATIENCE)
        was_killed = killed_at(number, source, output, monkeypatch)
        try:
            run(source, output, work(whisper, lines=3, model="b"), together=PATIENCE)
        except ConfigError:  # the manifest of the first command is there
            assert "manifest.json" in left(output)
            run(source, output, work(whisper, lines=3, model="b"), restart=True)
        else:
            cleared += was_killed
            assert left(output) == NOTES
        assert output.read_text() == whispered
        run(source, output)
        if not was_killed:
            break
    assert cleared >= 6


def test_a_part_that_is_finished_after_the_end_does_not_stay(tmp_path: Path) -> None:
    source, output = written(tmp_path, LINES)

    def late(part: Part, advance: Callable[[int], None]) -> Finished:
        if part.number == 1:
            run(source, output, together=PATIENCE)  # it takes the lease, which shows no sign of life for 15 seconds
            assert left(output) == NOTES
        return shout(part, advance)

    assert run(source, output, work(late, at_once=1), together=60.0) == expected(source)[1]
    assert left(output) == NOTES


@pytest.mark.parametrize("moment", ["write", "rename"])
def test_files_that_are_removed_under_a_process_that_is_late_do_no_harm(
    moment: str, tmp_path: Path, monkeypatch: Patch
) -> None:
    source, output = written(tmp_path, LINES)
    others = threading.Event()

    def overtaken(kind: str, path: Path) -> None:
        if not others.is_set() and kind == moment and "part-000001.json" in path.name:
            others.set()
            run(source, output, together=PATIENCE)

    monkeypatch.setattr(folder_module, "DISK", Disk(overtaken))
    assert run(source, output, work(at_once=1), together=60.0) == expected(source)[1]
    assert others.is_set()
    assert left(output) == NOTES


def test_a_process_that_joins_after_another_one_has_joined_and_tidied(tmp_path: Path) -> None:
    source, output = written(tmp_path, LINES)
    wrote: list[list[str]] = []

    def write(path: Path, texts: object) -> None:
        if not wrote:
            wrote.append([])
            run(source, output, together=PATIENCE)  # it takes the lease of joining
        text = "".join(texts)  # type: ignore[call-overload]
        path.write_text(text)

    assert run(source, output, together=60.0, write=write) == expected(source)[1]
    assert output.read_text() == expected(source)[0]
    assert left(output) == NOTES
