"""Fixtures of the browser tests: Chromium, servers, models, and pages on which nothing may go wrong.

Without a browser every test here is skipped, with the reason; where ``PELLUCID_NEEDS_BROWSER`` is set, as in the
gate, that is a failure instead.
"""

from __future__ import annotations

import os
import queue
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.forked import Started

from pellucid.errors import BundleError
from pellucid.jobs.serve import walkthrough_folder

from .models import Shown, save_random_model, train_small_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from .windows import Window

ARGUMENTS = [
    "--no-sandbox",  # the tests may run as root, where Chromium's own sandbox refuses to start
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--font-render-hinting=none",
]
SECONDS_TO_START = 180
# Said after the address.
OF_THE_ENGINE = ("compiling the native engine", "preparing the model", "engine: ", "alignments: ")
OF_ITS_END = re.compile(r"^\S+ \S+ (?:SIGTERM: stopping; .*|stopped; all is answered)$")

OpenPage = Callable[..., "Window"]
Serve = Callable[..., str]


def _without_browser(reason: str) -> None:
    if os.environ.get("PELLUCID_NEEDS_BROWSER"):
        pytest.fail(f"{reason}, and PELLUCID_NEEDS_BROWSER is set")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Start the system's Chromium once; Playwright's own is never fetched."""
    try:
        from axe_playwright_python.base import AXE_SCRIPT  # noqa: F401
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        _without_browser(f"no browser tests: {error}; pip install -c constraints.txt -e '.[test,browser]'")
    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if executable is None:
        _without_browser("no browser tests: there is no chromium on the PATH; apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[OpenPage]:
    """Return a function that opens an address and watches it.

    ``open_page(address, width=360, height=800, **context)`` returns a ``Window``; ``context`` is Playwright's
    (``offline``, ``color_scheme``, ``locale``, ``reduced_motion``, ``forced_colors``); ``routes`` answer in the
    server's place, by patterns of addresses. The test fails if anything
    went wrong on the page, unless ``may_fail=True`` leaves that to the test.
    """
    from .windows import open_window

    watched: list[tuple[Window, bool]] = []
    with ExitStack() as contexts:

        def open_(
            address: str,
            *,
            width: int = 1440,
            height: int = 900,
            origin: str = "",
            may_fail: bool = False,
            routes: Mapping[str, Callable[..., None]] | None = None,
            **more: Any,
        ) -> Window:
            settings = {"locale": "en-US", "color_scheme": "light", "reduced_motion": "reduce"} | more
            context = chromium.new_context(viewport={"width": width, "height": height}, **settings)
            contexts.callback(context.close)
            window = open_window(context, address, origin=origin, routes=routes)
            watched.append((window, may_fail))
            return window

        yield open_
    assert [problem for window, may_fail in watched if not may_fail for problem in window.problems] == []


class Server:
    """``pellucid serve`` in a process of its own."""

    def __init__(self, *arguments: str) -> None:
        command = ("-m", "pellucid", "serve", "--port", "0", "--threads", "1", *arguments)
        environment = {**os.environ, "COLUMNS": "200", "OMP_NUM_THREADS": "1"}
        self.process = Started(*command, stderr=subprocess.PIPE, text=True, env=environment)
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.told: list[str] = []
        self.address = self._find_address()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._lines.put(line)
        self._lines.put("")

    def _find_address(self) -> str:
        while True:
            try:
                line = self._lines.get(timeout=SECONDS_TO_START)
            except queue.Empty:
                self.process.kill()
                raise AssertionError(f"the server did not start: {self.told}") from None
            self.told.append(line)
            if found := re.search(r"look inside: (http://\S+)", line):
                return found[1]
            assert line, f"the server ended: {''.join(self.told)}"

    def kill(self) -> None:
        """Lose it at once, as a machine does that is switched off."""
        self.process.kill()
        self.process.wait(timeout=600)
        self._reader.join()
        self.process.stderr.close()  # type: ignore[union-attr]

    def stop(self) -> None:
        """End it as a process manager does; it leaves with status 0 and has complained of nothing."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=600)
        self._reader.join()
        lines = [line for line in self._lines.queue if line and not line.startswith(OF_THE_ENGINE)]
        rest = [line for line in lines if not OF_ITS_END.search(line)]
        self.process.stderr.close()  # type: ignore[union-attr]
        assert (status, rest) == (0, [])


@pytest.fixture(scope="session")
def serve(chromium: Browser) -> Iterator[Serve]:
    """Return a function that serves model folders on a free port and returns the address; one server a set."""
    servers: dict[tuple[str, ...], Server] = {}

    def start(*arguments: str | Path) -> str:
        key = tuple(map(str, arguments))
        if key not in servers:
            servers[key] = Server(*key)
        return servers[key].address

    yield start
    for server in servers.values():
        server.stop()


@pytest.fixture(scope="session")
def small_run(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of six steps: 2 encoder and 3 decoder layers, 3 heads, post-norm, with everything a run keeps."""
    return train_small_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="session")
def random_model(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that writes a random model of bytes, of any shape."""

    def write(**changes: object) -> Path:
        return save_random_model(tmp_path_factory.mktemp("model") / "random", **changes)

    return write


@pytest.fixture(scope="session")
def walkthrough(chromium: Browser) -> Path:
    """Return the folder of the model that comes with pellucid."""
    try:
        return walkthrough_folder()
    except BundleError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def shown(serve: Serve, walkthrough: Path, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """Return one server of three models: the walkthrough's, and two random ones, of other depths, norms and layouts."""
    folder = tmp_path_factory.mktemp("shown")
    pre = save_random_model(folder / "pre", norm_order="pre", position_layout="half_split_t2t")
    learned = save_random_model(
        folder / "learned", position_layout="learned", num_encoder_layers=3, num_decoder_layers=2
    )
    return Shown(serve(walkthrough, pre, learned), {"walkthrough": walkthrough, "pre": pre, "learned": learned})
