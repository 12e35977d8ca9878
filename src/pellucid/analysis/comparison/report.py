"""The summary of a comparison: as lines for a screen, and as records for JSON and the page.

Read ``page/answers_compare.py`` next.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import PurePath

import numpy as np

from pellucid.analysis.comparison.matching import STACKS, PieceMatching
from pellucid.analysis.comparison.record import Comparison, HeadChange
from pellucid.errors import RequestError, counted
from pellucid.tracing.predictions import Array
from pellucid.tracing.record import Trace

__all__ = ["lines_of", "quantities_of", "records_of"]

_MOST_HEADS = 5
_MOST_STEPS = 5

Table = dict[str, object]


def lines_of(comparison: Comparison) -> list[str]:
    """Return the summary: what differs, where first, which heads and layers most, and the probabilities."""
    first, second, plan = comparison.first, comparison.second, comparison.plan
    lines = [f"first   {_name_of(first)}{first.source} → {first.text}"]
    lines.append(f"second  {_name_of(second)}{second.source} → {second.text}")
    pieces = (first.tokens.source_pieces, second.tokens.source_pieces)
    lines.append(f"source  {_difference(plan.source, *pieces)}")
    pieces = (first.tokens.predicted_pieces, second.tokens.predicted_pieces)
    lines.append(f"target  {_difference(plan.target, *pieces)}")
    step = comparison.divergence
    if step is not None:
        found = [side[step] if step < len(side) else "nothing" for side in pieces]
        lines.append(f"first difference of the translations at step {step}: {found[0]} | {found[1]}")
    lines += [
        f"{stack} layers without a partner: {list(layers.only_first)} | {list(layers.only_second)}"
        for stack, layers in plan.layers.items()
        if layers.only_first or layers.only_second
    ]
    lines += _head_lines(comparison)
    lines += _step_lines(comparison)
    return lines


def records_of(comparison: Comparison) -> Table:
    """Return the summary with all numbers that a picture of it requires; None stands for a number that is not known."""
    plan = comparison.plan
    return {
        "first": _side(comparison.first),
        "second": _side(comparison.second),
        "same_weights": comparison.has_same_weights,
        "source": _pieces(plan.source),
        "target": _pieces(plan.target),
        "divergence": comparison.divergence,
        "step_log_probabilities": _numbers(comparison.step_log_probabilities),
        "layers": {stack: asdict(layers) for stack, layers in plan.layers.items()},
        "heads_by": plan.heads_by,
        "heads": [asdict(one) | {"kind": one.kind.short} for one in comparison.heads],
        "states": {stack: _states(comparison, stack) for stack in STACKS},
    }


def quantities_of(comparison: Comparison) -> list[Table]:
    """Return for every site the shape of its difference, the largest one and its place, or why there is none."""
    rows: list[Table] = []
    for site in comparison.sites:
        reason = comparison.reason(site)
        row: Table = {"site": site, "other": comparison.other_name(site), "reason": reason}
        if reason is None:
            difference = comparison[site]
            row["shape"] = list(difference.shape)
            if difference.size:
                place = np.unravel_index(int(np.abs(difference).argmax()), difference.shape)
                row |= {"largest": float(difference[place]), "at": [int(index) for index in place]}
        rows.append(row)
    return rows


def _head_lines(comparison: Comparison) -> list[str]:
    heads = comparison.heads
    if not heads:
        return ["heads   are not compared: a trace has no attention weights, or no rows are matched"]
    by = "number (same weights)" if comparison.has_same_weights else "the similarity of their rows"
    if comparison.plan.heads_by == "number" and not comparison.has_same_weights:
        by = "number"
    lines = [f"heads   matched by {by}; the share of its attention that a head moves, mean of its rows:"]
    lines += [_head_line(comparison.first, one) for one in heads[:_MOST_HEADS]]
    sums: dict[str, list[float]] = {}
    for one in heads:
        sums.setdefault(one.kind.at(one.layer), []).append(one.change)
    place = max(sums, key=lambda name: float(np.mean(sums[name])))
    lines.append(f"layer   that differs most: {place}, {np.mean(sums[place]):.3f} on average over its heads")
    return lines


def _head_line(trace: Trace, one: HeadChange) -> str:
    labels = trace.tokens.labels(one.kind)
    piece = labels.rows[one.row] if labels.predicts is None else f"{labels.rows[one.row]} → {labels.predicts[one.row]}"
    is_other = (one.layer, one.head) != (one.other_layer, one.other_head)
    other = f" | layer {one.other_layer} head {one.other_head}" if is_other else ""
    return (
        f"  {one.kind.at(one.layer)} head {one.head}{other}: {one.change:.3f}; most in row {one.row} ({piece}), "
        f"{one.row_change:.3f}"
    )


def _step_lines(comparison: Comparison) -> list[str]:
    """Return the steps whose log-probabilities differ most, in the order of the translation."""
    pairs, table = comparison.plan.target.pairs, comparison.step_log_probabilities
    changes = np.nan_to_num(np.abs(table[:, 1] - table[:, 0]).max(-1, initial=0.0), nan=0.0)
    chosen = sorted(np.argsort(-changes, kind="stable")[:_MOST_STEPS].tolist())
    lines = []
    for row in chosen:
        if changes[row] == 0:
            continue
        step, other = pairs[row]
        pieces = comparison.first.tokens.predicted_pieces[step], comparison.second.tokens.predicted_pieces[other]
        both = [0] if pieces[0] == pieces[1] else [0, 1]
        parts = [f"{pieces[i]} {table[row, 0, i]:.3f} | {table[row, 1, i]:.3f}" for i in both]
        lines.append(f"  step {step}{'' if step == other else f' | {other}'}: {'; '.join(parts)}")
    return ["steps   whose log-probabilities differ most, first | second:", *lines] if lines else []


def _difference(matching: PieceMatching, first: tuple[str, ...], second: tuple[str, ...]) -> str:
    other = [part for part in matching.parts if part.kind != "equal"]
    if not other:
        return "the same pieces"
    spelt = [
        f"{part.before[0]}: {' '.join(first[slice(*part.before)]) or 'nothing'} | "
        f"{' '.join(second[slice(*part.after)]) or 'nothing'}"
        for part in other
    ]
    alone = len(matching.only_first), len(matching.only_second)
    unmatched = f"; without a partner {alone[0]} | {counted(alone[1], 'piece')}" if any(alone) else ""
    return "; ".join(spelt) + unmatched


def _name_of(trace: Trace) -> str:
    provenance = trace.provenance
    folder = PurePath(provenance.model_folder or "")
    name = folder.parent.name if folder.name == "model" else folder.name  # a run folder has its model in model/
    parts = [name, f"step {provenance.step}" if provenance.step is not None else "", *map(str, provenance.edits)]
    spelt = ", ".join(part for part in parts if part)
    return f"[{spelt}] " if spelt else ""


def _side(trace: Trace) -> Table:
    provenance = trace.provenance
    return {
        "source": trace.source,
        "text": trace.text,
        "model_folder": provenance.model_folder,
        "weights_sha256": provenance.weights_sha256,
        "step": provenance.step,
        "edits": [str(edit) for edit in provenance.edits],
        "tokens": asdict(trace.tokens),
        "log_probabilities": _numbers(trace.predictions.target_log_probability) if trace.predictions else None,
    }


def _pieces(matching: PieceMatching) -> Table:
    return {
        "parts": [asdict(part) for part in matching.parts],
        "pairs": [list(pair) for pair in matching.pairs],
        "only_first": list(matching.only_first),
        "only_second": list(matching.only_second),
    }


def _states(comparison: Comparison, stack: str) -> Table:
    try:
        found = comparison.states(stack)
    except RequestError as error:
        return {"sites": [], "distances": [], "reason": str(error)}
    return {"sites": list(found), "distances": [_numbers(row) for row in found.values()], "reason": None}


def _numbers(array: Array) -> list[object]:
    """Return nested lists in which None stands for NaN."""
    return [_numbers(row) if isinstance(row, np.ndarray) else None if np.isnan(row) else float(row) for row in array]
