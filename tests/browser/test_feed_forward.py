"""The feed-forward network: what its pictures print is the trace, adds up, and is the same in the file."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from pellucid.figures.palette import NEGATIVE, POSITIVE, mix
from pellucid.jobs.surface import Trace

from .conftest import OpenPage, Serve
from .models import Shown, save_random_model
from .windows import Window

pytestmark = pytest.mark.slow

Array = np.ndarray[Any, Any]
SOURCE, TARGET = "a cat </script>", "un chat"
LAYER, WORD, UNIT, DIMENSION = 1, 3, 7, 5
PLACE = {"source": SOURCE, "target": TARGET, "view": "feed_forward", "layer": LAYER, "query": WORD}
FIGURES = ["feed-forward", "feed-forward-unit", "feed-forward-sum", "feed-forward-words", "feed-forward-all"]
MODELS: dict[str, dict[str, object]] = {
    "relu": {},
    "gelu": {"activation": "gelu", "norm_order": "pre", "position_layout": "half_split_t2t"},
    "swish": {"activation": "swish", "norm_order": "pre", "num_encoder_layers": 3, "num_decoder_layers": 2},
}
CASES = [("relu", "encoder"), ("relu", "decoder"), ("gelu", "decoder"), ("swish", "encoder")]
ENTRIES = {
    ("relu", "encoder"): "self_attention_norm",
    ("relu", "decoder"): "cross_attention_norm",
    ("gelu", "decoder"): "feed_forward_norm",
    ("swish", "encoder"): "feed_forward_norm",
}


@pytest.fixture(scope="module")
def networks(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """Return one server of a model for each activation, in both orders of the norm, with biases that are not zero."""
    at = tmp_path_factory.mktemp("networks")
    folders = {name: save_random_model(at / name, bias_deviation=0.3, **MODELS[name]) for name in MODELS}
    return Shown(serve(*folders.values()), folders)


def _weights(trace: Trace, stack: str) -> dict[str, Array]:
    assert trace.model is not None
    start = f"{stack}.layers.{LAYER}.feed_forward."
    return {
        name.removeprefix(start): value.detach().double().numpy()
        for name, value in trace.model.named_parameters()
        if name.startswith(start)
    }


def _opened(networks: Shown, open_page: OpenPage, model: str, kind: str, **more: object) -> tuple[Window, Trace]:
    context = {name: more.pop(name) for name in ("width", "color_scheme") if name in more}
    window = open_page(networks.link(model, **(PLACE | {"kind": kind} | more)), **context).ready()
    return window, networks.trace(model, SOURCE, TARGET)


def _csv(window: Window, figure: str, folder: Path) -> tuple[list[str], list[list[str]]]:
    window.save(figure, "CSV").save_as(folder / "table.csv")
    with (folder / "table.csv").open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    return head, rows


def _column(rows: list[list[str]], column: int) -> Array:
    return np.array([float(row[column]) for row in rows if row[column] != ""])


def _titles(window: Window, selector: str) -> Array:
    """Return numbers with all their digits; what is printed is the same, in four."""
    found = window.page.evaluate(
        "(s) => [...document.querySelectorAll(s)].map((e) => [e.innerText, e.title])", selector
    )
    pairs = [[float(text.replace("\u2212", "-")) for text in both] for both in found]
    for printed, digits in pairs:
        assert printed == pytest.approx(digits, rel=6e-4, abs=1e-30)
    return np.array([digits for _, digits in pairs])


def _by_hand(window: Window, figure: str) -> tuple[float, float]:
    """Return what the page computes again, and what it is held against."""
    window.page.click(f"[data-figure={figure}] .tools button:has-text('Recompute')")
    told = window.page.locator(f"[data-figure={figure}] .recomputed p").inner_text().replace("\u2212", "-")
    found = re.fullmatch(r".*By hand (\S+); the model has (\S+)\. Difference .*", told)
    assert found, told
    assert window.page.locator(f"[data-figure={figure}] .agrees").count() == 1, told
    return float(found[1]), float(found[2])


@pytest.mark.parametrize(("model", "kind"), CASES)
def test_what_is_printed_is_the_trace(
    networks: Shown, open_page: OpenPage, model: str, kind: str, tmp_path: Path
) -> None:
    window, trace = _opened(networks, open_page, model, kind, **{"feed_forward.unit": UNIT})
    at = f"{kind}.{LAYER}"
    pre, hidden = trace[f"{at}.feed_forward.pre_activation"], trace[f"{at}.feed_forward.hidden"]
    _, rows = _csv(window, "feed-forward", tmp_path)
    columns = [trace[f"{at}.{ENTRIES[model, kind]}"], pre, hidden, trace[f"{at}.feed_forward.output"]]
    for number, site in enumerate(columns, start=1):
        np.testing.assert_allclose(_column(rows, number), site[WORD], rtol=1e-6, atol=1e-6)
    awake = int((pre[WORD] > 0).sum())
    assert 0 < awake < pre.shape[1]
    assert f" {awake} of them (" in window.page.inner_text("[data-figure=feed-forward] .says")

    for column, site in ((2, pre), (3, hidden)):
        cells = f"[data-figure=feed-forward-words] tbody td:nth-child({column})"
        np.testing.assert_allclose(_titles(window, cells), site[:, UNIT], rtol=1e-6, atol=1e-6)
    first = 3 if kind == "decoder" else 2
    _, rows = _csv(window, "feed-forward-all", tmp_path)
    found = np.array([[float(text) for text in row[first:]] for row in rows])
    np.testing.assert_allclose(found, hidden, rtol=1e-6, atol=1e-6)
    if kind == "decoder":
        both = zip(trace.tokens.fed_pieces, trace.tokens.predicted_pieces, strict=True)
        assert [tuple(row[1:3]) for row in rows] == list(both)


@pytest.mark.parametrize(("model", "kind"), CASES)
def test_a_unit_opened_and_all_of_them_add_up(
    networks: Shown, open_page: OpenPage, model: str, kind: str, tmp_path: Path
) -> None:
    at = f"{kind}.{LAYER}"
    pre = networks.trace(model, SOURCE, TARGET)[f"{at}.feed_forward.pre_activation"][WORD]
    unit = int(np.argsort(-pre)[1])  # awake: of one that is cut to 0, a wrong sum would look right
    state = {"feed_forward.unit": unit, "feed_forward.at": DIMENSION, "feed_forward.most": "4"}
    window, trace = _opened(networks, open_page, model, kind, **state)
    weights = _weights(trace, kind)
    x = trace[f"{at}.{ENTRIES[model, kind]}"][WORD].astype(np.float64)
    p, h, output = (trace[f"{at}.feed_forward.{name}"][WORD] for name in ("pre_activation", "hidden", "output"))

    _, rows = _csv(window, "feed-forward-unit", tmp_path)
    hears, writes = weights["inner.weight"][unit], weights["outer.weight"][:, unit]
    for column, expected in ((1, x), (2, hears), (3, x * hears), (4, writes), (5, h[unit] * writes)):
        np.testing.assert_allclose(_column(rows, column), expected, rtol=1e-6, atol=1e-6)
    assert _column(rows, 3).sum() + weights["inner.bias"][unit] == pytest.approx(p[unit], abs=1e-6)
    assert _titles(window, ".pre-activation")[0] == pytest.approx(p[unit], abs=1e-6)
    assert _titles(window, ".activation-value")[0] == pytest.approx(h[unit], abs=1e-6)
    assert _by_hand(window, "feed-forward-unit") == pytest.approx((h[unit], h[unit]), abs=1e-6)
    assert _by_hand(window, "feed-forward") == pytest.approx((h[unit], h[unit]), abs=1e-6)
    assert _by_hand(window, "feed-forward-sum") == pytest.approx((output[DIMENSION],) * 2, abs=2e-6)

    _, rows = _csv(window, "feed-forward-sum", tmp_path)
    *parts, total, shown = rows
    strongest = np.argsort(-np.abs(h) * np.linalg.norm(weights["outer.weight"], axis=0), kind="stable")[:4]
    assert [row[0] for row in parts] == [*(f"unit {own}" for own in strongest), f"the other {len(h) - 4}", "b₂"]
    vectors = np.array([[float(text) for text in row[3:]] for row in parts])
    np.testing.assert_allclose(vectors[:4], h[strongest, None] * weights["outer.weight"].T[strongest], atol=1e-6)
    np.testing.assert_allclose(vectors.sum(0), output, atol=1e-6)
    np.testing.assert_allclose(vectors.sum(0), np.array(total[3:], float), atol=1e-6)
    np.testing.assert_allclose(np.array(shown[3:], float), output, atol=1e-6)


def test_the_activations_are_those_of_the_model(networks: Shown, open_page: OpenPage) -> None:
    window, _ = _opened(networks, open_page, "relu", "encoder")
    values = torch.linspace(-9, 9, 3001, dtype=torch.float64)
    functions = {"relu": functional.relu, "gelu": functional.gelu, "swish": functional.silu}
    for name, function in functions.items():
        found = window.page.evaluate(
            "([name, values]) => import('pellucid/views/feed_forward/parts')"
            ".then(({ACTIVATIONS}) => values.map(ACTIVATIONS[name].of))",
            [name, values.tolist()],
        )
        np.testing.assert_allclose(found, function(values).numpy(), rtol=1e-11, atol=1e-13, err_msg=name)


def test_units_that_write_nothing_are_not_among_the_strongest(networks: Shown, open_page: OpenPage) -> None:
    window, _ = _opened(networks, open_page, "relu", "encoder")
    found = window.page.evaluate(
        """async () => {
            const {Tensor} = await import('pellucid/data');
            const {partsOf} = await import('pellucid/views/feed_forward/parts');
            const weight = new Tensor(Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3]);
            const {strongest, rest, sum} = partsOf({one: {h: [0, 2, 0]}, weight, bias: [1, -1], most: 2});
            return [strongest, [...rest], [...sum]];
        }"""
    )
    assert found == [[1], [0, 0], [5, 9]]


@pytest.mark.parametrize("order", ["place", "strength"])
def test_cells_are_units_in_the_order_asked_for(networks: Shown, open_page: OpenPage, order: str) -> None:
    window, trace = _opened(networks, open_page, "relu", "encoder", **{"feed_forward.order": order})
    p, h = (trace[f"encoder.{LAYER}.feed_forward.{name}"][WORD] for name in ("pre_activation", "hidden"))
    units = np.argsort(-p, kind="stable") if order == "strength" else np.arange(len(p))
    most = np.abs(p).max()
    for number, values in enumerate((p, h)):
        found = window.page.evaluate(
            "(n) => { const it = document.querySelectorAll('[data-figure=feed-forward] .block canvas')[n];"
            "return [...it.getContext('2d').getImageData(0, 0, it.width, it.height).data]; }",
            number,
        )
        pixels = np.array(found).reshape(-1, 4)[: len(p), :3]
        expected = [mix(NEGATIVE if v < 0 else POSITIVE, abs(v)) for v in (values[units] / most).tolist()]
        assert np.abs(pixels - np.array(expected)).max() <= 1
    assert window.page.inner_text("[data-figure=feed-forward-unit] h3").endswith(f"unit {int(p.argmax())}")


def test_a_unit_is_chosen_by_keyboard(networks: Shown, open_page: OpenPage) -> None:
    window, trace = _opened(networks, open_page, "relu", "encoder")
    page, state = window.page, "__inspect.state()['feed_forward.unit']"
    ranked = np.argsort(-trace[f"encoder.{LAYER}.feed_forward.pre_activation"][WORD], kind="stable")
    page.focus("[data-figure=feed-forward] .block [role=grid] >> nth=0")
    for key in ("Home", "ArrowRight", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    window.until(f"{state} === '2'")
    assert page.evaluate("document.activeElement.querySelector('[role=gridcell]').textContent").startswith(
        "unit 2: p = "
    )
    page.focus(".unit-picker input")
    page.keyboard.press("Control+A")
    page.keyboard.type("999")
    page.keyboard.press("Enter")
    window.until(f"{state} === '22'")  # brought back to what there is
    page.focus(".unit-picker button:has-text('the strongest here')")
    page.keyboard.press("Enter")
    window.until(f"!{state}")
    page.focus(".unit-picker button:has-text('weaker')")
    page.keyboard.press(" ")
    window.until(f"(unit) => {state} === unit", str(ranked[1]))
    assert window.ready().page.inner_text("[data-figure=feed-forward-unit] h3").endswith(f"unit {ranked[1]}")
    page.focus("[data-figure=feed-forward-all] [role=grid]")
    for key in ("ArrowUp", "Enter"):
        page.keyboard.press(key)
    window.until(f"__inspect.state().query === {WORD - 1}")
    assert page.evaluate(state) == str(ranked[1]), "the same unit, another word"


def test_the_same_unit_at_another_word(networks: Shown, open_page: OpenPage) -> None:
    window, trace = _opened(networks, open_page, "gelu", "decoder", **{"feed_forward.unit": UNIT})
    hidden = trace[f"decoder.{LAYER}.feed_forward.hidden"]
    words = window.page.locator("[data-figure=feed-forward-words] .word")
    assert words.count() == len(hidden)
    for word in (0, len(hidden) - 1):
        words.nth(word).click()
        window.until("(word) => __inspect.state().query === word", word)
        window.ready()
        assert _titles(window, ".activation-value")[0] == pytest.approx(hidden[word, UNIT], abs=1e-6)
        name = window.page.inner_text("[data-figure=feed-forward] h3")
        assert "predicts" in name, "a row of the decoder is named by both labels"


def test_a_file_shows_the_same(networks: Shown, open_page: OpenPage, tmp_path: Path) -> None:
    trace = networks.trace("gelu", SOURCE, TARGET)
    assert trace.to_html(tmp_path / "page.html", view="feed_forward") == ()
    state = {"view": "feed_forward", "kind": "decoder", "layer": LAYER, "query": WORD, "feed_forward.unit": UNIT}
    window = open_page((tmp_path / "page.html").as_uri(), offline=True).ready().go(**state)
    served, _ = _opened(networks, open_page, "gelu", "decoder", **{"feed_forward.unit": UNIT})
    for figure in FIGURES:
        assert _csv(window, figure, tmp_path) == _csv(served, figure, tmp_path), figure
    for figure in ("feed-forward-unit", "feed-forward-sum"):
        assert _by_hand(window, figure) == _by_hand(served, figure)
    less = tmp_path / "less.html"
    trace.to_html(less, view="feed_forward", weights="none")
    window = open_page(less.as_uri(), offline=True).ready()
    figures = window.page.eval_on_selector_all("[data-figure]", "all => all.map((one) => one.dataset.figure)")
    assert figures == [name for name in FIGURES if name not in ("feed-forward-unit", "feed-forward-sum")]
    assert "pellucid serve" in window.page.inner_text("main")


def test_from_the_box_to_the_network_and_on(networks: Shown, open_page: OpenPage) -> None:
    window, _ = _opened(networks, open_page, "relu", "encoder", view="stack")
    window.page.click(".stack .block.feed_forward >> nth=-1")
    window.until("document.querySelector('.chapter').dataset.view === 'feed_forward'")
    state = window.ready().page.evaluate("__inspect.state()")
    assert (state["kind"], state["layer"]) == ("decoder", 2)
    window.page.click(".chapter .hint button:has-text('Add and normalise')")
    window.until("document.querySelector('.chapter').dataset.view === 'residual'")
    assert window.ready().page.evaluate("__inspect.state()['residual.block']") == "decoder.2.feed_forward"
    window.page.click(".chapter .hint button:has-text('Feed-forward')")
    window.until("document.querySelector('.chapter').dataset.view === 'feed_forward'")


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (360, "dark")])
def test_readers_of_all_kinds_are_served(networks: Shown, open_page: OpenPage, width: int, scheme: str) -> None:
    window, _ = _opened(networks, open_page, "gelu", "decoder", width=width, color_scheme=scheme)
    for figure in FIGURES[:3]:
        _by_hand(window, figure)
    assert window.accessibility_problems() == []
    assert window.page.evaluate("document.documentElement.scrollWidth") <= width
    window.screenshot(f"feed_forward-{width}-{scheme}")


def test_four_thousand_units_and_two_hundred_pieces(serve: Serve, tmp_path: Path, open_page: OpenPage) -> None:
    folder = save_random_model(tmp_path / "wide", d_feedforward=4096, num_encoder_layers=1, num_decoder_layers=1)
    wide = Shown(serve(folder), {"wide": folder})
    long = {"source": "a" * 199, "target": "b" * 199, "query": 150, "view": "feed_forward", "kind": "decoder"}
    window = open_page(wide.link("wide", **long), width=360).ready()
    assert window.num_nodes() < 5000
    assert window.page.evaluate("document.documentElement.scrollWidth") <= 360
    grid = "[data-figure=feed-forward-all] [role=grid]"
    assert window.page.get_attribute(grid, "aria-rowcount") == "200"
    window.page.click("[data-figure=feed-forward-all] .paging button:has-text('Next')")
    window.until("__inspect.state()['feed_forward.from'] > 0")
    assert int(window.page.get_attribute(grid, "aria-colcount") or 0) < 300, "a window of the units"
