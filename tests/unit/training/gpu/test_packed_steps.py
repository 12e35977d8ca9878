"""Packed steps are the plain steps without padding: same losses, weights and averages, whatever the model shares."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pellucid.config import DecoderStart, NormOrder
from pellucid.errors import ConfigError, InterruptedByUser
from pellucid.runtime import Precision, Runtime
from pellucid.training.gpu.corpus import ResidentCorpus, StreamedCorpus
from pellucid.training.gpu.packed.batch import PackedBatch, bounds_of
from pellucid.training.gpu.shapes import PackedShape, Shape, ShapeGrid

from ..kit import SPECIALS, equal_weights, reversal_store, run_training, tiny_model
from ..test_resume import averages
from .test_static_steps import BF16, CALM, Stopper, close

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
WIDE = {"d_model": 32, "num_heads": 2, "d_feedforward": 48}
"""Heads of 16 dimensions, the smallest that the kernels know."""
VARIANTS = [
    {},
    {"share_embeddings": False},
    {"share_embeddings": False, "share_decoder_embeddings": False, "output_bias": True},
    {"decoder_start": DecoderStart.ZERO_VECTOR},
    {"zero_padding_row": False},
]


@pytest.mark.parametrize("changes", VARIANTS)
def test_a_run_of_packed_steps_is_a_run_of_plain_steps(tmp_path: Path, changes: dict[str, object]) -> None:
    runs = [
        run_training(
            tmp_path / method,
            model=tiny_model(dropout=0.0, **WIDE, **changes).double(),
            config_step_method=method,
            **CALM,
        )
        for method in ("eager", "packed")
    ]
    (plain, model, listener), (result, packed, other) = runs
    close(model.state_dict(), packed.state_dict(), 1e-6)
    close(averages(tmp_path / "eager", 20), averages(tmp_path / "packed", 20), 1e-6)
    assert (plain.steps, plain.target_tokens) == (result.steps, result.target_tokens)
    for one, two in zip(listener.steps, other.steps, strict=True):
        assert (two.loss, two.nll, two.gradient_norm) == pytest.approx((one.loss, one.nll, one.gradient_norm), 1e-6)
    assert listener.steps[0].loss == pytest.approx(other.steps[0].loss, 1e-12)
    assert any("packed" in text and "shapes of batches" in text for text in other.messages)


@pytest.mark.parametrize("runtime", [Runtime("cpu", Precision.FP32, 1, "as the tests ask"), BF16], ids=["fp32", "bf16"])
def test_a_stopped_run_goes_on_bit_for_bit(tmp_path: Path, runtime: Runtime) -> None:
    settings = {
        "config_step_method": "packed",
        "runtime": runtime,
    }
    _, model, _ = run_training(tmp_path / "whole", model=tiny_model(attention_dropout=0.1, **WIDE), **settings)
    part = tmp_path / "part"
    with pytest.raises(InterruptedByUser):
        run_training(
            part, model=tiny_model(attention_dropout=0.1, **WIDE), reporter=Stopper(6), **settings, config_save_steps=4
        )
    _, resumed, _ = run_training(part, model=tiny_model(attention_dropout=0.1, **WIDE), **settings)
    assert equal_weights(model.state_dict(), resumed.state_dict())
    assert equal_weights(averages(tmp_path / "whole", 20), averages(part, 20))


@pytest.mark.parametrize("kind", [ResidentCorpus, StreamedCorpus])
def test_a_packed_batch_has_the_tokens_of_its_rows(kind: type[ResidentCorpus | StreamedCorpus]) -> None:
    store, rows = reversal_store(pairs=41, seed=1), np.array([3, 7, 21, 40, 5])
    corpus = kind(store, torch.device("cpu"), specials=SPECIALS, start_id=SPECIALS.bos)  # type: ignore[arg-type]
    grid = ShapeGrid.for_batches([rows], store.source_lengths, store.target_lengths, is_packed=True)
    shape = grid.shape_of(rows, store.source_lengths, store.target_lengths)
    assert isinstance(shape, PackedShape)
    shape = shape._replace(rows=shape.rows + 3, source_tokens=shape.source_tokens + 11)
    feed = corpus.buffers(shape)
    corpus.fill(feed, rows, shape)
    batch = corpus.batch(feed, shape)
    assert isinstance(batch, PackedBatch)
    for place, row in enumerate(rows):
        source, target = (np.append(read(row), SPECIALS.eos).tolist() for read in (store.source, store.target))
        assert sentence(batch.source.ids, batch.source.bounds, place) == source
        assert sentence(batch.target_ids, batch.target.bounds, place) == target
        assert sentence(batch.target.ids, batch.target.bounds, place) == [SPECIALS.bos, *target[:-1]]
        assert sentence(batch.target_weights, batch.target.bounds, place) == [1.0] * len(target)
        assert sentence(batch.source.positions, batch.source.bounds, place) == list(range(len(source)))
    assert int(batch.target_weights.sum()) == int(store.target_lengths[rows].sum()) + len(rows)
    for side, tokens in ((batch.source, shape.source_tokens), (batch.target, shape.target_tokens)):
        assert int(side.bounds[-1]) == len(side.ids) == tokens
        assert int(side.bounds.diff().max()) <= side.block


def sentence(values: Tensor, bounds: Tensor, row: int) -> list[float]:
    found: list[float] = values[int(bounds[row]) : int(bounds[row + 1])].tolist()
    return found


def test_tokens_that_are_left_over_are_shared_among_the_rows_without_a_sentence() -> None:
    assert bounds_of(np.array([4, 2]), rows=5, tokens=13).tolist() == [0, 4, 6, 9, 11, 13]
    assert bounds_of(np.array([4, 2]), rows=2, tokens=6).tolist() == [0, 4, 6]
    assert bounds_of(np.array([4]), rows=4, tokens=5).tolist() == [0, 4, 5, 5, 5]


def test_almost_nothing_of_a_packed_epoch_is_padding() -> None:
    generator = np.random.default_rng(1)
    source, target = (np.clip(generator.gamma(3.0, 8.0, 20_000), 1, 120).astype(np.int64) for _ in range(2))
    order = np.argsort(np.maximum(source, target) * 1000 + generator.integers(0, 1000, len(source)))
    batches = [order[start : start + 300] for start in range(0, len(order), 300)]
    packed, padded = (
        ShapeGrid.for_batches(batches, source, target, is_packed=is_packed) for is_packed in (True, False)
    )
    assert packed.num_shapes <= 32
    assert packed.real_share > 0.9 > padded.real_share
    for rows in batches:
        shape = packed.shape_of(rows, source, target)
        assert isinstance(shape, PackedShape)
        for lengths, tokens in ((source, shape.source_tokens), (target, shape.target_tokens)):
            assert int(lengths[rows].max()) + 1 <= shape.block
            left = tokens - int(lengths[rows].sum()) - len(rows)
            assert 0 <= left <= shape.block * (shape.rows - len(rows))


def test_a_sentence_that_no_block_holds_makes_a_padded_batch(tmp_path: Path) -> None:
    lengths = np.array([5, 150, 9])
    grid = ShapeGrid.for_batches([np.array([0, 2])], lengths, lengths, is_packed=True)
    assert isinstance(grid.shape_of(np.array([0, 1]), lengths, lengths), Shape)
    settings = {"config_train_steps": 8, "config_batch_size": 400, **CALM}
    long = reversal_store(pairs=30, seed=2, longest=140)
    assert max(long.source_lengths) > 128 > min(long.source_lengths)
    (_, model, _), (_, packed, _) = (
        run_training(
            tmp_path / method,
            model=tiny_model(dropout=0.0, max_positions=200, **WIDE).double(),
            store=long,
            config_step_method=method,
            **settings,
        )
        for method in ("eager", "packed")
    )
    close(model.state_dict(), packed.state_dict(), 1e-6)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"norm_order": NormOrder.PRE}, "the norm of the paper"),
        ({"activation": "gelu"}, "ReLU"),
        ({"position_layout": "learned"}, "sinusoid"),
        ({"d_model": 28}, "heads have 14 dimensions"),
    ],
)
def test_a_model_that_packed_steps_do_not_know_is_refused(
    tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigError, match=f"step_method = 'packed' is not possible: .*{words}.*use 'auto' or 'graph'"):
        run_training(tmp_path, model=tiny_model(**WIDE | changes), config_step_method="packed")


@GPU
@pytest.mark.parametrize("precision", list(Precision))
def test_on_a_gpu_they_are_the_plain_steps(tmp_path: Path, precision: Precision) -> None:
    runtime = Runtime("cuda", precision, 1, "as the tests ask")
    settings = {"runtime": runtime, "config_train_steps": 40, "config_valid_steps": 20, **CALM}
    (_, model, one), (_, packed, other) = (
        run_training(tmp_path / method, model=tiny_model(dropout=0.0, **WIDE), config_step_method=method, **settings)
        for method in ("eager", "packed")
    )
    tolerance = {Precision.FP32: 1e-4, Precision.BF16: 0.05}[precision]
    close(model.state_dict(), packed.state_dict(), tolerance)
    assert not any("cannot become a graph" in text for text in other.messages)
    assert [record.step for record in one.steps] == [record.step for record in other.steps]


@GPU
@pytest.mark.parametrize("precision", list(Precision))
def test_on_a_gpu_a_run_is_repeated_and_continued_bit_for_bit(tmp_path: Path, precision: Precision) -> None:
    settings = {"runtime": Runtime("cuda", precision, 1, "as the tests ask"), "config_step_method": "packed"}
    models = [
        run_training(tmp_path / name, model=tiny_model(attention_dropout=0.1, **WIDE), **settings)[1]
        for name in ("one", "two")
    ]
    part = tmp_path / "part"
    with pytest.raises(InterruptedByUser):
        run_training(
            part, model=tiny_model(attention_dropout=0.1, **WIDE), reporter=Stopper(9), **settings, config_save_steps=4
        )
    models.append(run_training(part, model=tiny_model(attention_dropout=0.1, **WIDE), **settings)[1])
    for other in models[1:]:
        assert equal_weights(models[0].state_dict(), other.state_dict())
