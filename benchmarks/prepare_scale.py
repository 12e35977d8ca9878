"""Measure how preparation grows with the corpus: memory, pairs a second, and the time to the first batch of a restart.

    python benchmarks/prepare_scale.py --pairs 100000 1000000 --json result.json
    python benchmarks/prepare_scale.py --pairs 100000 --repeat 100 --sentences 5000     # a restart with 10 million rows
    python benchmarks/prepare_scale.py --pairs 500 1000 --sentences 1000        # proves the script in seconds

The pairs are those of the embedded grammar; from the 20,001st on they are two sentences, so that no pair comes twice.
Every measurement is a process of its own. Memory is the peak of what the process holds for itself: pages of files do
not count, because the system takes them back when it needs them. The tokenizer learns from at most ``--sentences``
sentences, so that its memory is the same for each size and small enough not to hide what grows. Processor time stands
beside wall time, which depends on what else the machine does. With ``--repeat`` the rows of the store are repeated
after the preparation, so that a restart with many is measured in minutes instead of an hour.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from machine import commit, machine_facts

from pellucid.jobs.preparation.states import states_of
from pellucid.sample.corpus import build_corpus

_BASE = 20_000
_MEASURE = """
import json, os, re, sys, threading, time
from pathlib import Path
began = time.monotonic()
from pellucid.config import Recipe
from pellucid.jobs.opening import OpenedRun
from pellucid.jobs.prepare import prepare
from pellucid.runtime import Runtime
from pellucid.training.batches import BatchStream, DataPosition
import torch

peak, done = [0], threading.Event()
def held():
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) << 10
def watch():
    while not done.wait(0.02):
        peak[0] = max(peak[0], held())
folder, threads, sentences = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
files = {"src": folder / "text.en", "tgt": folder / "text.fr"}
recipe = Recipe.model_validate({"data": {"train": [files], "src_lang": "en", "tgt_lang": "fr"},
    "tokenizer": {"input_sentence_size": sentences}, "training": {"batch_size": 4096}})
run = OpenedRun(recipe, folder / "run", Runtime.detect(device="cpu", threads=threads), initial=None, notes=())
run.output.mkdir(exist_ok=True)
at_first = held()
threading.Thread(target=watch, daemon=True).start()
said = []
data = prepare(run, say=said.append)
prepared = peak[0]
specials = data.tokenizer.specials
stream = BatchStream(data.store, config=recipe.training, specials=specials, start_id=specials.bos,
    device=torch.device("cpu"))
rows, _ = stream.take(DataPosition(), 1)
stream.load(rows[0])
seconds = time.monotonic() - began
done.set()
times = os.times()
print(json.dumps({"seconds": round(seconds, 2), "processor_seconds": round(sum(times[:4]), 2),
    "memory_at_first_bytes": at_first, "preparation_bytes": prepared, "peak_bytes": peak[0],
    "store_bytes": sum(path.stat().st_size for path in data.store.folder.iterdir()),
    "said": [line for line in said if line.startswith("prepared:") or line.endswith("used again")]}))
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pairs", type=int, nargs="+", default=[100_000, 1_000_000])
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--sentences", type=int, default=50_000, help="that the tokenizer learns from")
    options.add_argument("--repeat", type=int, default=1, help="times the rows of the store before the restart")
    options.add_argument("--folder", type=Path, help="for the text and the stores; a temporary one without it")
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    results = {}
    for pairs in given.pairs:
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            write_text(Path(folder), pairs)
            results[pairs] = {"preparation": measure(Path(folder), threads=given.threads, sentences=given.sentences)}
            repeat_rows(Path(folder) / "run" / "data", given.repeat)
            results[pairs]["restart"] = measure(Path(folder), threads=given.threads, sentences=given.sentences)
        print(f"{pairs:,} pairs: {json.dumps(results[pairs])}", flush=True)
    if given.json:
        facts = {"threads": given.threads, "repeat": given.repeat, "results": results}
        table = {"machine": machine_facts(), "commit": commit(), **facts}
        given.json.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


def write_text(folder: Path, pairs: int) -> None:
    base = build_corpus(seed=1, train_size=_BASE, valid_size=0, test_size=0).train
    with (folder / "text.en").open("w") as source, (folder / "text.fr").open("w") as target:
        for number in range(pairs):
            one, turn = base[number % _BASE], number // _BASE
            sides = [(one.source, one.target)]
            if turn:
                other = base[(number * 7919 + turn * 104_729) % _BASE]
                sides.append((other.source, other.target))
            source.write(" ".join(side for side, _ in sides) + "\n")
            target.write(" ".join(side for _, side in sides) + "\n")


def repeat_rows(data: Path, times: int) -> None:
    """Repeat the rows of the training store, and tell the record by which a restart recognises it."""
    if times == 1:
        return
    store = data / "train"
    index = json.loads((store / "index.json").read_text(encoding="utf-8"))
    for name, column in index["columns"].items():
        values = np.fromfile(store / name, dtype=column["type"])
        if name.endswith(".offsets"):
            shifted = [values[1:] + number * values[-1] for number in range(times)]
            values = np.concatenate([values[:1], *shifted])
        else:
            values = np.tile(values, times)
        values.tofile(store / name)
        column["count"] = len(values)
    index["rows"] *= times
    (store / "index.json").write_text(json.dumps(index), encoding="utf-8")
    stamp = json.loads((data / "prepared.json").read_text(encoding="utf-8"))
    stamp["stores"] = states_of(sorted(path for name in ("train", "valid") for path in (data / name).iterdir()))
    (data / "prepared.json").write_text(json.dumps(stamp), encoding="utf-8")


def measure(folder: Path, *, threads: int, sentences: int) -> dict[str, object]:
    if (folder / "run").exists():
        # The files of the first reading are younger than the grain of a time stamp, as those of a user are not.
        measure_once(folder, threads=threads, sentences=sentences)
    return measure_once(folder, threads=threads, sentences=sentences)


def measure_once(folder: Path, *, threads: int, sentences: int) -> dict[str, object]:
    command = [sys.executable, "-c", _MEASURE, str(folder), str(threads), str(sentences)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
