"""The benchmark of training on a GPU runs without one, so that it does not fail where it is needed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from pellucid.config import ModelConfig
from pellucid.sample.corpus import build_corpus

BENCHMARKS = Path(__file__).resolve().parents[4] / "benchmarks"


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def write_pairs(folder: Path) -> None:
    """Write a corpus under the names of Multi30k."""
    corpus = build_corpus(seed=1, train_size=300, valid_size=11, test_size=7)
    for name, pairs in (("train", corpus.train), ("valid", corpus.valid), ("test2016", corpus.test)):
        for side, texts in (("de", [pair.source for pair in pairs]), ("en", [pair.target for pair in pairs])):
            (folder / f"{name}.{side}").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")


@pytest.mark.slow
def test_it_runs_on_a_processor(path: None, tmp_path: Path) -> None:
    import train_gpu

    write_pairs(tmp_path)
    threads = torch.get_num_threads()
    options = {
        "device": "cpu",
        "seconds": "0.2",
        "work": tmp_path,
        "data": tmp_path,
        "steps": "4",
        "budget": "100000",  # a busy machine must not leave anything out
        "json": tmp_path / "results" / "found.json",
    }
    status = train_gpu.main([f"--{name}={value}" for name, value in options.items()])
    torch.set_num_threads(threads)
    found = json.loads((tmp_path / "results" / "found.json").read_text(encoding="utf-8"))
    assert status == 0
    assert all(part["is_equal"] and part["steps"] == 12 for part in found["equality"].values())
    assert {(row["preset"], row["method"]) for row in found["utilisation"]} == {
        ("tiny", method) for method in ("packed", "eager", "static")
    }
    for row in found["utilisation"]:
        assert 0 < row["real_share_of_padded_tokens"] <= 1
        assert row["share_of_790_tflops"] > 0
    assert found["multi30k"]["steps"] == 4
    assert "lc" in found["multi30k"]["signature"]
    assert found["left_out"] == []


@pytest.mark.slow
def test_a_step_is_timed_on_a_processor(path: None, tmp_path: Path) -> None:
    import step_gpu

    threads = torch.get_num_threads()
    status = step_gpu.main(["--device=cpu", "--presets=tiny", f"--json={tmp_path / 'found.json'}"])
    torch.set_num_threads(threads)
    steps = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))["steps"]
    assert status == 0
    assert [row["method"] for row in steps] == ["packed", "graph"]
    for row in steps:
        assert len(row["batches"]) == 3
        assert row["milliseconds"] > 0
    packed, padded = (row["batches"] for row in steps)
    assert [one["tokens"] for one in packed] == [one["tokens"] for one in padded]


def test_the_operations_of_a_token_are_those_of_the_matrices(path: None) -> None:
    import training_loop
    from train_gpu import flops_of_token

    model = training_loop.make_model("small")
    store = training_loop.MadeUpStore(pairs=999, vocabulary=8000, mean_length=25, seed=1)
    config: ModelConfig = model.config
    # With as many source as target tokens, each matrix weight is used once a token, forward and twice backward.
    store.source_lengths = store.target_lengths
    matrices = sum(parameter.numel() for parameter in model.parameters() if parameter.dim() > 1)
    assert config.share_embeddings
    assert flops_of_token(config, store) == pytest.approx(6 * matrices, rel=0.02)
