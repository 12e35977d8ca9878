"""What edits do: the translation before and after them, where it first differs, and every log-probability.

Four rows of numbers tell an effect. Each of the two translations has the log-probability of each of its pieces twice:
for the model as it is, and for the model with the edits of values. Edits of pieces and words change what is written or
read; then the first pair of rows differs only where the source does. Read ``head_effects.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from pellucid.errors import RequestError, counted
from pellucid.tracing.editing.plan import value_edits, written_with
from pellucid.tracing.editing.recorder import others_of
from pellucid.tracing.editing.sample import Sample
from pellucid.tracing.editing.text import Edit, edit_list
from pellucid.tracing.forced_pass import forced_pass
from pellucid.tracing.making import trace as make_trace
from pellucid.tracing.predictions import Array
from pellucid.tracing.record import Trace

__all__ = ["Effect", "Part", "edit_trace", "effect_of", "parts_of"]


@dataclass(frozen=True)
class Part:
    """A run of pieces: ``equal`` in both, ``replaced``, only ``removed`` or only ``added``; ends are not included."""

    kind: str
    before: tuple[int, int]
    after: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Effect:
    """The traces before and after edits, and what they change.

    The arrays have one log-probability for each step of one of the two translations.
    """

    before: Trace
    after: Trace
    divergence: int | None
    """The first step at which the translations differ; None if they are equal."""
    parts: tuple[Part, ...]
    """The difference of both translations in pieces."""
    old_before: Array
    """[steps before]: the old translation, without edits."""
    old_after: Array
    """[steps before]: the old translation, with the edits of values and words."""
    new_before: Array
    """[steps after]: the new translation, without edits."""
    new_after: Array
    """[steps after]: the new translation, with the edits."""

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The edits."""
        return self.after.provenance.edits

    @property
    def written(self) -> dict[Edit, tuple[str, ...]]:
        """The pieces of every forced text that is no piece of the vocabulary, which they write together."""
        translator = self.after.translator
        return written_with(self.edits, translator) if translator else {}

    @property
    def changes(self) -> Array:
        """[steps before]: the change of each log-probability of the old translation."""
        difference: Array = self.old_after - self.old_before
        return difference

    def __str__(self) -> str:
        old, new = self.before.text, self.after.text
        written = self.written
        lines = [f"edit    {edit}{_note(written.get(edit))}" for edit in self.edits]
        lines += [f"before  {old}", f"after   {new}"]
        if self.divergence is None:
            lines.append("the translation stays the same")
        else:
            pieces = [
                trace.tokens.predicted_pieces[self.divergence]
                if self.divergence < trace.tokens.target_length
                else "nothing"
                for trace in (self.before, self.after)
            ]
            lines.append(f"first difference at step {self.divergence}: {pieces[0]} → {pieces[1]}")
        lines.append(f"log-probability of the whole translation before: {self._change_of_the_old()}")
        if self.divergence is not None:
            lines.append(f"log-probability of the whole translation after: {_change(self.new_before, self.new_after)}")
        return "\n".join(lines)

    def _change_of_the_old(self) -> str:
        found, step = _change(self.old_before, self.old_after), int(abs(self.changes).argmax())
        if not self.changes[step]:
            return found
        return f"{found}; most at step {step} ({self.before.tokens.predicted_pieces[step]}): {self.changes[step]:+.4f}"


def _note(pieces: Sequence[str] | None) -> str:
    if pieces is None:
        return ""
    names = ", ".join(map(repr, pieces))
    return f" (no piece of the vocabulary; written with {counted(len(pieces), 'piece')}: {names})"


def _change(before: Array, after: Array) -> str:
    if (before == after).all():
        return f"{before.sum():.4f}, with and without the edits"
    return f"{before.sum():.4f} without the edits, {after.sum():.4f} with them"


def edit_trace(before: Trace, edits: Sequence[Edit | str], *, samples: Sequence[Sample] = ()) -> Effect:
    """Translate the sentence of a trace again with edits, and compare.

    Raises:
        RequestError: an edit does not fit, the trace has edits already, or it has no model.
    """
    if before.translator is None:
        raise RequestError("an edit requires the model; attach it with trace.attach(translator)")
    if before.provenance.edits:
        raise RequestError(
            "this trace has edits already; edit the trace without them, and give all edits as one list: "
            + "; ".join(map(str, before.provenance.edits))
        )
    search = before.provenance.search
    translator = before.translator
    if search is not None:
        translator = translator.with_settings(**search.model_dump(exclude_unset=True))
    chosen = edit_list(edits, samples=samples)
    given = None if search is not None else before.text
    if given is not None and len(value_edits(chosen)) < len(chosen):
        given = None  # the pieces or the source change, so the model has to write
    after = make_trace(translator, before.source, edits=chosen, level=before.level, target=given, before=before)
    return effect_of(before, after)


def effect_of(before: Trace, after: Trace, *, between_steps: Callable[[], None] = lambda: None) -> Effect:
    """Compare a trace with one that has edits.

    Raises:
        RequestError: a trace has no model.
    """
    model = after.model
    if model is None or before.predictions is None or after.predictions is None:
        raise RequestError("an effect requires the model and the predictions; attach it with trace.attach(translator)")
    old, new = before.tokens, after.tokens
    values = value_edits(after.provenance.edits)
    others = others_of(values, model, after.translator.tokenizer if after.translator else None)
    rows = {}
    for name, source_ids, target, edits in (("old", new.source_ids, old, values), ("new", old.source_ids, new, ())):
        between_steps()
        arrays = forced_pass(
            model,
            source_ids,
            target.fed_ids,
            edits=edits,
            others=others if edits else None,
            is_wanted=lambda site: site == "log_probabilities",
        )
        rows[name] = arrays["log_probabilities"][range(target.target_length), target.predicted_ids]
    pairs = zip(old.predicted_ids, new.predicted_ids, strict=False)
    divergence = next((step for step, (one, other) in enumerate(pairs) if one != other), None)
    if divergence is None and old.target_length != new.target_length:
        divergence = min(old.target_length, new.target_length)
    return Effect(
        before=before,
        after=after,
        divergence=divergence,
        parts=parts_of(old.predicted_ids, new.predicted_ids),
        old_before=before.predictions.target_log_probability,
        old_after=rows["old"],
        new_before=rows["new"],
        new_after=after.predictions.target_log_probability,
    )


_KINDS = {"equal": "equal", "replace": "replaced", "delete": "removed", "insert": "added"}


def parts_of(before: Sequence[Hashable], after: Sequence[Hashable]) -> tuple[Part, ...]:
    """Return the difference of two sequences of pieces or ids."""
    codes = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    return tuple(Part(_KINDS[tag], (a, b), (c, d)) for tag, a, b, c, d in codes)
