"""A run that samples subwords goes on bit for bit, its validations do not sample, and its batches have their size."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from pellucid.errors import IncompatibleModelError, StoppedError
from pellucid.training.batches import BatchStream, DataPosition

from .kit import SPECIALS, equal_weights, run_training, training_config
from .sampled import sampled_inputs
from .test_resume import Stopper

SAMPLED = {"config_source_subword_alpha": 0.2, "config_target_subword_alpha": 0.3, "config_batch_size": 80}


def test_a_stopped_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    _, model, whole = run_training(tmp_path / "whole", **SAMPLED, **sampled_inputs(tmp_path / "text"))
    # In the middle of an epoch, and after one has ended.
    for step in (4, 13):
        inputs = sampled_inputs(tmp_path / "text")
        with pytest.raises(StoppedError):
            run_training(tmp_path / "part", reporter=Stopper(step, signal.SIGTERM), **SAMPLED, **inputs)
    _, resumed, listener = run_training(tmp_path / "part", **SAMPLED, **sampled_inputs(tmp_path / "text"))
    assert whole.steps[-1].epoch >= 1
    assert equal_weights(model.state_dict(), resumed.state_dict())
    assert [r.loss for r in listener.steps] == [r.loss for r in whole.steps[13:]]
    with pytest.raises(IncompatibleModelError, match="subword_nbest"):
        run_training(tmp_path / "part", **SAMPLED, config_subword_nbest=7, **sampled_inputs(tmp_path / "text"))


def test_a_step_can_reach_into_the_next_epoch(tmp_path: Path) -> None:
    inputs = sampled_inputs(tmp_path / "text")
    config = training_config(batch_size=80, source_subword_alpha=0.2, target_subword_alpha=0.3)
    store, sampler = inputs["store"], inputs["sampler"]
    stream = BatchStream(
        store, config=config, specials=SPECIALS, start_id=2, device=torch.device("cpu"), sampler=sampler
    )
    last = stream.batches_of_first_epoch() - 1
    taken, position = stream.take(DataPosition(0, last), 2)
    assert position == DataPosition(1, 1)
    for epoch, rows in enumerate(taken):
        batch, ids = stream.load(rows), sampler.epoch(epoch)
        for place, row in enumerate(stream.rows_of_store(rows)):
            length = len(ids.source(row))
            assert np.array_equal(batch.source_ids[place, :length].numpy(), ids.source(row))
            assert batch.source_ids[place, length] == SPECIALS.eos
        assert batch.num_padded_tokens <= 80
        assert np.array_equal(stream.load(batch.rows).source_ids, batch.source_ids)


def test_every_epoch_has_every_pair_once_in_batches_of_the_size(tmp_path: Path) -> None:
    inputs = sampled_inputs(tmp_path / "text")
    config = training_config(batch_size=80, source_subword_alpha=0.2)
    stream = BatchStream(
        inputs["store"],
        config=config,
        specials=SPECIALS,
        start_id=2,
        device=torch.device("cpu"),
        sampler=inputs["sampler"],
    )
    for epoch in (0, 1, 5):
        taken, position = [], DataPosition(epoch, 0)
        while position.epoch == epoch:
            (rows,), position = stream.take(position, 1)
            taken.append(rows)
        rows = np.concatenate([stream.rows_of_store(part) for part in taken])
        assert sorted(rows.tolist()) == list(range(len(inputs["store"])))
        assert max(stream.load(part).num_padded_tokens for part in taken) <= 80
