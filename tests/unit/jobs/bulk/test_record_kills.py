"""Processes that translate records together are killed at random; the output is that of one process alone."""

from __future__ import annotations

import hashlib
import json
import random
import signal
import time
from pathlib import Path

import pytest
from tests.forked import Started
from tests.models import random_model, save_model
from tests.unit.jobs.bulk.test_records import OPTIONS

from pellucid.jobs.bulk.folder import folder_for
from pellucid.jobs.bulk.record_files import translate_records
from pellucid.jobs.options.parts import PartsOptions

ROWS = [{"n": n, "text": f"wort {n % 150}", "more": ["ä", n]} for n in range(1000)]  # twenty parts
PROCESS = """
import sys, time
from pathlib import Path
from pellucid.jobs.bulk import record_files
from pellucid.jobs.options.parts import PartsOptions
from tests.unit.jobs.bulk.test_records import OPTIONS
at_once = record_files.translate_lines
def slowly(*given, **more):
    time.sleep(0.1)
    return at_once(*given, **more)
record_files.translate_lines = slowly
model, file, output = sys.argv[1:]
parts = PartsOptions(chunk_lines=8, together=0.8)
record_files.translate_records(Path(model), file, output=Path(output), options=OPTIONS, parts=parts)
"""


def written(path: Path) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    else:
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist([{**row, "more": str(row["more"])} for row in ROWS]), path)
    return path


def finished(output: Path) -> int:
    return sum(1 for _ in folder_for(output).glob("part-*.json"))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize(("ending", "rounds"), [("jsonl", 2), ("parquet", 1)])
def test_killed_processes_do_not_show_in_records(ending: str, rounds: int, tmp_path: Path) -> None:
    model = save_model(tmp_path / "model", random_model(noise=0.5))
    file, whole, output = (tmp_path / f"{name}.{ending}" for name in ("in", "whole", "out"))
    translate_records(model, str(written(file)), output=whole, options=OPTIONS, parts=PartsOptions(chunk_lines=8))
    chance, kept = random.Random(7), 0
    for number in range(rounds + 1):
        pair = [Started("-c", PROCESS, model, file, output) for _ in range(2)]
        while finished(output) == kept:
            assert [process.poll() for process in pair] == [None, None]
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.2))
        for process in pair if number < rounds else pair[:1]:  # the last of all goes on alone
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        assert not output.exists()
        kept = finished(output)
    assert pair[1].wait(timeout=600) == 0
    assert sha256(output) == sha256(whole)
