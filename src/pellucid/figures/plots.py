"""Figures for papers: one method per figure, from a trace to a matplotlib figure.

    trace.plot.attention(layer=5, heads=[2, 4]).savefig("attention.pdf")

matplotlib is in the extra ``plots`` and is imported when the first figure is made. ``analysis/attention_picture.py``
chooses the numbers that a figure shows. Read ``attention.py`` next, which draws them.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pellucid.analysis.attention_picture import attention_picture, axis_words, merge_rows, sentence_case
from pellucid.analysis.heads import head_shares
from pellucid.durable import DISK
from pellucid.errors import ConfigError, RequestError
from pellucid.text.tokenizer import Tokenizer
from pellucid.tracing.record import Trace
from pellucid.tracing.sites import refuse_outside
from pellucid.tracing.tokens import Labels

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
"""The figures of a trace, which are methods of ``Plots``, and the options of each except the font."""

_ENDINGS: Final = (".pdf", ".svg", ".png")


@dataclass(frozen=True)
class Plots:
    """The figures of one trace; ``trace.plot`` returns this."""

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
            kind: ``encoder`` or ``decoder`` for self-attention, ``cross`` for the decoder's attention to the encoder.
            layer: counted from 0; the last one by default.
            heads: counted from 0; all by default.
            words: merge pieces to words: sum over columns, average over rows.
            font: a font file or an installed family, for scripts that DejaVu Sans does not have.

        Raises:
            RequestError: the kind, layer, head or font does not exist, or the font lacks a character.
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
        """Draw a line for each weight of at least ``threshold``, coloured by head, darker for larger weights.

        Arguments are those of ``attention``, and ``rows``: the positions that look, all by default.

        Raises:
            RequestError: as for ``attention``, or a row or the threshold is out of range.
            ConfigError: matplotlib is not installed.
        """
        _need_matplotlib()
        from pellucid.figures.attention import draw_links, links_caption

        picture = attention_picture(self.trace, kind, layer=layer, heads=heads, words=words)
        count = len(picture.labels.rows)
        if rows is not None and not rows:
            raise RequestError("rows = []; choose at least one row")
        for row in rows or ():
            refuse_outside("row", row, range(count))
        if not 0 < threshold <= 1:
            raise RequestError(f"threshold = {threshold}; it must be over 0 and at most 1")
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
        """Draw how much each head adds: the length of its share of the output, with one row per position.

        Raises:
            RequestError: as for ``attention``, or the trace has no model.
            ConfigError: matplotlib is not installed.
        """
        _need_matplotlib()
        from pellucid.figures.attention import draw_matrices

        picture = attention_picture(self.trace, kind, layer=layer, words=words)
        norms = head_shares(self.trace, picture.kind.at(picture.layer)).norms.T
        unit = "word" if words else "piece"
        if words:
            norms = merge_rows(norms, axis_words(self.trace.tokens, picture.kind)[0])
        rows, predicts = picture.labels.rows, picture.labels.predicts
        reading = f"Each row is a {unit}" if predicts is None else f"Each row was fed one {unit} and predicts the next"
        caption = [
            "What each head adds",
            f"{sentence_case(picture.place)}. {reading}; each cell is the length of the head's share of the output.",
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
        """Draw the position encodings of the model in its layout, with one row per position.

        Raises:
            RequestError: the trace has no model, or the model has fewer positions.
            ConfigError: matplotlib is not installed.
        """
        _need_matplotlib()
        from pellucid.figures.numbers import draw_positions

        if self.trace.model is None:
            raise RequestError(
                "position encodings require the model, and this trace has none; attach it with trace.attach(translator)"
            )
        config = self.trace.model.config
        refuse_outside("count", count, range(1, config.max_positions + 1))
        table = self.trace.model.encoder.input.positions(count).detach().cpu().double().numpy()
        return draw_positions(
            table, layout=str(config.position_layout), font=font, provenance=_provenance(self.trace, "positions")
        )

    def softmax(
        self, *, step: int, tokenizer: Tokenizer | None = None, count: int = 10, font: str | Path | None = None
    ) -> Figure:
        """Draw the most probable next pieces at a step of the decoder, with the chosen one marked.

        Args:
            step: row of the decoder, counted from 0.
            tokenizer: names the pieces; by default the one of the trace's translator.
            count: number of pieces.
            font: as for ``attention``.

        Raises:
            RequestError: there is no such step, or the trace has no predictions or no translator.
            ConfigError: matplotlib is not installed.
        """
        _need_matplotlib()
        from pellucid.figures.numbers import draw_softmax

        predictions, tokens = self.trace.predictions, self.trace.tokens
        if predictions is None:
            raise RequestError("this trace has no predictions, because it was made from arrays of another model")
        refuse_outside("step", step, range(tokens.target_length))
        refuse_outside("count", count, range(1, predictions.top_ids.shape[1] + 1))
        if tokenizer is None:
            if self.trace.translator is None:
                raise RequestError(
                    "the names of the pieces require a tokenizer; give one, or attach the translator with trace.attach"
                )
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
    """Draw a figure by its name; a choice that is None keeps the default of the figure.

    Args:
        trace: what to draw.
        name: a key of ``FIGURES``.
        font: as for ``Plots.attention``.
        choices: of ``FIGURES[name]``.

    Raises:
        RequestError: there is no such figure, it lacks a choice, or as for the figure itself.
        ConfigError: matplotlib is not installed.
    """
    given = refuse_misfit(name, **choices)
    drawn: Figure = getattr(Plots(trace), name)(font=font, **given)
    return drawn


def refuse_misfit(name: str, **choices: Any) -> dict[str, Any]:
    """Return the choices that are not None, after checking that the figure exists and accepts them.

    Raises:
        RequestError: there is no such figure, or it does not have a choice.
        ConfigError: matplotlib is not installed.
    """
    if name not in FIGURES:
        raise RequestError(f"figure = {name!r}; allowed are {', '.join(FIGURES)}")
    given = {key: value for key, value in choices.items() if value is not None and value is not False}
    for key in given:
        if key not in FIGURES[name]:
            allowed = ", ".join(FIGURES[name]) or "nothing but the font"
            raise RequestError(f"{key} = {given[key]!r} is not an option of the figure {name!r}, which has {allowed}")
    if name == "softmax" and "step" not in given:
        raise RequestError("the figure 'softmax' requires a step of the decoder, counted from 0")
    _need_matplotlib()
    return given


def loss(run_folder: str | Path, *, font: str | Path | None = None) -> Figure:
    """Draw the loss of a run over its steps, training and validation, with the learning rate below.

    Raises:
        DataError: metrics.jsonl is missing or cannot be read.
        ConfigError: matplotlib is not installed.
    """
    _need_matplotlib()
    from pellucid.figures.numbers import draw_loss, read_metrics

    return draw_loss(read_metrics(Path(run_folder)), font=font, provenance={"run_folder": str(run_folder)})


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure to a .pdf, .svg or .png file; an existing file is replaced only by a complete one.

    Raises:
        RequestError: the name has another ending.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in _ENDINGS:
        raise RequestError(f"{path}: the name of a figure must end in one of {', '.join(_ENDINGS)}")
    content = io.BytesIO()
    figure.savefig(content, format=ending[1:])
    DISK.write_replacing(path, content.getvalue())


def _need_matplotlib() -> None:
    try:
        found = version("matplotlib")
    except PackageNotFoundError:
        raise ConfigError("figures require matplotlib, which is not installed: pip install 'pellucid[plots]'") from None
    if tuple(map(int, found.split(".")[:2])) < (3, 11):
        raise ConfigError(
            f"figures require matplotlib 3.11 or newer, but {found} is installed; older versions cannot write "
            "right-to-left text: pip install 'pellucid[plots]'"
        )


def _provenance(trace: Trace, what: str) -> dict[str, object]:
    table = trace.provenance.to_table()
    del table["configuration"]
    return {"figure": what, "source": trace.source, "text": trace.text, **table}
