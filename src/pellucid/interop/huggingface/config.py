"""Convert ``config.json`` of Hugging Face MarianMT to our configuration, and back.

What the format fixes, and therefore does not write: post-norm; layer-norm epsilon 1e-5; half-split sinusoids
with the paper's frequencies, from position 0; the decoder starts from the padding piece; biases everywhere.
A file holds only what differs from the library's defaults, which are not ours. Read
``names.py`` next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

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
from pellucid.interop.foreign_model import Refusal, config_of, listed
from pellucid.interop.untrusted.files import Table

__all__ = ["config_refusals", "config_table", "generation_table", "model_config", "translation_config"]

# What MarianMT computes whatever its files say, by our names.
_ALWAYS: Final[dict[str, object]] = {
    "norm_order": NormOrder.POST,
    "position_layout": PositionLayout.HALF_SPLIT_PAPER_FREQUENCY,
    "position_offset": 0,
    "layer_norm_epsilon": 1e-5,
    "decoder_start": DecoderStart.PAD,
}


class _Setting(NamedTuple):
    """A setting that means the same there and here."""

    ours: str
    default: object
    """What transformers assumes if the file does not give it (MarianConfig of transformers 5)."""
    least: int = 0
    most: int = 0


_SETTINGS: Final[Mapping[str, _Setting]] = {
    "d_model": _Setting("d_model", 1024, 2, 1 << 13),
    "encoder_layers": _Setting("num_encoder_layers", 12, 1, 256),
    "decoder_layers": _Setting("num_decoder_layers", 12, 1, 256),
    "encoder_attention_heads": _Setting("num_heads", 16, 1, 1 << 10),
    "decoder_attention_heads": _Setting("num_heads", 16, 1, 1 << 10),
    "encoder_ffn_dim": _Setting("d_feedforward", 4096, 1, 1 << 16),
    "decoder_ffn_dim": _Setting("d_feedforward", 4096, 1, 1 << 16),
    "dropout": _Setting("dropout", 0.1),
    "attention_dropout": _Setting("attention_dropout", 0.0),
    "activation_dropout": _Setting("activation_dropout", 0.0),
    "max_position_embeddings": _Setting("max_positions", 1024, 1, 1 << 16),
    "scale_embedding": _Setting("scale_embeddings", False),
    "share_encoder_decoder_embeddings": _Setting("share_embeddings", True),
    "tie_word_embeddings": _Setting("share_decoder_embeddings", True),
    "vocab_size": _Setting("source_vocab_size", 58101, 4, 1 << 20),
    "decoder_vocab_size": _Setting("target_vocab_size", None, 4, 1 << 20),
}
"""By the file's name; read in both directions."""
_OTHER_DEFAULTS: Final[Mapping[str, object]] = {
    "activation_function": "gelu",
    "decoder_start_token_id": 58100,
    "pad_token_id": 58100,
    "eos_token_id": 0,
}
_ACTIVATIONS: Final[Mapping[str, Activation]] = {
    "relu": Activation.RELU,
    "gelu": Activation.GELU,
    "swish": Activation.SWISH,
    "silu": Activation.SWISH,
}
# Older files hold these names too; transformers computes these values whatever the file says.
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
        if (value := self.table.get(name)) is not None:
            return value
        return _SETTINGS[name].default if name in _SETTINGS else _OTHER_DEFAULTS.get(name)

    def setting(self, name: str) -> object:
        """Return a setting that has the same meaning here; ``None`` where it is wrong."""
        value, allowed = self.get(name), ""
        _, default, least, most = _SETTINGS[name]
        if most:
            if type(value) is not int or not least <= value <= most:
                allowed = f"a whole number from {least} to {most:,}"
        elif isinstance(default, bool):
            if not isinstance(value, bool):
                allowed = "true or false"
        elif isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
            allowed = "a number from 0, below 1"
        if allowed:
            self.problems.append(f"{name} = {value!r} must be {allowed}")
        return None if allowed else value

    def identifier(self, name: str, default: int = _NO_ID) -> int:
        value = self.get(name)
        if isinstance(value, list) and len(value) == 1:
            (value,) = value
        if value is None and default != _NO_ID:
            return default
        if type(value) is not int or not 0 <= value < _SETTINGS["vocab_size"].most:
            self.problems.append(f"{name} = {value!r} must be the id of a piece")
            return _NO_ID
        return value


