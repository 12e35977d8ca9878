"""A run that starts from a model keeps the general score within the limit, whatever its own score does."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from pellucid.errors import StoppedError
from pellucid.model.transformer import Transformer
from pellucid.training.validation import forgotten, is_better, with_general_before

from .kit import Listener, equal_weights, run_training, tiny_model
from .test_resume import Stopper, averages, steps_in, without_times

INITIAL = {name: tensor.clone() for name, tensor in tiny_model().state_dict().items()}


def distance(model: Transformer) -> float:
    """Return how far a model is from the one that the runs start from."""
    return sum(float((tensor - INITIAL[name]).square().sum()) for name, tensor in model.state_dict().items()) ** 0.5


def gains_and_forgets(model: Transformer) -> Mapping[str, float | str]:
    """Score a model as fine-tuning does: the farther from the first model, the better here and the worse there."""
    return {"bleu": 20 + 10 * distance(model), "general_bleu": 40 - 10 * distance(model)}


def run(folder: Path, **changes: object) -> tuple[object, Transformer, Listener]:
    given = {"evaluator": gains_and_forgets, "validates_first": True, "config_valid_steps": 3} | changes
    return run_training(folder, **given)


def lost_at(listener: Listener) -> dict[int, float]:
    return {record.step: 40 - record.scores["general_bleu"] for record in listener.validations}


def test_without_a_limit_the_last_model_is_the_best_and_has_forgotten_most(tmp_path: Path) -> None:
    result, _, listener = run(tmp_path, config_max_forgetting=1000.0)
    lost = lost_at(listener)
    assert result.best_step == 20 == max(lost, key=lost.__getitem__)  # type: ignore[attr-defined]
    assert list(lost) == [0, 3, 6, 9, 12, 15, 18, 20]
    assert lost[0] == 0


def limit_between(tmp_path: Path, step: int) -> float:
    _, _, listener = run(tmp_path / "free", config_max_forgetting=1000.0)
    lost = lost_at(listener)
    after = min(later for later in lost if later > step)
    assert lost[step] < lost[after]
    return (lost[step] + lost[after]) / 2


def test_a_run_ends_when_it_has_forgotten_too_much_and_keeps_the_best_model_before(tmp_path: Path) -> None:
    limit = limit_between(tmp_path, 9)
    kept: list[tuple[Mapping[str, float | str], float]] = []
    result, _, listener = run(
        tmp_path / "guarded",
        config_max_forgetting=limit,
        config_forgetting_patience=2,
        on_new_best=lambda model, facts: kept.append((dict(facts), distance(model))),
    )
    assert (result.steps, result.best_step) == (15, 9)  # type: ignore[attr-defined]
    assert "2 validations in a row brought no better model" in result.reason  # type: ignore[attr-defined]
    assert [record.is_best for record in listener.validations] == [True, True, True, True, False, False]
    facts, how_far = kept[-1]
    assert facts["step"] == 9
    assert facts["general_bleu_before"] == 40
    assert 10 * how_far <= limit


def test_a_run_may_go_on_and_still_keeps_a_model_within_the_limit(tmp_path: Path) -> None:
    limit = limit_between(tmp_path, 9)
    result, _, _ = run(tmp_path / "on", config_max_forgetting=limit, config_forgetting_patience=0)
    assert (result.steps, result.best_step) == (20, 9)  # type: ignore[attr-defined]


def test_where_every_step_forgets_the_initial_model_stays(tmp_path: Path) -> None:
    kept: list[Transformer] = []
    result, _, _ = run(
        tmp_path,
        config_max_forgetting=0.0,
        config_forgetting_patience=1,
        on_new_best=lambda model, facts: kept.append(model.state_dict() and model),
    )
    assert (result.steps, result.best_step) == (3, 0)  # type: ignore[attr-defined]
    assert equal_weights(averages(tmp_path, 0), INITIAL)
    assert len(kept) == 1


def test_a_stopped_run_goes_on_with_the_score_that_it_began_with(tmp_path: Path) -> None:
    limit = limit_between(tmp_path, 12)
    whole, model, _ = run(tmp_path / "whole", config_max_forgetting=limit, config_forgetting_patience=1)
    part = tmp_path / "part"
    for step in (2, 9, 10):
        with pytest.raises(StoppedError):
            run(
                part,
                reporter=Stopper(step, signal.SIGTERM),
                config_max_forgetting=limit,
                config_forgetting_patience=1,
                config_save_steps=4,
            )
    result, resumed, _ = run(part, config_max_forgetting=limit, config_forgetting_patience=1)
    assert equal_weights(model.state_dict(), resumed.state_dict())
    names = ("steps", "best", "best_step", "reason")
    assert [getattr(result, name) for name in names] == [getattr(whole, name) for name in names]
    for lines in ("step", "validation"):
        expected = [without_times(line) for line in steps_in(tmp_path / "whole", lines)]
        assert [without_times(line) for line in steps_in(part, lines)] == expected


def test_a_kill_before_the_first_validation_loses_it_not(tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def killed(model: Transformer) -> Mapping[str, float | str]:
        raise Killed

    with pytest.raises(Killed):
        run(tmp_path, evaluator=killed)
    assert (tmp_path / "checkpoints" / "step-00000000").is_dir()
    _, _, listener = run(tmp_path, config_max_forgetting=1000.0)
    assert [record.step for record in listener.validations][:2] == [0, 3]
    last = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["scores"]["general_bleu_before"] == 40


def test_a_run_from_nothing_is_as_it_was(tmp_path: Path) -> None:
    _, first, _ = run_training(tmp_path / "a")
    _, second, listener = run_training(tmp_path / "b", validates_first=True)
    assert listener.validations[0].step == 0
    assert all(torch.equal(one, other) for one, other in zip(first.parameters(), second.parameters(), strict=True))


def test_the_score_before_is_the_first_one() -> None:
    first = with_general_before({"nll": 2.0, "general_bleu": 30.0}, {})
    second = with_general_before({"nll": 1.0, "general_bleu": 28.5}, first)
    assert (forgotten(first), forgotten(second)) == (0.0, 1.5)
    assert is_better(second, first, max_forgetting=1.5)
    assert not is_better(second, first, max_forgetting=1.4)
    assert forgotten({"nll": 2.0}) == 0
    assert with_general_before({"nll": 2.0}, first) == {"nll": 2.0}
