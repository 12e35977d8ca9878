"""Figures show what stands in the trace, in order, on the paper they say, and their files tell where it is from."""

from __future__ import annotations

import io
import json
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tests.unit.tracing.kit import make_translator

import pellucid
from pellucid.errors import ConfigError, DataError, RequestError
from pellucid.figures import palette
from pellucid.figures import plots as figures
from pellucid.figures.canvas import families_for, paper_style
from pellucid.figures.plots import Plots
from pellucid.jobs.surface import Trace
from pellucid.translation.translator import Translator

SENTENCE = "ein Hund rennt"


@pytest.fixture(scope="module")
def translator() -> Translator:
    return make_translator()


@pytest.fixture(scope="module")
def trace(translator: Translator) -> Trace:
    return pellucid.trace(translator, SENTENCE, target="a dog")


def images(figure: Figure) -> list[np.ndarray]:
    """Return the matrices of a figure; the last one drawn is the scale."""
    return [np.asarray(image.get_array()) for axes in figure.axes for image in axes.get_images()][:-1]


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def foreign(source: list[str]) -> Trace:
    weights = np.full((1, 1, len(source)), 1 / len(source))
    return Trace.from_arrays(
        source_pieces=source,
        fed_pieces=["<s>"],
        predicted_pieces=["</s>"],
        attention={"decoder.0.cross_attention.weights": weights},
    )


@pytest.mark.parametrize(
    ("kind", "site"), [("cross", "decoder.1.cross"), ("decoder", "decoder.1.self"), ("encoder", "encoder.0.self")]
)
def test_matrices_are_the_weights(trace: Trace, kind: str, site: str) -> None:
    figure = trace.plot.attention(kind=kind, heads=[2, 0])
    first, second = images(figure)
    weights = trace[f"{site}_attention.weights"]
    np.testing.assert_array_equal(first, weights[2])
    np.testing.assert_array_equal(second, weights[0])
    assert [axes.get_title() for axes in figure.axes[:2]] == ["head 2", "head 0"]
    assert {image.get_clim() for axes in figure.axes[:2] for image in axes.get_images()} == {(0.0, 1.0)}


def test_rows_have_both_labels_in_order(trace: Trace) -> None:
    figure = trace.plot.attention(heads=[1])
    written = texts(figure.axes[0])
    labels = trace.labels("decoder.1.cross_attention.weights")
    assert labels.predicts is not None
    assert written == [*labels.rows, "fed", *labels.predicts, "predicts", *labels.columns]
    caption = " ".join(text.get_text() for text in figure.texts)
    assert (
        "Each row looks at the columns: it was fed the piece on its left and predicts the one on its right" in caption
    )


def test_every_label_is_inside_the_paper(trace: Trace) -> None:
    for figure in (trace.plot.attention(), trace.plot.links(words=True), trace.plot.heads(kind="encoder")):
        figure.savefig(io.BytesIO(), format="png")
        width, height = figure.bbox.width, figure.bbox.height
        found = [text for text in figure.findobj(lambda item: hasattr(item, "get_text")) if text.get_text()]
        for text in found:
            box = text.get_window_extent()
            assert box.x0 >= 0, text
            assert box.y0 >= 0, text
            assert box.x1 <= width, text
            assert box.y1 <= height, text


def test_links_are_the_weights_over_the_threshold(trace: Trace) -> None:
    figure = trace.plot.links(heads=[0, 2], threshold=0.2, rows=[1])
    weights = trace["decoder.1.cross_attention.weights"]
    lines = {collection.get_gid(): len(collection.get_segments()) for collection in figure.axes[0].collections}
    assert lines == {f"head {head}": int((weights[head, 1] >= 0.2).sum()) for head in (0, 2)}
    colours = {
        collection.get_linestyle()[0][1] and tuple(collection.get_linestyle()[0][1])
        for collection in figure.axes[0].collections
    }
    assert len(colours) == 2
    legend = figure.legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["head 0", "head 2"]


