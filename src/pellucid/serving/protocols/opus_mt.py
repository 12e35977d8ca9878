"""The protocol of OPUS-MT's server, which plugins of translation tools speak. Read ``health.py`` next.

GET or POST /api/translate   {from, to, source}, or {source, target, text} as OmegaT's plugins send it
GET         /api/languages   {"de": ["en", ...], ...}
GET         /api/ready       204, or 503
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pellucid.serving.protocols.answering import as_json, caller_of, route
from pellucid.serving.protocols.libretranslate import (
    AUTO,
    TextWish,
    by_language,
    origins_of,
    refuse_failed,
    refuse_long,
)
from pellucid.serving.protocols.reading import Fields, not_applied, text, unknown_in
from pellucid.serving.service import Service

__all__ = ["opus_mt_routes"]

_DETECT = "detect"


def opus_mt_routes(service: Service) -> list[Route]:
    """Return the routes of OPUS-MT."""
    return [
        route(service, "/api/translate", _translate, methods=("GET", "POST")),
        route(service, "/api/languages", _languages, methods=("GET",)),
        route(service, "/api/ready", _ready, methods=("GET",)),
    ]


async def _translate(service: Service, request: Request, fields: Fields) -> Response:
    caller = caller_of(service, request, fields)
    is_omegat = "from" not in fields
    names = ("text", "source", "target") if is_omegat else ("source", "from", "to")
    given, source, target = (text(fields, name) for name in names)
    refuse_long(service, [given])
    found, _ = await by_language(service, caller, [given], AUTO if source == _DETECT else source, TextWish(target))
    refuse_failed(found)
    return as_json({"translation": found[0].text}, headers=origins_of(found) | not_applied(unknown_in(fields, names)))


async def _languages(service: Service, request: Request, fields: Fields) -> Response:
    return as_json({source: list(service.pool.targets_of(source)) for source in service.pool.sources})


async def _ready(service: Service, request: Request, fields: Fields) -> Response:
    return Response(status_code=503 if service.unreadiness else 204)
