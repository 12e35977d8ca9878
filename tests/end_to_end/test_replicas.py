"""Real servers behind a balancer: one that is killed costs its own requests, and replacing all of them costs none."""

from __future__ import annotations

import http.client
import json
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.end_to_end.balancer import Balancer, Instance, balancing
from tests.end_to_end.small_runs import kept_port
from tests.end_to_end.test_service_clients import FEW
from tests.forked import Started
from tests.models import random_model, save_model

from pellucid.serving.corrections.journal import Journal

PATIENCE_SECONDS = 300
CLIENTS = 4
PAUSE_SECONDS = 0.1
"""The servers start beside this load."""
SOURCE = "ab cd. Ef gh!"


def ask(port: int, number: int = 0, path: str = "/translate") -> int:
    """Ask for a translation, or for a path; return the status, and 0 for a connection that broke."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    body = json.dumps({"q": f"{SOURCE} {number}", "source": "de", "target": "en"}) if path == "/translate" else None
    try:
        headers = {"Content-Type": "application/json", "Connection": "close"}
        connection.request("POST" if body else "GET", path, body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def until(what: str, holds: object) -> None:
    """Wait until a function returns something true."""
    assert callable(holds)
    for _ in range(PATIENCE_SECONDS * 20):
        if holds():
            return
        time.sleep(0.05)
    pytest.fail(f"never: {what}")


class Load:
    """Clients that send a request as soon as the last one is answered."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._is_over = threading.Event()
        self.statuses: list[int] = []
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(CLIENTS)]

    def _run(self, number: int) -> None:
        while not self._is_over.is_set():
            self.statuses.append(ask(self._port, number))
            number += CLIENTS
            time.sleep(PAUSE_SECONDS)

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    @property
    def failed(self) -> int:
        return sum(status != 200 for status in self.statuses)

    def goes_on(self) -> None:
        """Wait for answers to requests of every client."""
        before = len(self.statuses)
        until("further answers", lambda: len(self.statuses) >= before + 3 * CLIENTS)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = save_model(tmp_path_factory.mktemp("replicas") / "toy", random_model(), translation=FEW)
    path = folder.parent / "serve.toml"
    path.write_text(f'page = false\n[limits]\nnotice_seconds = 0.5\n[[models]]\npath = "{folder}"\n', encoding="utf-8")
    return path


@pytest.fixture
def port() -> Iterator[int]:
    with kept_port() as port:
        yield port


@contextmanager
def started(config: Path, port: int, *more: str) -> Iterator[Started]:
    process = Started("-m", "pellucid", "serve", "--threads", "1", "--config", config, "--port", str(port), *more)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_killed_instance_costs_its_own_requests_and_replacing_all_costs_none(config: Path) -> None:
    with ExitStack() as held:
        ports = [held.enter_context(kept_port()) for _ in range(3)]
        processes = [held.enter_context(started(config, port)) for port in ports]
        balancer = held.enter_context(balancing(ports))
        until("three are ready", lambda: all(one.is_ready for one in balancer.instances))
        with Load(balancer.port) as load:
            until("each has answered", lambda: all(one.answered for one in balancer.instances))
            first = balancer.instances[0]
            until("it has requests", lambda: first.open)
            processes[0].kill()
            processes[0].wait()
            first.is_ready = False  # as a balancer notes at its next look
            load.goes_on()
            assert load.failed == sum(one.broken for one in balancer.instances) == first.broken <= CLIENTS
            lost = load.failed
            replace(held, config, balancer, first)
            assert first.broken == lost, "the one that starts again serves at once"
            for process, instance in zip(processes[1:], balancer.instances[1:], strict=True):
                process.send_signal(signal.SIGTERM)
                assert process.wait(PATIENCE_SECONDS) == 0
                replace(held, config, balancer, instance)
                load.goes_on()
            assert load.failed == lost, "a rolling restart fails no request"


def replace(held: ExitStack, config: Path, balancer: Balancer, instance: Instance) -> None:
    """Start an instance anew at its port, and wait until it answers again."""
    before = instance.answered
    held.enter_context(started(config, instance.port))
    until("the new one answers", lambda: instance.answered > before)


@pytest.mark.slow
def test_a_killed_server_keeps_its_word_and_a_long_day_leaves_nothing_behind(
    config: Path, port: int, tmp_path: Path
) -> None:
    journal = tmp_path / "corrections"
    more = ["--corrections", str(journal)]
    with started(config, port, *more) as process:
        until("it is ready", lambda: ask(port, path="/readyz") == 200)
        many(port, 400)
        before = settled(process)
        many(port, 1000)
        after = settled(process)
        assert after.threads == before.threads
        assert after.descriptors == before.descriptors
        assert after.kilobytes - before.kilobytes < 3072, "1,000 requests"
        promised = set()
        with Load(port) as load:
            for number in range(8):
                suggestion = {"q": f"{SOURCE} {number}", "s": f"ab {number}", "source": "de", "target": "en"}
                assert posted(port, "/suggest", suggestion) == {"success": True}
                promised.add(suggestion["s"])
            load.goes_on()
            process.kill()
            process.wait()
    with started(config, port, *more):
        until("it is ready", lambda: ask(port, path="/readyz") == 200)
        assert ask(port) == 200
    assert promised <= {one.target for one in Journal(journal).corrections()}


def many(port: int, count: int) -> None:
    """Send requests on one connection, which the server may close between two while a busy machine lets us wait."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    for number in range(count):
        body = json.dumps({"q": f"{SOURCE} {number % 50}", "source": "de", "target": "en"})
        for is_last_try in (False, True):
            try:
                connection.request("POST", "/translate", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                break
            except ConnectionError:
                connection.close()
                if is_last_try:
                    raise
        answer.read()
        assert answer.status == 200
    connection.close()


def posted(port: int, path: str, content: object) -> object:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    connection.request("POST", path, json.dumps(content), {"Content-Type": "application/json", "Connection": "close"})
    with connection.getresponse() as answer:
        return json.load(answer)


@dataclass(frozen=True)
class Footprint:
    kilobytes: int
    threads: int
    descriptors: int


def settled(process: Started) -> Footprint:
    """Return the footprint when connections that have just ended are no longer counted: it is the same for a second."""
    readings = [footprint(process)]

    def is_settled() -> bool:
        readings.append(footprint(process))
        counts = {(one.threads, one.descriptors) for one in readings[-20:]}
        return len(readings) >= 20 and len(counts) == 1

    until("no connection is left", is_settled)
    return readings[-1]


def footprint(process: Started) -> Footprint:
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    resident, threads = (int(re.findall(rf"{name}:\s+(\d+)", status)[0]) for name in ("VmRSS", "Threads"))
    return Footprint(resident, threads, len([*Path(f"/proc/{process.pid}/fd").iterdir()]))
