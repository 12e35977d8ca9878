"""Documents by HTTP: ours in one answer, and LibreTranslate's with an address from which the answer is fetched once.

What comes back is a file to save, never a page of this server: the browser is told so. Read ``deepl_documents.py``
next.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pellucid.documents.naming import FORMATS, format_named, format_of
from pellucid.documents.transfer.outcomes import DocumentReport
from pellucid.errors import DocumentError
from pellucid.serving.documents.translating import (
    TranslatedDocument,
    UploadedDocument,
    beginning_of,
    translated_document,
)
from pellucid.serving.models.detection import detected_for
from pellucid.serving.models.pool import ServedPair
from pellucid.serving.protocols.answering import as_json, caller_of, route
from pellucid.serving.protocols.libretranslate import (
    AUTO,
    LIBRETRANSLATE_STATUSES,
    as_libretranslate,
    origins_of,
)
from pellucid.serving.protocols.multipart import Upload
from pellucid.serving.protocols.reading import Fields, not_applied, text, unknown_in
from pellucid.serving.protocols.terms import TERM_FIELDS, terms_in
from pellucid.serving.refusals import Reason, Refusal
from pellucid.serving.service import Service

__all__ = ["as_download", "document_routes", "pair_for", "uploaded"]

_FIELDS: Final = frozenset({"file", "source", "target", "format", "api_key"}) | TERM_FIELDS
_MOST_PROBLEMS: Final = 5
_LONGEST_PROBLEM: Final = 200


def document_routes(service: Service) -> list[Route]:
    """Return the routes of documents."""
    libre = partial(route, service, dialect=as_libretranslate, statuses=LIBRETRANSLATE_STATUSES)
    return [
        route(service, "/v1/document", _document, takes_documents=True),
        libre("/translate_file", _translate_file, takes_documents=True),
        libre("/download_file/{name}", _download_file, methods=("GET",)),
    ]


async def _document(service: Service, request: Request, fields: Fields) -> Response:
    caller = caller_of(service, request, fields)
    if unknown := sorted(fields.keys() - _FIELDS):
        raise Refusal(Reason.INVALID, f"{unknown[0][:40]!r} is unknown; a request has {', '.join(sorted(_FIELDS))}")
    document = uploaded(fields, stated=text(fields, "format", ""))
    pair = await pair_for(service, document, text(fields, "source"), text(fields, "target"))
    terms = terms_in(service, fields, pair) if pair is not None else None
    found = await translated_document(service, caller, document, pair, terms)
    return _with_report(found, document.name)


async def _translate_file(service: Service, request: Request, fields: Fields) -> Response:
    caller = caller_of(service, request, fields)
    document = uploaded(fields)
    pair = await pair_for(service, document, text(fields, "source"), text(fields, "target"))
    found = await translated_document(service, caller, document, pair)
    name, waiting = service.desk.put(caller.client.name, document.name)
    waiting.data = found.data
    address = f"{request.base_url}download_file/{name}{document.format.suffixes[0]}"
    unused = not_applied(unknown_in(fields, {"file", "source", "target"}))
    return as_json({"translatedFileUrl": address}, headers=origins_of([found]) | unused)


async def _download_file(service: Service, request: Request, fields: Fields) -> Response:
    name = str(request.path_params["name"]).partition(".")[0]
    waiting = service.desk.get(name)
    if waiting is None or waiting.data is None:
        raise Refusal(
            Reason.INVALID, "there is no such file; it is kept for 10 minutes, or until it is fetched", status=404
        )
    service.desk.remove(name)
    return as_download(waiting.data, waiting.file_name)


def uploaded(fields: Fields, *, stated: str = "", file_name: str = "") -> UploadedDocument:
    """Return the document of a form.

    Raises:
        Refusal: there is none, or its format is unknown.
    """
    given = fields.get("file")
    if not isinstance(given, Upload) or not (given.data or given.file_name):
        raise Refusal(Reason.INVALID, "Invalid request: missing file parameter")
    name = (file_name or given.file_name).replace("\\", "/").rpartition("/")[2] or "document"
    if not given.data:
        raise Refusal(Reason.INVALID, f"{name}: is empty; give a file with text")
    try:
        format = format_named(stated) if stated else format_of(name, given.media_type)
    except DocumentError:
        every = " ".join(suffix for one in FORMATS for suffix in one.suffixes)
        raise Refusal(Reason.INVALID, f"Invalid request: file format not supported; these are: {every}") from None
    return UploadedDocument(name, format, given.data)


async def pair_for(service: Service, document: UploadedDocument, source: str, target: str) -> ServedPair | None:
    """Return the model for a document; ``auto`` detects its language. None: it is in the target language already.

    Raises:
        Refusal: there is none.
    """
    if source == AUTO:
        possible = service.pool.sources_of(target) or service.pool.sources
        source = detected_for(await beginning_of(service, document), possible, target).language
    return service.pool.translating(source, target)


def _with_report(found: TranslatedDocument, name: str) -> Response:
    """Return a translated document, with the report on it in a header."""
    response = as_download(found.data, name)
    response.headers["X-Document-Report"] = json.dumps(_record(found.report) | {"terms": found.terms.record()})
    return response


def as_download(data: bytes, name: str) -> Response:
    """Return a file to save under a name."""
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='', errors='replace')}",
        "Cache-Control": "no-store",
    }
    return Response(data, media_type="application/octet-stream", headers=headers)


def _record(report: DocumentReport) -> dict[str, object]:
    problems = [one[:_LONGEST_PROBLEM] for one in report.problems[:_MOST_PROBLEMS]]
    return {
        "segments": report.segments,
        "codes": report.codes,
        "not_translated": report.failed,
        "origins": dict(report.origins),
        "ways": {str(way): count for way, count in report.ways.items()},
        "flags": dict(report.flags),
        "problems": problems,
        "notes": [one[:_LONGEST_PROBLEM] for one in report.notes[:_MOST_PROBLEMS]],
    }
