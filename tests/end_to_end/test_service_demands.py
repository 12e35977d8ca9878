"""What a service has to withstand, over a real socket: bodies, clients that leave, names of files."""

from __future__ import annotations

import http.client
import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.end_to_end.live_service import listening
from tests.unit.serving.service_kit import Shouter, pair_of

from pellucid.config.service import ServiceConfig, ServiceLimits
from pellucid.serving.models.pool import ModelPool
from pellucid.serving.service import Service

PATIENCE_SECONDS = 60
LARGE = 200 << 20
PIECE = b"a" * (1 << 16)


class Served:
    """A service, its model, and its address."""

    def __init__(self, service: Service, model: Shouter, address: str) -> None:
        self.service, self.model = service, model
        self.place = urlsplit(address).hostname or "", urlsplit(address).port or 0

    def connected(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self.place, timeout=PATIENCE_SECONDS)

    def asked(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, bytes, dict[str, str]]:
        connection = self.connected()
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        kind = {} if "Content_Type" in headers else {"Content-Type": "application/json"}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, data, kind | named | {"Connection": "close"})
        with connection.getresponse() as answer:
            return answer.status, answer.read(), {name.lower(): value for name, value in answer.headers.items()}


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    model = Shouter()
    pool = ModelPool([pair_of(model)])
    service = Service(pool, ServiceConfig(limits=ServiceLimits(queue_requests=64)))
    pool.open_what_fits()
    service._workers.start()
    with listening(service) as address:
        yield Served(service, model, address)


def peak_kilobytes() -> int:
    return int(re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text(encoding="ascii"))[0])


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


@pytest.mark.parametrize("announced", ["truly", "less", "in chunks"])
@pytest.mark.parametrize("path", ["/translate", "/v2/translate", "/v1/document"])
def test_a_body_of_200_megabytes_takes_no_memory(served: Served, path: str, announced: str) -> None:
    # A1. What is sent from this process is always the same piece.
    try:
        forget_peak()
    except OSError:
        pytest.skip("the peak of the memory cannot be reset here")
    before = peak_kilobytes()
    limit = served.service.limits.document_bytes if path == "/v1/document" else served.service.limits.body_bytes
    kind = "multipart/form-data; boundary=b" if path == "/v1/document" else "application/json"
    size = {
        "truly": f"Content-Length: {LARGE}",
        "less": "Content-Length: 100",
        "in chunks": "Transfer-Encoding: chunked",
    }
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n{size[announced]}\r\n\r\n".encode()
    piece = b"%x\r\n%s\r\n" % (len(PIECE), PIECE) if announced == "in chunks" else PIECE
    answer = b""
    with socket.create_connection(served.place, timeout=PATIENCE_SECONDS) as client:
        client.sendall(head)
        try:
            for _ in range(LARGE // len(PIECE)):
                client.sendall(piece)
            answer = client.recv(1 << 16)
        except OSError:  # the server has closed the connection, as it may
            pass
    if answer:
        assert int(answer.split(b" ", 2)[1]) in (400, 413)
    assert served.asked("GET", "/readyz")[0] == 200
    # Twice the limit, and what the allocator keeps.
    assert peak_kilobytes() - before < (2 * limit >> 10) + (8 << 10)


def test_fifty_clients_that_leave_free_their_places_and_cost_nothing(served: Served) -> None:
    # A5. One text for each worker of the queue first, so that all of the fifty wait, however slow this machine is.
    workers = served.service.queue.bounds.workers
    served.model.calls.clear()

    def client(texts: list[str]) -> socket.socket:
        body = json.dumps({"q": texts, "source": "de", "target": "en"}).encode()
        head = "POST /translate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        connection = socket.create_connection(served.place, timeout=PATIENCE_SECONDS)
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        return connection

    with ExitStack() as open_ones, served.model.held():
        for number in range(workers):
            open_ones.enter_context(client(["eins"]))
            until(lambda begun=number + 1: len(served.model.calls) == begun)
        clients = [client(["eins zwei"] * 4) for _ in range(50)]
        until(lambda: served.service.queue.requests == workers + 50)
        for one in clients:
            one.close()
        until(lambda: served.service.queue.requests == workers)
    until(lambda: served.service.queue.requests == 0)
    status, answer, _ = served.asked("POST", "/translate", {"q": "drei", "source": "de", "target": "en"})
    assert (status, json.loads(answer)) == (200, {"translatedText": "DREI"})
    assert sum(map(len, served.model.calls)) == workers + 1, "what waited was never translated"


def until(holds: object) -> None:
    assert callable(holds)
    for _ in range(PATIENCE_SECONDS * 100):
        if holds():
            return
        time.sleep(0.01)
    pytest.fail("it never came about")


@pytest.mark.parametrize(
    "name",
    [
        "..", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "%00", "a%00.txt", "....//etc/passwd", "C:%5Cx",
        "..%5c..%5cx", "%c0%ae%c0%ae/x", "x" * 4000, "tmp-sibling/x", "",
    ],
)  # fmt: skip
def test_names_of_files_lead_nowhere(served: Served, name: str) -> None:
    # A15
    status, answer, _ = served.asked("GET", f"/download_file/{name}")
    assert (status, list(json.loads(answer))) == (404, ["error"])


@pytest.mark.parametrize(
    "name", ["../../a.txt", "/etc/a.txt", "C:\\x\\a.txt", "a\u202e.txt", "a;b.txt", "<script>.txt"]
)
def test_the_name_of_an_upload_stays_a_name(served: Served, name: str) -> None:
    # A15: the file is in memory under a random name; the client's own comes back without folders, and escaped.
    parts = "".join(
        f'--b\r\nContent-Disposition: form-data; name="{field}"{more}\r\n\r\n{value}\r\n'
        for field, more, value in (
            ("source", "", "de"),
            ("target", "", "en"),
            ("file", f'; filename="{name}"', "ab"),
        )
    )
    body = f"{parts}--b--\r\n".encode()
    status, answer, _ = served.asked("POST", "/translate_file", body, Content_Type="multipart/form-data; boundary=b")
    assert status == 200, answer
    place = urlsplit(json.loads(answer)["translatedFileUrl"])
    token = place.path.removeprefix("/download_file/").removesuffix(".txt")
    assert re.fullmatch(r"[\w-]{32}", token), "24 random bytes"
    status, content, headers = served.asked("GET", place.path)
    assert (status, content, headers["content-type"]) == (200, b"AB", "application/octet-stream")
    said = headers["content-disposition"]
    assert said.startswith("attachment; filename*=UTF-8''")
    assert not re.search(r"[/\\<>;]|%2[fF]|%5[cC]", said.partition("''")[2])
    assert headers["x-content-type-options"] == "nosniff"
    assert served.asked("GET", place.path)[0] == 404
