"""Answer ``search``, a path below ``api/traces/{id}``: the tree of a search for the sentence of a trace.

Without parameters, it is the search that the trace has recorded, or else a new one with the settings of the model; the
single file has this answer. The parameters are settings of a new search (``beam_size``, ``length_penalty``, ``alpha``,
``sampling``, ``temperature``, ``top_k``, ``top_p``, ``seed``) and ``reference``, a translation to look for. The nodes
are arrays, and the number of a node is its place in them. Read ``serving/app.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Final

from pellucid.config import TranslationConfig
from pellucid.errors import RequestError
from pellucid.page.answers import Answer, Query, json_answer, refuse_unknown
from pellucid.page.answers_model import short_provenance
from pellucid.tracing.record import Trace
from pellucid.tracing.searching.making import tree_for
from pellucid.tracing.searching.record import SearchTree

__all__ = ["search_answer", "search_settings"]

_SETTINGS: Final[Mapping[str, Callable[[str], object]]] = {
    "beam_size": int,
    "length_penalty": str,
    "alpha": float,
    "sampling": lambda text: {"true": True, "false": False}[text],
    "temperature": float,
    "top_k": int,
    "top_p": float,
    "seed": int,
}


def search_settings(query: Query) -> dict[str, object]:
    """Return the settings in the parameters.

    Raises:
        RequestError: a parameter is unknown or is not written as a setting of its kind.
    """
    refuse_unknown(query, "reference", *_SETTINGS)
    found: dict[str, object] = {}
    for name, text in query.items():
        if name == "reference":
            continue
        try:
            found[name] = _SETTINGS[name](text)
        except (ValueError, KeyError):
            raise RequestError(f"{name} = {text[:40]!r} is not a value of this setting") from None
    return found


def search_answer(trace: Trace, query: Query, *, between_steps: Callable[[], None] = lambda: None) -> Answer:
    """Answer ``search``.

    Raises:
        RequestError: a parameter is wrong, or the trace has no model.
        ConfigError: a setting is out of range.
    """
    settings = search_settings(query)
    reference = query.get("reference") or None
    return json_answer(_table(tree_for(trace, reference=reference, settings=settings, between_steps=between_steps)))


def _table(tree: SearchTree) -> Mapping[str, object]:
    config = tree.provenance.search or TranslationConfig()
    nodes = tree.nodes
    columns = ("parent", "step", "place", "token", "piece", "log_probability", "total", "score", "outcome")
    table: dict[str, object] = {name: [getattr(node, name) for node in nodes] for name in columns}
    if any(node.narrowed is not None for node in nodes):
        table["narrowed"] = [node.narrowed for node in nodes]
    return {
        "method": tree.method,
        "settings": {name: getattr(config, name) for name in _SETTINGS},
        "nodes": table,
        "steps": [asdict(step) | {"divisor": nodes[step.first].divisor if step.count else None} for step in tree.steps],
        "ending": asdict(tree.ending) | {"may_have_missed": tree.ending.may_have_missed},
        "hypotheses": [asdict(one) for one in tree.hypotheses],
        "winner": tree.winner,
        "reference": asdict(tree.reference) if tree.reference else None,
        "provenance": short_provenance(tree.provenance),
    }
