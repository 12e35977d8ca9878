"""Traces are kept up to so many bytes, under ids that nobody can guess; models compute one thing at a time."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from dataclasses import replace

import anyio
import pytest

from pellucid.errors import RequestError
from pellucid.page.answers_trace import make_record
from pellucid.serving.traces import BusyError, ClientGoneError, ComputeQueue, TraceGoneError, TraceStore

from .kit import ask, client, opened_model

RECORD = make_record(opened_model(), "ab", trace_id="x")


async def nobody_left() -> bool:
    return False


def test_the_least_recently_used_go_first() -> None:
    store = TraceStore(limit_bytes=3 * RECORD.nbytes)
    for name in "abc":
        store.add(replace(RECORD, id=name))
    store.get("a")
    store.add(replace(RECORD, id="d"))
    assert store.nbytes <= store.limit_bytes
    assert len(store) == 3
    for kept in "acd":
        assert store.get(kept).id == kept
    with pytest.raises(TraceGoneError, match="translate the sentence again"):
        store.get("b")


def test_a_trace_that_is_too_large_alone_is_refused_and_the_others_stay() -> None:
    store = TraceStore(limit_bytes=RECORD.nbytes)
    store.add(RECORD)
    larger = make_record(opened_model(), "abcdefgh", trace_id="y")
    with pytest.raises(RequestError, match="--trace-memory-mb"):
        store.add(larger)
    assert store.get("x") is RECORD


def test_what_a_trace_is_said_to_take_is_what_it_takes() -> None:
    """The record of a long search is larger than the arrays of a small model."""
    opened = opened_model(max_positions=139)
    settings = {"max_length_constant": 131, "min_length": 130, "beam_size": 5}
    make_record(opened, "ab", trace_id="first", settings=settings)
    gc.collect()
    tracemalloc.start()
    record = make_record(opened, "ab", trace_id="second", settings=settings)
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken > 1.2 * record.trace.nbytes
    assert 0.8 * taken < record.nbytes < 2 * taken


def test_a_server_keeps_within_its_memory() -> None:
    opened = opened_model()
    one = make_record(opened, "ab", trace_id="x").nbytes
    server = client(opened, trace_memory_bytes=5 * one)
    ids = [ask(server, f"{n % 10}{n // 10}").json()["id"] for n in range(9)]
    statuses = [server.get(f"/api/traces/{trace_id}").status_code for trace_id in ids]
    assert statuses[-1] == 200
    assert statuses[:4] == [410] * 4
    assert len(set(ids)) == 9
    assert all(len(bytes.fromhex(trace_id)) == 16 for trace_id in ids), "ids that nobody can guess"


def test_one_computes_at_a_time_and_the_queue_has_an_end() -> None:
    together = most = 0
    lock = threading.Lock()
    outcomes: list[object] = []

    def work() -> int:
        nonlocal together, most
        with lock:
            together += 1
            most = max(most, together)
        threading.Event().wait(0.02)
        with lock:
            together -= 1
        return 7

    async def main() -> None:
        queue = ComputeQueue(longest=3)

        async def one() -> None:
            try:
                outcomes.append(await queue.run(work, is_gone=nobody_left))
            except BusyError as error:
                outcomes.append(str(error))

        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(one)
        outcomes.append(await queue.run(work, is_gone=nobody_left))

    anyio.run(main)
    assert most == 1
    assert outcomes.count(7) == 5, "one computed, three waited, and one came later"
    refused = [outcome for outcome in outcomes if outcome != 7]
    assert len(refused) == 2
    assert "3 requests are waiting" in str(refused[0])


def test_nothing_is_computed_for_a_client_that_left() -> None:
    async def gone() -> bool:
        return True

    async def main() -> None:
        queue = ComputeQueue(longest=0)
        for _ in range(2):
            with pytest.raises(ClientGoneError):
                await queue.run(lambda: pytest.fail("computed"), is_gone=gone)

    anyio.run(main)
