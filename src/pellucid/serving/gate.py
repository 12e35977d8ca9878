"""Who is let in, and the headers that every answer carries: a server on this machine is within reach of every web page.

A page of another site can make a browser send requests here. Its requests are refused by ``Host`` (its own name
might be made to point at this machine: DNS rebinding) and, where they change something, by ``Origin``; what
it could embed is refused by the headers. Read ``web/modules/data.js`` next.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["LOOPBACK_NAMES", "SECURITY_HEADERS", "STRICT_POLICY", "Gate", "error_response", "is_loopback"]

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
STRICT_POLICY: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""For answers that are no page: they load nothing and run nothing."""

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": STRICT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""Of every answer; a page has a policy of its own."""

_USUAL_PORTS: Final = {"http": 80, "https": 443}


def error_response(status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    """Tell what is wrong as JSON, ``{"error": sentence}``."""
    content = json.dumps({"error": sentence}, ensure_ascii=False).encode("utf-8", errors="replace")
    return Response(
        content, status, media_type="application/json", headers={"Cache-Control": "no-store"} | (headers or {})
    )


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach a host."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Gate:
    """Refuse requests that were not meant for this server, and put the headers on what it answers.

    Args:
        app: what is behind.
        host: the name or address that the server listens at. Where that is every address (``0.0.0.0``, ``::``),
            it answers to any address in numbers: no name of another site is one.
        also: further names that it answers to.
    """

    def __init__(self, app: ASGIApp, *, host: str, also: Iterable[str] = ()) -> None:
        self._app = app
        self._hosts = LOOPBACK_NAMES | {host.lower().strip("[]")} | {name.lower() for name in also}
        self._takes_numbers = host in {"0.0.0.0", "::"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI asks for."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        if scope["type"] != "http":  # there is nothing else here to talk to
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        headers = Headers(scope=scope)
        refusal = self._refusal(scope["method"], scope.get("scheme", "http"), headers)
        if refusal is not None:
            await refusal(scope, receive, send_with_headers)
        else:
            await self._app(scope, receive, send_with_headers)

    def _refusal(self, method: str, scheme: str, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if not self._is_own(host):
            return error_response(
                421,
                f"this server does not answer to the name {host[:100]!r}; ask for "
                f"{' or '.join(sorted(self._hosts - {'0.0.0.0', '::'}))}, or start it with --host and that name",
            )
        if method in {"GET", "HEAD"}:
            return None
        own = _origin(f"{scheme}://{host}")
        for origin in headers.getlist("origin"):  # a program sends none
            if own is None or _origin(origin) != own:
                return error_response(
                    403, f"a page of {origin[:100]!r} may not ask this server; use the page it serves"
                )
        return None

    def _is_own(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        return name in self._hosts or (self._takes_numbers and _is_address(name))


def _origin(text: str) -> tuple[str, str, int] | None:
    """Return scheme, name and port of an origin; None of ``null`` and of what is malformed."""
    try:
        parts = urlsplit(text)
        port = parts.port or _USUAL_PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    has_more = parts.path or parts.query or parts.fragment or "@" in parts.netloc
    return None if has_more or not parts.hostname else (parts.scheme, parts.hostname, port)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