def test_each_label_of_a_link_is_a_text_by_itself() -> None:
    trace = Trace.from_arrays(
        source_pieces=["▁a"],
        fed_pieces=["<s>", "▁שלום"],
        predicted_pieces=["▁שלום", "</s>"],
        attention={"decoder.0.cross_attention.weights": np.ones((5, 2, 1))},
    )
    figure = trace.plot.links()
    places: dict[Any, Any] = {}
    for text in figure.axes[0].texts:
        places.setdefault(text.get_text(), []).append(text.get_position())
    assert {"fed", "predicts", "is looked at", "→", "<s>", "▁שלום", "</s>", "▁a"} == places.keys()
    (first, second) = places["▁שלום"]
    assert first[0] > places["<s>"][0][0], "what is predicted stands right of what is fed"
    assert first[1] == places["<s>"][0][1]
    assert second == (places["<s>"][0][0], places["</s>"][0][1])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [f"head {head}" for head in (0, 3, 1, 4, 2)]


def test_shares_positions_and_probabilities_are_the_models(trace: Trace, translator: Translator) -> None:
    shares = trace.head_shares("decoder.0.cross_attention").norms
    np.testing.assert_array_equal(images(trace.plot.heads(layer=0))[0], shares.T)
    table = images(trace.plot.positions(count=3))[0]
    np.testing.assert_allclose(table[:3], trace["source.position"][:3], atol=1e-12)
    figure = trace.plot.softmax(step=1, tokenizer=translator.tokenizer, count=2)
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    probabilities = np.exp(trace["log_probabilities"][1])
    chosen = trace.tokens.predicted_ids[1]
    top = np.sort(probabilities)[::-1][:2]
    np.testing.assert_allclose(widths[:2], top)
    if chosen not in np.argsort(-probabilities)[:2]:
        assert widths[2] == pytest.approx(probabilities[chosen])
    assert sum(widths) == pytest.approx(1)


def test_the_loss_is_that_of_the_run(tmp_path: Path) -> None:
    rows = [{"kind": "step", "step": step, "loss": 5.0 / step, "learning_rate": step / 7} for step in range(1, 12)]
    rows += [{"kind": "message", "text": "x"}, {"kind": "validation", "step": 5, "loss": 0.5}]
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    figure = figures.loss(tmp_path)
    lines = {line.get_gid(): line for axes in figure.axes for line in axes.get_lines()}
    assert list(lines["every step"].get_ydata()) == [row["loss"] for row in rows[:11]]
    assert list(lines["validation"].get_xdata()) == [5]
    assert list(lines["learning rate"].get_ydata()) == [row["learning_rate"] for row in rows[:11]]
    (tmp_path / "metrics.jsonl").write_text('{"kind": "step"}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"metrics.jsonl:1"):
        figures.loss(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        figures.loss(tmp_path / "nothing")


def test_a_figure_by_its_name(trace: Trace) -> None:
    figure = figures.figure_named(trace, "attention", layer=0, heads=[1], kind=None, words=False, step=None)
    np.testing.assert_array_equal(images(figure)[0], trace["decoder.0.cross_attention.weights"][1])
    with pytest.raises(RequestError, match="allowed are attention, links, heads, positions, softmax"):
        figures.figure_named(trace, "atention")
    with pytest.raises(RequestError, match=r"heads = \[0\] is not an option of the figure 'positions'"):
        figures.figure_named(trace, "positions", heads=[0])
    with pytest.raises(RequestError, match="requires a step"):
        figures.figure_named(trace, "softmax")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda plot: plot.attention(heads=[7]), "head = 7; allowed"),
        (lambda plot: plot.attention(layer=9), "layer = 9"),
        (lambda plot: plot.links(rows=[99]), "row = 99; allowed are the whole numbers 0 to "),
        (lambda plot: plot.links(threshold=0), "threshold = 0"),
        (lambda plot: plot.positions(count=1000), "count = 1000; allowed are the whole numbers 1 to 29"),
        (lambda plot: plot.attention(font="No Such Family"), "not an installed font family"),
        (lambda plot: plot.attention(font="missing.ttf"), "cannot be read"),
    ],
)
def test_what_cannot_be_drawn_is_refused(trace: Trace, call: object, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        call(trace.plot)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("piece", "said"),
    [
        ("▁中文", r"no glyph for 中 \(U\+4E2D, CJK UNIFIED IDEOGRAPH-4E2D\) in DejaVu Sans; .*--font"),
        ("ก", r"no glyph for ก \(U\+0E01, THAI CHARACTER KO KAI\)"),
        ("a\u0378", r"\(U\+0378, unnamed\)"),
    ],
)
def test_a_character_without_a_glyph_is_named(piece: str, said: str) -> None:
    for draw in (Plots.attention, Plots.links):
        with pytest.raises(RequestError, match=said):
            draw(Plots(foreign([piece, "</s>"])))


