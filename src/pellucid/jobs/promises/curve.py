"""The learning curve of a run, read from its ``metrics.jsonl`` as that grows. Read ``signs.py`` next."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Curve", "CurveReader", "Validation"]


@dataclass(frozen=True)
class Validation:
    """One validation; ``index`` is the number of steps of the curve before it."""

    step: int
    index: int
    nll: float
    bleu: float | None = None
    exact_match: float | None = None
    is_best: bool = False


@dataclass
class Curve:
    """The steps that changed the weights, and the validations, in order."""

    steps: list[int] = field(default_factory=list)
    nll: list[float] = field(default_factory=list)
    """Of each step, in nats for each target token."""
    padded_per_second: list[float] = field(default_factory=list)
    target_tokens: list[int] = field(default_factory=list)
    """The sum up to each step."""
    fraction: list[float] = field(default_factory=list)
    validations: list[Validation] = field(default_factory=list)
    faults: list[dict[str, float]] = field(default_factory=list)
    """Shares of the validation translations by fault, from earlier judgements."""
    warnings: dict[str, int] = field(default_factory=dict)
    """Warnings of earlier judgements, with the step of the first of each."""

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a line of the journal; lines of other kinds change nothing."""
        kind = row.get("kind")
        if kind == "step" and "skipped" not in row:
            self.steps.append(row["step"])
            self.nll.append(float(row["nll"]))
            self.padded_per_second.append(float(row["padded_tokens_per_second"]))
            self.target_tokens.append(row["target_tokens"] + (self.target_tokens[-1] if self.target_tokens else 0))
            self.fraction.append(float(row["fraction"]))
        elif kind == "validation":
            scores = row["scores"]
            self.validations.append(
                Validation(
                    row["step"],
                    len(self.steps),
                    float(row["nll"]),
                    scores.get("bleu"),
                    scores.get("exact_match"),
                    row["is_best"],
                )
            )
        elif kind == "judgement":
            self.faults.append(row["faults"])
            for name in row["warnings"]:
                self.warnings.setdefault(name, row["step"])

    def median_nll(self, start: int, end: int) -> float:
        """Return the median over steps ``start`` to ``end`` - 1 of the curve; NaN if there is none."""
        return float(np.median(self.nll[start:end])) if end > start else float("nan")


class CurveReader:
    """Reads what a journal has gained since the last call, or all of it if its end was cut off and written anew."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._forget()

    def _forget(self) -> None:
        self.curve = Curve()
        self._end = 0
        self._last = b""

    def update(self) -> Curve:
        """Return the curve so far."""
        with self._path.open("rb") as file:
            file.seek(self._end - len(self._last))
            if file.read(len(self._last)) != self._last:
                self._forget()
                file.seek(0)
            self._take(file)
        return self.curve

    def _take(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            if not line.endswith(b"\n"):
                return
            self._end, self._last = self._end + len(line), line
            self.curve.add(json.loads(line))
