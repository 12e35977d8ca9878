"""The weights of a Transformer, out of a safetensors file of somebody else and into a narrower number format.

What a file holds is compared with the configuration before a tensor is made. Read ``bundle.py`` next, the folder around
such a file.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from pellucid.config.model import ModelConfig
from pellucid.errors import BundleError, IncompatibleModelError
from pellucid.weights_file import DTYPE_BYTES, DTYPE_NAMES, read_header, summary, tensor_problems

if TYPE_CHECKING:
    import torch

    from pellucid.model.transformer import Transformer

__all__ = ["load_weights", "rounded"]

_DESCRIPTION: Final = "model.toml"


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
    _verify_sizes(path, config)
    with torch.device("meta"):
        expected = {name: tuple(t.shape) for name, t in Transformer(config).state_dict().items()}
    formats = {DTYPE_NAMES[stored]} if stored else DTYPE_BYTES
    if problems := tensor_problems(read_header(path), expected, dtypes=formats):
        raise IncompatibleModelError(
            f"{path}: the weights are not those of the model that {_DESCRIPTION} describes: {summary(problems)}"
        )
    model = Transformer(config)
    try:
        model.load_state_dict(load_file(path), strict=True, assign=False)
    except SafetensorError as error:
        raise BundleError(f"{path}: is not a sound safetensors file ({error}); copy the model folder again") from None
    return model


def rounded(state: dict[str, torch.Tensor], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Return tensors in another number format.

    Raises:
        BundleError: a number is too large for it.
    """
    converted = {name: tensor.to(dtype) for name, tensor in state.items()}
    for name, tensor in converted.items():
        if not tensor.isfinite().all() and state[name].isfinite().all():
            raise BundleError(f"{name}: holds a number too large for {dtype}; save the model in float32")
    return converted


def _verify_sizes(path: Path, config: ModelConfig) -> None:
    """Refuse a configuration that promises far more numbers than the file can hold, before building it."""
    layers = config.num_encoder_layers + config.num_decoder_layers
    least = layers * (4 * config.d_model**2 + 2 * config.d_model * config.d_feedforward)
    least += config.d_model * config.target_vocab_size
    if least * min(DTYPE_BYTES.values()) > path.stat().st_size:
        raise BundleError(
            f"{path}: {path.stat().st_size:,} bytes cannot hold the model that {_DESCRIPTION} describes "
            f"(at least {least:,} numbers)"
        )
    if (config.max_positions + config.position_offset) * config.d_model > 1 << 28:
        raise BundleError(
            f"{path.parent / _DESCRIPTION}: max_positions = {config.max_positions} and position_offset = "
            f"{config.position_offset} make a table that is too large to build"
        )
