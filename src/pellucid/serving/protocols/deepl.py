"""The protocol of DeepL for texts, languages and usage, for clients with a setting for the server.

What each option does is in ``deepl_options.py``, glossaries are in ``deepl_glossaries.py``.
Read the first of them next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pellucid.serving.models.detection import Detected, detected_for, refuse_foreign
from pellucid.serving.models.languages import name_of, resolved
from pellucid.serving.protocols.answering import as_json, caller_of, route
from pellucid.serving.protocols.deepl_glossaries import deepl_glossary_routes, glossary_for
from pellucid.serving.protocols.deepl_options import Options, text_options
from pellucid.serving.protocols.libretranslate import (
    TextWish,
    by_language,
    markup_by_language,
    origins_of,
    refuse_failed,
    refuse_long,
)
from pellucid.serving.protocols.reading import Fields, text
from pellucid.serving.refusals import Reason, Refusal
from pellucid.serving.service import Service
from pellucid.translation.terms.glossary import Glossary

__all__ = ["as_message", "deepl_routes", "served_target"]

_LARGEST_BODY: Final = 128 << 10
_NO_LIMIT: Final = 1_000_000_000_000
_ANY_METHOD: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_VARIANTS: Final = {"en": ("en-gb", "en-us"), "pt": ("pt-br", "pt-pt")}
"""DeepL's clients refuse these targets without a region before they ask."""


def deepl_routes(service: Service) -> list[Route]:
    """Return the routes of DeepL, but for documents."""
    every = [
        ("/v2/translate", _translate, ("POST",)),
        ("/v2/languages", _languages, ("GET", "POST")),
        ("/v2/usage", _usage, ("GET", "POST")),
        ("/v2/write/{rest:path}", _not_offered, _ANY_METHOD),
        ("/v3/{rest:path}", _not_offered, _ANY_METHOD),
    ]
    shared = deepl_glossary_routes(service, as_message)  # before the rest of version 3, which is refused
    return shared + [
        route(service, path, answer, methods=methods, dialect=as_message, largest_body=_LARGEST_BODY)
        for path, answer, methods in every
    ]


def as_message(refusal: Refusal) -> Mapping[str, object]:
    """Return the body of an error as DeepL writes it."""
    if refusal.reason is Reason.LANGUAGE and refusal.subject:
        return {"message": f"Value for '{refusal.subject}_lang' not supported.", "detail": str(refusal)}
    return {"message": str(refusal)}


def served_target(service: Service, target: str) -> str:
    """Return the code under which a model writes the language that a client names.

    Raises:
        Refusal: none does.
    """
    found = resolved(target, dict.fromkeys(code for _, code in service.pool.pairs))
    if found is None:
        raise Refusal(Reason.LANGUAGE, f"{target[:40]} is not supported", subject="target")
    return found


async def _translate(service: Service, request: Request, fields: Fields) -> Response:
    caller = caller_of(service, request, fields)
    texts = _texts(service, fields)
    options = text_options(fields)
    served = served_target(service, options.target)
    glossary = Glossary(())
    if options.glossaries:
        pair = service.pool.find(options.source, options.target)
        glossary = glossary_for(service, caller.client, options.glossaries, pair)
    wish = TextWish(options.target, options.settings, options.splits_sentences, glossary)
    if options.tags is not None:
        marked = [options.tags.marked(one) for one in texts]
        languages = _sources(service, [one.plain for one in marked], options.source, options.target)
        results = await markup_by_language(service, caller, marked, languages, wish)
        written, origins = [one.text for one in results], origins_of(results)
    else:
        given = [options.one_line(one) for one in texts]
        languages = _sources(service, given, options.source, options.target)
        found, _ = await by_language(service, caller, given, languages, wish)
        refuse_failed(found)
        written, origins = [one.text for one in found], origins_of(found)
    translations = [
        _translation(one.language, given, translation, options)
        for one, given, translation in zip(languages, texts, written, strict=True)
    ]
    return as_json({"translations": translations}, headers=origins | options.headers(texts, written, served))


def _translation(language: str, given: str, written: str, options: Options) -> dict[str, object]:
    found: dict[str, object] = {"detected_source_language": language.upper(), "text": written}
    if options.shows_billed:
        found["billed_characters"] = len(given)
    if options.model_type:
        found["model_type_used"] = options.model_type.removeprefix("prefer_")
    return found


def _texts(service: Service, fields: Fields) -> list[str]:
    given = fields.get("text")
    every = given if isinstance(given, list) else [given]
    texts = [one for one in every if isinstance(one, str)]
    if not texts or len(texts) < len(every):
        raise Refusal(Reason.INVALID, "Parameter 'text' not specified.")
    refuse_long(service, texts)
    return texts


def _sources(service: Service, texts: list[str], source: str, target: str) -> list[Detected]:
    """Return the language of each text: the given one; else the only one for this target; else the detected one."""
    if source:
        pair = service.pool.translating(source, target)
        return [Detected(source if pair is None else pair.source, 100.0)] * len(texts)
    possible = service.pool.sources_of(target)
    if not possible:
        raise Refusal(Reason.LANGUAGE, f"{target[:40]} is not supported", subject="target")
    if len(possible) == 1:
        for one in texts:
            refuse_foreign(one, possible, target)
        return [Detected(possible[0], 100.0)] * len(texts)
    return [detected_for(one, possible, target) for one in texts]


async def _languages(service: Service, request: Request, fields: Fields) -> Response:
    caller_of(service, request, fields)
    kind = text(fields, "type", "source")
    if kind not in ("source", "target"):
        raise Refusal(Reason.INVALID, "Value for 'type' not supported.")
    if kind == "source":
        return as_json([{"language": code.upper(), "name": name_of(code)} for code in service.pool.sources])
    served = dict.fromkeys(target for _, target in service.pool.pairs)
    targets = dict.fromkeys(code for target in served for code in _VARIANTS.get(target, (target,)))
    return as_json([{"language": code.upper(), "name": name_of(code), "supports_formality": False} for code in targets])


async def _usage(service: Service, request: Request, fields: Fields) -> Response:
    client = caller_of(service, request, fields).client
    return as_json({"character_count": client.used_characters, "character_limit": _NO_LIMIT})


async def _not_offered(service: Service, request: Request, fields: Fields) -> Response:
    caller_of(service, request, fields)
    raise Refusal(Reason.NOT_OFFERED, f"{request.url.path[:60]} is not supported by this server")