def test_a_glyph_that_is_missing_where_the_file_is_written_is_named_too(tmp_path: Path) -> None:
    figure = foreign(["▁a", "</s>"]).plot.attention()
    figure.text(0.5, 0.5, "文")
    for ending in ("pdf", "svg", "png"):
        with pytest.raises(RequestError, match="no glyph for 文"):
            figures.save_figure(figure, tmp_path / f"figure.{ending}")
        assert not (tmp_path / f"figure.{ending}").exists()


def test_other_warnings_stay_warnings() -> None:
    with pytest.warns(UserWarning, match="other"), paper_style(["DejaVu Sans"]):
        warnings.warn("other", UserWarning, stacklevel=1)


def test_scripts_of_the_bundled_font_need_nothing() -> None:
    for piece in ("▁שלום", "مرحبا", "Привет", "e\u0301", "a\u200db", "⟨E4⟩", "$x$ $"):
        foreign([piece, "</s>"]).plot.attention().savefig(io.BytesIO(), format="pdf")


def test_a_font_file_is_a_font() -> None:
    from matplotlib import get_data_path

    path = Path(get_data_path()) / "fonts" / "ttf" / "STIXGeneral.ttf"
    assert families_for(path) == families_for("STIXGeneral") == ("STIXGeneral", "DejaVu Sans")


@pytest.mark.parametrize("ending", ["pdf", "svg", "png"])
def test_files_say_where_they_are_from_and_are_the_same_twice(trace: Trace, tmp_path: Path, ending: str) -> None:
    contents = []
    for name in ("one", "two"):
        path = tmp_path / f"{name}.{ending}"
        figures.save_figure(trace.plot.attention(heads=[0]), path)
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]
    assert trace.provenance.weights_sha256 is not None
    if ending == "svg":
        page = contents[0].decode()
        assert trace.provenance.weights_sha256 in page
        assert re.search(r"<text[^>]*>▁Hund</text>", page), "text stays text"
        assert "<dc:date>" not in page
    elif ending == "pdf":
        assert trace.provenance.weights_sha256.encode() in contents[0]
        assert b"/CreationDate" not in contents[0]
        assert b"/FontFile2" in contents[0]
        assert b"/Type3" not in contents[0]
    else:
        from PIL import Image

        with Image.open(io.BytesIO(contents[0])) as picture:
            origin = json.loads(picture.info["Description"])
        assert origin["weights_sha256"] == trace.provenance.weights_sha256
        assert origin["source"] == SENTENCE


def test_an_unknown_ending_is_refused(trace: Trace, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"\.pdf, \.svg, \.png"):
        figures.save_figure(trace.plot.attention(), tmp_path / "fig.docx")
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_the_extra_is_named(trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise figures.PackageNotFoundError(name)

    monkeypatch.setattr(figures, "version", missing)
    with pytest.raises(ConfigError, match=r"pip install 'pellucid\[plots\]'"):
        trace.plot.attention()
    monkeypatch.setattr(figures, "version", lambda name: "3.10.9")
    with pytest.raises(ConfigError, match=r"3\.11 or newer"):
        trace.plot.attention()


def test_pictures_on_paper_and_on_the_page_have_the_same_colours() -> None:
    page = Path(pellucid.__file__).with_name("web") / "modules" / "pictures" / "palette.js"
    # The formatter decides where lines and commas stand.
    content = re.sub(r",?\s+|,(?=\])", "", re.sub(r",\s*", ",", page.read_text(encoding="utf-8")))

    def scale(points: tuple[palette.Colour, ...]) -> str:
        return ",".join(f'"#{bytes(point).hex()}"' for point in points)

    for points in (palette.SEQUENTIAL, palette.SEQUENTIAL_DARK, palette.NEGATIVE, palette.POSITIVE):
        assert scale(points) in content
    assert ",".join(f'"{colour}"' for colour in palette.HEAD_COLOURS) in content
    dashes = ["".join(map(str, pattern)) or "none" for pattern in palette.HEAD_DASHES]
    assert ",".join(f'"{dash}"' for dash in dashes) in content
