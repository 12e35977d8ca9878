"""What the single file and the frame of a notebook carry, and what they refuse."""

from __future__ import annotations

import base64
import html
import re
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.unit.tracing.kit import make_translator

from pellucid.errors import DataError, RequestError
from pellucid.jobs.surface import Trace
from pellucid.jobs.surface import trace as make_trace
from pellucid.page.notebook import attention_png, mime_bundle, notebook_html
from pellucid.page.single_file import StartView, record_of, single_file, view_names

from .test_assembly import Page


@pytest.fixture(scope="module")
def trace() -> Trace:
    return make_trace(make_translator(), "ein Hund rennt", target="a dog")


@pytest.fixture(scope="module")
def page(trace: Trace) -> Page:
    made = single_file(record_of(trace))
    assert made.left_out == ()
    return Page(made.html)


def paths(page: Page) -> set[str]:
    return {path for attributes, _ in page.named("script") if (path := attributes.get("data-path"))}


def octets(page: Page, path: str) -> np.ndarray:
    attributes, text = page.block(path)
    shape = [int(side) for side in (attributes["data-shape"] or "").split(",") if side]
    dtype = {"f32": "<f4", "u8": "u1"}[attributes["data-dtype"] or ""]
    return np.frombuffer(base64.b64decode(text), dtype).reshape(shape)


def test_every_site_is_carried_whole(trace: Trace, page: Page) -> None:
    own = record_of(trace).id
    for site in trace.sites:
        array = trace[site]
        carried = octets(page, f"api/traces/{own}/sites/{site}")
        np.testing.assert_array_equal(carried, array.astype("u1" if array.dtype == bool else "<f4"), err_msg=site)


def test_the_weights_of_each_head_are_rows_of_the_whole(trace: Trace, page: Page) -> None:
    assert trace.model is not None
    parameters = {name: value.detach().float().numpy() for name, value in trace.model.named_parameters()}
    attention = [name for name in parameters if re.search(r"_attention\.(queries|keys|values)\.(weight|bias)$", name)]
    assert len(attention) == (1 + 2 * 2) * 6
    for name in attention:
        parts = [octets(page, f"api/models/model/weights/{name}?head={head}") for head in range(3)]
        np.testing.assert_array_equal(np.concatenate(parts), parameters[name])
    np.testing.assert_array_equal(
        octets(page, "api/models/model/weights/decoder.layers.1.cross_attention.output.weight"),
        parameters["decoder.layers.1.cross_attention.output.weight"],
    )


def test_one_trace_has_one_file(trace: Trace) -> None:
    first = single_file(record_of(trace))
    assert first == single_file(record_of(trace))
    assert record_of(trace).id == record_of(trace.at_level("attention")).id
    assert single_file(record_of(trace.at_level("tokens"))) == first


def carried_characters(page: Page) -> int:
    blocks = [
        text for attributes, text in page.named("script") if (attributes.get("data-path") or "").startswith("api/")
    ]
    return sum(map(len, blocks))


def test_what_does_not_fit_is_left_out_whole_and_said(trace: Trace, page: Page) -> None:
    record = record_of(trace)
    seen: list[int] = []
    for largest in (0, 40_000, 80_000):
        made = single_file(record, largest_bytes=largest)
        smaller = Page(made.html)
        assert paths(smaller) < paths(page)
        assert f"api/traces/{record.id}" in paths(smaller), "the first part is always there"
        (told,) = [a["content"] for a, _ in smaller.named("meta") if a.get("name") == "pellucid-left-out"]
        assert told == "; ".join(made.left_out) != ""
        seen.append(carried_characters(smaller))
        assert seen[-1] <= max(largest, seen[0])
    assert seen[0] < seen[1] < seen[2] < carried_characters(page)


@pytest.mark.parametrize(
    ("weights", "layer", "others"), [("none", False, False), ("layer", True, False), ("all", True, True)]
)
def test_weights_are_chosen(trace: Trace, weights: str, layer: bool, others: bool) -> None:
    made = single_file(record_of(trace), start=StartView(kind="decoder", layer=1), weights=weights)
    carried = paths(Page(made.html))
    for part in ("self_attention.queries.weight?head=2", "feed_forward.inner.weight", "feed_forward.outer.bias"):
        own, other = (f"api/models/model/weights/{at}.{part}" for at in ("decoder.layers.1", "encoder.layers.0"))
        assert (own in carried, other in carried) == (layer, others)
    assert len(made.left_out) == 2 * (not layer) + 2 * (not others)


