"""Read names, shapes and number formats from CTranslate2's ``model.bin``, within bounds and without its C++.

The file (version 6; numbers little-endian): version, name of the specification, its revision, number of variables;
of each its name, the number of dimensions (1 byte), the dimensions (4 bytes each), the number format (1 byte), the
number of bytes (4) and the bytes; the number of aliases, of each its name and the name of a variable. A text is its
length with the closing zero (2 bytes), the text and the zero. Read ``rounding.py`` next.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from pellucid.errors import BundleError, counted
from pellucid.interop.ctranslate2.config import Quantization
from pellucid.untrusted import plain_file

__all__ = ["CTranslate2File", "Variable", "read_ctranslate2_file"]

_VERSION: Final = 6
_FORMATS: Final = ("float32", "int8", "int16", "int32", "float16", "bfloat16")
_BYTES: Final = {"float32": 4, "int8": 1, "int16": 2, "int32": 4, "float16": 2, "bfloat16": 2}
_MOST_VARIABLES: Final = 1 << 16
_ENCODINGS: Final = tuple(f"{stack}/position_encodings/encodings" for stack in ("encoder", "decoder"))
_NEEDED: Final = ("decoder/embeddings/weight", "decoder/layer_0/ffn/layer_norm/gamma", *_ENCODINGS)


@dataclass(frozen=True)
class Variable:
    """A tensor of the file: its number format and its shape."""

    format: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class CTranslate2File:
    """The tensors of the file; aliases are resolved."""

    variables: dict[str, Variable]

    @property
    def num_positions(self) -> int:
        """Number of rows of the shorter table of positions."""
        return min(self.variables[name].shape[0] for name in _ENCODINGS)

    @property
    def quantization(self) -> Quantization:
        """How the weights are stored, by the formats of a matrix and of a norm.

        Raises:
            BundleError: in a combination that CTranslate2 does not write.
        """
        matrix = self.variables["decoder/embeddings/weight"].format
        rest = self.variables["decoder/layer_0/ffn/layer_norm/gamma"].format
        name = f"int8_{rest}" if matrix == "int8" and rest != "float32" else matrix
        if name not in set(Quantization):
            raise BundleError(f"its matrices are in {matrix} and the rest in {rest}, which CTranslate2 does not write")
        return Quantization(name)


def read_ctranslate2_file(path: Path) -> CTranslate2File:
    """Read the file; the weights themselves are skipped.

    Raises:
        BundleError: missing, no plain file, of another version or kind, or damaged.
    """
    size = plain_file(path).stat().st_size
    try:
        with path.open("rb") as file:
            return _walked(file, size)
    except (ValueError, struct.error) as error:
        raise BundleError(f"{path}: is not a sound CTranslate2 model ({error}); export or fetch it again") from None
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}") from None


def _walked(file: BinaryIO, size: int) -> CTranslate2File:
    if (version := _number(file, "<I")) != _VERSION:
        raise ValueError(f"its version is {version}; only version {_VERSION} is supported")
    if (name := _text(file)) != "TransformerSpec":
        raise ValueError(f"it is a {name[:40]!r}, and an encoder with a decoder is a 'TransformerSpec'")
    _number(file, "<I")
    variables: dict[str, Variable] = {}
    for _ in range(_count(file)):
        variable_name, variable = _text(file), _variable(file, size)
        if variable_name in variables:
            raise ValueError(f"{variable_name[:80]!r} occurs twice in it")
        variables[variable_name] = variable
    aliases = [(_text(file), _text(file)) for _ in range(_count(file))]
    if file.tell() != size:
        raise ValueError(f"there are bytes after its end: {size - file.tell():,}")
    for alias, original in aliases:
        if original not in variables or alias in variables:
            raise ValueError(
                f"{alias[:80]!r} is an alias of {original[:80]!r}, which does not exist or is an alias too"
            )
        variables[alias] = variables[original]
    for needed in _NEEDED:
        if needed not in variables or not variables[needed].shape:
            raise ValueError(f"it has no {needed}")
    return CTranslate2File(variables)


def _variable(file: BinaryIO, size: int) -> Variable:
    shape = tuple(_number(file, "<I") for _ in range(_number(file, "<B")))
    if (kind := _number(file, "<B")) >= len(_FORMATS):
        raise ValueError(f"number format {kind} is unknown")
    length, count = _number(file, "<I"), 1
    for dimension in shape:
        count *= dimension
    if count * _BYTES[_FORMATS[kind]] != length:
        raise ValueError(f"a tensor of shape {shape} in {_FORMATS[kind]} has {counted(length, 'byte')}")
    if file.tell() + length > size:
        raise ValueError("it is cut short")
    file.seek(length, 1)
    return Variable(_FORMATS[kind], shape)


def _count(file: BinaryIO) -> int:
    if (count := _number(file, "<I")) > _MOST_VARIABLES:
        raise ValueError(f"it promises {counted(count, 'tensor')}, limit {_MOST_VARIABLES:,}")
    return count


def _number(file: BinaryIO, form: str) -> int:
    (value,) = struct.unpack(form, file.read(struct.calcsize(form)))
    return int(value)


def _text(file: BinaryIO) -> str:
    raw = file.read(_number(file, "<H"))
    if not raw.endswith(b"\0"):
        raise ValueError("it is cut short")
    return raw[:-1].decode("utf-8")
