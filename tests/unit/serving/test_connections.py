"""Answers are sent in pieces, so many bytes of them at once; who does not read them makes room for others."""

from __future__ import annotations

import anyio
import pytest
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from pellucid.serving.connections import Client, Limits, PacedAnswers

from .kit import client, opened_model

LARGE = 1 << 20


class Reader(Client):
    """A client that reads at will, and takes note of what becomes of it."""

    def __init__(self, *, reads: bool = True) -> None:
        self.reads = anyio.Event()
        if reads:
            self.reads.set()
        self.received: list[Message] = []
        self.is_dropped = False

    def drop(self) -> None:
        self.is_dropped = True
        self.reads.set()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.body" and not self.reads.is_set():
            self.stalled_since = anyio.current_time()
            await self.reads.wait()
        if not self.is_dropped:
            self.received.append(message)

    @property
    def status(self) -> int | None:
        return self.received[0]["status"] if self.received else None

    @property
    def bytes_received(self) -> int:
        return sum(len(message.get("body", b"")) for message in self.received)


async def large(scope: Scope, receive: Receive, send: Send) -> None:
    await Response(b"x" * LARGE)(scope, receive, send)


async def ask(app: PacedAnswers, reader: Reader, method: str = "GET") -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": method, "path": "/", "headers": [], "state": {"client": reader}}
    await app(scope, receive, reader.send)


def test_an_answer_comes_in_pieces_and_whole() -> None:
    async def main() -> None:
        app = PacedAnswers(large, limits=Limits())
        reader = Reader()
        await ask(app, reader)
        assert reader.bytes_received == LARGE
        assert max(len(message.get("body", b"")) for message in reader.received) <= 64 << 10
        assert [message.get("more_body") for message in reader.received][-2:] == [True, False]
        assert reader.waiting_since is not None
        head = Reader()
        await ask(app, head, "HEAD")
        assert (head.status, head.bytes_received, len(head.received)) == (200, 0, 2)

    anyio.run(main)


def test_where_others_are_read_too_slowly_there_is_no_room_for_a_while() -> None:
    """Within their patience nobody is cut off; after it, the one who has not read for longest."""

    async def main() -> None:
        app = PacedAnswers(large, limits=Limits(answers_bytes=3 * LARGE, patience_seconds=0.2))
        slow = [Reader(reads=False) for _ in range(3)]
        async with anyio.create_task_group() as group:
            for reader in slow:
                group.start_soon(ask, app, reader)
                await anyio.sleep(0.01)
            early = Reader()
            await ask(app, early)
            assert early.status == 503
            assert early.bytes_received < 1000
            await anyio.sleep(0.3)
            late = Reader()
            await ask(app, late)
            assert (late.status, late.bytes_received) == (200, LARGE)
            assert [reader.is_dropped for reader in slow] == [True, False, False]
            for reader in slow:
                reader.reads.set()
        assert [reader.bytes_received for reader in slow] == [0, LARGE, LARGE]
        again = Reader()
        await ask(app, again)
        assert again.status == 200, "what is sent takes no room any more"

    anyio.run(main)


def test_one_that_is_larger_than_the_room_is_sent_alone() -> None:
    async def main() -> None:
        app = PacedAnswers(large, limits=Limits(answers_bytes=LARGE // 2))
        reader = Reader()
        await ask(app, reader)
        assert reader.bytes_received == LARGE

    anyio.run(main)


def test_small_answers_need_no_room() -> None:
    async def small(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(b"x" * 1000)(scope, receive, send)

    async def main() -> None:
        limits = Limits(answers_bytes=LARGE)
        app, other = PacedAnswers(large, limits=limits), Reader(reads=False)
        async with anyio.create_task_group() as group:
            group.start_soon(ask, app, other)
            await anyio.sleep(0.01)
            app._app = small
            reader = Reader()
            await ask(app, reader)
            assert (reader.status, reader.bytes_received) == (200, 1000)
            other.reads.set()

    anyio.run(main)


def test_a_request_without_an_answer_leaves_the_client_waited_for() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("nothing is sent")

    async def main() -> None:
        reader = Reader()
        with pytest.raises(RuntimeError):
            await ask(PacedAnswers(broken, limits=Limits()), reader)
        assert reader.waiting_since is not None

    anyio.run(main)


def test_the_refusal_carries_the_headers_of_every_answer() -> None:
    server = client(opened_model(d_feedforward=4096), limits=Limits(answers_bytes=1))
    path = "/api/models/toy/weights/encoder.layers.0.feed_forward.inner.weight"
    app = server.app
    assert isinstance(app, PacedAnswers)
    app._unread[Client()] = 1
    answer = server.get(path)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "too many bytes" in answer.json()["error"]


@pytest.mark.parametrize(("descriptors", "connections"), [(128, 64), (1024, 256), (1 << 40, 256), (4, 4)])
def test_connections_are_well_below_the_descriptors(descriptors: int, connections: int) -> None:
    limits = Limits.for_descriptors(descriptors)
    assert limits.connections == connections
    assert descriptors < 64 or connections + 3 * limits.accepted_at_once < descriptors - 32
