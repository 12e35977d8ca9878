"""The page and the service over HTTP: make responses of the answers from ``page``. Read ``traces.py`` next.

    GET  /                       the page
    GET  /web/...                its modules, styles and texts
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

import gzip
import hashlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Final, TypeVar

import anyio
import anyio.from_thread
import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from pellucid.config.service import ServiceConfig
from pellucid.errors import ConfigError, PellucidError, RequestError
from pellucid.page.answers import Answer
from pellucid.page.answers_model import model_answer, models_answer
from pellucid.page.answers_search import search_answer, search_settings
from pellucid.page.answers_trace import TraceRecord, make_record, trace_answer
from pellucid.page.assembly import TEMPLATE, served_page, web_files
from pellucid.page.catalogue import Catalogue, UnknownPathError
from pellucid.page.single_file import single_file
from pellucid.serving.access.crossing import Crossing
from pellucid.serving.bounds import refuse_heavy, refuse_long
from pellucid.serving.connections import Limits, PacedAnswers
from pellucid.serving.gate import Gate, error_response
from pellucid.serving.protocols.routes import service_routes
from pellucid.serving.service import Service
from pellucid.serving.trace_requests import trace_request
from pellucid.serving.traces import BusyError, ClientGoneError, ComputeQueue, TraceGoneError, TraceStore
from pellucid.tracing.file import trace_bytes
from pellucid.tracing.sites import Level

__all__ = ["LARGEST_BODY_BYTES", "create_app"]

LARGEST_BODY_BYTES: Final = 64 << 10
_SMALLEST_COMPRESSED: Final = 512
_THREADS: Final = 4
"""Threads for answers without the model; each holds one answer until it can be sent."""
_WORK_TO_KEPT: Final = 2
"""While a trace is made, it may use this many times the memory for traces."""
_COMPUTED: Final = ("effect", "head_effects")
"""Answers that require the model even if every site is stored."""
_LARGEST_COMPRESSED_OCTETS: Final = 1 << 20
_FOR_EVER: Final = "private, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"
_MEDIA_TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".html": "text/html; charset=utf-8",
    ".svg": "image/svg+xml",
}
# The first match counts, because some of them are subclasses of others.
_STATUSES: Final = (
    (TraceGoneError, 410),
    (UnknownPathError, 404),
    (BusyError, 503),
    (RequestError, 400),
    (ConfigError, 400),
    (PellucidError, 500),
)

Endpoint = Callable[[Request], Awaitable[Response]]
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
        catalogue: the models of the page; None: there is no page.
        host: the host that the server listens on; it answers to this name and to the loopback names.
        trace_memory_bytes: limit for stored traces; the least recently used are dropped first.
        limits: limits of connections; the defaults if None.
        service: the translation service, if any.
    """
    routes = _page_routes(_Server(catalogue, TraceStore(limit_bytes=trace_memory_bytes))) if catalogue else []
    own = service_routes(service) if service else []
    app = Starlette(routes=[*routes, *own], exception_handlers={HTTPException: _refused})
    config = service.config if service else ServiceConfig()
    crossing = Crossing(app, origins=config.cors_origins, paths=[route.path for route in own])
    needs_keys = service is not None and service.clients.need_keys
    gate = Gate(crossing, host=host, names=config.names, is_keyed=needs_keys and not catalogue, admits=crossing.admits)
    return PacedAnswers(gate, limits=limits or Limits())


def _page_routes(server: _Server) -> list[Route]:
    return [
        Route("/", _guarded(server.page)),
        Route("/web/{path:path}", _guarded(server.web)),
        Route("/api/models", _guarded(server.models)),
        Route("/api/models/{path:path}", _guarded(server.model)),
        Route("/api/traces", _guarded(server.make_trace), methods=["POST"]),
        Route("/api/traces/{path:path}", _guarded(server.trace)),
        Route("/export/{name}", _guarded(server.export)),
    ]


class _Server:
    """The endpoints and their shared state."""

    def __init__(self, catalogue: Catalogue, traces: TraceStore) -> None:
        self._catalogue = catalogue
        self._traces = traces
        self._queue = ComputeQueue()
        self._threads = anyio.CapacityLimiter(_THREADS)
        self._opening = anyio.CapacityLimiter(1)
        self._files = {path: content for path, content in web_files().items() if path != TEMPLATE}
        self._page = served_page()

    async def page(self, request: Request) -> Response:
        answer = Answer(self._page.html.encode(), _MEDIA_TYPES[".html"])
        return _respond(request, answer, etag=_digest(answer.body), headers={"Content-Security-Policy": self._page.csp})

    async def web(self, request: Request) -> Response:
        path = request.path_params["path"]
        content = self._files.get(path)
        if content is None:
            raise UnknownPathError(f"the page has no file {path!r}")
        digest = hashlib.sha256(content).hexdigest()
        answer = Answer(content, _MEDIA_TYPES.get(PurePosixPath(path).suffix, "application/octet-stream"))
        is_named = request.query_params.get("v", "-") == digest[:8]
        return _respond(request, answer, etag=digest[:32], cache=_FOR_EVER if is_named else _ASK_AGAIN)

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
        return _respond(request, record.manifest, etag=_of_trace(record, request), status=201, cache="no-store")

    async def trace(self, request: Request) -> Response:
        trace_id, _, rest = request.path_params["path"].partition("/")
        query = _query(request)
        record = self._traces.get(trace_id)
        etag = _of_trace(record, request)
        if _is_known(request, etag):
            return _respond(request, Answer(b""), etag=etag, cache=_FOR_EVER)

        def work() -> Response:
            return _respond(request, trace_answer(record, rest, query), etag=etag, cache=_FOR_EVER)

        if rest == "search":
            return await self._queue.run(lambda: self._search(request, record, query), is_gone=request.is_disconnected)
        if record.trace.level is not Level.FULL or rest in _COMPUTED:  # other sites are computed again
            return await self._queue.run(work, is_gone=request.is_disconnected)
        return await _in_thread(request, work, self._threads)

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
                largest_bytes=_WORK_TO_KEPT * self._traces.limit_bytes,
            )
        answer = search_answer(trace, query, between_steps=lambda: _end_if_gone(request))
        return _respond(request, answer, etag=_of_trace(record, request), cache=_FOR_EVER)

    async def export(self, request: Request) -> Response:
        name, _, suffix = request.path_params["name"].rpartition(".")
        if suffix not in ("html", "npz"):
            raise UnknownPathError(f"exports are .html or .npz, not {'.' + suffix!r}")
        record = self._traces.get(name)
        _query(request)

        def work() -> Response:
            if suffix == "html":
                answer = _page_of(record)
            else:
                answer = Answer(trace_bytes(record.trace), "application/octet-stream", file_name="trace.npz")
            return _respond(request, answer, etag=_digest(answer.body))

        # This takes longer than other answers, and may compute sites again.
        return await self._queue.run(work, is_gone=request.is_disconnected)

    async def _answered(self, request: Request, make: Callable[[], Answer]) -> Response:
        """Answer from another thread; the ETag is a digest of the answer."""

        def work() -> Response:
            answer = make()
            return _respond(request, answer, etag=_digest(answer.body))

        return await _in_thread(request, work, self._threads)


