"""How an engine works on parts: how many at once, how many lines each, and what their result depends on.

Read ``lines.py`` next.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pellucid.durable import sha256_of
from pellucid.errors import BundleError
from pellucid.jobs.models import EngineName
from pellucid.jobs.options.parts import CHUNK_LINES
from pellucid.runtime import Runtime
from pellucid.translation.translator import Translator
from pellucid.version import __version__

__all__ = ["PartSearch", "part_search"]

_FEWEST_LINES: Final = 64
"""Of a part: enough for the batches of an engine."""
_PARTS_OF_A_SHORT_FILE: Final = 32
_LINES_OF_A_GPU: Final = 8192
"""Of a part, unless the number of lines in a chunk is given."""
_PARTS_OF_A_GPU: Final = 4
"""Fewest parts of a short file for each of several GPUs."""


@dataclass(frozen=True)
class PartSearch:
    """A translator for parts that run side by side."""

    translator: Translator
    at_once: int
    """Over all lanes."""
    lines_per_part: int
    chunk_lines: int
    """Lines that are translated together."""
    lanes: tuple[tuple[Translator, int], ...]
    """The translator of each device, and how many parts it translates at once."""
    facts: dict[str, Any]
    """Everything of model, engine and settings that the translations depend on, as JSON."""


def part_search(
    lanes: Sequence[tuple[Translator, str]],
    model: Path,
    *,
    lines: int,
    chunk_lines: int,
    has_prefixes: bool,
    threads: int,
) -> PartSearch:
    """Return how the parts of ``lines`` lines are translated: several at once where the engine gives each one thread.

    ``lanes`` are translators that were opened from the folder ``model``, each with its device.

    Raises:
        BundleError: the translators have different models.
    """
    translator, *others = [one for one, _ in lanes]
    sha256 = _model_sha256(translator, model)
    if any(_model_sha256(other, model) != sha256 for other in others):
        raise BundleError(f"{model}: another model took its place while it was opened; give the same command again")
    divided = [one.divided(has_prefixes=has_prefixes) for one in (translator, *others)]
    first, _, engine = divided[0]
    at_once = sum(calls for _, calls, _ in divided)
    if engine.startswith(EngineName.DEVICE):
        # A GPU is busy with hundreds of sentences, and their number falls at the end of every part.
        chunk_lines = _LINES_OF_A_GPU if chunk_lines == CHUNK_LINES else chunk_lines
        short = -(-lines // (_PARTS_OF_A_GPU * at_once)) if others else chunk_lines
    else:
        short = -(-lines // _PARTS_OF_A_SHORT_FILE) if first is not translator or others else chunk_lines
    facts = {
        "pellucid": __version__,
        "model": sha256,
        "engine": _computes(engine, [device for _, device in lanes], threads),
        "translation": translator.config.model_dump(mode="json"),
        "chunk_lines": chunk_lines,
    }
    calls = tuple((one, calls) for one, calls, _ in divided)
    return PartSearch(first, at_once, max(_FEWEST_LINES, min(chunk_lines, short)), chunk_lines, calls, facts)


def _computes(engine: str, devices: Sequence[str], threads: int) -> dict[str, object]:
    """Return what the last bits of an engine's numbers depend on; not how many devices there are."""
    computes: dict[str, object] = {"name": engine, "machine": platform.machine()}
    if engine == EngineName.TORCH or engine.startswith(EngineName.DEVICE):
        runtimes = [Runtime.detect(device=device, threads=threads) for device in devices]
        computes |= runtimes[0].describe() | {"device": sorted({runtime.device_name() for runtime in runtimes})}
    return computes


def _model_sha256(translator: Translator, model: Path) -> str:
    """Return what is equal for two models if they translate alike: the sum over all sums of their files."""
    if translator.origin is None:  # an ONNX folder; this file holds the sums of the others
        return sha256_of(model / "model.json")
    table = translator.origin.description.model_dump(mode="json", exclude={"facts", "translation", "pellucid_version"})
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()
