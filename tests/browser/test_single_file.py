"""The page as one file, opened from disk without a network: the same views, the same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pellucid
from pellucid.jobs.surface import Trace
from pellucid.page.single_file import view_names

from .conftest import OpenPage

pytestmark = pytest.mark.slow

SOURCE = "The animal didn't cross the street because it was too tired."
TARGET = "L'animal n'a pas traversé la rue parce qu'il était trop fatigué."
# More of what an address can choose, so that a view asks for more than its first picture.
STATES: list[dict[str, object]] = [
    {"view": "attention", "kind": "encoder", "layer": 1, "heads": [2], "query": 3, "key": 1},
    {"view": "attention", "kind": "decoder", "layer": 2, "heads": [1], "query": 2, "key": 1},
    {"view": "matrices", "kind": "cross", "layer": 2, "heads": [0], "query": 1, "key": 2},
    {"view": "heads", "kind": "encoder", "layer": 0, "query": 4},
    {"view": "links", "kind": "cross", "layer": 1, "heads": [0, 2]},
    {"view": "feed_forward", "kind": "decoder", "layer": 2, "query": 1, "feed_forward.unit": "3"},
    {"view": "decoder", "layer": 2, "step": 3},
    {"view": "softmax", "step": 2},
]


@pytest.fixture(scope="module")
def trace(small_run: Path) -> Trace:
    return pellucid.trace(pellucid.load(small_run, threads=1), SOURCE, target=TARGET)


@pytest.fixture(scope="module")
def page(trace: Trace, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "page.html"
    assert trace.to_html(path) == (), "a small model fits whole"
    return path.as_uri()


def test_every_number_is_that_of_the_trace(trace: Trace, page: str, open_page: OpenPage) -> None:
    window = open_page(page, offline=True).ready()
    assert window.requests == [page], "one file is all that it asks for"
    assert window.page.input_value("form.sentence input") == SOURCE
    for site in trace.sites:
        shape, data = window.array(site)
        assert tuple(shape) == trace[site].shape, site
        expected = np.asarray(trace[site], dtype=np.float32).ravel()
        np.testing.assert_array_equal(np.asarray(data, dtype=np.float32), expected, err_msg=site)
    assert window.value("decoder.1.cross_attention.weights", 2, 3, 1) == pytest.approx(
        trace["decoder.1.cross_attention.weights"][2, 3, 1], abs=1e-6
    )


def test_every_view_has_what_it_asks_for(page: str, open_page: OpenPage) -> None:
    window = open_page(page, offline=True).ready()
    for state in [{"view": name} for name in view_names()] + STATES:
        window.go(**state)
        shown = window.page.inner_text("main")
        assert "This file does not contain" not in shown, state
        assert window.page.query_selector("main .problem") is None, (state, shown)
        assert "⟦" not in shown, f"a text is missing: {state}"
    assert window.requests == [page]


def test_it_opens_with_what_was_asked_for(trace: Trace, tmp_path: Path, open_page: OpenPage) -> None:
    trace.to_html(tmp_path / "start.html", view="links", kind="encoder", layer=1, heads=[0, 2])
    window = open_page((tmp_path / "start.html").as_uri(), offline=True).ready()
    assert window.page.get_attribute(".chapter", "data-view") == "links"
    state = window.page.evaluate("__inspect.state()")
    assert (state["kind"], state["layer"], state["heads"]) == ("encoder", 1, [0, 2])
    window.go(view="links", source="another sentence")
    assert window.page.input_value("form.sentence input") == SOURCE, "the file holds one sentence and shows that one"


def test_what_is_left_out_is_said(trace: Trace, tmp_path: Path, open_page: OpenPage) -> None:
    left_out = trace.to_html(tmp_path / "less.html", view="attention", kind="encoder", weights="none")
    assert any("weights" in name for name in left_out)
    window = open_page((tmp_path / "less.html").as_uri(), offline=True).ready()
    (told,) = window.page.evaluate(
        "[...document.querySelectorAll('meta[name=pellucid-left-out]')].map((m) => m.content)"
    )
    assert told == "; ".join(left_out)
    window.go(view="matrices", kind="encoder", layer=0, heads=[0])
    assert "pellucid serve" in window.page.inner_text("main"), "the page says where the rest is to be had"


def test_planted_scripts_do_not_run(trace: Trace, tmp_path: Path, open_page: OpenPage) -> None:
    path = tmp_path / "planted.html"
    trace.to_html(path)
    planted = (
        '<script>window.planted = 1</script><script type="module" src="data:text/javascript,window.planted=2"></script>'
        '<link rel="stylesheet" href="data:text/css,body{color:red}"><img src="x" onerror="window.planted = 3">'
    )
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("<body>", f"<body>{planted}"), encoding="utf-8")
    window = open_page(path.as_uri(), offline=True, may_fail=True).ready()
    assert window.page.evaluate("typeof window.planted") == "undefined"
    assert sum("Content Security Policy" in problem for problem in window.problems) >= 5


@pytest.mark.parametrize(
    "word", ["</script>", "<!--", "<script>", "‮abc", "e\u0301", "👩‍👩‍👧", "&lt;", "{{data}}", "\"'`"]
)
def test_hostile_text_comes_through(random_word: Trace, word: str, tmp_path: Path, open_page: OpenPage) -> None:
    source = f"a {word} b"
    trace = pellucid.trace(random_word.translator, source, target=word)  # type: ignore[arg-type]
    trace.to_html(tmp_path / "hostile.html")
    window = open_page((tmp_path / "hostile.html").as_uri(), offline=True).ready()
    manifest = window.page.evaluate("__inspect.trace")
    assert (manifest["source"], manifest["text"]) == (trace.source, trace.text)
    assert manifest["tokens"]["source_pieces"] == list(trace.tokens.source_pieces)
    assert window.page.title(), "the title survives"
    assert window.page.input_value("form.sentence input") == source


@pytest.fixture(scope="module")
def random_word(random_model: object, tmp_path_factory: pytest.TempPathFactory) -> Trace:
    folder = random_model(norm_order="pre", position_layout="half_split_t2t")  # type: ignore[operator]
    return pellucid.trace(pellucid.load(folder, threads=1), "a", target="b")
