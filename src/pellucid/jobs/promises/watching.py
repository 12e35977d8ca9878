"""Answer "is this normal?" at every validation of a run, in one line and more only where something is not normal.

The answer is by the rules of ``signs``; where the recipe has a stored curve, it says too how the run stands beside it.
The trainer writes it to the journal, and the job repeats the warnings at the end. Read ``curve.py`` and ``signs.py``.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from pellucid.config import LearningCurve, Promise, TrainingConfig
from pellucid.errors import counted
from pellucid.jobs.promises.curve import Curve, CurveReader
from pellucid.jobs.promises.signs import STEPS_TO_JUDGE, Situation, signs_in
from pellucid.text.batching import epoch_batches
from pellucid.text.store import TokenStore
from pellucid.translation.hypothesis import Translation

__all__ = ["FaultCount", "RunWatch", "padding_share"]

_FAULTS: Final = ("copy", "repetition")
"""Flags of translations that say something about a model when many sentences have them."""
_EARLIER: Final = 0.75
_ROWS_FOR_PADDING: Final = 1_000_000
_NOISE: Final = {"nll": 0.05, "bleu": 2.0, "exact_match": 0.05}
"""A run is behind if it is worse than the stored run was at three quarters of the way, by more than this."""


class FaultCount:
    """The shares of validation translations that copy or repeat, and an example of each."""

    def __init__(self) -> None:
        self.shares: dict[str, float] = {}
        self.examples: tuple[tuple[str, str], ...] = ()

    def count(self, translations: Sequence[Translation], *, sources: Sequence[str], references: Sequence[str]) -> None:
        """Count anew. A translation that equals its reference is right, and a reference may be a copy itself."""
        found: Counter[str] = Counter()
        examples: dict[str, str] = {}
        for translation, source, reference in zip(translations, sources, references, strict=True):
            if translation.text != reference and source.strip() != reference.strip():
                for name in set(_FAULTS).intersection(translation.flags):
                    found[name] += 1
                    examples.setdefault(name, translation.text[:60])
        self.shares = {name: found[name] / len(translations) for name in _FAULTS}
        self.examples = tuple(examples.items())


@dataclass(frozen=True)
class _Comparison:
    """The run beside the stored curve at the same place."""

    text: str
    is_behind: bool


class RunWatch:
    """Judges the learning curve of one run; called with its journal after every validation."""

    def __init__(self, situation: Situation, *, promise: Promise | None, faults: FaultCount, first_run: bool) -> None:
        self._situation = situation
        self._promise = promise
        self._faults = faults
        self._began: int | None = 0 if first_run else None
        self._reader: CurveReader | None = None
        self._known: set[str] = set()

    def __call__(self, journal: Path) -> dict[str, object]:
        """Return the fields of the judgement for the journal; ``text`` is for the screen."""
        self._reader = self._reader or CurveReader(journal)
        curve = self._reader.update()
        curve.faults.append(self._faults.shares)
        if self._began is None:  # a continued run; its first validation tells where this process began
            self._began = curve.validations[-2].index if len(curve.validations) > 1 else 0
        situation = replace(self._situation, began=self._began, examples=self._faults.examples, load=_load)
        signs = signs_in(curve, situation)
        curve.faults.pop()  # it comes back with the journal
        beside = self._beside(curve)
        lines = [
            f"    {sign.name}: {sign.evidence}" + ("" if sign.name in self._known else f". Remedy: {sign.remedy}")
            for sign in signs
        ]
        self._known |= {sign.name for sign in signs}
        verdict = _verdict(len(curve.steps), has_signs=bool(signs))
        text = "\n".join([verdict + (f" ({beside.text})" if beside else ""), *lines])
        return {
            "step": curve.validations[-1].step,
            "text": text,
            "warnings": [sign.name for sign in signs],
            "evidence": [sign.evidence for sign in signs],
            "is_behind": beside.is_behind if beside else None,
            "faults": self._faults.shares,
        }

    def warnings(self) -> tuple[str, ...]:
        """Return the warnings of the whole run, each with the step at which it came first."""
        if self._reader is None:
            return ()
        return tuple(f"{name}, first at step {step:,}" for name, step in self._reader.update().warnings.items())

    def _beside(self, curve: Curve) -> _Comparison | None:
        stored = self._promise.curve if self._promise else None
        now = curve.validations[-1]
        if stored is None or not now.index:
            return None
        index = now.index - 1
        places = {"steps": now.step, "target_tokens": curve.target_tokens[index], "fraction": curve.fraction[index]}
        place = places[stored.place]
        for name, values in stored.values().items():
            if (found := getattr(now, name)) is not None:
                return _compared(name, found, stored, values, place)
        return None


def _verdict(steps: int, *, has_signs: bool) -> str:
    if has_signs:
        return "is this normal? no:"
    if steps < STEPS_TO_JUDGE:
        return f"is this normal? too early to say, after {counted(steps, 'step')} of the {STEPS_TO_JUDGE} that it takes"
    return "is this normal? yes, no sign of trouble"


def _compared(
    name: str, found: float, stored: LearningCurve, values: Sequence[float], place: float
) -> _Comparison | None:
    along = getattr(stored, stored.place)
    if not along[0] <= place <= along[-1] * 1.001:
        return None
    there, earlier = (float(np.interp(share * place, along, values)) for share in (1.0, _EARLIER))
    sign = 1 if name == "nll" else -1
    # Before the first stored validation nobody knows how the stored run stood.
    is_behind = _EARLIER * place >= along[0] and sign * (found - earlier) > _NOISE[name]
    digits = 1 if name == "bleu" else 3
    label = {"bleu": "BLEU", "exact_match": "exact match"}.get(name, name)
    verdict = ", so this run is BEHIND it: fewer steps, other settings, or other text?" if is_behind else ""
    return _Comparison(
        f"{label} {found:.{digits}f}, and the recipe's run had {there:.{digits}f} at this point{verdict}", is_behind
    )


def padding_share(store: TokenStore, config: TrainingConfig) -> float:
    """Return the share of padding in the batches of an epoch, both sides together, 0 to 1; of a sample if it is large.

    Fewer rows have fewer neighbours of their length, but with a million of them that does not show.
    """
    every = max(1, len(store) // _ROWS_FOR_PADDING)
    sides = (store.source_lengths[::every], store.target_lengths[::every])
    batches = epoch_batches(
        *sides,
        batch_size=config.known_batch_size,
        batch_type=config.batch_type,
        batch_lengths=config.batch_lengths,
        seed=config.seed,
        epoch=0,
    )
    real = places = 0
    for lengths in sides:
        for rows in batches:
            chosen = lengths[rows].astype(np.int64) + 1
            real += int(chosen.sum())
            places += len(rows) * int(chosen.max())
    return 1 - real / places if places else 0.0


def _load() -> str:
    if not hasattr(os, "getloadavg"):
        return ""
    return f"load {os.getloadavg()[0]:.1f} on {counted(os.cpu_count() or 1, 'core')}"
