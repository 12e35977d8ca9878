"""A file in parts: whatever stops it, the output is that of one pass over its lines, or the old one, and never less."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.unit.jobs.bulk.shouting import expected, fails_at, run, shout, work, written

from pellucid.durable import Disk
from pellucid.errors import DataError, InterruptedByUser
from pellucid.jobs.bulk import files as module
from pellucid.jobs.bulk import folder as folder_module
from pellucid.jobs.bulk.files import run_files
from pellucid.jobs.bulk.survey import Part, parts_of, survey_of
from pellucid.jobs.bulk.work import Finished

FORMS: dict[str, bytes] = {
    "plain": b"eins\nzwei\ndrei\nvier\n",
    "no final feed": b"eins\nzwei\ndrei",
    "carriage returns": b"eins\r\nzwei\r\ndrei\r\n",
    "blank lines": b"\n\neins\n\n\n\nzwei\n\n",
    "poison": b"eins\nab\xff\nc\0d\n\xed\xa0\x80\nzwei\n" + b"x" * (1 << 20) + b"y\ndrei\n",
    "mark": b"\xef\xbb\xbfeins\nzwei\n",
    "only a mark": b"\xef\xbb\xbf",
    "one feed": b"\n",
    "empty": b"",
}


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress, bz2.compress])
@pytest.mark.parametrize("form", FORMS)
def test_parts_give_the_output_and_the_counts_of_one_pass(
    form: str, pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    source, output = written(tmp_path, pack(FORMS[form]))
    text, tally = expected(source)
    assert run(source, output) == tally
    assert output.read_text() == text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


def test_an_output_may_be_compressed(tmp_path: Path) -> None:
    source, _ = written(tmp_path)
    run(source, tmp_path / "out.gz")
    assert gzip.decompress((tmp_path / "out.gz").read_bytes()).decode() == expected(source)[0]


def test_the_lines_of_two_files_stay_side_by_side(tmp_path: Path) -> None:
    source, output = written(tmp_path)
    (tmp_path / "p").write_text("".join(f"p{n}\n" for n in range(23)))
    run_files([survey_of(str(source)), survey_of(str(tmp_path / "p"))], output, work())
    assert output.read_text() == "".join(f"ZEILE {n} p{n}\n" for n in range(23))


def test_parts_that_finish_in_another_order_are_joined_in_theirs(tmp_path: Path) -> None:
    source, output = written(tmp_path)
    second_is_done = threading.Event()

    def first_waits(part: Part, advance: Callable[[int], None]) -> Finished:
        if part.number == 1:
            assert second_is_done.wait(600)
        if part.number == 2:
            second_is_done.set()
        return shout(part, advance)

    run(source, output, work(first_waits))
    assert output.read_text() == expected(source)[0]


def in_child(act: Callable[[], None]) -> int:
    """Run in a forked process; return its status."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            act()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [1, 3])
def test_a_kill_at_any_operation_of_the_disk_loses_nothing(
    at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, output = written(tmp_path, "".join(f"zeile {n}\n" for n in range(5)).encode() + b"ab\xff\n")
    text, tally = expected(source)
    for number in range(1, 200):
        output.write_text("old\n")
        count = 0

        def stop(kind: str, path: Path, number: int = number) -> None:
            nonlocal count
            count += 1
            if count == number:
                os._exit(9)

        def killed(stop: Callable[[str, Path], None] = stop) -> None:
            monkeypatch.setattr(folder_module, "DISK", Disk(stop))
            run(source, output, work(at_once=at_once))

        status = in_child(killed)
        assert output.read_text() in {"old\n", text}
        assert run(source, output, work(at_once=at_once)) == tally
        assert output.read_text() == text
        assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]
        if status == 0:
            break
    assert number > 20


def test_what_is_finished_is_not_run_again_and_the_counts_are_those_of_one_pass(tmp_path: Path) -> None:
    source, output = written(tmp_path, FORMS["poison"])
    with pytest.raises(RuntimeError, match="out of order"):
        run(source, output, work(fails_at(3, RuntimeError("out of order")), at_once=1))
    ran: list[int] = []
    said: list[str] = []
    shown: list[tuple[int, int | None]] = []

    def noted(part: Part, advance: Callable[[int], None]) -> Finished:
        ran.append(part.number)
        return shout(part, advance)

    again = work(noted, at_once=1)
    assert run(source, output, again, say=said.append, progress=lambda *now: shown.append(now)) == expected(source)[1]
    assert ran == [3, 4]
    assert said == [f"continuing: the first 4 of 7 lines are finished, in {output}.parts"]
    assert shown[0][0] >= 4
    assert shown[-1] == (7, 7)


def test_a_full_disk_keeps_the_finished_parts_and_the_old_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, output = written(tmp_path)
    output.write_text("old\n")

    def full(kind: str, path: Path) -> None:
        if kind == "fsync" and "part-000004" in path.name:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder_module, "DISK", Disk(full))
    with pytest.raises(OSError, match="No space left") as caught:
        run(source, output, work(at_once=1))
    assert "part-000004" in caught.value.filename
    assert output.read_text() == "old\n"
    monkeypatch.undo()
    run(source, output, work(fails_at(3, AssertionError("is finished"))))
    assert output.read_text() == expected(source)[0]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("moment", [1, 6])
