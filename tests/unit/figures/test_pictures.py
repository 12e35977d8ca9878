"""Pictures from the command line: the same as from Python, where the output can take them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pellucid.cli.pictures import draw_figure, heads_of, show_in_terminal
from pellucid.errors import RequestError
from pellucid.figures.terminal import TerminalStyle, attention_text
from pellucid.tracing.record import Trace

TRACE = Trace.from_arrays(
    source_pieces=["▁ein", "</s>"],
    fed_pieces=["<s>"],
    predicted_pieces=["</s>"],
    attention={"decoder.0.cross_attention.weights": np.array([[[0.25, 0.75]], [[1.0, 0.0]], [[0.0, 1.0]]])},
)


def test_heads_are_numbers_with_commas() -> None:
    assert heads_of("2,4") == (2, 4)
    assert heads_of(None) is None
    with pytest.raises(RequestError, match="such as 2,4"):
        heads_of("2;4")


def test_the_terminal_shows_it(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "61")
    show_in_terminal(TRACE, "attention", heads=(2, 0), plain=True, numbers=True)
    style = TerminalStyle(width=61, ascii_only=True, numbers=True)
    assert capsys.readouterr().out == attention_text(TRACE, heads=[2, 0], style=style)
    with pytest.raises(RequestError, match="--show 'softmax'"):
        show_in_terminal(TRACE, "softmax")


def test_a_figure_is_written(tmp_path: Path) -> None:
    draw_figure(TRACE, "attention", tmp_path / "fig.svg", layer=0, heads=(1,), words=True)
    page = (tmp_path / "fig.svg").read_text(encoding="utf-8")
    assert "head 1" in page
    assert "head 0" not in page
