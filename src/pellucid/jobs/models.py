"""Open a model for use: folder to ``Translator``, with the settings of a call on top of the model's own.

A folder that ``export --format onnx`` wrote is opened too, and run by onnxruntime.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from pellucid.bundle import (
    Bundle,
    FolderDescription,
    ModelFolder,
    find_model_folder,
    load_bundle,
    open_model_folder,
    read_description,
    read_model,
    unless_replaced,
)
from pellucid.config.tables import parse_settings, validated
from pellucid.config.translation import TranslationConfig
from pellucid.durable import can_be_name
from pellucid.errors import ConfigError, EngineUnavailableError
from pellucid.interop.packages import is_installed
from pellucid.runtime import Precision, Runtime, has_gpu, is_forked_from_torch, threads_for
from pellucid.sample.embedded import direction_of
from pellucid.translation.engines.engine import Engine
from pellucid.translation.engines.native.engine import open_native
from pellucid.translation.engines.reference import LaterModel
from pellucid.translation.translator import Translator

if TYPE_CHECKING:
    from pellucid.model.transformer import Transformer

__all__ = [
    "EngineName",
    "EnginePrecision",
    "languages_of",
    "open_translator",
    "settings_for",
    "translator_of",
    "translators_over",
]


_Name = TypeVar("_Name", bound=StrEnum)


class EngineName(StrEnum):
    """What computes a translation."""

    AUTO = "auto"
    """Native on a processor; device on a GPU. Where native is not available, ctranslate2 if installed, else torch."""
    TORCH = "torch"
    """The model itself; every setting."""
    NATIVE = "native"
    """One C file, compiled for this machine at its first use; on the processor."""
    CTRANSLATE2 = "ctranslate2"
    """The exported model, run by CTranslate2 in a process of its own; on the processor."""
    DEVICE = "device"
    """The model in fixed shapes, with a step as one CUDA graph; on a GPU, and without graphs on the processor."""


class EnginePrecision(StrEnum):
    """How an engine holds weights."""

    AUTO = "auto"
    """fp32 for torch; bf16 for device on a GPU that has it, else fp32; int8 for the others."""
    INT8 = "int8"
    """Rounded to 8 bits; not for torch and device."""
    BF16 = "bf16"
    """Rounded to 8 significant bits, with the exponents of fp32; for device only."""
    FP32 = "fp32"
    """As they are stored."""


def _unheard(text: str) -> None:
    pass


def open_translator(
    path: Path,
    *,
    settings: Sequence[str] = (),
    device: str = "auto",
    threads: int = 0,
    engine: str = EngineName.AUTO,
    precision: str = EnginePrecision.AUTO,
    say: Callable[[str], None] = _unheard,
) -> Translator:
    """Load a model folder, a run folder or an exported ONNX folder, and make it ready to translate.

    With the native engine torch is not imported and the weights are not read, once they are prepared; the files of the
    tokenizer are always compared with their SHA-256. What looks into the model names ``engine="torch"``.

    Args:
        path: the folder.
        settings: ``key=value`` settings of ``[translation]``.
        device: where the model computes.
        threads: of the processor; 0 is what torch would use.
        engine: an ``EngineName``.
        precision: an ``EnginePrecision``.
        say: called with a sentence that names the engine and why, and again when a search needs another one.

    Raises:
        BundleError: there is no usable model there.
        ConfigError: a setting or an engine is unknown, or does not go with the others.
        EngineUnavailableError: the engine that is asked for is not available here.
    """
    wanted = _named(EngineName, "--engine", engine)
    held = _named(EnginePrecision, "--precision", precision)
    if held in _ROUNDED and wanted is EngineName.TORCH:
        raise ConfigError(f"--precision {held} is not for --engine torch, which computes with the stored weights")
    if _is_onnx_folder(path):
        _refuse_engine(wanted, held, f"{path} is an ONNX folder, which onnxruntime computes")
        return _onnx_translator(path, settings=settings, device=device, threads=threads)
    if wanted is EngineName.TORCH:
        return _on_torch(path, settings=settings, device=device, threads=threads)
    is_on_gpu = device != "cpu" and (device != "auto" or has_gpu())
    if wanted is EngineName.DEVICE or (is_on_gpu and wanted is EngineName.AUTO):
        return _on_device(path, settings=settings, device=device, threads=threads, held=held, say=say)
    if is_on_gpu:
        raise ConfigError(
            f"--engine {wanted} is for the processor, and device = {device!r} is not the processor; use --engine auto"
        )
    if held is EnginePrecision.BF16:
        raise ConfigError(
            f"--precision bf16 is for --engine device, and for auto on a GPU; use {EnginePrecision.INT8} or "
            f"{EnginePrecision.FP32} here"
        )
    is_forked_from_torch()  # from now on it is noticed
    opening = partial(
        _without_torch, settings=settings, threads=threads_for(threads), wanted=wanted, held=held, say=say
    )
    return unless_replaced(path, opening)


def _without_torch(
    opened: ModelFolder,
    *,
    settings: Sequence[str],
    threads: int,
    wanted: EngineName,
    held: EnginePrecision,
    say: Callable[[str], None],
) -> Translator:
    """Open the engine that was asked for; under ``auto`` the first one that is available."""
    config = _configured(opened.description.translation, settings)

    def read() -> Transformer:
        Runtime.detect(device="cpu", threads=1 if is_forked_from_torch() else threads).apply()
        return read_model(opened).model

    is_int8 = held is not EnginePrecision.FP32
    openers: dict[EngineName, Callable[[], Engine]] = {
        EngineName.NATIVE: lambda: open_native(
            read,
            config=opened.description.model,
            weights_sha256=opened.description.weights_sha256,
            is_int8=is_int8,
            threads=threads,
            say=say,
        ),
        EngineName.CTRANSLATE2: lambda: _ctranslate2(opened, is_int8=is_int8, threads=threads, say=say),
    }
    later = LaterModel(read, max_length=opened.description.model.max_positions)
    problems: list[str] = []
    for name in openers if wanted is EngineName.AUTO else [wanted]:
        if problems and not is_installed("ctranslate2"):
            break
        try:
            engine = openers[name]()
        except EngineUnavailableError as error:
            if wanted is not EngineName.AUTO:
                raise
            problems.append(f"the {name} engine is not available: {error}")
            continue
        why = f"because {problems[0]}" if problems else "the fastest on a processor"
        why = why if wanted is EngineName.AUTO else "as asked"
        say(f"engine: {engine.name}, {threads} thread{'s' if threads > 1 else ''}, {why}{_ROUNDING if is_int8 else ''}")
        return _translator(opened, later, config=config, engine=engine, say=say)
    if held is EnginePrecision.INT8:
        raise EngineUnavailableError(f"--precision int8 is not possible here: {'; '.join(problems)}")
    say(f"engine: torch (fp32), because {'; '.join(problems)}")
    return _translator(opened, later, config=config)


def _ctranslate2(opened: ModelFolder, *, is_int8: bool, threads: int, say: Callable[[str], None]) -> Engine:
    from pellucid.jobs.ctranslate2_cache import open_ctranslate2  # the native engine starts without it

    return open_ctranslate2(opened, is_int8=is_int8, threads=threads, say=say)


_ROUNDING: Final = "; weights are rounded to 8 bits, and --precision fp32 keeps them exact"
_ROUNDED: Final = (EnginePrecision.INT8, EnginePrecision.BF16)


def _on_device(
    path: Path, *, settings: Sequence[str], device: str, threads: int, held: EnginePrecision, say: Callable[[str], None]
) -> Translator:
    """Open the device engine, in bf16 on a GPU that multiplies it in hardware; torch where its check refuses it."""
    if held is EnginePrecision.INT8:
        raise ConfigError(
            "--precision int8 is for the processor, and --engine device and a GPU compute in bf16 or fp32; leave it out"
        )
    runtime = Runtime.detect(device=device, threads=threads)
    runtime.apply()
    import torch

    from pellucid.translation.engines.device.checking import checked  # imports torch
    from pellucid.translation.engines.device.engine import DeviceEngine

    is_on_gpu = runtime.device != "cpu"
    is_bf16 = held is EnginePrecision.BF16 or (
        held is EnginePrecision.AUTO and is_on_gpu and runtime.precision is Precision.BF16
    )

    def over(opened: ModelFolder) -> Translator:
        config = _configured(opened.description.translation, settings)
        later = LaterModel(
            lambda: read_model(opened, device=runtime.device).model, max_length=opened.description.model.max_positions
        )
        if is_on_gpu and (problem := checked(opened, runtime, is_bf16=is_bf16, say=say)):
            say(f"engine: torch (fp32), {runtime.device}, because the device engine failed its check: {problem}")
            return _translator(opened, later, config=config)
        model = read_model(opened).model.to(runtime.device, torch.bfloat16 if is_bf16 else torch.float32)
        engine = DeviceEngine(model, say=say)
        why = "the fastest on a GPU" if is_on_gpu else "without CUDA graphs on a processor"
        why += (
            f", in fp32 because {runtime.reason}" if is_on_gpu and held is EnginePrecision.AUTO and not is_bf16 else ""
        )
        rounding = (
            "; weights are rounded to 8 significant bits, and --precision fp32 keeps them exact" if is_bf16 else ""
        )
        say(f"engine: {engine.name}, {runtime.device}, {why}{rounding}")
        return _translator(opened, later, config=config, engine=engine, say=say)

    return unless_replaced(path, over)


def _is_onnx_folder(path: Path) -> bool:
    if not can_be_name(path) or not (path / "model.json").is_file():  # what follows imports torch
        return False
    from pellucid.interop.onnx.reading import is_onnx_folder

    return is_onnx_folder(path)


def _refuse_engine(wanted: EngineName, held: EnginePrecision, why: str) -> None:
    """Refuse what is not for such a folder."""
    if wanted not in (EngineName.AUTO, EngineName.TORCH) or held in _ROUNDED:
        asked = f"--precision {held}" if wanted in (EngineName.AUTO, EngineName.TORCH) else f"--engine {wanted}"
        raise ConfigError(f"{asked} is for a model folder on the processor, and {why}; leave it out")


def _named(kind: type[_Name], option: str, name: str) -> _Name:
    try:
        return kind(name)
    except ValueError:
        raise ConfigError(f"{option} {name!r} is unknown; use {', '.join(kind)}") from None


def settings_for(path: Path | None, settings: Sequence[str]) -> TranslationConfig:
    """Return the settings that a translator of this folder would have; only the description of the model is read.

    None stands for the walkthrough model, which has the defaults.

    Raises:
        BundleError: there is no usable description.
        ConfigError: a setting is unknown or out of range.
    """
    if path is None:
        return _configured(TranslationConfig(), settings)
    if not _is_onnx_folder(path):
        return _configured(read_description(find_model_folder(path)).translation, settings)
    from pellucid.interop.onnx.reading import read_onnx_description

    return _configured(read_onnx_description(path).translation, settings)


def languages_of(path: Path) -> tuple[str, str]:
    """Return the codes of the languages of a model; only its description is read.

    Raises:
        BundleError: there is no usable description.
        ConfigError: the model was trained without codes.
    """
    if _is_onnx_folder(path):
        from pellucid.interop.onnx.reading import read_onnx_description

        description: FolderDescription = read_onnx_description(path)
    else:
        description = read_description(find_model_folder(path))
    names = ("source_language", "target_language")
    named = direction_of(path) or description  # the embedded model has several directions
    codes = (named.source_language, named.target_language)
    if any(FolderDescription.model_fields[name].default == code for name, code in zip(names, codes, strict=True)):
        raise ConfigError(
            f"{path}: was trained without the codes of its languages, so it is not known which texts of a file are in "
            "them; name parallel files (--src and --ref)"
        )
    return codes


def _on_torch(path: Path, *, settings: Sequence[str], device: str, threads: int) -> Translator:
    runtime = Runtime.detect(device=device, threads=threads)
    runtime.apply()
    return translator_of(load_bundle(path, device=runtime.device), settings=settings)


def translator_of(bundle: Bundle, *, settings: Sequence[str] = ()) -> Translator:
    """Make a translator of a loaded model, with ``key=value`` settings of ``[translation]``; torch computes.

    Raises:
        ConfigError: a setting is unknown or out of range.
    """
    return _translator(bundle, bundle.model, config=_configured(bundle.description.translation, settings))


def translators_over(read: Callable[[], Transformer], paths: Sequence[Path]) -> list[Translator]:
    """Return translators of several folders, or names of embedded directions, that share one model.

    ``read`` is called when something needs the weights.
    """
    folders = [open_model_folder(path) for path in paths]
    return [
        _translator(
            opened,
            LaterModel(read, max_length=opened.description.model.max_positions),
            config=opened.description.translation,
        )
        for opened in folders
    ]


def _translator(
    opened: ModelFolder,
    model: Transformer | LaterModel,
    *,
    config: TranslationConfig,
    engine: Engine | None = None,
    say: Callable[[str], None] = _unheard,
) -> Translator:
    description = opened.description
    return Translator(
        model,
        opened.tokenizer,
        config=config,
        source_language=description.source_language,
        target_language=description.target_language,
        single_sentences=description.single_sentences,
        origin=opened,
        engine=engine,
        say=say,
    )


def _onnx_translator(folder: Path, *, settings: Sequence[str], device: str, threads: int) -> Translator:
    if device not in ("auto", "cpu"):
        raise ConfigError(
            f"device = {device!r}: an ONNX folder runs on the processor here; use 'cpu', or the model itself"
        )
    from pellucid.interop.onnx.reading import read_onnx

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
