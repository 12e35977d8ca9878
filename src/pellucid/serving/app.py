"""The pages and the service over HTTP: make responses of the answers from ``page``. Read ``responding.py`` next.

    GET  /                       the page that shows the inside of a model, see pages.py
    GET  /translator             the page for translators
    GET  /web/...                their modules, styles and texts
    GET  /api/models...          see page/answers_model.py
    POST /api/traces             {model, source, ...}: the manifest of a new trace, see trace_requests.py
    GET  /api/traces/{id}...     see page/answers_trace.py
    GET  /export/{id}.html, .npz   the page as one file, and the trace
    ...                          the routes of the service, see service.py and protocols/

Answers have an ETag; errors are ``{"error": "a sentence"}``. A trace that is no longer stored has status 410, and the
page makes it again. The event loop never computes: requests that use the model wait in one queue, and a few other
threads answer everything else. ``bounds.py`` limits the cost of a request, ``connections.py`` that of a connection.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeVar

import anyio
import anyio.from_thread
import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from pellucid.config.service import ServiceConfig
from pellucid.errors import RequestError
from pellucid.page.answers import Answer
from pellucid.page.answers_compare import BEFORE
from pellucid.page.answers_model import model_answer, models_answer
from pellucid.page.answers_search import search_answer, search_settings
from pellucid.page.answers_trace import TraceRecord, before_record, make_record, trace_answer
from pellucid.page.catalogue import Catalogue, UnknownPathError
from pellucid.page.single_file import StartView, single_file
from pellucid.serving.access.crossing import Crossing
from pellucid.serving.bodies import body_of
from pellucid.serving.bounds import refuse_heavy, refuse_long
from pellucid.serving.connections import Limits, PacedAnswers
from pellucid.serving.gate import Gate
from pellucid.serving.pages import HTML, page_routes
from pellucid.serving.protocols.routes import service_routes
from pellucid.serving.responding import FOR_EVER, digest, guarded, is_known, refused, respond
from pellucid.serving.service import Service
from pellucid.serving.trace_requests import trace_request
from pellucid.serving.traces import ClientGoneError, ComputeQueue, TraceStore
from pellucid.tracing.file import trace_bytes
from pellucid.tracing.sites import Level

__all__ = ["LARGEST_BODY_BYTES", "create_app"]

LARGEST_BODY_BYTES: Final = 64 << 10
_THREADS: Final = 4
"""Threads for answers without the model; each holds one answer until it can be sent."""
_WORK_TO_KEPT: Final = 2
"""While a trace is made, it may use this many times the memory for traces."""
_COMPUTED: Final = ("effect", "head_effects", "why", "lens", "align")
"""Answers that require the model even if every site is stored."""
Result = TypeVar("Result")


def create_app(
    catalogue: Catalogue | None,
    *,
    host: str = "127.0.0.1",
    trace_memory_bytes: int = 256 << 20,
    limits: Limits | None = None,
    service: Service | None = None,
) -> ASGIApp:
    """Make the application for the models of a catalogue.

    Args:
        catalogue: the models of the page that shows the inside; None: there is no such page.
        host: the host that the server listens on; it answers to this name and to the loopback names.
        trace_memory_bytes: limit for stored traces; the least recently used are dropped first.
        limits: limits of connections; the defaults if None.
        service: the translation service, if any.
    """
    pages = page_routes(shows_inside=catalogue is not None, translates=service is not None)
    inside = _inside_routes(_Server(catalogue, TraceStore(limit_bytes=trace_memory_bytes))) if catalogue else []
    own = service_routes(service) if service else []
    app = Starlette(routes=[*pages, *inside, *own], exception_handlers={HTTPException: refused})
    config = service.config if service else ServiceConfig()
    crossing = Crossing(app, origins=config.cors_origins, paths=[route.path for route in own])
    needs_keys = service is not None and service.clients.need_keys
    gate = Gate(crossing, host=host, names=config.names, is_keyed=needs_keys and not catalogue, admits=crossing.admits)
    return PacedAnswers(gate, limits=limits or Limits())


def _inside_routes(server: _Server) -> list[Route]:
    return [
        Route("/api/models", guarded(server.models)),
        Route("/api/models/{path:path}", guarded(server.model)),
        Route("/api/traces", guarded(server.make_trace), methods=["POST"]),
        Route("/api/traces/{path:path}", guarded(server.trace)),
        Route("/export/{name}", guarded(server.export)),
    ]


class _Server:
    """The endpoints and their shared state."""

    def __init__(self, catalogue: Catalogue, traces: TraceStore) -> None:
        self._catalogue = catalogue
        self._traces = traces
        self._queue = ComputeQueue()
        self._threads = anyio.CapacityLimiter(_THREADS)
        self._opening = anyio.CapacityLimiter(1)

    async def models(self, request: Request) -> Response:
        return await self._answered(request, lambda: models_answer(self._catalogue.models))

    async def model(self, request: Request) -> Response:
        model_id, _, rest = request.path_params["path"].partition("/")
        query = _query(request)
        # Reading a snapshot from disk is slow, so requests for snapshots wait for each other and for nothing else.
        limiter = self._opening if "@" in model_id else self._threads
        opened = await _in_thread(request, lambda: self._catalogue.get(model_id), limiter)
        return await self._answered(request, lambda: model_answer(opened, rest, query))

    async def make_trace(self, request: Request) -> Response:
        wanted = trace_request(await _body(request))
        refuse_long(wanted.source, wanted.target)
        largest = self._traces.limit_bytes // 4

        def work() -> TraceRecord:
            opened = self._catalogue.get(wanted.model)
            refuse_heavy(
                opened.translator,
                wanted.source,
                target=wanted.target,
                target_ids=wanted.target_ids,
                settings=wanted.settings or {},
                edits=wanted.edits or (),
                largest_bytes=_WORK_TO_KEPT * self._traces.limit_bytes,
            )
            record = make_record(
                opened,
                wanted.source,
                trace_id=secrets.token_hex(16),
                target=wanted.target,
                target_ids=wanted.target_ids,
                settings=wanted.settings,
                edits=wanted.edits or (),
                before=self._traces.get(wanted.before).trace if wanted.before else None,
                largest_bytes=largest,
                between_steps=lambda: _end_if_gone(request),
            )
            self._traces.add(record)
            record.manifest  # noqa: B018 - computed here, in the thread
            return record

        record = await self._queue.run(work, is_gone=request.is_disconnected)
        return respond(request, record.manifest, etag=_of_trace(record, request), status=201, cache="no-store")

    async def trace(self, request: Request) -> Response:
        trace_id, _, rest = request.path_params["path"].partition("/")
        query = _query(request)
        record = self._with_beside(self._traces.get(trace_id), rest)
        etag = _of_trace(record, request)
        if is_known(request, etag):
            return respond(request, Answer(b""), etag=etag, cache=FOR_EVER)

        def work() -> Response:
            answer = trace_answer(record, rest, query, between_passes=lambda: _end_if_gone(request))
            return respond(request, answer, etag=etag, cache=FOR_EVER)

        if rest == f"{BEFORE}/search":
            record, rest = before_record(record), "search"
        if rest == "search":
            return await self._queue.run(lambda: self._search(request, record, query), is_gone=request.is_disconnected)
        if rest.endswith("/search"):  # the limits of a search are those above
            raise UnknownPathError("a search belongs to the trace itself; leave out what stands before it")
        is_computed = rest.rpartition("/")[2] in _COMPUTED or re.fullmatch(r"beside/[^/]+", rest) is not None
        levels = {one.trace.level for one in (record, record.beside) if one}
        if is_computed or levels != {Level.FULL}:  # other sites are computed again
            return await self._queue.run(work, is_gone=request.is_disconnected)
        return await _in_thread(request, work, self._threads)

    def _with_beside(self, record: TraceRecord, rest: str) -> TraceRecord:
        """Return a record with the trace that a path ``beside/{id}`` compares it with."""
        match = re.match(r"beside/([^/]+)", rest)
        if match is None or match[1] == BEFORE:
            return record
        return replace(record, beside=self._traces.get(match[1]))

    def _search(self, request: Request, record: TraceRecord, query: dict[str, str]) -> Response:
        """Search in the thread of the queue, after refusing a search that is too wide for a page."""
        trace = record.trace
        if trace.translator is not None:
            refuse_long(trace.source, query.get("reference"))
            refuse_heavy(
                trace.translator,
                trace.source,
                target=None,
                settings=search_settings(query),
                edits=[str(edit) for edit in trace.provenance.edits],
                largest_bytes=_WORK_TO_KEPT * self._traces.limit_bytes,
            )
        answer = search_answer(trace, query, between_steps=lambda: _end_if_gone(request))
        return respond(request, answer, etag=_of_trace(record, request), cache=FOR_EVER)

    async def export(self, request: Request) -> Response:
        name, _, suffix = request.path_params["name"].rpartition(".")
        if suffix not in ("html", "npz"):
            raise UnknownPathError(f"exports are .html or .npz, not {'.' + suffix!r}")
        record = self._traces.get(name)
        query = _query(request)
        if suffix == "html" and (beside := query.get("beside")):
            record = self._with_beside(record, f"beside/{beside}")

        def work() -> Response:
            if suffix == "html":
                answer = _page_of(record)
            else:
                answer = Answer(trace_bytes(record.trace), "application/octet-stream", file_name="trace.npz")
            return respond(request, answer, etag=digest(answer.body))

        # This takes longer than other answers, and may compute sites again.
        return await self._queue.run(work, is_gone=request.is_disconnected)

    async def _answered(self, request: Request, make: Callable[[], Answer]) -> Response:
        """Answer from another thread; the ETag is a digest of the answer."""

        def work() -> Response:
            answer = make()
            return respond(request, answer, etag=digest(answer.body))

        return await _in_thread(request, work, self._threads)


async def _in_thread(request: Request, work: Callable[[], Result], limiter: anyio.CapacityLimiter) -> Result:
    """Run ``work`` in a thread of a limiter, unless the client has disconnected before its turn."""

    def begin() -> Result:
        _end_if_gone(request)
        return work()

    return await anyio.to_thread.run_sync(begin, limiter=limiter)


def _page_of(record: TraceRecord) -> Answer:
    """Make the single file; its ids are digests, because the ids of the server are private."""
    beside = record.beside and _public(record.beside)
    start = StartView(view="compare") if beside else None
    page = single_file(_public(replace(record, beside=beside)), start=start)
    return Answer(page.html.encode(), HTML, file_name="trace.html")


def _public(record: TraceRecord) -> TraceRecord:
    return replace(record, id=record.sha256[:16], trace=record.trace.at_level("full"))


def _end_if_gone(request: Request) -> None:
    """End the work of a thread if its client has disconnected or has sent another sentence."""
    if anyio.from_thread.run(request.is_disconnected):
        raise ClientGoneError


def _query(request: Request) -> dict[str, str]:
    pairs = request.query_params.multi_items()
    if len(pairs) != len(dict(pairs)):
        raise RequestError("a parameter occurs twice; give each parameter once")
    return dict(pairs)


async def _body(request: Request) -> bytes:
    """Read the body of a request up to the limit."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "send the request as application/json")
    content = await body_of(request, LARGEST_BODY_BYTES)
    if content is None:
        raise HTTPException(413, f"the request is over {LARGEST_BODY_BYTES // 1024} KB; send one sentence at a time")
    return content


def _of_trace(record: TraceRecord, request: Request) -> str:
    """Return the ETag of an answer about a trace before it is made: the trace and the path determine the answer."""
    return digest(f"{record.sha256} {record.id} {request.url.path}?{request.url.query}".encode())
