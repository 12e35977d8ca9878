"""What the signs of health are worth: for each its limit, and how often it was right on translations with references.

``benchmarks/health.py`` measures a model and writes ``health.json``, which stands in the model folder. A model without
such a file, or with one of other weights, gets ``measured_default.json``, measured on the embedded translators; the
page and the terminal then say that the limits come from another model. Read ``health.py`` next.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from pellucid.config.section import Section
from pellucid.config.tables import validated
from pellucid.errors import BundleError, ConfigError, counted
from pellucid.tracing.record import Trace
from pellucid.untrusted import parse_json, plain_file, read_at_most

__all__ = ["FILE_NAME", "KINDS", "Measured", "Measurement", "Worth", "measured_for", "read_measured"]

FILE_NAME: Final = "health.json"
"""In a model folder."""
_DEFAULT: Final = Path(__file__).with_name("measured_default.json")
_LARGEST_BYTES: Final = 1 << 20
_MOST_VALUES: Final = 50_000

Kind = Literal["detached", "looping", "poor"]
KINDS: Final[tuple[Kind, ...]] = ("detached", "looping", "poor")
"""What a sign is about: a translation that has nothing to do with its source, one that repeats itself without end, one
that is far from the reference. ``benchmarks/health.py`` states the rules."""


class Worth(Section):
    """The limit of a sign, and how often it was right on the half of the sample that did not choose the limit."""

    kind: Kind
    """What the sign is to tell."""
    threshold: float
    precision: float | None = Field(None, ge=0, le=1)
    """Of the translations that raise it, the share that are of the kind; None if none raises it."""
    recall: float | None = Field(None, ge=0, le=1)
    """Of the translations of the kind, the share that raise it; None if there is none."""
    auroc: float | None = Field(None, ge=0, le=1)
    """How often its number is worse for a translation of the kind than for another one; 0.5 tells nothing."""
    false_alarms: float | None = Field(None, ge=0, le=1)
    """Of the sound translations of sentences that nobody disturbed, the share that raise it."""

    def to_text(self) -> str:
        """Return the figures in words."""
        if self.precision is None:
            return "no translation of the measurement raised it"
        found = "" if self.recall is None else f"{self.recall:.0%} of {self.kind} translations raise it"
        wrong = "" if self.false_alarms is None else f"{self.false_alarms:.0%} of sound ones do"
        return ", ".join(filter(None, [f"{self.precision:.0%} of those that raised it were {self.kind}", found, wrong]))


class Measured(Section):
    """A measurement: of which weights, on what, and its results."""

    model: str
    weights_sha256: str
    """As in the provenance of a trace."""
    sample: str
    """The sample in words."""
    sample_sha256: str
    """Of its sources and references."""
    translations: int = Field(ge=0)
    signs: dict[str, Worth]
    references: list[list[float]] = Field(min_length=1)
    """The mass of cross-attention of sound translations, see ``transport.py``."""


@dataclass(frozen=True)
class Measurement:
    """A measurement as it applies to a trace."""

    measured: Measured
    is_own: bool
    """Whether it was made with the weights of the trace."""

    def to_text(self) -> str:
        """Return in words what was measured, and whether it was this model."""
        whose = "this model" if self.is_own else f"another model, {self.measured.model}"
        return f"limits and figures of the signs: {counted(self.measured.translations, 'translation')} of {whose}"


def measured_for(trace: Trace) -> Measurement:
    """Return the measurement of the model of a trace; without one, that of the embedded translators.

    Raises:
        BundleError: the file in the model folder is damaged.
    """
    origin = trace.translator.origin if trace.translator else None
    weights = trace.provenance.weights_sha256
    path = origin.folder / FILE_NAME if origin else None
    if path is not None and path.is_file() and (own := read_measured(path)).weights_sha256 == weights:
        return Measurement(own, is_own=True)
    default = read_measured(_DEFAULT)
    return Measurement(default, is_own=default.weights_sha256 == weights)


def read_measured(path: Path) -> Measured:
    """Read a measurement.

    Raises:
        BundleError: the file cannot be read, or has something else than a measurement.
    """
    try:
        table = parse_json(read_at_most(plain_file(path), _LARGEST_BYTES), most_values=_MOST_VALUES)
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: cannot be read: {str(error)[:200]}; remove it, or measure again") from None
    if not isinstance(table, dict):
        raise BundleError(f"{path}: holds no measurement; remove it, or measure again with benchmarks/health.py")
    try:
        measured = validated(Measured, table, place=str(path))
    except ConfigError as error:
        raise BundleError(f"{error}; remove the file, or measure again with benchmarks/health.py") from None
    for number, mass in enumerate(measured.references):
        if not mass or min(mass) < 0 or sum(mass) <= 0:
            raise BundleError(
                f"{path}: references.{number} is no distribution: numbers from 0, one of them more; measure again"
            )
    return measured
