"""Every site of a recorded pass agrees with the independent NumPy pass, and edits act alike in both."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from tests.models import random_model
from torch import Tensor

from pellucid.config import ModelConfig
from pellucid.model import ZERO_VECTOR_ID, Transformer

from .numpy_transformer import NumpyTransformer, Shape

BATCH, SOURCE, TARGET, VOCABULARY = 3, 7, 5, 31
BASE: dict[str, object] = {"num_encoder_layers": 2, "num_decoder_layers": 3, "max_positions": 11}
VARIANTS: dict[str, dict[str, object]] = {
    "paper": {},
    "pre-norm, deep encoder": {"norm_order": "pre", "num_encoder_layers": 3, "num_decoder_layers": 1},
    "gelu, half-split, offset": {
        "activation": "gelu",
        "position_layout": "half_split_paper_frequency",
        "position_offset": 2,
    },
    "swish, t2t, pre-norm": {"activation": "swish", "position_layout": "half_split_t2t", "norm_order": "pre"},
    "learned, offset, two vocabularies": {
        "position_layout": "learned",
        "position_offset": 1,
        "share_embeddings": False,
        "target_vocab_size": 37,
    },
    "nothing tied, output bias, unscaled": {
        "share_embeddings": False,
        "share_decoder_embeddings": False,
        "target_vocab_size": 29,
        "output_bias": True,
        "scale_embeddings": False,
        "layer_norm_epsilon": 1e-3,
    },
    "zero vector, padding row trained": {"decoder_start": "zero_vector", "zero_padding_row": False},
}


class Tape:
    """A recorder that keeps copies and applies edits by site."""

    def __init__(self, edits: Mapping[str, Callable[[np.ndarray], np.ndarray]] | None = None) -> None:
        self.edits = edits or {}
        self.sites: dict[str, np.ndarray] = {}

    def visit(self, site: str, value: Tensor) -> Tensor:
        assert site not in self.sites, f"{site} was visited twice"
        if site in self.edits:
            value = torch.from_numpy(np.ascontiguousarray(self.edits[site](value.detach().numpy())))
        self.sites[site] = value.detach().numpy().copy()
        return value


def make(variant: Mapping[str, object], seed: int = 5) -> Transformer:
    shape = BASE | dict(variant)
    return random_model(vocabulary=VOCABULARY, seed=seed, vector_noise=0.1, dtype=torch.float64, **shape)


def shape_of(config: ModelConfig) -> Shape:
    return Shape(
        num_heads=config.num_heads,
        num_encoder_layers=config.num_encoder_layers,
        num_decoder_layers=config.num_decoder_layers,
        pre_norm=config.norm_order == "pre",
        activation=config.activation,
        epsilon=config.layer_norm_epsilon,
        layout=config.position_layout,
        offset=config.position_offset,
        scale_embeddings=config.scale_embeddings,
    )


def inputs(model: Transformer) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Ids and masks: one full row, one padded row, one row whose source is padding alone."""
    generator = torch.Generator().manual_seed(2)
    top = min(model.config.source_vocab_size, model.config.target_vocab_size)
    source = torch.randint(0, top, (BATCH, SOURCE), generator=generator)
    target = torch.randint(0, top, (BATCH, TARGET), generator=generator)
    target[:, 0] = model.start_id
    source_mask = torch.arange(SOURCE) < torch.tensor([7, 4, 0])[:, None]
    target_mask = torch.arange(TARGET) < torch.tensor([3, 5, 2])[:, None]
    return source, target, source_mask, target_mask


def both(
    model: Transformer, edits: Mapping[str, Callable[[np.ndarray], np.ndarray]] | None = None
) -> tuple[Tensor, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Our logits, our sites, NumPy's sites."""
    source, target, source_mask, target_mask = inputs(model)
    tape = Tape(edits)
    with torch.no_grad():
        logits = model(source, target, source_mask=source_mask, target_mask=target_mask, recorder=tape)
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    reference = NumpyTransformer(weights, shape_of(model.config), edits or {})
    sites = reference.run(source.numpy(), target.numpy(), source_mask.numpy(), target_mask.numpy())
    return logits, tape.sites, sites


def assert_same(ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]) -> None:
    assert set(ours) == set(theirs)
    for site, value in theirs.items():
        assert ours[site].shape == value.shape, site
        np.testing.assert_allclose(ours[site], value, rtol=1e-10, atol=1e-10, err_msg=site)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_site_agrees(name: str) -> None:
    logits, ours, theirs = both(make(VARIANTS[name]))
    assert_same(ours, theirs)
    np.testing.assert_array_equal(ours["logits"], logits.numpy())


