"""``config.json`` of Hugging Face MarianMT and our configuration, each made from the other.

What the format fixes, and therefore does not write: post-norm; layer-norm epsilon 1e-5; half-split sinusoids
with the paper's frequencies, from position 0; the decoder starts from the padding piece; biases everywhere.
What a file leaves out has the library's defaults, not ours: it writes only what differs from them. Read
``names.py`` next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import ValidationError

from pellucid.config import (
    Activation,
    DecoderStart,
    LengthPenalty,
    ModelConfig,
    NormOrder,
    PositionLayout,
    SpecialIds,
    TranslationConfig,
)
from pellucid.errors import IncompatibleModelError
from pellucid.interop.foreign_model import Refusal
from pellucid.interop.untrusted.files import Table

__all__ = [
    "LAYER_NORM_EPSILON",
    "config_refusals",
    "config_table",
    "generation_table",
    "model_config",
    "translation_config",
]

LAYER_NORM_EPSILON: Final = 1e-5

# What transformers assumes of a name that the file does not give (MarianConfig of transformers 5).
_DEFAULTS: Final[Mapping[str, object]] = {
    "vocab_size": 58101,
    "max_position_embeddings": 1024,
    "encoder_layers": 12,
    "encoder_ffn_dim": 4096,
    "encoder_attention_heads": 16,
    "decoder_layers": 12,
    "decoder_ffn_dim": 4096,
    "decoder_attention_heads": 16,
    "activation_function": "gelu",
    "d_model": 1024,
    "dropout": 0.1,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "decoder_start_token_id": 58100,
    "scale_embedding": False,
    "pad_token_id": 58100,
    "eos_token_id": 0,
    "share_encoder_decoder_embeddings": True,
    "tie_word_embeddings": True,
}
_LARGEST: Final[Mapping[str, int]] = {
    "vocab_size": 1 << 20,
    "decoder_vocab_size": 1 << 20,
    "max_position_embeddings": 1 << 16,
    "d_model": 1 << 13,
    "encoder_layers": 256,
    "decoder_layers": 256,
    "encoder_ffn_dim": 1 << 16,
    "decoder_ffn_dim": 1 << 16,
    "encoder_attention_heads": 1 << 10,
    "decoder_attention_heads": 1 << 10,
}
_ACTIVATIONS: Final[Mapping[str, Activation]] = {
    "relu": Activation.RELU,
    "gelu": Activation.GELU,
    "swish": Activation.SWISH,
    "silu": Activation.SWISH,
}
# Older files say these of themselves; the arithmetic that transformers does is the one of these values.
_FIXED: Final[Mapping[str, object]] = {
    "normalize_before": False,
    "normalize_embedding": False,
    "add_final_layer_norm": False,
    "static_position_embeddings": True,
    "layernorm_embedding": False,
}
_NO_ID: Final = -1


class _Fields:
    """The values of a file with the library's defaults; collects what is wrong with them."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.problems: list[str] = []

    def get(self, name: str) -> object:
        value = self.table.get(name)
        return _DEFAULTS.get(name) if value is None else value

    def integer(self, name: str, *, least: int = 1) -> int:
        value, most = self.get(name), _LARGEST.get(name, 1 << 20)
        if type(value) is not int or not least <= value <= most:
            self.problems.append(f"{name} = {value!r} must be a whole number from {least} to {most:,}")
            return least
        return value

    def share(self, name: str) -> float:
        value = self.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
            self.problems.append(f"{name} = {value!r} must be a number from 0, below 1")
            return 0.0
        return float(value)

    def truth(self, name: str) -> bool:
        value = self.get(name)
        if not isinstance(value, bool):
            self.problems.append(f"{name} = {value!r} must be true or false")
        return value is True

    def identifier(self, name: str, default: int = _NO_ID) -> int:
        value = self.get(name)
        if isinstance(value, list) and len(value) == 1:
            (value,) = value
        if value is None and default != _NO_ID:
            return default
        if type(value) is not int or not 0 <= value < _LARGEST["vocab_size"]:
            self.problems.append(f"{name} = {value!r} must be the id of a piece")
            return _NO_ID
        return value

    def pair(self, name: str) -> int:
        """Return what encoder and decoder must have in common."""
        encoder, decoder = self.integer(f"encoder_{name}"), self.integer(f"decoder_{name}")
        if encoder != decoder:
            self.problems.append(f"encoder_{name} = {encoder} and decoder_{name} = {decoder} must be equal")
        return encoder


