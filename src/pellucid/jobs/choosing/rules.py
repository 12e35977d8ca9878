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
        parts = [f"{value:,g} {unit}{'s' * (value != 1)}" for unit, value in given.items() if value is not None]
        return f"{' and '.join(parts)} on {'a GPU' if self.is_gpu else counted(self.threads, 'thread')}"


@dataclass(frozen=True)
class Choice:
    """Chosen settings by section and name, and why."""

    settings: Mapping[str, Mapping[str, Any]]
    nearest_preset: str
    """The preset with the most similar sizes, whose name the recipe keeps."""
    reason: str


def choose(text: TextFacts, budget: Budget, *, batch_size: int | None = None) -> Choice:
    """Return the settings for a text and a budget; ``batch_size`` is that of the user, if any."""
    grid = _grid()
    anchor = min(grid["anchor"], key=lambda row: abs(math.log(row["pairs"] / max(text.pairs, 1))))
    numbers = {name: _between(grid["anchor"], text.pairs, name) for name in _INTERPOLATED}
    shape_name = anchor["shape"]
    batch = batch_size or _batch(grid["gpu"], anchor["batch_size"], text, budget)
    epochs = _epochs(grid["shape"][shape_name], text, budget, batch)
    while epochs < grid["budget"]["least_epochs"] and (smaller := grid["shape"][shape_name].get("smaller")):
        shape_name = smaller
        epochs = _epochs(grid["shape"][shape_name], text, budget, batch)
    shape = grid["shape"][shape_name]
    # SimCut makes a step twice as long.
    simcut = anchor["simcut"] if epochs >= (2 if budget.minutes else 1) * grid["budget"]["regulariser_epochs"] else 0.0
    if epochs < grid["budget"]["regulariser_epochs"]:
        numbers |= {"source_word_dropout": 0.0, "target_word_dropout": 0.0, "attention_dropout": 0.0}
    most_dropout = _on_line(grid["budget"]["dropout"], epochs)
    model = {name: shape[name] for name in _SIZES}
    model |= {"dropout": _rounded(min(numbers["dropout"], most_dropout), _DROPOUT_STEP)}
    model |= {"attention_dropout": _rounded(numbers["attention_dropout"], _DROPOUT_STEP)}
    training = {
        "batch_size": batch,
        "learning_rate": float(f"{shape['learning_rate'] * math.sqrt(batch / _USUAL_BATCH):.1e}"),
        "warmup_steps": _warmup(grid["budget"], epochs, text, batch),
        "source_word_dropout": _rounded(numbers["source_word_dropout"], _DROPOUT_STEP),
        "target_word_dropout": _rounded(numbers["target_word_dropout"], _DROPOUT_STEP),
        "simcut": simcut,
        "optimizer": "adam",
    }
    pieces = _pieces(grid["pieces"], numbers["vocab_size"], text)
    reason = (
        f"{counted(text.pairs, 'pair')} of about {text.mean_tokens:.0f} tokens, about {epochs:,.0f} epochs in "
        f"{budget.to_text()}; shape {shape_name} of the row for {anchor['pairs']:,} pairs "
        f"({'measured' if anchor['measured'] else 'not measured here'}: {anchor['source']})"
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


def _epochs(shape: Mapping[str, Any], text: TextFacts, budget: Budget, batch: int) -> float:
    """Return about how many epochs the budget has."""
    tokens = max(text.pairs * text.mean_tokens, 1.0)
    speed = shape["gpu_tokens_per_second"] if budget.is_gpu else budget.threads * shape["core_tokens_per_second"]
    limits = [
        None if budget.minutes is None else 60 * budget.minutes * speed / tokens,
        None if budget.steps is None else budget.steps * batch / tokens,
        None if budget.epochs is None else float(budget.epochs),
    ]
    return min((limit for limit in limits if limit is not None), default=1.0)


def _warmup(rules: Mapping[str, float], epochs: float, text: TextFacts, batch: int) -> int:
    steps = epochs * text.pairs * text.mean_tokens / batch
    return int(max(1, min(rules["warmup_steps"], rules["warmup_share"] * steps)))


def _pieces(rules: Mapping[str, float], wanted: float, text: TextFacts) -> int | None:
    """Return the number of pieces; None for so little text, or so few words, that only the tokenizer knows it."""
    if text.pairs < rules["least_pairs"]:
        return None
    least = rules["specials_and_bytes"] + rules["for_each_character"] * text.alphabet
    pieces = _PIECES_STEP * round(max(wanted, least) / _PIECES_STEP + 0.499)
    return pieces if text.words is None or text.words >= _WORDS_OF_A_PIECE * pieces else None
