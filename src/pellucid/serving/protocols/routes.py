"""All routes of the service, and their paths, which pages of other origins may be let to use.

Read ``../app.py`` next.
"""

from __future__ import annotations

from typing import Final

from starlette.routing import Route

from pellucid.serving.protocols.deepl import deepl_routes
from pellucid.serving.protocols.deepl_documents import deepl_document_routes
from pellucid.serving.protocols.documents import document_routes
from pellucid.serving.protocols.health import health_routes
from pellucid.serving.protocols.libretranslate import libretranslate_routes
from pellucid.serving.protocols.opus_mt import opus_mt_routes
from pellucid.serving.protocols.v1 import v1_routes
from pellucid.serving.service import Service

__all__ = ["service_routes"]

_USUAL: Final = ("/v1/translate", "/translate", "/v2/translate")
"""Routes are tried in their order, so these come first."""


def service_routes(service: Service) -> list[Route]:
    """Return the routes of all protocols."""
    every = [
        *v1_routes(service),
        *document_routes(service),
        *libretranslate_routes(service),
        *deepl_routes(service),
        *deepl_document_routes(service),
        *opus_mt_routes(service),
        *health_routes(service),
    ]
    return sorted(every, key=lambda one: one.path not in _USUAL)
