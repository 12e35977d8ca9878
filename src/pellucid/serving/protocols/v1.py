"""Our own protocol: everything that a translation says about itself. Read ``health.py`` next.

    POST /v1/translate   {text, source, target, ...}: translations with scores, flags, alternatives, sentences;
                         with {"stream": true} as server-sent events, each sentence when it is done
    POST /v1/complete    {text, source, target, prefix}: the words that may come next
    POST /v1/corrections {text, correction, source, target}: into the journal that people review
    GET  /v1/languages   the language pairs
    GET  /v1/glossaries  the glossaries that requests can name

``/v1/openapi.json`` has every field.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence, Set
from dataclasses import asdict
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pellucid.serving.models.detection import detected_for
from pellucid.serving.models.languages import name_of
from pellucid.serving.models.pool import ServedPair
from pellucid.serving.protocols.answering import as_json, caller_of, route, streamed
from pellucid.serving.protocols.libretranslate import AUTO, correction_in, refuse_long
from pellucid.serving.protocols.reading import Fields, boolean, number, text
from pellucid.serving.protocols.terms import TERM_FIELDS, terms_in
from pellucid.serving.refusals import Reason, Refusal
from pellucid.serving.service import Service
from pellucid.serving.wishes import SentenceDone, TextDone, TextTranslation, Wish
from pellucid.translation.document.results import DocumentSentence
from pellucid.translation.hypothesis import Alignment, Hypothesis, Translation
from pellucid.translation.memory.recalling import MATCHES
from pellucid.translation.memory.units import TranslationMemory

__all__ = ["v1_routes"]

_FIELDS: Final = frozenset({
    "text", "source", "target", "n_best", "beam_size", "split_sentences", "alignment", "tokens", "placeholders",
    "prefix", "memory", "use_memory", "matches", "priority", "stream", "api_key",
}) | TERM_FIELDS  # fmt: skip
_COMPLETED_FIELDS: Final = frozenset({"text", "source", "target", "prefix", "count", "api_key"})
_CORRECTED_FIELDS: Final = frozenset({"text", "correction", "translation", "source", "target", "api_key"})
_MOST_UNITS: Final = 500
_MOST_MATCHES: Final = 20


def v1_routes(service: Service) -> list[Route]:
    """Return the routes of ``/v1``."""
    return [
        route(service, "/v1/translate", _translate),
        route(service, "/v1/complete", _complete),
        route(service, "/v1/corrections", _correct),
        route(service, "/v1/languages", _languages, methods=("GET",)),
        route(service, "/v1/glossaries", _glossaries, methods=("GET",)),
    ]


async def _translate(service: Service, request: Request, fields: Fields) -> Response:
    caller = caller_of(service, request, fields)
    _refuse_unknown(fields, _FIELDS)
    texts = texts_in(fields)
    refuse_long(service, texts)
    pair = _pair(service, fields, texts)
    has_tokens = boolean(fields, "tokens", default=False)
    is_stream = boolean(fields, "stream", default=False)
    if pair is None:
        return await _unchanged(fields, texts, is_stream=is_stream)
    wish = _wish(service, fields, texts, pair)
    if is_stream:
        return await streamed(service.stream(wish, caller), lambda event: _event(event, has_tokens=has_tokens))
    found = await service.translate(wish, caller)
    translations = [translation_record(one, has_tokens=has_tokens) for one in found]
    return as_json({**_model(wish, weights=found[0].weights), "translations": translations})


async def _unchanged(fields: Fields, texts: Sequence[str], *, is_stream: bool) -> Response:
    """Return texts that are in the target language already, as they are; no model saw them."""
    found = [TextTranslation(one, one) for one in texts]
    if is_stream:

        async def events() -> AsyncIterator[TextDone]:
            for number, one in enumerate(found):
                yield TextDone(number, one)

        return await streamed(events(), lambda event: _event(event, has_tokens=False))
    records = [translation_record(one, has_tokens=False) for one in found]
    target = text(fields, "target")
    return as_json({"model": None, "source": target, "target": target, "translations": records})


def _model(wish: Wish, *, weights: str = "") -> dict[str, object]:
    pair = wish.pair
    model = {"name": pair.name, "weights": weights or pair.version}
    return {"model": model, "source": pair.source, "target": pair.target}


def _event(event: SentenceDone | TextDone, *, has_tokens: bool) -> tuple[str, dict[str, object]]:
    if isinstance(event, TextDone):
        return "text", {"number": event.text, **translation_record(event.translation, has_tokens=has_tokens)}
    cut = event.cut
    place = {"number": event.text, "sentence": event.number, "source": cut.text, "source_span": [cut.start, cut.end]}
    return "sentence", place | _result(event.translation, has_tokens=has_tokens)


async def _complete(service: Service, request: Request, fields: Fields) -> Response:
    caller = caller_of(service, request, fields)
    _refuse_unknown(fields, _COMPLETED_FIELDS)
    texts = texts_in(fields)
    refuse_long(service, texts)
    if len(texts) > 1:
        raise Refusal(Reason.INVALID, "completion is for one text; send one")
    pair = service.pool.find(text(fields, "source"), text(fields, "target"))
    count = number(fields, "count", default=5, least=1, most=service.limits.alternatives)
    as_text = (("placeholders", "translate"),)  # the words are those of the model
    wish = Wish(tuple(texts), pair, as_text, prefix=text(fields, "prefix", ""))
    words = await service.complete(wish, caller, count)
    return as_json({**_model(wish), "words": [asdict(word) for word in words]})


async def _correct(service: Service, request: Request, fields: Fields) -> Response:
    caller = caller_of(service, request, fields)
    _refuse_unknown(fields, _CORRECTED_FIELDS)
    given, proposed, source, target = (text(fields, name) for name in ("text", "correction", "source", "target"))
    shown = text(fields, "translation", "")
    id = await service.correct(correction_in(service, given, proposed, source, target, shown=shown), caller.client)
    return as_json({"id": id, "state": "pending"}, 201)


def _pair(service: Service, fields: Fields, texts: Sequence[str]) -> ServedPair | None:
    """Return the model of a request; None where the texts are in the target language already."""
    source, target = text(fields, "source"), text(fields, "target")
    if source == AUTO:
        possible = service.pool.sources_of(target) or service.pool.sources
        source = detected_for(" ".join(texts), possible, target).language
    return service.pool.translating(source, target)


def _wish(service: Service, fields: Fields, texts: Sequence[str], pair: ServedPair) -> Wish:
    limits = service.limits
    settings: dict[str, object] = {}
    if "beam_size" in fields:
        settings["beam_size"] = number(fields, "beam_size", default=5, least=1, most=limits.beam_size)
    if "n_best" in fields:
        settings["n_best"] = number(fields, "n_best", default=1, least=1, most=limits.alternatives + 1)
        settings.setdefault("beam_size", max(5, int(str(settings["n_best"]))))
    if boolean(fields, "alignment", default=False):
        settings["alignment"] = True
    if (kept := text(fields, "placeholders", "")) in ("keep", "translate"):
        settings["placeholders"] = kept
    elif kept:
        raise Refusal(Reason.INVALID, "placeholders is 'keep' or 'translate'")
    prefix = text(fields, "prefix", "")
    if prefix and len(texts) > 1:
        raise Refusal(Reason.INVALID, "prefix is for one text; send one")
    if (priority := text(fields, "priority", "interactive")) not in ("interactive", "bulk"):
        raise Refusal(Reason.INVALID, "priority is 'interactive' or 'bulk'")
    splits = boolean(fields, "split_sentences", default=True) if "split_sentences" in fields else None
    return Wish(
        tuple(texts),
        pair,
        settings=tuple(settings.items()),
        splits_sentences=splits,
        prefix=prefix,
        glossary=terms_in(service, fields, pair),
        memories=memories_in(fields, pair),
        matches=number(fields, "matches", default=MATCHES, most=_MOST_MATCHES),
        is_bulk=priority == "bulk",
    )


def _refuse_unknown(fields: Fields, known: Set[str]) -> None:
    if unknown := sorted(fields.keys() - known):
        raise Refusal(Reason.INVALID, f"{unknown[0][:40]!r} is unknown; a request has {', '.join(sorted(known))}")


def memories_in(fields: Fields, pair: ServedPair) -> tuple[TranslationMemory, ...]:
    """Return the memory of a request (``[{"source": ..., "target": ...}]``), then the stored one if it is wanted."""
    given = fields.get("memory", [])
    if not isinstance(given, list) or len(given) > _MOST_UNITS or not all(map(_is_unit, given)):
        raise Refusal(Reason.INVALID, f"memory is a list of at most {_MOST_UNITS} units, each with source and target")
    own = (TranslationMemory([(unit["source"], unit["target"]) for unit in given]),) if given else ()
    is_used = boolean(fields, "use_memory", default=True) and pair.memory is not None
    return (*own, pair.memory) if is_used and pair.memory is not None else own


def _is_unit(unit: object) -> bool:
    return (
        isinstance(unit, dict)
        and unit.keys() == {"source", "target"}
        and all(isinstance(text, str) and text.strip() for text in unit.values())
    )


def texts_in(fields: Fields) -> list[str]:
    """Return the text or the texts of a request."""
    given = fields.get("text")
    texts = given if isinstance(given, list) else [given]
    if not texts or not all(isinstance(one, str) for one in texts):
        raise Refusal(Reason.INVALID, "text is missing, or neither a text nor a list of texts")
    return [str(one) for one in texts]


def translation_record(one: TextTranslation, *, has_tokens: bool) -> dict[str, object]:
    """Return the translation of a text for the answer."""
    return {
        "text": one.text,
        "alternatives": list(one.alternatives),
        "flags": list(one.flags),
        "error": one.error,
        "terms": one.terms.record(),
        "sentences": [_sentence(one.source, sentence, has_tokens=has_tokens) for sentence in one.sentences],
    }


def _sentence(source: str, one: DocumentSentence, *, has_tokens: bool) -> dict[str, object]:
    return {
        "source": source[one.source_start : one.source_end],
        "source_span": [one.source_start, one.source_end],
        "target_span": [one.target_start, one.target_end],
        **_result(one.translation, has_tokens=has_tokens),
    }


def _result(translation: Translation, *, has_tokens: bool) -> dict[str, object]:
    record: dict[str, object] = {
        "text": translation.text,
        "origin": translation.origin,
        "score": translation.score,
        "flags": list(translation.flags),
        "evidence": dict(translation.evidence),
        "error": translation.error,
        "alternatives": [_alternative(best, has_tokens=has_tokens) for best in translation.alternatives],
    }
    if translation.matches:
        record["matches"] = [asdict(match) for match in translation.matches]
    if translation.alignment is not None:
        record["alignment"] = _alignment(translation.alignment)
    return record


def _alternative(one: Hypothesis, *, has_tokens: bool) -> dict[str, object]:
    record: dict[str, object] = {"text": one.text, "score": one.score, "log_probability": one.log_probability}
    if has_tokens:
        record["tokens"] = [
            {"piece": piece, "log_probability": value}
            for piece, value in zip(one.pieces, one.token_log_probabilities, strict=True)
        ]
    return record


def _alignment(one: Alignment) -> dict[str, Sequence[object]]:
    return {
        "source_words": list(one.source_words),
        "target_words": list(one.target_words),
        "links": [list(link) for link in one.links],
    }


async def _languages(service: Service, request: Request, fields: Fields) -> Response:
    return as_json(
        [
            {
                "source": pair.source,
                "source_name": name_of(pair.source),
                "target": pair.target,
                "target_name": name_of(pair.target),
                "model": pair.name,
            }
            for pair in service.pool.pairs.values()
        ]
    )


async def _glossaries(service: Service, request: Request, fields: Fields) -> Response:
    caller_of(service, request, fields)
    return as_json(
        [
            {"name": one.name, "source": each.source, "target": each.target, "terms": len(each.terms.terms)}
            for one in service.glossaries.served
            for each in one.dictionaries
        ]
    )
