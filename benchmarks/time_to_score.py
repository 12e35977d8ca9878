r"""Compare the BLEU of JoeyNMT 2.3 after some minutes of training with that of pellucid after an eighth of them.

    python benchmarks/time_to_score.py --data-dir DIR --threads 1 --cores 0 --by processor

JoeyNMT trains for ``--minutes`` from its first step on, as shipped, with the shape of ``--preset`` and pieces that are
ready. It does not validate, and its last weights translate the test text with its own beam search, once for each length
penalty; the best score counts. pellucid has ``--minutes`` / ``--shares`` for all that ``pellucid train`` does: reading,
pieces, training, validations and saves. ``--by processor`` counts the processor time of a training process in place of
the clock, because other programs slow it down less. Without ``--data-dir``, a small part of the embedded corpus proves
the script. A side that is complete with the same settings is not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ablation import journal_facts
from environments import JOEYNMT, environment_python
from machine import available_cores, commit, machine_facts, run_watched
from train_cpu import HERE, check_same_pieces, prepare_inputs, write_embedded_corpus, write_joeynmt_config, write_result

from pellucid.config import PRESETS, load_recipe
from pellucid.errors import counted
from pellucid.evaluation.metrics import MetricName, corpus_score
from pellucid.version import __version__

BEAM_SIZE = 5
ALPHAS = (-1, 1)  # JoeyNMT's default, which is no length penalty, and the one of its example configurations
METRICS = {"cased": MetricName.BLEU, "lowercased": MetricName.BLEU_LOWERCASED}
SLOWEST = 12  # a machine that others use may take so many times as long
OTHER_SECONDS = 1800.0  # for imports, reading and translating


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    if options.cores:
        os.sched_setaffinity(0, options.cores)
    work = options.work.resolve()
    folder = work / "time-to-score"
    folder.mkdir(parents=True, exist_ok=True)
    if options.data_dir is None:
        sizes = {"train_size": 4000, "valid_size": 200, "test_size": 100}
        options.data_dir = write_embedded_corpus(folder / "text", options, **sizes)
    python = options.joeynmt_python or environment_python(JOEYNMT, work / JOEYNMT.name)
    runs = [once("JoeyNMT", options.minutes, folder, options, lambda run: train_joeynmt(run, python, options))]
    print(line_of(runs[0]), flush=True)
    for share in options.shares:
        minutes = options.minutes / share
        name = f"pellucid-{share:g}"
        runs.append(once(name, minutes, folder, options, lambda run, m=minutes: train_pellucid(run, m, options)))
        print(line_of(runs[-1]), flush=True)
    result = collect(options, runs)
    table = as_table(result)
    print(f"\n{table}")
    for path in write_result(options.results, "time-to-score", result, table):
        print(f"written: {path}")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--data-dir", type=Path, help="folder of {train,valid,TEST}.{SRC,TGT} (default: a part of the embedded corpus)")
    add("--src-lang", default=None, help="suffix of the source files (default: de; embedded corpus: en)")
    add("--tgt-lang", default=None, help="suffix of the target files (default: en; embedded corpus: fr)")
    add("--test", default=None, help="name of the test files (default: test2016; embedded corpus: test)")
    add("--minutes", type=float, default=None, help="of JoeyNMT (default: 30; embedded corpus: 0.8)")
    add("--shares", type=float, nargs="+", default=[8.0], help="pellucid has this part of the minutes; a run for each")
    add("--by", choices=["clock", "processor"], default="clock", help="whose minutes")
    add("--threads", type=int, default=None, help="of either side (default: as many as there are cores)")
    add("--cores", type=int, nargs="+", default=None, help="numbers of the cores for both sides (default: all)")
    add("--preset", choices=sorted(PRESETS), default=None, help="shape of JoeyNMT (default: small; embedded: tiny)")
    add("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="of pellucid; none by default")
    add("--batch-size", type=int, default=2048, help="of JoeyNMT: padded tokens of the longer side")
    add("--seed", type=int, default=1)
    add("--work", type=Path, default=HERE / ".environments", help="environment and runs; can be deleted")
    add("--joeynmt-python", type=Path, help="of an environment with JoeyNMT (default: one is made)")
    add("--results", type=Path, default=HERE / "results", help="folder of the result")
    options = parser.parse_args(arguments)
    cores = len(options.cores or []) or available_cores()
    options.threads = options.threads or cores
    if options.threads > cores:
        parser.error(f"--threads {options.threads}, but there are {cores} cores; use at most {cores}")
    if options.by == "processor" and options.threads > 1:
        parser.error("--by processor counts one process of one thread; add --threads 1")
    has_data = options.data_dir is not None
    options.data_dir = options.data_dir.resolve() if has_data else None
    options.src_lang = options.src_lang or ("de" if has_data else "en")
    options.tgt_lang = options.tgt_lang or ("en" if has_data else "fr")
    options.test = options.test or ("test2016" if has_data else "test")
    options.minutes = options.minutes or (30.0 if has_data else 0.8)
    options.preset = options.preset or ("small" if has_data else "tiny")
    # The inputs of JoeyNMT are prepared as for the race of speeds, with one batch a step.
    options.batches, options.precision = 1, "fp32"
    return options


def once(
    name: str, minutes: float, folder: Path, options: argparse.Namespace, train: Callable[[Path], dict[str, Any]]
) -> dict[str, Any]:
    """Return the result of a side, from its run folder if it is complete there with the same settings."""
    kept = ("data_dir", "src_lang", "tgt_lang", "test", "by", "threads", "seed")
    kept += ("preset", "batch_size") if name == "JoeyNMT" else ("settings",)
    asked = {key: str(value) for key, value in vars(options).items() if key in kept} | {"minutes": minutes}
    run, path = folder / name, folder / f"{name}.json"
    if path.exists():
        known = json.loads(path.read_text(encoding="utf-8"))
        if known["asked"] == asked:
            return dict(known)
        path.unlink()
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir()
    print(f"{name}: {minutes:g} minutes by the {options.by} ...", flush=True)
    result = {"side": name, "asked": asked, "minutes": minutes} | train(run)
    path.write_text(json.dumps(result, indent=1), encoding="utf-8")
    return result


def train_joeynmt(run: Path, python: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Train JoeyNMT, its dropouts and batches as they come, and translate the test text."""
    inputs = prepare_inputs(options, run / "inputs")
    config, result = run / "joeynmt.yaml", run / "result.json"
    write_joeynmt_config(config, run / "run", options, inputs)
    command = [python, HERE / "joeynmt" / "side.py", config, result, "--warmup-steps", "0"]
    command += ["--seconds", f"{60 * options.minutes}", "--threads", f"{options.threads}", "--dropout", "own"]
    command += ["--clock", "processor" if options.by == "processor" else "wall"]
    command += ["--test", options.data_dir / options.test, "--beam-size", f"{BEAM_SIZE}"]
    command += ["--alphas", *(f"{alpha}" for alpha in ALPHAS)]
    watched = watch(command, run / "train.log", options.minutes, options)
    found = json.loads(result.read_text(encoding="utf-8"))
    check_same_pieces(found, inputs)
    translations = {f"length penalty {alpha}": result.with_suffix(f".alpha{alpha}.txt") for alpha in ALPHAS}
    return {name: found[name] for name in ("seconds", "steps", "target_tokens", "facts")} | {
        "command": watched,
        "scores": {name: scores(path, options) for name, path in translations.items()},
    }


