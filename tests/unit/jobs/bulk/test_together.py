"""Several processes of one command: whichever of them are killed, the output is that of one process alone."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.forked import Started
from tests.unit.jobs.bulk.shouting import expected, run, shout, work, written

from pellucid.errors import ConfigError
from pellucid.jobs.bulk.folder import folder_for
from pellucid.jobs.bulk.leases import Leases
from pellucid.jobs.bulk.survey import Part
from pellucid.jobs.bulk.work import Finished

LINES = b"".join(b"zeile %d\n" % number for number in range(160))
PATIENCE = 0.8
Process = Started | subprocess.Popen[bytes]

PROCESS = """
import os, sys, time
from pathlib import Path
from tests.forked import Started
from tests.unit.jobs.bulk.shouting import run, shout, work
def slowly(part, advance):
    with open(sys.argv[3], "a") as log:
        log.write(f"{part.first_line} {len(part.lines)}\\n")
    if any(line[0] == "zeile 77" for line in part.lines) and sys.argv[4] == "poison":
        os._exit(139)
    time.sleep(0.03)
    return shout(part, advance)
run(Path(sys.argv[1]), Path(sys.argv[2]), work(slowly, lines=4, at_once=1), together=float(sys.argv[5]))
"""


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def start(*, poison: bool = False) -> Process:
        names = [str(tmp_path / name) for name in ("in", "out", "log")]
        arguments = ("-c", PROCESS, *names, "poison" if poison else "", str(PATIENCE))
        place = Path(__file__).parents[4]
        # Most random kills come while a process begins, as on a cluster; a fork begins too soon for that.
        started.append(
            Started(*arguments, cwd=place) if poison else subprocess.Popen([sys.executable, *arguments], cwd=place)
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_three_processes_and_twenty_kills_give_the_output_of_one(
    processes: Callable[..., Process], tmp_path: Path
) -> None:
    source, output = written(tmp_path, LINES)
    some, chance = [processes() for _ in range(3)], random.Random(4)
    for _ in range(20):
        time.sleep(chance.uniform(0.0, 0.15))
        victim = chance.randrange(3)
        some[victim].kill()
        some[victim].wait()
        some[victim] = processes()
    assert [process.wait(timeout=600) for process in some] == [0, 0, 0]
    assert output.read_text() == expected(source)[0]
    assert sorted(path.name for path in folder_for(output).iterdir()) == ["joined.json", "manifest.json"]
    assert len((tmp_path / "log").read_text().splitlines()) <= 40 + 20  # a kill costs one part at most
    again = processes()  # as the last task of a job array that begins after the end
    assert again.wait(timeout=600) == 0
    assert output.read_text() == expected(source)[0]


def test_a_line_that_ends_every_process_costs_itself_only(processes: Callable[..., Process], tmp_path: Path) -> None:
    source, output = written(tmp_path, LINES)
    ends = 0
    while (status := processes(poison=True).wait(timeout=600)) != 0:
        assert status == 139
        ends += 1
    assert ends == 4  # two with its part, two with the line alone
    lines = expected(source)[0].split("\n")
    lines[77] = ""
    assert output.read_text() == "\n".join(lines)
    record = json.loads((folder_for(output) / "joined.json").read_bytes())
    assert record["tally"]["failed"] == 1
    assert record["tally"]["problems"] == [[78, "2 processes ended while they translated this line; it was left out"]]
    parts = [int(row.split()[0]) for row in (tmp_path / "log").read_text().splitlines()]
    assert len([first for first in parts if not 77 <= first <= 80]) == 39  # no other part was run twice


def test_one_process_alone_gives_what_it_gives_without_sharing(tmp_path: Path) -> None:
    source, output = written(tmp_path)
    tally = run(source, output, together=PATIENCE)
    assert (output.read_text(), tally) == expected(source)
    assert run(source, output, together=PATIENCE) == tally  # at once, from its record


def test_parts_of_another_command_and_a_changed_output_are_refused(tmp_path: Path) -> None:
    source, output = written(tmp_path)
    run(source, output, together=PATIENCE)
    with pytest.raises(ConfigError, match=r'model = "a" there and "b" now'):
        run(source, output, work(model="b"), together=PATIENCE)
    output.write_text("other")
    with pytest.raises(ConfigError, match="is gone or changed now"):
        run(source, output, together=PATIENCE)


def test_alone_after_together_translates_again_and_leaves_nothing(tmp_path: Path) -> None:
    source, output = written(tmp_path)
    run(source, output, together=PATIENCE)
    output.write_text("other")
    run(source, output)
    assert output.read_text() == expected(source)[0]
    assert not folder_for(output).exists()


def test_a_process_alone_and_one_that_shares_refuse_each_other(tmp_path: Path) -> None:
    source, output = written(tmp_path)

    def other(part: Part, advance: Callable[[int], None]) -> Finished:
        with pytest.raises(ConfigError, match="another process is translating to this file"):
            run(source, output, together=PATIENCE)
        return shout(part, advance)

    run(source, output, work(other, at_once=1))


def test_a_lease_expires_by_the_clock_of_the_one_that_looks(tmp_path: Path) -> None:
    clock = 0.0
    dead = Leases(tmp_path, patience=1e9)  # its thread never starts, as in a process that was killed
    assert dead.take("part-000001") is not None
    dead.note("part-000001", 7)
    with leases(tmp_path, lambda: clock) as living:
        assert living.take("part-000001") is None
        clock = 9.9
        assert not living.is_free("part-000001")
        clock = 10.0
        assert living.is_free("part-000001")
        history = living.take("part-000001")
        assert history is not None
        assert (history.ends, history.line, history.suspects) == (1, None, {"7": 1})
        dead.release("part-000001")  # it comes back to life, and the lease is no longer its own
        assert [path.name for path in tmp_path.iterdir()] == ["part-000001.lease"]
    assert not list(tmp_path.iterdir())


def test_of_two_that_take_an_expired_lease_one_gets_it(tmp_path: Path) -> None:
    clock = 0.0
    Leases(tmp_path, patience=1e9).take("a")
    with leases(tmp_path, lambda: clock) as one, leases(tmp_path, lambda: clock) as two:
        assert one.take("a") is None
        assert two.take("a") is None
        clock = 10.0
        assert one.take("a") is not None
        assert two.take("a") is None
        one.release("a")
        assert two.take("a") is not None


@contextmanager
def leases(folder: Path, now: Callable[[], float]) -> Iterator[Leases]:
    with Leases(folder, patience=10.0, now=now) as some:
        yield some
