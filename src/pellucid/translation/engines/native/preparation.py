"""Pack the weights of a model into one file that ``engine.c`` reads where it lies, mapped into memory.

The file begins with a line of JSON that names every array and its place; arrays begin at multiples of 64 bytes. Linear
maps are cut into blocks of ``columns`` outputs. With int8, each output has a scale of its own (its largest weight is
127), and its rounded weights stand four inputs beside each other. Embeddings, positions, norms and biases stay float32.

A prepared file is made by this machine for itself and kept in the user's cache folder, named by what it was made of. It
ends with a SHA-256 of everything before; a file that is missing, cut or changed is made again. Read ``engine.py`` next.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import mmap
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pellucid.config import Activation, ModelConfig, NormOrder
from pellucid.durable import DISK
from pellucid.translation.engines.native import layout

__all__ = ["Prepared", "WeightSource", "open_prepared", "prepare"]

Array = NDArray[Any]
_FORMAT: Final = 1
_ALIGNMENT: Final = 64
_DIGEST_BYTES: Final = 32
_LONGEST_HEADER: Final = 4 << 20
_ACTIVATIONS: Final = (Activation.RELU, Activation.GELU, Activation.SWISH)


@dataclass(frozen=True)
class WeightSource:
    """A model in float32: what ``prepare`` packs.

    ``tensors`` are named as in the model's state dictionary. ``positions`` are the two tables [max_positions, d_model],
    the encoder's and the decoder's. ``start_id`` is -1 for the zero vector.
    """

    config: ModelConfig
    tensors: Mapping[str, Array]
    positions: tuple[Array, Array]
    start_id: int


@dataclass(frozen=True)
class _Map:
    """A linear map on its way into the file: ``weight`` [outputs, inputs], padded with zeros."""

    weight: Array
    bias: Array

    @staticmethod
    def of(weights: list[Array], biases: list[Array | None], *, columns: int, inputs: int) -> _Map:
        """Put maps of the same input below each other, and pad."""
        stacked = np.concatenate(weights)
        rows = -(-len(stacked) // columns) * columns
        weight = np.zeros((rows, inputs), np.float32)
        weight[: len(stacked), : stacked.shape[1]] = stacked
        bias = np.zeros(rows, np.float32)
        bias[: len(stacked)] = np.concatenate(
            [np.zeros(len(w), np.float32) if b is None else b for w, b in zip(weights, biases, strict=True)]
        )
        return _Map(weight, bias)

    def arrays(self, name: str, *, columns: int, is_int8: bool) -> Iterator[tuple[str, Array]]:
        """Yield the arrays that stand in the file."""
        inputs = self.weight.shape[1]
        yield f"{name}.bias", self.bias
        if not is_int8:
            yield f"{name}.weight", self.weight.reshape(-1, columns, inputs).transpose(0, 2, 1)
            return
        scale = np.abs(self.weight).max(axis=1) / np.float32(127)
        rounded = np.rint(self.weight / np.where(scale > 0, scale, 1)[:, None]).astype(np.int8)
        yield f"{name}.scale", scale.astype(np.float32)
        yield f"{name}.offset", 128 * rounded.sum(axis=1, dtype=np.int32)
        yield f"{name}.weight", rounded.reshape(-1, columns, inputs // 4, 4).transpose(0, 2, 1, 3)


def prepare(path: Path, source: WeightSource, *, columns: int, is_int8: bool) -> None:
    """Write the prepared form of a model, whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    arrays = [(name, np.ascontiguousarray(array)) for name, array in _arrays(source, columns, is_int8)]
    header = _header(source, arrays, columns, is_int8)
    DISK.write_replacing(path, _content(header, arrays))


def _header(source: WeightSource, arrays: list[tuple[str, Array]], columns: int, is_int8: bool) -> bytes:
    table: dict[str, tuple[str, tuple[int, ...], int]] = {}
    place = 0
    for name, array in arrays:
        table[name] = (array.dtype.str, array.shape, place)
        place += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
    content = {
        "format": _FORMAT,
        "columns": columns,
        "is_int8": is_int8,
        "config": source.config.model_dump(mode="json"),
        "start_id": source.start_id,
        "bytes": place,
        "arrays": table,
    }
    line = json.dumps(content).encode()
    return line + b" " * (-(len(line) + 1) % _ALIGNMENT) + b"\n"


