"""Find the heads that attend from the pronoun or the last adjective to the right noun, and measure their effect.

    python benchmarks/walkthrough_heads.py [--model RUN] [--pairs 100] [--ablations 10] [--json FILE]

It uses the minimal pairs of the embedded corpus with their gold referents: the two sentences of a pair differ only in
the last adjective, and therefore in which of their two nouns "it" means. For every head of the encoder it measures, at
the pieces of "it" and of the last adjective, the attention weight of the referent and of the other noun. For the
cross-attention of the decoder it measures the same at the step that predicts the French pronoun.

The *choice* of a head is the share of sentences in which the referent gets more weight than the other noun. Since each
pair has one sentence of each kind, a head that attends to both nouns, or always to the first, has a choice of 50 %.

Attention does not prove an effect. So each head is also switched off (its context set to zero), one at a time, and the
loss of log-probability of the right pronoun is measured, in nats.
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
from pellucid.translation.alignment.words import Word
from pellucid.translation.translator import Translator

PLACES = ("it", "adjective", "pronoun")
COLUMNS = ("referent", "other", "adjective", "it")
Span = tuple[int, int]
Array = np.ndarray


class Measured(NamedTuple):
    """One entry per sentence."""

    looks: list[dict[str, dict[str, Array]]]
    losses: list[dict[str, Array]]


@dataclass(frozen=True)
class Spots:
    """Spans of pieces: attending rows, in the source or the translation, and attended columns, in the source."""

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
    """Find the pronoun, the adjective, the referent and the other noun: the referent of the other sentence."""
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
    """Return the mean weight [heads] from a piece of ``rows`` to all of ``columns``."""
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
    """Return by kind the loss of the piece that ``row`` predicts without each head, in nats, [layers, heads]."""

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
    """Measure all correctly translated sentences; switch heads off in those of the first ``ablations`` pairs."""
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
    """Return for each place every head with its mean weights and its choice, those farthest from 50 % first."""
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
    """Return the effect of each head on the pronoun, the largest first."""
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
    """Measure the heads and print those with the largest values."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, default=Path(pellucid.__file__).parent / "sample" / "walkthrough")
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--ablations", type=int, default=10)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    translator = pellucid.load(given.model, engine="torch")
    found = measure(translator, build_corpus(seed=1).minimal_pairs[: given.pairs], ablations=given.ablations)
    told, lost = told_looks(found.looks), told_losses(found.losses)
    print(f"{len(found.looks)} of {2 * given.pairs} sentences are translated correctly and measured")
    for place, heads in told.items():
        print(f"\nfrom {place}: share of sentences in which the referent gets the larger weight, and mean weights")
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
