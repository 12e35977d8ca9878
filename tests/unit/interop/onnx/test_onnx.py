"""An ONNX folder is complete, is opened like a model, and what is not the same model leaves nothing on disk."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from tests.unit.interop.onnx_kit import VARIANTS, onnx_folder, random_bundle

import pellucid
from pellucid.bundle import Bundle
from pellucid.config import ModelConfig, TranslationConfig
from pellucid.errors import BundleError, ConfigError, ConversionError, PellucidError, RequestError
from pellucid.interop.onnx import layers as onnx_layers
from pellucid.interop.onnx import writing as onnx_writing
from pellucid.interop.onnx.graph import Graph, WeightsFile
from pellucid.interop.onnx.layers import Weights
from pellucid.interop.onnx.reading import read_onnx
from pellucid.jobs.exchange import export_model
from pellucid.translation.constraints import Constraints
from pellucid.translation.greedy import greedy_search
from pellucid.translation.stepper import ModelStepper

TEXTS = ["hello you", "a", "Ein Hund rennt durch den Wald."]
SHORT = {"max_length_factor": 0.5, "max_length_constant": 5}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return random_bundle(tmp_path_factory.mktemp("ours") / "model")


@pytest.fixture
def folder(bundle: Bundle, tmp_path: Path) -> Path:
    return onnx_folder(bundle, tmp_path / "onnx")


def describe(folder: Path, **changes: object) -> None:
    """Change ``model.json``, with the SHA-256 of what lies there now."""
    path = folder / "model.json"
    table = json.loads(path.read_text(encoding="utf-8"))
    table["files"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in table["files"]}
    path.write_text(json.dumps(table | changes), encoding="utf-8")


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_goes_out_and_is_proved(variant: str, tmp_path: Path) -> None:
    ours = random_bundle(tmp_path / "ours", **VARIANTS[variant])
    outcome = export_model(ours.folder, tmp_path / "out", format="onnx", threads=1)
    exact, single = outcome.verdicts
    assert exact.theirs.startswith("the graphs by the definition of onnx")
    assert exact.largest_difference < 1e-6
    assert single.theirs.startswith("onnxruntime")
    assert single.is_single_precision
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ours", "out"]


def test_the_folder_is_complete(bundle: Bundle, folder: Path) -> None:
    table = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert present == {*table["files"], "model.json"}
    assert {"encoder.onnx", "decoder.onnx", "weights.bin", "tokenizer/tokenizer.json"} <= present
    assert table["model"]["specials"] == bundle.tokenizer.specials.model_dump()
    assert table["model"]["max_positions"] == 61
    assert (table["source_language"], table["target_language"], table["start_id"]) == ("de", "en", 2)


def test_no_number_is_there_twice(bundle: Bundle, folder: Path) -> None:
    # The table of positions is computed in a model folder, and written out here: once for both sides.
    config = bundle.description.model
    numbers = bundle.model.num_parameters() + config.max_positions * config.d_model
    assert (folder / "weights.bin").stat().st_size < 4 * numbers * 1.3
    assert sum((folder / f"{name}.onnx").stat().st_size for name in ("encoder", "decoder")) < 60_000


def test_sizes_are_free(folder: Path) -> None:
    shapes = {}
    for name in ("encoder", "decoder"):
        graph = onnx.load(folder / f"{name}.onnx", load_external_data=False).graph
        for value in (*graph.input, *graph.output):
            shapes[value.name] = [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
    assert shapes["source_ids"] == ["batch", "source"]
    assert shapes["target_ids"] == ["rows", "target"]
    assert shapes["decoder.1.self_attention.past_keys"] == ["rows", 11, "past", 2]
    assert shapes["log_probabilities"] == ["rows", "target", 260]


def test_the_same_weights_make_the_same_bytes(bundle: Bundle, folder: Path, tmp_path: Path) -> None:
    again = onnx_folder(bundle, tmp_path / "again")
    for path in folder.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (again / path.relative_to(folder)).read_bytes()


@pytest.mark.parametrize("settings", [{}, {"beam_size": 1}, {"sampling": True, "n_best": 2}, {"n_best": 3}])
def test_a_folder_is_loaded_and_translates_like_its_model(
    bundle: Bundle, folder: Path, settings: dict[str, object]
) -> None:
    ours, theirs = pellucid.load(bundle.folder, engine="torch", threads=1), pellucid.load(folder, threads=1)
    assert (theirs.source_language, theirs.target_language) == ("de", "en")
    for own, other in zip(
        ours.translate(TEXTS, **SHORT, **settings), theirs.translate(TEXTS, **SHORT, **settings), strict=True
    ):
        assert own.text == other.text
        assert [h.ids for h in own.alternatives] == [h.ids for h in other.alternatives]
        assert own.score == pytest.approx(other.score, abs=1e-5)


def test_the_guide_runs_a_folder_without_pellucid(
    bundle: Bundle, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guide = (Path(__file__).parents[4] / "docs" / "guides" / "exchanging.md").read_text(encoding="utf-8")
    (program,) = (code for code in re.findall(r"```python\n(.*?)```", guide, re.S) if "InferenceSession" in code)
    folder.rename(folder.parent / "de-en-onnx")
    monkeypatch.chdir(folder.parent)
    names: dict[str, Any] = {}
    exec(program, names)
    constraints = Constraints(eos_id=bundle.tokenizer.specials.eos)
    config = TranslationConfig(beam_size=1, max_length_constant=50, max_length_factor=1e-6)
    (found,) = greedy_search(ModelStepper(bundle.model), names["ids"].tolist(), config=config, constraints=constraints)
    assert tuple(names["words"]) == found[0].ids


def test_given_translations_are_scored_alike(bundle: Bundle, folder: Path) -> None:
    ours, theirs = pellucid.load(bundle.folder, threads=1, precision="fp32"), pellucid.load(folder, threads=1)
    own, other = (translator.score(TEXTS, TEXTS[::-1]) for translator in (ours, theirs))
    for left, right in zip(own, other, strict=True):
        assert left.token_log_probabilities == pytest.approx(right.token_log_probabilities, abs=1e-5)


def test_what_is_too_long_is_refused_and_the_table_is_used_to_its_end(folder: Path) -> None:
    model = read_onnx(folder).open(threads=1)
    stepper = model()
    with pytest.raises(RequestError, match="62 tokens is longer than the model's max_positions = 61"):
        stepper.start([[5] * 62])
    stepper.start([[5] * 60 + [3]])
    for _ in range(61):
        last = stepper.step(None)
    assert last.isfinite().all()
    with pytest.raises(RequestError, match="62 tokens"):
        stepper.step(None)
    with pytest.raises(ValueError, match=r"call start\(\) first"):
        model().step(None)


def test_a_missing_package_is_named(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name.startswith("onnx") else right(name))
    with pytest.raises(ConfigError, match=r"needs onnx and onnxruntime.*pip install 'pellucid\[onnx\]'"):
        export_model(bundle.folder, tmp_path / "out", format="onnx", threads=1)
    assert list(tmp_path.iterdir()) == []


def test_it_runs_on_the_processor(folder: Path) -> None:
    with pytest.raises(ConfigError, match="runs on the processor"):
        pellucid.load(folder, device="cuda")


def damage_weights(folder: Path) -> None:
    path = folder / "weights.bin"
    raw = bytearray(path.read_bytes())
    raw[99] ^= 1
    path.write_bytes(raw)


def link_weights(folder: Path) -> None:
    (folder / "weights.bin").rename(folder.parent / "elsewhere")
    (folder / "weights.bin").symlink_to(folder.parent / "elsewhere")


def cut_graph(folder: Path) -> None:
    path = folder / "decoder.onnx"
    path.write_bytes(path.read_bytes()[:999])
    describe(folder)


def swap_graphs(folder: Path) -> None:
    (folder / "decoder.onnx").write_bytes((folder / "encoder.onnx").read_bytes())
    describe(folder)


def point_elsewhere(folder: Path) -> None:
    path = folder / "encoder.onnx"
    (folder.parent / "secret").write_bytes(bytes(1 << 20))
    path.write_bytes(path.read_bytes().replace(b"weights.bin", b"../secret\0\0"))
    describe(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_weights, "weights.bin: does not have the SHA-256"),
        (link_weights, "is a symbolic link"),
        (cut_graph, "onnxruntime cannot open it"),
        (swap_graphs, "has other inputs or outputs"),
        (point_elsewhere, "onnxruntime cannot open it"),
        (lambda folder: (folder / "tokenizer" / "tokenizer.json").unlink(), "is missing"),
        (lambda folder: describe(folder, format_version=2), "is newer than this pellucid reads"),
        (lambda folder: describe(folder, files={"../x": "0"}), "does not list decoder.onnx"),
        (lambda folder: (folder / "model.json").write_text("[]"), "must be a JSON object"),
    ],
)
def test_a_damaged_folder_is_told_apart(folder: Path, damage: Callable[[Path], object], message: str) -> None:
    damage(folder)
    with pytest.raises(BundleError, match=message):
        pellucid.load(folder, threads=1)


def test_a_name_that_leaves_the_folder_is_refused(folder: Path) -> None:
    table = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    describe(folder, files=table["files"] | {"../model.toml": "0"})
    with pytest.raises(BundleError, match="is not one that a model folder may hold"):
        read_onnx(folder)


def test_an_export_is_checked_again(bundle: Bundle, tmp_path: Path) -> None:
    folder = onnx_folder(bundle, tmp_path / "out")
    assert export_model(bundle.folder, folder, format="onnx", verify_only=True, threads=1).verdicts
    describe(folder, start_id=bundle.tokenizer.specials.eos)
    with pytest.raises(ConversionError, match="NOT the same model"):
        export_model(bundle.folder, folder, format="onnx", verify_only=True, threads=1)
    assert folder.is_dir()


BuildGraph = Callable[[ModelConfig, Weights, WeightsFile], Graph]


def described_as(graph: str, **changes: object) -> Callable[[pytest.MonkeyPatch], None]:
    """Plant settings that a graph is written with, in place of the model's."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        right: BuildGraph = getattr(onnx_layers, f"{graph}_graph")

        def wrong(config: ModelConfig, weights: Weights, file: WeightsFile) -> Graph:
            return right(ModelConfig.model_validate(config.model_dump() | changes), weights, file)

        patch.setattr(onnx_writing, f"{graph}_graph", wrong)

    return plant


