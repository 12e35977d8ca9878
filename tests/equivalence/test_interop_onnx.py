"""Exported graphs agree with the model: forced scores alone and padded, steps, searches, and value by value."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from tests.unit.interop.onnx_kit import VARIANTS, onnx_folder, random_bundle

from pellucid.bundle import Bundle
from pellucid.config import DecoderStart, TranslationConfig
from pellucid.interop.onnx.engines import evaluated
from pellucid.interop.onnx.reading import read_onnx
from pellucid.interop.onnx.stepper import OnnxStepper
from pellucid.translation.beam import beam_search
from pellucid.translation.constraints import Constraints
from pellucid.translation.scoring import forced_log_probabilities, forced_log_probabilities_by_steps
from pellucid.translation.stepper import ModelStepper

EOS = 3


@pytest.fixture(scope="module", params=VARIANTS)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Path]:
    folder = tmp_path_factory.mktemp("onnx")
    bundle = random_bundle(folder / "ours", **VARIANTS[request.param])
    return bundle, onnx_folder(bundle, folder / "theirs")


@pytest.fixture(scope="module")
def opened(exported: tuple[Bundle, Path]) -> Callable[[], OnnxStepper]:
    return read_onnx(exported[1]).open(threads=1)


def sentence_pairs(count: int, *, seed: int = 9) -> list[tuple[list[int], list[int]]]:
    generator = random.Random(seed)
    return [
        tuple([*generator.choices(range(4, 260), k=generator.randint(1, 23)), EOS] for _ in range(2))  # type: ignore[misc]
        for _ in range(count)
    ]


def test_the_checker_of_onnx_passes(exported: tuple[Bundle, Path]) -> None:
    for name in ("encoder", "decoder"):
        onnx.checker.check_model(exported[1] / f"{name}.onnx", full_check=True)


def test_two_hundred_forced_pairs(exported: tuple[Bundle, Path], opened: Callable[[], OnnxStepper]) -> None:
    pairs = sentence_pairs(200)
    model = exported[0].model
    ours = [
        row
        for start in range(0, 200, 25)
        for row in forced_log_probabilities([model], *map(list, zip(*pairs[start : start + 25], strict=True)))
    ]
    # Padded, a step at a time, with rows that leave: as a search does it.
    by_steps = [
        row
        for start in range(0, 200, 25)
        for row in forced_log_probabilities_by_steps(opened(), *map(list, zip(*pairs[start : start + 25], strict=True)))
    ]
    # Alone, and the whole target in one pass.
    at_once = []
    for source, target in pairs:
        stepper = opened()
        stepper.start([source])
        found = stepper.read(np.array([[model.start_id, *target[:-1]]]))[0]
        at_once.append(found[range(len(target)), target].tolist())
    for theirs in (by_steps, at_once):
        assert [len(row) for row in theirs] == [len(row) for row in ours]
        assert max(abs(a - b) for x, y in zip(ours, theirs, strict=True) for a, b in zip(x, y, strict=True)) < 1e-5


def test_rows_come_and_go(exported: tuple[Bundle, Path], opened: Callable[[], OnnxStepper]) -> None:
    ours, theirs = ModelStepper(exported[0].model), opened()
    with torch.inference_mode():
        for stepper in (ours, theirs):
            stepper.start([[5, 6, 7, EOS], [9, EOS], [11, 12, 13, 14, 15, EOS]])
        assert torch.allclose(ours.step(None), theirs.step(None), atol=1e-5)
        for rows in ([0, 0, 1, 1, 2, 2], [1, 0, 3, 2, 5, 4], [1, 1, 2, 3, 5, 4], [4, 5, 2], [2, 0, 1, 0, 0], [3]):
            last = torch.arange(len(rows)) + 9
            for stepper in (ours, theirs):
                stepper.select(torch.tensor(rows))
            assert torch.allclose(ours.step(last), theirs.step(last), rtol=0, atol=1e-5)


@pytest.mark.parametrize("beam_size", [1, 5])
def test_our_beam_finds_the_same(
    exported: tuple[Bundle, Path], opened: Callable[[], OnnxStepper], beam_size: int
) -> None:
    sources = [source for source, _ in sentence_pairs(11, seed=4)]
    config = TranslationConfig(beam_size=beam_size, n_best=beam_size, max_length_constant=5, max_length_factor=1.0)
    search = partial(beam_search, config=config, constraints=Constraints(eos_id=EOS, forbidden_ids=(0, 2)))
    ours = search(ModelStepper(exported[0].model), sources)
    theirs = search(opened(), sources)
    assert [[h.ids for h in row] for row in ours] == [[h.ids for h in row] for row in theirs]
    for own, other in zip(ours, theirs, strict=True):
        assert [h.score for h in own] == pytest.approx([h.score for h in other], abs=1e-5)


class _Sites:
    def __init__(self) -> None:
        self.values: dict[str, np.ndarray] = {}

    def visit(self, site: str, value: torch.Tensor) -> torch.Tensor:
        self.values[site] = value.numpy()
        return value


def test_every_value_is_the_one_of_the_trace(exported: tuple[Bundle, Path]) -> None:
    bundle, folder = exported
    sites = _Sites()
    source, target = [5, 6, 7, 8, EOS], [bundle.model.start_id, 11, 13]
    with torch.inference_mode():
        bundle.model.double()(torch.tensor([source]), torch.tensor([target]), recorder=sites)
    bundle.model.float()
    found: dict[str, np.ndarray] = {}
    config = bundle.description.model
    nothing = np.zeros((1, config.num_heads, 0, config.d_head))
    inputs = {"source_ids": np.array([source]), "source_mask": np.ones((1, len(source)), dtype=bool)}
    inputs["target_ids"] = np.array([target])
    for name in ("encoder", "decoder"):
        graph = onnx.load(folder / f"{name}.onnx").graph
        inputs |= {node.name: nothing for node in graph.input if ".past_" in node.name}
        wanted = [node.output[0] for node in graph.node if node.output[0] in sites.values]
        given = {node.name: inputs[node.name] for node in graph.input}
        found |= dict(zip(wanted, evaluated(folder / f"{name}.onnx")(wanted, given), strict=True))
        inputs |= found
    # The mask has the shape of the scores in a trace, and that of what it is made of here.
    assert {site for site in sites.values if not site.endswith("may_attend")} == found.keys()
    for site, value in sites.values.items():
        if site in found:
            theirs = found[site]
            assert np.broadcast_to(theirs, value.shape).shape == value.shape
            assert np.abs(theirs - value).max() < 1e-5, site


def test_every_weight_is_bit_for_bit_ours_and_there_once(exported: tuple[Bundle, Path]) -> None:
    bundle, folder = exported
    state = {name: tensor.numpy() for name, tensor in bundle.model.state_dict().items()}
    found, places = {}, {}
    for graph in ("encoder", "decoder"):
        raw = onnx.load(folder / f"{graph}.onnx", load_external_data=False)
        filled = onnx.load(folder / f"{graph}.onnx")
        for tensor, full in zip(raw.graph.initializer, filled.graph.initializer, strict=True):
            if tensor.external_data:
                found[tensor.name] = onnx.numpy_helper.to_array(full)
                place = {entry.key: entry.value for entry in tensor.external_data}
                places[tensor.name] = (int(place["offset"]), int(place["length"]))
    for name, array in state.items():
        if name.endswith("positions.table"):  # without the rows before the offset
            side = "source" if name.startswith("encoder") else "target"
            table = found[f"{side}.positions"]
            assert np.array_equal(table, array[bundle.description.model.position_offset :])
        else:
            is_map = array.ndim == 2 and "embedding" not in name and name != "projection.weight"
            assert np.array_equal(found[name], array.T if is_map else array), name
    taken = sorted(set(places.values()))
    assert sum(length for _, length in taken) <= (folder / "weights.bin").stat().st_size
    for (first, length), (start, _) in pairwise(taken):
        assert first + length <= start
    if bundle.description.model.position_layout != "learned":
        assert places["source.positions"] == places["target.positions"]


def test_the_start_is_a_vector_of_zeros_where_it_is_said(exported: tuple[Bundle, Path]) -> None:
    is_zero = exported[0].description.model.decoder_start is DecoderStart.ZERO_VECTOR
    assert (read_onnx(exported[1]).description.start_id == -1) is is_zero
