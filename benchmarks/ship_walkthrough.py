"""Build the shipped folder of the walkthrough model from its training run, and measure its quality.

    python benchmarks/ship_walkthrough.py runs/walkthrough-tatoeba --data-dir DATA

The folder contains the weights in float16, the journal, the probes and the recipe, without the paths of the machine;
the source words of the training text, so that the page can tell a word that training never had; and the card. Its limit
is 10 MB, so it contains no snapshots, only every tenth step of the journal, and only the probes at the steps of the
snapshots. Then the script translates the held-out sentences of the embedded corpus, its minimal pairs and those of
Tatoeba, and writes the scores to ``measured.json`` and to the card.

``make walkthrough RUN=... DATA_DIR=...`` does this and the rest, whose figures ``walkthrough_figures.py`` collects.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

import pellucid
from pellucid.analysis.health import bare_word
from pellucid.bundle import load_bundle, save_bundle
from pellucid.evaluation.metrics import MetricName, corpus_score
from pellucid.sample.corpus import build_corpus
from pellucid.version import __version__

LARGEST_BYTES = 10_000_000
KEPT_STEPS = 10
FOLDER = Path(pellucid.__file__).parent / "sample" / "walkthrough"


def ship(run: Path, data: Path, output: Path) -> dict[str, Any]:
    """Write the folder whole or not at all; return its scores."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent) as scratch:
        draft = Path(scratch) / "walkthrough"
        draft.mkdir()
        copy_training(run, draft)
        (draft / "words.txt").write_text("\n".join(sorted(source_words(data))) + "\n", encoding="utf-8")
        save_model(run, draft / "model", card="")
        scores = measure(draft, data)
        (draft / "measured.json").write_text(json.dumps({"scores": scores}, indent=1) + "\n", encoding="utf-8")
        save_model(run, draft / "model", card=card_of(run, scores))
        size = size_of(draft)
        if size > LARGEST_BYTES:
            raise SystemExit(f"the folder would have {size:,} bytes; the limit is {LARGEST_BYTES:,}")
        if output.exists():
            shutil.rmtree(output)
        draft.rename(output)
    return scores


def copy_training(run: Path, folder: Path) -> None:
    """Copy what the page shows of the training."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    kept = [row for row in rows if row.get("kind") != "step" or row["step"] % KEPT_STEPS == 1]
    journal = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept)
    (folder / "metrics.jsonl").write_text(without_paths(journal), encoding="utf-8")
    recipe = (run / "recipe.toml").read_text(encoding="utf-8")
    (folder / "recipe.toml").write_text(without_paths(recipe), encoding="utf-8")
    (folder / "probes").mkdir()
    shutil.copyfile(run / "probes" / "index.json", folder / "probes" / "index.json")
    for step in probes_of(run):
        with np.load(run / "probes" / f"step-{step:08d}.npz", allow_pickle=False) as probe:
            np.savez_compressed(folder / "probes" / f"step-{step:08d}.npz", **probe)


def probes_of(run: Path) -> list[int]:
    """Return the steps of the included probes: those of the snapshots, and the last."""
    probes = sorted(int(path.stem.removeprefix("step-")) for path in (run / "probes").glob("step-*.npz"))
    snapshots = {int(path.stem.removeprefix("step-")) for path in (run / "snapshots").glob("step-*.safetensors")}
    return [step for step in probes if step in snapshots or step == probes[-1]]


def source_words(data: Path) -> set[str]:
    """Return the source words of the training text, in small letters and without punctuation around them."""
    sources = [*lines_of(data / "tatoeba-fra" / "train.en"), *(pair.source for pair in build_corpus(seed=1).train)]
    return {bare_word(word) for source in sources for word in source.split()} - {""}


def save_model(run: Path, folder: Path, *, card: str) -> None:
    """Write the weights in float16, the tokenizer and the card."""
    bundle = load_bundle(run)
    facts = dict(bundle.description.facts)
    save_bundle(
        folder,
        bundle.model,
        tokenizer=bundle.tokenizer,
        card=card,
        source_language=bundle.description.source_language,
        target_language=bundle.description.target_language,
        translation=bundle.description.translation,
        facts={name: without_paths(fact) if isinstance(fact, str) else fact for name, fact in facts.items()},
        share_of_several_sentences=bundle.description.share_of_several_sentences,
        dtype=torch.float16,
    )


def without_paths(text: str) -> str:
    """Replace absolute paths by what follows the folder of the data, or by file names."""
    text = re.sub(r"/(?:[\w.-]+/)+((?:tatoeba-|grammar/)[\w./-]+)", r"\1", text)
    return re.sub(r"(?<![\w.>-])/(?:[\w.-]+/)+([\w.-]+)", r"\1", text)


def measure(folder: Path, data: Path) -> dict[str, Any]:
    """Translate the held-out sentences of both sources, and the minimal pairs; torch finds the same translations."""
    translator = pellucid.load(folder, engine="native", precision="fp32")
    corpus = build_corpus(seed=1)

    def found(sentences: list[str]) -> list[str]:
        return [result.text for result in translator.translate(sentences)]

    exact = found([pair.source for pair in corpus.test])
    members = [member for pair in corpus.minimal_pairs for member in (pair.first, pair.second)]
    texts = found([member.source for member in members])
    right = [text == member.target for text, member in zip(texts, members, strict=True)]
    both = [first and second for first, second in zip(right[::2], right[1::2], strict=True)]
    walk = found([pair.source for pair in corpus.walkthrough])
    real, references = (lines_of(data / "tatoeba-fra" / f"test.{code}") for code in ("en", "fr"))
    real_texts = found(real)
    bleu = corpus_score(real_texts, references, target_language="fr", metric=MetricName.BLEU)
    chrf = corpus_score(real_texts, references, target_language="fr", metric=MetricName.CHRF)
    return {
        "grammar": {
            "sentences": len(exact),
            "exact": round(sum(a == pair.target for a, pair in zip(exact, corpus.test, strict=True)) / len(exact), 4),
        },
        "minimal_pairs": {"pairs": len(both), "both_right": round(sum(both) / len(both), 4)},
        "walkthrough": {
            "sentences": len(walk),
            "right": sum(a == pair.target for a, pair in zip(walk, corpus.walkthrough, strict=True)),
        },
        "tatoeba": {
            "sentences": len(real),
            "bleu": round(bleu.value, 2),
            "chrf": round(chrf.value, 2),
            "exact": round(sum(map(str.__eq__, real_texts, references)) / len(real), 4),
            "signature": bleu.signature,
        },
    }


def card_of(run: Path, scores: dict[str, Any]) -> str:
    """Return the card: what it is, its text and licence, the command, scores and limits, and what the run wrote."""
    recipe = without_paths((run / "recipe.toml").read_text(encoding="utf-8"))
    budgets = re.findall(r"^(minutes|train_steps|max_epochs) = (.+)$", recipe, flags=re.MULTILINE)
    budget = " ".join(f"--set training.{name}={value}" for name, value in budgets)
    written = without_paths((run / "model" / "card.md").read_text(encoding="utf-8"))
    grammar, pairs, walk, real = (scores[name] for name in ("grammar", "minimal_pairs", "walkthrough", "tatoeba"))
    of_tatoeba = f"BLEU {real['bleu']:.1f}, chrF {real['chrf']:.1f}, {100 * real['exact']:.1f} % exactly right"
    return f"""# The walkthrough model: English to French

