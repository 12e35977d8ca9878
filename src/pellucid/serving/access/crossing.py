"""Web pages of other origins that may use the service from a browser (CORS); none, unless the configuration names them.

The page and its answers are never open to them. Read ``../gate.py`` next, which refuses all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Crossing"]

_ALL: Final = "*"
_SECONDS_REMEMBERED: Final = "600"


class Crossing:
    """Let pages of some origins use some paths, without credentials.

    Args:
        app: the application.
        origins: as browsers write them, such as ``https://example.org``, or ``*``.
        paths: that they may use.
    """

    def __init__(self, app: ASGIApp, *, origins: Sequence[str], paths: Sequence[str]) -> None:
        self._app = app
        self._origins = frozenset(origins)
        self._paths = frozenset(paths)

    def admits(self, path: str, origin: str) -> bool:
        """Return whether a page of an origin may use a path."""
        is_known = any(path == one or ("{" in one and path.startswith(one.partition("{")[0])) for one in self._paths)
        return is_known and bool({_ALL, origin} & self._origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI asks for."""
        origin = Headers(scope=scope).get("origin", "") if scope["type"] == "http" else ""
        if not origin or not self.admits(scope["path"], origin):
            await self._app(scope, receive, send)
            return
        own = {
            "Access-Control-Allow-Origin": _ALL if _ALL in self._origins else origin,
            "Vary": "Origin",
            "Cross-Origin-Resource-Policy": "cross-origin",
        }
        if scope["method"] == "OPTIONS":
            asked = {
                "Access-Control-Allow-Methods": "GET, POST, DELETE",
                "Access-Control-Allow-Headers": "Authorization, Content-Type, X-Deadline-Seconds",
                "Access-Control-Max-Age": _SECONDS_REMEMBERED,
            }
            await Response(status_code=204, headers=own | asked)(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(own)
            await send(message)

        await self._app(scope, receive, send_with_headers)
