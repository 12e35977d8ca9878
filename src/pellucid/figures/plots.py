"""Figures for papers: one function a figure, from a trace to a matplotlib figure.

    trace.plot.attention(layer=5, heads=[2, 4]).savefig("attention.pdf")

matplotlib comes with the extra ``plots`` and is imported when the first figure is made. What stands in a figure
is what stands in the trace. ``analysis/attention_picture.py`` chooses what is shown; read ``attention.py`` next, which
draws it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pellucid.analysis.attention_picture import attention_picture, axis_words, merge_rows
from pellucid.analysis.heads import head_shares
from pellucid.errors import ConfigError, RequestError
from pellucid.text.tokenizer import Tokenizer
from pellucid.tracing.record import Trace

if TYPE_CHECKING:
    from matplotlib.figure import Figure


__all__ = ["FIGURES", "Plots", "figure_named", "loss", "refuse_misfit", "save_figure"]

FIGURES: Final = {
    "attention": ("kind", "layer", "heads", "words"),
    "links": ("kind", "layer", "heads", "words"),
    "heads": ("kind", "layer", "words"),
    "positions": (),
    "softmax": ("step",),
}
"""The figures of a trace, methods of ``Plots``, and what can be chosen for each besides the font."""


@dataclass(frozen=True)
class Plots:
    """The figures of one trace; ``trace.plot`` makes this."""

    trace: Trace

    def attention(
        self,
        *,
        kind: str = "cross",
        layer: int | None = None,
        heads: Sequence[int] | None = None,
        words: bool = False,
        font: str | Path | None = None,
    ) -> Figure:
        """Draw the weights of heads as matrices side by side, all on the scale from 0 to 1.

        Args:
            kind: ``encoder`` or ``decoder`` for self-attention, ``cross`` for the decoder's over the encoder.
            layer: counted from 0; the last one if not given.
            heads: counted from 0; all if not given.
            words: words instead of pieces: summed over the pieces looked at, averaged over those that look.
            font: a font file or an installed family, for scripts that DejaVu Sans does not have.

        Raises:
            RequestError: no such kind, layer, head or font, or a character has no glyph.
            ConfigError: matplotlib is not installed.
        """
        _need_matplotlib()
        from pellucid.figures.attention import attention_caption, draw_matrices

        picture = attention_picture(self.trace, kind, layer=layer, heads=heads, words=words)
        return draw_matrices(
            picture.weights,
            picture.labels,
            titles=[f"head {head}" for head in picture.heads],
            caption=attention_caption(picture),
            unit="weight",
            most=1.0,
            font=font,
            provenance=_provenance(self.trace, picture.place),
        )

    def links(
        self,
        *,
        kind: str = "cross",
        layer: int | None = None,
        heads: Sequence[int] | None = None,
        rows: Sequence[int] | None = None,
        threshold: float = 0.05,
        words: bool = False,
        font: str | Path | None = None,
    ) -> Figure:
        """Draw who looks at whom: a line for each weight of at least ``threshold``, by head, stronger ones darker.

        Args are those of ``attention``, and ``rows``: the positions that look, all if not given.

        Raises:
            RequestError: as ``attention``, or a row or the threshold is out of range.
            ConfigError: matplotlib is not installed.
        """
        _need_matplotlib()
        from pellucid.figures.attention import draw_links, links_caption

        picture = attention_picture(self.trace, kind, layer=layer, heads=heads, words=words)
        count = len(picture.labels.rows)
        if rows is not None and (not rows or not all(0 <= row < count for row in rows)):
            raise RequestError(f"rows = {list(rows)}; there are rows 0 to {count - 1}, and at least one is needed")
        if not 0 < threshold <= 1:
            raise RequestError(f"threshold = {threshold}; give a weight over 0 and up to 1")
        return draw_links(
            picture,
            rows=rows,
            threshold=threshold,
            caption=links_caption(picture),
            font=font,
            provenance=_provenance(self.trace, picture.place),
        )

    def heads(
        self,
        *,
        kind: str = "cross",
        layer: int | None = None,
        words: bool = False,
        font: str | Path | None = None,
    ) -> Figure:
        """Draw how much each head adds: the length of its share of the output, a row for each position.

        Raises:
            RequestError: as ``attention``, or the trace has no model.
            ConfigError: matplotlib is not installed.
        """
        _need_matplotlib()
        from pellucid.figures.attention import draw_matrices, sentence_case
        from pellucid.tracing.tokens import Labels

        picture = attention_picture(self.trace, kind, layer=layer, words=words)
        norms = head_shares(self.trace, picture.kind.at(picture.layer)).norms.T
        unit = "word" if words else "piece"
        if words:
            norms = merge_rows(norms, axis_words(self.trace.tokens, picture.kind)[0])
        rows, predicts = picture.labels.rows, picture.labels.predicts
        reading = f"Each row is a {unit}" if predicts is None else f"Each row was fed one {unit} and predicts the next"
        caption = [
            "What each head adds",
            f"{sentence_case(picture.place)}. {reading}; a cell is the length of the head's share of the output.",
            *(["Words: averaged over their pieces."] if words else []),
        ]
        return draw_matrices(
            norms[None],
            Labels(rows, tuple(f"head {head}" for head in picture.heads), predicts),
            titles=[""],
            caption=caption,
            unit="length",
            most=float(norms.max()),
            font=font,
            provenance=_provenance(self.trace, picture.place),
        )

    def positions(self, *, count: int = 50, font: str | Path | None = None) -> Figure:
        """Draw the position encodings of the model, in its own layout: a row for each position.

        Raises:
            RequestError: the trace has no model, or the model has fewer positions.
            ConfigError: matplotlib is not installed.
        """
        _need_matplotlib()
        from pellucid.figures.numbers import draw_positions

        if self.trace.model is None:
            raise RequestError("position encodings take the model, and this trace has none; give it with trace.attach")
        config = self.trace.model.config
        if not 1 <= count <= config.max_positions:
            raise RequestError(f"count = {count}; the model has 1 to {config.max_positions} positions")
        table = self.trace.model.encoder.input.positions(count).detach().cpu().double().numpy()
        return draw_positions(
            table, layout=str(config.position_layout), font=font, provenance=_provenance(self.trace, "positions")
        )

    def softmax(
        self, *, step: int, tokenizer: Tokenizer | None = None, count: int = 10, font: str | Path | None = None
    ) -> Figure:
        """Draw the most probable next pieces at a step of the decoder, the chosen one marked, and the rest.

        Args:
            step: row of the decoder, counted from 0.
            tokenizer: names the pieces that are not in the sentence; that of the trace's translator if not given.
            count: how many pieces.
            font: as for ``attention``.

        Raises:
            RequestError: there is no such step, or the trace has no predictions or no translator.
            ConfigError: matplotlib is not installed.
        """
        _need_matplotlib()
        from pellucid.figures.numbers import draw_softmax

        predictions, tokens = self.trace.predictions, self.trace.tokens
        if predictions is None:
            raise RequestError("this trace has no predictions: it was made of arrays of another model")
        if not 0 <= step < tokens.target_length:
            raise RequestError(f"step = {step}; this translation has steps 0 to {tokens.target_length - 1}")
        if not 1 <= count <= predictions.top_ids.shape[1]:
            raise RequestError(f"count = {count}; a trace keeps 1 to {predictions.top_ids.shape[1]} pieces a step")
        if tokenizer is None:
            if self.trace.translator is None:
                raise RequestError("the pieces take the tokenizer; give it, or the translator with trace.attach")
            tokenizer = self.trace.translator.tokenizer
        ids = [int(number) for number in predictions.top_ids[step, :count]]
        return draw_softmax(
            tokenizer.target_pieces(ids),
            np.exp(predictions.top_log_probabilities[step, :count].astype(np.float64)),
            fed=tokens.fed_pieces[step],
            chosen=tokens.predicted_pieces[step],
            chosen_probability=float(np.exp(np.float64(predictions.target_log_probability[step]))),
            chosen_place=ids.index(tokens.predicted_ids[step]) if tokens.predicted_ids[step] in ids else None,
            step=step,
            font=font,
            provenance=_provenance(self.trace, f"softmax, step {step}"),
        )


def figure_named(trace: Trace, name: str, *, font: str | Path | None = None, **choices: Any) -> Figure:
    """Draw the figure of a name; a choice that is None is left to the figure.

    Args:
        trace: what to draw.
        name: a key of ``FIGURES``.
        font: as for ``Plots.attention``.
        choices: of ``FIGURES[name]``.

    Raises:
        RequestError: there is no such figure, a choice does not go with it, or as the figure itself.
        ConfigError: matplotlib is not installed.
    """
    given = refuse_misfit(name, **choices)
    drawn: Figure = getattr(Plots(trace), name)(font=font, **given)
    return drawn


def refuse_misfit(name: str, **choices: Any) -> dict[str, Any]:
    """Return the choices that are made, if there is such a figure, they go with it, and it could be drawn here.

    Raises:
        RequestError: there is no such figure, or a choice does not go with it.
        ConfigError: matplotlib is not installed.
    """
    if name not in FIGURES:
        raise RequestError(f"figure = {name!r}; allowed are {', '.join(FIGURES)}")
    given = {key: value for key, value in choices.items() if value is not None and value is not False}
    for key in given:
        if key not in FIGURES[name]:
            allowed = ", ".join(FIGURES[name]) or "nothing but the font"
            raise RequestError(f"{key} = {given[key]!r} does not go with the figure {name!r}, which takes {allowed}")
    if name == "softmax" and "step" not in given:
        raise RequestError("the figure 'softmax' takes a step of the decoder, counted from 0")
    _need_matplotlib()
    return given


def loss(run_folder: str | Path, *, font: str | Path | None = None) -> Figure:
    """Draw the loss of a run over its steps, training and validation, with the learning rate below.

    Raises:
        DataError: the folder has no metrics.jsonl, or it cannot be read.
        ConfigError: matplotlib is not installed.
    """
    _need_matplotlib()
    from pellucid.figures.numbers import draw_loss, read_metrics

    return draw_loss(read_metrics(Path(run_folder)), font=font, provenance={"run_folder": str(run_folder)})


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure to a .pdf, .svg or .png file, which takes its name when it is complete.

    Raises:
        RequestError: the name ends otherwise.
    """
    from pellucid.figures.canvas import save_figure as save

    save(figure, path)


def _need_matplotlib() -> None:
    try:
        found = version("matplotlib")
    except PackageNotFoundError:
        raise ConfigError("figures take matplotlib, which is not installed: pip install 'pellucid[plots]'") from None
    if tuple(map(int, found.split(".")[:2])) < (3, 11):
        raise ConfigError(
            f"figures take matplotlib 3.11 or newer, and {found} is installed; older ones cannot write from right to "
            "left: pip install 'pellucid[plots]'"
        )


def _provenance(trace: Trace, what: str) -> dict[str, object]:
    table = trace.provenance.to_table()
    del table["configuration"]
    return {"figure": what, "source": trace.source, "text": trace.text, **table}
