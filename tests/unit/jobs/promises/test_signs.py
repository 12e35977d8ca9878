"""Healthy curves raise no alarm, and each fault raises its own alarm alone. Every curve here is drawn by a formula."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from pellucid.jobs.promises.curve import Curve
from pellucid.jobs.promises.signs import Situation, signs_in

VOCABULARY = 8000
UNIFORM = math.log(VOCABULARY)
STEPS, EVERY, WARMUP = 2000, 200, 400
Course = Callable[[int], float]


def learning(step: int) -> float:
    """Return the nll of a run that learns as Multi30k does: from even chances to 1.6."""
    return 1.6 + (UNIFORM - 1.6) * math.exp(-step / 400)


def curve_of(
    training: Course = learning,
    valid: Course = lambda step: learning(step) + 0.2,
    *,
    bleu: Course | None = lambda step: 40 * (1 - math.exp(-step / 500)),
    speed: Course = lambda step: 4000,
    faults: Callable[[int], dict[str, float]] = lambda step: {"copy": 0.0, "repetition": 0.02},
    seed: int = 1,
) -> Curve:
    """Return a curve with the noise of batches: 0.3 nats, and one step in a hundred three times as slow."""
    noise = np.random.default_rng(seed)
    curve = Curve()
    best = -math.inf
    for step in range(1, STEPS + 1):
        slow = 3 if noise.random() < 0.01 else 1
        curve.add(
            {
                "kind": "step",
                "step": step,
                "nll": max(0.0, training(step) + 0.3 * noise.standard_normal()),
                "padded_tokens_per_second": speed(step) * (1 + 0.2 * noise.standard_normal()) / slow,
                "target_tokens": 1800,
                "fraction": step / STEPS,
            }
        )
        if step % EVERY == 0:
            scores = {} if bleu is None else {"bleu": bleu(step) + 0.3 * noise.standard_normal()}
            quality = scores.get("bleu", -valid(step))
            is_best, best = quality > best, max(best, quality)
            nll = valid(step) + 0.01 * noise.standard_normal()
            curve.add({"kind": "validation", "step": step, "nll": nll, "scores": scores, "is_best": is_best})
            curve.faults.append(faults(step))
    return curve


def names(curve: Curve, **situation: object) -> list[str]:
    found = signs_in(curve, Situation(**{"warmup_steps": WARMUP, "vocabulary": VOCABULARY} | situation))
    assert all(sign.evidence and sign.remedy for sign in found)
    return [sign.name for sign in found]


def up_to(curve: Curve, validations: int) -> Curve:
    """Return a curve as it was after that many validations."""
    count = curve.validations[validations - 1].index
    return Curve(
        curve.steps[:count],
        curve.nll[:count],
        curve.padded_per_second[:count],
        curve.target_tokens[:count],
        curve.fraction[:count],
        curve.validations[:validations],
        curve.faults[:validations],
    )


HEALTHY = {
    "learns": curve_of,
    "learns without BLEU": lambda **s: curve_of(bleu=None, **s),
    "is right at once": lambda **s: curve_of(lambda t: 0.02, lambda t: 0.01, bleu=lambda t: 99, **s),
    "has converged": lambda **s: curve_of(lambda t: 1.5, lambda t: 1.7, bleu=lambda t: 38, **s),
    "begins with repetitions": lambda **s: curve_of(faults=lambda t: {"repetition": 0.9 * 0.6 ** (t / 200)}, **s),
    "has a plateau that ends": lambda **s: curve_of(
        lambda t: 4.8 - 2 * (t > 1100), lambda t: 4.9 - 2 * (t > 1150) - t / 1e4, bleu=lambda t: 0.3 + t / 100, **s
    ),
    "gets faster": lambda **s: curve_of(speed=lambda t: 400 if t < 200 else 4000, **s),
    "validation rises while BLEU rises": lambda **s: curve_of(
        valid=lambda t: 2.9 + max(0, t - 1200) / 2000, bleu=lambda t: t / 50, **s
    ),
}


@pytest.mark.parametrize("course", sorted(HEALTHY))
def test_healthy_curves_raise_no_alarm_at_any_validation(course: str) -> None:
    for seed in range(10):
        curve = HEALTHY[course](seed=seed)
        for validations in range(1, len(curve.validations) + 1):
            assert names(up_to(curve, validations)) == [], f"seed {seed}, validation {validations}"


FAULTY = {
    "divergence": lambda: curve_of(lambda t: learning(t) + 3 * (t > 1500)),
    "overfitting": lambda: curve_of(valid=lambda t: 2.9 + abs(t - 1000) / 2000, bleu=lambda t: 28 - abs(t - 1000) / 99),
    "copying": lambda: curve_of(faults=lambda t: {"copy": 0.4}),
    "repeating": lambda: curve_of(faults=lambda t: {"repetition": 0.5}),
    "stall": lambda: curve_of(lambda t: 4.8, lambda t: 4.9, bleu=lambda t: 0.3),
    "slow": lambda: curve_of(speed=lambda t: 4000 if t < 1500 else 1300),
}


@pytest.mark.parametrize("name", sorted(FAULTY))
def test_each_fault_raises_its_alarm_alone(name: str) -> None:
    assert names(FAULTY[name]()) == [name]


def test_a_loss_over_that_of_even_chances_is_divergence_even_from_the_start() -> None:
    curve = curve_of(lambda t: UNIFORM + 2, lambda t: UNIFORM + 2, bleu=None)
    assert "divergence" in names(curve)


def test_a_stall_without_bleu_is_seen_in_the_likelihood() -> None:
    assert names(curve_of(lambda t: 0.8 * UNIFORM, lambda t: 0.8 * UNIFORM, bleu=None)) == ["stall"]


def test_padding_is_judged_by_its_share() -> None:
    assert names(curve_of(), padding=0.35) == ["padding"]
    assert names(curve_of(), padding=0.25) == []


def test_the_speed_of_an_earlier_process_is_not_compared() -> None:
    curve = curve_of(speed=lambda t: 40_000 if t <= 1000 else 4000)
    assert names(curve) == ["slow"]
    assert names(curve, began=1000) == []


@pytest.mark.parametrize(("steps", "expected"), [(99, []), (150, ["repeating", "stall"])])
def test_the_first_steps_are_too_few_to_judge_however_many_validations_they_have(
    steps: int, expected: list[str]
) -> None:
    curve = Curve()
    for step in range(1, steps + 1):
        speeds = {"padded_tokens_per_second": 4000, "target_tokens": 1800, "fraction": step / steps}
        curve.add({"kind": "step", "step": step, "nll": 5.0, **speeds})
        curve.add({"kind": "validation", "step": step, "nll": 5.9, "scores": {"bleu": 0.0}, "is_best": False})
        curve.faults.append({"repetition": 0.9})
    assert names(curve, warmup_steps=2) == expected
