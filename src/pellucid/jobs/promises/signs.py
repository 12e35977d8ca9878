"""The rules that say whether a learning curve is normal. Each returns a sign with its evidence and remedy, or nothing.

    divergence   after the warm-up, the training nll is over that of even chances, or far over what it was before
    overfitting  the validation nll rises twice in a row while the training nll falls, and no score improves
    copying      many validation translations repeat their source, twice in a row and not ever fewer
    repeating    many validation translations repeat themselves, likewise
    stall        the validation nll stands still at a level at which nothing can be translated
    slow         steps take twice as long as they did
    padding      much of each batch is padding

Every rule compares medians over many steps, so that single batches raise no alarm; nll is the negative log-likelihood
in nats for each target token. Read ``watching.py`` next.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pellucid.jobs.promises.curve import Curve, Validation

__all__ = ["STEPS_TO_JUDGE", "Sign", "Situation", "signs_in"]

_BLOCK: Final = 50
"""Steps of a median."""
STEPS_TO_JUDGE: Final = 2 * _BLOCK
"""Fewest steps of a run after which the rules have anything to compare."""
_SPEED_BLOCK: Final = 20
_RISE_NATS: Final = 0.5
_RISE_SHARE: Final = 0.25
_OVERFIT_SHARE: Final = 0.02
_OVERFIT_NATS: Final = 0.05
_FAULTY_SHARE: Final = 0.15
_FALLING: Final = 0.8
_STALL_VALIDATIONS: Final = 3
_STALL_SHARE: Final = 0.01
_HOPELESS_BLEU: Final = 5.0
_HOPELESS_NLL: Final = 0.6
_SLOW: Final = 0.5
_MOST_PADDING: Final = 0.3


@dataclass(frozen=True)
class Sign:
    """Something that is not normal."""

    name: str
    evidence: str
    remedy: str


@dataclass(frozen=True)
class Situation:
    """What the rules need beside the curve."""

    warmup_steps: int
    vocabulary: int
    """Number of target pieces."""
    padding: float = 0.0
    """Share of padding in the batches of an epoch, both sides together."""
    began: int = 0
    """The first step of the curve that this process made; speeds of another machine are not compared."""
    load: Callable[[], str] = lambda: ""
    """Describes the load of the machine now."""
    examples: tuple[tuple[str, str], ...] = ()
    """A faulty validation translation for each fault that there is."""


def signs_in(curve: Curve, situation: Situation) -> list[Sign]:
    """Return the signs of a curve whose last event is a validation; none where all is normal.

    Before ``STEPS_TO_JUDGE`` only the padding is judged: a short run can have a validation after every step, and none
    of them says much.
    """
    is_early = curve.validations[-1].step < STEPS_TO_JUDGE
    rules = (_padding,) if is_early else (_divergence, _overfitting, _copying, _repeating, _stall, _slow, _padding)
    return [sign for rule in rules if (sign := rule(curve, situation)) is not None]


def _divergence(curve: Curve, situation: Situation) -> Sign | None:
    medians = _medians(curve.nll[bisect_right(curve.steps, situation.warmup_steps) :], _BLOCK)
    if not medians:
        return None
    last, best, uniform = medians[-1], min(medians), math.log(situation.vocabulary)
    if last > uniform + _RISE_NATS:
        evidence = f"training nll {last:.2f} after the warm-up, and even chances for every piece have {uniform:.2f}"
    elif last - best > max(_RISE_NATS, _RISE_SHARE * best):
        evidence = f"training nll {last:.2f}, and it was {best:.2f} before (medians of {_BLOCK} steps)"
    else:
        return None
    return Sign("divergence", evidence, "a lower training.learning_rate or more training.warmup_steps, in a new run")


def _overfitting(curve: Curve, situation: Situation) -> Sign | None:
    if len(curve.validations) < 3:
        return None
    before, last = curve.validations[-2:]
    best = min(curve.validations, key=lambda validation: validation.nll)
    is_rising = last.nll > before.nll > best.nll and last.nll - best.nll > max(_OVERFIT_NATS, _OVERFIT_SHARE * best.nll)
    if last.is_best or not is_rising:
        return None
    then, now = _training_nll(curve, best), _training_nll(curve, last)
    if not now < then:
        return None
    return Sign(
        "overfitting",
        f"validation nll rose from {best.nll:.3f} at step {best.step:,} to {last.nll:.3f}, while the training nll fell "
        f"from {then:.3f} to {now:.3f}",
        "in a new run more text, a higher model.dropout or a smaller preset; in this one training.early_stopping=3. "
        "The best model is kept in any case",
    )


def _training_nll(curve: Curve, validation: Validation) -> float:
    """Return the median training nll of the steps that came before a validation."""
    return curve.median_nll(max(0, validation.index - 2 * _BLOCK), validation.index)


def _copying(curve: Curve, situation: Situation) -> Sign | None:
    return _fault(
        curve,
        situation,
        "copy",
        Sign(
            "copying",
            "copy their source",
            "look for untranslated lines in the training text; data.cleaning.drop_copies drops whole copies",
        ),
    )


def _repeating(curve: Curve, situation: Situation) -> Sign | None:
    return _fault(
        curve,
        situation,
        "repetition",
        Sign("repeating", "repeat themselves", "usually a longer run; if the nll stands still, see 'stall'"),
    )


def _fault(curve: Curve, situation: Situation, name: str, sign: Sign) -> Sign | None:
    if len(curve.faults) < 2 or curve.validations[-1].step <= situation.warmup_steps:
        return None
    before, now = (faults.get(name, 0.0) for faults in curve.faults[-2:])
    if now < _FAULTY_SHARE or before < _FAULTY_SHARE or now < _FALLING * before:
        return None
    example = dict(situation.examples).get(name)
    shown = f", such as {example!r}" if example else ""
    return Sign(sign.name, f"{now:.0%} of the validation translations {sign.evidence}{shown}", sign.remedy)


def _stall(curve: Curve, situation: Situation) -> Sign | None:
    recent = [v for v in curve.validations if v.step > situation.warmup_steps][-_STALL_VALIDATIONS - 1 :]
    if len(recent) <= _STALL_VALIDATIONS:
        return None
    first, last = recent[0], recent[-1]
    if last.bleu is None:
        is_hopeless = last.nll > _HOPELESS_NLL * math.log(situation.vocabulary)
    else:
        is_hopeless = last.bleu < _HOPELESS_BLEU and (last.exact_match or 0.0) < _FAULTY_SHARE
    then, now = _training_nll(curve, first), _training_nll(curve, last)
    has_moved = min(v.nll for v in recent[1:]) < first.nll * (1 - _STALL_SHARE) or now < then * (1 - _STALL_SHARE)
    if not is_hopeless or has_moved:
        return None
    return Sign(
        "stall",
        f"validation nll {last.nll:.2f} now and {first.nll:.2f} at step {first.step:,}, "
        f"training nll {now:.2f} and {then:.2f}",
        "check that line n of the source and line n of the target belong together; then try another "
        "training.learning_rate, less model.dropout, or fewer layers",
    )


def _slow(curve: Curve, situation: Situation) -> Sign | None:
    speeds = _medians(curve.padded_per_second[situation.began :], _SPEED_BLOCK)
    if len(speeds) < 3 or speeds[-1] >= _SLOW * (usual := float(np.percentile(speeds, 90))):
        return None
    load = situation.load()
    return Sign(
        "slow",
        f"{speeds[-1]:,.0f} padded tokens/s now, {usual:,.0f} before" + (f"; {load}" if load else ""),
        "end other programs, or give the run more time; a budget of minutes counts the slow ones too",
    )


def _padding(curve: Curve, situation: Situation) -> Sign | None:
    if situation.padding <= _MOST_PADDING:
        return None
    return Sign(
        "padding",
        f"{situation.padding:.0%} of the places in a batch are padding",
        "training.step_method=packed, which needs no padding; in a new run "
        "training.batch_lengths=similar, a larger training.batch_size, training.batch_type=tokens, a lower "
        "training.max_length, or a lower data.cleaning.max_ratio",
    )


def _medians(values: Sequence[float], block: int) -> list[float]:
    """Return the median of each whole block, counted from the end; at least two blocks or none."""
    count = len(values) // block
    if count < 2:
        return []
    rows = np.asarray(values[-count * block :], dtype=np.float64).reshape(count, block)
    return [float(median) for median in np.median(rows, axis=1)]
