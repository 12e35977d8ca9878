"""What is shown is the trace: every site, every table, every CSV, and the colours of cells."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pellucid.figures.palette import NEGATIVE, POSITIVE, SEQUENTIAL, SEQUENTIAL_DARK, mix
from pellucid.tracing.record import Trace

from .conftest import OpenPage
from .models import Shown
from .windows import Window

pytestmark = pytest.mark.slow

SOURCE, TARGET = "The animal was tired.", "Il dort."
LAYER, STEP, HEAD, POSITION = 1, 2, 1, 3
MODELS = ["walkthrough", "pre"]
Array = np.ndarray[Any, Any]
Expected = Callable[[Trace], Array]


def _opened(shown: Shown, open_page: OpenPage, model: str, **state: object) -> tuple[Window, Trace]:
    window = open_page(shown.link(model, source=SOURCE, target=TARGET, **state)).ready()
    return window, shown.trace(model, SOURCE, TARGET)


@pytest.mark.parametrize("model", ["walkthrough", "pre", "learned"])
def test_the_page_has_the_values_of_every_site(shown: Shown, open_page: OpenPage, model: str) -> None:
    window, trace = _opened(shown, open_page, model, view="health")
    random = np.random.default_rng(3)
    picks = [(site, [int(random.integers(n)) for n in trace[site].shape]) for site in trace.sites for _ in range(2)]
    assert len(picks) > 100
    found = window.page.evaluate(
        "(picks) => Promise.all(picks.map(([site, index]) => __inspect.value(site, index)))", picks
    )
    for (site, index), value in zip(picks, found, strict=True):
        assert value == pytest.approx(float(trace[site][tuple(index)]), abs=1e-6, rel=1e-6), (site, index)


def _first_change(trace: Trace) -> Array:
    """How far the first sub-layer with its residual, and its norm where that comes after, moves each position."""
    configuration = trace.provenance.configuration
    assert configuration is not None
    end = "residual" if configuration.norm_order == "pre" else "norm"
    before, after = (trace[f"encoder.0.{name}"].astype(np.float64) for name in ("input", f"self_attention_{end}"))
    found: Array = np.linalg.norm(after - before, axis=-1) / np.linalg.norm(before, axis=-1)
    return found


def _entropies(trace: Trace, kind: str) -> Array:
    depth = sum(site.endswith(f"{kind.split('.')[1]}.weights") and site.startswith(kind[:7]) for site in trace.sites)
    rows = [trace[kind.replace(".", f".{layer}.") + ".weights"].astype(np.float64) for layer in range(depth)]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.concatenate([-np.nansum(w * np.log(w), axis=-1).mean(-1) for w in rows])


def _chosen(trace: Trace) -> Array:
    rows = trace["log_probabilities"]
    return np.exp(rows[np.arange(len(rows)), list(trace.tokens.predicted_ids)])


def _logits(trace: Trace) -> Array:
    return np.sort(trace["logits"][STEP])[::-1]


# For each picture: its view and state, which columns of its numbers to read (from, to), and what they are in the trace.
TABLES: dict[str, tuple[dict[str, object], int, int | None, Expected]] = {
    "black-box": ({"view": "translate"}, 3, 4, _chosen),
    "stack": ({"view": "stack"}, 2, None, _first_change),
    "strips-embedding": ({"view": "embeddings"}, 1, None, lambda t: t["source.embedding"]),
    "strips-input": ({"view": "embeddings", "embeddings.side": "target"}, 1, None, lambda t: t["target.input"]),
    "positions": ({"view": "positions"}, 1, None, lambda t: t["source.position"]),
    "attention-scores": (
        {"view": "attention", "kind": "cross", "layer": LAYER, "heads": HEAD, "query": STEP}, 2, 3,
        lambda t: t["decoder.1.cross_attention.scores"][HEAD, STEP],
    ),
    "matrices-context": (
        {"view": "matrices", "kind": "decoder", "layer": LAYER, "heads": HEAD}, 2, None,
        lambda t: t["decoder.1.self_attention.context"][HEAD],
    ),
    "matrices-scores": (
        {"view": "matrices", "kind": "encoder", "layer": LAYER, "heads": HEAD}, -1, None,
        lambda t: t["encoder.1.self_attention.weights"][HEAD],
    ),
    "heads-attention": (
        {"view": "heads", "kind": "cross", "layer": LAYER}, -1, None, lambda t: t["decoder.1.cross_attention.weights"],
    ),
    "heads-concatenated": (
        {"view": "heads", "kind": "encoder", "layer": LAYER, "query": POSITION}, 3, 4,
        lambda t: t["encoder.1.self_attention.output"][POSITION],
    ),
    "links": (
        {"view": "links", "kind": "decoder", "layer": LAYER}, -1, None, lambda t: t["decoder.1.self_attention.weights"],
    ),
    "atlas-cross": ({"view": "atlas"}, 3, 4, lambda t: _entropies(t, "decoder.cross_attention")),
    "residual": (
        {"view": "residual", "residual.block": "decoder.1.cross_attention", "residual.position": STEP}, 3, 4,
        lambda t: t["decoder.1.cross_attention_residual"][STEP],
    ),
    "layer-norm": (
        {"view": "residual", "residual.block": "encoder.1.feed_forward", "residual.position": POSITION}, 7, 8,
        lambda t: t["encoder.1.feed_forward_norm"][POSITION],
    ),
    "feed-forward": (
        {"view": "feed_forward", "kind": "encoder", "layer": LAYER, "query": POSITION}, 3, 4,
        lambda t: t["encoder.1.feed_forward.hidden"][POSITION],
    ),
    "feed-forward-all": (
        {"view": "feed_forward", "kind": "decoder", "layer": LAYER}, 3, None,
        lambda t: t["decoder.1.feed_forward.hidden"],
    ),
    "decoder-self": (
        {"view": "decoder", "layer": LAYER, "step": STEP}, 1, None,
        lambda t: t["decoder.1.self_attention.weights"][:, STEP, : STEP + 1],
    ),
    "decoder-cross": (
        {"view": "decoder", "layer": LAYER, "step": STEP}, 1, None,
        lambda t: t["decoder.1.cross_attention.weights"][:, STEP],
    ),
    "candidates": (
        {"view": "decoder", "step": STEP}, 3, 4, lambda t: np.exp(np.sort(t["log_probabilities"][STEP])[::-1][:10]),
    ),
    "softmax-vector": ({"view": "softmax", "step": STEP}, 1, 2, lambda t: t["decoder.output"][STEP]),
    "softmax": ({"view": "softmax", "step": STEP}, 3, 4, _logits),
}  # fmt: skip


def _csv(window: Window, figure: str, folder: Path) -> tuple[list[str], list[list[str]]]:
    download = window.save(figure, "CSV")
    assert download.suggested_filename == f"pellucid-{figure}.csv"
    download.save_as(folder / "table.csv")
    with (folder / "table.csv").open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    assert all(len(row) == len(head) for row in rows)
    return head, rows


def _numbers(rows: Sequence[Sequence[str]], start: int, stop: int | None) -> Array:
    return np.array([[float(text or "nan") for text in row[start:stop]] for row in rows])


@pytest.mark.parametrize("model", MODELS)
def test_tables_are_the_trace(shown: Shown, open_page: OpenPage, model: str, tmp_path: Path) -> None:
    """The CSV of a picture, all of it; and the table under it, whose cells tell all their digits."""
    window, trace = _opened(shown, open_page, model)
    for figure, (state, start, stop, expected) in TABLES.items():
        window.go(model=model, source=SOURCE, target=TARGET, **state)
        _, rows = _csv(window, figure, tmp_path)
        wanted = expected(trace)
        found = _numbers(rows, start, stop).ravel()[: wanted.size]
        np.testing.assert_allclose(found, wanted.ravel(), rtol=1e-6, atol=1e-6, err_msg=figure)
        window.page.click(f"[data-figure={figure}] .tools button:nth-child(1)")
        cells = window.page.evaluate(
            "(figure) => [...document.querySelectorAll(`[data-figure=${figure}] .table-window tbody tr`)]"
            ".map((row) => [...row.children].map((cell) => [cell.innerText, cell.title]))",
            figure,
        )
        assert cells, figure
        for line, row in zip(cells, rows, strict=False):
            assert len(line) == len(row), figure
            for (text, title), whole in zip(line, row, strict=True):
                if title:
                    assert float(title.replace("\u2212", "-")) == float(whole), figure
                    printed = float(text.replace("\u2212", "-").replace("∞", "inf"))
                    assert printed == pytest.approx(float(whole), rel=6e-4, abs=1e-30), figure


def _sequential(value: float, *, dark: bool) -> tuple[int, ...]:
    return mix(SEQUENTIAL_DARK if dark else SEQUENTIAL, value)


def _diverging(value: float) -> tuple[int, ...]:
    return mix(NEGATIVE if value < 0 else POSITIVE, abs(value))


def _pixels(window: Window, selector: str, places: Sequence[tuple[float, float]]) -> list[list[int]]:
    found: list[list[int]] = window.page.evaluate(
        """([selector, places]) => {
            const {width, height} = document.querySelector(selector);
            const {data} = document.querySelector(selector).getContext("2d").getImageData(0, 0, width, height);
            const start = ([x, y]) => 4 * (Math.floor(y) * width + Math.floor(x));
            return places.map((place) => [...data.subarray(start(place), start(place) + 3)]);
        }""",
        [selector, list(places)],
    )
    return found


def _close(found: Sequence[Sequence[int]], expected: Sequence[Sequence[int]]) -> None:
    assert len(found) == len(expected) > 0
    assert np.abs(np.array(found) - np.array(expected)).max() <= 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pixels_are_the_palette(shown: Shown, open_page: OpenPage, scheme: str) -> None:
    dark = scheme == "dark"
    pair = {"source": SOURCE, "target": TARGET}
    window = open_page(shown.link("walkthrough", view="decoder", layer=LAYER, step=STEP, **pair), color_scheme=scheme)
    trace = shown.trace("walkthrough", SOURCE, TARGET)
    weights = trace["decoder.1.cross_attention.weights"][:, STEP]
    heads, columns = weights.shape
    places = [(column, row) for row in range(heads) for column in range(columns)]
    expected = [_sequential(float(weights[row, column]), dark=dark) for column, row in places]
    _close(_pixels(window.ready(), "[data-figure=decoder-cross] canvas", places), expected)
    if not dark:
        window.go(model="walkthrough", view="softmax", step=STEP, **pair)
        vector = trace["decoder.output"][STEP]
        expected = [_diverging(float(value / np.abs(vector).max())) for value in vector]
        places = [(column, 0) for column in range(len(vector))]
        _close(_pixels(window, "[data-figure=softmax-vector] canvas", places), expected)
    window.go(model="walkthrough", view="atlas", **pair)
    _close(*_of_atlas(window, trace, dark=dark))


def _of_atlas(window: Window, trace: Trace, *, dark: bool) -> tuple[list[list[int]], list[tuple[int, ...]]]:
    """Sample the middles of cells in the small pictures of the cross-attention."""
    selector, gap = "[data-figure=atlas-cross] canvas", 8
    size = window.page.evaluate("(s) => { const c = document.querySelector(s); return [c.width, c.height]; }", selector)
    layers = [trace[f"decoder.{layer}.cross_attention.weights"] for layer in range(6)]
    heads, rows, columns = layers[0].shape
    width, height = size[0] / heads - gap, size[1] / len(layers) - gap
    places, expected = [], []
    random = np.random.default_rng(7)
    for _ in range(50):
        layer, head, row, column = (int(random.integers(n)) for n in (len(layers), heads, rows, columns))
        x = head * (width + gap) + (column + 0.5) * width / columns
        y = layer * (height + gap) + (row + 0.5) * height / rows
        places.append((x, y))
        expected.append(_sequential(round(float(layers[layer][head, row, column]) * 255) / 255, dark=dark))
    return _pixels(window, selector, places), expected


def test_the_number_under_a_matrix_has_all_its_digits(shown: Shown, open_page: OpenPage) -> None:
    window, trace = _opened(shown, open_page, "walkthrough", view="decoder", layer=LAYER, step=STEP)
    grid = window.page.locator("[data-figure=decoder-cross] [role=grid]")
    grid.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        grid.press(key)
    exact = window.page.locator("[data-figure=decoder-cross] .exact").inner_text()
    assert np.float32(exact) == trace["decoder.1.cross_attention.weights"][2, STEP, 1]
