"""The sheet that figures are drawn on: one style, sizes in inches, files with provenance and without a date.

Nothing here uses pyplot. Text stays text in SVG and in PDF (TrueType, embedded). With the same libraries, the same
trace gives the same file, byte for byte. Read ``attention.py`` next.
"""

from __future__ import annotations

import json
import re
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import matplotlib
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text

from pellucid.errors import RequestError
from pellucid.figures.palette import NEGATIVE, POSITIVE, SEQUENTIAL, Colour
from pellucid.version import __version__

__all__ = [
    "DIVERGING_SCALE",
    "FAINT",
    "INK",
    "LABEL_SIZE",
    "LINE_HEIGHT",
    "QUIET",
    "SEQUENTIAL_SCALE",
    "Sheet",
    "display_label",
    "families_for",
    "paper_style",
    "text_width",
    "wrapped",
]

INK: Final = "#1b1d21"
QUIET: Final = "#5f656d"
FAINT: Final = "#c9cccf"
LABEL_SIZE: Final = 7.0
LINE_HEIGHT: Final = 0.14
"""Inches from one line of a caption to the next."""
BUNDLED_FAMILY: Final = "DejaVu Sans"
"""Part of matplotlib, so a figure looks the same everywhere; it has Latin, Greek, Cyrillic, Arabic, Hebrew and more."""
_FONT_FILES: Final = (".ttf", ".otf", ".ttc")
_MISSING_GLYPH: Final = re.compile(r"Glyph (\d+) .* missing from font\(s\) (.*)\.")
_DPI: Final = 300


def _scale(name: str, points: Sequence[Colour]) -> LinearSegmentedColormap:
    return LinearSegmentedColormap.from_list(name, [tuple(part / 255 for part in point) for point in points], N=1024)


SEQUENTIAL_SCALE: Final = _scale("pellucid sequential", SEQUENTIAL)
DIVERGING_SCALE: Final = _scale("pellucid diverging", (*NEGATIVE[:0:-1], *POSITIVE))


class Sheet(Figure):
    """A matplotlib figure whose files have one style and contain their provenance."""

    def __init__(
        self,
        width: float,
        height: float,
        *,
        families: Sequence[str],
        title: str,
        provenance: dict[str, object] | None = None,
    ) -> None:
        self.families = tuple(families)
        self.title = title
        self.provenance = provenance or {}
        super().__init__(figsize=(width, height), dpi=_DPI, facecolor="white")

    def place(self, left: float, top: float, width: float, height: float) -> Axes:
        """Add axes at a place in inches, from the left and the top."""
        whole_width, whole_height = (float(side) for side in self.get_size_inches())
        bottom = whole_height - top - height
        return self.add_axes((left / whole_width, bottom / whole_height, width / whole_width, height / whole_height))

    def write(self, left: float, top: float, text: str, **settings: Any) -> Text:
        """Write text at a place in inches, from the left and the top."""
        width, height = (float(side) for side in self.get_size_inches())
        return self.text(left / width, 1 - top / height, text, **settings)

    def write_caption(self, left: float, top: float, lines: Sequence[str], **settings: Any) -> None:
        """Write the lines of a caption, the first one darker."""
        for number, line in enumerate(lines):
            self.write(left, top + LINE_HEIGHT * number, line, color=QUIET if number else INK, **settings)

    def savefig(self, fname: Any, **settings: Any) -> None:
        """Write the figure as matplotlib does, with text as text, provenance and no date."""
        ending = str(settings.get("format") or Path(str(fname)).suffix).removeprefix(".").lower()
        settings.setdefault("metadata", self._metadata(ending))
        settings.setdefault("dpi", _DPI)
        with paper_style(self.families):
            super().savefig(fname, **settings)

    def _metadata(self, ending: str) -> dict[str, Any]:
        origin = json.dumps(self.provenance, ensure_ascii=ending == "pdf", sort_keys=True)
        creator = f"pellucid {__version__}"
        if ending == "pdf":
            return {"Title": self.title, "Subject": origin, "Creator": creator, "CreationDate": None}
        if ending == "svg":
            return {"Title": self.title, "Description": origin, "Creator": creator, "Date": None}
        if ending == "png":
            return {"Title": self.title, "Description": origin, "Creator": creator, "Software": None}
        return {}


