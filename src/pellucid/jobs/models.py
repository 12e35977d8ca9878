"""Open a model for use: folder to ``Translator``, with the settings of a call on top of the model's own.

A folder that ``export --format onnx`` wrote is opened too, and run by onnxruntime.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar

from pellucid.bundle import Bundle, load_bundle
from pellucid.config import TranslationConfig, validated
from pellucid.config.recipe import parse_settings
from pellucid.errors import ConfigError
from pellucid.interop.onnx.reading import is_onnx_folder, read_onnx
from pellucid.runtime import Runtime
from pellucid.translation.engines.engine import Engine
from pellucid.translation.engines.native.engine import open_native
from pellucid.translation.translator import Translator

__all__ = ["EngineName", "WeightFormat", "open_translator", "translator_of"]


_Name = TypeVar("_Name", bound=StrEnum)


class EngineName(StrEnum):
    """What computes a translation."""

    TORCH = "torch"
    """The model itself; every setting."""
    NATIVE = "native"
    """One C file, compiled for this machine at its first use; greedy and beam search on the processor."""


class WeightFormat(StrEnum):
    """How the native engine holds weights."""

    INT8 = "int8"
    FP32 = "fp32"


def _unheard(text: str) -> None:
    pass


def open_translator(
    path: Path,
    *,
    settings: Sequence[str] = (),
    device: str = "auto",
    threads: int = 0,
    engine: str = EngineName.TORCH,
    weights: str | None = None,
    say: Callable[[str], None] = _unheard,
) -> Translator:
    """Load a model folder, a run folder or an exported ONNX folder, and make it ready to translate.

    Args:
        path: the folder.
        settings: ``key=value`` settings of ``[translation]``.
        device: where torch computes.
        threads: of the processor; 0 is what torch would use.
        engine: an ``EngineName``.
        weights: a ``WeightFormat`` of the native engine; None is int8.
        say: called with a sentence that names the engine, and again when a search needs another one.

    Raises:
        BundleError: there is no usable model there.
        ConfigError: a setting or an engine is unknown, or does not go with the others.
        EngineUnavailableError: the native engine cannot be compiled here.
    """
    chosen = _named(EngineName, "--engine", engine)
    held = WeightFormat.INT8 if weights is None else _named(WeightFormat, "--weights", weights)
    if weights is not None and chosen is EngineName.TORCH:
        raise ConfigError(f"--weights {weights} is for --engine native; torch uses the weights as they are stored")
    if chosen is EngineName.NATIVE and (is_onnx_folder(path) or device not in ("auto", "cpu")):
        raise ConfigError(
            f"--engine native translates with a model folder on the processor, not with device = {device!r} or an ONNX "
            "folder; leave out --device, or use --engine torch"
        )
    if is_onnx_folder(path):
        return _onnx_translator(path, settings=settings, device=device, threads=threads)
    runtime = Runtime.detect(device="cpu" if chosen is EngineName.NATIVE else device, threads=threads)
    runtime.apply()
    bundle = load_bundle(path, device=runtime.device)
    if chosen is EngineName.TORCH:
        return translator_of(bundle, settings=settings)
    native = open_native(
        bundle.model,
        weights_sha256=bundle.description.files[bundle.description.weights],
        is_int8=held is WeightFormat.INT8,
        threads=runtime.threads,
    )
    say(
        f"engine: {native.name} where it supports the search, {runtime.threads} thread"
        f"{'s' if runtime.threads > 1 else ''}{_ROUNDING[held]}"
    )
    return translator_of(bundle, settings=settings, engine=native, say=say)


_ROUNDING: Final = {
    WeightFormat.INT8: "; weights are rounded to 8 bits, and --weights fp32 keeps them exact",
    WeightFormat.FP32: "",
}


def _named(kind: type[_Name], option: str, name: str) -> _Name:
    try:
        return kind(name)
    except ValueError:
        raise ConfigError(f"{option} {name!r} is unknown; use {' or '.join(kind)}") from None


def translator_of(
    bundle: Bundle, *, settings: Sequence[str] = (), engine: Engine | None = None, say: Callable[[str], None] = _unheard
) -> Translator:
    """Make a translator of a loaded model, with ``key=value`` settings of ``[translation]``.

    Raises:
        ConfigError: a setting is unknown or out of range.
    """
    description = bundle.description
    return Translator(
        bundle.model,
        bundle.tokenizer,
        config=_configured(description.translation, settings),
        source_language=description.source_language,
        target_language=description.target_language,
        single_sentences=description.single_sentences,
        origin=bundle,
        engine=engine,
        say=say,
    )


def _onnx_translator(folder: Path, *, settings: Sequence[str], device: str, threads: int) -> Translator:
    if device not in ("auto", "cpu"):
        raise ConfigError(
            f"device = {device!r}: an ONNX folder runs on the processor here; use 'cpu', or the model itself"
        )
    runtime = Runtime.detect(device="cpu", threads=threads)
    runtime.apply()
    found = read_onnx(folder)
    return Translator(
        found.open(threads=runtime.threads),
        found.tokenizer,
        config=_configured(found.description.translation, settings),
        source_language=found.description.source_language,
        target_language=found.description.target_language,
        single_sentences=found.description.single_sentences,
    )


def _configured(own: TranslationConfig, settings: Sequence[str]) -> TranslationConfig:
    given: dict[str, object] = {}
    for keys, value in parse_settings(settings):
        if keys[:-1] not in {(), ("translation",)}:
            raise ConfigError(f"--set {'.'.join(keys)}: only settings of [translation] act here")
        given[keys[-1]] = value
    table = own.model_dump(exclude_unset=True)
    if given.get("sampling"):
        table.pop("beam_size", None)  # model.toml spells out every setting, and its beam is no wish of this call
    return validated(TranslationConfig, table | given, place="translation")
