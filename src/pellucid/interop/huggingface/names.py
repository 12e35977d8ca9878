"""Names of the tensors of Hugging Face MarianMT, there and here, and their shapes.

    model.shared.weight [vocab, d_model]                source_embedding.weight     encoder, decoder and output share it
    model.encoder.embed_tokens.weight                   source_embedding.weight     where they do not
    model.decoder.embed_tokens.weight                   target_embedding.weight
    lm_head.weight                                      projection.weight           where it is not the decoder's table
    final_logits_bias [1, vocab]                        projection.bias [vocab]
    model.encoder.layers.0.self_attn.q_proj.weight      encoder.layers.0.self_attention.queries.weight
    ...

Linear maps are [out, in] in both. Read ``reading.py`` next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch

from pellucid.config import ModelConfig
from pellucid.model.transformer import Transformer

__all__ = ["FINAL_LOGITS_BIAS", "POSITION_TABLES", "copies_of_shared", "tensor_names", "tensor_shapes"]

FINAL_LOGITS_BIAS: Final = "final_logits_bias"

POSITION_TABLES: Final = ("model.encoder.embed_positions.weight", "model.decoder.embed_positions.weight")
"""Older files hold the computed table of positions; it is checked and not used."""

_ATTENTION: Final[Mapping[str, str]] = {
    "q_proj": "queries",
    "k_proj": "keys",
    "v_proj": "values",
    "out_proj": "output",
}
_ENCODER_PARTS: Final[Mapping[str, str]] = {
    **{f"self_attn.{theirs}": f"self_attention.{ours}" for theirs, ours in _ATTENTION.items()},
    "self_attn_layer_norm": "self_attention_norm",
    "fc1": "feed_forward.inner",
    "fc2": "feed_forward.outer",
    "final_layer_norm": "feed_forward_norm",
}
_DECODER_PARTS: Final[Mapping[str, str]] = {
    **_ENCODER_PARTS,
    **{f"encoder_attn.{theirs}": f"cross_attention.{ours}" for theirs, ours in _ATTENTION.items()},
    "encoder_attn_layer_norm": "cross_attention_norm",
}


def tensor_names(config: ModelConfig) -> dict[str, str]:
    """Return our name of each tensor that a file of this shape must hold, by the file's name."""
    names = {}
    if config.share_embeddings:
        names["model.shared.weight"] = "source_embedding.weight"
    else:
        names["model.encoder.embed_tokens.weight"] = "source_embedding.weight"
        names["model.decoder.embed_tokens.weight"] = "target_embedding.weight"
        if not config.share_decoder_embeddings:
            names["lm_head.weight"] = "projection.weight"
    names[FINAL_LOGITS_BIAS] = "projection.bias"
    for stack, count, parts in (
        ("encoder", config.num_encoder_layers, _ENCODER_PARTS),
        ("decoder", config.num_decoder_layers, _DECODER_PARTS),
    ):
        for layer in range(count):
            for theirs, ours in parts.items():
                for kind in ("weight", "bias"):
                    names[f"model.{stack}.layers.{layer}.{theirs}.{kind}"] = f"{stack}.layers.{layer}.{ours}.{kind}"
    return names


def tensor_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor that a file must hold, by the file's name."""
    with torch.device("meta"):
        state = Transformer(config).state_dict()
    shapes = {theirs: tuple(state[ours].shape) for theirs, ours in tensor_names(config).items()}
    return shapes | {FINAL_LOGITS_BIAS: (1, config.target_vocab_size)}


def copies_of_shared(config: ModelConfig) -> dict[str, str]:
    """Return tied tensors that some writers store again, with the name of the first."""
    if config.share_embeddings:
        others = ("model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight", "lm_head.weight")
        return dict.fromkeys(others, "model.shared.weight")
    if config.share_decoder_embeddings:
        return {"lm_head.weight": "model.decoder.embed_tokens.weight"}
    return {}
