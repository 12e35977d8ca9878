"""How an engine works on parts: how many at once, how many lines each, and what their result depends on.

Read ``lines.py`` next.
"""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pellucid.durable import sha256_of
from pellucid.jobs.models import EngineName
from pellucid.runtime import Runtime
from pellucid.translation.translator import Translator
from pellucid.version import __version__

__all__ = ["PartSearch", "part_search"]

_FEWEST_LINES: Final = 64
"""Of a part: enough for the batches of an engine."""
_PARTS_OF_A_SHORT_FILE: Final = 32


@dataclass(frozen=True)
class PartSearch:
    """A translator for parts that run side by side."""

    translator: Translator
    at_once: int
    lines_per_part: int
    facts: dict[str, Any]
    """Everything of model, engine and settings that the translations depend on, as JSON."""


def part_search(
    translator: Translator,
    model: Path,
    *,
    lines: int,
    chunk_lines: int,
    has_prefixes: bool,
    device: str,
    threads: int,
) -> PartSearch:
    """Return how the parts of ``lines`` lines are translated: several at once where the engine gives each one thread.

    ``model`` is the folder that the translator was opened from.
    """
    divided, calls, engine = translator.divided(has_prefixes=has_prefixes)
    short = -(-lines // _PARTS_OF_A_SHORT_FILE) if divided is not translator else chunk_lines
    computes: dict[str, object] = {"name": engine, "machine": platform.machine()}
    if engine == EngineName.TORCH:  # the last bits of its numbers depend on all of this
        computes |= Runtime.detect(device=device, threads=threads).describe()
    facts = {
        "pellucid": __version__,
        "model": _model_sha256(translator, model),
        "engine": computes,
        "translation": translator.config.model_dump(mode="json"),
        "chunk_lines": chunk_lines,
    }
    return PartSearch(divided, calls, max(_FEWEST_LINES, min(chunk_lines, short)), facts)


def _model_sha256(translator: Translator, model: Path) -> str:
    """Return what is equal for two models if they translate alike: the sum over all sums of their files."""
    if translator.origin is None:  # an ONNX folder; this file holds the sums of the others
        return sha256_of(model / "model.json")
    table = translator.origin.description.model_dump(mode="json", exclude={"facts", "translation", "pellucid_version"})
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()
