"""Pictures of attention for papers: matrices side by side, and lines from who looks to whom.

Read ``numbers.py`` next.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pellucid.analysis.attention_picture import MERGING_RULE, AttentionPicture, sentence_case
from pellucid.figures.canvas import (
    FAINT,
    INK,
    LABEL_SIZE,
    LINE_HEIGHT,
    QUIET,
    SEQUENTIAL_SCALE,
    Sheet,
    display_label,
    families_for,
    paper_style,
    text_width,
    wrapped,
)
from pellucid.figures.palette import head_colour, head_dashes
from pellucid.tracing.predictions import Array
from pellucid.tracing.tokens import Labels

__all__ = ["attention_caption", "draw_links", "draw_matrices", "links_caption"]

_CELL: Final = 0.15
_MARGIN: Final = 0.22
_GAP: Final = 0.16
_TITLE_SIZE: Final = 8.0
_ARROW: Final = 0.26
_LINK_WIDTH: Final = 1.9
_NARROWEST_PAGE: Final = 3.6
_WIDEST_PAGE: Final = 7.0
"""Inches: the text width of common paper sizes. More panels go on the next line."""


@dataclass(frozen=True)
class _Labels:
    """The labels at the sides, and their widths in inches."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    predicts: tuple[str, ...]
    left: float
    right: float
    below: float

    @staticmethod
    def of(labels: Labels) -> _Labels:
        rows = tuple(map(display_label, labels.rows))
        columns = tuple(map(display_label, labels.columns))
        predicts = tuple(map(display_label, labels.predicts or ()))
        room = [text_width(side) + 0.06 if side else 0.0 for side in (rows, predicts, columns)]
        return _Labels(rows, columns, predicts, *room)


