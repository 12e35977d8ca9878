"""Which heads look from the pronoun, and from the last adjective, at the noun that they speak of; and what matters.

    python benchmarks/walkthrough_heads.py [--model RUN] [--pairs 100] [--ablations 10] [--json FILE]

Over the minimal pairs of the embedded corpus with their gold referents: the two sentences of a pair differ in the last
adjective alone, and so in which of their two nouns "it" stands for. For every head of the encoder this measures, at the
pieces of "it" and at those of the last adjective, the weight that goes to the referent and the weight that goes to the
other noun; for the decoder, where the step that writes the French pronoun looks in the English sentence.

A head that merely looks at nouns, or always at the first noun, is told from one that knows the referent by the
*choice*: the share of sentences in which the referent gets more weight than the other noun. Since each pair has one
sentence of each kind, a head that does not know the referent has a choice of 50 %.

Looking is not using. So every head is also switched off (its context set to zero), one at a time, and what that costs
the log-probability of the right pronoun is measured, in nats.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

import pellucid
from pellucid.sample.corpus import build_corpus
from pellucid.sample.records import MinimalPair, SamplePair
from pellucid.sample.words import split_words
from pellucid.tracing.edits import AblateHead
from pellucid.tracing.record import Trace
from pellucid.tracing.sites import AttentionKind
from pellucid.tracing.words import Word
from pellucid.translation.translator import Translator

PLACES = ("it", "adjective", "pronoun")
COLUMNS = ("referent", "other", "adjective", "it")
Span = tuple[int, int]
Array = np.ndarray


class Measured(NamedTuple):
    """One entry a sentence."""

    looks: list[dict[str, dict[str, Array]]]
    losses: list[dict[str, Array]]


@dataclass(frozen=True)
class Spots:
    """Spans of pieces: rows that look, in the source or the translation, and columns looked at, in the source."""

    rows: Mapping[str, Span]
    columns: Mapping[str, Span]


def spans(words: Sequence[Word], texts: Sequence[str]) -> list[Span]:
    """Return the span of pieces of each word of ``texts``, in order; words and pieces cover the same letters."""
    starts, ends, letters = {}, {}, 0
    for word in words:
        starts[letters] = word.start
        letters += len(word.text.replace(" ", ""))
        ends[letters] = word.end
    found, place = [], 0
    for text in texts:
        first = max(letter for letter in starts if letter <= place)
        place += len(text)
        last = min(letter for letter in ends if letter >= place)
        found.append((starts[first], ends[last]))
    return found


def spots_of(trace: Trace, pair: SamplePair, twin: SamplePair) -> Spots:
    """Find pronoun, adjective, referent and the other noun, which is the referent of the pair's other sentence."""
    own, other = pair.referents[0], twin.referents[0]
    texts = split_words(pair.source)
    source = spans(trace.tokens.source_words, texts)
    target = spans(trace.tokens.target_words, split_words(pair.target))
    adjective = source[max(i for i, word in enumerate(texts) if word.isalpha())]
    it = source[own.source_pronoun]
    return Spots(
        rows={"it": it, "adjective": adjective, "pronoun": target[own.target_pronoun]},
        columns={
            "referent": source[own.source_antecedent],
            "other": source[other.source_antecedent],
            "adjective": adjective,
            "it": it,
        },
    )


def looked(weights: Array, rows: Span, columns: Span) -> Array:
    """Return for each head the weight [heads] from ``rows``, on average, to ``columns`` together."""
    total: Array = weights[:, rows[0] : rows[1], columns[0] : columns[1]].sum(-1).mean(-1)
    return total


def looks(trace: Trace, spots: Spots, depth: Mapping[str, int]) -> dict[str, dict[str, Array]]:
    """Return {row: {column: weights [layers, heads]}}."""
    found: dict[str, dict[str, Array]] = {}
    for place in PLACES:
        kind = AttentionKind.CROSS if place == "pronoun" else AttentionKind.ENCODER
        stack = [trace[f"{kind.at(layer)}.weights"] for layer in range(depth[kind])]
        found[place] = {
            name: np.stack([looked(weights, spots.rows[place], columns) for weights in stack])
            for name, columns in spots.columns.items()
        }
    return found


