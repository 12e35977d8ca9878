"""What machines ask about the server: whether it lives, whether it is ready, its numbers, models and routes.

Read ``routes.py`` next.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pellucid.serving.metrics import MEDIA_TYPE
from pellucid.serving.protocols.answering import as_json, route
from pellucid.serving.protocols.reading import Fields
from pellucid.serving.service import Service
from pellucid.version import __version__

__all__ = ["health_routes"]

_DOCUMENT: Final = Path(__file__).with_name("openapi.json")


def health_routes(service: Service) -> list[Route]:
    """Return ``/healthz``, ``/readyz``, ``/metrics``, ``/version`` and the OpenAPI document."""
    return [
        route(service, "/healthz", _healthz, methods=("GET",)),
        route(service, "/readyz", _readyz, methods=("GET",)),
        route(service, "/metrics", _metrics, methods=("GET",)),
        route(service, "/version", _version, methods=("GET",)),
        route(service, "/v1/openapi.json", _document, methods=("GET",)),
        route(service, "/spec", _document, methods=("GET",)),
    ]


async def _healthz(service: Service, request: Request, fields: Fields) -> Response:
    return _state(service.illness)


async def _readyz(service: Service, request: Request, fields: Fields) -> Response:
    return _state(service.unreadiness)


async def _metrics(service: Service, request: Request, fields: Fields) -> Response:
    return Response(service.metrics.text(), media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})


async def _version(service: Service, request: Request, fields: Fields) -> Response:
    models = [
        {"name": pair.name, "source": pair.source, "target": pair.target, "weights": pair.version}
        for pair in service.pool.pairs.values()
    ]
    return as_json({"version": __version__, "models": models})


async def _document(service: Service, request: Request, fields: Fields) -> Response:
    return Response(_DOCUMENT.read_bytes(), media_type="application/json")


def _state(problem: str | None) -> Response:
    return as_json({"status": problem or "ok"}, 503 if problem else 200)
