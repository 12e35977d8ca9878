"""Make a trace: search for a translation, then record one pass over it. Read ``analysis/equations.py`` next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pellucid.config import SentenceSplitting
from pellucid.errors import RequestError
from pellucid.model.transformer import ZERO_VECTOR_ID, Transformer
from pellucid.text.tokenizer import Tokenizer
from pellucid.tracing.edits import AblateHead, Edit, SetAttention, ZeroValue
from pellucid.tracing.forced_pass import forced_pass
from pellucid.tracing.predictions import predictions_of
from pellucid.tracing.provenance import provenance_of
from pellucid.tracing.record import Trace
from pellucid.tracing.searching.given import given_ids
from pellucid.tracing.sites import Level, is_kept, member
from pellucid.tracing.tokens import ZERO_VECTOR_PIECE, Tokens, make_tokens
from pellucid.translation.flags import diagnose, in_order
from pellucid.translation.hypothesis import Hypothesis, make_hypothesis
from pellucid.translation.observer import BeamTree, Expansion
from pellucid.translation.requests import Request, prepare
from pellucid.translation.translator import Translator

__all__ = ["request_of", "trace"]


def _nothing() -> None:
    pass


def trace(
    translator: Translator,
    text: str,
    *,
    edits: Sequence[Edit] = (),
    level: str = "full",
    target: str | None = None,
    target_ids: Sequence[int] | None = None,
    between_steps: Callable[[], None] = _nothing,
) -> Trace:
    """Record what a translator's model does with one sentence.

    Args:
        translator: has one Transformer; its settings apply to the search.
        text: one sentence, short enough to translate in one part.
        edits: changes to the recorded pass. The search is not edited: the target is what the model writes without
            edits, so that traces with and without them can be compared piece by piece.
        level: how much to keep: ``tokens``, ``attention`` or ``full``.
        target: a translation to trace instead of the translator's best one.
        target_ids: the same as ids, such as ``SearchTree.ids`` returns. Without the end of sentence at its end, it is
            the beginning of a translation.
        between_steps: called before and after the text is prepared, after each step of a beam search, and before the
            recorded pass; an exception from it ends the work, for example when the client has disconnected.

    Raises:
        RequestError: the text is blank, too long or cannot be tokenised; an edit does not fit the model; the
            translator is an ensemble or has no Transformer.
    """
    kept = member(Level, level, "level")
    translator = translator.on_torch()  # a trace shows what the model computes, whatever engine translates
    model = _only_model(translator)
    between_steps()
    is_searched = target is None and target_ids is None
    request = request_of(translator, text, limit=None if is_searched else model.config.max_positions - 1)
    source_ids = (*request.part_ids[0], translator.tokenizer.specials.eos)
    between_steps()
    if is_searched:
        hypothesis, search, flags = _searched(translator, text, between_steps)
    else:
        hypothesis, search, flags = _given(translator, request, target, target_ids)
    between_steps()
    edits = _fitting(edits, model, source=len(source_ids), target=len(hypothesis.ids))
    fed_ids = (model.start_id, *hypothesis.ids[:-1])
    arrays = forced_pass(
        model, source_ids, fed_ids, edits=edits, is_wanted=lambda site: is_kept(site, kept) or site in _LAST
    )
    return Trace(
        source=text,
        text=hypothesis.text,
        tokens=_tokens(translator.tokenizer, source_ids, fed_ids, hypothesis.ids),
        level=kept,
        arrays={site: array for site, array in arrays.items() if is_kept(site, kept)},
        predictions=predictions_of(arrays["logits"], arrays["log_probabilities"], hypothesis.ids),
        hypothesis=hypothesis,
        search=search,
        flags=flags,
        provenance=provenance_of(translator, edits=edits, is_searched=is_searched),
        model=model,
        translator=translator,
    )


_LAST = ("logits", "log_probabilities")


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
            f"the text has more than {limit} pieces and would be translated in {len(request.parts)} parts, but a trace "
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
    translator: Translator, text: str, between_steps: Callable[[], None]
) -> tuple[Hypothesis, tuple[Expansion, ...], tuple[str, ...]]:
    tree = _Steps(between_steps=between_steps)
    # A trace shows one sequence, so the model reads a text of several sentences as a whole.
    translation = translator.translate(text, observer=tree, split_sentences=SentenceSplitting.NEVER)
    if translation.error is not None:
        raise RequestError(translation.error)
    return translation.alternatives[0], tuple(tree.expansions.get(0, ())), translation.flags


def _given(
    translator: Translator, request: Request, target: str | None, target_ids: Sequence[int] | None
) -> tuple[Hypothesis, tuple[Expansion, ...], tuple[str, ...]]:
    if target is not None and target_ids is not None:
        raise RequestError("target and target_ids are given; give one of them")
    if target_ids is not None:
        source_ids = (*request.part_ids[0], translator.tokenizer.specials.eos)
        return given_ids(translator, source_ids, target_ids), (), ()
    if not isinstance(target, str):
        raise RequestError(f"target is of type {type(target).__name__}; give one str, or None")
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


def _fitting(edits: Sequence[Edit], model: Transformer, *, source: int, target: int) -> tuple[Edit, ...]:
    for number, edit in enumerate(edits):
        if not isinstance(edit, AblateHead | SetAttention | ZeroValue):
            raise RequestError(
                f"edits[{number}] is of type {type(edit).__name__}; give AblateHead, SetAttention or ZeroValue"
            )
        edit.refuse_misfit(model.config, source=source, target=target)
    return tuple(edits)


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
