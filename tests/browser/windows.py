"""An open page, and everything that must not happen on it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:  # the fast tests are collected without them
    from playwright.sync_api import BrowserContext, ConsoleMessage, Download, Frame, Page, Request, Route

PATIENCE_SECONDS = 180.0
LATENCY_MILLISECONDS = 250
"""Of every answer, with ``PELLUCID_SLOW_BROWSER=6`` or another rate."""
# Looks again and again in the page, for a second at most, whether an expression or the answer of a function is true.
UNTIL = """async (argument) => {
    for (const end = performance.now() + 1000; ;) {
        const found = (%s);
        const value = await (typeof found === "function" ? found(argument) : found);
        if (value || performance.now() > end) {
            return value;
        }
        await new Promise((again) => setTimeout(again, 10));
    }
}"""
SERIOUS = {"serious", "critical"}


@dataclass
class Window:
    """A page with what it asked for and what went wrong on it; at the end of a test ``problems`` must be empty."""

    page: Page
    origin: str
    """What it may ask: a server's ``http://127.0.0.1:PORT``, or the address of the one file."""
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    """Addresses asked for, ``data:`` and ``blob:`` aside."""
    asked: list[Request] = field(default_factory=list)
    """The same with their answers."""

    def watch(self) -> None:
        """Note errors of the console, uncaught ones, refusals of the policy and requests to anybody else."""
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))
        self.page.on("crash", lambda _: self.problems.append("the page crashed"))
        self.page.on("request", self._asked)
        self.page.on("requestfailed", lambda request: self.problems.append(f"failed: {request.url[:200]}"))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning", "assert"}:
            self.problems.append(f"console {message.type}: {message.text[:500]}")

    def _asked(self, request: Request) -> None:
        if urlsplit(request.url).scheme in {"data", "blob", "about"}:
            return
        self.requests.append(request.url)
        self.asked.append(request)
        if not request.url.startswith(self.origin):
            self.problems.append(f"asked somebody else: {request.url[:200]}")

    def until(self, expression: str, argument: object = None, *, frame: Frame | None = None) -> Any:
        """Wait until an expression is true on the page, and return it.

        Playwright's ``wait_for_function`` evaluates a string from inside the page, which its policy refuses.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            value = self._value(frame or self.page, UNTIL % expression, argument)
            if value:
                return value
            if time.monotonic() > deadline:
                shown = self.page.evaluate("document.body.innerText.slice(0, 800)")
                raise AssertionError(f"never true: {expression}\nproblems: {self.problems}\nthe page shows: {shown}")

    def until_here(self, is_so: Callable[[], bool], what: str = "") -> None:
        """Wait for something that happens in this process, such as what ``problems`` or ``requests`` hear."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_so():
            assert time.monotonic() < deadline, (what, self.problems)
            self.page.wait_for_timeout(50)

    def _value(self, place: Page | Frame, expression: str, argument: object) -> Any:
        """Evaluate, or return None while the page loads itself anew, as it does for code that could not be fetched."""
        from playwright.sync_api import Error

        try:
            return place.evaluate(expression, argument)
        except Error as error:
            if "Execution context was destroyed" not in error.message:
                raise
            return None

    def ready(self) -> Window:
        """Wait until the view is drawn with its numbers."""
        self.until(
            "() => window.__inspect?.trace && document.querySelector('main[aria-busy=false] .chapter') && "
            "!document.querySelector('.chapter [aria-busy=true]')"
        )
        self.page.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
        return self

    def go(self, **state: object) -> Window:
        """Change the address after ``#`` as a link would, and wait for the view: ``go(view="links", layer=1)``."""
        self.page.evaluate(
            "(state) => { location.hash = new URLSearchParams(state); }",
            {
                name: ",".join(map(str, value)) if isinstance(value, list) else str(value)
                for name, value in state.items()
            },
        )
        if "view" in state:
            self.until("(name) => document.querySelector('.chapter')?.dataset.view === name", state["view"])
        return self.ready()

    def value(self, site: str, *index: int) -> float:
        """Return one number of the trace, as the page has it."""
        return float(self.page.evaluate("([site, index]) => __inspect.value(site, index)", [site, list(index)]))

    def array(self, site: str) -> tuple[list[int], list[float]]:
        """Return shape and numbers of a whole site, as the page has them."""
        found: Mapping[str, Any] = self.page.evaluate(
            "async (path) => { const {shape, data} = await __inspect.get(path); return {shape, data: [...data]}; }",
            f"api/traces/{self.trace_id}/sites/{site}",
        )
        return list(found["shape"]), list(found["data"])

    @property
    def trace_id(self) -> str:
        """The trace that the page shows."""
        return str(self.page.evaluate("__inspect.trace.id"))

    def save(self, figure: str, kind: str) -> Download:
        """Take a picture away as SVG, PNG or CSV, through its menu; without a figure, the first picture."""
        tools = self.page.locator(f"[data-figure={figure}] .tools" if figure else ".tools").first
        tools.locator(".menu > button").click()
        with self.page.expect_download() as download:
            tools.locator(f".menu-items button:has-text('{kind}')").click()
        return download.value

    def num_nodes(self) -> int:
        """Count the elements of the document."""
        return int(self.page.evaluate("document.getElementsByTagName('*').length"))

    def accessibility_problems(self, *, least: Sequence[str] = tuple(SERIOUS)) -> list[str]:
        """Let axe look at the page; name what it finds serious, with the places."""
        from axe_playwright_python.base import AXE_SCRIPT

        if self.page.evaluate("typeof axe === 'undefined'"):
            self.page.evaluate(AXE_SCRIPT)
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{rule['id']} ({rule['impact']}): {rule['help']}: {[node['html'][:160] for node in rule['nodes'][:3]]}"
            for rule in found["violations"]
            if rule["impact"] in least
        ]

    def screenshot(self, name: str, *, whole: bool = True) -> None:
        """Keep a picture of the page for a person who looks at it, where ``PELLUCID_SCREENSHOTS`` names a folder."""
        if folder := os.environ.get("PELLUCID_SCREENSHOTS"):
            self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=whole)


def slow_down(page: Page, rate: float, *, served: bool) -> None:
    """Divide the speed of the page by ``rate`` and delay every answer of a server, so that reading too early fails."""
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": rate})
    if served:
        network = {"offline": False, "latency": LATENCY_MILLISECONDS, "downloadThroughput": -1, "uploadThroughput": -1}
        session.send("Network.emulateNetworkConditions", network)


def open_window(
    context: BrowserContext,
    address: str,
    *,
    origin: str = "",
    routes: Mapping[str, Callable[[Route], None]] | None = None,
) -> Window:
    """Open an address in a context of its own, watched from the first request on; ``routes`` answer in its place."""
    parts = urlsplit(address)
    window = Window(context.new_page(), origin or (f"{parts.scheme}://{parts.netloc}" if parts.netloc else address))
    window.watch()
    window.page.set_default_timeout(PATIENCE_SECONDS * 1000)
    if rate := float(os.environ.get("PELLUCID_SLOW_BROWSER", "0")):
        slow_down(window.page, rate, served=parts.scheme == "http")
    for pattern, answer in (routes or {}).items():
        window.page.route(pattern, answer)
    window.page.goto(address)
    return window
