"""The race to a score counts the minutes that it says, and refuses what it cannot count."""

from __future__ import annotations

import signal
import subprocess
import sys
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.benchmark_scripts import FOLDER, load_script


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return load_script("time_to_score")


def run(side: str, minutes: float, *bleu: float) -> dict[str, Any]:
    """Return the result of a side with these scores, one of each translation."""
    scores = {
        f"translation {number}": {
            "cased": {"value": value, "signature": "case:mixed"},
            "lowercased": {"value": value + 1, "signature": "case:lc"},
        }
        for number, value in enumerate(bleu)
    }
    times = {"processor_seconds": 9.0, "seconds": 11.0}
    known = {"side": side, "minutes": minutes, "steps": 1000, "target_tokens": 20_000, "facts": {}}
    return known | {"command": times, "scores": scores}


def test_the_better_translation_of_joeynmt_is_the_goal(script: ModuleType, tmp_path: Path) -> None:
    options = script.parse(["--data-dir", str(tmp_path), "--shares", "8", "16", "--cores", "0"])
    runs = [run("JoeyNMT", 30.0, 20.0, 21.5), run("pellucid-8", 3.75, 24.0), run("pellucid-16", 1.875, 21.0)]
    result = script.collect(options, runs)
    assert result["goal"] == 21.5
    assert result["reached_after_minutes"] == 3.75
    table = script.as_table(result)
    assert "| JoeyNMT | 30 | 1,000 | 20,000 | 21.50 | 22.50 | 9 | 11 |" in table
    assert "reached JoeyNMT's 21.50 within 3.75 minutes" in table
    assert "in none of its runs" in script.as_table(script.collect(options, [runs[0], runs[2]]))


def test_a_complete_side_is_not_run_again(script: ModuleType, tmp_path: Path) -> None:
    calls = count()

    def train(folder: Path) -> dict[str, Any]:
        return {"call": next(calls)}

    def once(minutes: float, *more: str) -> int:
        options = script.parse(["--threads", "1", *more])
        return int(script.once("pellucid-8", minutes, tmp_path, options, train)["call"])

    assert [once(3.0), once(3.0), once(3.0, "--set", "model.dropout=0.2"), once(4.0)] == [0, 0, 1, 2]


def test_processor_time_of_several_threads_is_refused(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        script.parse(["--by", "processor", "--threads", "2", "--cores", "0", "1"])
    assert "add --threads 1" in capsys.readouterr().err


def test_the_stopwatch_counts_its_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    stopwatch = load_script("stopwatch")
    before = signal.getsignal(signal.SIGINT)
    try:
        watch = stopwatch.Stopwatch(warmup_steps=0, steps=None, seconds=2.5, clock=count().__next__)
        for _ in range(3):
            watch.mark(10, 12)
        with pytest.raises(KeyboardInterrupt):
            watch.mark(10, 12)
    finally:
        signal.signal(signal.SIGINT, before)
    assert watch.result()["steps"] == 3
    assert watch.result()["seconds"] == 3


def test_a_budget_of_minutes_counts_processor_time() -> None:
    check = (
        "import processor_minutes; processor_minutes.count_processor_time(); "
        "from pellucid.training.inputs import RunInputs; "
        "print(RunInputs.clock is processor_minutes.processor_seconds)"
    )
    found = subprocess.run([sys.executable, "-c", check], cwd=FOLDER, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["True"]


@pytest.mark.slow
def test_pellucid_trains_and_translates_with_minutes_of_processor_time(script: ModuleType, tmp_path: Path) -> None:
    options = script.parse(["--by", "processor", "--threads", "1", "--set", "model.d_model=32"])
    sizes = {"train_size": 1000, "valid_size": 20, "test_size": 10}
    options.data_dir = script.write_embedded_corpus(tmp_path / "text", options, **sizes)
    (tmp_path / "run").mkdir()
    found = script.train_pellucid(tmp_path / "run", 0.2, options)
    assert found["steps"] > 0
    assert found["target_tokens"] > 0
    assert found["command"]["processor_seconds"] > 6  # 12 less the reserve for the end
    assert found["seconds"] <= 12
    assert "tok:13a" in script.best(found)["cased"]["signature"]
