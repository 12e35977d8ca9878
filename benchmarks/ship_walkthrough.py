"""Build the shipped folder of the walkthrough model from its training runs, and measure its quality.

    python benchmarks/ship_walkthrough.py runs/walkthrough runs/walkthrough-2 --output src/pellucid/sample/walkthrough

List the runs in order, each started from the one before with ``--init-from``; their steps are added up. The folder
contains the weights of the last run in float16, the journals, the probes and the recipe, without the paths of the
machine, and the source words of the embedded corpus, so that the page can tell a word that training never had. Its
limit is 8 MB, so it contains no snapshots, only every tenth step of the journal, and only the probes at the steps of
the snapshots. Then the script opens the folder and translates the held-out sentences of the embedded
corpus and its minimal pairs.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

import pellucid
from pellucid.analysis.health import bare_word
from pellucid.bundle import load_bundle, save_bundle
from pellucid.sample.corpus import build_corpus

LARGEST_BYTES = 8_000_000
KEPT_STEPS = 10


def ship(runs: Sequence[Path], output: Path) -> int:
    """Write the folder; return its size in bytes."""
    last = runs[-1]
    bundle = load_bundle(last)
    (output / "probes").mkdir(parents=True)
    steps, seconds = 0, 0.0
    journal: list[str] = []
    for run in runs:
        rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
        kept = [row for row in rows if row.get("kind") != "step" or row["step"] % KEPT_STEPS == 1]
        journal += [json.dumps(row | counted_on(row, steps, seconds), ensure_ascii=False) for row in kept]
        for step in probes_of(run):
            if step or not steps:  # step 0 of a later run equals the last step of the one before
                with np.load(run / "probes" / f"step-{step:08d}.npz", allow_pickle=False) as probe:
                    np.savez_compressed(output / "probes" / f"step-{steps + step:08d}.npz", **probe)
        shutil.copyfile(run / "probes" / "index.json", output / "probes" / "index.json")
        if run != last:
            steps += max(row["step"] for row in rows if "step" in row)
            seconds += max(row["seconds"] for row in rows if "seconds" in row)
    (output / "metrics.jsonl").write_text("\n".join(journal) + "\n", encoding="utf-8")
    recipe = (last / "recipe.toml").read_text(encoding="utf-8")
    (output / "recipe.toml").write_text(without_paths(recipe, runs), encoding="utf-8")
    words = {bare_word(word) for pair in build_corpus(seed=1).train for word in pair.source.split()} - {""}
    (output / "words.txt").write_text("\n".join(sorted(words)) + "\n", encoding="utf-8")
    facts = dict(bundle.description.facts)
    save_bundle(
        output / "model",
        bundle.model,
        tokenizer=bundle.tokenizer,
        card=without_paths((last / "model" / "card.md").read_text(encoding="utf-8"), runs),
        source_language=bundle.description.source_language,
        target_language=bundle.description.target_language,
        translation=bundle.description.translation,
        facts={name: without_paths(fact, runs) if isinstance(fact, str) else fact for name, fact in facts.items()}
        | {"step": int(facts.get("step", 0)) + steps},
        share_of_several_sentences=bundle.description.share_of_several_sentences,
        dtype=torch.float16,
    )
    return sum(path.stat().st_size for path in output.rglob("*") if path.is_file())


def probes_of(run: Path) -> list[int]:
    """Return the steps of the included probes: those of the snapshots, and the last."""
    probes = sorted(int(path.stem.removeprefix("step-")) for path in (run / "probes").glob("step-*.npz"))
    snapshots = {int(path.stem.removeprefix("step-")) for path in (run / "snapshots").glob("step-*.safetensors")}
    return [step for step in probes if step in snapshots or step == probes[-1]]


def counted_on(row: Mapping[str, object], steps: int, seconds: float) -> dict[str, object]:
    """Return the step and the time of a row of a journal, counted from the start of the first run."""
    counted: dict[str, object] = {}
    if isinstance(step := row.get("step"), int):
        counted["step"] = step + steps
    if isinstance(own := row.get("seconds"), float):
        counted["seconds"] = own + seconds
    return counted


def without_paths(text: str, runs: Sequence[Path]) -> str:
    """Replace absolute paths by file names."""
    for number, run in enumerate(runs, start=1):
        text = text.replace(f"{run.resolve()}/", f"runs/walkthrough-{number}/")
    return re.sub(r"/(?:[\w.-]+/)+([\w.-]+)", r"\1", text)


def measure(folder: Path) -> dict[str, float]:
    """Translate the held-out sentences and the minimal pairs of the embedded corpus."""
    translator = pellucid.load(folder, engine="torch")
    corpus = build_corpus(seed=1)

    def found(sentences: list[str]) -> list[str]:
        return [result.text for result in translator.translate(sentences)]

    exact = found([pair.source for pair in corpus.test])
    members = [member for pair in corpus.minimal_pairs for member in (pair.first, pair.second)]
    texts = found([member.source for member in members])
    right = [text == member.target for text, member in zip(texts, members, strict=True)]
    both = [first and second for first, second in zip(right[::2], right[1::2], strict=True)]
    walk = found([pair.source for pair in corpus.walkthrough])
    return {
        "sentences": len(exact),
        "exact_match": sum(a == pair.target for a, pair in zip(exact, corpus.test, strict=True)) / len(exact),
        "minimal_pairs": len(both),
        "minimal_pairs_right": sum(both) / len(both),
        "walkthrough_right": sum(a == pair.target for a, pair in zip(walk, corpus.walkthrough, strict=True)),
    }


def main() -> None:
    """Write the folder, measure it and print the result."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    size = ship(given.runs, given.output)
    print(f"{given.output}: {size:,} bytes")
    if size > LARGEST_BYTES:
        raise SystemExit(f"the folder is too large; limit {LARGEST_BYTES:,} bytes")
    print(json.dumps(measure(given.output), indent=1))


if __name__ == "__main__":
    main()
