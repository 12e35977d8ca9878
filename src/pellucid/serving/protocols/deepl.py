"""The protocol of DeepL, version 2: text, languages, usage and glossaries, for clients with a setting for the server.

What cannot be done is refused, never ignored: ``tag_handling``, ``formality`` and ``context``. Glossaries are in memory
until the server ends. Read ``opus_mt.py`` next.
"""

from __future__ import annotations

import csv
import io
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pellucid.errors import RequestError
from pellucid.serving.models.detection import Detected, detected_among
from pellucid.serving.models.languages import name_of, resolved
from pellucid.serving.protocols.answering import as_json, caller_of, route
from pellucid.serving.protocols.libretranslate import by_language, refuse_failed, refuse_long
from pellucid.serving.protocols.reading import Fields, boolean, text
from pellucid.serving.refusals import Reason, Refusal
from pellucid.serving.service import Service
from pellucid.translation.terms.glossary import Glossary, Term

__all__ = ["deepl_routes"]

_LARGEST_BODY: Final = 128 << 10
_MOST_GLOSSARIES: Final = 100
_MOST_ENTRIES: Final = 500
_NO_LIMIT: Final = 1_000_000_000_000
_FORMALITIES: Final = ("default", "prefer_more", "prefer_less")
_REFUSED: Final = ("tag_handling", "context", "style_id", "custom_instructions", "translation_memory_id")
_SPLITTING: Final = {"0": False, "1": None, "nonewlines": None, "": None}


def deepl_routes(service: Service) -> list[Route]:
    """Return the routes of DeepL's version 2."""
    store = _Glossaries()
    every = [
        ("/v2/translate", _translate, ("POST",)),
        ("/v2/languages", _languages, ("GET", "POST")),
        ("/v2/usage", _usage, ("GET", "POST")),
        ("/v2/glossary-language-pairs", _glossary_pairs, ("GET",)),
        ("/v2/glossaries", _glossaries, ("GET", "POST")),
        ("/v2/glossaries/{id}", _glossary, ("GET", "DELETE")),
        ("/v2/glossaries/{id}/entries", _entries, ("GET",)),
    ]
    return [
        route(
            service,
            path,
            partial(answer, store=store),
            methods=methods,
            dialect=_as_error,
            largest_body=_LARGEST_BODY,
        )
        for path, answer, methods in every
    ]


def _as_error(refusal: Refusal) -> Mapping[str, object]:
    if refusal.reason is Reason.LANGUAGE and refusal.subject:
        return {"message": f"Value for '{refusal.subject}_lang' not supported.", "detail": str(refusal)}
    return {"message": str(refusal)}


@dataclass(frozen=True)
class _StoredGlossary:
    id: str
    owner: str
    name: str
    source: str
    target: str
    entries: tuple[tuple[str, str], ...]
    glossary: Glossary
    created: datetime = field(default_factory=lambda: datetime.now(UTC))

    def record(self) -> dict[str, object]:
        return {
            "glossary_id": self.id,
            "name": self.name,
            "ready": True,
            "source_lang": self.source,
            "target_lang": self.target,
            "creation_time": self.created.isoformat().replace("+00:00", "Z"),
            "entry_count": len(self.entries),
        }


class _Glossaries:
    """The glossaries of all clients; each sees its own."""

    def __init__(self) -> None:
        self._stored: dict[str, _StoredGlossary] = {}

    def of(self, owner: str) -> list[_StoredGlossary]:
        return [one for one in self._stored.values() if one.owner == owner]

    def add(self, one: _StoredGlossary) -> None:
        if len(self.of(one.owner)) >= _MOST_GLOSSARIES:
            raise Refusal(Reason.INVALID, f"there are {_MOST_GLOSSARIES} glossaries; delete one first", status=456)
        self._stored[one.id] = one

    def get(self, owner: str, id: str) -> _StoredGlossary:
        found = self._stored.get(id)
        if found is None or found.owner != owner:
            raise Refusal(Reason.INVALID, "there is no such glossary; it is gone after a restart", status=404)
        return found

    def remove(self, owner: str, id: str) -> None:
        del self._stored[self.get(owner, id).id]


