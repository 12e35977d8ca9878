"""Measure which heads of the walkthrough model align words, against the links that its grammar knows.

    python benchmarks/alignment_heads.py --json benchmarks/results/alignment_heads.json

The grammar of the embedded corpus writes both sides of a sentence at once, so it knows which word comes from which. The
heads are chosen on the validation sentences and scored on the test sentences; neither was trained on. As a judge of the
judge, the statistical aligner that ``pellucid align --choose`` uses without known links (trained on 5,000 training
pairs and the measured ones) is scored too, and what would have been chosen by its links. ``--write`` names the chosen
heads in the model folder.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

import pellucid
from pellucid.bundle import find_model_folder
from pellucid.sample.corpus import build_corpus
from pellucid.sample.records import SamplePair
from pellucid.sample.words import split_words
from pellucid.text.tokenizer import Tokenizer
from pellucid.translation.alignment.choosing import KnownPair, Scored, error_rate, scored_heads
from pellucid.translation.alignment.heads import name_heads
from pellucid.translation.alignment.links import Span
from pellucid.translation.alignment.statistics import aligned_by_counts
from pellucid.translation.alignment.words import merge_words

BATCH_SIZE = 4096


def spans(pieces: Sequence[str], words: Sequence[str]) -> list[Span]:
    """Return the pieces of each word; words and pieces cover the same letters."""
    merged = merge_words(pieces, is_special=[False] * len(pieces))
    starts, ends, letters = {}, {}, 0
    for word in merged:
        starts[letters] = word.start
        letters += len(word.text.replace(" ", ""))
        ends[letters] = word.end
    found, place = [], 0
    for text in words:
        first = max(letter for letter in starts if letter <= place)
        place += len(text)
        found.append((starts[first], ends[min(letter for letter in ends if letter >= place)]))
    return found


def known(tokenizer: Tokenizer, pair: SamplePair) -> KnownPair:
    """Return a pair of the grammar in pieces."""
    (source,), (target,) = tokenizer.encode_source([pair.source]), tokenizer.encode_target([pair.target])
    return KnownPair(
        source,
        target,
        spans(tokenizer.source_pieces(source), split_words(pair.source)),
        spans(tokenizer.target_pieces(target), split_words(pair.target)),
        pair.links,
    )


def told(scored: Scored) -> dict[str, str | float]:
    """Return a row of the table."""
    numbers = {"precision": scored.precision, "recall": scored.recall, "error_rate": scored.error_rate}
    row: dict[str, str | float] = {"heads": scored.heads.name, "step": scored.heads.step.value}
    return row | {name: round(value, 4) for name, value in numbers.items()}


def main() -> None:
    """Measure, print and, where asked, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, default=Path(pellucid.__file__).parent / "sample" / "walkthrough")
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    translator = pellucid.load(given.model)
    corpus = build_corpus(seed=1)
    valid, test = corpus.valid[: given.pairs], corpus.test[: given.pairs]
    on_valid = scored_heads(translator.model, [known(translator.tokenizer, p) for p in valid], batch_size=BATCH_SIZE)
    tested = scored_heads(translator.model, [known(translator.tokenizer, p) for p in test], batch_size=BATCH_SIZE)
    best = next(one for one in tested if one.heads == on_valid[0].heads)
    texts = [(split_words(p.source), split_words(p.target)) for p in (*test, *valid, *corpus.train[:5000])]
    counted = aligned_by_counts(texts)
    of_counts = error_rate(counted[: len(test)], [pair.links for pair in test])
    by_counts = scored_heads(
        translator.model,
        [
            replace(known(translator.tokenizer, p), links=links)
            for p, links in zip(valid, counted[len(test) :], strict=False)
        ],
        batch_size=BATCH_SIZE,
    )
    record = {
        "pairs": len(test),
        "chosen": told(best),
        "chosen_by_the_statistical_aligner": told(next(one for one in tested if one.heads == by_counts[0].heads)),
        "statistical_aligner": dict(zip(("precision", "recall", "error_rate"), map(float, of_counts), strict=True)),
        "best_of_each_kind": {
            f"{kind}, {step}": told(
                next(
                    one
                    for one in tested
                    if one.heads.step == step and (len(one.heads.heads) == 1) == (kind == "one head")
                )
            )
            for kind in ("one head", "a layer's mean")
            for step in ("writes", "reads")
        },
        "all": [told(one) for one in tested],
    }
    print(json.dumps({name: value for name, value in record.items() if name != "all"}, indent=1))
    if given.json:
        given.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if given.write:
        measured_on = f"{len(test):,} test pairs of the embedded corpus, against the links of its grammar"
        name_heads(find_model_folder(given.model), best.heads, error_rate=best.error_rate, measured_on=measured_on)


if __name__ == "__main__":
    main()
