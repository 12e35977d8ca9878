"""From facts about the text and the budget to settings, by the grid in ``preset.toml``.

All of it is arithmetic: the same facts give the same settings. Read ``preset.py`` next.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import Any, Final

from pellucid.errors import counted

__all__ = ["Budget", "Choice", "TextFacts", "choose"]

_INTERPOLATED: Final = ("vocab_size", "dropout", "attention_dropout", "source_word_dropout", "target_word_dropout")
_SIZES: Final = ("num_encoder_layers", "num_decoder_layers", "d_model", "d_feedforward", "num_heads")
_USUAL_BATCH: Final = 2048
_PIECES_STEP: Final = 500
_WORDS_OF_A_PIECE: Final = 3
"""With 3,600 different words, SentencePiece found 1,836 pieces: the demo's grammar, 4,800 pairs."""
_DROPOUT_STEP: Final = 0.05


@dataclass(frozen=True)
class TextFacts:
    """What the text is like."""

    pairs: int
    mean_tokens: float
    """Estimated target tokens of a pair."""
    alphabet: int
    """Different characters that need a piece."""
    words: int | None = None
    """Different words of both sides in the sample, up to a limit; None if they were not counted."""


@dataclass(frozen=True)
class Budget:
    """How long the run is, by what was given, and on what it runs."""

    minutes: float | None
    steps: int | None
    epochs: int | None
    is_gpu: bool
    threads: int

    def to_text(self) -> str:
        """Return the words for the screen."""
        given = {"minute": self.minutes, "step": self.steps, "epoch": self.epochs}
        parts = [counted(value, unit) for unit, value in given.items() if value is not None]
        return f"{' and '.join(parts)} on {'a GPU' if self.is_gpu else counted(self.threads, 'thread')}"


@dataclass(frozen=True)
class Choice:
    """Chosen settings by section and name, and why."""

    settings: Mapping[str, Mapping[str, Any]]
    nearest_preset: str
    """The preset with the most similar sizes, whose name the recipe keeps."""
    reason: str


def choose(text: TextFacts, budget: Budget, *, batch_size: int | None = None, accum_count: int | None = None) -> Choice:
    """Return the settings for a text and a budget; ``batch_size`` and ``accum_count`` are those of the user, if any."""
    grid = _grid()
    anchor = min(grid["anchor"], key=lambda row: abs(math.log(row["pairs"] / max(text.pairs, 1))))
    numbers = {name: _between(grid["anchor"], text.pairs, name) for name in _INTERPOLATED}
    shape_name = anchor["shape"]
    batch = batch_size or _batch(grid["gpu"], anchor["batch_size"], text, budget)
    shape = grid["shape"][shape_name]
    count = accum_count or _batches_of_a_step(shape, budget)
    while (epochs := _epochs(shape, text, budget, batch=batch, count=count)) < grid["budget"]["least_epochs"]:
        smaller = shape.get("smaller")
        if smaller is None or _speed(grid["shape"][smaller], budget) <= _speed(shape, budget):
            break
        shape_name, shape = smaller, grid["shape"][smaller]
        count = accum_count or _batches_of_a_step(shape, budget)
    # SimCut makes a step twice as long.
    enough = (2 if budget.minutes else 1) * grid["budget"]["regulariser_epochs"]
    simcut = anchor["simcut"] if epochs >= enough else 0.0
    if epochs < grid["budget"]["regulariser_epochs"]:
        numbers |= {"source_word_dropout": 0.0, "target_word_dropout": 0.0, "attention_dropout": 0.0}
    most_dropout = _on_line(grid["budget"]["dropout"], epochs)
    model = {name: shape[name] for name in _SIZES}
    model |= {"dropout": _rounded(min(numbers["dropout"], most_dropout), _DROPOUT_STEP)}
    model |= {"attention_dropout": _rounded(numbers["attention_dropout"], _DROPOUT_STEP)}
    rate = shape["learning_rate"] * math.sqrt(batch * count / _USUAL_BATCH)
    training = {
        "batch_size": batch,
        "accum_count": count,
        "learning_rate": float(f"{rate:.1e}"),
        "warmup_steps": _warmup(grid["gpu" if budget.is_gpu else "budget"], epochs, text, batch * count),
        "source_word_dropout": _rounded(numbers["source_word_dropout"], _DROPOUT_STEP),
        "target_word_dropout": _rounded(numbers["target_word_dropout"], _DROPOUT_STEP),
        "simcut": simcut,
        "optimizer": "adam" if budget.is_gpu else shape["optimizer"],
    }
    pieces = _pieces(grid["pieces"], min(numbers["vocab_size"], shape.get("most_pieces", math.inf)), text)
    reason = (
        f"{counted(text.pairs, 'pair')} of about {counted(round(text.mean_tokens), 'token')}, "
        f"about {counted(round(epochs), 'epoch')} in "
        f"{budget.to_text()}{' if no other program runs' if budget.minutes is not None else ''}; "
        f"shape {shape_name} of the row for {counted(anchor['pairs'], 'pair')} "
        f"({'measured' if shape_name in anchor['measured'] else 'not measured'}: {anchor['source']})"
    )
    sections = {"model": model, "training": training, "tokenizer": {} if pieces is None else {"vocab_size": pieces}}
    return Choice(sections, shape["nearest_preset"], reason)


