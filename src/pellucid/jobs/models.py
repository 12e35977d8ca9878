"""Open a model for use: folder to ``Translator``, with the settings of a call on top of the model's own.

A folder that ``export --format onnx`` wrote is opened too, and run by onnxruntime.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pellucid.bundle import Bundle, load_bundle
from pellucid.config import TranslationConfig, validated
from pellucid.config.recipe import parse_settings
from pellucid.errors import ConfigError
from pellucid.interop.onnx.reading import is_onnx_folder, read_onnx
from pellucid.runtime import Runtime
from pellucid.text.sentences import has_single_sentences
from pellucid.translation.translator import Translator

__all__ = ["open_translator", "translator_of"]


def open_translator(path: Path, *, settings: Sequence[str] = (), device: str = "auto", threads: int = 0) -> Translator:
    """Load a model folder, a run folder or an exported ONNX folder, and make it ready to translate.

    Raises:
        BundleError: there is no usable model there.
        ConfigError: a setting is unknown or out of range.
    """
    if is_onnx_folder(path):
        return _onnx_translator(path, settings=settings, device=device, threads=threads)
    runtime = Runtime.detect(device=device, threads=threads)
    runtime.apply()
    return translator_of(load_bundle(path, device=runtime.device), settings=settings)


def translator_of(bundle: Bundle, *, settings: Sequence[str] = ()) -> Translator:
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
        found.open(threads=runtime.threads).stepper,
        found.tokenizer,
        config=_configured(found.description.translation, settings),
        source_language=found.description.source_language,
        target_language=found.description.target_language,
        single_sentences=has_single_sentences(found.description.share_of_several_sentences),
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
