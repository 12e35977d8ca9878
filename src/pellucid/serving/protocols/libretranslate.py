"""The protocol of LibreTranslate: its routes, fields, answers and sentences of errors, word for word.

Different on purpose: texts of a list are translated together, and ``auto`` detects the language of each;
``alternatives`` has a limit; errors of every kind are JSON; ``/health`` is true. Not offered yet: ``format=html`` and
files.
Read ``v1.py`` next.
"""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pellucid.serving.models.detection import Detected, can_detect, detect, detected_among, shown
from pellucid.serving.models.languages import name_of
from pellucid.serving.protocols.answering import as_json, caller_of, route
from pellucid.serving.protocols.reading import Fields, number, text
from pellucid.serving.refusals import Reason, Refusal
from pellucid.serving.service import Caller, Service
from pellucid.serving.wishes import TextTranslation, Wish
from pellucid.translation.terms.glossary import Glossary

__all__ = ["AUTO", "by_language", "libretranslate_routes", "refuse_failed", "refuse_long"]

AUTO: Final = "auto"
_UNKNOWN: Final = "en"
"""LibreTranslate's language of a text without letters."""


def libretranslate_routes(service: Service) -> list[Route]:
    """Return the routes of LibreTranslate."""
    return [
        route(service, "/translate", _translate),
        route(service, "/detect", _detect),
        route(service, "/languages", _languages, methods=("GET",)),
        route(service, "/frontend/settings", _settings, methods=("GET",)),
        route(service, "/suggest", _suggest),
        route(service, "/health", _health, methods=("GET",)),
    ]


async def _translate(service: Service, request: Request, fields: Fields) -> Response:
    caller = caller_of(service, request, fields)
    texts, is_list = _texts(service, request, fields)
    source, target = text(fields, "source"), text(fields, "target")
    format = text(fields, "format", "text")
    count = number(fields, "alternatives", default=0, most=service.limits.alternatives)
    if format != "text":
        raise Refusal(Reason.NOT_OFFERED, f"{format[:40]} format is not supported")
    found, languages = await by_language(service, caller, texts, source, target, settings=_search(count))
    refuse_failed(found)
    answer: dict[str, object] = {"translatedText": [one.text for one in found]}
    if source == AUTO:
        answer["detectedLanguage"] = [_shown(one) for one in languages]
    if count:
        answer["alternatives"] = [list(one.alternatives[:count]) for one in found]
    if not is_list:
        answer = {name: values[0] for name, values in answer.items() if isinstance(values, list)}
    return as_json(answer)


async def by_language(
    service: Service,
    caller: Caller,
    texts: list[str],
    source: str | list[Detected],
    target: str,
    *,
    settings: dict[str, object],
    splits_sentences: bool | None = None,
    glossary: Glossary | None = None,
) -> tuple[list[TextTranslation], list[Detected]]:
    """Translate texts, each from its own language where that is ``auto`` or a list; return the languages, too.

    Raises:
        Refusal: as ``Service.translate``.
    """
    if isinstance(source, list):
        languages = source
    elif source == AUTO:
        languages = [detected_among(one, service.pool.sources) for one in texts]
    else:
        languages = [Detected(source, 100.0)] * len(texts)
    found: dict[int, TextTranslation] = {}
    for language in dict.fromkeys(one.language for one in languages):
        places = [place for place, one in enumerate(languages) if one.language == language]
        wish = Wish(
            tuple(texts[place] for place in places),
            service.pool.find(language, target),
            settings=tuple(settings.items()),
            splits_sentences=splits_sentences,
            glossary=glossary or Glossary(()),
        )
        found |= dict(zip(places, await service.translate(wish, caller), strict=True))
    return [found[place] for place in range(len(texts))], languages


def refuse_failed(found: list[TextTranslation]) -> None:
    """Refuse an answer in which a sentence would stand untranslated: these protocols cannot say so."""
    for place, one in enumerate(found):
        if one.error is not None:
            raise Refusal(Reason.INVALID, f"text {place} cannot be translated: {one.error}")


def refuse_long(service: Service, texts: list[str]) -> None:
    """Refuse too many texts, or one that is too long, in the words of LibreTranslate."""
    limits = service.limits
    for size, limit in ((len(texts), limits.texts), *((len(one), limits.characters) for one in texts)):
        if size > limit:
            raise Refusal(Reason.INVALID, f"Invalid request: request ({size}) exceeds text limit ({limit})")


def _texts(service: Service, request: Request, fields: Fields) -> tuple[list[str], bool]:
    given = fields.get("q")
    is_json = "json" in request.headers.get("content-type", "").lower()
    if not given or (isinstance(given, list) and not is_json):
        raise Refusal(Reason.INVALID, "Invalid request: missing q parameter")
    every = given if isinstance(given, list) else [given]
    texts = [one for one in every if isinstance(one, str)]
    if len(texts) < len(every):
        raise Refusal(Reason.INVALID, "Invalid request: q parameter is not a text, nor a list of texts")
    if not is_json:
        texts = [one.replace("\r\n", "\n") for one in texts]
    refuse_long(service, texts)
    return texts, isinstance(given, list)


def _search(alternatives: int) -> dict[str, object]:
    return {"n_best": alternatives + 1, "beam_size": max(5, alternatives + 1)} if alternatives else {}


def _shown(one: Detected) -> dict[str, object]:
    if not one.confidence:
        return {"confidence": 0.0, "language": _UNKNOWN}
    return {"confidence": one.confidence, "language": one.language}


async def _detect(service: Service, request: Request, fields: Fields) -> Response:
    caller = caller_of(service, request, fields)
    given = text(fields, "q")
    refuse_long(service, [given])
    service.clients.charge(caller.client, len(given))
    found = shown(detect(given)) or [Detected(_UNKNOWN, 0.0)]
    return as_json([{"confidence": one.confidence, "language": one.language} for one in found])


async def _languages(service: Service, request: Request, fields: Fields) -> Response:
    pool = service.pool
    sources = [
        {"code": code, "name": name_of(code), "targets": sorted({code, *pool.targets_of(code)})}
        for code in pool.sources
    ]
    return as_json(sources)


async def _settings(service: Service, request: Request, fields: Fields) -> Response:
    source, target = next(iter(service.pool.pairs))
    return as_json(
        {
            "apiKeys": service.clients.need_keys,
            "charLimit": service.limits.characters,
            "filesTranslation": False,
            "frontendTimeout": 500,
            "keyRequired": service.clients.need_keys,
            "language": {
                "source": {"code": AUTO, "name": "Auto Detect"}
                if can_detect()
                else {"code": source, "name": name_of(source)},
                "target": {"code": target, "name": name_of(target)},
            },
            "suggestions": False,
            "supportedFilesFormat": [],
        }
    )


async def _suggest(service: Service, request: Request, fields: Fields) -> Response:
    raise Refusal(Reason.NOT_OFFERED, "Suggestions are disabled on this server.", status=403)


async def _health(service: Service, request: Request, fields: Fields) -> Response:
    problem = service.unreadiness
    return as_json({"status": "ok" if problem is None else problem}, 200 if problem is None else 503)
