"""The body of ``POST /api/traces``: {model, source, target?, target_ids?, settings?, edits?, before?}.

``target`` is a translation, ``target_ids`` the same as ids, and ``before`` is the id of the trace without the edits.
Read ``bounds.py`` next.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from pellucid.errors import RequestError

__all__ = ["TraceRequest", "trace_request"]


@dataclass(frozen=True)
class TraceRequest:
    """A request for a trace."""

    model: str
    source: str
    target: str | None = None
    target_ids: list[int] | None = None
    settings: dict[str, object] | None = None
    edits: list[str] | None = None
    before: str | None = None


def trace_request(body: bytes) -> TraceRequest:
    """Read a request for a trace, and check its types."""
    try:
        table = json.loads(body)
    except (ValueError, RecursionError):
        raise RequestError('the request is not JSON; send {"model": ..., "source": ...}') from None
    if not isinstance(table, dict):
        raise RequestError('the request must be an object, {"model": ..., "source": ...}')
    kinds: dict[str, tuple[type | tuple[type, ...], str]] = {
        "model": (str, "text"),
        "source": (str, "text"),
        "target": ((str, type(None)), "text or null"),
        "target_ids": ((list, type(None)), "a list of ids or null"),
        "settings": ((dict, type(None)), "an object or null"),
        "edits": ((list, type(None)), "a list of texts or null"),
        "before": ((str, type(None)), "text or null"),
    }
    optional = ", ".join(list(kinds)[2:])
    if unknown := sorted(table.keys() - kinds.keys()):
        raise RequestError(f"{unknown[0]!r} is unknown; a request has model, source and optionally {optional}")
    for name, (kind, description) in kinds.items():
        if name not in table and name in ("model", "source"):
            raise RequestError(f"{name!r} is missing; a request has model, source and optionally {optional}")
        if name in table and not isinstance(table[name], kind):
            raise RequestError(f"{name} = {table[name]!r} must be {description}")
    if not all(isinstance(edit, str) for edit in table.get("edits") or ()):
        raise RequestError(f"edits = {table['edits']!r} must be a list of texts or null")
    return TraceRequest(**table)
