"""Limit the number of clients, the time each may take, and the bytes of answers that are not read yet.

A client that sends half a request, or does not read its answer, occupies a descriptor and a buffer. So a request must
arrive within a time limit, and an answer must be read at a minimum pace. When the server is full, it drops the client
that has kept it waiting longest, so that it can serve other clients.

``Connection`` is uvicorn's connection with these rules; ``PacedAnswers`` sends answers in pieces and counts unread
bytes.
Read ``traces.py`` next.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

import anyio
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from pellucid.serving.gate import SECURITY_HEADERS, error_response

__all__ = ["Client", "Connection", "Connections", "Limits", "PacedAnswers"]

_SECONDS_BETWEEN_SWEEPS: Final = 1.0
_PIECE_BYTES: Final = 64 << 10
_SMALL_ANSWER_BYTES: Final = 256 << 10
"""Smaller answers are not counted, because the number of connections limits them."""
_NO_ROOM: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 61\r\n"
    b"Connection: close\r\nRetry-After: 2\r\n\r\n"
    b'{"error": "too many connections are open; try again shortly"}'
)


@dataclass(frozen=True)
class Limits:
    """Limits for all clients of a server together, and for each client."""

    connections: int = 256
    """Open connections; a further one replaces a connection whose request is not complete."""
    request_seconds: float = 15.0
    """From the connection, or the last answer, until the next request is complete; a large one may take longer."""
    slowest_bytes_per_second: int = 32 << 10
    """A request that comes at this pace is not hurried, however large it is."""
    reading_seconds: float = 10.0
    """Time for a client to read the next 64 KB of an answer."""
    patience_seconds: float = 0.25
    """The same while others need the room."""
    answers_bytes: int = 128 << 20
    """Of all answers being sent; a larger answer is sent alone."""

    @staticmethod
    def for_descriptors(most: int, *, wanted: int = 0) -> Limits:
        """Return limits for a process that may open ``most`` descriptors; half of them remain for files.

        ``wanted`` connections are allowed where they are more than usual and there are as many.
        """
        return Limits(connections=max(4, min(max(Limits.connections, wanted), most // 2)))

    @property
    def accepted_at_once(self) -> int:
        """How many connections asyncio accepts at once, before any of them can be refused."""
        return max(4, self.connections // 8)


class Client:
    """The client of a connection, and since when the server waits for it."""

    waiting_since: float | None = None
    """Since when the server waits for a complete request; None while it works on one."""
    stalled_since: float | None = None
    """Since when the client has not read what was sent; None if more can be sent."""

    def drop(self) -> None:
        """End the connection at once, without sending the rest."""


class Connections:
    """The open connections of a server, within ``limits``."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._open: dict[Connection, None] = {}  # in the order of their coming
        self._sweeps: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: Connection) -> bool:
        """Admit a connection and return True; when the server is full, drop one that keeps it waiting."""
        now = connection.loop.time()
        if len(self._open) >= self.limits.connections and (last := self._least_deserving(now)) is not None:
            last.drop()
        if len(self._open) >= self.limits.connections:
            return False
        self._open[connection] = None
        if self._sweeps is None:
            self._sweep(connection.loop)
        return True

    def forget(self, connection: Connection) -> None:
        """Stop counting a connection."""
        self._open.pop(connection, None)

    def _least_deserving(self, now: float) -> Connection | None:
        """Return the client that has kept the server waiting longest: for a request, or else while reading.

        Of several since the same instant, which a loop may count in milliseconds, it is the one that came first.
        """
        waiting = [(c.waiting_since, c) for c in self._open if c.waiting_since is not None]
        stalled = [
            (c.stalled_since, c)
            for c in self._open
            if c.stalled_since is not None and now - c.stalled_since >= self.limits.patience_seconds
        ]
        return min(waiting or stalled, key=itemgetter(0), default=(0.0, None))[1]

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in [c for c in self._open if c.is_overdue(now, self.limits)]:
            connection.drop()
        self._sweeps = loop.call_later(_SECONDS_BETWEEN_SWEEPS, self._sweep, loop) if self._open else None