def model_config(table: Table, *, unk: int, place: str) -> ModelConfig:
    """Turn the contents of ``config.json`` into our configuration.

    Args:
        table: the file's contents.
        unk: id of the unknown piece, which only the vocabulary knows.
        place: name of the file in messages.

    Raises:
        IncompatibleModelError: it is no MarianMT model, or transformers itself would not compute what it says; the
            message gives all reasons.
    """
    fields = _Fields(table)
    if table.get("model_type") != "marian":
        fields.problems.append(f"model_type = {table.get('model_type')!r} must be 'marian'")
    for name, value in _FIXED.items():
        if name in table and table[name] != value:
            fields.problems.append(f"{name} = {table[name]!r} must be {value!r}: MarianMT computes no other")
    settings = _settings(fields, unk)
    if fields.problems:
        raise IncompatibleModelError(f"{place}: is not a supported MarianMT model:{listed(fields.problems)}")
    return config_of(settings, place=place)


def _settings(fields: _Fields, unk: int) -> Table:
    activation = fields.get("activation_function")
    if not isinstance(activation, str) or activation not in _ACTIVATIONS:
        fields.problems.append(f"activation_function = {activation!r} must be one of {', '.join(_ACTIVATIONS)}")
    if fields.get("share_encoder_decoder_embeddings") is True or fields.get("decoder_vocab_size") is None:
        fields.table = fields.table | {"decoder_vocab_size": fields.get("vocab_size")}
    settings: Table = {}
    for theirs, (ours, *_) in _SETTINGS.items():
        value = fields.setting(theirs)
        if value is not None and settings.setdefault(ours, value) != value:
            both = f"{theirs.replace('decoder', 'encoder')} = {settings[ours]} and {theirs} = {value}"
            fields.problems.append(f"{both} must be equal")
    if settings.get("share_embeddings") and settings.get("share_decoder_embeddings") is False:
        fields.problems.append(
            "tie_word_embeddings = false with share_encoder_decoder_embeddings = true: versions of transformers build "
            "that model in different ways"
        )
    pad, eos = fields.identifier("pad_token_id"), fields.identifier("eos_token_id")
    if (start := fields.identifier("decoder_start_token_id")) != pad:
        fields.problems.append(f"decoder_start_token_id = {start} must be pad_token_id = {pad}")
    return {
        **settings,
        **_ALWAYS,
        "activation": _ACTIVATIONS.get(str(activation)),
        "output_bias": True,
        "specials": {"pad": pad, "unk": unk, "bos": fields.identifier("bos_token_id", eos), "eos": eos},
    }


def config_refusals(config: ModelConfig) -> list[Refusal]:
    """Return every reason why ``config.json`` cannot describe a model of this shape."""
    # The padding piece embeds as a vector of zeros where its row is kept at zero.
    starts_alike = config.decoder_start is DecoderStart.ZERO_VECTOR and config.zero_padding_row
    return [
        Refusal(f"its {name} is {getattr(config, name)}, and MarianMT's is {value}", f"model.{name}={value}")
        for name, value in _ALWAYS.items()
        if getattr(config, name) != value and not (name == "decoder_start" and starts_alike)
    ]


def config_table(config: ModelConfig, specials: SpecialIds) -> Table:
    """Return the contents of ``config.json``, with every value that decides the arithmetic."""
    return {
        "architectures": ["MarianMTModel"],
        "model_type": "marian",
        "is_encoder_decoder": True,
        **{theirs: getattr(config, setting.ours) for theirs, setting in _SETTINGS.items()},
        "num_hidden_layers": config.num_encoder_layers,
        "activation_function": next(name for name, value in _ACTIVATIONS.items() if value is config.activation),
        **_FIXED,
        "pad_token_id": specials.pad,
        "bos_token_id": specials.bos,
        "eos_token_id": specials.eos,
        "forced_eos_token_id": specials.eos,
        "decoder_start_token_id": specials.pad,
        "use_cache": True,
        "dtype": "float32",
    }


def generation_table(config: ModelConfig, specials: SpecialIds, translation: TranslationConfig) -> Table:
    """Return the contents of ``generation_config.json``: the same search, as far as ``generate`` supports it."""
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
    """Take the settings that our search supports from ``generation_config.json``; the others are our defaults."""
    given: dict[str, object] = {}
    beams, alpha = generation.get("num_beams"), generation.get("length_penalty")
    if type(beams) is int and 1 <= beams <= 64:
        given["beam_size"] = beams
    if isinstance(alpha, int | float) and not isinstance(alpha, bool) and 0 <= alpha <= 8:
        given["alpha"] = float(alpha)
    return TranslationConfig.model_validate(given)
