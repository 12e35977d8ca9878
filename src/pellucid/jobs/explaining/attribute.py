"""Explain why a model writes the pieces of one translation, as lines for the terminal or numbers for a file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pellucid.analysis.attribution.methods import attribute_trace
from pellucid.analysis.attribution.record import Attribution, Piece
from pellucid.errors import RequestError
from pellucid.jobs.serve import InsideOptions
from pellucid.terminal import line_of
from pellucid.tracing.file import write_whole
from pellucid.tracing.making import trace as make_trace
from pellucid.tracing.record import Trace

__all__ = ["attribute_text", "lines_of", "write_numbers"]

_BAR: Final = 20
_IN_A_LINE: Final = 4


def attribute_text(
    model: Path | None,
    text: str,
    *,
    method: str,
    options: InsideOptions = InsideOptions(),
    target: str | None = None,
    step: int | None = None,
    word: str | None = None,
    against: str | None = None,
    quantity: str = "logit",
    points: int | None = None,
) -> Attribution:
    """Translate one sentence and explain it.

    Args:
        model: a model folder or a run folder; None is the walkthrough model.
        text: the sentence.
        method: see ``pellucid.attribute``, also for the arguments that are not here.
        options: of the model.
        target: a translation to explain instead of the model's.
        step: the step to explain, counted from 0.
        word: explain the step that ends the first word of this spelling in the translation, instead of ``step``.
        against: explain why this step writes its piece and not this word.
        quantity: ``logit`` or ``log_probability``.
        points: of the integral of ``integrated_gradients``.

    Raises:
        BundleError: the folder has no usable model.
        RequestError: the text cannot be traced, or the method, step, word or quantity does not exist or does not fit.
    """
    trace = make_trace(options.open(model).translator, text, target=target, level="tokens")
    if word is not None:
        step = _step_of(trace, word)
    return attribute_trace(trace, method=method, step=step, against=against, quantity=quantity, points=points)


def _step_of(trace: Trace, word: str) -> int:
    """Return the step that writes the last piece of the first such word; "il" is one, also in "qu'il"."""
    for one in trace.tokens.target_words:
        if one.text == word or one.text.endswith(("'" + word, "\u2019" + word)):
            return one.end - 1
    words = " ".join(one.text for one in trace.tokens.target_words)
    raise RequestError(f"word = {word!r} is not among the words of the translation: {words}")


def lines_of(made: Attribution, *, words: bool = False) -> Iterator[str]:
    """Yield lines for the terminal: all pieces of the only step, or the largest parts of every step in one line."""
    if len(made.steps) == 1:
        yield from made.to_text().splitlines()
        yield from _bars(made.ranked(made.steps[0], words=words))
        return
    yield f"{made.to_text().splitlines()[0]}; marked with *: pieces of the translation that were written before"
    for row, (step, piece) in enumerate(zip(made.steps, made.pieces, strict=True)):
        best = made.ranked(step, words=words)[:_IN_A_LINE]
        parts = ", ".join(f"{line_of(one.text)} {one.part:.3f}{_mark(one)}" for one in best)
        must = "" if made.expected_sum is None else f", must be {made.expected_sum[row]:.3f}"
        yield f"{step:>3} {line_of(piece)}: {parts} (sum {made.sum[row]:.3f}{must})"


def _bars(ranked: Sequence[Piece]) -> Iterator[str]:
    largest = max((abs(one.part) for one in ranked), default=0.0) or 1.0
    for one in ranked:
        bar = "#" * round(_BAR * abs(one.part) / largest)
        signed = bar if one.part >= 0 else f"-{bar}"
        yield f"{one.part:>9.4f}  {one.side} {one.position:>3}  {line_of(one.text)}  {signed}".rstrip()


def _mark(piece: Piece) -> str:
    return "*" if piece.side == "target" else ""


def write_numbers(made: Attribution, path: Path) -> None:
    """Write everything that an attribution has as JSON.

    Raises:
        DataError: the file cannot be written there.
        StoppedError: the disk is full.
    """
    table = {
        "method": made.method,
        "quantity": made.quantity,
        "against": made.against,
        "points": made.points,
        "source_pieces": made.tokens.source_pieces,
        "fed_pieces": made.tokens.fed_pieces,
        "steps": [
            {
                "step": step,
                "piece": piece,
                "score": float(made.score[row]),
                "sum": float(made.sum[row]),
                "expected_sum": None if made.expected_sum is None else float(made.expected_sum[row]),
                "source": made.source[row].tolist(),
                "target": made.target[row, : step + 1].tolist(),
            }
            for row, (step, piece) in enumerate(zip(made.steps, made.pieces, strict=True))
        ],
    }
    content = (json.dumps(table, ensure_ascii=False, indent=1) + "\n").encode()
    write_whole(path, content)