class Connection(H11Protocol, Client):
    """A uvicorn connection that ends when its client keeps the server waiting."""

    def __init__(
        self,
        connections: Connections,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, {**app_state, "client": self}, _loop)
        self._connections = connections
        self._received_bytes = 0
        self._counted_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Serve the client if there is room."""
        self.waiting_since = self.loop.time()
        if self._connections.admit(self):
            super().connection_made(transport)
        else:
            self.transport = transport
            transport.write(_NO_ROOM)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection has ended."""
        self._connections.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, and count what has come of the request that the server waits for."""
        if self._counted_since != self.waiting_since:
            self._counted_since, self._received_bytes = self.waiting_since, 0
        self._received_bytes += len(data)
        super().data_received(data)

    def pause_writing(self) -> None:
        """Note that the client does not read what was sent."""
        self.stalled_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that the client reads again."""
        self.stalled_since = None
        super().resume_writing()

    def is_overdue(self, now: float, limits: Limits) -> bool:
        """Return whether the client has kept the server waiting longer than the limits allow."""
        in_time = limits.request_seconds + self._received_bytes / limits.slowest_bytes_per_second
        return (self.waiting_since is not None and now - self.waiting_since > in_time) or (
            self.stalled_since is not None and now - self.stalled_since > limits.reading_seconds
        )

    def drop(self) -> None:
        """End the connection at once, without sending the rest."""
        self._connections.forget(self)
        self.transport.abort()


def _unfinished() -> Response:
    text = "the server stopped before this was done; ask again in a moment"
    return error_response(503, text, {"Retry-After": "2", "Connection": "close", **SECURITY_HEADERS})


class PacedAnswers:
    """Send answers in pieces, each after the one before it was sent, and limit the bytes of all answers.

    An answer is in memory once, and the buffers of the connection hold only a piece or two of it. This class also
    notes when a request is complete and when its answer was sent.

    Args:
        app: the application that answers.
        limits: limits of the bytes.
    """

    def __init__(self, app: ASGIApp, *, limits: Limits) -> None:
        self._app = app
        self._limits = limits
        self._unread: dict[Client, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI asks for."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client: Client = scope.get("state", {}).get("client") or Client()
        if scope["method"] in {"GET", "HEAD"}:
            client.waiting_since = None
        start: Message | None = None
        is_answered = is_streaming = False

        async def noting() -> Message:
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body", False):
                client.waiting_since = None
            return message

        async def answer(message: Message) -> None:
            nonlocal start, is_answered, is_streaming
            if message["type"] == "http.response.start":
                start = message  # sent with the body, once it is known whether the body fits
            elif start is not None and (is_streaming or message.get("more_body", False)):
                is_answered = True
                if not is_streaming:
                    await send(start)
                is_streaming = True
                if not message.get("more_body", False):
                    client.waiting_since = anyio.current_time()
                await send(message)
            elif start is not None:
                is_answered = True
                body = b"" if scope["method"] == "HEAD" else message.get("body", b"")
                await self._deliver(client, start, body, send)

        try:
            await self._app(scope, noting, answer)
        except asyncio.CancelledError:  # the server ends before this is done
            if not is_answered:
                await _unfinished()(scope, receive, send)
        finally:
            if not is_answered:
                client.waiting_since = anyio.current_time()

    async def _deliver(self, client: Client, start: Message, body: bytes, send: Send) -> None:
        if not self._has_room_for(len(body)):
            refusal = error_response(
                503,
                "the server is sending too many bytes to other clients; try again in a moment",
                {"Retry-After": "2", **SECURITY_HEADERS},
            )
            start, body = {**start, "status": refusal.status_code, "headers": refusal.raw_headers}, bytes(refusal.body)
        if len(body) > _SMALL_ANSWER_BYTES:
            self._unread[client] = len(body)
        try:
            await send(start)
            for place in range(0, max(len(body), 1), _PIECE_BYTES):
                more = place + _PIECE_BYTES < len(body)
                if not more:  # set before sending, because the next request may follow at once
                    client.waiting_since = anyio.current_time()
                piece = body[place : place + _PIECE_BYTES]
                await send({"type": "http.response.body", "body": piece, "more_body": more})
        finally:
            self._unread.pop(client, None)

    def _has_room_for(self, size: int) -> bool:
        """Return whether an answer may be sent; drop clients that do not read, to make room for it."""
        if size <= _SMALL_ANSWER_BYTES:
            return True
        now = anyio.current_time()
        stalled = [(c.stalled_since, c) for c in self._unread if c.stalled_since is not None]
        for since, client in sorted(stalled, key=itemgetter(0)):
            if self._fits(size) or now - since < self._limits.patience_seconds:
                break
            del self._unread[client]
            client.drop()
        return not self._unread or self._fits(size)

    def _fits(self, size: int) -> bool:
        return sum(self._unread.values()) + size <= self._limits.answers_bytes