@contextmanager
def paper_style(families: Sequence[str]) -> Iterator[None]:
    """Draw in one style, independent of the user's matplotlib settings.

    Raises:
        RequestError: no font has a character. matplotlib itself would warn and draw a box.
    """
    style: dict[Any, Any] = {  # matplotlib's stubs list every key
        "font.family": list(families),
        "font.size": LABEL_SIZE,
        "text.color": INK,
        "text.usetex": False,
        "text.parse_math": False,  # a token may hold dollar signs
        "axes.edgecolor": FAINT,
        "axes.linewidth": 0.5,
        "axes.labelcolor": QUIET,
        "axes.unicode_minus": True,
        "xtick.color": QUIET,
        "ytick.color": QUIET,
        "lines.scale_dashes": False,
        "path.simplify": False,
        "savefig.bbox": None,
        "savefig.transparent": False,
        "savefig.facecolor": "auto",
        "svg.fonttype": "none",
        "svg.hashsalt": "pellucid",
        "pdf.fonttype": 42,
        "pdf.compression": 6,
    }
    try:
        with matplotlib.rc_context(style), warnings.catch_warnings():
            warnings.filterwarnings("error", _MISSING_GLYPH.pattern, UserWarning)
            yield
    except UserWarning as warning:
        if not (missing := _MISSING_GLYPH.match(str(warning))):
            raise
        character = chr(int(missing[1]))
        raise RequestError(
            f"no glyph for {character} (U+{ord(character):04X}, {unicodedata.name(character, 'unnamed')}) in "
            f"{missing[2]}; choose an installed family or a font file that has it: font='path/to/font.ttf', or on "
            "the command line --font path/to/font.ttf"
        ) from None


def families_for(font: str | Path | None) -> tuple[str, ...]:
    """Return the font families in order: the requested one, then the bundled one.

    Args:
        font: a font file, or the name of an installed family.

    Raises:
        RequestError: there is no such file or family.
    """
    if font is None:
        return (BUNDLED_FAMILY,)
    is_file = isinstance(font, Path) or str(font).lower().endswith(_FONT_FILES)
    family = _family_of(Path(font)) if is_file else str(font)
    try:
        font_manager.findfont(FontProperties(family=[family]), fallback_to_default=False)
    except ValueError:
        raise RequestError(
            f"font = {str(font)!r} is not an installed font family; give the name of one, or the path of a file "
            f"that ends in {', '.join(_FONT_FILES)}"
        ) from None
    return (family,) if family == BUNDLED_FAMILY else (family, BUNDLED_FAMILY)


def _family_of(path: Path) -> str:
    known = {entry.fname: entry.name for entry in reversed(font_manager.fontManager.ttflist)}
    whole = str(path.resolve())
    if whole in known:
        return known[whole]
    try:
        font_manager.fontManager.addfont(whole)
    except (OSError, RuntimeError) as error:
        raise RequestError(f"font = {str(path)!r} cannot be read as a font file: {error}") from None
    return next(entry.name for entry in font_manager.fontManager.ttflist if entry.fname == whole)


def text_width(labels: Sequence[str], *, size: float = LABEL_SIZE) -> float:
    """Return the width of the widest label in inches in the current style; 0 without labels."""
    canvas = FigureCanvasAgg(Figure(figsize=(0.1, 0.1), dpi=_DPI))
    renderer: RendererBase = canvas.get_renderer()  # type: ignore[no-untyped-call]
    widths = [
        Text(0, 0, label, size=size, figure=canvas.figure).get_window_extent(renderer).width / _DPI for label in labels
    ]
    return max(widths, default=0.0)


def wrapped(lines: Sequence[str], width: float) -> tuple[str, ...]:
    """Break lines at spaces so that none is wider than ``width`` inches, except for single long words."""
    found: list[str] = []
    for line in lines:
        words = line.split(" ")
        found.append(words[0])
        for word in words[1:]:
            longer = f"{found[-1]} {word}"
            if text_width([longer]) <= width:
                found[-1] = longer
            else:
                found.append(word)
    return tuple(found)


def display_label(piece: str) -> str:
    """Return a piece as figures show it: bytes as ⟨E4⟩, control characters as escapes."""
    if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
        return f"⟨{piece[3:5]}⟩"
    return "".join(
        character.encode("unicode_escape").decode("ascii") if _is_invisible(character) else character
        for character in piece
    )


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Zl", "Zp", "Cs"}
