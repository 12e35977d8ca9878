"""A promise says what was measured, or why nothing was; a wrong one is refused with the name that was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from pellucid.config import Promise, recipe_from
from pellucid.errors import ConfigError

BASE = {"command": "pellucid train", "hardware": "one core", "minutes": 2, "test_src": "a", "test_tgt": "b"}
SCORE = {"metric": "bleu", "value": 30.2, "interval": [28.1, 32.4]}


def promise(**changes: object) -> Promise:
    found = recipe_from({"promise": BASE | {"scores": [SCORE]} | changes}).promise
    assert found is not None
    return found


def test_it_is_data_that_the_program_reads() -> None:
    found = promise(seeds=3, scores=[SCORE | {"spread": 0.4}], curve={"steps": [10, 20], "nll": [3, 2.5]})
    assert found.scores[0].interval == (28.1, 32.4)
    assert found.curve is not None
    assert found.curve.place == "steps"
    assert found.curve.values() == {"nll": (3, 2.5)}
    assert found.below(Path("D")).test_src == Path("D/a")


def test_not_measured_can_be_said_and_must_be() -> None:
    assert promise(scores=[], not_measured="no run is on record").scores == ()
    with pytest.raises(ConfigError, match="say in not_measured why"):
        promise(scores=[])
    with pytest.raises(ConfigError, match="either scores, or not_measured"):
        promise(not_measured="but it was")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scors": []}, "promise.scors: unknown setting; did you mean 'scores'?"),
        ({"scores": [SCORE | {"valu": 3}]}, "promise.scores.0.valu: unknown setting; did you mean 'value'?"),
        ({"scores": [SCORE | {"metric": "blue"}]}, "promise.scores.0.metric = 'blue'"),
        ({"scores": [SCORE, SCORE]}, "scores has bleu more than once"),
        ({"scores": [SCORE | {"spread": 0.4}]}, "a spread needs seeds = 2 or more"),
        ({"scores": [SCORE | {"value": 40}]}, "does not contain value = 40"),
        ({"curve": {"nll": [1]}}, "a curve needs one of steps, target_tokens, fraction; given: none"),
        ({"curve": {"steps": [1], "fraction": [1], "nll": [1]}}, "given: steps, fraction"),
        ({"curve": {"steps": [1, 2], "nll": [1]}}, "nll has 1 value, but steps has 2"),
        ({"curve": {"steps": [2, 1], "nll": [1, 1]}}, "steps must rise"),
        ({"curve": {"steps": [1, 2]}}, "at least one of nll, bleu, exact_match"),
        ({"minutes": 0}, "promise.minutes = 0"),
    ],
)
def test_wrong_ones_are_refused_with_the_remedy(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        promise(**changes)
    assert message in str(caught.value)