def test_zero_vector_start_is_in_the_variants_and_embeds_as_zero() -> None:
    model = make(VARIANTS["zero vector, padding row trained"])
    assert model.start_id == ZERO_VECTOR_ID
    _, ours, _ = both(model)
    assert not ours["target.embedding"][:, 0].any()
    assert ours["target.input"][:, 0].any()  # the position is still added


@pytest.mark.parametrize("name", VARIANTS)
def test_the_fused_pass_gives_the_recorded_logits(name: str) -> None:
    model = make(VARIANTS[name])
    source, target, source_mask, target_mask = inputs(model)
    recorded, _, _ = both(model)
    with torch.no_grad():
        fused = model(source, target, source_mask=source_mask, target_mask=target_mask)
    torch.testing.assert_close(fused, recorded, rtol=1e-10, atol=1e-10)


def first_key_only(weights: np.ndarray) -> np.ndarray:
    edited = np.zeros_like(weights)
    edited[..., 0] = 1
    return edited


def second_row_only(value: np.ndarray) -> np.ndarray:
    edited = value.copy()
    edited[1] *= -0.5
    return edited


def nothing_but_oneself(may_attend: np.ndarray) -> np.ndarray:
    return may_attend & np.eye(may_attend.shape[-1], dtype=bool)


EDITS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "source.embedding": second_row_only,
    "source.scaled_embedding": second_row_only,
    "source.position": second_row_only,
    "source.input": second_row_only,
    "encoder.1.input": second_row_only,
    "encoder.0.self_attention.queries": second_row_only,
    "encoder.0.self_attention.keys": second_row_only,
    "encoder.0.self_attention.values": second_row_only,
    "encoder.0.self_attention.scores": second_row_only,
    "encoder.0.self_attention.scaled": second_row_only,
    "encoder.0.self_attention.may_attend": nothing_but_oneself,
    "encoder.1.self_attention.weights": first_key_only,
    "encoder.1.self_attention.context": second_row_only,
    "encoder.1.self_attention.concatenated": second_row_only,
    "encoder.1.self_attention.output": second_row_only,
    "encoder.1.self_attention_residual": second_row_only,
    "encoder.1.self_attention_norm": second_row_only,
    "encoder.1.feed_forward.pre_activation": second_row_only,
    "encoder.1.feed_forward.hidden": second_row_only,
    "encoder.1.feed_forward.output": second_row_only,
    "encoder.1.feed_forward_residual": second_row_only,
    "encoder.1.feed_forward_norm": second_row_only,
    "encoder.output": second_row_only,
    "target.input": second_row_only,
    "decoder.2.self_attention.weights": first_key_only,
    "decoder.1.cross_attention.weights": first_key_only,
    "decoder.0.cross_attention.values": second_row_only,
    "decoder.0.cross_attention_norm": second_row_only,
    "decoder.output": second_row_only,
    "logits": second_row_only,
}


@pytest.mark.parametrize("order", ["post", "pre"])
@pytest.mark.parametrize("site", EDITS)
def test_an_edit_goes_on(site: str, order: str) -> None:
    model = make({"norm_order": order})
    _, plain, _ = both(model)
    logits, ours, theirs = both(model, {site: EDITS[site]})
    assert_same(ours, theirs)
    assert not np.allclose(plain["logits"], logits.numpy()), "the edit had no effect"


def test_an_edit_of_one_row_leaves_the_others_as_they_were() -> None:
    model = make({})
    before, _, _ = both(model)
    after, _, _ = both(model, {"encoder.0.self_attention.scores": second_row_only})
    torch.testing.assert_close(after[[0, 2]], before[[0, 2]], rtol=0, atol=0)
    assert not torch.allclose(after[1], before[1])


def test_edited_log_probabilities_are_returned_as_logits_of_the_same_distribution() -> None:
    model = make({})
    logits, ours, _ = both(model, {"log_probabilities": lambda value: value - 3.0})
    np.testing.assert_array_equal(logits.numpy(), ours["log_probabilities"])


def test_an_edit_that_changes_the_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"encoder\.0\.input.*an edit must keep the shape"):
        both(make({}), {"encoder.0.input": lambda value: value[:, :2]})


def test_recording_changes_neither_result_nor_weights_nor_randomness() -> None:
    model = make({"norm_order": "pre", "dropout": 0.3, "activation_dropout": 0.2, "attention_dropout": 0.1}).train()
    source, target, source_mask, target_mask = inputs(model)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    results, states = [], []
    for recorder in (None, Tape()):
        torch.manual_seed(3)
        results.append(model(source, target, source_mask=source_mask, target_mask=target_mask, recorder=recorder))
        states.append(torch.get_rng_state())
    torch.testing.assert_close(results[0], results[1], rtol=1e-10, atol=1e-10)
    assert torch.equal(states[0], states[1])
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
