"""Measure the processor time of edits of the walkthrough model, as the page requests them, in turns.

    OMP_NUM_THREADS=1 python benchmarks/edit_time.py [--model FOLDER] [--rounds 7] [--json FILE]

Each request translates a sentence of 30 pieces with an edit, traces and checks it, reads the signs of health and
writes the manifest, with the trace before the edit at hand, as on the page. The figure is the median over the rounds of
the processor time of this process, in milliseconds; a busy machine changes it less than wall time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from pathlib import Path

import torch
from machine import machine_facts

import pellucid
from pellucid.page.answers_trace import TraceRecord, make_record
from pellucid.page.catalogue import OpenedModel, open_model

SOURCE = (
    "Yesterday my brother told me that he didn't want to go to school because he was too tired to get out of bed this "
    "morning."
)
PIECES = 30
"""Of the source, with the end of the sentence; its translation has 29."""
EDITS = {
    "no edit": (),
    "a head of the encoder": ("encoder.3.self_attention.head.1=zero",),
    "a forced piece": ("step.4=la",),
    "a head of the decoder": ("decoder.0.self_attention.head.1=zero",),
    "a sub-layer of the decoder": ("decoder.0.feed_forward=zero",),
    "a source piece silenced": ("decoder.cross_attention.value.3=zero",),
    "a row of the decoder": ("decoder.0.self_attention.head.1.row.3=zero",),
    "other weights in a row": (f"decoder.2.cross_attention.head.1.row.4={','.join(['0'] * (PIECES - 1))},1",),
    "a sub-layer's mean": ("decoder.2.feed_forward=mean",),
    "a head of another sentence": ('decoder.2.cross_attention.head.1=from:"The dog saw the cat."',),
    "the last sub-layer of another sentence": ('decoder.5.feed_forward=from:"The dog saw the cat."',),
}


def requested(opened: OpenedModel, edits: tuple[str, ...], before: TraceRecord | None) -> TraceRecord:
    """Answer a request up to its manifest."""
    made = make_record(opened, SOURCE, trace_id="one", edits=edits, before=before.trace if before and edits else None)
    assert made.manifest.body
    return made


def milliseconds(opened: OpenedModel, edits: tuple[str, ...], before: TraceRecord | None) -> float:
    """Return the processor time of a request."""
    start = os.times()
    requested(opened, edits, before)
    end = os.times()
    return 1000 * (end.user + end.system - start.user - start.system)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, default=Path(pellucid.__file__).parent / "sample" / "walkthrough")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    opened = open_model(pellucid.load(given.model, engine="torch"), given.model)
    before = requested(opened, (), None)
    for edits in EDITS.values():
        requested(opened, edits, before)  # what is computed once
    rounds = [{name: milliseconds(opened, edits, before) for name, edits in EDITS.items()} for _ in range(given.rounds)]
    found = {name: round(statistics.median(row[name] for row in rounds)) for name in EDITS}
    sides = before.trace.tokens.source_length, before.trace.tokens.target_length
    print(f"{sides[0]} source and {sides[1]} target pieces; median of {given.rounds} rounds, processor time")
    for name, value in found.items():
        print(f"  {name:38} {value:5} ms")
    if given.json:
        table = {"machine": machine_facts(), "pieces": sides, "rounds": given.rounds, "milliseconds": found}
        given.json.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
