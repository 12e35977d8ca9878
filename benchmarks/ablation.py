r"""Train variants of a recipe with several seeds, in turns, and compare their test scores.

    python benchmarks/ablation.py --recipe recipes/multi30k-de-en.toml --data-dir DATA --minutes 10 \
        --test-src DATA/test2016.de --test-tgt DATA/test2016.en --output ablation \
        --variant adam --variant muon training.optimizer=muon --variant simcut training.simcut=3.0

Each ``--variant`` is a name and the settings that differ from the recipe; ``--set`` changes all of them. Every seed
trains all variants before the next seed begins, and each seed begins with another variant, so that a machine that slows
down affects all alike. The same command continues after an interruption: complete runs are kept, the interrupted one
goes on. After each run the table is written to ``ablation.json`` and ``ablation.md`` in the output folder.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from machine import commit, machine_facts, run_watched

from pellucid.config import load_recipe
from pellucid.durable import DISK
from pellucid.evaluation.metrics import MetricName, corpus_score
from pellucid.version import __version__

RESULT = "ablation-result.json"
SCORES = {"cased": MetricName.BLEU, "lowercased": MetricName.BLEU_LOWERCASED}
_BUSY_SHARE = 0.05


@dataclass(frozen=True)
class Variant:
    """A name and the settings that differ from the recipe."""

    name: str
    settings: tuple[str, ...]


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    output = options.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    runs: list[dict[str, Any]] = []
    for variant, seed in in_turns(options.variants, options.seeds):
        folder = output / f"{variant.name}-seed{seed}"
        runs.append(one_run(variant, seed, folder, options))
        result = collect(options, runs)
        write(output, result)
        print(run_line(runs[-1]), flush=True)
    print(as_table(result))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--recipe", type=Path, required=True, help="of all variants")
    add("--data-dir", type=Path, default=Path(), help="folder of the files that the recipe names")
    add("--test-src", type=Path, required=True)
    add("--test-tgt", type=Path, required=True)
    add("--output", type=Path, required=True, help="folder of the runs and of the table")
    add("--variant", nargs="+", action="append", required=True, metavar=("NAME", "KEY=VALUE"), help="can be repeated")
    add("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="for every variant")
    add("--seeds", type=int, nargs="+", default=[1, 2, 3])
    add("--minutes", type=float, help="budget of each run, its preparation included")
    add("--steps", type=int, help="budget of each run, in steps")
    add("--beam-size", type=int, default=5)
    options = parser.parse_args(arguments)
    if (options.minutes is None) == (options.steps is None):
        parser.error("give either --minutes or --steps")
    options.variants = [Variant(name, tuple(settings)) for name, *settings in options.variant]
    if len({variant.name for variant in options.variants}) < len(options.variants):
        parser.error("two variants have the same name")
    for variant in options.variants:  # a wrong setting fails now, not in the night
        load_recipe(options.recipe, [*options.settings, *variant.settings])
    return options


def in_turns(variants: Sequence[Variant], seeds: Sequence[int]) -> list[tuple[Variant, int]]:
    """Return all runs in their order: seed by seed, each beginning with the next variant."""
    order = []
    for number, seed in enumerate(seeds):
        first = number % len(variants)
        order += [(variant, seed) for variant in (*variants[first:], *variants[:first])]
    return order


def one_run(variant: Variant, seed: int, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Train and score one variant with one seed, unless its result is there already."""
    budget = {"minutes": options.minutes, "train_steps": options.steps}
    settings = [*options.settings, *variant.settings, f"training.seed={seed}"]
    settings += [f"training.{name}={value}" for name, value in budget.items() if value is not None]
    asked = {"variant": variant.name, "seed": seed, "settings": settings, "beam_size": options.beam_size}
    path = folder / RESULT
    if path.exists():
        known = json.loads(path.read_text(encoding="utf-8"))
        if {name: known[name] for name in asked} != asked:
            raise SystemExit(f"{folder}: is a run with other settings ({known['settings']}); give another --output")
        return dict(known)
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "pellucid", "train", "--recipe", options.recipe, "--data-dir", options.data_dir]
    command += ["--output", folder / "run", *(part for setting in settings for part in ("--set", setting))]
    timeout = 3600 + 180 * options.minutes if options.minutes else 7 * 24 * 3600
    watched = run_watched(command, log=folder / "train.log", environment={}, timeout=timeout)
    translate = [sys.executable, "-m", "pellucid", "translate", folder / "run", options.test_src, "--output"]
    translate += [folder / "test.txt", "--beam-size", str(options.beam_size)]
    run_watched(translate, log=folder / "translate.log", environment={}, timeout=3600)
    result = asked | scores(folder / "test.txt", options) | journal_facts(folder / "run" / "metrics.jsonl")
    result |= {"precision": load_recipe(folder / "run" / "recipe.toml").training.precision, "machine": asdict(watched)}
    DISK.write_replacing(path, json.dumps(result, indent=1).encode())
    return result


