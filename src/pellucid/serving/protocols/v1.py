"""Our own protocol: everything that a translation says about itself. Read ``health.py`` next.

    POST /v1/translate   {text, source, target, ...}: translations with scores, flags, alternatives, sentences;
                         with {"stream": true} as server-sent events, each sentence when it is done
    POST /v1/complete    {text, source, target, prefix}: the words that may come next
    GET  /v1/languages   the language pairs

``/v1/openapi.json`` has every field.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import asdict
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pellucid.errors import RequestError
from pellucid.serving.models.detection import detected_among
from pellucid.serving.models.languages import name_of
from pellucid.serving.protocols.answering import as_json, caller_of, route, streamed
from pellucid.serving.protocols.libretranslate import AUTO, refuse_long
from pellucid.serving.protocols.reading import Fields, boolean, number, text
from pellucid.serving.refusals import Reason, Refusal
from pellucid.serving.service import Service
from pellucid.serving.wishes import SentenceDone, TextDone, TextTranslation, Wish
from pellucid.translation.document.results import DocumentSentence
from pellucid.translation.hypothesis import Alignment, Hypothesis, Translation
from pellucid.translation.terms.glossary import Glossary, Term

__all__ = ["v1_routes"]

_FIELDS: Final = frozenset({
    "text", "source", "target", "n_best", "beam_size", "split_sentences", "alignment", "tokens", "placeholders",
    "prefix", "glossary", "priority", "stream", "api_key",
})  # fmt: skip
_COMPLETED_FIELDS: Final = frozenset({"text", "source", "target", "prefix", "count", "api_key"})
_MOST_TERMS: Final = 500


def v1_routes(service: Service) -> list[Route]:
    """Return the routes of ``/v1``."""
    return [
        route(service, "/v1/translate", _translate),
        route(service, "/v1/complete", _complete),
        route(service, "/v1/languages", _languages, methods=("GET",)),
    ]


async def _translate(service: Service, request: Request, fields: Fields) -> Response:
    caller = caller_of(service, request, fields)
    wish = _wish(service, fields)
    has_tokens = boolean(fields, "tokens", default=False)
    if boolean(fields, "stream", default=False):
        return await streamed(service.stream(wish, caller), lambda event: _event(event, has_tokens=has_tokens))
    found = await service.translate(wish, caller)
    translations = [translation_record(one, has_tokens=has_tokens) for one in found]
    return as_json({**_model(wish), "translations": translations})


def _model(wish: Wish) -> dict[str, object]:
    pair = wish.pair
    return {"model": {"name": pair.name, "weights": pair.version}, "source": pair.source, "target": pair.target}


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
    wish = Wish(tuple(texts), pair, prefix=text(fields, "prefix", ""))
    words = await service.complete(wish, caller, count)
    return as_json({**_model(wish), "words": [asdict(word) for word in words]})


def _wish(service: Service, fields: Fields) -> Wish:
    _refuse_unknown(fields, _FIELDS)
    texts = texts_in(fields)
    refuse_long(service, texts)
    source = text(fields, "source")
    if source == AUTO:
        source = detected_among(" ".join(texts), service.pool.sources).language
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
        service.pool.find(source, text(fields, "target")),
        settings=tuple(settings.items()),
        splits_sentences=splits,
        prefix=prefix,
        glossary=glossary_in(fields),
        is_bulk=priority == "bulk",
    )


def _refuse_unknown(fields: Fields, known: Set[str]) -> None:
    if unknown := sorted(fields.keys() - known):
        raise Refusal(Reason.INVALID, f"{unknown[0][:40]!r} is unknown; a request has {', '.join(sorted(known))}")


def glossary_in(fields: Fields) -> Glossary:
    """Return the terms of a request: ``[{"source": ..., "target": [...], "avoid": [...]}]``."""
    given = fields.get("glossary", [])
    if not isinstance(given, list) or len(given) > _MOST_TERMS:
        raise Refusal(Reason.INVALID, f"glossary is a list of at most {_MOST_TERMS} terms")
    for term in given:
        if not isinstance(term, dict) or "source" not in term or term.keys() - {"source", "target", "avoid"}:
            raise Refusal(Reason.INVALID, "a term of the glossary has source, and target or avoid or both")
    try:
        return Glossary([Term(**term) for term in given])
    except (RequestError, TypeError) as error:
        raise Refusal(Reason.INVALID, f"glossary: {error}") from None


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
        "score": translation.score,
        "flags": list(translation.flags),
        "evidence": dict(translation.evidence),
        "error": translation.error,
        "alternatives": [_alternative(best, has_tokens=has_tokens) for best in translation.alternatives],
    }
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
