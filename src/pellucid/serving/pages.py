"""The pages and their files: the inside of a model at ``/``, and the page for translators at ``/translator``.

They are the same for everybody and hold nothing of a model, so they need no key. Read ``traces.py`` next.
"""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pellucid.page.answers import Answer
from pellucid.page.assembly import TEMPLATE, ServedPage, served_page, translator_page, web_files
from pellucid.page.catalogue import UnknownPathError
from pellucid.serving.responding import ASK_AGAIN, FOR_EVER, Endpoint, digest, guarded, respond

__all__ = ["HTML", "page_routes"]

HTML: Final = "text/html; charset=utf-8"
_MEDIA_TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".html": HTML,
    ".svg": "image/svg+xml",
}


def page_routes(*, shows_inside: bool, translates: bool) -> list[Route]:
    """Return the routes of the pages that a server has; none if it has none."""
    routes = []
    if shows_inside:
        routes.append(Route("/", guarded(_page(served_page(translates=translates)))))
    if translates:
        routes.append(Route("/translator", guarded(_page(translator_page(shows_inside=shows_inside)))))
    return [*routes, Route("/web/{path:path}", guarded(_files()))] if routes else []


def _page(page: ServedPage) -> Endpoint:
    answer = Answer(page.html.encode(), HTML)
    headers = {"Content-Security-Policy": page.csp}

    async def endpoint(request: Request) -> Response:
        return respond(request, answer, etag=digest(answer.body), headers=headers)

    return endpoint


def _files() -> Endpoint:
    files = {path: content for path, content in web_files().items() if path != TEMPLATE}

    async def endpoint(request: Request) -> Response:
        path = request.path_params["path"]
        content = files.get(path)
        if content is None:
            raise UnknownPathError(f"the page has no file {path!r}")
        name = hashlib.sha256(content).hexdigest()
        answer = Answer(content, _MEDIA_TYPES.get(PurePosixPath(path).suffix, "application/octet-stream"))
        is_named = request.query_params.get("v", "-") == name[:8]
        return respond(request, answer, etag=name[:32], cache=FOR_EVER if is_named else ASK_AGAIN)

    return endpoint
