"""Convert Marian's options (``special:model.yml``) to our configuration, and refuse those that are not supported.

Supported options, with the meaning that transformer.h of Marian 1.12 gives them:

    type                              transformer
    transformer-preprocess, -postprocess, -postprocess-top (d, dropout, is ignored)
                                      "", an, ""   norm after each sub-layer      n, a, n   norm before each
    transformer-postprocess-emb       "" (or d)
    transformer-ffn-depth             2
    transformer-ffn-activation        relu, swish; gelu is another function there, x * logistic(1.702 x)
    tied-embeddings, -src, -all       in every combination
    positions                         sinusoids; any layers, heads and widths

Fixed in Marian and not in the file: epsilon 1e-9 in layer normalisation; sinusoids of Tensor2Tensor, from
position 0; embeddings times sqrt(d_model); a decoder that starts from a vector of zeros. Hugging Face's converter
uses other sinusoids and another epsilon for the same weights; pellucid uses Marian's. Read
``names.py`` next.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pellucid.config import Activation, DecoderStart, NormOrder, PositionLayout
from pellucid.errors import IncompatibleModelError
from pellucid.interop.foreign_model import listed
from pellucid.interop.marian.yaml_file import Settings

__all__ = ["LAYER_NORM_EPSILON", "MAX_POSITIONS", "MarianOptions", "read_options"]

LAYER_NORM_EPSILON: Final = 1e-9
MAX_POSITIONS: Final = 1024
"""Marian computes any number of positions; our models have a table."""

_ACTIVATIONS: Final[Mapping[str, Activation]] = {"relu": Activation.RELU, "swish": Activation.SWISH}
_LARGEST: Final[Mapping[str, int]] = {
    "dim-emb": 1 << 13,
    "dim-vocabs": 1 << 20,
    "transformer-dim-ffn": 1 << 16,
    "transformer-heads": 1 << 10,
    "enc-depth": 256,
    "dec-depth": 256,
}
_OFF: Final = ("", "false", "0", "none", "null", "~", "[]")
# Options that change the arithmetic, with the one value that is supported. An absent option is off.
_ONE_VALUE: Final[Mapping[str, tuple[str, str]]] = {
    "transformer-decoder-autoreg": ("self-attention", "the decoder attends to itself"),
    "transformer-ffn-depth": ("2", "feed-forward is two linear maps, section 3.3 of the paper"),
    "transformer-decoder-ffn-depth": ("2", "feed-forward is two linear maps, section 3.3 of the paper"),
}
_MUST_BE_OFF: Final[Mapping[str, str]] = {
    "transformer-no-projection": "each attention has an output projection",
    "transformer-no-bias": "linear maps have biases",
    "transformer-no-affine": "layer normalisation has a scale and a bias",
    "transformer-tied-layers": "each layer has its own weights",
    "transformer-train-positions": "positions are computed",
    "transformer-train-position-embeddings": "positions are computed",
    "transformer-pool": "the encoder's states are not pooled",
    "transformer-rnn-projection": "there is no recurrence",
    "transformer-disable-position-embeddings": "positions are added",
    "right-left": "sentences are written from left to right",
    "ulr": "words have embeddings of their own",
    "lemma-dim-emb": "words have no factors",
    "lemma-dependency": "words have no factors",
    "factors-dim-emb": "words have no factors",
    "bert-train-type-embeddings-only": "there are no segment embeddings",
}
# They act only in training or in recurrent models, or are read elsewhere.
_IGNORED: Final = re.compile(
    r"version|type|original-type|tied-embeddings(-src|-all)?|transformer-guided-alignment-layer|guided-alignment.*"
    r"|transformer-aan-.*|transformer-dim-aan|transformer-depth-scaling|transformer-dropout.*|dec-cell.*|enc-cell.*"
    r"|enc-type|dim-rnn|skip|layer-normalization|ulr-.*|bert-.*|input-types|factors-combine|factor-weight"
    r"|factor-predictor|lemma-.*|num-devices|output-approx-knn|output-omit-bias|embedding-.*|dim-.*|.*-depth"
    r"|transformer-(preprocess|postprocess|postprocess-top|postprocess-emb|heads|ffn-activation|(decoder-)?dim-ffn)"
)


@dataclass(frozen=True)
class MarianOptions:
    """The meaning of the options, without the vocabulary's special ids."""

    settings: dict[str, object]
    """The fields of ``ModelConfig``."""
    is_source_shared: bool
    """Source and target take their embeddings from one table."""
    has_output_bias: bool
    vocab_sizes: tuple[int, int]
    notes: tuple[str, ...]


class _Options:
    """The words of the file; collects what is wrong with them."""

    def __init__(self, table: Settings) -> None:
        self.table = table
        self.problems: list[str] = []

    def word(self, name: str, default: str = "") -> str:
        value = self.table.get(name, default)
        if isinstance(value, list):
            self.problems.append(f"{name} = {value} must be one word")
            return default
        return value

    def is_on(self, name: str) -> bool:
        value = self.table.get(name, "")
        return bool(value) if isinstance(value, list) else value.strip().lower() not in _OFF

    def truth(self, name: str) -> bool:
        if self.word(name, "false") not in ("true", "false"):
            self.problems.append(f"{name} = {self.word(name)!r} must be true or false")
        return self.word(name, "false") == "true"

    def integer(self, name: str, value: str | None = None) -> int:
        value, most = self.word(name) if value is None else value, _LARGEST[name]
        if not re.fullmatch(r"[0-9]{1,9}", value) or not 1 <= int(value) <= most:
            self.problems.append(f"{name} = {value!r} must be a whole number from 1 to {most:,}")
            return 1
        return int(value)

    def vocab_sizes(self) -> tuple[int, int]:
        value = self.table.get("dim-vocabs")
        if not isinstance(value, list) or len(value) != 2:
            self.problems.append(f"dim-vocabs = {value!r} must be two sizes, of one source and one target vocabulary")
            return 4, 4
        first, second = (self.integer("dim-vocabs", size) for size in value)
        return first, second


