r"""Write the table ``[promise]`` of a recipe from the runs of ``ablation.py``: mean and spread over their seeds.

    python benchmarks/promise.py ablation/ablation.json --variant small --command "pellucid train ..." \
        --test-src test2016.de --test-tgt test2016.en --origin "docs/log.md, 2026-11-27"

The output is TOML for the end of the recipe. With ``--runs`` (the folder of the runs), it also has the mean learning
curve, and says which settings ``preset = "auto"`` chose, so that ``--check`` on another machine can say that it chose
others; leave ``chosen`` out of a recipe with another preset.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tomlkit

from pellucid.config import Promise, load_recipe
from pellucid.jobs.choosing.preset import settings_in_words

METRICS = {"cased": "bleu", "lowercased": "bleu_lowercased"}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("result", type=Path, help="ablation.json")
    add("--variant", required=True)
    add("--command", required=True)
    add("--test-src", required=True)
    add("--test-tgt", required=True)
    add("--origin", default="")
    add("--runs", type=Path, help="folder of the runs: VARIANT-seedN/run")
    options = parser.parse_args(arguments)
    result = json.loads(options.result.read_text(encoding="utf-8"))
    chosen, curve = "", {}
    if options.runs is not None:
        folders = sorted(options.runs.glob(f"{options.variant}-seed*/run"))
        chosen = settings_in_words(load_recipe(folders[0] / "recipe.toml"))
        curve = {"curve": curve_of(folders)}
    table = promise_of(result, options.variant) | {"command": options.command, "test_src": options.test_src}
    table |= {"test_tgt": options.test_tgt, "origin": options.origin, "chosen": chosen, **curve}
    Promise.model_validate(table)
    print(tomlkit.dumps({"promise": {name: value for name, value in table.items() if value != ""}}))


def curve_of(folders: Sequence[Path]) -> dict[str, list[float]]:
    """Return the mean BLEU of the validations at each tenth of the budget that all runs have reached."""
    runs = []
    for folder in folders:
        points, fraction = [], 0.0
        for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if row["kind"] == "step":
                fraction = row["fraction"]
            elif row["kind"] == "validation" and "bleu_share" not in row["scores"]:
                points.append((fraction, row["scores"]["bleu"]))
        runs.append(points)
    first, last = max(points[0][0] for points in runs), min(points[-1][0] for points in runs)
    places = [tenth / 10 for tenth in range(1, 11) if first - 0.01 <= tenth / 10 <= last + 0.01]
    values = [[np.interp(place, *zip(*points, strict=True)) for points in runs] for place in places]
    return {"fraction": places, "bleu": [round(float(np.mean(value)), 1) for value in values]}


def promise_of(result: dict[str, Any], variant: str) -> dict[str, Any]:
    """Return what was measured: hardware, minutes, steps, scores with their spread."""
    runs = [run for run in result["runs"] if run["variant"] == variant]
    if not runs:
        known = ", ".join(sorted({run["variant"] for run in result["runs"]}))
        raise SystemExit(f"no run of the variant {variant!r}; use one of {known}")
    machine = result["machine"]
    scores = []
    for kind, metric in METRICS.items():
        values = [run["bleu"][kind] for run in runs]
        score = {"metric": metric, "value": round(statistics.mean(values), 2)}
        if len(values) > 1:
            score["spread"] = round(statistics.stdev(values), 2)
        scores.append(score | {"signature": runs[0]["signatures"][kind]})
    return {
        "hardware": f"{machine['cores']} cores of {machine['processor']}, {runs[0]['precision']}",
        "minutes": round(statistics.mean(run["seconds"] for run in runs) / 60, 1),
        "seeds": len(runs),
        "steps": round(statistics.mean(run["steps"] for run in runs)),
        "target_tokens": round(statistics.mean(run["target_tokens"] for run in runs)),
        "scores": scores,
    }


if __name__ == "__main__":
    main()
