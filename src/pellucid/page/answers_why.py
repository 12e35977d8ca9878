"""Answers about why a piece was written: further paths below ``api/traces/{id}``.

    why?method=&step=&against=   how much each piece has to do with what a step writes; without ``step``, of every step.
                                 ``against`` is a word, ``against_id`` the id of a piece; ``points`` is that of
                                 ``pellucid.attribute``
    lens?step=                   what each state of the decoder would write at a step, see ``analysis/lens.py``
    align?unit=                  links between words by every head, see ``analysis/alignment.py``

The work of an attribution is limited here, so that every way to these answers has the limit; ``between_passes`` ends it
when nobody waits for it any more. Read ``serving/app.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pellucid.analysis.alignment import Unit, links_of_trace
from pellucid.analysis.attribution.gradients import FEWEST_POINTS, MOST_POINTS
from pellucid.analysis.attribution.methods import attribute_trace
from pellucid.analysis.attribution.record import Method
from pellucid.analysis.lens import logit_lens
from pellucid.errors import RequestError, counted
from pellucid.page.answers import Answer, Query, json_answer, refuse_unknown, whole_number
from pellucid.tracing.record import Trace
from pellucid.tracing.sites import member

__all__ = ["MOST_POSITIONS", "alignment_answer", "lens_answer", "why_answer"]

MOST_POSITIONS: Final = 200_000
"""Positions that the passes of one attribution compute together; one of a gradient counts as three."""
_TOP: Final = 5
_LONGEST_WORD: Final = 100


def why_answer(trace: Trace, query: Query, *, between_passes: Callable[[], None] = lambda: None) -> Answer:
    """Answer ``why``.

    Raises:
        RequestError: a parameter is wrong, the trace has no model, or the work is over the limit.
    """
    refuse_unknown(query, "method", "step", "against", "against_id", "points")
    method = member(Method, query.get("method", Method.ALTI_LOGIT), "method")
    step = whole_number(query, "step", below=trace.tokens.target_length)
    points = whole_number(query, "points", below=MOST_POINTS + 1, least=1)
    most_points = _refuse_costly(trace, method, step=step, points=points)
    made = attribute_trace(
        trace,
        method=method,
        step=step,
        against=_against(trace, query),
        points=points,
        most_points=most_points,
        between_passes=between_passes,
    )
    table: Mapping[str, object] = {
        "method": made.method,
        "steps": made.steps,
        "pieces": made.pieces,
        "against": made.against,
        "source": made.source,
        "target": made.target,
        "score": made.score,
        "sum": made.sum,
        "expected_sum": made.expected_sum,
        "points": made.points,
    }
    return json_answer(table)


def _against(trace: Trace, query: Query) -> str | int | None:
    word = query.get("against") or None
    if word is not None and "against_id" in query:
        raise RequestError("against and against_id both name the other piece; give one of them")
    if word is not None and len(word) > _LONGEST_WORD:
        raise RequestError(f"against has {counted(len(word), 'character')}; the limit on this page is {_LONGEST_WORD}")
    size = trace.model.config.target_vocab_size if trace.model else 1
    return word or whole_number(query, "against_id", below=size)


def _refuse_costly(trace: Trace, method: Method, *, step: int | None, points: int | None) -> int:
    """Return how many points integrated gradients may take.

    Raises:
        RequestError: the passes of the method compute more positions than the limit.
    """
    tokens = trace.tokens
    steps, fed = (tokens.target_length, tokens.target_length) if step is None else (1, step + 1)
    positions = tokens.source_length + fed
    rows = {
        Method.INPUT_X_GRADIENT: 3 * steps,
        Method.INTEGRATED_GRADIENTS: 3 * steps * (points or FEWEST_POINTS),
        Method.OCCLUSION: positions + 1,
        Method.VALUE_ZEROING: positions + 1,
    }.get(method, 1)
    if rows * positions > MOST_POSITIONS:
        raise RequestError(
            f"method {method.value!r} for {counted(steps, 'step')} over "
            f"{counted(tokens.source_length, 'source piece')} and {fed} "
            f"of the translation computes {counted(rows * positions, 'position')}; the limit on this page is "
            f"{MOST_POSITIONS:,}; take method 'alti_logit', one step or fewer points, or a shorter sentence"
        )
    return min(MOST_POINTS, MOST_POSITIONS // (3 * steps * positions))


def lens_answer(trace: Trace, query: Query) -> Answer:
    """Answer ``lens``.

    Raises:
        RequestError: the step does not exist or is not given, or the trace has no model.
    """
    refuse_unknown(query, "step")
    step = whole_number(query, "step", below=trace.tokens.target_length)
    if step is None:
        raise RequestError("the lens reads one step; give step, counted from 0")
    size = trace.model.config.target_vocab_size if trace.model else _TOP
    lens = logit_lens(trace, top=min(_TOP, size), step=step)
    ids = lens.top_ids[:, 0]
    tokenizer = trace.translator.tokenizer if trace.translator else None
    return json_answer(
        {
            "sites": lens.sites,
            "top_ids": ids,
            "top_pieces": [tokenizer.target_pieces(row) for row in ids.tolist()] if tokenizer else None,
            "top_log_probabilities": lens.top_log_probabilities[:, 0],
            "log_probability": lens.target_log_probability[:, 0],
            "rank": lens.target_rank[:, 0],
            "entropy": lens.entropy[:, 0],
        }
    )


def alignment_answer(trace: Trace, query: Query) -> Answer:
    """Answer ``align``.

    Raises:
        RequestError: there is no such unit, or the trace has no cross-attention.
    """
    refuse_unknown(query, "unit")
    found = links_of_trace(trace, unit=query.get("unit", Unit.SPACES))
    table: dict[str, Any] = {
        "source_words": found.source_words,
        "target_words": found.target_words,
        "source_spans": found.source_spans,
        "target_spans": found.target_spans,
        "heads": found.heads,
        "means": found.means,
        "named": None
        if found.named is None or found.by_named is None
        else {"heads": found.named.heads, "step": found.named.step, "links": found.by_named},
        "alti": found.contributions,
    }
    return json_answer(table)
