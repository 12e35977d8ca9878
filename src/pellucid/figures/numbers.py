"""Figures of numbers for papers: position encodings, probabilities of the next piece, the loss of a run.

Read ``terminal.py`` next.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from pellucid.errors import DataError
from pellucid.figures.canvas import (
    DIVERGING_SCALE,
    FAINT,
    INK,
    LABEL_SIZE,
    QUIET,
    Sheet,
    display_label,
    families_for,
    paper_style,
    text_width,
)
from pellucid.tracing.predictions import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure


__all__ = ["Metrics", "draw_loss", "draw_positions", "draw_softmax", "read_metrics"]

_BAR: Final = "#2d8997"
_OTHER_BAR: Final = "#b9d6d8"
_VALIDATION: Final = "#d55e00"
_WINDOW: Final = 0.02
"""The moving mean of the training loss spans this share of the steps."""


@dataclass(frozen=True, eq=False)
class Metrics:
    """The contents of ``metrics.jsonl``: arrays of equal length for training, and for validation."""

    steps: Array
    losses: Array
    learning_rates: Array
    validation_steps: Array
    validation_losses: Array


def draw_positions(table: Array, *, layout: str, font: str | Path | None, provenance: dict[str, object]) -> Figure:
    """Draw a table [positions, d_model] with negative values in blue and positive values in orange."""
    families = families_for(font)
    most = float(np.abs(table).max()) or 1.0
    caption = (
        f"Position encodings, layout {layout}",
        "Row t is added to the embedding of token t.",
    )
    with paper_style(families):
        width = 5.2
        height = float(np.clip(0.05 * len(table), 0.8, 5.0))
        sheet = Sheet(6.3, height + 1.35, families=families, title=caption[0], provenance=provenance)
        axes = sheet.place(0.62, 0.25, width, height)
        axes.imshow(table, cmap=DIVERGING_SCALE, vmin=-most, vmax=most, interpolation="nearest", aspect="auto")
        axes.set_xlabel("dimension", labelpad=2)
        axes.set_ylabel("position", labelpad=3)
        axes.tick_params(length=2, width=0.5, color=FAINT)
        bar = sheet.place(0.62 + width + 0.12, 0.25, 0.08, min(height, 1.4))
        bar.imshow(np.linspace(most, -most, 256)[:, None], cmap=DIVERGING_SCALE, aspect="auto")
        bar.set_xticks([])
        bar.set_yticks([0, 127.5, 255], [f"{most:.2g}", "0", f"−{most:.2g}"])
        bar.yaxis.tick_right()
        bar.tick_params(length=0, pad=2)
        sheet.write_caption(0.62, 0.25 + height + 0.55, caption)
    return sheet


def draw_softmax(
    pieces: Sequence[str],
    probabilities: Array,
    *,
    fed: str,
    chosen: str,
    chosen_probability: float,
    chosen_place: int | None,
    step: int,
    font: str | Path | None,
    provenance: dict[str, object],
) -> Figure:
    """Draw one bar per piece, the most probable first; then the chosen piece if it is not among them; then the rest."""
    families = families_for(font)
    labels, values = list(map(display_label, pieces)), [float(value) for value in probabilities]
    if chosen_place is None:
        labels.append(display_label(chosen))
        values.append(chosen_probability)
        chosen_place = len(labels) - 1
    labels.append("all others")
    values.append(max(0.0, 1.0 - sum(values)))
    caption = (
        f"The next piece at step {step}",
        f"Fed {display_label(fed)}, chosen {display_label(chosen)} with probability {chosen_probability:.4f}.",
    )
    with paper_style(families):
        room = max(text_width(labels, size=8), 0.3)
        height = 0.19 * len(labels)
        width = max(0.3 + room + 3.9, text_width(caption) + 0.6)
        sheet = Sheet(width, height + 0.95, families=families, title=caption[0], provenance=provenance)
        axes = sheet.place(0.3 + room, 0.22, 3.1, height)
        colours = [_BAR if number == chosen_place else _OTHER_BAR for number in range(len(labels))]
        colours[-1] = FAINT
        axes.barh(range(len(labels)), values, height=0.66, color=colours)
        axes.set(xlim=(0, 1), ylim=(len(labels) - 0.5, -0.5), xticks=[], yticks=[])
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        for number, (label, value) in enumerate(zip(labels, values, strict=True)):
            colour = QUIET if number == len(labels) - 1 else INK
            settings: dict[str, Any] = {"va": "center_baseline", "color": colour}
            axes.text(-0.02, number, label, ha="right", size=8, **settings)
            axes.text(value + 0.015, number, _probability(value), ha="left", size=LABEL_SIZE, **settings)
        sheet.write_caption(0.3, 0.22 + height + 0.28, caption)
    return sheet


def _probability(value: float) -> str:
    return f"{value:.4f}" if value >= 0.0001 or value == 0 else f"{value:.1e}"


def read_metrics(run_folder: Path) -> Metrics:
    """Read the steps and validations of a run.

    Raises:
        DataError: the file is missing, or a line has another format.
    """
    path = run_folder / "metrics.jsonl"
    if not path.is_file():
        raise DataError(f"{path}: there is no such file; name a run folder, which pellucid train makes")
    steps: list[tuple[float, float, float]] = []
    validations: list[tuple[float, float]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            if row["kind"] == "step":
                steps.append((float(row["step"]), float(row["loss"]), float(row["learning_rate"])))
            elif row["kind"] == "validation":
                validations.append((float(row["step"]), float(row["loss"])))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise DataError(f"{path}:{number}: this line is not a measurement of a run ({str(error)[:200]})") from None
    if not steps:
        raise DataError(f"{path}: it has no training steps yet; wait for the first ones")
    training, validation = np.array(steps, dtype=float), np.array(validations, dtype=float).reshape(-1, 2)
    return Metrics(training[:, 0], training[:, 1], training[:, 2], validation[:, 0], validation[:, 1])


def draw_loss(metrics: Metrics, *, font: str | Path | None, provenance: dict[str, object]) -> Figure:
    """Draw the loss of every step in a light colour, its moving mean and the validations; below, the learning rate."""
    families = families_for(font)
    window = max(1, round(len(metrics.steps) * _WINDOW))
    caption = (
        "Loss in nats per token, over the training steps",
        f"Faint: every step. Line: mean of the last {window}. Points: validation. Below: learning rate.",
    )
    with paper_style(families):
        sheet = Sheet(5.2, 4.1, families=families, title=caption[0], provenance=provenance)
        axes = sheet.place(0.62, 0.25, 4.2, 2.2)
        axes.plot(metrics.steps, metrics.losses, color=_OTHER_BAR, linewidth=0.6, gid="every step")
        axes.plot(*_moving_mean(metrics, window), color=_BAR, linewidth=1.2, gid="mean")
        axes.plot(
            metrics.validation_steps,
            metrics.validation_losses,
            color=_VALIDATION,
            marker="o",
            markersize=2.6,
            linewidth=0.8,
            linestyle=(0, (4, 2)),
            gid="validation",
        )
        axes.set_ylim(bottom=0)
        axes.set_ylabel("loss")
        axes.set_xticklabels([])
        _steps_axis(axes, metrics)
        axes.tick_params(labelbottom=False)
        lower = sheet.place(0.62, 2.6, 4.2, 0.6)
        lower.plot(metrics.steps, metrics.learning_rates, color=QUIET, linewidth=0.9, gid="learning rate")
        lower.set_ylim(bottom=0)
        lower.set_ylabel("rate")
        lower.set_xlabel("step", labelpad=1)
        lower.yaxis.set_major_formatter(
            FuncFormatter(lambda value, _: f"{value:.0e}".replace("e-0", "e−") if value else "0")
        )
        lower.locator_params(axis="y", nbins=2)
        _steps_axis(lower, metrics)
        sheet.write_caption(0.62, 3.66, caption)
    return sheet


def _moving_mean(metrics: Metrics, window: int) -> tuple[Array, Array]:
    mean = np.convolve(metrics.losses, np.ones(window) / window, mode="valid")
    return metrics.steps[window - 1 :], mean


def _steps_axis(axes: Axes, metrics: Metrics) -> None:
    axes.set_xscale("log")
    axes.set_xlim(max(1.0, float(metrics.steps[0])), float(metrics.steps[-1]) * 1.03)
    axes.xaxis.set_major_locator(LogLocator(base=10))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(which="both", length=2, width=0.5, color=FAINT)
    axes.spines[["top", "right"]].set_visible(False)
