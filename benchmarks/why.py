"""Measure the attribution methods on the walkthrough model: which to believe, and which names the noun behind "il".

    python benchmarks/why.py [--pairs 25] [--sentences 12] [--aligned 100] [--json benchmarks/results/why.json]

1. Faithfulness: what every step of test sentences loses as the source pieces that a method ranks first are hidden.
2. The noun: on the minimal pairs with gold referents, at the step that writes il or elle, each method explains why this
   pronoun and not the other. Two shares of sentences: in which the referent has a larger part than the other noun (a
   method that always names the first noun, or both alike, has 50 %), and in which a word is the one with the largest
   part of all source words, by the role of the word.
3. Heads: what the same difference of logits loses if one head is off, for every head of the model; ``choice`` is the
   share of sentences in which the loss is more than 0, ``overturned`` that in which the other pronoun wins.
4. Alignment: error rates of the links by the parts of each method, beside those by the heads that the model folder
   names, against the links of the grammar, on test pairs.

Integrated gradients take 64 points, whatever their error; the errors are not in the results.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import starmap
from pathlib import Path

import numpy as np
import torch
from alignment_heads import known
from walkthrough_heads import Spots, spots_of

import pellucid
from pellucid.analysis.attribution.faithfulness import faithfulness
from pellucid.analysis.attribution.methods import question_of
from pellucid.analysis.attribution.record import Attribution, Method
from pellucid.analysis.head_effects import head_effects, heads_of
from pellucid.jobs.surface import Trace
from pellucid.sample.corpus import build_corpus
from pellucid.sample.records import MinimalPair, SamplePair
from pellucid.translation.alignment.attention import mean_of_heads
from pellucid.translation.alignment.choosing import error_rate
from pellucid.translation.alignment.heads import heads_of_origin
from pellucid.translation.alignment.links import links_of, word_weights
from pellucid.translation.translator import Translator

POINTS = 64
# ALTI+ itself is the same for every piece; without a comparison it says where the state comes from.
COMPARING = [method for method in Method if method is not Method.ALTI]


def asked(trace: Trace, method: Method, **question: object) -> Attribution:
    """Return an attribution with the points of this benchmark."""
    points = {"points": POINTS} if method is Method.INTEGRATED_GRADIENTS else {}
    return trace.attribute(method=method, **question, **points)


def role_of(word_start: int, spots: Spots) -> str:
    """Return which of the marked words begins at a source piece."""
    return next((name for name, span in spots.columns.items() if span[0] <= word_start < span[1]), "another")


def nouns(translator: Translator, pairs: Sequence[MinimalPair]) -> tuple[dict[str, object], list[dict[str, object]]]:
    """Return what each method names, and what each head is worth for the pronoun."""
    members = [(own, twin) for pair in pairs for own, twin in ((pair.first, pair.second), (pair.second, pair.first))]
    found = translator.translate([own.source for own, _ in members])
    named: dict[Method, list[tuple[bool, str]]] = {method: [] for method in Method}
    losses: list[np.ndarray] = []
    margins: list[float] = []
    for (own, twin), result in zip(members, found, strict=True):
        if result.text != own.target:
            continue
        trace = pellucid.trace(translator, own.source, target=own.target, level="tokens")
        spots = spots_of(trace, own, twin)
        step = spots.rows["pronoun"][1] - 1
        against = {"il": "elle", "elle": "il"}[trace.tokens.predicted_pieces[step].removeprefix("\u2581")]
        for method in Method:
            made = asked(trace, method, step=step, **({"against": against} if method in COMPARING else {}))
            parts = {name: made.source[0, slice(*span)].sum() for name, span in spots.columns.items()}
            words = [word for word in made.ranked(step, words=True) if word.side == "source"]
            named[method].append((parts["referent"] > parts["other"], role_of(words[0].position, spots)))
        margins.append(float(made.score[0]))
        losses.append(head_effects(turned(trace, step, against))[:, step] - head_effects(trace)[:, step])
    return {
        "sentences": len(margins),
        "methods": {
            method: {
                "referent_over_other": round(float(np.mean([right for right, _ in rows])), 4),
                "largest_word": {
                    role: round(count / len(rows), 4) for role, count in Counter(role for _, role in rows).most_common()
                },
            }
            for method, rows in named.items()
        },
    }, heads_told(translator, np.stack(losses), np.array(margins))


def turned(trace: Trace, step: int, against: str) -> Trace:
    """Return the trace with the other pronoun as the piece that a step writes; what the decoder is fed stays."""
    ids = list(trace.tokens.predicted_ids)
    ids[step] = question_of(trace, step=step, against=against).against_id or 0
    return replace(trace, tokens=replace(trace.tokens, predicted_ids=tuple(ids)))


def heads_told(translator: Translator, losses: np.ndarray, margins: np.ndarray) -> list[dict[str, object]]:
    """Return all heads, those with the largest mean loss first; ``losses`` are [sentences, heads]."""
    rows: list[dict[str, object]] = []
    for edit, own in zip(heads_of(translator.model.config), losses.T, strict=True):
        numbers = {
            "mean": own.mean(),
            "largest": own.max(),
            "choice": (own > 0).mean(),
            "overturned": (own > margins).mean(),
        }
        row = {"attention": edit.kind.short, "layer": edit.layer, "head": edit.head}
        rows.append(row | {name: round(float(number), 4) for name, number in numbers.items()})
    return sorted(rows, key=lambda row: -float(str(row["mean"])))


def aligned(translator: Translator, pairs: Sequence[SamplePair]) -> dict[str, dict[str, float]]:
    """Return precision, recall and error rate of the links by each method, and by the heads of the folder."""
    gold = [known(translator.tokenizer, pair) for pair in pairs]
    eos = translator.tokenizer.specials.eos
    ids = [([*one.source_ids, eos], list(one.target_ids)) for one in gold]
    heads = heads_of_origin(translator.origin)
    weights = {"heads of the model folder": dict(mean_of_heads(translator.model, ids, heads=heads, batch_size=4096))}
    traces = [pellucid.trace(translator, pair.source, target=pair.target, level="tokens") for pair in pairs]
    for method in (one for one in Method if one is not Method.INTEGRATED_GRADIENTS):
        weights[method] = {
            place: trace.attribute(method=method).source[:-1].astype(np.float32) for place, trace in enumerate(traces)
        }

    def links(place: int, parts: np.ndarray) -> tuple[tuple[int, int], ...]:
        one = gold[place]
        within = parts[:, : len(one.source_ids)]
        return links_of(word_weights(within, source=one.source_words, target=one.target_words))

    told = {}
    for name, rows in weights.items():
        numbers = error_rate(list(starmap(links, sorted(rows.items()))), [one.links for one in gold])
        told[str(name)] = dict(zip(("precision", "recall", "error_rate"), (round(n, 4) for n in numbers), strict=True))
    return told


def main() -> None:
    """Measure, print and, where asked, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, default=Path(pellucid.__file__).parent / "sample" / "walkthrough")
    parser.add_argument("--pairs", type=int, default=25)
    parser.add_argument("--sentences", type=int, default=12)
    parser.add_argument("--aligned", type=int, default=100)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    translator = pellucid.load(given.model, engine="torch", threads=1)
    corpus = build_corpus(seed=1)
    named, heads = nouns(translator, corpus.minimal_pairs[: given.pairs])
    print(json.dumps(named, indent=1))
    for row in heads[:8]:
        print(row)
    links = aligned(translator, corpus.test[: given.aligned])
    print(json.dumps(links, indent=1))
    texts = [pair.source for pair in corpus.test[: given.sentences]]
    traces = [pellucid.trace(translator, text, level="tokens") for text in texts]
    curve = faithfulness(traces, points=POINTS)
    print(curve.to_text())
    record = {
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "pellucid": pellucid.__version__},
        "points_of_integrated_gradients": POINTS,
        "nouns": named,
        "heads_off": heads,
        "aligned_pairs": given.aligned,
        "alignment": links,
        "faithfulness": {
            "sentences": curve.traces,
            "steps": curve.steps,
            "hidden": curve.counts,
            "nats": dict(zip(map(str, curve.methods), curve.losses.round(4).tolist(), strict=True)),
            "standard_errors": dict(zip(map(str, curve.methods), curve.standard_errors.round(4).tolist(), strict=True)),
        },
    }
    if given.json:
        given.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