def scores(translations: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Return cased and lowercased BLEU of the test text with their signatures."""
    found, references = (
        path.read_text(encoding="utf-8").removesuffix("\n").split("\n") for path in (translations, options.test_tgt)
    )
    language = load_recipe(options.recipe, options.settings).data.tgt_lang
    results = {n: corpus_score(found, references, target_language=language, metric=m) for n, m in SCORES.items()}
    return {
        "bleu": {name: round(score.value, 3) for name, score in results.items()},
        "signatures": {name: score.signature for name, score in results.items()},
    }


def journal_facts(path: Path) -> dict[str, Any]:
    """Return seconds, steps and tokens of a run over all its continuations, and its best validation."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    steps = [row for row in rows if row["kind"] == "step"]
    validations = [row for row in rows if row["kind"] == "validation"]
    best = max(validations, key=lambda row: (row["is_best"], row["step"]))
    return {
        "seconds": max(row["seconds"] for row in (*steps, *validations)),
        "steps": steps[-1]["step"],
        "target_tokens": sum(row["target_tokens"] for row in steps),
        "skipped_steps": sum(bool(row.get("skipped")) for row in steps),
        "best_step": best["step"],
        "valid_nll": best["nll"],
    }


def collect(options: argparse.Namespace, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return all results with what is needed to repeat them."""
    shown = {name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()}
    for name in ("recipe", "data_dir", "test_src", "test_tgt"):
        shown[name] = Path(shown[name]).name
    shown |= {"variants": {variant.name: list(variant.settings) for variant in options.variants}}
    del shown["variant"], shown["output"]
    facts = {"pellucid": __version__, "commit": commit(), "machine": machine_facts()}
    return {"options": shown, **facts, "runs": list(runs)}


def write(output: Path, result: Mapping[str, Any]) -> None:
    """Write the table as JSON and Markdown."""
    content = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    DISK.write_replacing(output / "ablation.json", content.encode())
    DISK.write_replacing(output / "ablation.md", (as_table(result) + "\n").encode())


def run_line(run: Mapping[str, Any]) -> str:
    """Return the line of a run for the screen."""
    share = run["machine"]["others_share"] or 0.0
    warning = f"   (other processes used {share:.0%} of the cores)" if share > _BUSY_SHARE else ""
    return (
        f"{run['variant']}, seed {run['seed']}: BLEU {run['bleu']['cased']:.2f} cased, "
        f"{run['bleu']['lowercased']:.2f} lowercased, {run['steps']:,} steps, {run['seconds']:,.0f} s{warning}"
    )


def as_table(result: Mapping[str, Any]) -> str:
    """Return the means over seeds, then the runs, as Markdown."""
    runs, options = result["runs"], result["options"]
    lines = [
        "| variant | settings | seeds | BLEU cased | BLEU lowercased | valid nll | seconds | steps | target tokens |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, settings in options["variants"].items():
        own = [run for run in runs if run["variant"] == name]
        if not own:
            continue
        cells = [name, " ".join(f"`{setting}`" for setting in settings) or "-", str(len(own))]
        cells += [spread([run["bleu"][kind] for run in own]) for kind in SCORES]
        cells.append(spread([run["valid_nll"] for run in own], digits=3))
        cells += [f"{statistics.mean(run[kind] for run in own):,.0f}" for kind in ("seconds", "steps", "target_tokens")]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| run | cased | lowercased | seconds | steps | best step | precision | used by others |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for run in runs:
        share = run["machine"]["others_share"]
        cells = [f"{run['variant']}, seed {run['seed']}", *(f"{run['bleu'][kind]:.2f}" for kind in SCORES)]
        cells += [f"{run['seconds']:,.0f}", f"{run['steps']:,}", f"{run['best_step']:,}", run["precision"]]
        cells.append("unknown" if share is None else f"{share:.0%}")
        lines.append(f"| {' | '.join(cells)} |")
    machine = result["machine"]
    lines += [
        "",
        f"recipe {options['recipe']}, test {options['test_src']}, beam {options['beam_size']}; "
        f"pellucid {result['pellucid']} ({result['commit']}), {machine['processor']}, {machine['cores']} cores, "
        f"{machine['date'][:10]}  ",
        *(f"{name}: {signature}  " for name, signature in runs[0]["signatures"].items()),
    ]
    return "\n".join(lines)


def spread(values: Sequence[float], *, digits: int = 2) -> str:
    """Return the mean and, of several values, the standard deviation."""
    mean = f"{statistics.mean(values):.{digits}f}"
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(values):.{digits}f}"


if __name__ == "__main__":
    main()
