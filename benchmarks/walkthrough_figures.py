"""Collect the measured figures of the walkthrough model for the page, the tests and the documentation.

    python benchmarks/walkthrough_figures.py

It reads what the other scripts measured on the model that ships: the scores in its ``measured.json``
(``ship_walkthrough.py``) and ``walkthrough_heads.json``, ``alignment_heads.json`` and ``why.json`` in
``benchmarks/results``. It writes two things: ``measured.json`` with ``story``, the figures that the tour of the page
tells, some of which are read here from the traces of the two sentences, and ``why``, what the methods of attribution
were worth; and ``docs/reference/walkthrough_model.md``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pellucid
from pellucid.tracing.provenance import weights_sha256
from pellucid.translation.alignment.words import Word
from pellucid.translation.translator import Translator

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
FOLDER = ROOT / "src" / "pellucid" / "sample" / "walkthrough"
PAGE = ROOT / "docs" / "reference" / "walkthrough_model.md"
TIRED, WIDE = (f"The animal didn't cross the street because it was too {word}." for word in ("tired", "wide"))
MEASURES = ("walkthrough_heads", "alignment_heads", "why")
METHODS = ("alti_logit", "value_zeroing")
"""The methods whose figures the tour tells."""

Row = Mapping[str, Any]


def results() -> dict[str, Any]:
    """Return what the other scripts measured."""
    return {name: json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")) for name in MEASURES}


def story(translator: Translator, measured: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of the tour: whole numbers and shares that hold for the model that is measured."""
    looks, why = measured["walkthrough_heads"]["looks"], measured["why"]
    it = max(looks["it"], key=lambda row: row["choice"])
    adjective = max(looks["adjective"], key=lambda row: row["referent"] - row["other"])
    writer = next(row for row in why["heads_off"] if row["attention"] == "cross")
    tired, wide = (pellucid.trace(translator, text, level="attention") for text in (TIRED, WIDE))
    places = {
        "tired": (tired, f"decoder.{writer['layer']}.cross_attention", writer["head"], pronoun_rows(tired)),
        "wide": (wide, f"decoder.{writer['layer']}.cross_attention", writer["head"], pronoun_rows(wide)),
        "brought": (
            wide,
            f"encoder.{adjective['layer']}.self_attention",
            adjective["head"],
            rows_of(wide.tokens.source_words, "wide"),
        ),
    }
    return {
        "sentences": measured["walkthrough_heads"]["sentences"],
        "it": {name: it[name] for name in ("layer", "head", "choice")},
        "adjective": {name: adjective[name] for name in ("layer", "head", "referent", "other", "choice")},
        "switched_off": why["nouns"]["sentences"],
        "writer": {name: writer[name] for name in ("layer", "head", "mean", "overturned")},
        "most_overturned": max(row["overturned"] for row in why["heads_off"]),
        "methods": {
            name: {
                "noun_over_other": why["nouns"]["methods"][name]["referent_over_other"],
                "noun_largest": why["nouns"]["methods"][name]["largest_word"].get("referent", 0.0),
            }
            for name in METHODS
        },
    } | {name: most_looked_at(*place) for name, place in places.items()}


def pronoun_rows(trace: pellucid.Trace) -> list[int]:
    """Return the step that writes il or elle."""
    return [row for row, piece in enumerate(trace.tokens.predicted_pieces) if piece.strip("\u2581") in ("il", "elle")]


def rows_of(words: Iterable[Word], text: str) -> list[int]:
    """Return the pieces of a word."""
    (word,) = (word for word in words if word.text == text)
    return list(range(word.start, word.end))


def most_looked_at(trace: pellucid.Trace, place: str, head: int, rows: Sequence[int]) -> dict[str, Any]:
    """Return the source word that a head gives the largest weight from some rows, on average, and that weight."""
    weights = trace[f"{place}.weights"][head, rows].mean(0)
    shares = {word.text: float(weights[word.start : word.end].sum()) for word in trace.tokens.source_words}
    shares["</s>"] = float(weights[-1])
    word = max(shares, key=shares.__getitem__)
    return {"word": word, "weight": round(shares[word], 3)}


