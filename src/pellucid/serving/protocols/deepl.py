"""The protocol of DeepL, version 2: text, languages, usage and glossaries, for clients with a setting for the server.

What cannot be done is refused, never ignored: ``formality`` and ``context``. Glossaries are in
``../glossaries/``. Read ``deepl_documents.py`` next.
"""

from __future__ import annotations

import csv
import io
import secrets
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pellucid.documents.markup.rules import Rules, rules_for_xml
from pellucid.errors import RequestError
from pellucid.serving.access.keys import Client
from pellucid.serving.documents.markup import HTML_IN_A_REQUEST, marked_text
from pellucid.serving.glossaries.stored import StoredGlossary
from pellucid.serving.models.detection import Detected, detected_for
from pellucid.serving.models.languages import name_of
from pellucid.serving.models.pool import ServedPair
from pellucid.serving.protocols.answering import as_json, caller_of, route
from pellucid.serving.protocols.libretranslate import (
    TextWish,
    by_language,
    markup_by_language,
    origins_of,
    refuse_failed,
    refuse_long,
)
from pellucid.serving.protocols.reading import Fields, boolean, text
from pellucid.serving.refusals import Reason, Refusal
from pellucid.serving.service import Service
from pellucid.translation.terms.glossary import Glossary, Term

__all__ = ["FORMALITIES", "as_message", "deepl_routes", "glossary_for"]

_LARGEST_BODY: Final = 128 << 10
_MOST_ENTRIES: Final = 500
_NO_LIMIT: Final = 1_000_000_000_000
FORMALITIES: Final = ("default", "prefer_more", "prefer_less")
"""What does not ask for another form than the model's."""
_REFUSED: Final = ("context", "glossary_ids", "style_id", "custom_instructions", "translation_memory_id")
_ANY_METHOD: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_SPLITTING: Final = {"0": False, "1": None, "nonewlines": None, "": None}


def deepl_routes(service: Service) -> list[Route]:
    """Return the routes of DeepL's version 2, but for documents."""
    every = [
        ("/v2/translate", _translate, ("POST",)),
        ("/v2/languages", _languages, ("GET", "POST")),
        ("/v2/usage", _usage, ("GET", "POST")),
        ("/v2/glossary-language-pairs", _glossary_pairs, ("GET",)),
        ("/v2/glossaries", _glossaries, ("GET", "POST")),
        ("/v2/glossaries/{id}", _glossary, ("GET", "DELETE")),
        ("/v2/glossaries/{id}/entries", _entries, ("GET",)),
        ("/v2/write/{rest:path}", _not_offered, _ANY_METHOD),
        ("/v3/{rest:path}", _not_offered, _ANY_METHOD),
    ]
    return [
        route(
            service,
            path,
            answer,
            methods=methods,
            dialect=as_message,
            largest_body=_LARGEST_BODY,
        )
        for path, answer, methods in every
    ]


def as_message(refusal: Refusal) -> Mapping[str, object]:
    """Return the body of an error as DeepL writes it."""
    if refusal.reason is Reason.LANGUAGE and refusal.subject:
        return {"message": f"Value for '{refusal.subject}_lang' not supported.", "detail": str(refusal)}
    return {"message": str(refusal)}


def glossary_for(service: Service, client: Client, id: str, pair: ServedPair) -> Glossary:
    """Return the glossary of a request, which has to be for its languages.

    Raises:
        Refusal: there is none of this id, or it is for other languages.
    """
    stored = service.glossaries.get(client.name, id)
    if (stored.source, stored.target) != (pair.source, pair.target):
        raise Refusal(Reason.INVALID, f"this glossary is for {stored.source} → {stored.target}")
    return stored.glossary


def _record(one: StoredGlossary) -> dict[str, object]:
    return {
        "glossary_id": one.id,
        "name": one.name,
        "ready": True,
        "source_lang": one.source,
        "target_lang": one.target,
        "creation_time": one.created.isoformat().replace("+00:00", "Z"),
        "entry_count": len(one.entries),
    }


