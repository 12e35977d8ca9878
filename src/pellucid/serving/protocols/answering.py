"""What all routes of the service share: who asks, errors in the form of the protocol, metrics, an id for each answer.

Read ``libretranslate.py`` next.
"""

from __future__ import annotations

import json
import logging
import math
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import nullcontext
from typing import Final, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from pellucid.errors import PellucidError
from pellucid.serving.protocols.reading import Fields, read_fields
from pellucid.serving.refusals import Reason, Refusal
from pellucid.serving.scheduling.workers import place_of
from pellucid.serving.service import Caller, Service
from pellucid.serving.traces import ClientGoneError

__all__ = ["Dialect", "as_error", "as_json", "caller_of", "route", "streamed"]

Event = TypeVar("Event")
Endpoint = Callable[[Service, Request, Fields], Awaitable[Response]]
Dialect = Callable[[Refusal], Mapping[str, object]]
"""The body of an error."""
_DEADLINE: str = "x-deadline-seconds"
_AROUND_A_DOCUMENT: Final = 1 << 16
"""Bytes of a form besides the document."""
_NO_OTHERS: Final[Mapping[Reason, int]] = {}


def as_json(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer as JSON; a lone surrogate is written as its escape."""
    body = json.dumps(content, ensure_ascii=False)
    try:
        encoded = body.encode("utf-8")
    except UnicodeEncodeError:
        encoded = json.dumps(content).encode("ascii")
    own = {"Cache-Control": "no-store", **(headers or {})}
    return Response(encoded, status, media_type="application/json", headers=own)


def as_error(refusal: Refusal) -> Mapping[str, object]:
    """Return ``{"error": sentence}``, as LibreTranslate and our own routes answer."""
    return {"error": str(refusal)}


def route(
    service: Service,
    path: str,
    endpoint: Endpoint,
    *,
    methods: tuple[str, ...] = ("POST",),
    dialect: Dialect = as_error,
    statuses: Mapping[Reason, int] = _NO_OTHERS,
    largest_body: int | None = None,
    takes_documents: bool = False,
) -> Route:
    """Return the route of an endpoint, which gets the fields of the request.

    Args:
        service: that answers.
        path: of the route; also its label in the metrics.
        endpoint: reads fields and answers.
        methods: of HTTP.
        dialect: the form of errors.
        statuses: of errors, where the protocol has others than ``refusals.py``.
        largest_body: in bytes; the limit of the service if None.
        takes_documents: the body holds a document, which has other limits.
    """
    limit = min(largest_body or service.limits.body_bytes, service.limits.body_bytes)
    if takes_documents:
        limit = service.limits.document_bytes + _AROUND_A_DOCUMENT

    async def answer(request: Request) -> Response:
        begun = service.queue.clock()
        name = secrets.token_hex(8)
        try:
            with service.desk.work() if takes_documents else nullcontext():
                response = await endpoint(service, request, await read_fields(request, limit=limit))
        except Refusal as refusal:
            service.metrics.refused(refusal.reason)
            response = as_json(dialect(refusal), statuses.get(refusal.reason, refusal.status), refusal.headers)
        except (ClientGoneError, ClientDisconnect):
            service.metrics.gone()
            response = Response(status_code=499)
        except PellucidError as error:  # a model that cannot be opened; its message names no text
            logging.getLogger("pellucid.serving").error("%s %s: %s", path, name, error)
            response = _failed(name, dialect)
        except Exception as error:
            logging.getLogger("pellucid.serving").error("%s %s: %s", path, name, place_of(error))
            response = _failed(name, dialect)
        response.headers["X-Request-Id"] = name
        service.metrics.answered(path, response.status_code, service.queue.clock() - begun)
        return response

    return Route(path, answer, methods=[*methods])


async def streamed(events: AsyncIterator[Event], described: Callable[[Event], tuple[str, object]]) -> Response:
    """Return server-sent events. What is refused before the first has its status; later an event ``error`` says it."""
    first = await anext(events)

    async def lines() -> AsyncIterator[str]:
        event: Event | None = first
        try:
            while event is not None:
                name, content = described(event)
                yield f"event: {name}\ndata: {json.dumps(content)}\n\n"
                event = await anext(events, None)
            yield "event: end\ndata: {}\n\n"
        except Refusal as refusal:
            yield f"event: error\ndata: {json.dumps(as_error(refusal))}\n\n"
        except ClientGoneError:
            return

    return StreamingResponse(lines(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


def _failed(name: str, dialect: Dialect) -> Response:
    refusal = Refusal(Reason.FAILED, f"internal error; the log of the server has it under {name}")
    return as_json(dialect(refusal), refusal.status)


def caller_of(service: Service, request: Request, fields: Fields) -> Caller:
    """Return who sent a request.

    Raises:
        Refusal: it needs a key and has none that is valid, or its deadline is no number.
    """
    client = service.clients.client_of(request.headers, fields)
    limits = service.limits
    wanted = request.headers.get(_DEADLINE)
    seconds = limits.deadline_seconds
    if wanted is not None:
        try:
            seconds = float(wanted)
        except ValueError:
            seconds = math.nan
        if not 0 < seconds <= limits.longest_deadline_seconds:
            raise Refusal(
                Reason.INVALID,
                f"X-Deadline-Seconds must be a number over 0, at most {limits.longest_deadline_seconds:g}",
            )

    async def until_gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    return Caller(client, until_gone, seconds)
