"""The records that make a measurement repeatable: the model, the settings of its search, and the test set.

The job that translates fills them in; nothing here opens a model. Read ``report.py`` next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["EvaluatedFile", "EvaluatedSystem"]

_SHORT = 8
"""Digits of a checksum on the screen, as in the names of weight files."""


@dataclass(frozen=True)
class EvaluatedFile:
    """A file of the evaluation.

    ``side`` is "source", "reference", "reference 2", "translations" or "baseline"; or "test set" for both sides.
    """

    side: str
    name: str
    sha256: str


@dataclass(frozen=True)
class EvaluatedSystem:
    """One model with the settings of its search."""

    folder: str
    weights_sha256: str
    facts: Mapping[str, str | int | float]
    """Facts of the model folder: ``step`` or ``averaged_steps``, and scores."""
    search: Mapping[str, object]
    """Every setting of the search."""
    decisive: tuple[str, ...] = field(default=())
    """Names of the settings to show; the others have their defaults or do not affect translations."""
    version: str = ""
    """The version of pellucid."""
    engine: str = ""
    """The engine and its precision."""
    kind: str = "pellucid"
    """The format of the folder: ``pellucid`` or ``ONNX``."""

    def model_line(self, *, short: bool) -> str:
        """Return the folder, its format unless it is pellucid, the step if known, and the checksum in one line."""
        parts = [self.folder] if self.kind == "pellucid" else [self.folder, self.kind]
        if "step" in self.facts:
            step = self.facts["step"]
            parts.append(f"step {step:,}" if isinstance(step, int) else f"step {step}")
        if "averaged_steps" in self.facts:
            parts.append(f"mean of steps {self.facts['averaged_steps']}")
        parts.append(f"weights {self.weights_sha256[:_SHORT] if short else self.weights_sha256}")
        return ", ".join(parts)

    def search_line(self) -> str:
        """Return the settings to show in one line, in the form of ``--set``."""
        return ", ".join(f"{name}={_plain(self.search[name])}" for name in self.decisive)


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ascii(value) if isinstance(value, list | tuple) else str(value)
