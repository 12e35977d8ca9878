"""Glossaries in DeepL's protocol: version 2, with one language pair each, and version 3, with several.

Both see the same glossaries; version 2 leaves out those with several language pairs, as it has no place for them.
Entries are lines of a source form and a target form. Read ``deepl_documents.py`` next.
"""

from __future__ import annotations

import csv
import io
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pellucid.errors import RequestError
from pellucid.serving.access.keys import Client
from pellucid.serving.glossaries.stored import Dictionary, StoredGlossary
from pellucid.serving.models.pool import ServedPair
from pellucid.serving.protocols.answering import Dialect, as_json, caller_of, route
from pellucid.serving.protocols.reading import Fields, text
from pellucid.serving.refusals import Reason, Refusal
from pellucid.serving.service import Service
from pellucid.translation.terms.glossary import Glossary, Term, merged

__all__ = ["deepl_glossary_routes", "glossary_for"]

_MOST_ENTRIES: Final = 5000
_MOST_DICTIONARIES: Final = 20


def deepl_glossary_routes(service: Service, dialect: Dialect) -> list[Route]:
    """Return the routes of glossaries of both versions."""
    every = [
        ("/v2/glossary-language-pairs", _pairs, ("GET",)),
        ("/v2/glossaries", _glossaries, ("GET", "POST")),
        ("/v2/glossaries/{id}", _glossary, ("GET", "DELETE")),
        ("/v2/glossaries/{id}/entries", _entries, ("GET",)),
        ("/v3/glossaries", _multilingual_glossaries, ("GET", "POST")),
        ("/v3/glossaries/{id}", _multilingual_glossary, ("GET", "PATCH", "DELETE")),
        ("/v3/glossaries/{id}/entries", _multilingual_entries, ("GET",)),
        ("/v3/glossaries/{id}/dictionaries", _dictionary, ("PUT", "DELETE")),
    ]
    return [route(service, path, answer, methods=methods, dialect=dialect) for path, answer, methods in every]


def glossary_for(service: Service, client: Client, ids: tuple[str, ...], pair: ServedPair) -> Glossary:
    """Return the terms of the glossaries of a request, which have to be for its languages.

    Raises:
        Refusal: there is none of an id, or it is for other languages.
    """
    found = [_of_pair(service.glossaries.get(client.name, id), pair.source, pair.target).terms for id in ids]
    return found[0] if len(found) == 1 else merged(found)


def _of_pair(stored: StoredGlossary, source: str, target: str, *, status: int = 400) -> Dictionary:
    found = stored.for_pair(source, target)
    if found is None:
        pairs = ", ".join(" → ".join(one.pair) for one in stored.dictionaries) or "no languages"
        raise Refusal(Reason.INVALID, f"this glossary is for {pairs}", status=status)
    return found


async def _pairs(service: Service, request: Request, fields: Fields) -> Response:
    caller_of(service, request, fields)
    pairs = [{"source_lang": source, "target_lang": target} for source, target in service.pool.pairs]
    return as_json({"supported_languages": pairs})


async def _glossaries(service: Service, request: Request, fields: Fields) -> Response:
    owner = caller_of(service, request, fields).client.name
    if request.method == "GET":
        every = service.glossaries.of(owner)
        return as_json({"glossaries": [_record(one) for one in every if len(one.dictionaries) == 1]})
    return as_json(_record(await _made(service, owner, fields, [fields])), 201)


async def _glossary(service: Service, request: Request, fields: Fields) -> Response:
    if request.method == "DELETE":
        return await _removed(service, request, fields)
    return as_json(_record(_named(service, request, fields)))


async def _entries(service: Service, request: Request, fields: Fields) -> Response:
    rows = _rows(_single(_named(service, request, fields)))
    return Response(rows, media_type="text/tab-separated-values; charset=utf-8")


async def _multilingual_glossaries(service: Service, request: Request, fields: Fields) -> Response:
    owner = caller_of(service, request, fields).client.name
    if request.method == "GET":
        return as_json({"glossaries": [_multilingual(one) for one in service.glossaries.of(owner)]})
    return as_json(_multilingual(await _made(service, owner, fields, _dictionaries(fields, least=1))), 201)


async def _multilingual_glossary(service: Service, request: Request, fields: Fields) -> Response:
    if request.method == "DELETE":
        return await _removed(service, request, fields)
    if request.method == "GET":
        return as_json(_multilingual(_named(service, request, fields)))
    changed = _dictionaries(fields, least=0)
    name = text(fields, "name", "")

    def change(stored: StoredGlossary) -> StoredGlossary:
        stored = replace(stored, name=name or stored.name)
        for one in changed:
            own = _dictionary_in(service, one)
            known = stored.for_pair(*own.pair)
            # Of an entry that is there already, the new one counts.
            terms = own.terms if known is None else merged([own.terms, known.terms])
            stored = stored.having(replace(own, terms=_limited(terms)))
        return stored

    return as_json(_multilingual(await _changed(service, request, fields, change)))


async def _multilingual_entries(service: Service, request: Request, fields: Fields) -> Response:
    stored = _named(service, request, fields)
    pair = _pair(service, fields)
    found = _of_pair(stored, pair.source, pair.target, status=404)
    languages = {"source_lang": found.source, "target_lang": found.target}
    return as_json({"dictionaries": [languages | {"entries": _rows(found), "entries_format": "tsv"}]})