def model_config(table: Table, *, unk: int, place: str) -> ModelConfig:
    """Turn the contents of ``config.json`` into our configuration.

    Args:
        table: the file's contents.
        unk: id of the unknown piece, which only the vocabulary knows.
        place: how messages call the file.

    Raises:
        IncompatibleModelError: it is no MarianMT model, or one that transformers itself would compute
            otherwise than it says; all reasons at once.
    """
    fields = _Fields(table)
    if table.get("model_type") != "marian":
        fields.problems.append(f"model_type = {table.get('model_type')!r} must be 'marian'")
    for name, value in _FIXED.items():
        if name in table and table[name] != value:
            fields.problems.append(f"{name} = {table[name]!r} must be {value!r}: MarianMT computes no other")
    settings = _settings(fields, unk)
    if fields.problems:
        raise IncompatibleModelError(f"{place}: is not a MarianMT model that can be read:" + _listed(fields.problems))
    try:
        return ModelConfig.model_validate(settings)
    except ValidationError as error:
        reasons = [str(problem["msg"]) for problem in error.errors()]
        raise IncompatibleModelError(f"{place}: describes no model that can be built:" + _listed(reasons)) from None


def _settings(fields: _Fields, unk: int) -> Table:
    activation = fields.get("activation_function")
    if not isinstance(activation, str) or activation not in _ACTIVATIONS:
        fields.problems.append(f"activation_function = {activation!r} must be one of {', '.join(_ACTIVATIONS)}")
    shared, tied = fields.truth("share_encoder_decoder_embeddings"), fields.truth("tie_word_embeddings")
    if shared and not tied:
        fields.problems.append(
            "tie_word_embeddings = false with share_encoder_decoder_embeddings = true: transformers does not build "
            "that model the same way in each version"
        )
    pad, eos = fields.identifier("pad_token_id"), fields.identifier("eos_token_id")
    if (start := fields.identifier("decoder_start_token_id")) != pad:
        fields.problems.append(f"decoder_start_token_id = {start} must be pad_token_id = {pad}")
    source_size = fields.integer("vocab_size", least=4)
    has_own_size = not shared and fields.get("decoder_vocab_size") is not None
    return {
        "d_model": fields.integer("d_model", least=2),
        "num_heads": fields.pair("attention_heads"),
        "d_feedforward": fields.pair("ffn_dim"),
        "num_encoder_layers": fields.integer("encoder_layers"),
        "num_decoder_layers": fields.integer("decoder_layers"),
        "activation": _ACTIVATIONS.get(str(activation), Activation.GELU),
        "norm_order": NormOrder.POST,
        "layer_norm_epsilon": LAYER_NORM_EPSILON,
        "dropout": fields.share("dropout"),
        "attention_dropout": fields.share("attention_dropout"),
        "activation_dropout": fields.share("activation_dropout"),
        "position_layout": PositionLayout.HALF_SPLIT_PAPER_FREQUENCY,
        "position_offset": 0,
        "max_positions": fields.integer("max_position_embeddings"),
        "share_embeddings": shared,
        "share_decoder_embeddings": tied,
        "scale_embeddings": fields.truth("scale_embedding"),
        "output_bias": True,
        "decoder_start": DecoderStart.PAD,
        "source_vocab_size": source_size,
        "target_vocab_size": fields.integer("decoder_vocab_size", least=4) if has_own_size else source_size,
        "specials": {"pad": pad, "unk": unk, "bos": fields.identifier("bos_token_id", eos), "eos": eos},
    }


def _listed(problems: list[str]) -> str:
    return "".join(f"\n  - {problem}" for problem in problems)