def read_options(table: Settings, *, has_output_bias: bool, place: str) -> MarianOptions:
    """Turn Marian's options into settings of ours.

    Args:
        table: the contents of ``special:model.yml``.
        has_output_bias: whether the file has a bias of the logits.
        place: name of the file in messages.

    Raises:
        IncompatibleModelError: some options are not supported; the message lists all of them.
    """
    options = _Options(table)
    if (kind := options.word("type")) != "transformer":
        options.problems.append(f"type = {kind!r} must be 'transformer'")
    for name, (value, why) in _ONE_VALUE.items():
        # 0 in an option of the decoder means the encoder's value.
        if options.is_on(name) and options.word(name) != value:
            options.problems.append(f"{name} = {options.word(name)!r} must be {value!r}: {why}")
    for name, why in _MUST_BE_OFF.items():
        if options.is_on(name):
            options.problems.append(f"{name} = {_shown(table[name])} must be off: {why}")
    if options.is_on("input-types") and table["input-types"] != ["sequence", "sequence"]:
        options.problems.append(f"input-types = {_shown(table['input-types'])} must be two sequences")
    for name in table:
        is_known = name in _ONE_VALUE or name in _MUST_BE_OFF or _IGNORED.fullmatch(name)
        if not is_known and options.is_on(name):
            options.problems.append(f"{name} = {_shown(table[name])} is an unknown option")
    settings = _settings(options)
    shared, tied = _tying(options)
    sizes = options.vocab_sizes()
    if shared and sizes[0] != sizes[1]:
        options.problems.append(f"dim-vocabs = {sizes[0]}, {sizes[1]} must be equal where embeddings are tied to -src")
    if options.problems:
        raise IncompatibleModelError(f"{place}: is not a supported Marian model:{listed(options.problems)}")
    settings |= {
        "share_embeddings": shared and tied,
        "share_decoder_embeddings": tied,
        "output_bias": True,
    }
    return MarianOptions(settings, shared, has_output_bias, sizes, _notes(options, shared, tied))


def _settings(options: _Options) -> dict[str, object]:
    activation = options.word("transformer-ffn-activation", "swish")
    if activation not in _ACTIVATIONS:
        why = ": Marian's gelu is x * logistic(1.702 x), another function" if activation == "gelu" else ""
        options.problems.append(
            f"transformer-ffn-activation = {activation!r} must be one of {', '.join(_ACTIVATIONS)}{why}"
        )
    inner = options.integer("transformer-dim-ffn")
    own = "transformer-decoder-dim-ffn"
    if options.is_on(own) and options.word(own) != options.word("transformer-dim-ffn"):
        options.problems.append(f"{own} = {options.word(own)!r} must be transformer-dim-ffn, or 0")
    return {
        "d_model": options.integer("dim-emb"),
        "num_heads": options.integer("transformer-heads"),
        "d_feedforward": inner,
        "num_encoder_layers": options.integer("enc-depth"),
        "num_decoder_layers": options.integer("dec-depth"),
        "activation": _ACTIVATIONS.get(activation, Activation.RELU),
        "norm_order": _norm_order(options),
        "layer_norm_epsilon": LAYER_NORM_EPSILON,
        "position_layout": PositionLayout.HALF_SPLIT_T2T,
        "position_offset": 0,
        "max_positions": MAX_POSITIONS,
        "scale_embeddings": True,
        "decoder_start": DecoderStart.ZERO_VECTOR,
    }


def _norm_order(options: _Options) -> NormOrder:
    names = ("transformer-preprocess", "transformer-postprocess", "transformer-postprocess-top")
    before, after, top = (_without_dropout(options.word(name, "dan" if name == names[1] else "")) for name in names)
    found = before, after, top
    orders = {("", "an", ""): NormOrder.POST, ("n", "a", "n"): NormOrder.PRE}
    if found not in orders:
        given = ", ".join(f"{name} = {options.word(name)!r}" for name in names)
        options.problems.append(f"{given}: must be '', 'dan', '' (norm after) or 'n', 'da', 'n' (norm before)")
    if _without_dropout(options.word("transformer-postprocess-emb", "d")):
        options.problems.append(
            f"transformer-postprocess-emb = {options.word('transformer-postprocess-emb')!r} must be '' or 'd': "
            "embeddings are not normalised"
        )
    return orders.get(found, NormOrder.POST)


def _tying(options: _Options) -> tuple[bool, bool]:
    """Return whether source and target share a table, and whether target and output do."""
    every = options.truth("tied-embeddings-all")
    return options.truth("tied-embeddings-src") or every, options.truth("tied-embeddings") or every


def _notes(options: _Options, shared: bool, tied: bool) -> tuple[str, ...]:
    notes = [f"Marian sets no limit on positions; pellucid limits a sentence to {MAX_POSITIONS} pieces"]
    if shared and not tied:
        notes.append(
            "Marian ties the source and target tables but not the output; pellucid stores two equal tables, and "
            "further training would make them differ"
        )
    for name in ("guided-alignment", "transformer-guided-alignment-layer"):
        if options.is_on(name) and options.word(name) != "last":
            notes.append(f"{name} = {options.word(name)} acted in training only and is ignored")
    return tuple(notes)


def _without_dropout(operations: str) -> str:
    return operations.replace("d", "")


def _shown(value: object) -> str:
    return repr(value)[:60]
