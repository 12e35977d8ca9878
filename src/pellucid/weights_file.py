"""Read names, shapes and number formats of a safetensors file before any tensor.

The file begins with the length of a JSON header (8 bytes, little-endian), then the header: for each
tensor its shape, number format and place. A stranger's file is compared with the configuration
before anything of that size is allocated. Read ``bundle.py`` next.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pellucid.errors import BundleError, counted
from pellucid.untrusted import parse_json

__all__ = ["DTYPE_BYTES", "DTYPE_NAMES", "TensorFacts", "read_header", "summary", "tensor_problems"]

DTYPE_BYTES: Final[Mapping[str, int]] = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
"""The supported number formats of weights, and the bytes of a number in each."""

DTYPE_NAMES: Final[Mapping[str, str]] = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16"}
"""The file's names for number formats, by those of torch."""

_LARGEST_HEADER_BYTES: Final = 16 << 20
_MOST_VALUES: Final = 1 << 20
_MOST_SHOWN: Final = 5
_LONGEST_SHOWN: Final = 300


@dataclass(frozen=True)
class TensorFacts:
    """One tensor of the header; ``shape`` is None where the header has no valid one."""

    shape: tuple[int, ...] | None
    dtype: str


def read_header(path: Path) -> dict[str, TensorFacts]:
    """Return the tensors that the header lists, by name.

    Raises:
        BundleError: it is not a safetensors file, or its header is too long.
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, _LARGEST_HEADER_BYTES):
            raise BundleError(
                f"{path}: is not a safetensors file (header of {counted(length, 'byte')} in a file of {size:,})"
            )
        try:
            header = parse_json(file.read(length), most_values=_MOST_VALUES)
        except ValueError as error:
            raise BundleError(
                f"{path}: is not a safetensors file (its header is not JSON: {str(error)[:100]})"
            ) from None
    if not isinstance(header, dict) or not all(isinstance(entry, dict) for entry in header.values()):
        raise BundleError(f"{path}: is not a safetensors file (its header is not a table of tensors)")
    return {name: _facts(entry) for name, entry in header.items() if name != "__metadata__"}


def tensor_problems(
    header: Mapping[str, TensorFacts],
    expected: Mapping[str, tuple[int, ...]],
    *,
    optional: Mapping[str, tuple[int, ...]] | None = None,
    dtypes: Collection[str] = DTYPE_BYTES,
) -> list[str]:
    """Compare the tensors of a file with required and optional ones; return a sentence for each difference."""
    allowed = {**(optional or {}), **expected}
    problems = [f"{name} is missing" for name in sorted(expected.keys() - header.keys())]
    problems += [f"{name} is unknown" for name in sorted(header.keys() - allowed.keys())]
    for name in sorted(header.keys() & allowed.keys()):
        facts = header[name]
        if facts.shape != allowed[name]:
            found = None if facts.shape is None else list(facts.shape)
            problems.append(f"{name} has shape {found}, required {list(allowed[name])}")
        elif facts.dtype not in dtypes:
            problems.append(f"{name} has number format {facts.dtype!r}, allowed {', '.join(dtypes)}")
    return problems


def summary(problems: list[str]) -> str:
    """Join the first few problems to a sentence; each is cut, since names in it may have any length."""
    more = f" (and {len(problems) - _MOST_SHOWN} more)" if len(problems) > _MOST_SHOWN else ""
    return "; ".join(problem[:_LONGEST_SHOWN] for problem in problems[:_MOST_SHOWN]) + more


def _facts(entry: dict[str, object]) -> TensorFacts:
    shape, dtype = entry.get("shape"), entry.get("dtype")
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        return TensorFacts(None, str(dtype))
    return TensorFacts(tuple(shape), str(dtype))
