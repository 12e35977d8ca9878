"""Search as the translator does, and make a tree of every step. ``figures/search_tree.py`` draws it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from pellucid.config import SentenceSplitting, TranslationConfig
from pellucid.errors import RequestError
from pellucid.tracing.editing.plan import Plan
from pellucid.tracing.editing.text import Edit, edit_list
from pellucid.tracing.making import beginning_of, planned
from pellucid.tracing.provenance import Provenance, provenance_of
from pellucid.tracing.record import Trace
from pellucid.tracing.searching.beam import Grown, beam_nodes, ranked
from pellucid.tracing.searching.record import Method, SearchTree
from pellucid.tracing.searching.recorder import Recorder
from pellucid.tracing.searching.reference import look_for
from pellucid.tracing.searching.walks import walk_nodes
from pellucid.translation.constraints import max_length_of
from pellucid.translation.hypothesis import Hypothesis, ScoredPair
from pellucid.translation.observer import Expansion
from pellucid.translation.translator import Translator

__all__ = ["has_tree", "search_tree", "tree_for", "tree_of_trace"]

_TERMS: Final = "a tree shows a search without terms; leave them out"


def _nothing() -> None:
    pass


def search_tree(
    translator: Translator,
    text: str,
    *,
    edits: Sequence[Edit | str] = (),
    reference: str | None = None,
    settings: Mapping[str, object] | None = None,
    between_steps: Callable[[], None] = _nothing,
) -> SearchTree:
    """Search for the translation of one sentence, and return every step of it.

    The search is the translator's, on the torch engine, and its result is that of ``translate``, bit for bit.

    Args:
        translator: has one Transformer.
        text: one sentence, short enough to translate in one part.
        edits: as for ``tracing.trace``; a row that the translation does not reach stays as it is.
        reference: a translation to look for in the tree: did the search lose it, or does the model not want it?
        settings: of ``TranslationConfig``, for this search.
        between_steps: called at every step; an exception from it ends the work.

    Raises:
        ConfigError: a setting is unknown or wrong.
        RequestError: the text or the reference cannot be used, or the search is one that the tree does not show: with
            terms, in groups, over several models, or with a reference that is drawn for or that edits exclude.
    """
    translator = translator.on_torch().with_settings(**({"n_best": 1} | dict(settings or {})))
    _refuse_others(translator, reference)
    between_steps()
    edits = edit_list(edits)
    plan, request = planned(edits, translator, text, limit=None)
    source_ids = (*request.part_ids[0], translator.tokenizer.specials.eos)
    plan.refuse_misfit(translator.model.config, source=len(source_ids))
    _refuse_reference(plan, reference)
    recorder = Recorder(between_steps)
    searcher = plan.translator_of(beginning_of(plan, between_steps=between_steps))
    translation = searcher.translate(plan.source, observer=recorder, split_sentences=SentenceSplitting.NEVER)
    if translation.error is not None:
        raise RequestError(translation.error)
    between_steps()
    grown = _grown(translator, source_ids, recorder)
    return _tree(
        translator,
        plan.source,
        grown,
        translation.alternatives[0],
        _scored(plan, request.parts[0].text, reference),
        provenance=provenance_of(translator, edits=edits, is_searched=True, edited_from=plan.edited_from),
    )


def tree_of_trace(trace: Trace) -> SearchTree | None:
    """Return the tree of the search that a trace has recorded; None if it recorded none.

    A trace records the search of a beam, so the tree of greedy search shows two candidates of each step.

    Raises:
        RequestError: the trace has no model attached, or its search has terms.
    """
    config, translator = trace.provenance.search, trace.translator
    if config is None or trace.hypothesis is None or not trace.search or config.n_best > 1:
        return None
    if translator is None:
        raise RequestError("the tree of a search requires the vocabulary; attach it with trace.attach(translator)")
    if translator.glossary.terms:
        raise RequestError(_TERMS)
    grown = _of_beam(translator, trace.tokens.source_ids, trace.search, config)
    return _tree(translator, trace.source, grown, trace.hypothesis, None, provenance=trace.provenance)


def has_tree(trace: Trace) -> bool:
    """Return whether ``tree_for`` returns a tree without settings: for a given translation, that of a new search."""
    config, translator = trace.provenance.search, trace.translator
    if translator is None or translator.glossary.terms:
        return False
    if config is None:
        try:
            _refuse_others(translator, None)
        except RequestError:
            return False
        return True
    return bool(trace.search) and config.n_best == 1


def tree_for(
    trace: Trace,
    *,
    reference: str | None = None,
    settings: Mapping[str, object] | None = None,
    between_steps: Callable[[], None] = _nothing,
) -> SearchTree:
    """Return the tree for the sentence of a trace: the recorded one if nothing else is asked, else a new one.

    Greedy search is always done again, because a trace records two candidates of each of its steps.

    Raises:
        ConfigError: a setting is wrong.
        RequestError: as ``search_tree``.
    """
    config, translator = trace.provenance.search, trace.translator
    is_recorded = not settings and reference is None and config is not None and config.beam_size > 1
    if is_recorded and (tree := tree_of_trace(trace)):
        return tree
    if translator is None:
        raise RequestError("a search requires the model of the trace; attach it with trace.attach(translator)")
    return search_tree(
        translator,
        trace.source if trace.provenance.edited_from is None else trace.provenance.edited_from,
        edits=trace.provenance.edits,
        reference=reference,
        settings=settings,
        between_steps=between_steps,
    )


def _refuse_reference(plan: Plan, reference: str | None) -> None:
    """Refuse to look for a translation where pieces are forced or banned: the edits alone would exclude most."""
    chosen = (*plan.forces, *plan.bans)
    if reference is not None and chosen:
        raise RequestError(f"{chosen[0]}: a search with it is not asked for a reference; leave out the edit or it")


def _scored(plan: Plan, source: str, reference: str | None) -> tuple[str, ScoredPair] | None:
    if reference is None:
        return None
    (scored,) = plan.translator_of(()).score([source], [reference])
    return reference, scored


def _refuse_others(translator: Translator, reference: str | None) -> None:
    config = translator.config
    if config.n_best > 1:
        raise RequestError(
            f"n_best = {config.n_best}; leave it out: a tree ranks every hypothesis that the search came to, and to "
            "draw again, give another seed"
        )
    if len(translator.models) != 1:
        raise RequestError(
            f"a tree shows the search of one Transformer, but this translator has {len(translator.models)}"
        )
    if translator.glossary.terms:
        raise RequestError(_TERMS)
    if config.num_beam_groups > 1:
        raise RequestError("a tree shows one beam; leave num_beam_groups out")
    if reference is not None and config.sampling:
        raise RequestError("a draw searches for nothing, so it cannot miss a reference; leave sampling or it out")
    if reference is not None and not isinstance(reference, str):
        raise RequestError(f"reference is of type {type(reference).__name__}; give one str, or None")


def _grown(translator: Translator, source_ids: Sequence[int], recorder: Recorder) -> Grown:
    if recorder.expansions:
        return _of_beam(translator, source_ids, recorder.expansions, translator.config)
    return walk_nodes(
        recorder.choices,
        config=translator.config,
        max_length=_max_length(translator, source_ids, translator.config),
        eos_id=translator.tokenizer.specials.eos,
        pieces=translator.tokenizer.target_pieces,
    )


def _of_beam(
    translator: Translator, source_ids: Sequence[int], expansions: Sequence[Expansion], config: TranslationConfig
) -> Grown:
    return beam_nodes(
        expansions,
        config=config,
        max_length=_max_length(translator, source_ids, config),
        vocab_size=translator.tokenizer.target_vocab_size,
        eos_id=translator.tokenizer.specials.eos,
        pieces=translator.tokenizer.target_pieces,
    )


def _max_length(translator: Translator, source_ids: Sequence[int], config: TranslationConfig) -> int:
    return max_length_of(len(source_ids), config=config, stepper_max_length=translator.max_length)


def _tree(
    translator: Translator,
    text: str,
    grown: Grown,
    best: Hypothesis,
    reference: tuple[str, ScoredPair] | None,
    *,
    provenance: Provenance,
) -> SearchTree:
    config = provenance.search or translator.config
    hypotheses, _ = ranked(grown.nodes, config, translator.key_of)
    found = None
    if reference is not None:
        wanted, scored = reference
        found = look_for(
            wanted,
            scored,
            nodes=grown.nodes,
            hypotheses=hypotheses,
            found_score=best.score,
            found_text=translator.key_of(best.ids),
            config=config,
            spelled=translator.key_of(scored.ids),
        )
    return SearchTree(
        source=text,
        method=Method.SAMPLING if config.sampling else Method.BEAM if config.beam_size > 1 else Method.GREEDY,
        best=best,
        nodes=grown.nodes,
        steps=grown.steps,
        ending=grown.ending,
        hypotheses=hypotheses,
        provenance=provenance,
        reference=found,
    )
