"""Check where requests come from, and add security headers: every web page can reach a server on this machine.

A page of another site can make a browser send requests here. The gate refuses them by ``Host`` (the name of that site
could point to this machine: DNS rebinding) and, for requests that change something, by ``Origin``; the headers
prevent that other sites embed an answer. Read ``web/modules/data.js`` next.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["LOOPBACK_NAMES", "SECURITY_HEADERS", "STRICT_POLICY", "Gate", "error_response", "is_loopback"]

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
STRICT_POLICY: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""For answers other than the page: they load nothing and run nothing."""

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": STRICT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""Headers of every answer; the page has another Content-Security-Policy."""

_ENCODED_HEADERS: Final = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
_USUAL_PORTS: Final = {"http": 80, "https": 443}


def error_response(
    status: int, sentence: str, headers: dict[str, str] | None = None, *, more: Mapping[str, object] | None = None
) -> Response:
    """Return an error as JSON, ``{"error": sentence}`` and what else is known of it."""
    content = json.dumps({"error": sentence, **(more or {})}, ensure_ascii=False).encode("utf-8", errors="replace")
    return Response(
        content, status, media_type="application/json", headers={"Cache-Control": "no-store"} | (headers or {})
    )


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a host."""
    address = _address(host)
    return host.lower() == "localhost" or (address is not None and address.is_loopback)


class Gate:
    """Refuse requests from other sites, and add the security headers to every answer.

    Args:
        app: the application behind the gate.
        host: the name or address that the server listens on. If it listens on every address (``0.0.0.0``, ``::``),
            it answers to every numeric address, because the name of a site is never numeric.
        names: further names that it answers to.
        is_keyed: everything behind the gate needs a key, so that the name does not matter.
        admits: whether a page of an origin may use a path.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        host: str,
        names: Sequence[str] = (),
        is_keyed: bool = False,
        admits: Callable[[str, str], bool] = lambda path, origin: False,
    ) -> None:
        self._app = app
        self._hosts = LOOPBACK_NAMES | {name.lower().strip("[]") for name in (host, *names)}
        self._takes_numbers = host in {"0.0.0.0", "::"}
        self._is_keyed = is_keyed
        self._admits = admits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI asks for."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        if scope["type"] != "http":  # this server has no other protocol
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [*message.get("headers", ())]
                known = {name.lower() for name, _ in own}
                message["headers"] = own + [pair for pair in _ENCODED_HEADERS if pair[0] not in known]
            await send(message)

        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await refusal(scope, receive, send_with_headers)
        else:
            await self._app(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if not self._is_keyed and not self._is_own(host):
            return error_response(
                421,
                f"this server does not answer to the name {host[:100]!r}; use "
                f"{' or '.join(sorted(self._hosts - {'0.0.0.0', '::'}))}, or start it with --host and that name",
            )
        if scope["method"] in {"GET", "HEAD"}:
            return None
        own = _origin(f"{scope.get('scheme', 'http')}://{host}")
        for origin in headers.getlist("origin"):  # programs other than browsers send none
            if (own is None or _origin(origin) != own) and not self._admits(scope["path"], origin):
                return error_response(
                    403, f"pages of {origin[:100]!r} cannot use this server; use the page that it serves"
                )
        return None

    def _is_own(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        return name in self._hosts or (self._takes_numbers and _address(name) is not None)


def _origin(text: str) -> tuple[str, str, int] | None:
    """Return scheme, name and port of an origin; None for ``null`` and for malformed text."""
    try:
        parts = urlsplit(text)
        port = parts.port or _USUAL_PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    has_more = parts.path or parts.query or parts.fragment or "@" in parts.netloc
    return None if has_more or not parts.hostname else (parts.scheme, parts.hostname, port)


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
