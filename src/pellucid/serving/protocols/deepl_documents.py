"""Documents in DeepL's protocol: sent, asked for, fetched once; only the key of a document opens it.

Read ``opus_mt.py`` next.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from contextlib import ExitStack
from functools import partial
from pathlib import PurePosixPath

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pellucid.errors import PellucidError, are, counted
from pellucid.serving.documents.desk import Waiting
from pellucid.serving.documents.translating import UploadedDocument, translated_document
from pellucid.serving.models.pool import ServedPair
from pellucid.serving.protocols.answering import as_json, caller_of, route
from pellucid.serving.protocols.deepl import as_message, served_target
from pellucid.serving.protocols.deepl_glossaries import glossary_for
from pellucid.serving.protocols.deepl_options import document_options
from pellucid.serving.protocols.documents import as_download, pair_for, uploaded
from pellucid.serving.protocols.libretranslate import AUTO, origins_of
from pellucid.serving.protocols.reading import Fields, text
from pellucid.serving.refusals import Reason, Refusal
from pellucid.serving.scheduling.workers import place_of
from pellucid.serving.service import Caller, Service
from pellucid.translation.terms.glossary import Glossary

__all__ = ["deepl_document_routes"]


def deepl_document_routes(service: Service) -> list[Route]:
    """Return the routes of DeepL's documents."""
    running: set[asyncio.Task[None]] = set()
    upload = partial(_upload, running=running)
    return [
        route(service, "/v2/document", upload, dialect=as_message, takes_documents=True),
        route(service, "/v2/document/{id}", _status, methods=("GET", "POST"), dialect=as_message),
        route(service, "/v2/document/{id}/result", _result, methods=("GET", "POST"), dialect=as_message),
    ]


async def _upload(service: Service, request: Request, fields: Fields, running: set[asyncio.Task[None]]) -> Response:
    caller = caller_of(service, request, fields)
    document = uploaded(fields, file_name=text(fields, "filename", ""))
    options = document_options(fields, PurePosixPath(document.name).suffix)
    pair = await pair_for(service, document, options.source or AUTO, options.target)
    glossary = Glossary(())
    if options.glossaries:
        offered = pair or service.pool.find(options.source, options.target)
        glossary = glossary_for(service, caller.client, options.glossaries, offered)
    said = options.headers((), (), served_target(service, options.target))
    held = ExitStack()
    held.enter_context(service.desk.work())
    name, waiting = service.desk.put(caller.client.name, document.name)

    async def never() -> None:
        await asyncio.Event().wait()

    own = Caller(caller.client, never, caller.deadline_seconds)
    task = asyncio.create_task(_work(service, own, document, pair, glossary, waiting, held))
    running.add(task)
    task.add_done_callback(running.discard)
    return as_json({"document_id": name, "document_key": waiting.key}, headers=said)


async def _work(
    service: Service,
    caller: Caller,
    document: UploadedDocument,
    pair: ServedPair | None,
    glossary: Glossary,
    waiting: Waiting,
    held: ExitStack,
) -> None:
    try:
        with held:
            found = await translated_document(service, caller, document, pair, glossary, waiting.pace)
    except PellucidError as error:
        waiting.problem = str(error)
    except Exception as error:
        logging.getLogger("pellucid.serving").error("/v2/document: %s", place_of(error))
        waiting.problem = "internal error"
    else:
        waiting.data, waiting.characters = found.data, found.characters
        waiting.origins = origins_of([found])
        if found.report.failed:
            failed = found.report.failed
            waiting.note = f"{counted(failed, 'segment')} {are(failed)} not translated: {found.report.problems[0]}"


async def _status(service: Service, request: Request, fields: Fields) -> Response:
    waiting = _waiting(service, request, fields)
    status = "error" if waiting.problem else "translating" if waiting.data is None else "done"
    answer: dict[str, object] = {"document_id": request.path_params["id"], "status": status}
    if status == "translating":
        # Without a segment that is done nobody knows, and the field may be missing.
        left = waiting.pace.seconds_left(service.queue.clock())
        answer |= {} if left is None else {"seconds_remaining": left}
    if status == "done":
        answer["billed_characters"] = waiting.characters
    if waiting.problem or waiting.note:
        answer["error_message"] = waiting.problem or waiting.note
    return as_json(answer)


async def _result(service: Service, request: Request, fields: Fields) -> Response:
    waiting = _waiting(service, request, fields)
    if waiting.problem:
        raise Refusal(Reason.INVALID, waiting.problem)
    if waiting.data is None:
        raise Refusal(Reason.FULL, "Document translation is not done.", retry_after_seconds=1)
    service.desk.remove(request.path_params["id"])
    response = as_download(waiting.data, waiting.file_name)
    response.headers.update(waiting.origins)
    return response


def _waiting(service: Service, request: Request, fields: Fields) -> Waiting:
    owner = caller_of(service, request, fields).client.name
    found = service.desk.get(request.path_params["id"])
    key = text(fields, "document_key", "")
    if (
        found is None
        or found.owner != owner
        or not hmac.compare_digest(found.key.encode(), key.encode("utf-8", "replace"))
    ):
        raise Refusal(
            Reason.INVALID, "there is no such document; it is kept for 10 minutes, or until it is fetched", status=404
        )
    return found
