"""The page of arithmetic says what the stored measurements give."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "guides" / "what_it_costs.md").read_text(encoding="utf-8")
RACES = {
    14.5: ("multi30k", "bulk, beam {}"),
    25: ("small", "small, 25 pieces, bulk, beam {}"),
    60: ("small", "small, 60 pieces, bulk, beam {}"),
}


def numbers(line: str) -> list[float]:
    return [float(text.replace(",", "")) for text in re.findall(r"\d[\d,]*\.?\d*", line)]


@pytest.mark.parametrize("tokens", RACES)
def test_core_hours_follow_from_the_measured_speed(tokens: float) -> None:
    name, race = RACES[tokens]
    path = ROOT / "benchmarks" / "results" / f"2026-11-26-translate-cpu-{name}.json"
    races = {one["race"]: one["sides"] for one in json.loads(path.read_text())["races"]}
    speeds = [races[race.format(beam)]["pellucid int8"]["tokens_per_second"] for beam in (5, 1)]
    measured, hours = (
        next(line for line in PAGE.split("\n") if line.startswith("|") and f" {tokens} tokens" in line and unit in line)
        for unit in ("tokens/s", "core-hours")
    )
    assert numbers(measured.partition(" tokens |")[2])[:2] == [round(speed) for speed in speeds]
    for stated, speed in zip(numbers(hours)[1:], speeds, strict=True):
        assert stated == pytest.approx(2e9 * tokens / speed / 3600, rel=0.01)
