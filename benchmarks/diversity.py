"""Measure how much the translations of an n-best list differ, and what that costs, with the shipped model.

    python benchmarks/diversity.py --sentences 200 --output benchmarks/results/diversity.json

Sentences of the demo's grammar, 5 translations each. For every way to search: the mean BLEU between two translations of
one list (lower: they differ more), the share of different words and pairs of words among all of a list (higher: they
differ more), the mean score and BLEU of the best translation, and BLEU of the one of a list that is nearest to the
reference.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from importlib.resources import as_file, files
from itertools import permutations
from pathlib import Path
from statistics import mean

import sacrebleu

import pellucid
from pellucid.sample import SamplePair, build_corpus, split_words
from pellucid.translation.translator import Translator

N_BEST = 5
WAYS: dict[str, dict[str, object]] = {
    "beam 5": {"beam_size": 5},
    "beam 10": {"beam_size": 10},
    "beam 10 in 5 groups, 0.5": {"beam_size": 10, "num_beam_groups": 5, "diversity_penalty": 0.5},
    "beam 10 in 5 groups, 1.0": {"beam_size": 10, "num_beam_groups": 5, "diversity_penalty": 1.0},
    "beam 10 in 5 groups, 2.0": {"beam_size": 10, "num_beam_groups": 5, "diversity_penalty": 2.0},
    "beam 5 in 5 groups, 1.0": {"beam_size": 5, "num_beam_groups": 5, "diversity_penalty": 1.0},
}


def distinct(lists: Sequence[Sequence[str]], size: int) -> float:
    """Return the mean share of different n-grams of words among all of a list."""
    shares = []
    for texts in lists:
        rows = [split_words(text) for text in texts]
        grams = [tuple(row[i : i + size]) for row in rows for i in range(len(row) - size + 1)]
        shares.append(len(set(grams)) / max(len(grams), 1))
    return round(mean(shares), 3)


def measure(translator: Translator, pairs: Sequence[SamplePair], settings: dict[str, object]) -> dict[str, float]:
    """Translate in one way and compare what comes out."""
    started = time.process_time()
    found = translator.translate([pair.source for pair in pairs], n_best=N_BEST, **settings)
    seconds = time.process_time() - started
    lists = [[h.text for h in one.alternatives] for one in found]
    two = [both for texts in lists for both in permutations(texts, 2)]
    references = [pair.target for pair in pairs]
    nearest = [
        max(texts, key=lambda text: sacrebleu.sentence_bleu(text, [target]).score)
        for texts, target in zip(lists, references, strict=True)
    ]
    return {
        "bleu_between": round(mean(sacrebleu.sentence_bleu(one, [other]).score for one, other in two), 1),
        "distinct_1": distinct(lists, 1),
        "distinct_2": distinct(lists, 2),
        "texts_in_a_list": round(mean(len(set(texts)) for texts in lists), 2),
        "score_of_best": round(mean(one.score for one in found), 4),
        "bleu_of_best": round(sacrebleu.corpus_bleu([one.text for one in found], [references]).score, 2),
        "bleu_of_nearest": round(sacrebleu.corpus_bleu(nearest, [references]).score, 2),
        "processor_seconds": round(seconds, 1),
    }


def main() -> None:
    """Measure every way and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=200)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    pairs = build_corpus(seed=1, train_size=20_000, valid_size=500, test_size=2000).test[: given.sentences]
    results: dict[str, object] = {"sentences": len(pairs), "n_best": N_BEST}
    with as_file(files("pellucid") / "sample" / "walkthrough" / "model") as folder:
        translator = pellucid.load(folder, device="cpu", engine="torch")
        for name, settings in WAYS.items():
            results[name] = measure(translator, pairs, settings)
            print(name, json.dumps(results[name]), flush=True)
    if given.output:
        given.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
