"""A model folder in int8: whole numbers and a scale for each row of a matrix, and the same weights everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.models import random_model, save_model

from pellucid.bundle import load_bundle, read_description
from pellucid.durable import sha256_of
from pellucid.errors import BundleError, IncompatibleModelError
from pellucid.model.transformer import Transformer
from pellucid.translation.engines.native.preparation import _Map


@pytest.fixture
def model() -> Transformer:
    model = random_model(seed=7, noise=0.2)
    with torch.no_grad():
        next(p for p in model.parameters() if p.dim() == 2)[3] = 0.0  # a row without a scale
    return model


def test_a_weight_is_within_half_a_step_of_its_row(model: Transformer, tmp_path: Path) -> None:
    bundle = load_bundle(save_model(tmp_path / "m", model, dtype=torch.int8))
    assert bundle.description.weights_dtype == "int8"
    for (name, before), after in zip(model.state_dict().items(), bundle.model.state_dict().values(), strict=True):
        assert after.dtype is torch.float32, name
        if before.dim() == 2:
            steps = before.abs().amax(dim=1, keepdim=True) / 127
            assert ((before - after).abs() <= steps * 0.5001).all(), name
        else:
            assert torch.equal(before, after), name


def test_the_folder_is_little_more_than_a_quarter(tmp_path: Path) -> None:
    model = random_model(seed=7, d_model=96, d_feedforward=384)
    sizes = [
        next(save_model(tmp_path / name, model, dtype=dtype).glob("weights-*")).stat().st_size
        for name, dtype in (("whole", None), ("int8", torch.int8))
    ]
    assert sizes[1] < 0.3 * sizes[0]


def test_a_second_rounding_changes_no_number(model: Transformer, tmp_path: Path) -> None:
    """So the native engine, which computes with such rows, uses the very numbers of the file."""
    folder = save_model(tmp_path / "m", model, dtype=torch.int8)
    stored = load_file(folder / read_description(folder).weights)
    for name, weight in load_bundle(folder).model.state_dict().items():
        if weight.dim() != 2:
            continue
        rows, inputs = weight.shape
        widths = -(-inputs // 4) * 4
        padded = _Map.of([weight.numpy()], [None], columns=1, inputs=widths)
        arrays = dict(padded.arrays("m", columns=1, is_int8=True))
        again = arrays["m.weight"].transpose(0, 2, 1, 3).reshape(rows, widths)[:, :inputs]
        assert (again == stored[name].numpy()).all(), name


def test_weights_without_their_scales_are_refused(model: Transformer, tmp_path: Path) -> None:
    folder = save_model(tmp_path / "m", model, dtype=torch.int8)
    path = folder / read_description(folder).weights
    state = load_file(path)
    before = sha256_of(path)
    name = next(name for name in state if name.endswith(".scales"))
    del state[name]
    save_file(state, path)
    description = folder / "model.toml"
    description.write_text(description.read_text().replace(before, sha256_of(path)))
    with pytest.raises(IncompatibleModelError, match=f"{name} is missing"):
        load_bundle(folder)


def test_weights_that_are_not_finite_are_refused(model: Transformer, tmp_path: Path) -> None:
    with torch.no_grad():
        next(model.parameters())[0] = torch.inf
    with pytest.raises(BundleError, match="is not finite"):
        save_model(tmp_path / "m", model, dtype=torch.int8)