async def _translate(service: Service, request: Request, fields: Fields, store: _Glossaries) -> Response:
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
        stored = store.get(caller.client.name, id)
        if not source:
            raise Refusal(Reason.INVALID, "Use of a glossary requires the source_lang parameter to be specified.")
        glossary = stored.glossary
    languages = _sources(service, texts, source, target)
    found, _ = await by_language(
        service,
        caller,
        texts,
        languages,
        target,
        settings={},
        splits_sentences=_SPLITTING[splitting],
        glossary=glossary,
    )
    refuse_failed(found)
    return as_json(
        {
            "translations": [
                {
                    "detected_source_language": one.language.upper(),
                    "text": translation.text,
                    "billed_characters": len(translation.source),
                    "model_type_used": "quality_optimized",
                }
                for one, translation in zip(languages, found, strict=True)
            ]
        }
    )


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
    if text(fields, "formality", "default") not in _FORMALITIES:
        raise Refusal(Reason.NOT_OFFERED, "'formality' is not supported for given 'target_lang'.")
    boolean(fields, "show_billed_characters", default=True)


def _sources(service: Service, texts: list[str], source: str, target: str) -> list[Detected]:
    """Return the language of each text: the given one; else the only one for this target; else the detected one."""
    if source:
        return [Detected(service.pool.find(source, target).source, 100.0)] * len(texts)
    possible = [one for one in service.pool.sources if resolved(target, service.pool.targets_of(one)) is not None]
    if not possible:
        raise Refusal(Reason.LANGUAGE, f"{target[:40]} is not supported", subject="target")
    if len(possible) == 1:
        return [Detected(possible[0], 100.0)] * len(texts)
    return [detected_among(one, possible) for one in texts]


async def _languages(service: Service, request: Request, fields: Fields, store: _Glossaries) -> Response:
    caller_of(service, request, fields)
    kind = text(fields, "type", "source")
    if kind not in ("source", "target"):
        raise Refusal(Reason.INVALID, "Value for 'type' not supported.")
    if kind == "source":
        return as_json([{"language": code.upper(), "name": name_of(code)} for code in service.pool.sources])
    targets = dict.fromkeys(target for _, target in service.pool.pairs)
    return as_json([{"language": code.upper(), "name": name_of(code), "supports_formality": False} for code in targets])


async def _usage(service: Service, request: Request, fields: Fields, store: _Glossaries) -> Response:
    client = caller_of(service, request, fields).client
    return as_json({"character_count": client.used_characters, "character_limit": _NO_LIMIT})


async def _glossary_pairs(service: Service, request: Request, fields: Fields, store: _Glossaries) -> Response:
    caller_of(service, request, fields)
    pairs = [{"source_lang": source, "target_lang": target} for source, target in service.pool.pairs]
    return as_json({"supported_languages": pairs})


async def _glossaries(service: Service, request: Request, fields: Fields, store: _Glossaries) -> Response:
    owner = caller_of(service, request, fields).client.name
    if request.method == "GET":
        return as_json({"glossaries": [one.record() for one in store.of(owner)]})
    pair = service.pool.find(text(fields, "source_lang"), text(fields, "target_lang"))
    entries = _entries_in(text(fields, "entries"), text(fields, "entries_format", "tsv"))
    try:
        glossary = Glossary([Term(source, target) for source, target in entries])
    except RequestError as error:
        raise Refusal(Reason.INVALID, f"Invalid glossary entries provided: {error}") from None
    id = secrets.token_hex(16)
    stored = _StoredGlossary(id, owner, text(fields, "name"), pair.source, pair.target, entries, glossary)
    store.add(stored)
    return as_json(stored.record(), 201)


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


async def _glossary(service: Service, request: Request, fields: Fields, store: _Glossaries) -> Response:
    owner = caller_of(service, request, fields).client.name
    id = request.path_params["id"]
    if request.method == "DELETE":
        store.remove(owner, id)
        return Response(status_code=204)
    return as_json(store.get(owner, id).record())


async def _entries(service: Service, request: Request, fields: Fields, store: _Glossaries) -> Response:
    stored = store.get(caller_of(service, request, fields).client.name, request.path_params["id"])
    rows = "\n".join(f"{source}\t{target}" for source, target in stored.entries)
    return Response(rows, media_type="text/tab-separated-values; charset=utf-8")