def methods(measured: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the page says of the methods of attribution."""
    return {name: value for name, value in measured["why"].items() if name not in ("versions", "heads_off")}


def percent(share: float, digits: int = 0) -> str:
    """Return a share of 1 in percent."""
    return f"{100 * share:.{digits}f} %"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def scores_table(scores: Row) -> str:
    """Return the table of the scores."""
    real, pairs, walk = scores["tatoeba"], scores["minimal_pairs"], scores["walkthrough"]
    return table(
        ["held-out sentences", "number", "score"],
        [
            [
                "Tatoeba",
                f"{real['sentences']:,}",
                f"BLEU {real['bleu']:.1f}, chrF {real['chrf']:.1f}, {percent(real['exact'], 1)} exactly right",
            ],
            [
                "the grammar of the embedded corpus",
                f"{scores['grammar']['sentences']:,}",
                f"{percent(scores['grammar']['exact'], 1)} exactly right",
            ],
            ["its minimal pairs", pairs["pairs"], f"{percent(pairs['both_right'], 2)} with both sentences right"],
            ["the sentences of the walkthrough", walk["sentences"], f"{walk['right']} right"],
        ],
    )


def looks_table(looks: Mapping[str, Sequence[Row]]) -> str:
    """Return the most informative heads for each place from which they look."""
    names = {
        "it": '"it", in the encoder',
        "adjective": "the last adjective, in the encoder",
        "pronoun": "the step that writes the pronoun, in cross-attention",
    }
    rows = []
    for place, name in names.items():
        best = sorted(looks[place], key=lambda row: -row["choice"])[:2]
        for row in best:
            head = f"layer {row['layer']} head {row['head']}"
            weights = [f"{row[column]:.3f}" for column in ("referent", "other")]
            rows.append([name if row is best[0] else "", head, *weights, percent(row["choice"])])
    return table(["looking from", "head", "weight on the noun meant", "on the other noun", "noun meant favoured"], rows)


def nouns_table(methods: Mapping[str, Row]) -> str:
    """Return what each method of attribution names."""
    return table(
        ["method", "noun over other noun", "largest: the noun", "the adjective", '"it"'],
        [
            [
                f"`{name}`",
                percent(one["referent_over_other"]),
                *(percent(one["largest_word"].get(role, 0)) for role in ("referent", "adjective", "it")),
            ]
            for name, one in methods.items()
        ],
    )


def heads_table(rows: Sequence[Row]) -> str:
    """Return the heads without which the pronoun loses most."""
    names = {"cross": "cross-attention", "encoder": "encoder", "decoder": "decoder"}
    return table(
        ["head off", "mean loss", "largest loss", "loses in", "the other pronoun wins in"],
        [
            [
                f"{names[row['attention']]}, layer {row['layer']} head {row['head']}",
                f"{row['mean']:.2f}",
                f"{row['largest']:.2f}",
                percent(row["choice"]),
                percent(row["overturned"]),
            ]
            for row in rows[:5]
        ],
    )


def curve_table(faithfulness: Row) -> str:
    """Return what steps lose as the pieces that a method ranks first are hidden."""
    return table(
        ["order", *map(str, faithfulness["hidden"])],
        [
            ["random order" if name == "random" else f"`{name}`", *(f"{value:.2f}" for value in values)]
            for name, values in faithfulness["nats"].items()
        ],
    )


def aligners_table(measured: Mapping[str, Any]) -> str:
    """Return the error rates of heads and of attributions."""
    heads, keys = measured["alignment_heads"], ("error_rate", "precision", "recall")

    def row(name: str, one: Row) -> list[str]:
        return [name, *(f"{one[key]:.3f}" for key in keys)]

    chosen, pairs = heads["chosen"], f"{heads['pairs']:,} pairs"
    rows = [row(f"heads {chosen['heads']}, the step that {chosen['step']}: named by the folder ({pairs})", chosen)]
    rows += [row(f"best of {kind} ({pairs})", one) for kind, one in heads["best_of_each_kind"].items()]
    rows.append(row(f"statistical aligner ({pairs})", heads["statistical_aligner"]))
    why = measured["why"]
    rows += [
        row(f"{name if name.startswith('heads') else f'`{name}`'} ({why['aligned_pairs']} pairs)", one)
        for name, one in why["alignment"].items()
    ]
    return table(["weights", "error rate", "precision", "recall"], rows)


def every_head_table(rows: Sequence[Row]) -> str:
    """Return the error rates of every head and of the mean of every layer, by the step that writes."""
    rates = {row["heads"]: row["error_rate"] for row in rows if row["step"] == "writes"}
    layers, heads = (1 + max(int(name.split(".")[i]) for name in rates if " " not in name) for i in (0, 1))
    names = [[f"{layer}.{head}" for head in range(heads)] for layer in range(layers)]
    return table(
        ["layer", *(f"head {head}" for head in range(heads)), "mean of all"],
        [
            [layer, *(f"{rates[name]:.2f}" for name in own), f"{rates[' '.join(own)]:.2f}"]
            for layer, own in enumerate(names)
        ],
    )


def page_of(scores: Row, measured: Mapping[str, Any]) -> str:
    """Return the page of the documentation."""
    heads, why = measured["walkthrough_heads"], measured["why"]
    sentences, curve = why["nouns"]["sentences"], why["faithfulness"]
    errors = [error for row in curve["standard_errors"].values() for error in row]
    hidden = ", ".join(map(str, curve["hidden"]))
    return f"""# The walkthrough model, measured

The model that `pellucid serve` shows first ([its card](../../src/pellucid/sample/walkthrough/model/card.md)). Every
figure of this page was measured on the weights that ship: `make walkthrough` measures them and writes this page
(`benchmarks/walkthrough_figures.py`). [Look inside](../guides/looking_inside.md) says how to read them.

## Scores

{scores_table(scores)}

Signature of BLEU: `{scores["tatoeba"]["signature"]}`.

## Where heads look

The minimal pairs of [the embedded corpus](../concepts/sample_grammar.md) have known referents: in each pair, "it"
stands for one noun in the first sentence and for the other in the second. Of the 200 sentences of 100 pairs the model
translates {heads["sentences"]} exactly right, and these were measured (`benchmarks/walkthrough_heads.py`). A head that
does not know the referent favours it in 50 % of the sentences. The two heads that favour it most:

{looks_table(heads["looks"])}

## What each head does to the pronoun

Attention weights prove nothing by themselves, so every head was switched off, one at a time, in {sentences}
sentences of these pairs (`benchmarks/why.py`). The loss is what the right pronoun loses of its lead over the other
one, as a difference of logits. The largest means:

{heads_table(why["heads_off"])}

## Which method names the noun

Why *il* and not *elle*, or the reverse, in the same {sentences} sentences: how often the noun that
"it" means has a larger part than the other noun, and how often the noun, the adjective that decides, or "it" has the
largest part of all source words. `alti` explains the state, since it cannot compare.
[Why this word](../guides/why_this_word.md) explains the methods.

{nouns_table(why["nouns"]["methods"])}

## Which method to believe

Nats of log-probability that a step loses as {hidden} source pieces are hidden, those first that
a method ranks first: {curve["sentences"]} test sentences, {curve["steps"]} steps; standard errors are up to
{max(errors):.2f}. Integrated gradients had {why["points_of_integrated_gradients"]} points.

{curve_table(curve)}

## Word alignment

Error rates on test pairs, against the links that the grammar of the embedded corpus knows
(`benchmarks/alignment_heads.py`, `benchmarks/why.py`); the statistical aligner reads no known links.

{aligners_table(measured)}

The error rate of every head of cross-attention, and of the mean of the heads of each layer, for links of the step that
writes a word ({measured["alignment_heads"]["pairs"]:,} pairs):

{every_head_table(measured["alignment_heads"]["all"])}
"""


def main() -> None:
    """Write the figures and the page."""
    path = FOLDER / "measured.json"
    scores, measured = json.loads(path.read_text(encoding="utf-8"))["scores"], results()
    translator = pellucid.load(FOLDER, engine="torch", threads=1)
    told = story(translator, measured)
    table = {
        "scores": scores,
        "story": told,
        "why": methods(measured),
        "weights_sha256": weights_sha256(translator.model),
    }
    path.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page_of(scores, measured), encoding="utf-8")
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
