"""The records of ``engine.c``, field by field in the same order. ``library.py`` compares their sizes when it loads.

An address is an integer here; whoever fills a record keeps the memory alive. Read ``preparation.py`` next.
"""

from __future__ import annotations

import ctypes
from ctypes import CFUNCTYPE, Structure, addressof, c_char, c_double, c_float, c_int32, c_void_p
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "HAS_ENOUGH",
    "ON_END",
    "RECORDS",
    "Job",
    "Layer",
    "Linear",
    "Model",
    "Norm",
    "Settings",
    "Spelling",
    "address_of",
]


def address_of(array: NDArray[Any]) -> int:
    """Return where a writable array begins; 0 where it is empty. ``array.ctypes.data`` takes ten times as long."""
    return addressof(c_char.from_buffer(cast(bytearray, array))) if array.size else 0


class Linear(Structure):
    """A linear map: packed weights, and for int8 the scale and the offset of each output."""

    _fields_ = (
        ("weight", c_void_p),
        ("scale", c_void_p),
        ("offset", c_void_p),
        ("bias", c_void_p),
        ("inputs", c_int32),
        ("outputs", c_int32),
    )


class Norm(Structure):
    """A layer normalisation."""

    _fields_ = (("gain", c_void_p), ("bias", c_void_p))


class Layer(Structure):
    """A layer of the encoder or of the decoder; an encoder layer leaves the fields of cross-attention empty."""

    _fields_ = (
        ("queries_keys_values", Linear),
        ("output", Linear),
        ("norm", Norm),
        ("cross_queries", Linear),
        ("cross_keys_values", Linear),
        ("cross_output", Linear),
        ("cross_norm", Norm),
        ("inner", Linear),
        ("outer", Linear),
        ("feed_forward_norm", Norm),
    )


class Model(Structure):
    """The whole model."""

    _fields_ = (
        ("d_model", c_int32),
        ("num_heads", c_int32),
        ("d_feedforward", c_int32),
        ("num_encoder_layers", c_int32),
        ("num_decoder_layers", c_int32),
        ("target_vocab_size", c_int32),
        ("is_int8", c_int32),
        ("is_pre_norm", c_int32),
        ("activation", c_int32),
        ("start_id", c_int32),
        ("layer_norm_epsilon", c_float),
        ("embedding_scale", c_float),
        ("source_embedding", c_void_p),
        ("target_embedding", c_void_p),
        ("source_positions", c_void_p),
        ("target_positions", c_void_p),
        ("encoder", c_void_p),
        ("decoder", c_void_p),
        ("encoder_norm", Norm),
        ("decoder_norm", Norm),
        ("projection", Linear),
    )


class Settings(Structure):
    """The settings of a search."""

    _fields_ = (
        ("beam_size", c_int32),
        ("min_length", c_int32),
        ("no_repeat_ngram_size", c_int32),
        ("end_id", c_int32),
        ("divisors", c_void_p),
        ("is_forbidden", c_void_p),
        ("seen_layer", c_int32),
        ("seen_head", c_int32),
        ("is_sampling", c_int32),
        ("top_k", c_int32),
        ("temperature", c_double),
        ("top_p", c_double),
    )


class Spelling(Structure):
    """What translations begin with: pieces that may come at places, and where they lead."""

    _fields_ = (
        ("way_starts", c_void_p),
        ("way_ids", c_void_p),
        ("way_places", c_void_p),
        ("fewest", c_void_p),
    )


ON_END: Final = CFUNCTYPE(c_double, c_int32, c_int32)
HAS_ENOUGH: Final = CFUNCTYPE(c_int32, c_int32)


class Job(Structure):
    """Sentences to translate and the room for what becomes of them."""

    _fields_ = (
        ("source_ids", c_void_p),
        ("source_starts", c_void_p),
        ("spelling", Spelling),
        ("first_places", c_void_p),
        ("most_pieces", c_void_p),
        ("limits", c_void_p),
        ("uniform", c_void_p),
        ("num_sentences", c_int32),
        ("settings", Settings),
        ("result_starts", c_void_p),
        ("ids", c_void_p),
        ("gains", c_void_p),
        ("lengths", c_void_p),
        ("is_finished", c_void_p),
        ("outcomes", c_void_p),
        ("seen", c_void_p),
        ("seen_starts", c_void_p),
        ("on_end", ON_END),
        ("has_enough", HAS_ENOUGH),
        ("next", c_int32),
        ("num_done", c_int32),
        ("is_cancelled", c_int32),
        ("is_dropped", c_void_p),
    )


RECORDS: Final[tuple[type[ctypes.Structure], ...]] = (Linear, Layer, Model, Settings, Spelling, Job)
"""In the order of ``engine_sizes`` in ``engine.c``."""