async def _dictionary(service: Service, request: Request, fields: Fields) -> Response:
    if request.method == "PUT":
        stored = await _changed(service, request, fields, lambda old: old.having(_dictionary_in(service, fields)))
        return as_json(_described(stored.dictionaries[-1]))
    pair = _pair(service, fields)

    def without(stored: StoredGlossary) -> StoredGlossary:
        own = _of_pair(stored, pair.source, pair.target, status=404)
        return replace(stored, dictionaries=tuple(one for one in stored.dictionaries if one is not own))

    await _changed(service, request, fields, without)
    return Response(status_code=204)


async def _made(
    service: Service, owner: str, fields: Fields, dictionaries: list[Mapping[str, object]]
) -> StoredGlossary:
    name = text(fields, "name")
    made: list[StoredGlossary] = []

    def add() -> None:
        stored = StoredGlossary(secrets.token_hex(16), owner, name, ())
        for one in dictionaries:
            own = _dictionary_in(service, one)
            if stored.for_pair(*own.pair) is not None:
                raise Refusal(Reason.INVALID, f"there are two dictionaries for {own.source} → {own.target}")
            stored = stored.having(own)
        service.glossaries.add(stored)
        made.append(stored)

    await service.change_glossaries(add)
    return made[0]


async def _changed(
    service: Service, request: Request, fields: Fields, change: Callable[[StoredGlossary], StoredGlossary]
) -> StoredGlossary:
    owner = caller_of(service, request, fields).client.name
    id, changed = request.path_params["id"], []
    await service.change_glossaries(lambda: changed.append(service.glossaries.change(owner, id, change)))
    return changed[0]


async def _removed(service: Service, request: Request, fields: Fields) -> Response:
    owner = caller_of(service, request, fields).client.name
    await service.change_glossaries(lambda: service.glossaries.remove(owner, request.path_params["id"]))
    return Response(status_code=204)


def _named(service: Service, request: Request, fields: Fields) -> StoredGlossary:
    return service.glossaries.get(caller_of(service, request, fields).client.name, request.path_params["id"])


def _single(stored: StoredGlossary) -> Dictionary:
    if len(stored.dictionaries) != 1:
        raise Refusal(Reason.INVALID, "this glossary is not for one language pair; use /v3/glossaries")
    return stored.dictionaries[0]


def _record(stored: StoredGlossary) -> dict[str, object]:
    shared = {"glossary_id": stored.id, "name": stored.name, "ready": True, "creation_time": _time(stored)}
    return shared | _described(_single(stored))


def _multilingual(stored: StoredGlossary) -> dict[str, object]:
    dictionaries = [_described(one) for one in stored.dictionaries]
    shared = {"glossary_id": stored.id, "name": stored.name, "creation_time": _time(stored)}
    return shared | {"dictionaries": dictionaries}


def _described(one: Dictionary) -> dict[str, object]:
    return {"source_lang": one.source, "target_lang": one.target, "entry_count": len(one.entries)}


def _time(stored: StoredGlossary) -> str:
    return stored.created.isoformat().replace("+00:00", "Z")


def _rows(one: Dictionary) -> str:
    return "\n".join(f"{source}\t{target}" for source, target in one.entries)


def _dictionaries(fields: Fields, *, least: int) -> list[Mapping[str, object]]:
    given = fields.get("dictionaries") or []
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise Refusal(Reason.INVALID, "Missing or invalid argument: dictionaries")
    if not least <= len(given) <= _MOST_DICTIONARIES:
        raise Refusal(Reason.INVALID, f"Glossary dictionaries must be provided: {least} to {_MOST_DICTIONARIES}")
    return given


def _pair(service: Service, fields: Mapping[str, object]) -> ServedPair:
    return service.pool.find(text(fields, "source_lang"), text(fields, "target_lang"))


def _dictionary_in(service: Service, fields: Mapping[str, object]) -> Dictionary:
    """Return a dictionary of a request.

    Raises:
        Refusal: its languages are not offered, or its entries are wrong.
    """
    pair = _pair(service, fields)
    entries = _entries_in(text(fields, "entries"), text(fields, "entries_format", "tsv"))
    try:
        terms = Glossary([Term(source, target) for source, target in entries])
    except RequestError as error:
        raise _invalid(str(error)) from None
    return Dictionary(pair.source, pair.target, _limited(terms))


def _limited(terms: Glossary) -> Glossary:
    if not 1 <= len(terms.terms) <= _MOST_ENTRIES:
        raise _invalid(f"give 1 to {_MOST_ENTRIES:,} rows of source and target")
    terms.within(" ")  # looks up nothing, but sorts the terms here and not while requests wait
    return terms


def _entries_in(content: str, format: str) -> list[tuple[str, str]]:
    """Return the entries; columns after the second, where DeepL's files name the languages, are left out."""
    if format not in ("tsv", "csv"):
        raise Refusal(Reason.INVALID, "Value for 'entries_format' not supported.")
    rows = csv.reader(io.StringIO(content)) if format == "csv" else (line.split("\t") for line in content.split("\n"))
    try:
        found = [[part.strip() for part in row[:2]] for row in rows if any(part.strip() for part in row)]
    except csv.Error as error:
        raise _invalid(str(error)) from None
    for number, row in enumerate(found):
        if len(row) != 2 or not all(row):
            raise _invalid(f"row {number} has no source form and target form")
    return [(row[0], row[1]) for row in found]


def _invalid(problem: str) -> Refusal:
    return Refusal(Reason.INVALID, f"Invalid glossary entries provided: {problem}")
