"""The whole model agrees with a tiny random Hugging Face MarianMTModel, built from a config, in float64.

The renaming below is this test's own; ``interop/`` is tested elsewhere.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import Tensor

from pellucid.config import ModelConfig
from pellucid.model import Transformer
from pellucid.tracing.edits import AblateHead
from pellucid.tracing.sites import AttentionKind

from .test_numpy_forward import Tape

if TYPE_CHECKING:
    from transformers import MarianMTModel

BATCH, SOURCE, TARGET, VOCABULARY, PAD, EOS = 3, 7, 5, 41, 40, 0

ATTENTION = {"q_proj": "queries", "k_proj": "keys", "v_proj": "values", "out_proj": "output"}
PARTS = {
    "self_attn_layer_norm": "self_attention_norm",
    "encoder_attn_layer_norm": "cross_attention_norm",
    "final_layer_norm": "feed_forward_norm",
    "fc1": "feed_forward.inner",
    "fc2": "feed_forward.outer",
    **{f"self_attn.{theirs}": f"self_attention.{ours}" for theirs, ours in ATTENTION.items()},
    **{f"encoder_attn.{theirs}": f"cross_attention.{ours}" for theirs, ours in ATTENTION.items()},
}


def their_model(activation: str) -> MarianMTModel:
    with warnings.catch_warnings():
        # Importing transformers touches deprecated corners of its dependencies; that is not our defect.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        from transformers import MarianConfig, MarianMTModel
    torch.manual_seed(3)
    model = MarianMTModel(
        MarianConfig(
            vocab_size=VOCABULARY,
            d_model=18,
            encoder_layers=2,
            decoder_layers=3,
            encoder_attention_heads=3,
            decoder_attention_heads=3,
            encoder_ffn_dim=23,
            decoder_ffn_dim=23,
            max_position_embeddings=13,
            activation_function=activation,
            scale_embedding=True,
            pad_token_id=PAD,
            bos_token_id=EOS,
            eos_token_id=EOS,
            decoder_start_token_id=PAD,
            forced_eos_token_id=EOS,
            attn_implementation="eager",
        )
    )
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.2 * torch.randn_like(parameter)
        model.model.shared.weight[PAD] = 0
        model.final_logits_bias.normal_()
    return model.double().eval()


def our_model(theirs: MarianMTModel, activation: str, layout: str = "half_split_paper_frequency") -> Transformer:
    config = ModelConfig.model_validate(
        {
            "d_model": 18,
            "num_heads": 3,
            "d_feedforward": 23,
            "num_encoder_layers": 2,
            "num_decoder_layers": 3,
            "activation": activation,
            "position_layout": layout,
            "max_positions": 13,
            "output_bias": True,
            "decoder_start": "pad",
            "source_vocab_size": VOCABULARY,
            "target_vocab_size": VOCABULARY,
            "specials": {"pad": PAD, "unk": 1, "bos": EOS, "eos": EOS},
        }
    )
    model = Transformer(config).double().eval()
    weights = {
        "source_embedding.weight": theirs.model.shared.weight,
        "projection.bias": theirs.final_logits_bias[0],
    }
    for stack in ("encoder", "decoder"):
        for index, layer in enumerate(getattr(theirs.model, stack).layers):
            for name, value in layer.state_dict().items():
                part, kind = name.rsplit(".", 1)
                weights[f"{stack}.layers.{index}.{PARTS[part]}.{kind}"] = value
    model.load_state_dict(weights)
    return model


@pytest.mark.parametrize("activation", ["swish", "relu"])
def test_logits_agree_with_marian(activation: str) -> None:
    theirs = their_model(activation)
    ours = our_model(theirs, activation)
    table = ours.encoder.input.positions.table
    for stack in (theirs.model.encoder, theirs.model.decoder):
        # Theirs is rounded to float32 when made, ours is not; so the tables first, then ours into theirs.
        torch.testing.assert_close(stack.embed_positions.weight, table, rtol=0, atol=1e-7)
        with torch.no_grad():
            stack.embed_positions.weight.copy_(table)
    source, source_mask, target = inputs()
    assert ours.start_id == theirs.config.decoder_start_token_id
    with torch.no_grad():
        expected = theirs(
            input_ids=source, attention_mask=source_mask.long(), decoder_input_ids=target, use_cache=False
        )
        memory = ours.encode(source, source_mask=source_mask)
        logits = ours(source, target, source_mask=source_mask)
    torch.testing.assert_close(
        memory[source_mask], expected.encoder_last_hidden_state[source_mask], rtol=1e-10, atol=1e-10
    )
    torch.testing.assert_close(logits, expected.logits, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("layout", ["half_split_paper_frequency", "interleaved"])
def test_every_attention_and_hidden_state_is_marians(layout: str) -> None:
    theirs, ours, tape = recorded(layout)
    source, source_mask, target = inputs()
    with torch.no_grad():
        found = theirs(
            input_ids=source,
            attention_mask=source_mask.long(),
            decoder_input_ids=target,
            use_cache=False,
            output_attentions=True,
            output_hidden_states=True,
        )
        ours(source, target, source_mask=source_mask, recorder=tape)
    real = source_mask.numpy()
    for index, weights in enumerate(found.encoder_attentions):
        same(tape.sites[f"encoder.{index}.self_attention.weights"].swapaxes(1, 2)[real], weights.transpose(1, 2)[real])
    for index, weights in enumerate(found.decoder_attentions):
        same(tape.sites[f"decoder.{index}.self_attention.weights"], weights)
    for index, weights in enumerate(found.cross_attentions):
        same(tape.sites[f"decoder.{index}.cross_attention.weights"], weights)
    for index, hidden in enumerate(found.encoder_hidden_states[:-1]):
        same(tape.sites[f"encoder.{index}.input"][real], hidden[real])
    for index, hidden in enumerate(found.decoder_hidden_states[:-1]):
        same(tape.sites[f"decoder.{index}.input"], hidden)
    same(tape.sites["encoder.output"][real], found.encoder_hidden_states[-1][real])
    same(tape.sites["decoder.output"], found.decoder_hidden_states[-1])
    depths = len(found.encoder_attentions), len(found.decoder_attentions), len(found.cross_attentions)
    assert depths == (2, 3, 3)


@pytest.mark.parametrize(
    ("place", "attention"),
    [
        ("encoder.1.self_attention", "model.encoder.layers.1.self_attn"),
        ("decoder.2.self_attention", "model.decoder.layers.2.self_attn"),
        ("decoder.0.cross_attention", "model.decoder.layers.0.encoder_attn"),
    ],
)
def test_a_head_switched_off_is_marian_without_its_columns_of_the_output_matrix(place: str, attention: str) -> None:
    kind, layer = AttentionKind.of(f"{place}.weights"), int(place.split(".")[1])
    assert kind is not None
    theirs, ours, _ = recorded("half_split_paper_frequency")
    source, source_mask, target = inputs()
    edit = AblateHead(kind, layer, 2)
    tape = Tape({f"{place}.context": lambda context: edit.apply(torch.from_numpy(context)).numpy()})
    with torch.no_grad():
        theirs.get_submodule(attention).out_proj.weight[:, 12:] = 0  # head 2 of 3, 6 wide
        expected = theirs(
            input_ids=source, attention_mask=source_mask.long(), decoder_input_ids=target, use_cache=False
        )
        logits = ours(source, target, source_mask=source_mask, recorder=tape)
    torch.testing.assert_close(logits, expected.logits, rtol=1e-10, atol=1e-10)


def recorded(layout: str) -> tuple[MarianMTModel, Transformer, Tape]:
    """Both models on our table of positions, and a tape for ours."""
    theirs = their_model("swish")
    ours = our_model(theirs, "swish", layout)
    for stack in (theirs.model.encoder, theirs.model.decoder):
        with torch.no_grad():
            stack.embed_positions.weight.copy_(ours.encoder.input.positions.table)
    return theirs, ours, Tape()


def same(ours: np.ndarray, theirs: Tensor) -> None:
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-10, atol=1e-10)


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(4)
    source = torch.randint(2, PAD, (BATCH, SOURCE), generator=generator)
    source_mask = torch.arange(SOURCE) < torch.tensor([7, 5, 2])[:, None]
    target = torch.randint(2, PAD, (BATCH, TARGET), generator=generator)
    target[:, 0] = PAD
    return source.where(source_mask, torch.tensor(PAD)), source_mask, target
