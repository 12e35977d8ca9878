"""A service over a stand-in of a translator, which shouts and can be held; asked without a network."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from starlette.testclient import TestClient

from pellucid.config import TranslationConfig
from pellucid.config.service import ServiceConfig
from pellucid.serving.app import create_app
from pellucid.serving.models.pool import ModelPool, ServedPair
from pellucid.serving.service import Service
from pellucid.text.tokenizer import BytesTokenizer
from pellucid.translation.engines.dropping import Drops
from pellucid.translation.hypothesis import Alignment, Hypothesis, Translation

HERE = "http://127.0.0.1:8642"
PATIENCE_SECONDS = 60
"""Ends a test that hangs."""


class Shouter:
    """Writes every text in capitals. While it is held, calls wait; ``calls`` has the texts of each."""

    def __init__(self, source: str = "de", target: str = "en") -> None:
        self.tokenizer = BytesTokenizer()
        self.config = TranslationConfig()
        self.source_language, self.target_language = source, target
        self.single_sentences = True
        self.origin = None
        self.calls: list[list[str]] = []
        self.settings: list[dict[str, Any]] = []
        self.drops: list[Drops] = []
        self.is_entered = threading.Semaphore(0)
        self._may_go = threading.Event()
        self._may_go.set()

    def with_terms(self, terms: object) -> Self:
        return self

    def with_drops(self, drops: Drops) -> Self:
        self.drops.append(drops)
        return self

    def translate(self, texts: Any, *, target_prefix: Sequence[str] = (), **settings: Any) -> list[Translation]:
        given = [texts] if isinstance(texts, str) else list(texts)
        self.calls.append(given)
        self.settings.append(settings)
        self.is_entered.release()
        assert self._may_go.wait(PATIENCE_SECONDS)
        if any("poison" in text for text in given):
            raise RuntimeError(f"cannot bear {given!r}")
        count = int(settings.get("n_best", 1))
        return [self._translation(text, count, settings) for text in given]

    def _translation(self, text: str, count: int, settings: dict[str, Any]) -> Translation:
        if "\ud800" in text:
            return Translation(text, "", 0.0, (), (), flags=("failed",), error="a lone surrogate")
        keeps = settings.get("placeholders") == "keep"
        loud = "".join(s if keeps and s[:1] == "<" else s.upper() for s in re.split("(<[^>]*>)", text))
        ranked = [loud + "!" * rank for rank in range(count)]
        best = tuple(
            Hypothesis((5, 1), -1.0 - rank, -2.0 - rank, (-1.5, -0.5 - rank), True, ("▁A", "</s>"), one)
            for rank, one in enumerate(ranked)
        )
        words, others = tuple(text.split()), tuple(ranked[0].split())
        alignment = Alignment(words, others, tuple((i, i) for i in range(len(words))))
        return Translation(
            text, ranked[0], -1.0, ("▁A",), best, ("copy",), alignment=alignment if settings.get("alignment") else None
        )

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let calls wait during the block."""
        self._may_go.clear()
        try:
            yield
        finally:
            self._may_go.set()

    def wait_for_a_call(self) -> None:
        assert self.is_entered.acquire(timeout=PATIENCE_SECONDS)


def pair_of(shouter: Any, **changes: Any) -> ServedPair:
    facts: dict[str, Any] = {
        "name": "toy",
        "source": shouter.source_language,
        "target": shouter.target_language,
        "weights_bytes": 1000,
        "open": lambda: shouter,
        "version": "abc123",
    }
    return ServedPair(**(facts | changes))


@contextmanager
def service_of(*shouters: Any, threads: int = 1, is_open: bool = True, **config: Any) -> Iterator[Service]:
    """Run a service of some translators, its models open."""
    pool = ModelPool([pair_of(one) for one in shouters])
    service = Service(pool, ServiceConfig.model_validate(config), threads=threads)
    if is_open:
        pool.open_what_fits()
    for one in shouters:
        if isinstance(one, Shouter):
            one.calls.clear()
            while one.is_entered.acquire(blocking=False):
                pass
    service._workers.start()
    try:
        yield service
    finally:
        service.end()


@contextmanager
def client_of(service: Service, *, host: str = "127.0.0.1", base_url: str = HERE) -> Iterator[TestClient]:
    """Ask a service on one event loop."""
    app = create_app(None, host=host, service=service)
    with TestClient(app, base_url=base_url, raise_server_exceptions=False) as client:
        yield client
