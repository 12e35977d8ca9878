"""Names of the tensors of Marian's .npz, there and here, and their shapes.

    Wemb [vocab, d_model]                    source_embedding.weight      encoder, decoder and output share it
    encoder_Wemb, decoder_Wemb               source_embedding.weight, target_embedding.weight    where they do not
    decoder_ff_logit_out_W [d_model, vocab]  projection.weight            where it is not the decoder's table
    decoder_ff_logit_out_b [1, vocab]        projection.bias [vocab]
    encoder_l1_self_Wq [d_model, d_model]    encoder.layers.0.self_attention.queries.weight
    encoder_l1_self_Wo_ln_scale [1, d_model] encoder.layers.0.self_attention_norm.weight
    ...

Layers count from 1 there. Linear maps are transposed, [in, out]; tables are as here. The name of a norm
before its sub-layer ends in ``_pre``. Read ``reading.py`` next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pellucid.config import ModelConfig, NormOrder
from pellucid.interop.marian.options import MarianOptions

__all__ = ["CONFIG_NAME", "OUTPUT_BIAS", "Place", "tensor_places"]

CONFIG_NAME: Final = "special:model.yml"
OUTPUT_BIAS: Final = "decoder_ff_logit_out_b"

_LINEAR: Final = {"q": "queries", "k": "keys", "v": "values", "o": "output"}


@dataclass(frozen=True)
class Place:
    """Where a tensor of the file goes."""

    ours: tuple[str, ...]
    """Names in our state; more than one where Marian ties what we do not."""
    shape: tuple[int, ...]
    """Shape in the file."""
    is_turned: bool = False
    """Whether the file has it transposed."""


def tensor_places(config: ModelConfig, options: MarianOptions) -> dict[str, Place]:
    """Return where each tensor of a file goes, by the file's name.

    Args:
        config: our configuration; the vocabulary sizes are those of the options.
        options: which tables are tied there.
    """
    width, inner = config.d_model, config.d_feedforward
    places = _tables(config, options)
    for stack, count in (("encoder", config.num_encoder_layers), ("decoder", config.num_decoder_layers)):
        for layer in range(count):
            theirs, ours = f"{stack}_l{layer + 1}", f"{stack}.layers.{layer}"
            parts = [("self", "self_attention"), ("context", "cross_attention")]
            for there, here in parts[: 1 if stack == "encoder" else 2]:
                for short, long in _LINEAR.items():
                    places |= _linear(f"{theirs}_{there}", short, f"{ours}.{here}.{long}", width, width)
                places |= _norm(f"{theirs}_{there}_Wo", f"{ours}.{here}_norm", config)
            places |= _linear(f"{theirs}_ffn", "1", f"{ours}.feed_forward.inner", width, inner)
            places |= _linear(f"{theirs}_ffn", "2", f"{ours}.feed_forward.outer", inner, width)
            places |= _norm(f"{theirs}_ffn_ffn", f"{ours}.feed_forward_norm", config)
        if config.norm_order is NormOrder.PRE:
            # In Marian it is part of post-processing, so its name has no "_pre".
            for kind, name in (("scale", "weight"), ("bias", "bias")):
                places[f"{stack}_top_ln_{kind}"] = Place((f"{stack}.final_norm.{name}",), (width,))
    return places


def _tables(config: ModelConfig, options: MarianOptions) -> dict[str, Place]:
    width, (source, target) = config.d_model, options.vocab_sizes
    places = {}
    if config.share_embeddings:
        places["Wemb"] = Place(("source_embedding.weight",), (source, width))
    elif options.is_source_shared:
        places["Wemb"] = Place(("source_embedding.weight", "target_embedding.weight"), (source, width))
    else:
        places["encoder_Wemb"] = Place(("source_embedding.weight",), (source, width))
        places["decoder_Wemb"] = Place(("target_embedding.weight",), (target, width))
    if not config.share_decoder_embeddings:
        places["decoder_ff_logit_out_W"] = Place(("projection.weight",), (width, target), is_turned=True)
    if options.has_output_bias:
        places[OUTPUT_BIAS] = Place(("projection.bias",), (target,))
    return places


def _linear(theirs: str, short: str, ours: str, in_width: int, out_width: int) -> dict[str, Place]:
    return {
        f"{theirs}_W{short}": Place((f"{ours}.weight",), (in_width, out_width), is_turned=True),
        f"{theirs}_b{short}": Place((f"{ours}.bias",), (out_width,)),
    }


def _norm(theirs: str, ours: str, config: ModelConfig) -> dict[str, Place]:
    end = "_pre" if config.norm_order is NormOrder.PRE else ""
    return {
        f"{theirs}_ln_{kind}{end}": Place((f"{ours}.{name}",), (config.d_model,))
        for kind, name in (("scale", "weight"), ("bias", "bias"))
    }