def train_pellucid(run: Path, minutes: float, options: argparse.Namespace) -> dict[str, Any]:
    """Train with the command as a user types it, and translate the test text."""
    program = [sys.executable, HERE / "processor_minutes.py"] if options.by == "processor" else pellucid()
    command = [*program, "train", "--output", run / "run", "--minutes", f"{minutes}"]
    command += ["--src-lang", options.src_lang, "--tgt-lang", options.tgt_lang]
    for split in ("train", "valid"):
        for side, language in (("src", options.src_lang), ("tgt", options.tgt_lang)):
            command += [f"--{split}-{side}", options.data_dir / f"{split}.{language}"]
    for setting in (f"training.seed={options.seed}", *options.settings):
        command += ["--set", setting]
    watched = watch(command, run / "train.log", minutes, options)
    source, output = options.data_dir / f"{options.test}.{options.src_lang}", run / "test.txt"
    translate = [*pellucid(), "translate", run / "run", source, "--output", output, "--beam-size", f"{BEAM_SIZE}"]
    watch(translate, run / "translate.log", 0.0, options)
    recipe = load_recipe(run / "run" / "recipe.toml")
    model = recipe.model
    shape = f"{model.num_encoder_layers}+{model.num_decoder_layers} layers, d_model {model.d_model}"
    return journal_facts(run / "run" / "metrics.jsonl") | {
        "facts": {"shape": shape, "optimizer": recipe.training.optimizer.value, "precision": recipe.training.precision},
        "command": watched,
        "scores": {f"beam {BEAM_SIZE}": scores(output, options)},
    }


