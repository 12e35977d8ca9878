"""The page of arithmetic says what the stored measurements give."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = (ROOT / "docs" / "guides" / "what_it_costs.md").read_text(encoding="utf-8")
RACES = {
    14.5: ("multi30k", "bulk, beam {}"),
    25: ("small", "small, 25 pieces, bulk, beam {}"),
    60: ("small", "small, 60 pieces, bulk, beam {}"),
}


def numbers(line: str) -> list[float]:
    return [float(text.replace(",", "")) for text in re.findall(r"\d[\d,]*\.?\d*", line)]


def result(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return found


def row(beginning: str) -> list[str]:
    """Return the other cells of the only row of the page whose first cell begins so."""
    (found,) = [line for line in PAGE.split("\n") if line.startswith(f"| {beginning}")]
    return [cell.strip() for cell in found.strip("|").split("|")][1:]


def hours(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.,]+) (\S+)", text).groups()  # type: ignore[union-attr]
    return float(number.replace(",", "")) * {"days": 24, "hours": 1, "minutes": 1 / 60, "core-hours": 1}[unit]


def test_every_file_that_the_page_names_is_there() -> None:
    for name in re.findall(r"(?:benchmarks/results/)?(2026-[\w-]+\.json)", PAGE):
        assert (RESULTS / name).is_file(), name


@pytest.mark.parametrize("machines", ["a laptop", "a server", "16 servers"])
def test_machines_divide_the_core_hours_by_their_cores(machines: str) -> None:
    cores, *times = row(machines)
    for stated, needed in zip(times, row("25 tokens"), strict=True):
        assert hours(stated) == pytest.approx(hours(needed) / int(cores.replace(",", "")), rel=0.025)


def test_the_ceiling_of_a_gpu_is_that_of_the_page_of_engines() -> None:
    speed, took = re.search(r"is ([\d,]+) tokens/s, which would be (\d+) hours", PAGE).groups()  # type: ignore[union-attr]
    assert 25e9 / int(speed.replace(",", "")) / 3600 == pytest.approx(int(took), abs=0.5)
    engines = (ROOT / "docs" / "concepts" / "engine.md").read_text(encoding="utf-8")
    head, ceiling, total = (
        [cell.strip() for cell in line.strip("|").split("|")]
        for beginning in ("microseconds a step", "tokens a second, at most", "sum")
        for line in engines.split("\n")
        if line.startswith(f"| {beginning} |")
    )
    place = head.index("`base`, beam 5")
    assert ceiling[place] == speed
    assert 512 / (int(total[place]) * 1e-6) == pytest.approx(int(speed.replace(",", "")), rel=0.01)


@pytest.mark.parametrize("pairs", ["100,000", "1,000,000", "10,000,000"])
def test_preparation_is_what_was_measured(pairs: str) -> None:
    measured = result("2026-11-27-prepare-scale")["results"][pairs.replace(",", "")]
    first, restart = measured["preparation"], measured["restart"]
    (said,) = re.findall(r"([\d,]+) for each second of a core", first["said"][0])
    speed, *memory, seconds = (numbers(cell)[0] for cell in row(f"{pairs} |"))
    assert speed == round(int(said.replace(",", "")), -2)
    names = ("memory_at_first_bytes", "preparation_bytes", "peak_bytes")
    assert memory == [round(first[name] / 2**20) for name in names]
    assert seconds == round(restart["processor_seconds"], 1)
    if pairs == "10,000,000":
        (growth,) = re.findall(r"Preparing ten times as many pairs takes (\d+) % more memory", PAGE)
        assert memory[1] / numbers(row("1,000,000 |")[2])[0] == pytest.approx(1 + int(growth) / 100, abs=0.005)
        assert first["store_bytes"] / 1e7 == pytest.approx(numbers(row("disk, stores")[1])[0], abs=0.5)


def test_what_a_restart_took_in_turns() -> None:
    turns = result("2026-11-27-prepare-restart")["results"]
    (said,) = re.findall(r"it took (.*?)`benchmarks", PAGE.replace("\n", " "))
    before, after = (next(turns[name] for name in turns if name.startswith(word)) for word in ("before", "after"))
    seconds = [round(one["processor_seconds"], 1) for one in (*after, *before)]
    assert sorted(numbers(said)[:4]) == sorted(seconds)
    assert numbers(said)[4:] == [round(one[0]["peak_bytes"] / 1e6) for one in (after, before)]


def test_a_billion_pairs_are_a_thousand_million() -> None:
    order = result("2026-11-27-order-of-an-epoch")
    speed = numbers(row("10,000,000 |")[0])[0]
    assert hours(row("processor time, without")[0]) == pytest.approx(1e9 / speed / 3600, abs=0.5)
    bytes_a_pair = order["length_bytes_per_row"] + order["order_bytes_per_row"]
    memory, source = row("memory, order")
    assert numbers(memory)[0] == numbers(source)[0] == bytes_a_pair
    assert numbers(row("disk, stores")[0])[0] == numbers(row("disk, stores")[1])[0]
    took, source = row("processor time, order")
    first, whole = order["first_batch_processor_seconds"], order["all_batches_processor_seconds"]
    assert numbers(source)[:2] == [first, whole]
    assert numbers(took) == [round(seconds * 100 / 60, 1) for seconds in (first, whole - first)]
    (most,) = re.findall(r"with 64 GB of memory a run can have about ([\d.]+) billion", PAGE)
    assert 64 / (bytes_a_pair + numbers(row("memory, roles")[0])[0]) == pytest.approx(float(most), abs=0.05)


@pytest.mark.parametrize("tokens", RACES)
def test_core_hours_follow_from_the_measured_speed(tokens: float) -> None:
    name, race = RACES[tokens]
    races = {one["race"]: one["sides"] for one in result(f"2026-11-26-translate-cpu-{name}")["races"]}
    speeds = [races[race.format(beam)]["pellucid int8"]["tokens_per_second"] for beam in (5, 1)]
    measured, hours = (
        next(line for line in PAGE.split("\n") if line.startswith("|") and f" {tokens} tokens" in line and unit in line)
        for unit in ("tokens/s", "core-hours")
    )
    assert numbers(measured.partition(" tokens |")[2])[:2] == [round(speed) for speed in speeds]
    for stated, speed in zip(numbers(hours)[1:], speeds, strict=True):
        assert stated == pytest.approx(2e9 * tokens / speed / 3600, rel=0.01)