@cache
def _grid() -> dict[str, Any]:
    text = resources.files("pellucid.jobs.choosing").joinpath("preset.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _between(anchors: Sequence[Mapping[str, Any]], pairs: int, name: str) -> float:
    return _on_line([(row["pairs"], row[name]) for row in anchors], pairs)


def _on_line(points: Sequence[Sequence[float]], place: float) -> float:
    """Return the value at a place between points, along the logarithm of the place; outside, that of the end."""
    if place <= points[0][0]:
        return points[0][1]
    for (left, low), (right, high) in pairwise(points):
        if place <= right:
            return low + (high - low) * math.log(place / left) / math.log(right / left)
    return points[-1][1]


def _rounded(value: float, step: float) -> float:
    return round(round(value / step) * step, 6)


def _batch(gpu: Mapping[str, int], usual: int, text: TextFacts, budget: Budget) -> int:
    if not budget.is_gpu:
        return min(usual, _USUAL_BATCH)
    batch, tokens = usual, text.pairs * text.mean_tokens
    while batch < gpu["largest_batch"] and tokens / (2 * batch) >= gpu["least_steps_per_epoch"]:
        batch *= 2
    return batch


def _batches_of_a_step(shape: Mapping[str, Any], budget: Budget) -> int:
    """Return one batch for each thread, up to a limit, where processes of one thread each are faster than threads."""
    return 1 if budget.is_gpu else min(budget.threads, shape["most_batches"])


def _speed(shape: Mapping[str, Any], budget: Budget) -> float:
    """Return about how many target tokens a second train."""
    if budget.is_gpu:
        return float(shape["gpu_tokens_per_second"])
    return float(budget.threads * shape["core_tokens_per_second"])


def _epochs(shape: Mapping[str, Any], text: TextFacts, budget: Budget, *, batch: int, count: int) -> float:
    """Return about how many epochs the budget has, with so many batches a step."""
    tokens = max(text.pairs * text.mean_tokens, 1.0)
    steps = math.ceil(tokens / (batch * count))
    # Much of a batch's time is the same for a small one: the optimiser, and the calls of some hundred operations.
    timed = tokens if budget.is_gpu else max(tokens, steps * count * _grid()["budget"]["least_batch_tokens"])
    speed = _speed(shape, budget)
    limits = [
        None if budget.minutes is None else 60 * budget.minutes * speed / timed,
        None if budget.steps is None else budget.steps / steps,
        None if budget.epochs is None else float(budget.epochs),
    ]
    return min((limit for limit in limits if limit is not None), default=1.0)


def _warmup(rules: Mapping[str, float], epochs: float, text: TextFacts, step_tokens: int) -> int:
    steps = epochs * math.ceil(text.pairs * text.mean_tokens / step_tokens)
    return int(max(1, min(rules["warmup_steps"], rules["warmup_share"] * steps)))


def _pieces(rules: Mapping[str, float], wanted: float, text: TextFacts) -> int | None:
    """Return the number of pieces; None for so little text, or so few words, that only the tokenizer knows it."""
    if text.pairs < rules["least_pairs"]:
        return None
    least = rules["specials_and_bytes"] + rules["for_each_character"] * text.alphabet
    pieces = _PIECES_STEP * round(max(wanted, least) / _PIECES_STEP + 0.499)
    return pieces if text.words is None or text.words >= _WORDS_OF_A_PIECE * pieces else None
