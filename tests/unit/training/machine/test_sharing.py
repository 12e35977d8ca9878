"""Processes share a step where a trial says that they are faster; a trial changes no weight and no random number."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pellucid.training.machine import sharing as room
from pellucid.training.machine.sharing import Division, SharingTrial, division_of, sharing_trial

from ..kit import RUNTIME, equal_weights, tiny_model, training_config


@given(st.integers(1, 40), st.integers(1, 40))
def test_no_other_number_of_processes_makes_the_longest_part_of_a_step_shorter(batches: int, threads: int) -> None:
    best = division_of(batches, threads=threads)
    assert best.processes <= min(batches, threads)
    assert best.processes * best.threads <= threads
    for other in range(1, min(batches, threads) + 1):
        rounds = division_of(batches, threads=threads, processes=other).rounds
        assert best.rounds <= rounds
        assert best.rounds < rounds or best.processes <= other


def test_processes_pay_where_threads_hardly_make_a_batch_faster() -> None:
    division = Division(batches=2, processes=2, threads=1)
    useless, perfect = (SharingTrial(division, whole, part_seconds=1.0) for whole in (1.0, 0.5))
    assert useless.gain == pytest.approx(2.0)
    assert perfect.gain == pytest.approx(1.0)
    assert useless.pays
    assert not perfect.pays


def test_processes_do_not_pay_where_their_gradients_take_what_they_gain() -> None:
    found = SharingTrial(Division(batches=2, processes=2, threads=1), 0.6, part_seconds=1.0)
    assert found.pays
    assert not replace(found, exchange_seconds=0.1).pays


def test_a_trial_changes_nothing_and_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(room, "_MOST_TURNS", 1)
    model, runtime, threads = tiny_model().eval(), replace(RUNTIME, threads=2), torch.get_num_threads()
    before, dice = {name: value.clone() for name, value in model.state_dict().items()}, torch.get_rng_state()
    division = division_of(2, threads=2)
    found = sharing_trial(model, division, config=training_config(), runtime=runtime)
    assert min(found.whole_seconds, found.part_seconds, found.exchange_seconds) > 0
    assert equal_weights(before, model.state_dict())
    assert torch.equal(dice, torch.get_rng_state())
    assert not model.training
    assert torch.get_num_threads() == threads
    monkeypatch.setattr(room, "_measure", lambda *_, **__: pytest.fail("this was measured before"))
    again = sharing_trial(model, division, config=training_config(), runtime=runtime)
    assert again == replace(found, is_remembered=True)
