"""Open a model for use: folder to ``Translator``, with the settings of a call on top of the model's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pellucid.bundle import Bundle, load_bundle
from pellucid.config import TranslationConfig, validated
from pellucid.config.recipe import parse_settings
from pellucid.errors import ConfigError
from pellucid.runtime import Runtime
from pellucid.translation.translator import Translator

__all__ = ["open_translator", "translator_of"]


def open_translator(path: Path, *, settings: Sequence[str] = (), device: str = "auto", threads: int = 0) -> Translator:
    """Load a model folder or run folder and make it ready to translate.

    Raises:
        BundleError: there is no usable model there.
        ConfigError: a setting is unknown or out of range.
    """
    runtime = Runtime.detect(device=device, threads=threads)
    runtime.apply()
    return translator_of(load_bundle(path, device=runtime.device), settings=settings)


def translator_of(bundle: Bundle, *, settings: Sequence[str] = ()) -> Translator:
    """Make a translator of a loaded model, with ``key=value`` settings of ``[translation]``.

    Raises:
        ConfigError: a setting is unknown or out of range.
    """
    description = bundle.description
    given: dict[str, object] = {}
    for keys, value in parse_settings(settings):
        if keys[:-1] not in {(), ("translation",)}:
            raise ConfigError(f"--set {'.'.join(keys)}: only settings of [translation] act here")
        given[keys[-1]] = value
    table = description.translation.model_dump(exclude_unset=True)
    if given.get("sampling"):
        table.pop("beam_size", None)  # model.toml spells out every setting, and its beam is no wish of this call
    return Translator(
        bundle.model,
        bundle.tokenizer,
        config=validated(TranslationConfig, table | given, place="translation"),
        source_language=description.source_language,
        target_language=description.target_language,
        origin=bundle,
    )
