"""The numbers of the service for Prometheus. Labels come from fixed lists, and none holds text, a key or an address.

Read ``service.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from pellucid.serving.scheduling.work import Batch

__all__ = ["MEDIA_TYPE", "Metrics"]

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 60.0)
_SENTENCES: Final = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """Counters of one service, in a registry of its own."""

    def __init__(self) -> None:
        own = self._registry = CollectorRegistry()
        ProcessCollector(registry=own)  # memory, descriptors, processor time
        self._requests = Counter(
            "pellucid_requests", "Requests by route and status.", ["route", "status"], registry=own
        )
        self._refused = Counter("pellucid_refused", "Requests that were refused, by reason.", ["reason"], registry=own)
        self._gone = Counter("pellucid_cancelled", "Requests whose client disconnected.", registry=own)
        self._seconds = Histogram(
            "pellucid_request_seconds", "Time of a request.", ["route"], buckets=_SECONDS, registry=own
        )
        self._batches = Histogram("pellucid_batch_sentences", "Sentences of a batch.", buckets=_SENTENCES, registry=own)
        self._batch_seconds = Histogram("pellucid_batch_seconds", "Time of a batch.", buckets=_SECONDS, registry=own)
        self._tokens = Counter("pellucid_source_tokens", "Source tokens that were translated.", registry=own)

    def watch(self, name: str, description: str, value: Callable[[], float]) -> None:
        """Add a number that is read when the metrics are asked for."""
        Gauge(f"pellucid_{name}", description, registry=self._registry).set_function(value)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def refused(self, reason: str) -> None:
        """Count a refusal."""
        self._refused.labels(reason).inc()

    def gone(self) -> None:
        """Count a client that disconnected."""
        self._gone.inc()

    def translated(self, batch: Batch, seconds: float) -> None:
        """Count a batch."""
        self._batches.observe(len(batch.places))
        self._batch_seconds.observe(seconds)
        self._tokens.inc(batch.tokens)

    def text(self) -> bytes:
        """Return all numbers in the text format of Prometheus."""
        return generate_latest(self._registry)
