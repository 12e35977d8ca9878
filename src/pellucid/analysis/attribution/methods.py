"""Ask a trace why it writes its pieces, with any of the methods. Read ``faithfulness.py`` next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
import torch

from pellucid.analysis.attribution.alti import Contributions, alti, alti_logit, contributions_of
from pellucid.analysis.attribution.gradients import MOST_POINTS, TOLERANCE, input_x_gradient, integrated_gradients
from pellucid.analysis.attribution.question import Parts, Quantity, Question
from pellucid.analysis.attribution.record import Attribution, Method
from pellucid.analysis.attribution.removals import occlusion, value_zeroing
from pellucid.errors import RequestError
from pellucid.text.vocabulary import WORD_BOUNDARY
from pellucid.tracing.editing.plan import value_edits
from pellucid.tracing.editing.recorder import others_of
from pellucid.tracing.record import Trace
from pellucid.tracing.sites import Level, member, refuse_outside
from pellucid.translation.translator import Translator

__all__ = ["attribute_trace", "contributions", "question_of"]

_METHODS: Final[dict[Method, Callable[[Question], Parts]]] = {
    Method.INPUT_X_GRADIENT: input_x_gradient,
    Method.OCCLUSION: occlusion,
    Method.VALUE_ZEROING: value_zeroing,
    Method.ALTI: alti,
    Method.ALTI_LOGIT: alti_logit,
}


def attribute_trace(
    trace: Trace,
    *,
    method: str = Method.ALTI_LOGIT,
    step: int | None = None,
    against: str | int | None = None,
    quantity: str = Quantity.LOGIT,
    points: int | None = None,
    tolerance: float = TOLERANCE,
    most_points: int = MOST_POINTS,
    between_passes: Callable[[], None] = lambda: None,
) -> Attribution:
    """Return how much each source piece and each earlier target piece has to do with the pieces of a trace.

    Args:
        trace: with its model; edits of the trace apply.
        method: see ``Method``.
        step: the step to explain, counted from 0; None explains every step.
        against: a word, a piece or the id of a piece: why the step writes its piece and not this one. Requires a step.
        quantity: ``logit`` or ``log_probability``; their differences, with ``against``, are equal.
        points: of the integral of ``integrated_gradients``; None takes as many as ``tolerance`` needs.
        tolerance: of its sums, as a share of what they must be; see ``gradients.py``.
        most_points: limit for the points that the tolerance may take.
        between_passes: called before each pass of the model; ends the work by an exception.

    Raises:
        RequestError: the trace has no model; or the method, step, piece or quantity does not exist or does not fit.
    """
    chosen = member(Method, method, "method")
    asked = question_of(trace, step=step, against=against, quantity=quantity)
    question = replace(asked, between_passes=between_passes)
    if points is not None and chosen is not Method.INTEGRATED_GRADIENTS:
        raise RequestError(f"points = {points} has an effect on method 'integrated_gradients' only; leave it out")
    if points is not None and not 1 <= points <= 100_000:
        raise RequestError(f"points = {points}; allowed are 1 to 100,000, and None for as many as the sums need")
    if not 1e-6 <= tolerance <= 1:
        raise RequestError(f"tolerance = {tolerance!r}; allowed are 0.000001 to 1")
    if chosen is Method.INTEGRATED_GRADIENTS:
        parts = integrated_gradients(question, points=points, tolerance=tolerance, most_points=most_points)
    else:
        parts = _METHODS[chosen](question)
    with torch.no_grad():
        score = question.ask(_Nobody(), batch=1)[0].double()
    pieces = trace.tokens.predicted_pieces
    sums = parts.expected_sums
    return Attribution(
        method=chosen,
        quantity=question.quantity,
        tokens=trace.tokens,
        steps=question.steps,
        pieces=tuple(pieces[step] for step in question.steps),
        against=None
        if question.against_id is None
        else _translator(trace).tokenizer.target_pieces([question.against_id])[0],
        source=parts.source.cpu().numpy(),
        target=np.pad(parts.target.cpu().numpy(), [(0, 0), (0, trace.tokens.target_length - len(question.fed_ids))]),
        score=score.cpu().numpy(),
        expected_sum=None if sums is None else sums.cpu().numpy(),
        points=parts.points,
    )


def contributions(trace: Trace) -> Contributions:
    """Return the matrices of ALTI+ for a trace, layer by layer.

    Raises:
        RequestError: the trace has no model, or an edit that ALTI+ cannot split.
    """
    whole = trace.arrays if trace.level is Level.FULL else None
    return contributions_of(question_of(trace), whole)


def question_of(
    trace: Trace, *, step: int | None = None, against: str | int | None = None, quantity: str = Quantity.LOGIT
) -> Question:
    """Return the question about a trace; the arguments are those of ``attribute_trace``.

    Raises:
        RequestError: see ``attribute_trace``.
    """
    if trace.model is None or not trace.tokens.source_ids:
        raise RequestError("an attribution runs the model again, and this trace has none; use trace.attach(translator)")
    if step is not None:
        refuse_outside("step", step, range(trace.tokens.target_length))
    if against is not None and step is None:
        raise RequestError(f"against = {against!r} compares two pieces of one step; give the step, counted from 0")
    steps = tuple(range(trace.tokens.target_length)) if step is None else (step,)
    piece_ids = tuple(trace.tokens.predicted_ids[one] for one in steps)
    against_id = None if against is None or step is None else _piece_id(trace, against, step)
    if against_id is not None and against_id == piece_ids[0]:
        raise RequestError(f"against = {against!r} is the piece that step {step} writes; give another one")
    edits = value_edits(trace.provenance.edits)
    others = others_of(edits, trace.model, trace.translator.tokenizer if trace.translator else None)
    return Question(
        model=trace.model,
        source_ids=trace.tokens.source_ids,
        fed_ids=trace.tokens.fed_ids[: _seen(trace, steps)],
        steps=steps,
        piece_ids=piece_ids,
        against_id=against_id,
        quantity=member(Quantity, quantity, "quantity"),
        edits=edits,
        others=others,
    )


def _seen(trace: Trace, steps: tuple[int, ...]) -> int:
    """Return how many fed positions decide the steps; edits can name any, so with edits all of them."""
    return trace.tokens.target_length if trace.provenance.edits else max(steps) + 1


def _piece_id(trace: Trace, word: str | int, step: int) -> int:
    """Return the piece that stands for a word at a step: with the space before it that the piece of the step has.

    If the vocabulary lacks it, the same without that space, or with one; then the first piece of the word.
    """
    tokenizer = _translator(trace).tokenizer
    if isinstance(word, int):
        refuse_outside("against", word, range(tokenizer.target_vocab_size))
        return word
    bare = word.strip().removeprefix(WORD_BOUNDARY)
    forms = [WORD_BOUNDARY + bare, bare]
    if not trace.tokens.predicted_pieces[step].startswith(WORD_BOUNDARY):
        forms.reverse()
    forms = [word] if word.startswith(WORD_BOUNDARY) else forms
    for form in forms:
        found = tokenizer.target_id(form)
        if found is not None:
            return found
    pieces = tokenizer.encode_target([bare])[0] if bare else []
    if not pieces or pieces[0] == tokenizer.specials.unk:
        raise RequestError(f"against = {word!r} has no piece in the vocabulary; give a word that the model can write")
    return pieces[0]


def _translator(trace: Trace) -> Translator:
    if trace.translator is None:
        raise RequestError("naming pieces requires the tokenizer; attach it with trace.attach(translator)")
    return trace.translator


class _Nobody:
    def visit(self, site: str, value: torch.Tensor) -> torch.Tensor:
        return value