def draw_matrices(
    panels: Array,
    labels: Labels,
    *,
    titles: Sequence[str],
    caption: Sequence[str],
    unit: str,
    most: float,
    font: str | Path | None,
    provenance: dict[str, object],
    columns: int | None = None,
) -> Figure:
    """Draw matrices [panels, rows, columns] with the same labels, on one scale from 0 to ``most``."""
    families = families_for(font)
    with paper_style(families):
        sides = _Labels.of(labels)
        height, width = _CELL * panels.shape[1], _CELL * panels.shape[2]
        width = max(width, text_width(titles, size=_TITLE_SIZE))
        across = columns or _panels_across(len(panels), width, sides)
        down = math.ceil(len(panels) / across)
        top = _MARGIN + (0.2 if any(titles) or sides.predicts else 0.0)
        line = height + 0.3
        whole_width = 2 * _MARGIN + sides.left + sides.right + across * width + (across - 1) * _GAP
        whole_width = max(whole_width, _NARROWEST_PAGE)
        caption = wrapped(caption, whole_width - 2 * _MARGIN)
        foot = 0.34 + LINE_HEIGHT * len(caption)
        whole_height = top + down * line - 0.3 + sides.below + foot + _MARGIN
        sheet = Sheet(whole_width, whole_height, families=families, title=caption[0], provenance=provenance)
        for number, panel in enumerate(panels):
            left = _MARGIN + sides.left + (number % across) * (width + _GAP)
            axes = sheet.place(left, top + (number // across) * line, width, height)
            _matrix(axes, panel, titles[number], most)
            is_last = number % across == across - 1 or number == len(panels) - 1
            _row_labels(axes, sides, is_first=number % across == 0, is_last=is_last)
            if number + across >= len(panels):
                _column_labels(axes, sides.columns)
        _foot(sheet, caption, unit, most)
    return sheet


def _panels_across(count: int, width: float, sides: _Labels) -> int:
    room = _WIDEST_PAGE - 2 * _MARGIN - sides.left - sides.right
    fit = max(1, int((room + _GAP) / (width + _GAP)))
    return math.ceil(count / math.ceil(count / min(count, fit)))  # lines of nearly equal length


def _matrix(axes: Axes, panel: Array, title: str, most: float) -> None:
    axes.imshow(panel, cmap=SEQUENTIAL_SCALE, vmin=0, vmax=most, interpolation="nearest", aspect="auto")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title, size=_TITLE_SIZE, pad=5, color=INK)


def _row_labels(axes: Axes, sides: _Labels, *, is_first: bool, is_last: bool) -> None:
    settings: dict[str, Any] = {"size": LABEL_SIZE, "va": "center_baseline"}
    right = axes.get_xlim()[1]
    gap = 0.05 / _CELL
    if is_first:
        for number, label in enumerate(sides.rows):
            axes.text(-0.5 - gap, number, label, ha="right", **settings)
        if sides.predicts:
            axes.text(-0.5 - gap, -1.0, "fed", ha="right", size=LABEL_SIZE, color=QUIET)
    if is_last and sides.predicts:
        for number, label in enumerate(sides.predicts):
            axes.text(right + gap, number, label, ha="left", **settings)
        axes.text(right + gap, -1.0, "predicts", ha="left", size=LABEL_SIZE, color=QUIET)


def _column_labels(axes: Axes, names: Sequence[str]) -> None:
    bottom = axes.get_ylim()[0]
    for number, name in enumerate(names):
        axes.text(number, bottom + 0.05 / _CELL, name, rotation=90, ha="center", va="top", size=LABEL_SIZE)


def _foot(sheet: Sheet, caption: Sequence[str], unit: str, most: float) -> None:
    _, height = (float(side) for side in sheet.get_size_inches())
    top = height - _MARGIN - LINE_HEIGHT * len(caption) - 0.2
    bar = sheet.place(_MARGIN + text_width([unit, "0"]) + 0.16, top, 1.1, 0.08)
    bar.imshow(np.linspace(0, 1, 256)[None], cmap=SEQUENTIAL_SCALE, aspect="auto", interpolation="nearest")
    bar.set_xticks([])
    bar.set_yticks([])
    sheet.write(_MARGIN, top + 0.04, f"{unit}  0", va="center_baseline", color=QUIET)
    end = _MARGIN + text_width([unit, "0"]) + 0.16 + 1.1 + 0.06
    sheet.write(end, top + 0.04, f"{most:.3g}", va="center_baseline", color=QUIET)
    sheet.write_caption(_MARGIN, top + 0.3, caption, va="center_baseline")


def draw_links(
    picture: AttentionPicture,
    *,
    rows: Sequence[int] | None,
    threshold: float,
    caption: Sequence[str],
    font: str | Path | None,
    provenance: dict[str, object],
) -> Figure:
    """Draw two columns of labels and a line for each weight of at least ``threshold``."""
    families = families_for(font)
    chosen = range(picture.weights.shape[1]) if rows is None else rows
    shown = picture.weights[:, list(chosen)]
    drawn = float(shown[shown >= threshold].sum() / shown.sum())
    caption = (
        *caption,
        f"Lines of weight {threshold:g} and more, {drawn:.0%} of the weight; the stronger, the darker.",
    )
    with paper_style(families):
        labels = picture.labels
        columns = [list(map(display_label, labels.rows)), list(map(display_label, labels.columns))]
        headings = ["looks", "is looked at"]
        if labels.predicts is not None:
            # Separate texts: within one text, a right-to-left piece would reverse the row.
            columns.insert(1, list(map(display_label, labels.predicts)))
            headings[:1] = ["fed", "predicts"]
        rooms = [max(text_width(c, size=8), text_width([h])) for c, h in zip(columns, headings, strict=True)]
        step = 0.19
        length = max(map(len, columns))
        left_room, right_room = sum(rooms[:-1]) + _ARROW * (len(rooms) - 2), rooms[-1]
        middle = _LINK_WIDTH
        width = max(2 * _MARGIN + left_room + right_room + middle + 0.2, _NARROWEST_PAGE)
        caption = wrapped(caption, width - 2 * _MARGIN)
        body = step * length
        top = _MARGIN + 0.46
        sheet = Sheet(
            width,
            top + body + 0.24 + LINE_HEIGHT * len(caption) + _MARGIN,
            families=families,
            title=caption[0],
            provenance=provenance,
        )
        indent = (width - left_room - right_room - middle - 0.2) / 2
        axes = sheet.place(indent + left_room + 0.1, top, middle, body)
        axes.set(xlim=(0, 1), ylim=(length - 0.5, -0.5))
        axes.axis("off")
        places = (_spread(len(columns[0]), length), _spread(len(columns[-1]), length))
        colours = [INK if row in chosen else FAINT for row in range(len(columns[0]))]
        _link_sides(axes, columns, headings, places=places, predicts_room=rooms[1], colours=colours)
        _links(axes, picture, chosen, places, threshold)
        _head_legend(sheet, picture.heads, indent + left_room + 0.1 + middle / 2)
        sheet.write_caption(_MARGIN, top + body + 0.24, caption)
    return sheet


def _spread(count: int, length: int) -> Array:
    """Return the places of the labels of a side: evenly spaced, the shorter side centred."""
    return np.arange(count) + (length - count) / 2


def _link_sides(
    axes: Axes,
    columns: Sequence[Sequence[str]],
    headings: Sequence[str],
    *,
    places: tuple[Array, Array],
    predicts_room: float,
    colours: Sequence[str],
) -> None:
    """Write the rows, in a decoder with an arrow to what each row predicts, and the columns."""
    edge = -0.1 / _LINK_WIDTH
    if len(columns) == 3:
        _link_labels(axes, columns[1], headings[1], x=edge, places=places[0], colours=colours)
        edge -= (predicts_room + _ARROW) / _LINK_WIDTH
        arrow = edge + _ARROW * 0.75 / _LINK_WIDTH
        _link_labels(axes, ["→"] * len(columns[0]), "", x=arrow, places=places[0], colours=colours)
    _link_labels(axes, columns[0], headings[0], x=edge, places=places[0], colours=colours)
    ink = [INK] * len(columns[-1])
    _link_labels(axes, columns[-1], headings[-1], x=1 + 0.1 / _LINK_WIDTH, places=places[1], colours=ink)


def _link_labels(
    axes: Axes, names: Sequence[str], heading: str, *, x: float, places: Array, colours: Sequence[str]
) -> None:
    """Write a column of labels that ends at ``x`` on the left side, and begins there on the right."""
    align = "right" if x < 0 else "left"
    if heading:
        axes.text(x, -1.0, heading, ha=align, color=QUIET)
    for name, place, colour in zip(names, places, colours, strict=True):
        axes.text(x, float(place), name, ha=align, va="center_baseline", size=8, color=colour)


def _links(
    axes: Axes, picture: AttentionPicture, chosen: Sequence[int], places: tuple[Array, Array], threshold: float
) -> None:
    count = len(picture.heads)
    for number, head in enumerate(picture.heads):
        # Lines of different heads are shifted, so that none hides another.
        shift = (number - (count - 1) / 2) * min(0.14, 0.7 / count)
        lines, strengths = [], []
        for row in chosen:
            for column in np.flatnonzero(picture.weights[number, row] >= threshold):
                lines.append([(0.0, float(places[0][row]) + shift), (1.0, float(places[1][column]) + shift)])
                strengths.append(float(picture.weights[number, row, column]))
        collection = LineCollection(
            lines,
            colors=head_colour(head),
            linewidths=[0.5 + 1.3 * strength for strength in strengths],
            linestyles=[_dashes(head)],
            alpha=[0.15 + 0.85 * strength for strength in strengths] if strengths else None,
            capstyle="butt",
        )
        collection.set_gid(f"head {head}")
        axes.add_collection(collection)


def _dashes(head: int) -> Literal["solid"] | tuple[float, tuple[float, ...]]:
    pattern = head_dashes(head)
    return (0, pattern) if pattern else "solid"


def _head_legend(sheet: Sheet, heads: Sequence[int], middle: float) -> None:
    across = len(heads) if len(heads) <= 4 else math.ceil(len(heads) / 2)
    if len(heads) > 4:  # a legend is filled column by column
        heads = [head for pair in zip_longest(heads[:across], heads[across:]) for head in pair if head is not None]
    handles = [Line2D([], [], color=head_colour(head), linestyle=_dashes(head), linewidth=1.4) for head in heads]
    width, height = (float(side) for side in sheet.get_size_inches())
    sheet.legend(
        handles,
        [f"head {head}" for head in heads],
        loc="upper center",
        bbox_to_anchor=(middle / width, 1 - _MARGIN / height),
        ncols=across,
        frameon=False,
        fontsize=LABEL_SIZE,
        handlelength=3.2,
        borderpad=0,
        borderaxespad=0,
        columnspacing=1.4,
    )


def attention_caption(picture: AttentionPicture, *, reading: str | None = None) -> tuple[str, ...]:
    """Return the caption of a picture of attention: what it shows, how to read it, and how words were merged."""
    lines = [sentence_case(picture.place), sentence_case(reading or picture.reading) + "."]
    if picture.is_merged:
        lines.append(sentence_case(MERGING_RULE) + ".")
    return tuple(lines)


def links_caption(picture: AttentionPicture) -> tuple[str, ...]:
    """Return the caption of a picture of lines between two columns of labels."""
    unit = "word" if picture.is_merged else "piece"
    fed = "" if picture.labels.predicts is None else f", after it was fed one {unit} and before it predicts the next"
    return attention_caption(picture, reading=f"each row on the left looks to the right{fed}")