def _content(header: bytes, arrays: list[tuple[str, Array]]) -> Iterator[bytes]:
    digest = hashlib.sha256(header)
    yield header
    for _, array in arrays:
        block = array.tobytes() + b"\0" * (-array.nbytes % _ALIGNMENT)
        digest.update(block)
        yield block
    yield digest.digest()


def _arrays(source: WeightSource, columns: int, is_int8: bool) -> Iterator[tuple[str, Array]]:
    config, tensors = source.config, source.tensors
    yield "source_embedding", _float32(tensors["source_embedding.weight"])
    if not config.share_embeddings:
        yield "target_embedding", _float32(tensors["target_embedding.weight"])
    yield "source_positions", _float32(source.positions[0])
    yield "target_positions", _float32(source.positions[1])
    for stack in ("encoder", "decoder"):
        if config.norm_order is NormOrder.PRE:
            yield from _norm(tensors, f"{stack}.final_norm")
        depth = config.num_encoder_layers if stack == "encoder" else config.num_decoder_layers
        for index in range(depth):
            prefix = f"{stack}.layers.{index}"
            for norm in _NORMS if stack == "decoder" else _NORMS[:2]:
                yield from _norm(tensors, f"{prefix}.{norm}")
            for name, parts in _MAPS.items():
                if stack == "decoder" or "cross" not in name:
                    yield from _map(source, prefix, parts, columns=columns, is_int8=is_int8, name=name)
    table = "source_embedding.weight" if config.share_embeddings else "target_embedding.weight"
    weight = tensors[table if config.share_decoder_embeddings else "projection.weight"]
    inputs = _padded(config.d_model, is_int8)
    projection = _Map.of([_float32(weight)], [tensors.get("projection.bias")], columns=columns, inputs=inputs)
    yield from projection.arrays("projection", columns=columns, is_int8=is_int8)


_NORMS: Final = ("self_attention_norm", "feed_forward_norm", "cross_attention_norm")
_MAPS: Final[Mapping[str, tuple[str, ...]]] = {
    "queries_keys_values": ("self_attention.queries", "self_attention.keys", "self_attention.values"),
    "output": ("self_attention.output",),
    "cross_queries": ("cross_attention.queries",),
    "cross_keys_values": ("cross_attention.keys", "cross_attention.values"),
    "cross_output": ("cross_attention.output",),
    "inner": ("feed_forward.inner",),
    "outer": ("feed_forward.outer",),
}
"""Linear maps of a layer in ``engine.c``, and the model's maps that stand below each other in each."""


