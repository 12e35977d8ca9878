"""A server that is asked by many who misbehave answers those who do not, within its memory and its descriptors."""

from __future__ import annotations

import json
import re
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest
import torch
from tests.forked import Started
from tests.models import random_model, save_model
from tests.unit.serving.kit import opened_model

from pellucid.config import TranslationConfig
from pellucid.jobs.serve import listen, server_of
from pellucid.page import answers_trace
from pellucid.page.answers import Answer
from pellucid.page.catalogue import Catalogue
from pellucid.serving.connections import Limits

HEAD = b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
LARGE = b"/api/models/toy/weights/encoder.layers.0.feed_forward.inner.weight"
LARGE_BYTES = 8 << 20


def get(port: int, path: bytes = b"/api/models", *, body: bytes | None = None, most: float = 60) -> tuple[int, bytes]:
    """Ask for a path, and read the answer to its end."""
    with socket.create_connection(("127.0.0.1", port), timeout=most) as client:
        head = HEAD % path if body is None else HEAD.replace(b"GET", b"POST") % path
        if body is not None:
            head += b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
        client.sendall(head + b"Connection: close\r\n\r\n" + (body or b""))
        answer = b"".join(iter(lambda: client.recv(1 << 20), b""))
    assert answer, "the server closed the connection"
    return int(answer.split(b" ", 2)[1]), answer.partition(b"\r\n\r\n")[2]


def answered(port: int, path: bytes, *, tries: int) -> int:
    """Ask until the server has room, as the page and its user do; return how often it had none."""
    for refusals in range(tries):
        try:
            status, content = get(port, path)
        except (ConnectionError, AssertionError):
            continue
        if status == 200:
            assert len(content) >= 100
            return refusals
        assert status == 503
        time.sleep(0.3)
    pytest.fail(f"no answer in {tries} tries")


def is_closed(client: socket.socket, *, within: float) -> bool:
    client.settimeout(within)
    try:
        while client.recv(1 << 16):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


@contextmanager
def served(folder: Path, *, descriptors: int) -> Iterator[tuple[int, Started, Path]]:
    """Serve a model by the real command, which may open so many files; yield port, process and what it says."""
    said = folder.parent / "said.txt"
    with said.open("wb") as sink:
        limit = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (descriptors, descriptors))
        command = ("-m", "pellucid", "serve", folder, "--port", "0", "--threads", "1")
        process = Started(*command, stderr=sink, before=limit)
    try:
        for _ in range(1200):
            if found := re.search(rb"look inside: http://127\.0\.0\.1:(\d+)/", said.read_bytes()):
                yield int(found[1]), process, said
                break
            assert process.poll() is None, said.read_text()
            time.sleep(0.1)
        else:
            pytest.fail(said.read_text())
    finally:
        process.kill()
        process.wait(600)


def peak_memory(process: Started) -> int:
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        pytest.skip("the system does not tell the peak of a process's memory")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) << 10  # type: ignore[index]