async def _translate(service: Service, request: Request, fields: Fields) -> Response:
    caller = caller_of(service, request, fields)
    texts = _texts(service, fields)
    target = text(fields, "target_lang")
    _refuse_unsupported(fields)
    source = text(fields, "source_lang", "")
    splitting = str(fields.get("split_sentences", "1"))
    if splitting not in _SPLITTING:
        raise Refusal(Reason.INVALID, "Value for 'split_sentences' not supported.")
    glossary = Glossary(())
    if (id := text(fields, "glossary_id", "")) != "":
        if not source:
            raise Refusal(Reason.INVALID, "Use of a glossary requires the source_lang parameter to be specified.")
        glossary = glossary_for(service, caller.client, id, service.pool.find(source, target))
    wish = TextWish(target, splits_sentences=_SPLITTING[splitting], glossary=glossary)
    if (tags := text(fields, "tag_handling", "")) != "":
        is_strict = _version(fields) == "v2" and tags == "xml"
        marked = [marked_text(one, _rules(one, fields, tags), is_strict=is_strict) for one in texts]
        languages = _sources(service, [one.plain for one in marked], source, target)
        results = await markup_by_language(service, caller, marked, languages, wish)
        written, origins = [one.text for one in results], origins_of(results)
    else:
        languages = _sources(service, texts, source, target)
        found, _ = await by_language(service, caller, texts, languages, wish)
        refuse_failed(found)
        written, origins = [one.text for one in found], origins_of(found)
    return as_json(
        {
            "translations": [
                {
                    "detected_source_language": one.language.upper(),
                    "text": translation,
                    "billed_characters": len(given),
                    "model_type_used": "quality_optimized",
                }
                for one, given, translation in zip(languages, texts, written, strict=True)
            ]
        },
        headers=origins,
    )


def _rules(one: str, fields: Fields, tags: str) -> Rules:
    """Return what the tags of a text are."""
    borders, inline, opaque = (_names(fields, f"{name}_tags") for name in ("splitting", "non_splitting", "ignore"))
    if tags == "html":
        return replace(
            HTML_IN_A_REQUEST, borders=frozenset(borders), inline=frozenset(inline), opaque=frozenset(opaque)
        )
    if tags != "xml":
        raise Refusal(Reason.INVALID, "Value for 'tag_handling' not supported.")
    finds = boolean(fields, "outline_detection", default=True)
    return rules_for_xml(one, borders=borders, inline=inline, opaque=opaque, finds_structure=finds)


def _version(fields: Fields) -> str:
    version = text(fields, "tag_handling_version", "v1")
    if version not in ("v1", "v2"):
        raise Refusal(Reason.INVALID, "Value for 'tag_handling_version' not supported.")
    return version


def _names(fields: Fields, name: str) -> list[str]:
    given = fields.get(name) or []
    every = given if isinstance(given, list) else [given]
    names = [part.strip() for one in every if isinstance(one, str) for part in one.split(",")]
    return [one for one in names if one]


def _texts(service: Service, fields: Fields) -> list[str]:
    given = fields.get("text")
    every = given if isinstance(given, list) else [given]
    texts = [one for one in every if isinstance(one, str)]
    if not texts or len(texts) < len(every):
        raise Refusal(Reason.INVALID, "Parameter 'text' not specified.")
    refuse_long(service, texts)
    return texts


def _refuse_unsupported(fields: Fields) -> None:
    for name in _REFUSED:
        if fields.get(name):
            raise Refusal(Reason.NOT_OFFERED, f"'{name}' is not supported by this server; leave it out")
    if text(fields, "formality", "default") not in FORMALITIES:
        raise Refusal(Reason.NOT_OFFERED, "'formality' is not supported for given 'target_lang'.")
    boolean(fields, "show_billed_characters", default=True)


def _sources(service: Service, texts: list[str], source: str, target: str) -> list[Detected]:
    """Return the language of each text: the given one; else the only one for this target; else the detected one."""
    if source:
        pair = service.pool.translating(source, target)
        return [Detected(source if pair is None else pair.source, 100.0)] * len(texts)
    possible = service.pool.sources_of(target)
    if not possible:
        raise Refusal(Reason.LANGUAGE, f"{target[:40]} is not supported", subject="target")
    if len(possible) == 1:
        return [Detected(possible[0], 100.0)] * len(texts)
    return [detected_for(one, possible, target) for one in texts]


