"""Probes and snapshots: what they hold, when they are made, and that their numbers are the model's own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pellucid.training.probes import SNAPSHOT_STEPS, choose_probe_rows
from pellucid.training.reporter import StepRecord

from .kit import ArrayStore, Listener, equal_weights, reversal_store, run_training, tiny_model


def test_snapshots_are_sixteen_at_logarithmic_distances_from_step_zero() -> None:
    assert len(SNAPSHOT_STEPS) == 16
    assert SNAPSHOT_STEPS[:6] == (0, 10, 20, 50, 100, 200)
    ratios = np.divide(SNAPSHOT_STEPS[2:], SNAPSHOT_STEPS[1:-1])
    assert set(ratios) == {2.0, 2.5}


def test_the_first_eight_short_pairs_are_probed() -> None:
    lengths = [(3, 25), (19, 19), (20, 5), *[(4, 4)] * 9]
    store = ArrayStore([[5] * source for source, _ in lengths], [[5] * target for _, target in lengths])
    assert choose_probe_rows(store).tolist() == [1, 3, 4, 5, 6, 7, 8, 9]  # type: ignore[arg-type]


def test_a_run_leaves_probes_and_snapshots(tmp_path: Path) -> None:
    valid = reversal_store(pairs=11, seed=3)
    _, model, _ = run_training(tmp_path, valid_store=valid, config_train_steps=24, config_valid_steps=9)
    assert [p.name for p in sorted((tmp_path / "snapshots").iterdir())] == [
        f"step-{step:08d}.safetensors" for step in (0, 10, 20)
    ]
    probes = sorted((tmp_path / "probes").glob("*.npz"))
    assert [p.stem for p in probes] == [f"step-{step:08d}" for step in (0, 9, 10, 18, 20, 24)]
    index = json.loads((tmp_path / "probes" / "index.json").read_text())
    assert [pair["row"] for pair in index["pairs"]] == list(range(8))
    assert index["pairs"][2]["source_ids"] == valid.source(2).tolist()
    assert index["pairs"][2]["source_pieces"] == [f"p{i}" for i in valid.source(2)]

    first = load_file(tmp_path / "snapshots" / "step-00000000.safetensors")
    assert equal_weights(first, tiny_model().state_dict())
    with np.load(probes[-1], allow_pickle=False) as arrays:
        probe = {name: arrays[name] for name in arrays.files}
    eos = model.config.specials.eos
    expected = [[*valid.target(row).tolist(), eos] for row in range(8)]
    assert probe["target_ids"].tolist() == [piece for ids in expected for piece in ids]
    assert probe["pair"].tolist() == [row for row, ids in enumerate(expected) for _ in ids]

    # The last probe is that of the averaged weights in the last checkpoint, recomputed pair by pair.
    twin = tiny_model().eval()
    twin.load_state_dict(load_file(tmp_path / "checkpoints" / "step-00000024" / "averages.safetensors"))
    logits = []
    for row, ids in enumerate(expected):
        source = torch.tensor([[*valid.source(row).tolist(), eos]])
        logits.append(twin(source, torch.tensor([[twin.start_id, *ids[:-1]]]))[0].detach())
    every = torch.cat(logits)
    log_probabilities = every.log_softmax(-1)
    assert np.allclose(probe["log_sum_exp"], every.logsumexp(-1), atol=1e-5)
    picked = log_probabilities[torch.arange(len(every)), torch.tensor(probe["target_ids"]).long()]
    assert np.allclose(probe["target_log_probability"], picked, atol=1e-5)
    vocabulary = every.shape[1]
    assert probe["top_ids"].shape == (len(every), min(50, vocabulary))
    assert np.allclose(
        probe["top_log_probabilities"], np.take_along_axis(log_probabilities.numpy(), probe["top_ids"], 1), atol=1e-5
    )
    assert (np.diff(probe["top_log_probabilities"], axis=1) <= 0).all()
    assert np.allclose(np.exp(probe["top_log_probabilities"]).sum(1), 1, atol=1e-4)  # 23 pieces: all are there


def test_a_validation_set_of_long_pairs_only_has_no_probes(tmp_path: Path) -> None:
    long = ArrayStore([[5] * 21], [[6] * 30])
    run_training(tmp_path, valid_store=long, config_train_steps=2)
    assert json.loads((tmp_path / "probes" / "index.json").read_text())["pairs"] == []
    assert not list((tmp_path / "probes").glob("*.npz"))


class RandomUse:
    """An evaluator that uses every random generator there is."""

    def __call__(self, model: torch.nn.Module) -> dict[str, float | str]:
        import random

        assert not model.training
        return {"bleu": float(torch.rand(7).sum()) + random.random() + np.random.rand(), "sample": "text"}


@pytest.mark.parametrize("method", ["eager", "static"])  # dropout of static steps goes on with the generator
def test_validations_saves_and_pictures_change_no_weight(tmp_path: Path, method: str) -> None:
    settings = {"config_step_method": method}
    _, often, _ = run_training(
        tmp_path / "a",
        config_valid_steps=1,
        config_save_steps=1,
        evaluator=RandomUse(),
        on_new_best=lambda m, f: None,
        **settings,
    )
    _, seldom, _ = run_training(tmp_path / "b", config_valid_steps=1000, **settings)
    assert equal_weights(often.state_dict(), seldom.state_dict())


def test_the_averaged_model_is_handed_over_when_it_is_the_best(tmp_path: Path) -> None:
    scores = iter([4.0, 7.0, 6.0])
    handed: list[dict[str, float | str]] = []
    weights: list[dict[str, torch.Tensor]] = []

    def take(model: torch.nn.Module, facts: dict[str, float | str]) -> None:
        assert not model.training
        handed.append(dict(facts))
        weights.append({name: tensor.clone() for name, tensor in model.state_dict().items()})

    result, _, listener = run_training(
        tmp_path,
        config_train_steps=6,
        config_valid_steps=2,
        evaluator=lambda model: {"bleu": next(scores), "sample": "ein Hund"},
        on_new_best=take,
    )
    assert [facts["step"] for facts in handed] == [2, 4]
    assert handed[1]["bleu"] == 7.0
    assert {"loss", "nll", "seconds"} <= set(handed[1])
    assert result.best_step == 4
    assert listener.validations[0].samples == {"sample": "ein Hund"}
    kept = load_file(tmp_path / "checkpoints" / "step-00000004" / "averages.safetensors")
    assert equal_weights(weights[1], kept)


def test_records_tell_what_was_done(tmp_path: Path) -> None:
    store = reversal_store(pairs=83, seed=1)
    result, model, listener = run_training(tmp_path, store=store, config_train_steps=6, config_accum_count=2)
    (start,) = listener.starts
    assert (start.first_step, start.num_pairs, start.train_steps) == (0, 83, 6)
    assert start.num_parameters == sum(p.numel() for p in model.parameters())
    assert result.target_tokens == sum(record.target_tokens for record in listener.steps)
    record = listener.steps[2]
    assert isinstance(record, StepRecord)
    assert record.fraction == pytest.approx(2 / 6)
    assert record.loss > 0
    assert record.gradient_norm > 0
    assert record.padded_tokens_per_second >= record.tokens_per_second > 0
    assert isinstance(listener, Listener)
