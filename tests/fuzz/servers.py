"""Two ways to ask the server: its program within this process, and the real command over a socket.

No answer may be a failure of the server, and after each an honest request must be answered.
"""

from __future__ import annotations

import ctypes
import errno
import json
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import anyio
from starlette.types import ASGIApp, Message

from pellucid.errors import RequestError
from pellucid.jobs.serve import open_catalogue
from pellucid.serving.app import create_app

PATIENCE_SECONDS = 300
WAIT_SECONDS = 0.05
"""Until a client stops sending: long enough for a quick answer, and many requests are never answered."""
SERVER_MEMORY_BYTES = 1 << 30
_BUSY = 503
"""More is asked at once than is allowed: the one status of the server's own that a client may see."""


class Application:
    """The program of a server, asked as ASGI asks it."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._app: ASGIApp = create_app(open_catalogue(folders, threads=1))
        name = folders[0].name
        wish = {"model": name, "source": "ab c"}
        headers = {"content-type": "application/json"}
        _, body = self._answer({"method": "POST", "path": "/api/traces", "headers": headers, "body": wish})
        self._trace_id = json.loads(body)["id"]

    def ask(self, asked: Mapping[str, object]) -> None:
        """Send a request; ``TRACE`` in its path stands for the id of a trace.

        Raises:
            RequestError: the server refused it.
        """
        status, body = self._answer(asked)
        if 400 <= status < 500 or status == _BUSY:
            assert "error" in json.loads(body), f"a refusal without a sentence: {body[:200]!r}"
            raise RequestError(f"{status}: {body[:200]!r}")
        assert status < 500, f"status {status}: {body[:500]!r}"
        assert self._answer({"method": "GET", "path": "/api/models"})[0] == 200

    def _answer(self, asked: Mapping[str, object]) -> tuple[int, bytes]:
        waiting: list[Message] = [{"type": "http.request", "body": _octets(asked.get("body", "")), "more_body": False}]
        statuses: list[int] = []
        parts: list[bytes] = []

        async def receive() -> Message:
            if waiting:
                return waiting.pop()
            await anyio.sleep_forever()
            raise AssertionError

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            parts.append(message.get("body", b""))

        async def main() -> None:
            await self._app(self._scope(asked), receive, send)

        anyio.run(main)
        return statuses[0], b"".join(parts)

    def _scope(self, asked: Mapping[str, object]) -> dict[str, object]:
        headers = asked.get("headers")
        given = {"host": "localhost", **(headers if isinstance(headers, dict) else {})}
        path = "/" + str(asked.get("path", "/")).lstrip("/").replace("TRACE", getattr(self, "_trace_id", ""))
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "http",
            "server": ("127.0.0.1", 80),
            "client": ("127.0.0.1", 9),
            "method": str(asked.get("method", "GET")),
            "path": path.encode("utf-8", "surrogatepass").decode("utf-8", "replace"),
            "raw_path": quote(path, safe="/%", errors="surrogatepass").encode(),
            "root_path": "",
            "query_string": quote(str(asked.get("query", "")), safe="=&%,;/", errors="surrogatepass").encode(),
            "headers": [
                (str(name).lower().encode("latin-1", "replace"), str(value).encode("latin-1", "replace"))
                for name, value in given.items()
            ],
        }


def _octets(body: object) -> bytes:
    """Return a body as it is sent: JSON in UTF-8, and a text that is no JSON as it stands."""
    if isinstance(body, str):
        return body.encode("utf-8", "surrogatepass")
    try:
        return json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # a lone surrogate, which JSON can spell
        return json.dumps(body).encode()


class Server:
    """The real command in a process of its own, which ends with this one."""

    def __init__(self, folder: Path) -> None:
        self._log = folder.parent / "server.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pellucid", "serve", str(folder), "--port", "0", "--threads", "1"],
                stderr=log,
                preexec_fn=_end_with_parent,
            )
        self._address: tuple[str, int] | None = None
        while self._address is None:
            assert self._process.poll() is None, self._log.read_text()
            if found := re.search(r"http://127\.0\.0\.1:(\d+)/", self._log.read_text()):
                self._address = ("127.0.0.1", int(found[1]))
            else:
                select.select([], [], [], 0.1)
        self._first_bytes = self._memory_bytes()

    def ask(self, content: bytes, *, is_sound: bool = False) -> None:
        """Send bytes, stop sending unless they are sound, and read what comes; then ask for the models.

        Raises:
            RequestError: every answer is a refusal, or there is none.
        """
        statuses = [
            int(status)
            for status in re.findall(rb"^HTTP/1\.1 (\d{3}) ", self._answers(content, is_sound=is_sound), re.M)
        ]
        assert all(status < 500 or status in (_BUSY, 505) for status in statuses), f"{statuses}\n{self._said()}"
        honest = self._answers(
            b"GET /api/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", is_sound=True
        )
        assert honest.startswith(b"HTTP/1.1 200 "), f"an honest request is not answered: {honest[:200]!r}"
        assert self._process.poll() is None, self._said()
        grown = self._memory_bytes() - self._first_bytes
        assert grown < SERVER_MEMORY_BYTES, f"the server has taken {grown:,} bytes more"
        if not any(status < 400 for status in statuses):
            raise RequestError(f"refused: {statuses}")

    def _answers(self, content: bytes, *, is_sound: bool) -> bytes:
        assert self._address is not None
        parts: list[bytes] = []
        with socket.create_connection(self._address, timeout=PATIENCE_SECONDS) as connection:
            try:
                connection.sendall(content)
                if not is_sound:
                    select.select([connection], [], [], WAIT_SECONDS)
                    connection.shutdown(socket.SHUT_WR)
                while part := connection.recv(1 << 16):
                    parts.append(part)
            except OSError as error:  # the server has heard enough, perhaps before the other end could stop sending
                if not isinstance(error, ConnectionError) and error.errno != errno.ENOTCONN:
                    raise
        return b"".join(parts)

    def _memory_bytes(self) -> int:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s*(\d+) kB", status)
        assert found is not None
        return int(found[1]) << 10

    def _said(self) -> str:
        return self._log.read_text(errors="replace")[-2000:]


def _end_with_parent() -> None:
    """Have Linux end this process when its parent is gone, however that ended (prctl, PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
