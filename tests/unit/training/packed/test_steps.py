"""Packed steps are the plain steps without padding: same losses, weights and averages, whatever the model shares."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pellucid.config import DecoderStart, NormOrder, WordDropout
from pellucid.errors import ConfigError, EngineUnavailableError, InterruptedByUser
from pellucid.runtime import Precision, Runtime
from pellucid.text.batching import make_batch
from pellucid.training import regularisers
from pellucid.training.batches import PairWeights, to_tensors
from pellucid.training.gpu import updater
from pellucid.training.gpu.corpus import ResidentCorpus, StreamedCorpus
from pellucid.training.gpu.shapes import PackedShape, Shape, ShapeGrid
from pellucid.training.gpu.step_choice import way_of_run
from pellucid.training.packed import gradients, obstacles, processor, reference
from pellucid.training.packed.batch import PackedBatch, bounds_of
from pellucid.training.packed.gradients import packed_tokens, rounded_up
from pellucid.training.packed.network import PackedNetwork
from pellucid.training.packed.obstacles import packing_obstacle

from ..gpu.test_static_steps import BF16, CALM, Stopper, close
from ..kit import (
    RUNTIME,
    SPECIALS,
    equal_weights,
    reversal_store,
    run_training,
    tiny_config,
    tiny_model,
    training_config,
)
from ..test_resume import averages

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


@pytest.fixture(name="way", params=["in the plain loop", "in static shapes"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make packed steps as a processor does, or as a GPU does but for graphs."""
    if request.param == "in static shapes":
        monkeypatch.setattr(updater, "choose_packed", lambda *_, **__: None)
    found: str = request.param
    return found