def losses(translator: Translator, pair: SamplePair, row: int, depth: Mapping[str, int]) -> dict[str, Array]:
    """Return by kind what switching a head off costs the piece that ``row`` predicts, in nats, [layers, heads]."""

    def chance(*edits: AblateHead) -> float:
        trace = pellucid.trace(translator, pair.source, target=pair.target, edits=edits, level="tokens")
        assert trace.predictions is not None
        return float(trace.predictions.target_log_probability[row])

    whole, heads = chance(), translator.model.config.num_heads
    return {
        kind: np.array([[whole - chance(AblateHead(kind, layer, h)) for h in range(heads)] for layer in range(deep)])
        for kind, deep in depth.items()
    }


def measure(translator: Translator, pairs: Sequence[MinimalPair], *, ablations: int) -> Measured:
    """Look at every sentence that is translated right; switch heads off in those of the first ``ablations`` pairs."""
    members = [(own, twin) for pair in pairs for own, twin in ((pair.first, pair.second), (pair.second, pair.first))]
    found = translator.translate([own.source for own, _ in members])
    config = translator.model.config
    depth = {
        str(AttentionKind.ENCODER): config.num_encoder_layers,
        str(AttentionKind.DECODER): config.num_decoder_layers,
        str(AttentionKind.CROSS): config.num_decoder_layers,
    }
    measured = Measured([], [])
    for number, ((own, twin), result) in enumerate(zip(members, found, strict=True)):
        if result.text != own.target:
            continue
        trace = pellucid.trace(translator, own.source, target=own.target, level="attention")
        spots = spots_of(trace, own, twin)
        measured.looks.append(looks(trace, spots, depth))
        if number < 2 * ablations:
            measured.losses.append(losses(translator, own, spots.rows["pronoun"][0], depth))
    return measured


def told_looks(rows: Sequence[Mapping[str, Mapping[str, Array]]]) -> dict[str, list[dict[str, float]]]:
    """Return for each place every head with its mean weights and its choice, the most telling first."""
    told: dict[str, list[dict[str, float]]] = {}
    for place in PLACES:
        weights = {name: np.stack([row[place][name] for row in rows]) for name in COLUMNS}
        choice = (weights["referent"] > weights["other"]).mean(0)
        heads = [
            {"layer": layer, "head": head}
            | {name: round(float(values[:, layer, head].mean()), 4) for name, values in weights.items()}
            | {"choice": round(float(choice[layer, head]), 4)}
            for layer, head in np.ndindex(*choice.shape)
        ]
        told[place] = sorted(heads, key=lambda row: -abs(row["choice"] - 0.5))
    return told


def told_losses(rows: Sequence[Mapping[str, Array]]) -> list[dict[str, float | str]]:
    """Return every head with what it costs the pronoun to lose it, the dearest first."""
    told: list[dict[str, float | str]] = []
    for kind in rows[0] if rows else ():
        values = np.stack([row[kind] for row in rows])
        for layer, head in np.ndindex(*values.shape[1:]):
            own = values[:, layer, head]
            told.append(
                {"kind": kind, "layer": layer, "head": head, "mean": round(float(own.mean()), 4)}
                | {"largest": round(float(own.max()), 4), "overturned": round(float((own > np.log(2)).mean()), 4)}
            )
    return sorted(told, key=lambda row: -float(row["mean"]))


def main() -> None:
    """Measure and print the heads that tell the most."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, default=Path(pellucid.__file__).parent / "sample" / "walkthrough")
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--ablations", type=int, default=10)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    translator = pellucid.load(given.model)
    found = measure(translator, build_corpus(seed=1).minimal_pairs[: given.pairs], ablations=given.ablations)
    told, lost = told_looks(found.looks), told_losses(found.losses)
    print(f"{len(found.looks)} of {2 * given.pairs} sentences are translated exactly right, and measured")
    for place, heads in told.items():
        print(f"\nfrom {place}: how often the referent gets more than the other noun, and the mean weights")
        for row in heads[:8]:
            weights = "  ".join(f"{name} {row[name]:.3f}" for name in COLUMNS)
            print(f"  layer {row['layer']:.0f} head {row['head']:.0f}  choice {row['choice']:.0%}  {weights}")
    print(f"\nheads switched off in {len(found.losses)} sentences: nats that the right pronoun loses")
    for loss in lost[:12]:
        print(f"  {loss['kind']} layer {loss['layer']} head {loss['head']}: {loss['mean']} (at most {loss['largest']})")
    if given.json:
        record = {"sentences": len(found.looks), "looks": told, "ablated": len(found.losses), "losses": lost}
        given.json.write_text(json.dumps(record, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
