"""A heat map of attention in the terminal, for example over ssh: blocks of 24-bit colour, or plain ASCII.

The names of columns form a staircase above them, where names of any width and script fit. A matrix that is wider
than the terminal is split into blocks of columns, one below the other, each with a note. Widths are counted in
terminal cells: a Chinese character takes two, a combining mark none. Read
``analysis/attention_picture.py`` next.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len

from pellucid.analysis.attention_picture import MERGING_RULE, AttentionPicture, attention_picture, sentence_case
from pellucid.errors import RequestError
from pellucid.figures.palette import SEQUENTIAL_DARK, ink_on, mix
from pellucid.terminal import line_of
from pellucid.tracing.predictions import Array
from pellucid.tracing.record import Trace

__all__ = ["TerminalStyle", "attention_text", "fitted", "shown", "style_for"]

_SHADES: Final = " .:-=+*#%@"
_LONGEST_LABEL: Final = 18
_RESET: Final = "\x1b[0m"


@dataclass(frozen=True)
class TerminalStyle:
    """What a terminal can show: its width, whether it has 24-bit colour, and whether it is limited to ASCII."""

    width: int = 80
    colour: bool = False
    ascii_only: bool = False
    numbers: bool = False
    """Whether each cell shows its weight in hundredths."""

    def __post_init__(self) -> None:
        if self.width < 1:
            raise RequestError(f"width = {self.width}; a terminal must have at least 1 column")


def style_for(
    environment: Mapping[str, str],
    *,
    width: int,
    is_terminal: bool,
    encoding: str,
    plain: bool = False,
    numbers: bool = False,
) -> TerminalStyle:
    """Choose a style for an output stream.

    Colour requires a terminal with 24-bit colour, or with 256 colours, because ssh loses ``COLORTERM``; ``plain`` and
    ``NO_COLOR`` switch it off. ``plain``, or an encoding other than UTF-8, means ASCII only.
    """
    term = environment.get("TERM", "")
    is_rich = environment.get("COLORTERM") in {"truecolor", "24bit"} or "256color" in term or term.endswith("-direct")
    return TerminalStyle(
        width=width,
        colour=is_terminal and is_rich and not plain and not environment.get("NO_COLOR"),
        ascii_only=plain or encoding.lower().replace("-", "").replace("_", "") != "utf8",
        numbers=numbers,
    )


def attention_text(
    trace: Trace,
    *,
    kind: str = "cross",
    layer: int | None = None,
    heads: Sequence[int] | None = None,
    words: bool = False,
    style: TerminalStyle | None = None,
) -> str:
    """Return heat maps of the chosen heads, one below the other, each line ended.

    All cells share the scale from 0 to 1. Rows of the decoder have both labels, fed → predicts.

    Raises:
        RequestError: the kind, layer or head does not exist.
    """
    style = style or TerminalStyle()
    picture = attention_picture(trace, kind, layer=layer, heads=heads, words=words)
    lines = [sentence_case(picture.place), sentence_case(picture.reading)]
    if picture.is_merged:
        lines.append(MERGING_RULE)
    lines.append(_scale(style))
    for head, weights in zip(picture.heads, picture.weights, strict=True):
        lines += ["", f"head {head}", *_heat_map(picture, weights, style)]
    return "\n".join(lines) + "\n"


def fitted(label: str, longest: int) -> str:
    """Cut a label to ``longest`` cells and mark the cut; characters that belong together are not separated."""
    if cell_len(label) <= longest:
        return label
    kept = ""
    for part in _clusters(label):
        if cell_len(kept + part) > longest - 1:
            break
        kept += part
    return kept + "…"


def shown(label: str, *, ascii_only: bool) -> str:
    """Return a label for a terminal: without control characters, and in ASCII only if requested."""
    if ascii_only:
        spelt = label.replace("\u2581", "_").replace("…", "~")
        label = spelt.encode("ascii", "backslashreplace").decode("ascii")
    return line_of(label)


def _scale(style: TerminalStyle) -> str:
    cells = "".join(_cell(step / 9, 2, style) for step in range(10))
    return f"weight 0 {cells} 1"


def _heat_map(picture: AttentionPicture, weights: Array, style: TerminalStyle) -> list[str]:
    sides = _row_labels(picture, style)
    left = max(map(cell_len, sides)) + 1
    names = [_label(column, style) for column in picture.labels.columns]
    cell = 4 if style.numbers else 2
    # The name of the last column of a block extends to the right of its cell.
    room = style.width - left - max(map(cell_len, names)) - 2
    per_block = max(1, room // cell + 1)
    total = len(names)
    lines: list[str] = []
    for first in range(0, total, per_block):
        after = min(first + per_block, total)
        if per_block < total:
            where = f"columns {first} to {after - 1} of 0 to {total - 1}"
            more = ", more below" if after < total else ""
            lines.append(f"{where}: the terminal is {style.width} wide{more}")
        lines += _staircase(names[first:after], left, cell, style)
        for side, row in zip(sides, weights[:, first:after], strict=True):
            blocks = "".join(_cell(float(value), cell, style) for value in row)
            lines.append(
                f"{_padded(side, left)}{blocks}".rstrip(" ") if not style.colour else _padded(side, left) + blocks
            )
    return lines


def _row_labels(picture: AttentionPicture, style: TerminalStyle) -> list[str]:
    """Return one label per row, or in a decoder two with an arrow between them."""
    rows = [_label(row, style) for row in picture.labels.rows]
    if picture.labels.predicts is None:
        return rows
    arrow = "->" if style.ascii_only else "→"
    width = max(map(cell_len, rows))
    predicts = [_label(label, style) for label in picture.labels.predicts]
    return [f"{_padded(row, width)} {arrow} {label}" for row, label in zip(rows, predicts, strict=True)]


def _staircase(names: Sequence[str], left: int, cell: int, style: TerminalStyle) -> list[str]:
    corner, post = ("+", "|") if style.ascii_only else ("┌", "│")
    lines = []
    for number, name in enumerate(names):
        posts = (post + " " * (cell - 1)) * number
        lines.append(" " * left + posts + f"{corner} {name}")
    return lines


def _cell(value: float, width: int, style: TerminalStyle) -> str:
    text = " " * width
    if style.numbers:
        text = f"{_hundredths(value)} "
    if not style.colour:
        shade = _SHADES[min(int(value * len(_SHADES)), len(_SHADES) - 1)] if value > 0 else " "
        return text if style.numbers else shade * width
    ground = mix(SEQUENTIAL_DARK, value)
    red, green, blue = ground
    ink = "\x1b[38;2;{};{};{}m".format(*ink_on(ground)) if style.numbers else ""
    return f"\x1b[48;2;{red};{green};{blue}m{ink}{text}{_RESET}"


def _hundredths(value: float) -> str:
    return "1.0" if value >= 0.995 else f"{value:.2f}"[1:]


def _label(piece: str, style: TerminalStyle) -> str:
    return shown(fitted(shown(piece, ascii_only=style.ascii_only), _LONGEST_LABEL), ascii_only=style.ascii_only)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))


def _clusters(text: str) -> list[str]:
    """Split a text where it can be cut: marks and joiners stay with the character before them."""
    parts: list[str] = []
    for character in text:
        category = unicodedata.category(character)
        if parts and (category.startswith("M") or category == "Cf" or parts[-1].endswith("\u200d")):
            parts[-1] += character
        else:
            parts.append(character)
    return parts