def _map(
    source: WeightSource, prefix: str, parts: tuple[str, ...], *, columns: int, is_int8: bool, name: str
) -> Iterator[tuple[str, Array]]:
    weights = [_float32(source.tensors[f"{prefix}.{part}.weight"]) for part in parts]
    biases: list[Array | None] = [_float32(source.tensors[f"{prefix}.{part}.bias"]) for part in parts]
    # The outer map reads what the inner one wrote, its padding included.
    inputs = -(-weights[0].shape[1] // columns) * columns if name == "outer" else _padded(weights[0].shape[1], is_int8)
    packed = _Map.of(weights, biases, columns=columns, inputs=inputs)
    yield from packed.arrays(f"{prefix}.{name}", columns=columns, is_int8=is_int8)


def _norm(tensors: Mapping[str, Array], name: str) -> Iterator[tuple[str, Array]]:
    yield f"{name}.gain", _float32(tensors[f"{name}.weight"])
    yield f"{name}.bias", _float32(tensors[f"{name}.bias"])


def _padded(inputs: int, is_int8: bool) -> int:
    return -(-inputs // 4) * 4 if is_int8 else inputs


def _float32(array: Array) -> Array:
    return np.asarray(array, np.float32)


@dataclass(frozen=True)
class Prepared:
    """A prepared file in memory, and the record of it that ``engine.c`` reads. Keep it alive while that is used."""

    config: ModelConfig
    is_int8: bool
    record: layout.Model
    _kept: list[object] = field(repr=False)


def open_prepared(path: Path, *, columns: int, is_int8: bool) -> Prepared | None:
    """Map a prepared file into memory; None where it is missing, damaged, or made for something else."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            digest = hashlib.sha256()
            left = size - _DIGEST_BYTES
            # Read and not mapped, so that tables of which a translation needs a few rows do not become resident.
            while left > 0 and (block := file.read(min(left, 1 << 20))):
                digest.update(block)
                left -= len(block)
            if left or file.read() != digest.digest():
                return None
            file.seek(0)
            header = json.loads(file.readline(_LONGEST_HEADER))
            start = file.tell()
            memory = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        return None
    if (header["format"], header["columns"], header["is_int8"]) != (_FORMAT, columns, is_int8):
        return None
    return _opened(header, memory, start)


def _opened(header: dict[str, Any], memory: mmap.mmap, start: int) -> Prepared:
    whole = np.frombuffer(memory, np.uint8)
    arrays: dict[str, tuple[int, tuple[int, ...]]] = {
        name: (whole.ctypes.data + start + place, tuple(shape)) for name, (_, shape, place) in header["arrays"].items()
    }
    config = ModelConfig.model_validate(header["config"])
    builder = _Builder(arrays, header["columns"], header["is_int8"])
    kept: list[object] = [memory, whole]
    layers = {
        stack: (layout.Layer * depth)(*(builder.layer(f"{stack}.layers.{i}") for i in range(depth)))
        for stack, depth in (("encoder", config.num_encoder_layers), ("decoder", config.num_decoder_layers))
    }
    kept += layers.values()
    is_pre_norm = config.norm_order is NormOrder.PRE
    empty = layout.Norm()
    record = layout.Model(
        d_model=config.d_model,
        num_heads=config.num_heads,
        d_feedforward=config.d_feedforward,
        num_encoder_layers=config.num_encoder_layers,
        num_decoder_layers=config.num_decoder_layers,
        target_vocab_size=config.target_vocab_size,
        is_int8=header["is_int8"],
        is_pre_norm=is_pre_norm,
        activation=_ACTIVATIONS.index(config.activation),
        start_id=header["start_id"],
        layer_norm_epsilon=config.layer_norm_epsilon,
        embedding_scale=config.d_model**0.5 if config.scale_embeddings else 1.0,
        source_embedding=builder.address("source_embedding"),
        target_embedding=builder.address("source_embedding" if config.share_embeddings else "target_embedding"),
        source_positions=builder.address("source_positions"),
        target_positions=builder.address("target_positions"),
        encoder=ctypes.addressof(layers["encoder"]),
        decoder=ctypes.addressof(layers["decoder"]),
        encoder_norm=builder.norm("encoder.final_norm") if is_pre_norm else empty,
        decoder_norm=builder.norm("decoder.final_norm") if is_pre_norm else empty,
        projection=builder.linear("projection"),
    )
    return Prepared(config, header["is_int8"], record, kept)


@dataclass(frozen=True)
class _Builder:
    """Makes records of arrays by their names."""

    arrays: Mapping[str, tuple[int, tuple[int, ...]]]
    columns: int
    is_int8: bool

    def address(self, name: str) -> int:
        return self.arrays[name][0]

    def norm(self, name: str) -> layout.Norm:
        return layout.Norm(gain=self.address(f"{name}.gain"), bias=self.address(f"{name}.bias"))

    def linear(self, name: str) -> layout.Linear:
        if f"{name}.weight" not in self.arrays:  # cross-attention in an encoder layer
            return layout.Linear()
        weight, shape = self.arrays[f"{name}.weight"]
        scales = {part: self.address(f"{name}.{part}") for part in ("scale", "offset") if self.is_int8}
        return layout.Linear(
            weight=weight,
            bias=self.address(f"{name}.bias"),
            inputs=shape[1] * (4 if self.is_int8 else 1),
            outputs=shape[0] * self.columns,
            **scales,
        )

    def layer(self, prefix: str) -> layout.Layer:
        norms = {"norm": "self_attention_norm", "feed_forward_norm": "feed_forward_norm"}
        if f"{prefix}.cross_attention_norm.gain" in self.arrays:
            norms["cross_norm"] = "cross_attention_norm"
        return layout.Layer(
            **{name: self.linear(f"{prefix}.{name}") for name in _MAPS},
            **{field_name: self.norm(f"{prefix}.{name}") for field_name, name in norms.items()},
        )