def added(
    change: Callable[[Graph, str, list[str], str, dict[str, object]], None],
) -> Callable[[pytest.MonkeyPatch], None]:
    """Plant a change of nodes; it is shown operator, inputs, output and attributes before they are added."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        right = Graph.add

        def wrong(graph: Graph, operator: str, inputs: list[str], output: str, **attributes: object) -> str:
            inputs = list(inputs)
            with patch.context() as inner:
                inner.setattr(Graph, "add", right)
                change(graph, operator, inputs, output, attributes)
            return right(graph, operator, inputs, output, **attributes)

        patch.setattr(Graph, "add", wrong)

    return plant


def invert_mask(graph: Graph, operator: str, inputs: list[str], output: str, _: dict[str, object]) -> None:
    if output == "source_may_attend":
        inputs[0] = graph.add("Not", [inputs[0]], f"not_{inputs[0]}")


def let_see_padding(graph: Graph, operator: str, inputs: list[str], output: str, _: dict[str, object]) -> None:
    if output.endswith("cross_attention.masked"):
        always = graph.add("Or", [inputs[0], graph.add("Not", [inputs[0]], f"{output}_not")], f"{output}_always")
        inputs[0] = always


def let_see_later(graph: Graph, operator: str, inputs: list[str], output: str, _: dict[str, object]) -> None:
    if output == "target_may_attend":
        inputs[1] = "end_place"


def swap_past_and_new(graph: Graph, operator: str, inputs: list[str], output: str, _: dict[str, object]) -> None:
    if output.endswith("self_attention.values"):
        inputs.reverse()


def join_another_axis(
    graph: Graph, operator: str, inputs: list[str], output: str, attributes: dict[str, object]
) -> None:
    if operator == "Concat" and ".past_" in inputs[0]:
        attributes["axis"] = 1


def forget_positions_before(graph: Graph, operator: str, inputs: list[str], output: str, _: dict[str, object]) -> None:
    if output == "target.position":
        size = graph.size("target_ids", 1, "new_size")
        inputs[1] = graph.add(
            "Range", [graph.integer(0), graph.add("Squeeze", [size], "new_place"), graph.integer(1)], "new_places"
        )


def wrong_number(name: str, value: float) -> Callable[[pytest.MonkeyPatch], None]:
    def plant(patch: pytest.MonkeyPatch) -> None:
        right = Graph.number
        patch.setattr(Graph, "number", lambda graph, own, at: right(graph, value if at == name else own, at))

    return plant


def wrong_start(patch: pytest.MonkeyPatch) -> None:
    right = onnx_writing.OnnxDescription
    patch.setattr(onnx_writing, "OnnxDescription", lambda **named: right(**named | {"start_id": 0}))


MISTAKES = {
    "epsilon": described_as("encoder", layer_norm_epsilon=1e-3),
    "epsilon of the decoder": described_as("decoder", layer_norm_epsilon=1e-4),
    "shifted positions": described_as("decoder", position_offset=1),
    "another table": described_as("encoder", position_layout="half_split_t2t"),
    "a table too short": described_as("encoder", max_positions=60),
    "a table too short for targets": described_as("decoder", max_positions=60),
    "no scale": described_as("encoder", scale_embeddings=False),
    "no scale of the target": described_as("decoder", scale_embeddings=False),
    "activation": described_as("encoder", activation="gelu"),
    "heads": described_as("encoder", num_heads=2),
    "no sqrt(d_k)": wrong_number("sqrt_d_head", 1.0),
    "start id": wrong_start,
    "mask inverted": added(invert_mask),
    "padding is seen": added(let_see_padding),
    "later words are seen": added(let_see_later),
    "past after present": added(swap_past_and_new),
    "wrong cache axis": added(join_another_axis),
    "positions begin again": added(forget_positions_before),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_planted_mistake_leaves_nothing(
    mistake: str, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    MISTAKES[mistake](monkeypatch)
    with pytest.raises(PellucidError) as caught:
        export_model(bundle.folder, tmp_path / "out", format="onnx", threads=1)
    assert isinstance(caught.value, ConversionError | BundleError)
    assert list(tmp_path.iterdir()) == []