async def _languages(service: Service, request: Request, fields: Fields) -> Response:
    caller_of(service, request, fields)
    kind = text(fields, "type", "source")
    if kind not in ("source", "target"):
        raise Refusal(Reason.INVALID, "Value for 'type' not supported.")
    if kind == "source":
        return as_json([{"language": code.upper(), "name": name_of(code)} for code in service.pool.sources])
    targets = dict.fromkeys(target for _, target in service.pool.pairs)
    return as_json([{"language": code.upper(), "name": name_of(code), "supports_formality": False} for code in targets])


async def _usage(service: Service, request: Request, fields: Fields) -> Response:
    client = caller_of(service, request, fields).client
    return as_json({"character_count": client.used_characters, "character_limit": _NO_LIMIT})


async def _not_offered(service: Service, request: Request, fields: Fields) -> Response:
    caller_of(service, request, fields)
    remedy = "; glossaries of one language pair are in /v2/glossaries" if "glossar" in request.url.path else ""
    raise Refusal(Reason.NOT_OFFERED, f"{request.url.path[:60]} is not supported by this server{remedy}")


async def _glossary_pairs(service: Service, request: Request, fields: Fields) -> Response:
    caller_of(service, request, fields)
    pairs = [{"source_lang": source, "target_lang": target} for source, target in service.pool.pairs]
    return as_json({"supported_languages": pairs})


async def _glossaries(service: Service, request: Request, fields: Fields) -> Response:
    owner = caller_of(service, request, fields).client.name
    if request.method == "GET":
        return as_json({"glossaries": [_record(one) for one in service.glossaries.of(owner)]})
    pair = service.pool.find(text(fields, "source_lang"), text(fields, "target_lang"))
    entries = _entries_in(text(fields, "entries"), text(fields, "entries_format", "tsv"))
    try:
        glossary = Glossary([Term(source, target) for source, target in entries])
    except RequestError as error:
        raise Refusal(Reason.INVALID, f"Invalid glossary entries provided: {error}") from None
    id = secrets.token_hex(16)
    stored = StoredGlossary(id, owner, text(fields, "name"), pair.source, pair.target, glossary)
    await service.change_glossaries(partial(service.glossaries.add, stored))
    return as_json(_record(stored), 201)


def _entries_in(content: str, format: str) -> tuple[tuple[str, str], ...]:
    if format not in ("tsv", "csv"):
        raise Refusal(Reason.INVALID, "Value for 'entries_format' not supported.")
    rows = csv.reader(io.StringIO(content)) if format == "csv" else (line.split("\t") for line in content.splitlines())
    try:
        found = [tuple(part.strip() for part in row[:2]) for row in rows if any(part.strip() for part in row)]
    except csv.Error as error:
        raise Refusal(Reason.INVALID, f"Invalid glossary entries provided: {error}") from None
    if not 1 <= len(found) <= _MOST_ENTRIES or any(len(row) != 2 or not all(row) for row in found):
        raise Refusal(
            Reason.INVALID, f"Invalid glossary entries provided: give 1 to {_MOST_ENTRIES} rows of source and target"
        )
    return tuple((row[0], row[1]) for row in found)


async def _glossary(service: Service, request: Request, fields: Fields) -> Response:
    owner = caller_of(service, request, fields).client.name
    id = request.path_params["id"]
    if request.method == "DELETE":
        await service.change_glossaries(partial(service.glossaries.remove, owner, id))
        return Response(status_code=204)
    return as_json(_record(service.glossaries.get(owner, id)))


async def _entries(service: Service, request: Request, fields: Fields) -> Response:
    owner = caller_of(service, request, fields).client.name
    stored = service.glossaries.get(owner, request.path_params["id"])
    rows = "\n".join(f"{source}\t{target}" for source, target in stored.entries)
    return Response(rows, media_type="text/tab-separated-values; charset=utf-8")