def test_the_start_is_an_address() -> None:
    assert StartView().address() == ""
    start = StartView(view="links", kind="cross", layer=1, heads=(0, 2), more={"merge": "1"})
    assert start.address() == "view=links&kind=cross&layer=1&heads=0,2&merge=1"
    assert {"translate", "attention", "softmax"} <= set(view_names())


@pytest.mark.parametrize(
    ("start", "told"),
    [
        (StartView(view="nowhere"), "view = 'nowhere'; allowed are translate"),
        (StartView(kind="both"), "kind = 'both'; allowed are 'encoder' and 'decoder'"),
        (StartView(kind="encoder", layer=1), "0 to 0"),
        (StartView(kind="cross", layer=2), "0 to 1"),
        (StartView(heads=(3,)), "head = 3; allowed are the whole numbers 0 to 2"),
    ],
)
def test_a_start_that_does_not_exist_is_refused(trace: Trace, start: StartView, told: str) -> None:
    with pytest.raises(RequestError, match=re.escape(told)):
        single_file(record_of(trace), start=start)


def test_a_kind_by_its_whole_name_stands_in_the_address_by_its_short_one(trace: Trace) -> None:
    start = StartView(kind="decoder.cross_attention", layer=1)
    assert 'data-start="kind=cross&amp;layer=1"' in single_file(record_of(trace), start=start).html


def test_other_refusals(trace: Trace, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="weights = 'some'; allowed are none, layer, all"):
        single_file(record_of(trace), weights="some")
    with pytest.raises(RequestError, match=r"trace\.attach"):
        replace(trace, model=None, translator=None).to_html(tmp_path / "page.html")
    with pytest.raises(DataError, match="cannot be written"):
        trace.to_html(tmp_path / "missing" / "page.html")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(DataError, match="cannot be written"):
        trace.to_html(tmp_path / "folder.html")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.html"]


def test_a_loaded_trace_is_shown_when_its_model_is_given(trace: Trace, tmp_path: Path) -> None:
    trace.save(tmp_path / "t.npz")
    loaded = Trace.load(tmp_path / "t.npz")
    assert "text/html" not in mime_bundle(loaded)
    assert trace.translator is not None
    loaded.attach(trace.translator).to_html(tmp_path / "again.html")
    trace.to_html(tmp_path / "first.html")
    assert (tmp_path / "again.html").read_bytes() == (tmp_path / "first.html").read_bytes()


def test_the_frame_is_sandboxed_and_holds_the_page(trace: Trace) -> None:
    shown = Page(notebook_html(trace))
    ((attributes, _),) = shown.named("iframe")
    assert attributes["sandbox"] == "allow-scripts allow-downloads"
    assert "height: 720px" in (attributes["style"] or "")
    page = Page(attributes["srcdoc"] or "")
    assert paths(page) == paths(Page(single_file(record_of(trace)).html))
    assert not any("id" in attributes for _, attributes, _ in shown.elements), "a notebook may show it twice"


def test_a_notebook_can_choose(trace: Trace) -> None:
    bundle = trace._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", "image/png"}
    assert bundle["text/plain"] == repr(trace)
    assert html.escape(repr(trace)) in str(bundle["text/html"]), "a sentence stays where frames are taken away"
    foreign = Trace.from_arrays(
        source_pieces=["x"],
        fed_pieces=["<s>"],
        predicted_pieces=["y"],
        attention={"encoder.0.self_attention.weights": np.ones((2, 1, 1))},
    )
    assert set(mime_bundle(foreign)) == {"text/plain"}


def test_the_picture_is_the_mean_of_the_heads(trace: Trace) -> None:
    png = attention_png(trace)
    assert png is not None
    chunks: dict[bytes, bytes] = {}
    at = 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        kind, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack(">I", png[at + 8 + length : at + 12 + length])[0] == zlib.crc32(kind + content)
        chunks[kind] = content
        at += 12 + length
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    pixels = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)[:, 1:]
    weights = trace["decoder.1.cross_attention.weights"].mean(axis=0)
    side = width // weights.shape[1]
    assert (height, width) == (weights.shape[0] * side, weights.shape[1] * side)
    np.testing.assert_allclose(1 - pixels[side // 2 :: side, side // 2 :: side] / 255, weights, atol=0.5 / 255 + 1e-9)