@pytest.mark.parametrize("change", ["appended", "other", "shorter", "gone"])
def test_an_input_that_changes_meanwhile_is_refused(
    change: str, moment: int, pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    source, output = written(tmp_path, pack("".join(f"zeile {n}\n" for n in range(23)).encode()))
    output.write_text("old\n")
    before = source.read_bytes()

    def changing(part: Part, advance: Callable[[int], None]) -> Finished:
        if part.number == moment and change == "gone":
            source.unlink()
        elif part.number == moment:
            plain = {"appended": "zeile 23\n", "other": "ZEILE 22\n", "shorter": ""}[change]
            lines = [f"zeile {n}\n" for n in range(22 + (change == "appended"))]
            source.write_bytes(pack("".join([*lines, plain]).encode()))
        return shout(part, advance)

    with pytest.raises(DataError, match=r"was changed while it was translated|cannot be read"):
        run(source, output, work(changing, at_once=1))
    assert output.read_text() == "old\n"
    source.write_bytes(before)
    run(source, output)
    assert output.read_text() == expected(source)[0]


def test_an_input_that_changes_after_its_last_line_was_read_changes_nothing(tmp_path: Path) -> None:
    source, output = written(tmp_path)
    text = expected(source)[0]

    def changing(part: Part, advance: Callable[[int], None]) -> Finished:
        if part.number == 12:
            source.write_text("other\n")
        return shout(part, advance)

    run(source, output, work(changing, at_once=1))
    assert output.read_text() == text


def test_an_input_that_is_only_touched_is_no_other(tmp_path: Path) -> None:
    source, output = written(tmp_path)

    def touching(part: Part, advance: Callable[[int], None]) -> Finished:
        os.utime(source, (part.number, part.number))
        return shout(part, advance)

    run(source, output, work(touching, at_once=1))
    assert output.read_text() == expected(source)[0]


def test_ctrl_c_keeps_finished_parts_and_says_how_to_go_on(tmp_path: Path) -> None:
    source, output = written(tmp_path)

    def pressing(part: Part, advance: Callable[[int], None]) -> Finished:
        if part.number == 4:
            os.kill(os.getpid(), signal.SIGINT)
            while True:  # as a long search, which ends when it reports and nobody wants it any more
                advance(1)
        return shout(part, advance)

    with pytest.raises(InterruptedByUser, match=r"6 of 23 lines are finished and kept in .*out\.parts; the same comm"):
        run(source, output, work(pressing, at_once=1))
    assert not output.exists()
    run(source, output, work(fails_at(3, AssertionError("is finished"))))
    assert output.read_text() == expected(source)[0]


def test_ctrl_c_before_the_first_part_leaves_nothing(tmp_path: Path) -> None:
    source, output = written(tmp_path)

    def pressing(part: Part, advance: Callable[[int], None]) -> Finished:
        os.kill(os.getpid(), signal.SIGINT)
        while True:
            advance(0)

    with pytest.raises(InterruptedByUser, match=r"before the first part was finished; .* as it was before"):
        run(source, output, work(pressing, at_once=1))
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


PEAKS = """
import sys, tracemalloc
from pathlib import Path
from tests.unit.jobs.bulk.shouting import run, work

for lines in map(int, sys.argv[2:]):
    source, output = Path(sys.argv[1], "in"), Path(sys.argv[1], f"out{lines}")
    source.write_text("".join(f"this is the line with the number {n}{' and more' * 80}\\n" for n in range(lines)))
    tracemalloc.start()
    run(source, output, work(lines=100))
    print(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    assert output.read_bytes().count(b"\\n") == lines
"""


def test_ten_times_the_lines_take_the_same_memory(tmp_path: Path) -> None:
    # A new interpreter has neither threads nor garbage of earlier tests, whose end would count here.
    command = [sys.executable, "-c", PEAKS, str(tmp_path), "2000", "3000", "30000"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    _, few, many = map(int, ended.stdout.split())
    assert many < 1.25 * few + 100_000


def test_long_lines_make_short_parts(tmp_path: Path) -> None:
    source, _ = written(tmp_path, (b"x" * (1 << 20) + b"\n") * 9 + b"y\n" * 9)
    parts = [len(part.lines) for part in parts_of([survey_of(str(source))], most_lines=1000)]
    assert parts == [4, 4, 10]


def test_parts_are_read_only_a_little_before_they_are_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, output = written(tmp_path, b"zeile\n" * 400)
    read: list[int] = []

    def counted(*arguments: object, **options: object) -> Iterator[Part]:
        for part in parts_of(*arguments, **options):  # type: ignore[arg-type]
            read.append(part.number)
            yield part

    ahead: list[int] = []
    lock = threading.Lock()
    done = 0

    def watching(part: Part, advance: Callable[[int], None]) -> Finished:
        nonlocal done
        with lock:
            ahead.append(len(read) - done)
        result = shout(part, advance)
        with lock:
            done += 1
        return result

    monkeypatch.setattr(module, "parts_of", counted)
    run(source, output, work(watching, at_once=3))
    assert len(read) == 200
    assert max(ahead) <= 3 + 3 + 1
