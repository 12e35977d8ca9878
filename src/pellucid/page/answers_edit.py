"""Answers about what edits do: further paths below ``api/traces/{id}``.

    effect           both translations, their difference, and the log-probability of every piece in both models
    head_effects     [heads, steps]: the change of each log-probability when one head is off, as octets; the heads of
                     the encoder's self-attention come first, then the decoder's self-attention, then cross-attention
    before, before/...   the same paths as for the trace itself, about the trace before the edits

Read ``serving/app.py`` next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from pellucid.analysis.effect import effect_of
from pellucid.errors import RequestError
from pellucid.page.answers import Answer, json_answer
from pellucid.page.catalogue import UnknownPathError
from pellucid.tracing.editing.text import Edit
from pellucid.tracing.making import trace as make_trace
from pellucid.tracing.record import Trace

__all__ = ["before_of", "effect_answer", "refuse_other"]


def before_of(trace: Trace) -> Trace | None:
    """Return the trace of the same sentence without edits, made again; None if the trace has no edits."""
    provenance, translator = trace.provenance, trace.translator
    if not provenance.edits or translator is None:
        return None
    source = trace.source if provenance.edited_from is None else provenance.edited_from
    if trace.hypothesis is not None and not trace.hypothesis.is_finished and provenance.search is None:
        return make_trace(translator, source, target_ids=trace.tokens.predicted_ids, level=trace.level)
    if provenance.search is None:
        return make_trace(translator, source, target=trace.text, level=trace.level)
    searcher = translator.with_settings(**provenance.search.model_dump(exclude_unset=True))
    return make_trace(searcher, source, level=trace.level)


def refuse_other(before: Trace, *, source: str, edits: tuple[Edit, ...]) -> None:
    """Refuse a trace that is not the one before these edits.

    Raises:
        RequestError: it is about another sentence, or has edits itself.
    """
    if before.source != source or before.provenance.edits or not edits:
        raise RequestError(
            "'before' names a trace of another sentence or with edits; name that of the same sentence without edits"
        )


def effect_answer(trace: Trace, before: Trace | None) -> Answer:
    """Answer ``effect``.

    Raises:
        UnknownPathError: the trace has no edits.
    """
    if before is None:
        raise UnknownPathError("this trace has no edits, so nothing is compared")
    effect = effect_of(before, trace)
    table: Mapping[str, object] = {
        "edits": [str(edit) for edit in effect.edits],
        "written": {str(edit): pieces for edit, pieces in effect.written.items()},
        "source": before.source,
        "text": before.text,
        "tokens": asdict(before.tokens),
        "divergence": effect.divergence,
        "parts": [asdict(part) for part in effect.parts],
        "old_before": effect.old_before,
        "old_after": effect.old_after,
        "new_before": effect.new_before,
        "new_after": effect.new_after,
    }
    return json_answer(table)