@pytest.mark.parametrize("changes", VARIANTS)
def test_a_run_of_packed_steps_is_a_run_of_plain_steps(tmp_path: Path, way: str, changes: dict[str, object]) -> None:
    runs = [
        run_training(
            tmp_path / method,
            model=tiny_model(dropout=0.0, **WIDE, **changes).double(),
            config_step_method=method,
            config_accum_count=2 if way == "in the plain loop" else 1,
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
    assert any("shapes of batches" in text for text in other.messages) == (way == "in static shapes")


@pytest.mark.parametrize(
    ("way", "method"),
    [("in the plain loop", "packed"), ("in static shapes", "packed"), ("in static shapes", "static")],
    indirect=["way"],
)
@pytest.mark.parametrize(
    ("changes", "rates"),
    [
        ({"config_source_word_dropout": 0.1}, (0.1,)),
        ({"config_target_word_dropout": 0.1, "config_word_dropout": "zero"}, (0.1,)),
        ({"config_simcut": 3.0, "config_simcut_cutoff": 0.2, "config_source_word_dropout": 0.1}, (0.1, 0.2)),
        ({"config_r_drop": 5.0, "config_target_word_dropout": 0.1}, (0.1,)),
    ],
)
def test_regularisers_are_those_of_plain_steps(
    tmp_path: Path,
    way: str,
    method: str,
    changes: dict[str, object],
    rates: tuple[float, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both ways hide the same words here: those of every third piece for one rate, and of the next ones for another."""
    hidden: dict[str, int] = {}

    def hide(ids: Tensor, rate: float, *, form: WordDropout, **_: object) -> Tensor:
        assert form in WordDropout
        number = [0.0, *rates].index(rate)
        is_hidden = (ids >= 4) & (ids % 3 == number) & bool(rate)
        hidden[room] = hidden.get(room, 0) + int(is_hidden.sum())
        return ids.masked_fill(is_hidden, SPECIALS.pad if form is WordDropout.ZERO else SPECIALS.unk)

    monkeypatch.setattr(regularisers, "without_words", hide)
    settings = {"config_accum_count": 2 if way == "in the plain loop" else 1, **changes, **CALM}
    runs = []
    for room in ("eager", method):
        model = tiny_model(dropout=0.0, **WIDE).double()
        runs.append(run_training(tmp_path / room, model=model, config_step_method=room, **settings))
    (_, model, listener), (_, fast, other) = runs
    close(model.state_dict(), fast.state_dict(), 1e-6)
    assert hidden["eager"] == hidden[method] > 0
    for one, two in zip(listener.steps, other.steps, strict=True):
        assert (two.loss, two.nll, two.gradient_norm) == pytest.approx((one.loss, one.nll, one.gradient_norm), 1e-6)


def test_two_passes_draw_different_dropout() -> None:
    store, rows = reversal_store(pairs=41, seed=1), np.arange(11)
    made = make_batch(store, rows, specials=SPECIALS, start_id=SPECIALS.bos)
    batch, model = packed_tokens(to_tensors(made, device=torch.device("cpu"))), tiny_model(dropout=0.3)
    both = regularisers.regularised(
        batch, config=training_config(r_drop=5.0), model=model.config, start_id=model.start_id
    )
    network = PackedNetwork(model, dtype=torch.float32, operations=reference)
    losses = {}
    for weights in (PairWeights(1.0, 0.0, 0.0, 0.0), PairWeights(0.0, 1.0, 0.0, 0.0), PairWeights(0.0, 0.0, 1.0, 0.0)):
        torch.manual_seed(4)
        losses[weights], _ = network.compute(replace(both, pair=weights), label_smoothing=0.1)
    one, other, divergence = losses.values()
    assert one.item() != pytest.approx(other.item(), rel=1e-5)
    assert divergence.item() > 0.001 * one.item()


@pytest.mark.parametrize("runtime", [RUNTIME, BF16], ids=["fp32", "bf16"])
def test_a_stopped_run_goes_on_bit_for_bit(tmp_path: Path, way: str, runtime: Runtime) -> None:
    settings = {"config_step_method": "packed", "runtime": runtime}
    _, model, _ = run_training(tmp_path / "whole", model=tiny_model(attention_dropout=0.1, **WIDE), **settings)
    part = tmp_path / "part"
    with pytest.raises(InterruptedByUser):
        run_training(
            part, model=tiny_model(attention_dropout=0.1, **WIDE), reporter=Stopper(6), **settings, config_save_steps=4
        )
    _, resumed, _ = run_training(part, model=tiny_model(attention_dropout=0.1, **WIDE), **settings)
    assert equal_weights(model.state_dict(), resumed.state_dict())
    assert equal_weights(averages(tmp_path / "whole", 20), averages(part, 20))


@pytest.mark.parametrize(("runtime", "tolerance"), [(RUNTIME, 1e-4), (BF16, 0.05)], ids=["fp32", "bf16"])
def test_steps_in_c_are_the_plain_steps(tmp_path: Path, runtime: Runtime, tolerance: float) -> None:
    settings = {"runtime": runtime, "config_max_grad_norm": 0.5, **CALM}
    (_, model, one), (_, packed, other) = (
        run_training(tmp_path / method, model=tiny_model(dropout=0.0), config_step_method=method, **settings)
        for method in ("eager", "packed")
    )
    close(model.state_dict(), packed.state_dict(), tolerance)
    assert [record.step for record in one.steps] == [record.step for record in other.steps]


def test_a_new_run_on_a_processor_takes_packed_steps_and_a_continued_one_keeps_its_own(tmp_path: Path) -> None:
    for began, way in (("auto", "packed"), ("eager", "eager"), ("packed", "packed")):
        folder = tmp_path / began
        run_training(folder, config_step_method=began, config_train_steps=3)
        assert way_of_run(folder, RUNTIME) == way
        run_training(folder, config_step_method="auto", config_train_steps=6)
        assert way_of_run(folder, RUNTIME) == way


def test_without_a_compiler_a_new_run_is_eager_and_packed_steps_say_that_they_are_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise EngineUnavailableError("there is no C compiler")

    monkeypatch.setattr(processor, "load", refuse)
    run_training(tmp_path / "auto", config_train_steps=3)
    assert way_of_run(tmp_path / "auto", RUNTIME) == "eager"
    _, _, listener = run_training(tmp_path / "packed", config_step_method="packed", config_train_steps=3)
    assert any("which is slower (there is no C compiler)" in text for text in listener.messages)


def test_a_step_that_is_not_finite_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = PackedNetwork.compute, 0

    def compute(self: PackedNetwork, *inputs: object, **rest: object) -> tuple[Tensor, Tensor]:
        nonlocal calls
        calls += 1
        loss, likelihood = real(self, *inputs, **rest)
        return (loss * float("nan") if calls == 4 else loss), likelihood

    monkeypatch.setattr(PackedNetwork, "compute", compute)
    result, _, listener = run_training(tmp_path, config_step_method="packed", config_train_steps=8)
    assert result.skipped_steps == 1
    assert [record.step for record in listener.steps if record.skipped] == [4]


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


def test_a_padded_batch_is_packed() -> None:
    store, rows = reversal_store(pairs=41, seed=1), np.array([3, 7, 21, 40, 5])
    made = make_batch(store, rows, specials=SPECIALS, start_id=SPECIALS.bos)
    batch = packed_tokens(to_tensors(made, device=torch.device("cpu")))
    for place, row in enumerate(rows):
        source, target = (np.append(read(row), SPECIALS.eos).tolist() for read in (store.source, store.target))
        assert sentence(batch.source.ids, batch.source.bounds, place) == source
        assert sentence(batch.source.positions, batch.source.bounds, place) == list(range(len(source)))
        assert sentence(batch.target_ids, batch.target.bounds, place) == target
        assert sentence(batch.target.ids, batch.target.bounds, place) == [SPECIALS.bos, *target[:-1]]
    real = [int(lengths[rows].sum()) + len(rows) for lengths in (store.source_lengths, store.target_lengths)]
    for side, tokens in zip((batch.source, batch.target), real, strict=True):
        assert int(side.bounds[-1]) == len(side.ids) == len(side.positions) == rounded_up(tokens)
        assert int(side.bounds.diff().max()) <= side.block
    assert len(batch.source.bounds) == len(batch.target.bounds)
    left = rounded_up(real[1]) - real[1]
    assert batch.target_weights.tolist() == [1.0] * real[1] + [0.0] * left
    assert len(batch.target_ids) == len(batch.target.ids)


@given(st.integers(1, 100_000))
def test_batches_have_few_numbers_of_tokens_and_little_left_over(tokens: int) -> None:
    assert tokens <= rounded_up(tokens) < tokens * 17 / 16
    alike = {rounded_up(number) for number in range(3 * tokens // 4, tokens + 1)}
    assert len(alike) <= 12


def test_tokens_that_are_left_over_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    store, rows = reversal_store(pairs=90, seed=1), np.arange(2, 71)
    made = to_tensors(make_batch(store, rows, specials=SPECIALS, start_id=SPECIALS.bos), device=torch.device("cpu"))
    model = tiny_model(dropout=0.0)
    found = []
    for rounding in (rounded_up, lambda tokens: tokens):
        monkeypatch.setattr(gradients, "rounded_up", rounding)
        network = PackedNetwork(model, dtype=torch.float32, operations=reference)
        sums = network.compute(packed_tokens(made), label_smoothing=0.1, target_tokens=100)
        found.append([*sums, *network.gradients])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


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
        ({"config_attention": "torch"}, "training.attention = 'torch'"),
    ],
)
def test_what_packed_steps_do_not_know_is_refused(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    settings = {name: value for name, value in changes.items() if name.startswith("config_")}
    model = tiny_model(**{name: value for name, value in changes.items() if name not in settings})
    with pytest.raises(ConfigError, match=f"step_method = 'packed' is not possible: .*{words}.*use 'auto' or 'eager'"):
        run_training(tmp_path / "packed", model=model, config_step_method="packed", **settings)
    run_training(tmp_path / "auto", model=model, config_train_steps=2, **settings)
    assert way_of_run(tmp_path / "auto", RUNTIME) == "eager"


def test_on_a_gpu_heads_have_a_width_that_its_kernels_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(obstacles, "_has_triton", lambda: True)
    assert packing_obstacle(tiny_config(**WIDE), "cuda") == packing_obstacle(tiny_config(), "cpu") == ""
    assert "heads have 7 dimensions" in packing_obstacle(tiny_config(), "cuda")


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
