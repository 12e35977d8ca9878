"""The part of a trace's manifest about its health. Read ``answers_trace.py`` next."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pellucid.analysis.health import health_of
from pellucid.analysis.measured import measured_for
from pellucid.page.catalogue import OpenedModel
from pellucid.tracing.record import Trace

__all__ = ["health_table"]


def health_table(trace: Trace, opened: OpenedModel | None) -> dict[str, Any]:
    """Return the signs, each with what it is worth, and what the worth was measured on, for the manifest of a trace.

    Raises:
        BundleError: the measurement in the model folder is damaged.
    """
    words = opened.training_words if opened else None
    measurement = measured_for(trace)
    signs = health_of(trace, training_words=words, measured=measurement.measured)
    measured = measurement.measured
    tables = []
    for sign in signs:
        table = asdict(sign) | {"worth": sign.worth and sign.worth.model_dump()}
        del table["values"]  # the manifest comes before the first picture, so it is short
        if sign.name == "end":
            table["last"] = sign.values[-1]
        tables.append(table)
    return {
        "health": tables,
        "measured": {
            "is_own": measurement.is_own,
            "model": measured.model,
            "sample": measured.sample,
            "translations": measured.translations,
            "weights": measured.weights_sha256[:8],
            "hash": measured.sample_sha256[:8],
        },
    }