def pellucid() -> list[str | Path]:
    return [sys.executable, "-m", "pellucid"]


def watch(command: Sequence[str | Path], log: Path, minutes: float, options: argparse.Namespace) -> dict[str, Any]:
    """Run a command with the threads of the options; return its times."""
    environment = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), f"{options.threads}")
    timeout = OTHER_SECONDS + 60 * SLOWEST * minutes
    return asdict(run_watched(command, log=log, environment=environment, timeout=timeout))


def scores(translations: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Return cased and lowercased BLEU of the test text with their signatures."""
    references = options.data_dir / f"{options.test}.{options.tgt_lang}"
    found, right = (
        path.read_text(encoding="utf-8").removesuffix("\n").split("\n") for path in (translations, references)
    )
    results = {n: corpus_score(found, right, target_language=options.tgt_lang, metric=m) for n, m in METRICS.items()}
    return {name: {"value": round(score.value, 2), "signature": score.signature} for name, score in results.items()}


def best(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return the scores of the translation with the highest cased BLEU."""
    return max(run["scores"].values(), key=lambda found: found["cased"]["value"])


def collect(options: argparse.Namespace, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the runs with what is needed to repeat them."""
    own = {"batches", "precision"}  # of the preparation
    shown = {name: value for name, value in vars(options).items() if not isinstance(value, Path) and name not in own}
    facts = {"pellucid": __version__, "commit": commit(), "machine": machine_facts()}
    goal = best(runs[0])["cased"]["value"]
    reached = [run["minutes"] for run in runs[1:] if best(run)["cased"]["value"] >= goal]
    return {
        "what": "BLEU of the test text after so many minutes of training",
        "settings": shown | {"data_dir": options.data_dir.name},
        "goal": goal,
        "reached_after_minutes": min(reached, default=None),
        **facts,
        "runs": [{name: value for name, value in run.items() if name != "asked"} for run in runs],
    }


def line_of(run: Mapping[str, Any]) -> str:
    """Return the line of a run for the screen."""
    score = best(run)
    return f"{run['side']}: BLEU {score['cased']['value']:.2f} after {run['minutes']:g} minutes, {run['steps']:,} steps"


def as_table(result: Mapping[str, Any]) -> str:
    """Return the result as Markdown."""
    machine, settings, goal = result["machine"], result["settings"], result["goal"]
    lines = [
        f"BLEU on {settings['data_dir']} {settings['src_lang']}-{settings['tgt_lang']} {settings['test']} after "
        f"minutes of the {settings['by']}; {machine['processor']}, "
        f"{counted(settings['threads'], 'thread')}, {machine['date'][:10]}",
        "",
        "| side | minutes | steps | target tokens | BLEU cased | lowercased | whole command: processor s | wall s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for run in result["runs"]:
        score, command = best(run), run["command"]
        cells = [run["side"], f"{run['minutes']:g}", f"{run['steps']:,}", f"{run['target_tokens']:,}"]
        cells += [f"{score[name]['value']:.2f}" for name in METRICS]
        cells += [f"{command[name]:,.0f}" for name in ("processor_seconds", "seconds")]
        lines.append(f"| {' | '.join(cells)} |")
    minutes = result["reached_after_minutes"]
    told = f"within {minutes:g} minutes" if minutes is not None else "in none of its runs"
    lines += ["", f"pellucid reached JoeyNMT's {goal:.2f} {told}.  "]
    for run in result["runs"]:
        facts = run["facts"] | run["facts"].get("versions", {})
        shown = ", ".join(f"{name} {value}" for name, value in facts.items() if not isinstance(value, dict))
        each = "; ".join(f"{name}: {found['cased']['value']:.2f}" for name, found in run["scores"].items())
        lines.append(f"{run['side']}: {shown}; {each}  ")
    lines.append(f"{best(result['runs'][0])['cased']['signature']}  ")
    told_settings = ", ".join(f"{name} {value}" for name, value in settings.items() if value not in (None, []))
    lines.append(f"pellucid {result['pellucid']}, commit {result['commit']}; settings: {told_settings}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
