"""What a recipe promises: its command, hardware, minutes, test set, scores, and learning curve.

Nothing here decides how a model is trained. ``pellucid train --recipe R --check`` compares a run with these figures,
and the run compares its learning curve with the stored one. Read ``recipe.py`` next.
"""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from pellucid.config.section import Section
from pellucid.errors import counted

__all__ = ["LearningCurve", "Promise", "PromisedScore"]

_CURVE_PLACES = ("steps", "target_tokens", "fraction")
_CURVE_VALUES = ("nll", "bleu", "exact_match")


class PromisedScore(Section):
    """A score of the promised model on the promised test set, in percent as ``pellucid evaluate`` prints it."""

    metric: Literal["bleu", "bleu_lowercased", "chrf", "chrf_lowercased", "ter", "ter_lowercased", "exact_match"]
    """``bleu``, ``chrf``, ``ter``; lowercased ``bleu_lowercased``, ``chrf_lowercased``, ``ter_lowercased``; or
    ``exact_match``, the share of sentences that equal the reference."""
    value: float = Field(ge=0)
    """The score; with several seeds, their mean."""
    spread: float | None = Field(None, ge=0)
    """Standard deviation over the seeds; not set where only one seed was trained."""
    interval: tuple[float, float] | None = None
    """Its 95 % bootstrap interval over the sentences of the test set."""
    signature: str = ""
    """The signature of sacreBLEU; scores with different signatures are not compared."""

    @model_validator(mode="after")
    def _interval_holds_the_value(self) -> Self:
        if self.interval and not self.interval[0] <= self.value <= self.interval[1]:
            raise ValueError(f"interval = {list(self.interval)} does not contain value = {self.value:g}")
        return self


class LearningCurve(Section):
    """Validations of the promised run, in order.

    One list says where in the run each validation was: ``steps``, ``target_tokens`` or ``fraction``. The other lists
    have the values there, and are of the same length.
    """

    steps: tuple[float, ...] = ()
    """Steps before each validation."""
    target_tokens: tuple[float, ...] = ()
    """Target tokens before each validation, end of sentence included."""
    fraction: tuple[float, ...] = ()
    """Share of the budget used before each validation, 0 to 1."""
    nll: tuple[float, ...] = ()
    """Negative log-likelihood of the validation text, in nats for each target token."""
    bleu: tuple[float, ...] = ()
    """BLEU of the validation translations."""
    exact_match: tuple[float, ...] = ()
    """Share of the validation translations that are exactly right, 0 to 1."""

    @property
    def place(self) -> str:
        """The name of the list that says where the validations were."""
        return next(name for name in _CURVE_PLACES if getattr(self, name))

    def values(self) -> dict[str, tuple[float, ...]]:
        """Return the lists of values that are given, by name."""
        return {name: getattr(self, name) for name in _CURVE_VALUES if getattr(self, name)}

    @model_validator(mode="after")
    def _lists_fit(self) -> Self:
        places = [name for name in _CURVE_PLACES if getattr(self, name)]
        if len(places) != 1:
            raise ValueError(f"a curve needs one of {', '.join(_CURVE_PLACES)}; given: {', '.join(places) or 'none'}")
        along = getattr(self, places[0])
        if any(later <= earlier for earlier, later in pairwise(along)):
            raise ValueError(f"{places[0]} must rise from each validation to the next")
        if not self.values():
            raise ValueError(f"a curve needs at least one of {', '.join(_CURVE_VALUES)}")
        for name, values in self.values().items():
            if len(values) != len(along):
                raise ValueError(f"{name} has {counted(len(values), 'value')}, but {places[0]} has {len(along)}")
            if not all(map(math.isfinite, (*values, *along))):
                raise ValueError(f"{name} and {places[0]} must be finite")
        return self


class Promise(Section):
    """What a run of the recipe is expected to reach, and on what it was measured. None of it changes the training."""

    command: str = Field(min_length=1)
    """The command that was measured, or is meant to be."""
    hardware: str = Field(min_length=1)
    """The hardware of the measurement."""
    minutes: float = Field(gt=0)
    """Minutes of the whole command on that hardware."""
    test_src: Path
    """Source sentences of the test set, which is not trained on; relative to ``--data-dir``."""
    test_tgt: Path
    """Their reference translations."""
    scores: tuple[PromisedScore, ...] = ()
    """The expected scores on the test set, a table ``[[promise.scores]]`` for each."""
    not_measured: str = ""
    """Why there are no scores; needed exactly where there are none."""
    seeds: int = Field(1, ge=1)
    """Number of seeds that were trained."""
    steps: int | None = Field(None, ge=1)
    """Steps of the measured run; a run with fewer can miss the promise for that reason alone."""
    target_tokens: int | None = Field(None, ge=1)
    """Target tokens of the measured run."""
    chosen: str = ""
    """With ``preset = "auto"``: what it chose in the measured run, as the line of that run says. Another machine or
    another budget can lead to other settings."""
    origin: str = ""
    """Where the measurement is on record."""
    note: str = ""
    """What else a reader must know about the measurement."""
    curve: LearningCurve | None = None
    """The learning curve of the measured run, a table ``[promise.curve]``."""

    @model_validator(mode="after")
    def _is_measured_or_says_why_not(self) -> Self:
        if bool(self.scores) == bool(self.not_measured):
            raise ValueError(
                "give either scores, or not_measured with the reason why there are none"
                if self.scores
                else "there are no scores; say in not_measured why, as in 'no run of this recipe is on record'"
            )
        names = [score.metric for score in self.scores]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"scores has {', '.join(sorted(twice))} more than once")
        if self.seeds == 1 and any(score.spread is not None for score in self.scores):
            raise ValueError("a spread needs seeds = 2 or more")
        return self

    def below(self, folder: Path) -> Promise:
        """Return the same promise with a relative test set in ``folder``."""
        return self.model_copy(update={"test_src": folder / self.test_src, "test_tgt": folder / self.test_tgt})