def config_refusals(config: ModelConfig) -> list[Refusal]:
    """Return every reason why ``config.json`` cannot describe a model of this shape."""
    layout = PositionLayout.HALF_SPLIT_PAPER_FREQUENCY
    found = []
    if config.norm_order is not NormOrder.POST:
        found.append(Refusal("it is pre-norm, and MarianMT is post-norm", "model.norm_order=post"))
    if config.position_layout is not layout:
        found.append(
            Refusal(
                f"its positions are {config.position_layout.value!r}, and MarianMT computes {layout.value!r}",
                f"model.position_layout={layout.value}",
            )
        )
    if config.position_offset:
        found.append(
            Refusal(f"its positions begin at row {config.position_offset}, MarianMT's at 0", "model.position_offset=0")
        )
    if config.layer_norm_epsilon != LAYER_NORM_EPSILON:
        found.append(
            Refusal(
                f"its layer_norm_epsilon is {config.layer_norm_epsilon:g}, MarianMT's is {LAYER_NORM_EPSILON:g}",
                f"model.layer_norm_epsilon={LAYER_NORM_EPSILON:g}",
            )
        )
    # A vector of zeros is what the padding piece embeds as, where its row is kept at zero.
    starts_alike = config.decoder_start is DecoderStart.ZERO_VECTOR and config.zero_padding_row
    if config.decoder_start is not DecoderStart.PAD and not starts_alike:
        found.append(
            Refusal(
                f"its decoder starts from {config.decoder_start.value!r}, MarianMT's from the padding piece",
                "model.decoder_start=pad",
            )
        )
    return found


def config_table(config: ModelConfig, specials: SpecialIds) -> Table:
    """Return the contents of ``config.json``, every value that decides the arithmetic spelt out."""
    activation = next(name for name, value in _ACTIVATIONS.items() if value is config.activation)
    return {
        "architectures": ["MarianMTModel"],
        "model_type": "marian",
        "is_encoder_decoder": True,
        "vocab_size": config.source_vocab_size,
        "decoder_vocab_size": config.target_vocab_size,
        "d_model": config.d_model,
        "encoder_layers": config.num_encoder_layers,
        "decoder_layers": config.num_decoder_layers,
        "num_hidden_layers": config.num_encoder_layers,
        "encoder_attention_heads": config.num_heads,
        "decoder_attention_heads": config.num_heads,
        "encoder_ffn_dim": config.d_feedforward,
        "decoder_ffn_dim": config.d_feedforward,
        "activation_function": activation,
        "dropout": config.dropout,
        "attention_dropout": config.attention_dropout,
        "activation_dropout": config.activation_dropout,
        "max_position_embeddings": config.max_positions,
        "scale_embedding": config.scale_embeddings,
        "share_encoder_decoder_embeddings": config.share_embeddings,
        "tie_word_embeddings": config.share_decoder_embeddings,
        "static_position_embeddings": True,
        "normalize_before": False,
        "normalize_embedding": False,
        "add_final_layer_norm": False,
        "pad_token_id": specials.pad,
        "bos_token_id": specials.bos,
        "eos_token_id": specials.eos,
        "forced_eos_token_id": specials.eos,
        "decoder_start_token_id": specials.pad,
        "use_cache": True,
        "dtype": "float32",
    }


def generation_table(config: ModelConfig, specials: SpecialIds, translation: TranslationConfig) -> Table:
    """Return the contents of ``generation_config.json``: the same search, as far as ``generate`` has it."""
    never = sorted({specials.pad, specials.bos} - {specials.eos})
    table: Table = {
        "bad_words_ids": [[token] for token in never],
        "bos_token_id": specials.bos,
        "decoder_start_token_id": specials.pad,
        "eos_token_id": specials.eos,
        "forced_eos_token_id": specials.eos,
        "pad_token_id": specials.pad,
        "max_length": min(512, config.max_positions),
        "num_beams": translation.beam_size,
    }
    if translation.beam_size > 1:
        is_average = translation.length_penalty is LengthPenalty.AVERAGE
        table |= {"early_stopping": True, "length_penalty": translation.alpha if is_average else 0.0}
    return table


def translation_config(generation: Table) -> TranslationConfig:
    """Take from ``generation_config.json`` what our search has too; the rest is ours."""
    given: dict[str, object] = {}
    beams, alpha = generation.get("num_beams"), generation.get("length_penalty")
    if type(beams) is int and 1 <= beams <= 64:
        given["beam_size"] = beams
    if isinstance(alpha, int | float) and not isinstance(alpha, bool) and 0 <= alpha <= 8:
        given["alpha"] = float(alpha)
    return TranslationConfig.model_validate(given)
