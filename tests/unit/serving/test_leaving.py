"""Nothing is computed for a client that has left, and few may wait: the next is refused, and told so."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import anyio
import pytest
from starlette.types import ASGIApp, Message

from pellucid.analysis import checks
from pellucid.page import answers_trace
from pellucid.page.catalogue import Catalogue
from pellucid.serving.app import create_app
from pellucid.tracing import making
from pellucid.tracing.making import trace as make_trace
from pellucid.translation.stepper import ModelStepper

from .kit import opened_model

STEPS = 53
"""That a search takes where it is left alone."""


def slow_app() -> ASGIApp:
    opened = opened_model()
    translator = opened.translator.with_settings(max_length_constant=STEPS, min_length=STEPS - 1)
    return create_app(Catalogue([replace(opened, translator=translator)], make_translator=lambda bundle: translator))


async def status_of(app: ASGIApp, *, leaves: threading.Event) -> int:
    """Ask for a trace, as a client that goes away when it is told to."""
    waiting: list[Message] = [
        {"type": "http.request", "body": json.dumps({"model": "toy", "source": "ab c"}).encode(), "more_body": False}
    ]
    statuses: list[int] = []

    async def receive() -> Message:
        if waiting:
            return waiting.pop()
        if not leaves.is_set():
            await anyio.sleep_forever()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    await app(
        {"type": "http", "method": "POST", "path": "/api/traces", "query_string": b"", "headers": headers},
        receive,
        send,
    )
    return statuses[0]


@pytest.mark.parametrize("leaves_at", [1, 7])
def test_a_search_ends_when_its_client_leaves(monkeypatch: pytest.MonkeyPatch, leaves_at: int) -> None:
    leaves, count = threading.Event(), 0
    step = ModelStepper.step

    def counted(*arguments: object) -> object:
        nonlocal count
        count += 1
        if count == leaves_at:
            leaves.set()
        return step(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(ModelStepper, "step", counted)

    async def main() -> None:
        nonlocal count
        app = slow_app()
        assert await status_of(app, leaves=leaves) == 499
        assert leaves_at <= count <= leaves_at + 1, "the step under way, and no more"
        count = 100
        assert await status_of(app, leaves=threading.Event()) == 201
        assert count == 100 + STEPS, "nobody leaves, and the whole search is made"

    anyio.run(main)


def test_nothing_is_checked_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client leaves when the search is over already."""
    leaves = threading.Event()
    whole = make_trace

    def traced(*arguments: object, **options: object) -> object:
        made = whole(*arguments, **options)  # type: ignore[arg-type]
        leaves.set()
        monkeypatch.setattr(answers_trace, "check", lambda trace: pytest.fail("checked"))
        return made

    monkeypatch.setattr(answers_trace, "make_trace", traced)

    async def main() -> None:
        assert await status_of(slow_app(), leaves=leaves) == 499

    anyio.run(main)


@pytest.mark.parametrize("leaves_in", ["preparation", "the check"])
def test_work_ends_where_its_client_left(monkeypatch: pytest.MonkeyPatch, leaves_in: str) -> None:
    leaves = threading.Event()
    owner, name = {"preparation": (making, "prepare"), "the check": (checks._Checker, "attentions")}[leaves_in]
    after, what = {
        "preparation": (ModelStepper, "step"),
        "the check": (checks._Checker, "hypothesis"),
    }[leaves_in]
    work = getattr(owner, name)

    def left(*arguments: object, **options: object) -> object:
        leaves.set()
        return work(*arguments, **options)

    monkeypatch.setattr(owner, name, left)
    monkeypatch.setattr(after, what, lambda *arguments: pytest.fail("it went on"))

    async def main() -> None:
        assert await status_of(slow_app(), leaves=leaves) == 499

    anyio.run(main)


def test_eight_may_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on, statuses = threading.Event(), []

    def held(*arguments: object, **options: object) -> object:
        assert goes_on.wait(600)
        return make_trace(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(answers_trace, "make_trace", held)

    async def main() -> None:
        app = slow_app()

        async def ask() -> None:
            statuses.append(await status_of(app, leaves=threading.Event()))
            goes_on.set()

        async with anyio.create_task_group() as clients:
            for _ in range(10):
                clients.start_soon(ask)

    anyio.run(main)
    assert statuses == [503, *[201] * 9], "one is computed, eight wait, and the tenth hears at once that they do"
