"""The weights of a Transformer, out of a safetensors file of somebody else and into a narrower number format.

What a file holds is compared with the configuration before a tensor is made. In int8, a matrix of the file holds whole
numbers from -127 to 127, and ``NAME.scales`` a float32 number for each of its rows: a weight is their product. Vectors
stay float32. Read ``bundle.py`` next, the folder around such a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pellucid.config.model import ModelConfig
from pellucid.errors import BundleError, IncompatibleModelError, counted
from pellucid.weights_file import DTYPE_BYTES, DTYPE_NAMES, TensorFacts, read_header, summary, tensor_problems

if TYPE_CHECKING:
    import torch

    from pellucid.model.transformer import Transformer

__all__ = ["dtype_name", "load_weights", "rounded"]

_DESCRIPTION: Final = "model.toml"
_SCALES: Final = ".scales"
_LARGEST_INT8: Final = 127


def load_weights(path: Path, config: ModelConfig, *, stored: str | None) -> Transformer:
    """Return the model of a file of weights in float32, whatever the number format on disk.

    Args:
        path: the file, beside its ``model.toml``.
        config: of the model; names, shapes and sizes are compared with it before a tensor is made.
        stored: the number format that ``model.toml`` gives; None allows each.

    Raises:
        BundleError: the file is damaged, or the configuration promises more than it can hold.
        IncompatibleModelError: the tensors are not those of such a model.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from pellucid.model.transformer import Transformer

    if not config.source_vocab_size or not config.target_vocab_size:
        raise BundleError(f"{path.parent / _DESCRIPTION}: source_vocab_size and target_vocab_size must be given")
    _verify_sizes(path, config, least_bytes=1 if stored == "int8" else min(DTYPE_BYTES.values()))
    with torch.device("meta"):
        expected = {name: tuple(t.shape) for name, t in Transformer(config).state_dict().items()}
    if problems := _problems(read_header(path), expected, stored=stored):
        raise IncompatibleModelError(
            f"{path}: the weights are not those of the model that {_DESCRIPTION} describes: {summary(problems)}"
        )
    model = Transformer(config)
    try:
        state = load_file(path)
        model.load_state_dict(_multiplied(state) if stored == "int8" else state, strict=True, assign=False)
    except SafetensorError as error:
        raise BundleError(f"{path}: is not a sound safetensors file ({error}); copy the model folder again") from None
    return model


def rounded(state: dict[str, torch.Tensor], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Return tensors in another number format.

    Raises:
        BundleError: a number is too large for it.
    """
    import torch

    if dtype is torch.int8:
        return _in_int8(state)
    converted = {name: tensor.to(dtype) for name, tensor in state.items()}
    for name, tensor in converted.items():
        if not tensor.isfinite().all() and state[name].isfinite().all():
            raise BundleError(f"{name}: holds a number too large for {dtype}; save the model in float32")
    return converted


def dtype_name(state: Mapping[str, torch.Tensor]) -> str | None:
    """Return the name of the number format of tensors for ``model.toml``; None for float32, or for a mixture."""
    names = {str(tensor.dtype).removeprefix("torch.") for tensor in state.values()}
    if "int8" in names:
        return "int8"
    return None if names == {"float32"} or len(names) > 1 else names.pop()


def _problems(
    header: Mapping[str, TensorFacts], expected: Mapping[str, tuple[int, ...]], *, stored: str | None
) -> list[str]:
    if stored != "int8":
        return tensor_problems(header, expected, dtypes={DTYPE_NAMES[stored]} if stored else DTYPE_BYTES)
    matrices = {name: shape for name, shape in expected.items() if len(shape) == 2}
    others = {name: shape for name, shape in expected.items() if name not in matrices}
    others |= {name + _SCALES: shape[:1] for name, shape in matrices.items()}
    in_int8 = {name: facts for name, facts in header.items() if name in matrices}
    rest = {name: facts for name, facts in header.items() if name not in matrices}
    return tensor_problems(in_int8, matrices, dtypes={"I8"}) + tensor_problems(rest, others, dtypes={"F32"})


def _in_int8(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Round each row of a matrix to whole multiples of 1/127 of its largest number."""
    import torch

    found: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        if not tensor.isfinite().all():
            raise BundleError(f"{name}: holds a number that is not finite; save the model in float32")
        if tensor.dim() != 2:
            found[name] = tensor.float()
            continue
        scales = tensor.float().abs().amax(dim=1) / _LARGEST_INT8
        divisors = torch.where(scales > 0, scales, torch.ones_like(scales))
        found[name] = (tensor.float() / divisors[:, None]).round().clamp(-_LARGEST_INT8, _LARGEST_INT8).to(torch.int8)
        found[name + _SCALES] = scales
    return found


def _multiplied(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {
        name: tensor.float() * state[name + _SCALES][:, None] if name + _SCALES in state else tensor
        for name, tensor in state.items()
        if not name.endswith(_SCALES)
    }


def _verify_sizes(path: Path, config: ModelConfig, *, least_bytes: int) -> None:
    """Refuse a configuration that promises far more numbers than the file can hold, before building it."""
    layers = config.num_encoder_layers + config.num_decoder_layers
    least = layers * (4 * config.d_model**2 + 2 * config.d_model * config.d_feedforward)
    least += config.d_model * config.target_vocab_size
    if least * least_bytes > path.stat().st_size:
        raise BundleError(
            f"{path}: {counted(path.stat().st_size, 'byte')} cannot hold the model that {_DESCRIPTION} describes "
            f"(at least {least:,} numbers)"
        )
    if (config.max_positions + config.position_offset) * config.d_model > 1 << 28:
        raise BundleError(
            f"{path.parent / _DESCRIPTION}: max_positions = {config.max_positions} and position_offset = "
            f"{config.position_offset} make a table that is too large to build"
        )