The first model of the page: a Transformer in the shape of the paper (Vaswani et al. 2017), small enough to ship,
trained from nothing with pellucid {__version__}. The weights are stored in float16.

## Text and licence

Everyday sentences of [tatoeba.org](https://tatoeba.org), by way of
[manythings.org/anki](https://www.manythings.org/anki/), French-English (136,674 pairs to train on), CC BY 2.0 FR.
Attribution: tatoeba.org and www.manythings.org/anki, and the contributors named there. To these come the sentences that
pellucid writes itself, as many in every epoch, which hold what the walkthrough shows.

## Command

    pellucid train --recipe recipes/walkthrough-tatoeba.toml --data-dir DATA --output runs/walkthrough-tatoeba \\
        {budget}
    make walkthrough RUN=runs/walkthrough-tatoeba DATA_DIR=DATA

## Scores

With the settings that `pellucid translate` has (beam search), in fp32:

| held-out sentences | number | score |
|---|---|---|
| Tatoeba | {real["sentences"]:,} | {of_tatoeba} |
| the grammar of pellucid | {grammar["sentences"]:,} | {100 * grammar["exact"]:.1f} % exactly right |
| its minimal pairs | {pairs["pairs"]} | {100 * pairs["both_right"]:.2f} % with both sentences right |
| the sentences of the walkthrough | {walk["sentences"]} | {walk["right"]} right |

Signature of BLEU: `{real["signature"]}`.

## Limits

* It is small so that it can be shown whole: it knows short everyday sentences. News, law, science and long sentences
  are outside of what it has learnt.
* It never saw a context beyond one sentence: pronouns, tu or vous, and gender are guesses.
* Sentences of volunteers carry their views and errors. Do not use it where a wrong translation harms somebody.

## Of the run

{written.split(chr(10), 1)[1].replace(chr(10) + "## ", chr(10) + "### ").strip()}
"""


def lines_of(path: Path) -> list[str]:
    """Return the lines of a text file."""
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")


def size_of(folder: Path) -> int:
    """Return the bytes of all files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
    """Write the folder and print its size and scores."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--data-dir", type=Path, required=True, help="with the folder tatoeba-fra")
    parser.add_argument("--output", type=Path, default=FOLDER)
    given = parser.parse_args()
    scores = ship(given.run, given.data_dir, given.output)
    print(f"{given.output}: {size_of(given.output):,} bytes")
    print(json.dumps(scores, indent=1))


if __name__ == "__main__":
    main()
