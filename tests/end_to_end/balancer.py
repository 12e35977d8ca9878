"""A balancer for tests: it sends each request to the ready instance that has the fewest, as deploy/haproxy.cfg does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

__all__ = ["Balancer", "Instance", "balancing"]

_SECONDS_BETWEEN_LOOKS = 0.1
_BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass
class Instance:
    """A server behind the balancer."""

    port: int
    is_ready: bool = False
    open: int = 0
    broken: int = 0
    """Requests that it had accepted and did not answer."""
    answered: int = 0


@dataclass
class Balancer:
    """Instances behind one port.

    A request is sent again only where no connection was made, and waits while no instance is ready.
    """

    instances: Sequence[Instance]
    port: int = 0
    _looks: list[asyncio.Task[None]] = field(default_factory=list)
    _is_over: bool = False

    async def serve(self, until: asyncio.Event, started: threading.Event) -> None:
        """Balance until an event."""
        server = await asyncio.start_server(self._on_client, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._looks = [asyncio.create_task(self._look(one)) for one in self.instances]
        started.set()
        async with server:
            await until.wait()
            self._is_over = True
        for look in self._looks:
            look.cancel()

    async def _look(self, instance: Instance) -> None:
        while True:
            with suppress(OSError):
                answer = await _asked(
                    instance.port, b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
                )
                instance.is_ready = answer.startswith(b"HTTP/1.1 200")
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)

    async def _on_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            lengths = [
                line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
            ]
            request = head + await reader.readexactly(int(lengths[0]) if lengths else 0)
            writer.write(await self._answer(request))
            await writer.drain()
        writer.close()

    async def _answer(self, request: bytes) -> bytes:
        refusing: set[int] = set()
        while not self._is_over:
            ready = [one for one in self.instances if one.is_ready and one.port not in refusing]
            if not ready:  # on a busy machine, none can be for a moment
                refusing.clear()
                await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
                continue
            instance = min(ready, key=lambda one: one.open)
            instance.open += 1
            try:
                answer = await _asked(instance.port, request)
            except ConnectionRefusedError:
                refusing.add(instance.port)
                continue
            except OSError:
                answer = b""
            finally:
                instance.open -= 1
            if answer:
                instance.answered += 1
                return answer
            instance.broken += 1
            break
        return _BAD_GATEWAY


async def _asked(port: int, request: bytes) -> bytes:
    """Send a request that closes its connection, and return the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        return await reader.read()
    finally:
        writer.close()


@contextmanager
def balancing(ports: Sequence[int]) -> Iterator[Balancer]:
    """Run a balancer in a thread."""
    balancer = Balancer([Instance(port) for port in ports])
    loop, until, started = asyncio.new_event_loop(), asyncio.Event(), threading.Event()

    def run() -> None:  # from beginning to end, since a browser of other tests has a running loop in the main thread
        loop.run_until_complete(balancer.serve(until, started))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(600)
    try:
        yield balancer
    finally:
        loop.call_soon_threadsafe(until.set)
        thread.join()
