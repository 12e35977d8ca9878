"""How many clients are connected at once, how long each may take, and how much of its answer each may leave unread.

A client that sends half a request, or reads no answer, costs the server a descriptor and a buffer for as long as it
likes. So a whole request has to come within a time, and an answer has to be read at a pace. Where the server is full,
the client that has kept it waiting longest goes, so that those who behave are answered while others do not.

``Connection`` is uvicorn's own with these rules; ``PacedAnswers`` sends answers in pieces and counts what is unread.
Read ``traces.py`` next.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from pellucid.serving.gate import SECURITY_HEADERS, error_response

__all__ = ["Client", "Connection", "Connections", "Limits", "PacedAnswers"]

_SECONDS_BETWEEN_SWEEPS: Final = 1.0
_PIECE_BYTES: Final = 64 << 10
_SMALL_ANSWER_BYTES: Final = 256 << 10
"""Not counted: the number of connections bounds them."""
_NO_ROOM: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 61\r\n"
    b"Connection: close\r\nRetry-After: 2\r\n\r\n"
    b'{"error": "too many connections are open; try again shortly"}'
)


@dataclass(frozen=True)
class Limits:
    """What the clients of a server may take together, and each by itself."""

    connections: int = 256
    """Open at once; more push out one that is still waiting for its request."""
    request_seconds: float = 15.0
    """From the connection, or the last answer, until the whole of the next request is there."""
    reading_seconds: float = 10.0
    """For the next 64 KB of an answer to be read."""
    patience_seconds: float = 0.25
    """The same where the room is needed for others."""
    answers_bytes: int = 128 << 20
    """Of all answers that are being sent; one that is larger is sent alone."""

    @staticmethod
    def for_descriptors(most: int) -> Limits:
        """Return the usual limits for a process that may open so many files; half of them are left for files."""
        return Limits(connections=max(4, min(Limits.connections, most // 2)))

    @property
    def accepted_at_once(self) -> int:
        """How many asyncio accepts at a stroke, before any of them can be refused."""
        return max(4, self.connections // 8)


class Client:
    """Who is at the other end of a connection, and how long the server has been waiting for it."""

    waiting_since: float | None = None
    """Since when the server waits for the whole of a request; None while it is working on one."""
    stalled_since: float | None = None
    """Since when it has not read what was sent; None if there is room for more."""

    def drop(self) -> None:
        """End the connection, whatever is unsent."""


class Connections:
    """The open connections of a server, to whom ``limits`` apply."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._open: set[Connection] = set()
        self._sweeps: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: Connection) -> bool:
        """Let one in; where there is no room, one that keeps the server waiting goes for it."""
        now = connection.loop.time()
        if len(self._open) >= self.limits.connections and (last := self._least_deserving(now)) is not None:
            last.drop()
        if len(self._open) >= self.limits.connections:
            return False
        self._open.add(connection)
        if self._sweeps is None:
            self._sweep(connection.loop)
        return True

    def forget(self, connection: Connection) -> None:
        """Count one no more."""
        self._open.discard(connection)

    def _least_deserving(self, now: float) -> Connection | None:
        """Return who has kept the server waiting longest: for a request, or else for an answer to be read."""
        waiting = [(c.waiting_since, id(c), c) for c in self._open if c.waiting_since is not None]
        stalled = [
            (c.stalled_since, id(c), c)
            for c in self._open
            if c.stalled_since is not None and now - c.stalled_since >= self.limits.patience_seconds
        ]
        return min(waiting or stalled, default=(0.0, 0, None))[2]

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in [c for c in self._open if c.is_overdue(now, self.limits)]:
            connection.drop()
        self._sweeps = loop.call_later(_SECONDS_BETWEEN_SWEEPS, self._sweep, loop) if self._open else None


class Connection(H11Protocol, Client):
    """A connection as uvicorn serves it, that is ended when its client keeps the server waiting."""

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
        """Take note that it is over."""
        self._connections.forget(self)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Take note that the client does not read what was sent."""
        self.stalled_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Take note that it reads again."""
        self.stalled_since = None
        super().resume_writing()

    def is_overdue(self, now: float, limits: Limits) -> bool:
        """Return whether the client has kept the server waiting for longer than it may."""
        return (self.waiting_since is not None and now - self.waiting_since > limits.request_seconds) or (
            self.stalled_since is not None and now - self.stalled_since > limits.reading_seconds
        )

    def drop(self) -> None:
        """End the connection, whatever is unsent."""
        self._connections.forget(self)
        self.transport.abort()


class PacedAnswers:
    """Send answers in pieces, each when the last one is on its way, and only so many bytes of them at once.

    What an answer holds in memory is the answer itself, once, and nothing of it is in the buffers of the connection
    but a piece or two. It also tells the connection when a request is complete, and when its answer is out.

    Args:
        app: what answers.
        limits: of the bytes.
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
        is_answered = False

        async def heard() -> Message:
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body", False):
                client.waiting_since = None
            return message

        async def answer(message: Message) -> None:
            nonlocal start, is_answered
            if message["type"] == "http.response.start":
                start = message  # sent with the body, when it is known whether there is room for it
            elif start is not None:
                is_answered = True
                body = b"" if scope["method"] == "HEAD" else message.get("body", b"")
                await self._deliver(client, start, body, send)

        try:
            await self._app(scope, heard, answer)
        finally:
            if not is_answered:
                client.waiting_since = anyio.current_time()

    async def _deliver(self, client: Client, start: Message, body: bytes, send: Send) -> None:
        if not self._has_room_for(len(body)):
            refusal = error_response(
                503, "too much is being sent to others; try again in a moment", {"Retry-After": "2", **SECURITY_HEADERS}
            )
            start, body = {**start, "status": refusal.status_code, "headers": refusal.raw_headers}, bytes(refusal.body)
        if len(body) > _SMALL_ANSWER_BYTES:
            self._unread[client] = len(body)
        try:
            await send(start)
            for place in range(0, max(len(body), 1), _PIECE_BYTES):
                more = place + _PIECE_BYTES < len(body)
                if not more:  # before it is sent, as the next request may begin with it
                    client.waiting_since = anyio.current_time()
                piece = body[place : place + _PIECE_BYTES]
                await send({"type": "http.response.body", "body": piece, "more_body": more})
        finally:
            self._unread.pop(client, None)

    def _has_room_for(self, size: int) -> bool:
        """Tell whether an answer may be sent; those whose clients do not read them make room for it."""
        if size <= _SMALL_ANSWER_BYTES:
            return True
        now = anyio.current_time()
        stalled = sorted((c.stalled_since, id(c), c) for c in self._unread if c.stalled_since is not None)
        for since, _, client in stalled:
            if self._fits(size) or now - since < self._limits.patience_seconds:
                break
            del self._unread[client]
            client.drop()
        return not self._unread or self._fits(size)

    def _fits(self, size: int) -> bool:
        return sum(self._unread.values()) + size <= self._limits.answers_bytes
