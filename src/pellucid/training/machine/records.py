"""Remember the results of trials in the user's cache folder: one file for each kind of trial and each set of facts.

The facts are everything that the result depends on, such as the name of the device and the shape of the model. A file
that cannot be read, or that belongs to other facts, does not count; then the trial runs again. Read ``precision.py``
next.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pellucid.durable import DISK, cache_folder
from pellucid.untrusted import parse_json, read_at_most

__all__ = ["remember", "remembered"]

_LARGEST_RECORD: Final = 1 << 16


def remembered(kind: str, facts: Mapping[str, object]) -> dict[str, Any] | None:
    """Return the result of an earlier trial with these facts, or None. The caller checks its content."""
    path = _path(kind, facts)
    try:
        table: Any = parse_json(read_at_most(path, _LARGEST_RECORD)) if path else None
        result = table["result"] if table["facts"] == facts else None
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return result if isinstance(result, dict) else None


def remember(kind: str, facts: Mapping[str, object], result: Mapping[str, object]) -> None:
    """Keep a result for the next run; without a cache folder that can be written, the next run measures again."""
    path = _path(kind, facts)
    if path is None:
        return
    content = json.dumps({"facts": facts, "result": result}, indent=1).encode()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        DISK.write_replacing(path, content)
    except OSError:
        return  # a full or read-only disk costs the next run a trial


def _path(kind: str, facts: Mapping[str, object]) -> Path | None:
    name = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
    folder = cache_folder()
    return None if folder is None else folder / f"{kind}-{name}.json"
