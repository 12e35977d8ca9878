"""Small models of ours in every variant, with no weight at its starting value, and their ONNX folders."""

from __future__ import annotations

from pathlib import Path

from tests.models import random_model, save_model

from pellucid.bundle import Bundle, load_bundle
from pellucid.interop.onnx.writing import write_onnx
from pellucid.text.tokenizer import BytesTokenizer, Tokenizer

VARIANTS: dict[str, dict[str, object]] = {
    "the paper's": {"num_encoder_layers": 1, "num_decoder_layers": 1},
    "pre-norm, nothing tied": {
        "num_encoder_layers": 5,
        "num_decoder_layers": 3,
        "norm_order": "pre",
        "activation": "gelu",
        "position_layout": "learned",
        "position_offset": 2,
        "share_embeddings": False,
        "share_decoder_embeddings": False,
        "scale_embeddings": False,
        "output_bias": True,
        "zero_padding_row": False,
        "decoder_start": "zero_vector",
    },
    "decoder tied": {
        "num_encoder_layers": 3,
        "num_decoder_layers": 5,
        "activation": "swish",
        "position_layout": "half_split_t2t",
        "layer_norm_epsilon": 1e-6,
        "share_embeddings": False,
        "output_bias": True,
        "decoder_start": "pad",
    },
    "pre-norm, all tied": {
        "num_encoder_layers": 3,
        "num_decoder_layers": 1,
        "norm_order": "pre",
        "position_layout": "half_split_paper_frequency",
        "position_offset": 1,
        "layer_norm_epsilon": 1e-3,
    },
}


def random_bundle(folder: Path, tokenizer: Tokenizer | None = None, **changes: object) -> Bundle:
    tokenizer = tokenizer or BytesTokenizer()
    shape = {"d_model": 22, "num_heads": 11, "d_feedforward": 29, "max_positions": 61} | changes
    return load_bundle(save_model(folder, random_model(tokenizer, seed=5, vector_noise=0.3, **shape), tokenizer))


def onnx_folder(bundle: Bundle, folder: Path) -> Path:
    folder.mkdir()
    write_onnx(bundle, folder)
    return folder
