"""Compare the native engine with torch, option by option, on the sentences of a file.

    python benchmarks/native_agreement.py runs/multi30k source.de --reference source.en --json results.json

In float32 each search has to give the ids of torch, and log-probabilities within 1e-4. Where two hypotheses are
equally good to seven digits, the order of the sums decides; such a sentence counts as a tie, with both scores. In int8
the script counts equal greedy translations, compares BLEU, and lists the flags that only the rounded model raises.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from machine import machine_facts

import pellucid
from pellucid import Translation, Translator

TOLERANCE = 1e-4
BEAMS = (1, 4, 10)
OPTIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "no length penalty": {"length_penalty": "none"},
    "GNMT penalty, alpha 0.6": {"length_penalty": "gnmt", "alpha": 0.6},
    "at least 10 tokens": {"min_length": 10},
    "at most 8 tokens": {"max_length_factor": 1e-9, "max_length_constant": 8},
    "no bigram twice": {"no_repeat_ngram_size": 2},
    "a banned piece": {"banned_tokens": ("▁the",)},
    "a prefix": {"target_prefix": "In the pict"},
    "n-best lists": {"n_best": 4},
}
SAMPLING: dict[str, dict[str, Any]] = {
    "sampling": {"sampling": True, "seed": 7},
    "sampling, top-k 10, temperature 0.7": {"sampling": True, "seed": 7, "top_k": 10, "temperature": 0.7},
    "sampling, top-p 0.9": {"sampling": True, "seed": 7, "top_p": 0.9},
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="a model folder or a run folder")
    parser.add_argument("source", type=Path, help="source sentences, one a line")
    parser.add_argument("--reference", type=Path, help="their translations, for BLEU")
    parser.add_argument("--count", type=int, default=2000, help="sentences; the first ones")
    parser.add_argument("--beams", type=int, nargs="+", default=list(BEAMS))
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args(arguments)
    texts = options.source.read_text(encoding="utf-8").splitlines()[: options.count]
    torch, native, rounded = (
        pellucid.load(options.model, engine=engine, precision=precision)
        for engine, precision in (("torch", "fp32"), ("native", "fp32"), ("native", "int8"))
    )
    print("| search | beam | equal | ties | different | largest difference of a log-probability | torch / native, s |")
    print("|---|---|---|---|---|---|---|")
    searches = [(name, {"beam_size": beam} | some) for name, some in OPTIONS.items() for beam in options.beams]
    searches = [(name, some) for name, some in searches if some.get("n_best", 1) <= some["beam_size"]]
    rows = [compared(name, some, texts, torch, native) for name, some in [*searches, *SAMPLING.items()]]
    record: dict[str, Any] = {
        "machine": machine_facts(),
        "model": options.model.name,
        "sentences": len(texts),
        "fp32": rows,
    }
    references = options.reference.read_text(encoding="utf-8").splitlines()[: len(texts)] if options.reference else []
    record["int8"] = [int8(beam, texts, references, torch, rounded) for beam in (1, 5)]
    if options.json:
        options.json.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def compared(
    name: str, settings: dict[str, Any], texts: Sequence[str], torch: Translator, native: Translator
) -> dict[str, Any]:
    """Translate with both engines, print a line and return its figures."""
    sides, seconds = [], []
    for translator in (torch, native):
        start = time.perf_counter()
        sides.append(translator.translate(texts, **settings))
        seconds.append(time.perf_counter() - start)
    row: dict[str, Any] = {
        "search": name,
        "beam": settings.get("beam_size"),
        "equal": 0,
        "ties": [],
        "different": [],
        "largest": 0.0,
        "seconds": seconds,
    }
    for text, exact, other in zip(texts, *sides, strict=True):
        add(row, text, exact, other)
    counts = f"{row['equal']:,} | {len(row['ties'])} | {len(row['different'])} | {row['largest']:.1e}"
    print(f"| {name} | {row['beam'] or ''} | {counts} | {seconds[0]:.1f} / {seconds[1]:.1f} |", flush=True)
    return row


def add(row: dict[str, Any], text: str, exact: Translation, other: Translation) -> None:
    """Count a sentence as equal, as a tie or as different."""
    if exact.error != other.error:
        row["different"].append({"source": text, "errors": [exact.error, other.error]})
        return
    if len(exact.alternatives) != len(other.alternatives):
        row["different"].append({"source": text, "numbers": [len(exact.alternatives), len(other.alternatives)]})
        return
    for one, two in zip(exact.alternatives, other.alternatives, strict=True):
        if one.ids != two.ids:
            is_tie = abs(one.score - two.score) < TOLERANCE
            row["ties" if is_tie else "different"].append(
                {"source": text, "torch": one.text, "native": two.text, "scores": [one.score, two.score]}
            )
            return
        pairs = zip(one.token_log_probabilities, two.token_log_probabilities, strict=True)
        row["largest"] = max([row["largest"], *(abs(p - q) for p, q in pairs)])
    row["equal"] += 1


def int8(
    beam: int, texts: Sequence[str], references: Sequence[str], torch: Translator, rounded: Translator
) -> dict[str, Any]:
    """Compare the rounded model with torch, print a line and return its figures."""
    exact, other = (side.translate(texts, beam_size=beam) for side in (torch, rounded))
    equal = sum(one.text == two.text for one, two in zip(exact, other, strict=True))
    row: dict[str, Any] = {"beam": beam, "equal": equal, "sentences": len(texts)}
    row["new flags"] = [
        {"source": text, "torch": one.text, "native": two.text, "flags": sorted(new)}
        for text, one, two in zip(texts, exact, other, strict=True)
        if (new := set(two.flags) - set(one.flags))
    ]
    if references:
        row["BLEU"] = [bleu(side, references) for side in (exact, other)]
    print(f"int8, beam {beam}: {equal:,} of {len(texts):,} equal, BLEU {row.get('BLEU')}", flush=True)
    print(f"  {len(row['new flags'])} sentences with a flag that the exact model does not raise", flush=True)
    return row


def bleu(translations: Iterable[Translation], references: Sequence[str]) -> float:
    from sacrebleu.metrics import BLEU

    return float(BLEU().corpus_score([one.text for one in translations], [list(references)]).score)


if __name__ == "__main__":
    main()
