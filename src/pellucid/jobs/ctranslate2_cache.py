"""Export a model for the CTranslate2 engine, once, into the user's cache folder. ``models.py`` asks for it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pellucid.bundle import ModelFolder
from pellucid.compiled.cache import alone, private_cache
from pellucid.durable import DISK, sha256_of
from pellucid.errors import ConfigError, ConversionError, EngineUnavailableError, IncompatibleModelError
from pellucid.translation.engines.ctranslate2.engine import CTranslate2Engine
from pellucid.translation.engines.ctranslate2.trial import best_settings

__all__ = ["open_ctranslate2"]

_CHECKSUMS: Final = "checksums.json"
"""Written last: a folder without it is not complete."""


def open_ctranslate2(
    opened: ModelFolder, *, is_int8: bool, threads: int, say: Callable[[str], None]
) -> CTranslate2Engine:
    """Open a model's export in the cache folder, or write it and verify that it computes the same.

    Args:
        opened: the model folder.
        is_int8: round each weight to 8 bits; else float32.
        threads: cores that may be used.
        say: called with a sentence before something that takes seconds.

    Raises:
        EngineUnavailableError: CTranslate2 is not installed, cannot hold this model, or does not run here.
    """
    compute_type = "int8" if is_int8 else "float32"
    folder = private_cache() / f"ctranslate2-{opened.description.weights_sha256[:32]}-{compute_type}"
    with alone(folder):
        if not _is_whole(folder):
            say("exporting the model for CTranslate2 and comparing the export with it, once")
            _export(opened, folder, compute_type, threads)
        source = opened.tokenizer.source.vocabulary.pieces
        settings = best_settings(folder, source[4:], compute_type=compute_type, threads=threads, say=say)
    return CTranslate2Engine(
        folder,
        settings,
        source_pieces=source,
        target_pieces=opened.tokenizer.target.vocabulary.pieces,
        longest=opened.description.model.max_positions,
    )


def _is_whole(folder: Path) -> bool:
    try:
        checksums = json.loads((folder / _CHECKSUMS).read_text(encoding="utf-8"))
        return bool(checksums) and all(sha256_of(folder / name) == sha256 for name, sha256 in checksums.items())
    except (OSError, ValueError, AttributeError):
        return False


def _export(opened: ModelFolder, folder: Path, compute_type: str, threads: int) -> None:
    from pellucid.jobs.exchange import export_model

    shutil.rmtree(folder, ignore_errors=True)
    options = {"quantization": compute_type}
    try:
        export_model(opened.folder, folder, format="ctranslate2", options=options, threads=threads)
    except (ConfigError, ConversionError, IncompatibleModelError) as error:
        raise EngineUnavailableError(f"this model cannot be exported for CTranslate2: {error}") from None
    checksums = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
    DISK.write(folder / _CHECKSUMS, json.dumps(checksums).encode())
