"""Compare what ``pellucid train --dry-run`` predicts with what the same run then takes, for two presets.

    python benchmarks/dry_run.py --steps 200 --json result.json
    python benchmarks/dry_run.py --data-dir FOLDER --src-lang de --tgt-lang en --set training.processes=1

Prediction and run are processes of their own. The text is the embedded English-French corpus, or ``train.XX`` and
``valid.XX`` in a folder. Wall time depends on what else the machine does between the two, so processor time, which does
not, stands beside it: on a busy machine only that, memory and disk are for the record.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import machine_facts

from pellucid.sample.corpus import build_corpus

_PREDICT = """
import json, sys, time
from pathlib import Path
from pellucid.config import load_recipe
from pellucid.jobs.promises.dry_run import dry_run
found = dry_run(load_recipe(Path(sys.argv[1]), sys.argv[4:]), Path(sys.argv[2]))
print(found.to_text(), file=sys.stderr)
cost = found.forecast.cost
print(json.dumps({"steps": found.forecast.steps, "seconds": cost.seconds,
    "processor_seconds": cost.processor_seconds, "memory_bytes": found.memory_bytes,
    "disk_bytes": found.forecast.disk_bytes}))
"""
_TRAIN = """
import json, sys, time
from pathlib import Path
from pellucid.config import load_recipe
from pellucid.jobs.promises.costs import peak_memory
from pellucid.jobs.train import QuietReporter, train
began = time.process_time()
recipe = load_recipe(Path(sys.argv[1]), sys.argv[4:])
found = train(recipe, Path(sys.argv[2]), reporter=QuietReporter(lambda text: print(text, file=sys.stderr)))
print(json.dumps({"steps": found.result.steps, "seconds": found.seconds,
    "processor_seconds": time.process_time() - began, "memory_bytes": peak_memory(sys.argv[3])}))
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--presets", nargs="+", default=["tiny", "small"])
    options.add_argument("--steps", type=int, default=200, help="of each run")
    options.add_argument("--data-dir", type=Path)
    options.add_argument("--src-lang", default="en")
    options.add_argument("--tgt-lang", default="fr")
    options.add_argument("--device", default="cpu")
    options.add_argument("--batch-size", default="auto")
    options.add_argument("--set", nargs="+", default=[], dest="settings", help="key=value, as pellucid takes them")
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    results = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.data_dir or write_text(Path(scratch))
        for preset in given.presets:
            results[preset] = compare(given, preset, folder, Path(scratch))
    if given.json:
        given.json.write_text(json.dumps({"machine": machine_facts(), "results": results}, indent=1), encoding="utf-8")


def write_text(folder: Path) -> Path:
    corpus = build_corpus(seed=1, train_size=20_000)
    for name, pairs in (("train", corpus.train), ("valid", corpus.valid)):
        for suffix, side in (("en", "source"), ("fr", "target")):
            lines = "".join(getattr(pair, side) + "\n" for pair in pairs)
            (folder / f"{name}.{suffix}").write_text(lines, encoding="utf-8")
    return folder


def compare(given: argparse.Namespace, preset: str, folder: Path, scratch: Path) -> dict[str, dict[str, float]]:
    """Predict and train; print and return both sides and their ratio."""
    recipe, run = scratch / f"{preset}.toml", scratch / preset
    source, target = given.src_lang, given.tgt_lang

    def corpus(name: str) -> str:
        return f'src = "{folder.resolve()}/{name}.{source}"\ntgt = "{folder.resolve()}/{name}.{target}"\n'

    size = f'"{given.batch_size}"' if given.batch_size == "auto" else given.batch_size
    recipe.write_text(
        f'preset = "{preset}"\n[data]\nsrc_lang = "{source}"\ntgt_lang = "{target}"\n[[data.train]]\n{corpus("train")}'
        f"[data.valid]\n{corpus('valid')}[training]\ntrain_steps = {given.steps}\nbatch_size = {size}\n"
        f'device = "{given.device}"\n',
        encoding="utf-8",
    )
    promised = called(_PREDICT, recipe, run, given.device, *given.settings)
    true = called(_TRAIN, recipe, run, given.device, *given.settings)
    true["disk_bytes"] = sum(file.stat().st_size for file in run.rglob("*") if file.is_file())
    ratio = {name: promised[name] / true[name] for name in promised}
    print(f"{preset}: {'':<20} {'predicted':>14} {'true':>14}   ratio")
    for name in promised:
        print(f"{'':<6} {name:<20} {promised[name]:>14,.1f} {true[name]:>14,.1f}   {ratio[name]:.2f}")
    return {"predicted": promised, "true": true, "ratio": ratio}


def called(program: str, *arguments: object) -> dict[str, float]:
    """Run a program in a process of its own and return the numbers that it prints."""
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    if done.returncode:
        raise SystemExit(f"the process ended with status {done.returncode}")
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    main()
