"""Write a model as a CTranslate2 folder, by CTranslate2's own specification of a Transformer.

    encoder/layer_0/self_attention/linear_0    queries, keys and values, one below the other
    encoder/layer_0/self_attention/linear_1    output
    decoder/layer_0/attention/linear_0, 1, 2   queries; keys and values; output
    encoder/position_encodings/encodings       the table of positions, whatever its layout

CTranslate2 has defaults for epsilon, sinusoids, start token and end of sentence that differ from ours, so
everything is set. Read ``engine.py`` next.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast

import torch
from torch import Tensor

from pellucid.bundle import Bundle
from pellucid.config import Activation, DecoderStart, ModelConfig, NormOrder
from pellucid.durable import DISK
from pellucid.interop.ctranslate2.config import (
    SOURCE_SEGMENTER,
    TARGET_SEGMENTER,
    Quantization,
    ctranslate2_library,
    ctranslate2_notes,
    quantization_named,
    table_length,
)
from pellucid.interop.position_rows import position_rows
from pellucid.interop.sentencepiece_nfc import segmenter_file
from pellucid.model.transformer import Transformer
from pellucid.text.subword import Tokenizer
from pellucid.text.vocabulary import Vocabulary

__all__ = ["write_ctranslate2"]

_ACTIVATIONS: Final = {Activation.RELU: "RELU", Activation.GELU: "GELU", Activation.SWISH: "SWISH"}
State = dict[str, Tensor]
Spec = Any
"""An object of ``ctranslate2.specs``, which has no type information."""


def write_ctranslate2(
    bundle: Bundle, folder: Path, *, quantization: str = Quantization.FLOAT32.value
) -> tuple[str, ...]:
    """Write the files into an existing folder; return notes for the user.

    The model must have passed ``ctranslate2_refusals``.

    Raises:
        ConfigError: ctranslate2 is not installed, or the quantisation is unknown.
    """
    chosen = quantization_named(quantization)
    tokenizer = bundle.tokenizer
    spec = _filled(bundle.model, tokenizer)
    spec.validate()
    spec.optimize(quantization=chosen.value)
    spec.save(str(folder))
    for name, side in ((SOURCE_SEGMENTER, tokenizer.source), (TARGET_SEGMENTER, tokenizer.target)):
        DISK.write(folder / name, segmenter_file(side))
    return ctranslate2_notes(bundle.description.model, tokenizer, chosen)


def _filled(model: Transformer, tokenizer: Tokenizer) -> Spec:
    config = model.config
    specs = ctranslate2_library("ctranslate2.specs")
    spec = specs.TransformerSpec.from_config(
        (config.num_encoder_layers, config.num_decoder_layers),
        config.num_heads,
        pre_norm=config.norm_order is NormOrder.PRE,
        activation=specs.Activation[_ACTIVATIONS[config.activation]],
    )
    # These are copies, since quantisation works in place.
    state = {name: tensor.detach().float().cpu().clone() for name, tensor in model.state_dict().items()}
    decoder_table = "source_embedding.weight" if config.share_embeddings else "target_embedding.weight"
    spec.encoder.embeddings[0].weight = state["source_embedding.weight"]
    spec.decoder.embeddings.weight = state[decoder_table]
    spec.decoder.projection.weight = state[decoder_table if config.share_decoder_embeddings else "projection.weight"]
    if config.output_bias:
        spec.decoder.projection.bias = state["projection.bias"]
    spec.decoder.start_from_zero_embedding = config.decoder_start is DecoderStart.ZERO_VECTOR
    for stack in ("encoder", "decoder"):
        part = getattr(spec, stack)
        part.scale_embeddings = math.sqrt(config.d_model) if config.scale_embeddings else 1.0
        part.position_encodings.encodings = position_rows(config, state, stack, count=table_length(config))
        if config.norm_order is NormOrder.PRE:
            _fill_norm(part.layer_norm, state, f"{stack}.final_norm")
        for index, layer in enumerate(part.layer):
            _fill_layer(layer, state, f"{stack}.layers.{index}", crosses=stack == "decoder")
    _fill_words(spec, config, tokenizer)
    return spec


def _fill_layer(layer: Spec, state: State, at: str, *, crosses: bool) -> None:
    _fill_linear(layer.self_attention.linear[0], state, at, "self_attention", ("queries", "keys", "values"))
    _fill_linear(layer.self_attention.linear[1], state, at, "self_attention", ("output",))
    _fill_norm(layer.self_attention.layer_norm, state, f"{at}.self_attention_norm")
    if crosses:
        _fill_linear(layer.attention.linear[0], state, at, "cross_attention", ("queries",))
        _fill_linear(layer.attention.linear[1], state, at, "cross_attention", ("keys", "values"))
        _fill_linear(layer.attention.linear[2], state, at, "cross_attention", ("output",))
        _fill_norm(layer.attention.layer_norm, state, f"{at}.cross_attention_norm")
    _fill_linear(layer.ffn.linear_0, state, at, "feed_forward", ("inner",))
    _fill_linear(layer.ffn.linear_1, state, at, "feed_forward", ("outer",))
    _fill_norm(layer.ffn.layer_norm, state, f"{at}.feed_forward_norm")


def _fill_linear(linear: Spec, state: State, at: str, part: str, names: Sequence[str]) -> None:
    linear.weight = torch.cat([state[f"{at}.{part}.{name}.weight"] for name in names])
    linear.bias = torch.cat([state[f"{at}.{part}.{name}.bias"] for name in names])


def _fill_norm(norm: Spec, state: State, name: str) -> None:
    norm.gamma, norm.beta = state[f"{name}.weight"], state[f"{name}.bias"]


def _fill_words(spec: Spec, config: ModelConfig, tokenizer: Tokenizer) -> None:
    """Write the vocabularies and which pieces are special; the end of sentence is added to every source."""
    spec.register_source_vocabulary(list(tokenizer.source.vocabulary.pieces))
    spec.register_target_vocabulary(list(tokenizer.target.vocabulary.pieces))
    vocabulary: Vocabulary = tokenizer.target.vocabulary
    specials = vocabulary.specials
    words = cast(Any, spec.config)
    words.unk_token = vocabulary.piece(specials.unk)
    words.bos_token = vocabulary.piece(specials.bos)
    words.eos_token = vocabulary.piece(specials.eos)
    starts_from_pad = config.decoder_start is DecoderStart.PAD
    words.decoder_start_token = vocabulary.piece(specials.pad if starts_from_pad else specials.bos)
    words.add_source_bos = False
    words.add_source_eos = True
    words.layer_norm_epsilon = config.layer_norm_epsilon