async def _in_thread(request: Request, work: Callable[[], Result], limiter: anyio.CapacityLimiter) -> Result:
    """Run ``work`` in a thread of a limiter, unless the client has disconnected before its turn."""

    def begin() -> Result:
        _end_if_gone(request)
        return work()

    return await anyio.to_thread.run_sync(begin, limiter=limiter)


def _page_of(record: TraceRecord) -> Answer:
    """Make the single file; its id is a digest, because the id of the server is private."""
    page = single_file(replace(record, id=record.sha256[:16], trace=record.trace.at_level("full")))
    return Answer(page.html.encode(), _MEDIA_TYPES[".html"], file_name="trace.html")


def _guarded(endpoint: Endpoint) -> Endpoint:
    """Turn every error into a response with a sentence."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except PellucidError as error:
            status = next(status for kind, status in _STATUSES if isinstance(error, kind))
            return error_response(status, str(error), {"Retry-After": "2"} if status == 503 else None)
        except HTTPException as error:
            return _refused(request, error)
        except (ClientGoneError, ClientDisconnect):
            return error_response(499, "the client has disconnected")
        except Exception as error:
            logging.getLogger("pellucid.serving").exception("%s %s", request.method, request.url.path)
            return error_response(500, f"the server failed ({type(error).__name__}); see its log")

    return answer


def _end_if_gone(request: Request) -> None:
    """End the work of a thread if its client has disconnected or has sent another sentence."""
    if anyio.from_thread.run(request.is_disconnected):
        raise ClientGoneError


def _refused(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    sentences = {
        404: f"there is nothing at {request.url.path!r}; the page is at /",
        405: f"{request.url.path!r} does not support {request.method}",
    }
    detail = error.detail if isinstance(error, HTTPException) else "the server failed"
    return error_response(status, sentences.get(status, detail))


def _query(request: Request) -> dict[str, str]:
    pairs = request.query_params.multi_items()
    if len(pairs) != len(dict(pairs)):
        raise RequestError("a parameter occurs twice; give each parameter once")
    return dict(pairs)


async def _body(request: Request) -> bytes:
    """Read the body of a request up to the limit."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "send the request as application/json")
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > LARGEST_BODY_BYTES:
            raise HTTPException(
                413, f"the request is over {LARGEST_BODY_BYTES // 1024} KB; send one sentence at a time"
            )
    return content


def _respond(
    request: Request,
    answer: Answer,
    *,
    etag: str,
    status: int = 200,
    cache: str = _ASK_AGAIN,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Make a response of an answer: shape and number format as headers, compressed if that helps."""
    # Weak, because the compressed and the plain bytes differ.
    own = {"ETag": f'W/"{etag}"', "Cache-Control": cache, "Vary": "Accept-Encoding", **(headers or {})}
    if request.method in {"GET", "HEAD"} and _is_known(request, etag):
        return Response(status_code=304, headers=own)
    if answer.shape is not None:
        own |= {"X-Shape": ",".join(map(str, answer.shape)), "X-Dtype": answer.dtype or ""}
    if answer.file_name is not None:
        own["Content-Disposition"] = f'attachment; filename="{answer.file_name}"'
    body = answer.body
    is_small_enough = answer.shape is None or len(body) <= _LARGEST_COMPRESSED_OCTETS
    if len(body) >= _SMALLEST_COMPRESSED and is_small_enough and answer.file_name is None and _takes_gzip(request):
        body = gzip.compress(body, 6, mtime=0)
        own["Content-Encoding"] = "gzip"
    return Response(body, status, media_type=answer.media_type, headers=own)


def _takes_gzip(request: Request) -> bool:
    codings = request.headers.get("accept-encoding", "").lower().replace(" ", "").split(",")
    return any(coding.split(";")[0] in {"gzip", "*"} and not coding.endswith(";q=0") for coding in codings)


def _is_known(request: Request, etag: str) -> bool:
    known = [tag.strip().removeprefix("W/").strip('"') for tag in request.headers.get("if-none-match", "").split(",")]
    return etag in known or "*" in known


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _of_trace(record: TraceRecord, request: Request) -> str:
    """Return the ETag of an answer about a trace before it is made: the trace and the path determine the answer."""
    return _digest(f"{record.sha256} {record.id} {request.url.path}?{request.url.query}".encode())