@pytest.fixture(scope="module")
def large_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model one of whose parameters is an answer of 8 MB."""
    model = random_model(d_model=512, num_heads=2, d_feedforward=4096, num_decoder_layers=1)
    few = TranslationConfig(beam_size=2, max_length_constant=5, max_length_factor=0.1)
    return save_model(tmp_path_factory.mktemp("crowd") / "toy", model, translation=few, dtype=torch.float16)


def test_half_requests_take_nobodys_place(large_folder: Path) -> None:
    """More connections than the process may open files, none of which ever finishes its request."""
    with served(large_folder, descriptors=128) as (port, process, said), ExitStack() as attack:
        for number in range(300):
            client = attack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=600))
            client.sendall((HEAD % b"/")[: number % 20])
            if number % 60 == 59:
                assert get(port)[0] == 200
                assert get(port, b"/api/traces", body=json.dumps({"model": "toy", "source": "ab"}).encode())[0] == 201
        assert len(list(Path(f"/proc/{process.pid}/fd").iterdir())) < 128 - 16
        assert process.poll() is None
        assert len(said.read_bytes()) < 64 << 10


@pytest.mark.slow
def test_answers_that_nobody_reads_take_bounded_memory(large_folder: Path) -> None:
    with served(large_folder, descriptors=1024) as (port, process, said), ExitStack() as attack:
        assert len(get(port, LARGE)[1]) == LARGE_BYTES
        before = peak_memory(process)
        for _ in range(200):
            client = attack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=600))
            client.sendall(HEAD % LARGE + b"\r\n")
        assert get(port)[0] == 200, "small answers need no room"
        answered(port, LARGE, tries=30)
        assert peak_memory(process) - before < 400 << 20, "200 answers of 8 MB are 1.6 GB"
        assert process.poll() is None
        assert len(said.read_bytes()) < 64 << 10


@contextmanager
def served_here(limits: Limits) -> Iterator[int]:
    """Serve a small model in a thread of this process, under other limits than the usual ones."""
    opened = opened_model()
    server = server_of(
        Catalogue([opened], make_translator=lambda bundle: opened.translator), host="127.0.0.1", limits=limits
    )
    with listen("127.0.0.1", 0) as taken:
        thread = threading.Thread(target=lambda: server.run(sockets=[taken]))
        thread.start()
        try:
            yield taken.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(600)
            assert not thread.is_alive()


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"GET / HT",
        HEAD % b"/",
        HEAD.replace(b"GET", b"POST") % b"/api/traces"
        + b"Content-Type: application/json\r\nContent-Length: 99\r\n\r\n{",
        HEAD % b"/api/models" + b"Content-Length: 99\r\n\r\n",
    ],
    ids=["nothing", "half a line", "half a head", "half a body", "a body where none belongs"],
)
def test_a_request_has_to_come_within_its_time(beginning: bytes) -> None:
    """A byte now and then does not help: the time is for the whole of it."""
    with served_here(Limits(request_seconds=1.0)) as port, socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(beginning)
        start = time.monotonic()
        while not is_closed(client, within=0.4):
            assert time.monotonic() - start < 120
            try:
                client.sendall(b"x")
            except ConnectionError:
                break
        assert get(port)[0] == 200


def test_who_waits_for_an_answer_is_not_hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is the client's: what the server takes to compute does not count."""
    goes_on, make = threading.Event(), answers_trace.make_trace

    def slow(*arguments: object, **options: object) -> object:
        assert goes_on.wait(600)
        return make(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(answers_trace, "make_trace", slow)
    with served_here(Limits(request_seconds=0.5, reading_seconds=0.5)) as port:
        release = threading.Timer(2.0, goes_on.set)
        release.start()
        assert get(port, b"/api/traces", body=b'{"model": "toy", "source": "ab"}')[0] == 201
        release.join()


def test_an_answer_has_to_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Far more than the buffers of the system hold, of which the client reads nothing, or a little now and then."""
    large = b"x" * (32 << 20)
    monkeypatch.setattr("pellucid.serving.app.models_answer", lambda catalogue: Answer(large))
    with served_here(Limits(reading_seconds=2.0, patience_seconds=60)) as port:
        with ExitStack() as clients:
            silent, slow = (clients.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(2))
            for client in (silent, slow):
                client.sendall(HEAD % b"/api/models" + b"Accept-Encoding: identity\r\n\r\n")
            for _ in range(12):
                time.sleep(0.3)
                slow.recv(7)
            assert is_closed(silent, within=120)
            assert is_closed(slow, within=120)
        status, content = get(port)
        assert (status, len(content)) == (200, len(large)), "who reads gets all of it"


def test_where_the_server_is_full_who_keeps_it_waiting_goes() -> None:
    with served_here(Limits(connections=8, request_seconds=600)) as port, ExitStack() as attack:
        clients = [attack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(8)]
        for number in range(3):
            assert get(port)[0] == 200
            assert is_closed(clients[number], within=120), "the one that has waited longest"
            clients.append(attack.enter_context(socket.create_connection(("127.0.0.1", port))))
        assert not is_closed(clients[7], within=0.3)


def test_where_everybody_is_served_the_next_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, goes_on = threading.Semaphore(0), threading.Event()

    def slow(catalogue: Catalogue) -> Answer:
        begun.release()
        assert goes_on.wait(600)
        return Answer(b"{}")

    monkeypatch.setattr("pellucid.serving.app.models_answer", slow)
    statuses: list[int] = []
    with served_here(Limits(connections=3)) as port:
        threads = [threading.Thread(target=lambda: statuses.append(get(port)[0])) for _ in range(3)]
        for thread in threads:
            thread.start()
            assert begun.acquire(timeout=600)
        with socket.create_connection(("127.0.0.1", port), timeout=600) as client:
            refusal = client.recv(4096)
        assert refusal.startswith(b"HTTP/1.1 503 ")
        assert "too many connections" in json.loads(refusal.partition(b"\r\n\r\n")[2])["error"]
        goes_on.set()
        for thread in threads:
            thread.join(600)
        assert statuses == [200] * 3
        assert get(port)[0] == 200


def test_a_large_request_that_comes_steadily_is_not_hurried() -> None:
    """Ten pieces in three seconds, where a small request has half of one."""
    body = b'{"model": "toy", "source": "ab", "unknown": "%b"}' % (b"x" * 40_000)
    head = HEAD.replace(b"GET", b"POST") % b"/api/traces"
    head += b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    limits = Limits(request_seconds=0.5, slowest_bytes_per_second=10_000)
    with served_here(limits) as port, socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(head)
        for at in range(0, len(body), 4001):
            time.sleep(0.25)
            client.sendall(body[at : at + 4001])
        assert client.recv(1 << 20).startswith((b"HTTP/1.1 4", b"HTTP/1.1 2")), "an answer, whatever it says"


@pytest.mark.parametrize(
    "upgrade", [b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n", b""]
)
def test_an_offer_of_another_protocol_is_passed_over(upgrade: bytes) -> None:
    """Java's client and ``curl --http2`` offer HTTP/2 with their first request, and its body counts all the same."""
    body = b'{"model": "toy", "source": "ab"}'
    head = HEAD.replace(b"GET", b"POST") % b"/api/traces" + upgrade
    head += b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    for parts in ([head + body], [head, body]):
        with served_here(Limits()) as port, socket.create_connection(("127.0.0.1", port), timeout=60) as client:
            for part in parts:
                client.sendall(part)
                time.sleep(0.1)
            assert client.recv(1 << 20).startswith(b"HTTP/1.1 201 ")


@pytest.mark.parametrize(
    "lines",
    [b"Host: example.org\r\n", b"Transfer-Encoding: gzip, chunked\r\n", b"X: " + b"x" * 20_000],
    ids=["two hosts", "an encoding of the body", "a head without an end"],
)
def test_a_head_that_means_two_things_is_refused(lines: bytes) -> None:
    with served_here(Limits()) as port, socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(HEAD % b"/api/models" + lines + (b"\r\n" if lines.endswith(b"\n") else b""))
        assert client.recv(1 << 20).split(b" ", 2)[1] in {b"400", b"501"}
