"""DeepL's own client over a real socket, before a stand-in of a translator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import pytest
from tests.end_to_end.live_service import listening
from tests.unit.serving.service_kit import Shouter, pair_of

from pellucid.config.service import KeyConfig, ServiceConfig
from pellucid.serving.access.keys import sha256_of
from pellucid.serving.models.pool import ModelPool
from pellucid.serving.protocols.reading import NOT_APPLIED
from pellucid.serving.service import Service
from pellucid.translation.hypothesis import Translation

__all__ = ["Server", "deepl_serving"]

KEY = "a-key-for-tests"


class Termed(Shouter):
    """Writes the target forms of its terms, as a search with terms does."""

    terms: tuple[Any, ...] = ()

    def with_terms(self, terms: Any) -> Self:
        found = type(self).__new__(type(self))
        found.__dict__ |= self.__dict__ | {"terms": tuple(terms)}
        return found

    def _translation(self, text: str, count: int, settings: dict[str, Any]) -> Translation:
        for term in self.terms:
            text = text.replace(term.source, term.target[0])
        return super()._translation(text, count, settings)


class Server:
    """DeepL's client, what the model got, and the header of the last answer."""

    def __init__(self, address: str, model: Shouter) -> None:
        deepl = pytest.importorskip("deepl")
        self.client = deepl.DeepLClient(KEY, server_url=address.rstrip("/"), send_platform_info=False)
        self.model = model
        self.header: str | None = None
        self.sent: dict[str, Any] = {}
        """The body of the last request, if it was JSON."""
        session = self.client._client._session
        self._send, session.send = session.send, self._noted

    def _noted(self, request: Any, **options: Any) -> Any:
        is_json = "json" in request.headers.get("Content-Type", "")
        self.sent = json.loads(request.body) if is_json else {}
        answer = self._send(request, **options)
        self.header = answer.headers.get(NOT_APPLIED)
        return answer

    def translated(self, text: Any, *, source: str | None = "DE", target: str = "EN-US", **options: Any) -> Any:
        self.model.calls.clear()
        self.model.settings.clear()
        return self.client.translate_text(text, source_lang=source, target_lang=target, **options)

    @property
    def parts(self) -> list[str]:
        """What the model was asked for since the last call, sorted."""
        return sorted(text for call in self.model.calls for text in call)

    @property
    def named(self) -> list[str]:
        """What the last answer says that it does not apply, but for the region of "EN-US"."""
        return [one for one in (self.header or "").split(", ") if one not in ("", "target_lang")]


@contextmanager
def deepl_serving() -> Iterator[Server]:
    """Serve German to English, English to German, and German to the Portuguese of Brazil."""
    model = Termed()
    pool = ModelPool([pair_of(model), pair_of(Termed("en", "de")), pair_of(Termed("de", "pt-br"))])
    service = Service(pool, ServiceConfig(keys=(KeyConfig(name="client", sha256=sha256_of(KEY)),)))
    pool.open_what_fits()
    service._workers.start()
    with listening(service) as address:
        found = Server(address, model)
        yield found
        found.client.close()
