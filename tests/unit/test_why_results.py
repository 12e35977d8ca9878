"""The tables of the guide "why this word" are the results of the benchmark."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULTS = json.loads((ROOT / "benchmarks/results/why.json").read_text(encoding="utf-8"))
GUIDE = (ROOT / "docs/guides/why_this_word.md").read_text(encoding="utf-8")


def rows(columns: int, number: str) -> dict[str, list[str]]:
    """Return the rows of that many numbers, by their first cell; the last table with a name wins."""
    cells = "".join(rf" ({number}) \|" for _ in range(columns))
    found = re.findall(rf"^\| `?([^|`]+?)`? \|{cells}$", GUIDE, flags=re.M)
    return {name: numbers for name, *numbers in found}


def test_the_curve_of_the_guide_is_measured() -> None:
    printed = rows(5, r"\d\.\d\d")
    measured = RESULTS["faithfulness"]["nats"]
    assert printed == {
        "random order" if name == "random" else name: [f"{value:.2f}" for value in values]
        for name, values in measured.items()
    }
    errors = [value for values in RESULTS["faithfulness"]["standard_errors"].values() for value in values]
    assert f"{max(errors):.2f}" in GUIDE
    late = [abs(measured["input_x_gradient"][column] - measured["random"][column]) for column in (3,)]
    assert max(late) < max(errors), "input x gradient is no better than a random order"


def test_the_nouns_of_the_guide_are_measured() -> None:
    methods = RESULTS["nouns"]["methods"]
    assert rows(4, r"\d+ %") == {
        name: [
            f"{100 * share:.0f} %"
            for share in (
                one["referent_over_other"],
                *(one["largest_word"].get(role, 0) for role in ("referent", "adjective", "it")),
            )
        ]
        for name, one in methods.items()
    }
    assert methods["alti_logit"]["referent_over_other"] == methods["occlusion"]["referent_over_other"] == 1
    assert max(row["overturned"] for row in RESULTS["heads_off"]) == 0, "no single head turns a pronoun"


def test_the_error_rates_of_the_guide_are_measured() -> None:
    printed = rows(3, r"\d\.\d\d\d")
    for name, one in RESULTS["alignment"].items():
        shown = printed["mean of layer 4, named by the folder" if name.startswith("heads") else name]
        assert shown == [f"{one[key]:.3f}" for key in ("error_rate", "precision", "recall")]
