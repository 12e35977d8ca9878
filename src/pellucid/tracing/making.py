"""Make a trace: search for a translation, then record one pass over it. Read ``analysis/equations.py`` next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pellucid.config import SentenceSplitting
from pellucid.errors import RequestError, counted
from pellucid.model.transformer import ZERO_VECTOR_ID, Transformer
from pellucid.text.tokenizer import Tokenizer
from pellucid.tracing.editing.plan import Plan, plan_of
from pellucid.tracing.editing.sample import Sample
from pellucid.tracing.editing.search import EditedStepper
from pellucid.tracing.editing.text import Edit, edit_list
from pellucid.tracing.forced_pass import forced_pass
from pellucid.tracing.predictions import predictions_of
from pellucid.tracing.provenance import provenance_of, searched_with
from pellucid.tracing.record import Trace
from pellucid.tracing.searching.given import given_ids
from pellucid.tracing.sites import Level, is_kept, member
from pellucid.tracing.tokens import ZERO_VECTOR_PIECE, Tokens, make_tokens
from pellucid.translation.flags import diagnose, in_order
from pellucid.translation.hypothesis import Hypothesis, Translation, make_hypothesis
from pellucid.translation.observer import BeamObserver, BeamTree, Expansion
from pellucid.translation.requests import Request, prepare
from pellucid.translation.translator import Translator

__all__ = ["beginning_of", "planned", "request_of", "trace"]


def _nothing() -> None:
    pass


def trace(
    translator: Translator,
    text: str,
    *,
    edits: Sequence[Edit | str] = (),
    level: str = "full",
    target: str | None = None,
    target_ids: Sequence[int] | None = None,
    samples: Sequence[Sample] = (),
    before: Trace | None = None,
    between_steps: Callable[[], None] = _nothing,
) -> Trace:
    """Record what a translator's model does with one sentence.

    Args:
        translator: has one Transformer; its settings apply to the search.
        text: one sentence, short enough to translate in one part.
        edits: records or their texts, see ``editing/text.py``; with ``target``, what they do to that translation.
        level: how much to keep: ``tokens``, ``attention`` or ``full``.
        target: a translation to trace instead of the translator's best one.
        target_ids: the same as ids, see ``SearchTree.ids``; without the end of sentence, the beginning of one.
        samples: samples of sentences that texts of edits name as ``mean:...``.
        before: the trace without the edits, if it is known; its search is not run again where only pieces are forced.
        between_steps: called between all parts of the work; an exception from it ends the work.

    Raises:
        RequestError: the text is blank, too long or cannot be tokenised; an edit does not fit the model; the
            translator is an ensemble or has no Transformer.
    """
    kept = member(Level, level, "level")
    translator = translator.on_torch()  # a trace shows what the model computes, whatever engine translates
    model = _only_model(translator)
    edits = edit_list(edits, samples=samples)
    between_steps()
    is_searched = target is None and target_ids is None
    plan, request = planned(edits, translator, text, limit=None if is_searched else model.config.max_positions - 1)
    source_ids = (*request.part_ids[0], translator.tokenizer.specials.eos)
    plan.refuse_misfit(model.config, source=len(source_ids))
    between_steps()
    hypothesis, search, flags = (
        _searched(plan, before, between_steps) if is_searched else _given(plan, request, target, target_ids)
    )
    between_steps()
    plan.refuse_misfit(model.config, source=len(source_ids), target=len(hypothesis.ids))
    fed_ids = (model.start_id, *hypothesis.ids[:-1])
    arrays = forced_pass(model, source_ids, fed_ids, edits=plan.values, others=plan.others, is_wanted=_wanted(kept))
    return Trace(
        source=plan.source,
        text=hypothesis.text,
        tokens=_tokens(translator.tokenizer, source_ids, fed_ids, hypothesis.ids),
        level=kept,
        arrays={site: array for site, array in arrays.items() if is_kept(site, kept)},
        predictions=predictions_of(arrays["logits"], arrays["log_probabilities"], hypothesis.ids),
        hypothesis=hypothesis,
        search=search,
        flags=flags,
        provenance=provenance_of(translator, edits=edits, is_searched=is_searched, edited_from=plan.edited_from),
        model=model,
        translator=translator,
    )


def planned(edits: Sequence[Edit], translator: Translator, text: str, *, limit: int | None) -> tuple[Plan, Request]:
    """Return edits as a plan, and the sentence in ids with its words changed; ``limit`` as for ``request_of``."""
    plan = plan_of(edits, translator, lambda: request_of(translator, text, limit=limit), text)
    return plan, request_of(translator, plan.source, limit=limit)


_LAST = ("logits", "log_probabilities")


def _wanted(level: Level) -> Callable[[str], bool]:
    return lambda site: is_kept(site, level) or site in _LAST


def _only_model(translator: Translator) -> Transformer:
    if len(translator.models) > 1:
        raise RequestError(
            f"a trace shows one model, but this translator is an ensemble of {len(translator.models)}; make one "
            "Translator for each model"
        )
    return translator.model


def request_of(translator: Translator, text: str, *, limit: int | None) -> Request:
    """Return the text in ids, as one part of at most ``limit`` pieces; None is the translator's limit.

    Raises:
        RequestError: the text is blank, too long or cannot be tokenised.
    """
    if not isinstance(text, str):
        raise RequestError(f"text is of type {type(text).__name__}; give one str")
    longest = translator.model.config.max_positions - 1
    limit = min(translator.config.max_input_length, longest) if limit is None else limit
    (request,) = prepare(
        [text], tokenizer=translator.tokenizer, limit=limit, long_input="split", language=translator.source_language
    )
    if request.error is not None:
        raise RequestError(request.error)
    if request.unchanged:
        raise RequestError("the text has no letters and no digits, so it is copied without the model; give a sentence")
    if not request.parts:
        raise RequestError("the text is blank; give a sentence")
    if len(request.parts) > 1:
        more = ""
        if limit < longest:
            command = f"pellucid inspect MODEL TEXT --set max_input_length={longest} --output page.html"
            more = f"; '{command}' accepts up to {longest}"
        raise RequestError(
            f"the text has more than {limit} pieces and would be translated in "
            f"{counted(len(request.parts), 'part')}, but a trace "
            f"shows one; shorten it, or give its sentences one by one{more}"
        )
    return request


@dataclass
class _Steps(BeamTree):
    """The tree of the search, with a function that is called at every step."""

    between_steps: Callable[[], None] = _nothing

    def expanded(self, expansion: Expansion) -> None:
        self.between_steps()
        super().expanded(expansion)


def _searched(
    plan: Plan, before: Trace | None, between_steps: Callable[[], None]
) -> tuple[Hypothesis, tuple[Expansion, ...], tuple[str, ...]]:
    """Search with the edits of a plan, after every forced piece; ``before`` spares the first search."""
    tree = _Steps(between_steps=between_steps)
    beginning = beginning_of(plan, before=before, between_steps=between_steps)
    translation = _translated(plan, beginning, tree)
    return translation.alternatives[0], tuple(tree.expansions.get(0, ())), translation.flags


def beginning_of(
    plan: Plan, *, before: Trace | None = None, between_steps: Callable[[], None] = _nothing
) -> tuple[int, ...]:
    """Return the ids up to the last forced piece; the model writes those between forced pieces, one search for each."""
    beginning: tuple[int, ...] = ()
    forces = plan.forces
    if forces and (ids := _known_ids(plan, before)):
        beginning, forces = plan.beginning(forces[0], ids), forces[1:]
    for force in forces:
        translation = _translated(plan, beginning, _Steps(between_steps=between_steps))
        beginning = plan.beginning(force, translation.alternatives[0].ids)
    return beginning


def _translated(plan: Plan, beginning: Sequence[int], observer: BeamObserver) -> Translation:
    # A trace shows one sequence, so the model reads a text of several sentences as a whole.
    translator = plan.translator_of(beginning)
    translation = translator.translate(plan.source, observer=observer, split_sentences=SentenceSplitting.NEVER)
    if translation.error is not None:
        raise RequestError(translation.error)
    return translation


def _known_ids(plan: Plan, before: Trace | None) -> tuple[int, ...]:
    """Return what the search before the first forced piece finds, if a trace without edits has it; else nothing."""
    if before is None or before.hypothesis is None or plan.values or plan.bans or plan.edited_from is not None:
        return ()
    config = plan.translator.config
    is_same = before.model is plan.translator.model and before.source == plan.source and not before.provenance.edits
    return before.hypothesis.ids if is_same and before.provenance.search == searched_with(config) else ()


def _given(
    plan: Plan, request: Request, target: str | None, target_ids: Sequence[int] | None
) -> tuple[Hypothesis, tuple[Expansion, ...], tuple[str, ...]]:
    if target is not None and target_ids is not None:
        raise RequestError("target and target_ids are given; give one of them")
    if target_ids is not None:
        plan.refuse_choices()
        source_ids = (*request.part_ids[0], plan.translator.tokenizer.specials.eos)
        stepper = EditedStepper(plan.translator.model, plan.values, plan.others) if plan.values else None
        return given_ids(plan.translator, source_ids, target_ids, stepper=stepper), (), ()
    if not isinstance(target, str):
        raise RequestError(f"target is of type {type(target).__name__}; give one str, or None")
    plan.refuse_choices()
    translator = plan.translator_of(())
    source = request.parts[0].text
    (scored,) = translator.score([source], [target])
    config = translator.config
    hypothesis = make_hypothesis(
        scored.ids,
        scored.token_log_probabilities,
        is_finished=True,
        form=config.length_penalty,
        alpha=config.alpha,
    )
    flags = diagnose(
        source,
        target,
        source_ids=request.part_ids[0],
        target_ids=scored.ids[:-1],
        unk_id=translator.tokenizer.specials.unk,
        pieces_of=lambda text: len(translator.tokenizer.encode_source([text])[0]),
        spelled=lambda ids: translator.tokenizer.decode_target([ids])[0],
    )
    return replace(hypothesis, pieces=scored.pieces, text=target), (), in_order(flags)


def _tokens(
    tokenizer: Tokenizer, source_ids: Sequence[int], fed_ids: Sequence[int], predicted_ids: Sequence[int]
) -> Tokens:
    start, *fed = fed_ids
    first = [ZERO_VECTOR_PIECE] if start == ZERO_VECTOR_ID else tokenizer.target_pieces([start])
    special = {tokenizer.specials.pad, tokenizer.specials.bos, tokenizer.specials.eos}
    return make_tokens(
        tokenizer.source_pieces(source_ids),
        [*first, *tokenizer.target_pieces(fed)],
        tokenizer.target_pieces(predicted_ids),
        source_is_special=[index in special for index in source_ids],
        predicted_is_special=[index in special for index in predicted_ids],
        source_ids=source_ids,
        fed_ids=fed_ids,
        predicted_ids=predicted_ids,
    )
