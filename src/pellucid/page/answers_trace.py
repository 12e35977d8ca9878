"""Answers about a trace: the paths below ``api/traces/{id}``.

    (nothing)                    the manifest: everything that the first picture requires
    sites/{site}?head=&row=      a site as octets; ``head`` selects on axis 0 of three axes, ``row`` on the next axis
    heads                        by kind: ``side`` of the small pictures and ``heads`` [layer][head], see atlas.py
    atlas                        the small pictures, see ``analysis/atlas.py``
    flow?head=                   the attention of every layer, of one head or the mean of all, see ``analysis/atlas.py``
    shares/{place}?row=          what each head of an attention adds: lengths [heads, time]; with ``row``, the
                                 vectors [heads + 1, d_model] of that row, the bias last
    search?...                   the tree of a search, see ``answers_search.py``
    changes                      for each sub-layer, the change of each position: |out - in| / |in|
    effect, head_effects, before/...   see ``answers_edit.py``
    why?..., lens?step=, align?unit=   see ``answers_why.py``
    beside/{other}...            see ``answers_compare.py``

Read ``serving/app.py`` next.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np

from pellucid.analysis.atlas import atlas, head_table, is_special, layer_weights, weights_by_kind
from pellucid.analysis.checks import CheckReport, check
from pellucid.analysis.head_effects import head_effects
from pellucid.analysis.heads import head_shares
from pellucid.config import NormOrder, TranslationConfig
from pellucid.errors import RequestError
from pellucid.page.answers import Answer, Query, json_answer, octets_answer, refuse_unknown, whole_number
from pellucid.page.answers_compare import BEFORE, comparison_answer
from pellucid.page.answers_edit import before_of, effect_answer, refuse_other
from pellucid.page.answers_health import health_table
from pellucid.page.answers_model import short_provenance
from pellucid.page.answers_search import search_answer
from pellucid.page.answers_why import alignment_answer, lens_answer, why_answer
from pellucid.page.catalogue import OpenedModel, UnknownPathError
from pellucid.page.samples import sample_of
from pellucid.tracing.editing.refusal import as_written
from pellucid.tracing.editing.text import edit_list
from pellucid.tracing.file import content_sha256
from pellucid.tracing.making import trace as make_trace
from pellucid.tracing.predictions import Array
from pellucid.tracing.record import Trace
from pellucid.tracing.sites import AttentionKind, unknown_site
from pellucid.translation.flags import diagnose, doubtful

__all__ = ["TraceRecord", "before_record", "make_record", "refuse_settings", "relative_changes", "trace_answer"]

_NUM_TOP: Final = 10
_MOST_FAILURES: Final = 20
_LARGEST_BEAM: Final = 50
_BYTES_OF_SMALL: Final = 500
"""Memory of a small record of numbers and texts in Python."""
_BYTES_OF_ID: Final = 36
_WITH_A_QUERY: Final[Mapping[str, Callable[[Trace, Query], Answer]]] = {
    "search": search_answer,
    "lens": lens_answer,
    "align": alignment_answer,
}


@dataclass(frozen=True, eq=False)
class TraceRecord:
    """A trace for the page, with its id, its model and the time that it took."""

    id: str
    trace: Trace
    opened: OpenedModel | None = None
    seconds: float = 0.0
    report: CheckReport | None = None
    """The check of the whole trace; ``trace`` itself may store fewer sites."""
    before: Trace | None = None
    """The trace of the same sentence without the edits of ``trace``, if it has edits."""
    beside: TraceRecord | None = None
    """Another trace, with which the page compares this one."""

    @property
    def nbytes(self) -> int:
        """Estimated memory: the arrays, and an estimate for each small record and id."""
        report, tokens = self.report, self.trace.tokens
        records = sum(len(expansion.candidates) + len(expansion.rows) for expansion in self.trace.search)
        ids = sum(len(row.ids) for expansion in self.trace.search for row in expansion.rows)
        records += len(report.identities) + len(report.skipped) if report else 0
        records += 100 + tokens.source_length + tokens.target_length
        before = self.before.nbytes if self.before else 0
        return before + self.trace.nbytes + _BYTES_OF_SMALL * records + _BYTES_OF_ID * ids

    @cached_property
    def sha256(self) -> str:
        """Digest of the whole trace."""
        return content_sha256(self.trace)

    @cached_property
    def manifest(self) -> Answer:
        """The answer with the manifest."""
        return json_answer(_manifest(self))

    @cached_property
    def effect(self) -> Answer:
        """Computed once, because it requires the model."""
        return effect_answer(self.trace, self.before)

    @cached_property
    def head_effects(self) -> Answer:
        """Computed once, because it takes a pass for every head."""
        return octets_answer(head_effects(self.trace))

    @cached_property
    def changes(self) -> Answer:
        """Computed once, because it requires every layer."""
        return json_answer(relative_changes(self.trace))


def make_record(
    opened: OpenedModel,
    source: str,
    *,
    trace_id: str,
    target: str | None = None,
    target_ids: Sequence[int] | None = None,
    settings: Mapping[str, object] | None = None,
    edits: Sequence[str] = (),
    before: Trace | None = None,
    largest_bytes: int | None = None,
    between_steps: Callable[[], None] = lambda: None,
) -> TraceRecord:
    """Translate a sentence, trace it and check the trace.

    Args:
        opened: the model.
        source: one sentence.
        trace_id: its id in addresses.
        target: a translation to trace instead of the best one of the model.
        target_ids: the same as ids; see ``tracing.trace``.
        settings: settings of the search that replace those of the model.
        edits: texts of edits.
        before: the trace without the edits, if it is known; else it is made.
        largest_bytes: a larger trace stores only its attention weights; other sites are computed again on request.
        between_steps: as for ``tracing.trace``; also called before and during the check.

    Raises:
        EditError: edits cannot be applied; it has their texts.
        RequestError: the text or the name of a setting is wrong.
        ConfigError: the value of a setting is wrong.
    """
    translator = opened.translator
    if settings:
        refuse_settings(settings)
        translator = translator.with_settings(**settings)
    start = time.perf_counter()
    sample = sample_of(opened) if any("=mean:" in edit for edit in edits) else None
    chosen = edit_list(edits, samples=[sample] if sample else [])
    if before is not None:
        refuse_other(before, source=source, edits=chosen)
    with as_written(dict(zip(chosen, edits, strict=True))):
        made = make_trace(
            translator,
            source,
            edits=chosen,
            target=target,
            target_ids=target_ids,
            before=before,
            between_steps=between_steps,
        )
    seconds = time.perf_counter() - start
    between_steps()
    report = check(made, between_steps=between_steps)
    before = before or before_of(made)
    if largest_bytes is not None and made.nbytes > largest_bytes:
        made, before = made.at_level("attention"), before and before.at_level("attention")
    return TraceRecord(id=trace_id, trace=made, opened=opened, seconds=seconds, report=report, before=before)


def trace_answer(
    record: TraceRecord, rest: str, query: Query, *, between_passes: Callable[[], None] = lambda: None
) -> Answer:
    """Answer a path below ``api/traces/{id}/``; ``rest`` is the part after it, empty for the manifest.

    ``between_passes`` is called between the passes of an attribution, and ends it by an exception.

    Raises:
        UnknownPathError: there is no such path.
        RequestError: a parameter is wrong, or the numbers require a model that the trace does not have.
    """
    kind, _, name = rest.partition("/")
    if kind == "beside":
        return _beside(record, name, query, between_passes)
    if kind == BEFORE and record.before is not None:
        return trace_answer(before_record(record), name, query, between_passes=between_passes)
    if kind == "sites" and name:
        return octets_answer(_site(record.trace, name, query))
    if kind == "shares" and name:
        return octets_answer(_shares(record.trace, name, query))
    if rest == "why":
        return why_answer(record.trace, query, between_passes=between_passes)
    if rest in _WITH_A_QUERY:
        return _WITH_A_QUERY[rest](record.trace, query)
    if kind not in ("", "heads", "atlas", "flow", "changes", "effect", "head_effects") or name:
        raise UnknownPathError(
            f"a trace has no path {rest!r}; allowed are sites/..., heads, atlas, flow, shares/..., changes, search, "
            "why, lens, align, head_effects, beside/..., and with edits effect and before/..."
        )
    if kind == "flow":
        return octets_answer(_flow(record.trace, query))
    refuse_unknown(query)
    if kind == "heads":
        return json_answer(head_table(record.trace))
    if kind == "atlas":
        return octets_answer(atlas(record.trace))
    if kind == "effect":
        return record.effect
    if kind == "head_effects":
        return record.head_effects
    return record.changes if kind else record.manifest


def _beside(record: TraceRecord, name: str, query: Query, between_passes: Callable[[], None]) -> Answer:
    other_id, _, rest = name.partition("/")
    other = record.beside
    if other_id == BEFORE and record.before is not None:
        other = replace(before_record(record), id=BEFORE)
    if other is None or other.id != other_id:
        raise UnknownPathError(f"nothing is known of {other_id!r} beside this trace; name another trace, or 'before'")
    if rest:
        return trace_answer(other, rest, query, between_passes=between_passes)
    refuse_unknown(query)
    pair = (other, record) if other_id == BEFORE else (record, other)
    first, second = (one.opened.id if one.opened else None for one in pair)
    return comparison_answer(pair[0].trace, pair[1].trace, names=(first, second))


def before_record(record: TraceRecord) -> TraceRecord:
    """Return the record of the trace before the edits; its id is the path that leads to it."""
    if record.before is None:
        raise UnknownPathError("this trace has no edits, so there is none before them")
    own = f"{record.id}/{BEFORE}"
    return replace(record, id=own, trace=record.before, before=None, beside=None, report=None)


def relative_changes(trace: Trace) -> dict[str, Array]:
    """Return |out - in| / |in| of each position for each sub-layer; ``out`` is after residual and norm.

    With pre-norm, the norm comes before the sub-layer and ``out`` is the residual sum.

    Raises:
        RequestError: the trace has only attention weights and no model.
    """
    configuration = trace.provenance.configuration
    if configuration is None:
        raise RequestError("this trace has only attention weights, so sub-layers cannot be compared")
    whole = trace.at_level("full")
    end = "residual" if configuration.norm_order is NormOrder.PRE else "norm"
    changes: dict[str, Array] = {}
    entry = ""
    for site in whole.sites:
        if re.fullmatch(r"(encoder|decoder)\.\d+\.input", site):
            entry = site
        elif re.fullmatch(rf"(encoder|decoder)\.\d+\.\w+_{end}", site):
            before, after = whole[entry].astype(np.float64), whole[site].astype(np.float64)
            lengths = np.linalg.norm(before, axis=-1)
            moved = np.linalg.norm(after - before, axis=-1)
            changes[site.removesuffix(f"_{end}")] = moved / np.where(lengths > 0, lengths, 1.0)
            entry = site
    return changes


def refuse_settings(settings: Mapping[str, object]) -> None:
    """Refuse settings that have no effect on one sentence, and beams that would block the server.

    Raises:
        RequestError: there is such a setting.
    """
    allowed = TranslationConfig.model_fields.keys() - {"batch_size", "long_input", "max_input_length", "n_best"}
    if unknown := sorted(settings.keys() - allowed):
        raise RequestError(f"unknown setting settings.{unknown[0]}; allowed are {', '.join(sorted(allowed))}")
    beam = settings.get("beam_size", 1)
    if isinstance(beam, int) and beam > _LARGEST_BEAM:
        raise RequestError(f"settings.beam_size = {beam}; the limit on this page is {_LARGEST_BEAM}")


def _manifest(record: TraceRecord) -> dict[str, Any]:
    trace = record.trace
    tokens, provenance = trace.tokens, trace.provenance
    configuration = provenance.configuration
    report = record.report or check(trace)
    return {
        "id": record.id,
        "model": record.opened.id if record.opened else None,
        "source": trace.source,
        "text": trace.text,
        "score": trace.hypothesis.score if trace.hypothesis else None,
        "log_probability": trace.hypothesis.log_probability if trace.hypothesis else None,
        "beside": record.beside.id if record.beside else None,
        "is_searched": provenance.search is not None,
        "flags": trace.flags,
        "evidence": _evidence(trace),
        "level": str(trace.level),
        "tokens": asdict(tokens),
        "special": {
            "source": is_special(tokens.source_pieces, tokens.source_ids, trace),
            "target": is_special(tokens.predicted_pieces, tokens.predicted_ids, trace),
        },
        "predictions": _predictions(record),
        "config": configuration.model_dump(mode="json") if configuration else None,
        "provenance": short_provenance(provenance),
        "seconds": round(record.seconds, 4),
        **health_table(trace, record.opened),
        "check": {
            "passed": report.passed,
            "tested": len(report.identities),
            "skipped": len(report.skipped),
            "failures": [asdict(identity) for identity in report.failures[:_MOST_FAILURES]],
        },
        "sha256": record.sha256,
    }


def _evidence(trace: Trace) -> dict[str, str]:
    """Return the evidence of the flags of a trace, as far as source and translation show it."""
    translator, hypothesis = trace.translator, trace.hypothesis
    if translator is None or hypothesis is None:
        return {}
    tokenizer = translator.tokenizer
    found = diagnose(
        trace.source,
        trace.text,
        source_ids=trace.tokens.source_ids[:-1],
        target_ids=[i for i in trace.tokens.predicted_ids if i != tokenizer.specials.eos],
        unk_id=tokenizer.specials.unk,
        pieces_of=lambda text: len(tokenizer.encode_source([text])[0]),
        spelled=lambda ids: tokenizer.decode_target([ids])[0],
    )
    if doubt := doubtful(hypothesis.log_probability, len(hypothesis.ids)):
        found["low_confidence"] = doubt
    return {flag: found[flag] for flag in trace.flags if flag in found}


def _predictions(record: TraceRecord) -> dict[str, Any] | None:
    made = record.trace.predictions
    if made is None:
        return None
    top = made.top_ids[:, :_NUM_TOP]
    tokenizer = record.opened.translator.tokenizer if record.opened else None
    return {
        "top_ids": top,
        "top_pieces": [tokenizer.target_pieces(row) for row in top.tolist()] if tokenizer else None,
        "top_log_probabilities": made.top_log_probabilities[:, :_NUM_TOP],
        "target_log_probability": made.target_log_probability,
        "target_rank": made.target_rank,
        "entropy": made.entropy,
        "log_sum_exp": made.log_sum_exp,
    }


def _site(trace: Trace, site: str, query: Query) -> Array:
    refuse_unknown(query, "head", "row")
    if site not in trace:
        raise UnknownPathError(unknown_site(site, trace.sites))
    array = trace[site]
    head = whole_number(query, "head", below=len(array))
    if head is not None:
        if array.ndim != 3:
            raise RequestError(f"{site} has no heads, its shape is {list(array.shape)}; leave out head")
        array = array[head]
    axis = 1 if array.ndim == 3 else 0
    row = whole_number(query, "row", below=array.shape[axis])
    return array if row is None else array[:, row] if axis else array[row]


def _flow(trace: Trace, query: Query) -> Array:
    refuse_unknown(query, "head")
    heads = min((len(layer) for layers in weights_by_kind(trace).values() for layer in layers), default=0)
    return layer_weights(trace, whole_number(query, "head", below=heads))


def _shares(trace: Trace, place: str, query: Query) -> Array:
    refuse_unknown(query, "row")
    if AttentionKind.of(place) is None or f"{place}.context" not in trace:
        raise UnknownPathError(f"{place!r} is not an attention of this trace; name one like decoder.0.cross_attention")
    shares = head_shares(trace, place)
    row = whole_number(query, "row", below=shares.vectors.shape[1])
    if row is None:
        return shares.norms
    whole: Array = np.concatenate([shares.vectors[:, row], shares.bias[None]])
    return whole
