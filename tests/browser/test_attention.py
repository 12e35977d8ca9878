"""The three views of one attention: what they print step by step, in matrices and by heads is the trace and adds up."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import pytest

from .conftest import OpenPage, Serve
from .windows import Window

pytestmark = pytest.mark.slow

KINDS = {
    "encoder": "encoder.1.self_attention",
    "decoder": "decoder.1.self_attention",
    "cross": "decoder.1.cross_attention",
}
FIGURES = {
    "attention": ["attention-vectors", "attention-scores", "attention-products", "attention-context"],
    "matrices": ["matrices-projections", "matrices-scores", "matrices-context"],
    "heads": ["heads-concatenated", "heads-shares"],
}
SHAPES = [(1, 18), (16, 16)]
HEAD, ROW, COLUMN = 2, 3, 1
SOURCE, TARGET = "a cat </script>", "un chat"


@pytest.fixture(scope="module")
def pre_norm(serve: Serve, random_model: Callable[..., Path]) -> str:
    return serve(random_model(norm_order="pre", position_layout="half_split_t2t"))


@pytest.fixture(scope="module")
def served_shapes(serve: Serve, random_model: Callable[..., Path]) -> dict[tuple[int, int], str]:
    return {shape: serve(random_model(num_heads=shape[0], d_model=shape[1])) for shape in SHAPES}


def _opened(open_page: OpenPage, address: str, **state: object) -> Window:
    usual = {"source": SOURCE, "target": TARGET, "layer": 1, "heads": HEAD, "query": ROW, "key": COLUMN}
    context = {name: state.pop(name) for name in ("width", "color_scheme") if name in state}
    return open_page(f"{address}#{urlencode(usual | state)}", **context).ready()


def _column(window: Window, column: int) -> list[float]:
    """Return a column of the table of scores with all digits; what is printed is the same, in four digits."""
    found = window.page.evaluate(
        "(column) => [...document.querySelectorAll('[data-figure=attention-scores] .steps tbody tr')]"
        ".map((row) => row.children[column])"
        ".map((cell) => [cell.innerText, (cell.querySelector('[title]') ?? cell).title])",
        column,
    )
    for printed, digits in found:
        assert _number(printed) == pytest.approx(_number(digits), rel=1e-3, abs=1e-30)
    return [_number(digits) for _, digits in found]


def _number(text: str) -> float:
    return float(text.strip().replace("\u2212", "-"))


def _digits(window: Window, figure: str) -> list[list[str]]:
    """Return the cells of a list of numbers, with all their digits; empty where a cell is no number."""
    found: list[list[str]] = window.page.evaluate(
        "(figure) => [...document.querySelectorAll(`[data-figure=${figure}] .table-window tbody tr`)]"
        ".map((row) => [...row.children].map((cell) => cell.title))",
        figure,
    )
    return found


def _row(window: Window, site: str, *place: int) -> list[float]:
    shape, values = window.array(site)
    start = 0
    for index, size in zip(place, shape, strict=False):
        start = start * size + index
    width = math.prod(shape[len(place) :])
    return values[start * width : (start + 1) * width]


@pytest.mark.parametrize("kind", KINDS)
def test_scores_weights_and_sum_are_those_of_the_trace(pre_norm: str, open_page: OpenPage, kind: str) -> None:
    window = _opened(open_page, pre_norm, view="attention", kind=kind)
    for column, site in ((1, "scores"), (2, "scaled"), (4, "weights")):
        expected = _row(window, f"{KINDS[kind]}.{site}", HEAD, ROW)
        assert _column(window, column) == pytest.approx(expected, abs=1e-6)
    masked = window.page.locator("[data-figure=attention-scores] tbody tr.masked").count()
    length = len(_row(window, f"{KINDS[kind]}.weights", HEAD, ROW))
    assert masked == (length - ROW - 1 if kind == "decoder" else 0)
    z = window.page.locator("[data-figure=attention-context] tfoot td[title]").get_attribute("title")
    assert _number(z or "nan") == pytest.approx(_row(window, f"{KINDS[kind]}.context", HEAD, ROW)[0], abs=1e-6)


@pytest.mark.parametrize("view", FIGURES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("norm_order", ["pre", "post"])
def test_every_number_can_be_computed_again(
    serve: Serve,
    small_run: Path,
    open_page: OpenPage,
    pre_norm: str,
    view: str,
    kind: str,
    norm_order: str,
) -> None:
    address = pre_norm if norm_order == "pre" else serve(small_run)
    window = _opened(open_page, address, view=view, kind=kind, **{"attention.cell": "k1", "matrices.of": "v"})
    for figure in FIGURES[view]:
        window.page.click(f"[data-figure={figure}] .tools button:nth-child(2)")
        told = window.page.locator(f"[data-figure={figure}] .recomputed p").text_content() or ""
        computed, shown = (
            float(text.replace("\u2212", "-")) for text in re.findall(r"[-\u2212]?\d[\d.e\u2212-]*\d|\d", told)[:2]
        )
        assert computed == pytest.approx(shown, rel=1e-5, abs=1e-6), told
        assert "agrees" in (window.page.locator(f"[data-figure={figure}] .recomputed p").get_attribute("class") or "")


def test_four_clicks_from_the_start_to_the_products_of_it(serve: Serve, small_run: Path, open_page: OpenPage) -> None:
    window = open_page(serve(small_run)).ready().go(source="The dog saw it.", target="Le chien.")
    clicks = [
        "nav.chapters button:has-text('step by step') >> nth=0",
        "[data-figure=attention-scores] tbody button >> nth=0",
    ]
    for click in clicks:
        window.page.click(click)
        window.ready()
    assert len(clicks) <= 4
    heading = window.page.locator("[data-figure=attention-products] h3").text_content() or ""
    assert "“it”" in heading
    for text in ("q · k", "√8", "softmax"):
        assert text in (window.page.locator("[data-figure=attention-scores] thead").text_content() or "")


def test_the_products_add_up_to_the_score(pre_norm: str, open_page: OpenPage) -> None:
    window = _opened(open_page, pre_norm, view="attention", kind="cross")
    cells = _digits(window, "attention-products")
    products = [_number(row[3]) for row in cells]
    score = _row(window, "decoder.1.cross_attention.scores", HEAD, ROW)[COLUMN]
    assert [_number(row[1]) * _number(row[2]) for row in cells] == pytest.approx(products, abs=1e-6)
    assert sum(products) == pytest.approx(score, abs=1e-6)
    assert _number(cells[-1][4]) == pytest.approx(score, abs=1e-6)
    assert sorted(map(abs, products), reverse=True) == list(map(abs, products))


def test_a_cell_moves_every_highlight_of_the_matrices(pre_norm: str, open_page: OpenPage) -> None:
    window = _opened(open_page, pre_norm, view="matrices", kind="cross")
    grid = window.page.locator("[data-figure=matrices-projections] [role=grid]").first
    grid.focus()
    for key in ("Home", "ArrowUp", "Enter"):
        grid.press(key)
    grid.blur()
    window.ready()
    assert window.page.evaluate("__inspect.state().query") == ROW - 1
    assert f"Q[{ROW - 1}, 0]" in (window.page.locator(".block-says").first.text_content() or "")
    assert f"Z[{ROW - 1}, 0]" in (window.page.locator(".block-says").last.text_content() or "")
    frames = window.page.locator(".frame.pinned").count()
    assert frames == window.page.locator("[role=grid]").count()


def test_pixels_of_the_weights_are_the_palettes(pre_norm: str, open_page: OpenPage) -> None:
    window = _opened(open_page, pre_norm, view="matrices", kind="cross")
    shape, weights = window.array("decoder.1.cross_attention.weights?head=2")
    worst = window.page.evaluate(
        """([weights, rows, columns]) => {
            const canvas = document.querySelector('[data-figure=matrices-context] canvas');
            const pixels = canvas.getContext('2d').getImageData(0, 0, columns, rows).data;
            let worst = 0;
            const scale = {kind: 'sequential', most: 1};
            weights.forEach((weight, i) => __inspect.palette.colourOf(weight, scale).forEach((colour, c) => {
              worst = Math.max(worst, Math.abs(colour - pixels[4 * i + c]));
            }));
            return worst;
        }""",
        [weights, *shape],
    )
    assert worst <= 1


def test_shares_of_the_heads_add_up_to_the_output(pre_norm: str, open_page: OpenPage) -> None:
    window = _opened(open_page, pre_norm, view="heads", kind="encoder")
    window.page.click("[data-figure=heads-shares] .tools button:nth-child(1)")
    rows = [[_number(text) for text in row[1:]] for row in _digits(window, "heads-shares")]
    *parts, total, output = rows
    assert len(parts) == 3 + 1, "three heads and the bias"
    assert output[2:] == pytest.approx(_row(window, "encoder.1.self_attention.output", ROW), abs=1e-6)
    assert total[2:] == pytest.approx(output[2:], abs=1e-5)
    for column in range(2, len(output)):
        assert sum(part[column] for part in parts) == pytest.approx(output[column], abs=1e-5)
    assert sum(part[1] for part in parts) == pytest.approx(output[0], abs=1e-5), "along the output: its length"


@pytest.mark.parametrize("view", FIGURES)
def test_two_hundred_pieces_on_a_telephone(pre_norm: str, open_page: OpenPage, view: str) -> None:
    long = {"source": "a" * 199, "target": "b" * 199, "query": 150, "key": 7}
    window = _opened(open_page, pre_norm, view=view, kind="decoder", width=360, color_scheme="dark", **long)
    assert window.num_nodes() < 5000
    assert window.page.evaluate("document.documentElement.scrollWidth") <= 360
    window.screenshot(f"{view}-200-360-dark")


@pytest.mark.parametrize("view", FIGURES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_readers_of_all_kinds_are_served(pre_norm: str, open_page: OpenPage, view: str, scheme: str) -> None:
    window = _opened(open_page, pre_norm, view=view, kind="decoder", color_scheme=scheme)
    assert window.accessibility_problems() == []
    window.screenshot(f"{view}-{scheme}")


@pytest.mark.parametrize("view", FIGURES)
@pytest.mark.parametrize(("num_heads", "d_model"), SHAPES)
def test_one_wide_head_and_heads_of_one_number(
    served_shapes: dict[tuple[int, int], str], open_page: OpenPage, view: str, num_heads: int, d_model: int
) -> None:
    address = served_shapes[num_heads, d_model]
    state = {"source": "x", "target": "y", "heads": num_heads - 1, "query": 0, "key": 0}
    window = _opened(open_page, address, view=view, kind="cross", **state)
    for figure in FIGURES[view]:
        assert window.page.locator(f"[data-figure={figure}]").count() == 1
