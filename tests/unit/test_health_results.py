"""The benchmark of the signs of health: its rules, and that the guide and the shipped limits are its results."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.benchmark_scripts import load_script

import pellucid.analysis.measured as measured

ROOT = Path(__file__).resolve().parents[2]
RESULTS = json.loads((ROOT / "benchmarks/results/health.json").read_text(encoding="utf-8"))
GUIDE = (ROOT / "docs/guides/looking_inside.md").read_text(encoding="utf-8")
health, sample = load_script("health"), load_script("health_sample")
CASE = sample.Case(0, "untouched", "", "The dog runs in the garden.")
STRANGERS = ("A cat sleeps on the roof.", "They have bought it.", "Where were you?")


def kinds(text: str, source: Sequence[int] = (), target: Sequence[int] = ()) -> frozenset[str]:
    found: frozenset[str] = sample.kinds_of(text, CASE, STRANGERS, source_ids=source, target_ids=target)[1]
    return found


def test_the_reference_says_what_a_translation_is() -> None:
    assert kinds(CASE.reference) == frozenset()
    assert kinds("They bought it.") == {"poor", "detached"}, "a stranger's reference is nearer"
    assert kinds("run dog") == {"poor"}, "far from its own reference, but nearer than to any other"
    assert kinds(CASE.reference, source=[1, 2, 3], target=[5, 6, 5, 6, 5, 6]) == {"looping"}
    assert kinds(CASE.reference, source=[1, 2, 1, 2, 3], target=[5, 6, 5, 6, 5, 6]) == frozenset(), "so does the source"


def test_every_disturbance_changes_the_source_and_no_case_changes_its_side() -> None:
    pairs = [(f"one two three four {number}", f"un deux trois quatre {number}") for number in range(32)]
    cases = sample.cases_of(pairs, ["cat"], share=4, steps=[7])
    assert {case.group for case in cases} == {"untouched", "step 7", *sample.DISTURBED}
    for case in cases:
        assert case.reference == pairs[case.number][1]
        assert (case.source == pairs[case.number][0]) <= (case.group in ("untouched", "step 7", "words shuffled"))
    sides = {case.number % 4 for case in cases if case.group == "words dropped"}
    assert sides == {0, 1, 2, 3}
    assert sample.dropped(["a"], "", [], random.Random(1)) == ["a"]


def test_auroc_is_the_share_of_pairs_in_the_right_order() -> None:
    assert health.auroc([2, 3], [1, 2]) == pytest.approx((0.5 + 1 + 1 + 1) / 4)
    assert health.auroc([], [1]) is None


def test_the_shipped_limits_are_the_results() -> None:
    shipped = measured.read_measured(Path(measured.__file__).with_name("measured_default.json"))
    assert json.loads(shipped.model_dump_json(exclude={"references"})) == RESULTS["measured"]


def test_the_table_of_the_guide_is_measured() -> None:
    printed = re.findall(r"^\| (\w+) \| (\w+) \| (\S+) \| (\S+) \| (\S+) \| (\S+) \| (\S+) \|$", GUIDE, flags=re.M)
    columns = ("precision", "recall", "false_alarms", "auroc")
    expected = [
        (
            name,
            one["kind"],
            f"{one['threshold']:g}",
            *("–" if one[key] is None else f"{one[key]:.2f}" for key in columns),
        )
        for name, one in RESULTS["measured"]["signs"].items()
    ]
    assert [row for row in printed if row[0] != "sign"] == expected
