"""What was measured, in enough words to measure it again: the model, how it searched, the test set.

Plain records, filled by whoever made the translations; nothing here opens a model. Read ``report.py`` next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["EvaluatedFile", "EvaluatedSystem"]

_SHORT = 8
"""Digits of a checksum on the screen, as in the names of weight files."""


@dataclass(frozen=True)
class EvaluatedFile:
    """A file that was compared; ``side`` is "source", "reference", "reference 2", "translations" or "baseline"."""

    side: str
    name: str
    sha256: str


@dataclass(frozen=True)
class EvaluatedSystem:
    """One model as it was used."""

    folder: str
    weights_sha256: str
    facts: Mapping[str, str | int | float]
    """What the model folder tells of itself: ``step``, or ``averaged_steps``, and scores."""
    search: Mapping[str, object]
    """Every setting of the search."""
    decisive: tuple[str, ...] = field(default=())
    """Names of the settings that a reader has to see: the rest is at its default, or acts on no translation."""
    version: str = ""
    """Of pellucid."""
    engine: str = ""
    """What computed, and how it held the weights."""
    kind: str = "pellucid"
    """Whose format the folder has: ours, or ``ONNX``."""

    def model_line(self, *, short: bool) -> str:
        """Return folder, its format where it is not ours, step where it is known, and checksum in one line."""
        parts = [self.folder] if self.kind == "pellucid" else [self.folder, self.kind]
        if "step" in self.facts:
            step = self.facts["step"]
            parts.append(f"step {step:,}" if isinstance(step, int) else f"step {step}")
        if "averaged_steps" in self.facts:
            parts.append(f"mean of steps {self.facts['averaged_steps']}")
        parts.append(f"weights {self.weights_sha256[:_SHORT] if short else self.weights_sha256}")
        return ", ".join(parts)

    def search_line(self) -> str:
        """Return the settings that decide, in one line, as ``--set`` takes them."""
        return ", ".join(f"{name}={_plain(self.search[name])}" for name in self.decisive)


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ascii(value) if isinstance(value, list | tuple) else str(value)
