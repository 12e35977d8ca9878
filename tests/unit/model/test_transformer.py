"""The whole model: what padding, order, tying, starts and settings must and must not do."""

from __future__ import annotations

import copy

import pytest
import torch
from tests.models import random_model
from torch import Tensor

from pellucid.config import PRESETS, ModelConfig, SpecialIds
from pellucid.errors import ConfigError, PellucidError
from pellucid.model import ZERO_VECTOR_ID, Transformer

SOURCE, TARGET, VOCABULARY = 7, 5, 31


def make(seed: int = 1, **changes: object) -> Transformer:
    shape: dict[str, object] = {
        "d_model": 22,
        "num_heads": 2,
        "d_feedforward": 29,
        "num_encoder_layers": 2,
        "num_decoder_layers": 3,
        "max_positions": 41,
        "specials": SpecialIds(pad=5, unk=1, bos=2, eos=3),
    }
    return random_model(vocabulary=VOCABULARY, seed=seed, dtype=torch.float64, **(shape | changes))


def ids(batch: int, time: int, seed: int = 2) -> Tensor:
    return torch.randint(6, VOCABULARY, (batch, time), generator=torch.Generator().manual_seed(seed))


def same(first: Tensor, second: Tensor) -> None:
    torch.testing.assert_close(first, second, rtol=1e-10, atol=1e-10)


ORDERS = pytest.mark.parametrize("order", ["post", "pre"])


@ORDERS
@torch.no_grad()
def test_padding_does_not_change_a_result(order: str) -> None:
    model = make(norm_order=order)
    source, target = ids(3, SOURCE), ids(3, TARGET)
    source_lengths, target_lengths = [7, 4, 1], [2, 5, 3]
    source_mask = torch.arange(SOURCE) < torch.tensor(source_lengths)[:, None]
    target_mask = torch.arange(TARGET) < torch.tensor(target_lengths)[:, None]
    for mask in (target_mask, None):
        together = model(source, target, source_mask=source_mask, target_mask=mask)
        for row, (source_length, target_length) in enumerate(zip(source_lengths, target_lengths, strict=True)):
            alone = model(source[row : row + 1, :source_length], target[row : row + 1, :target_length])
            same(together[row, :target_length], alone[0])


@torch.no_grad()
def test_padding_may_stand_at_the_front_of_the_target() -> None:
    model = make()
    source, target = ids(1, SOURCE), ids(1, TARGET)
    mask = torch.tensor([[False, False, True, True, True]])
    other = target.clone()
    other[:, :2] = 9
    first, second = (model(source, given, target_mask=mask) for given in (target, other))
    same(first[:, 2:], second[:, 2:])


@ORDERS
@torch.no_grad()
def test_a_later_token_never_changes_earlier_logits(order: str) -> None:
    model = make(norm_order=order)
    source, target = ids(2, SOURCE), ids(2, TARGET)
    before = model(source, target)
    for position in range(TARGET):
        changed = target.clone()
        changed[:, position] = 6 + (changed[:, position] - 5) % (VOCABULARY - 6)
        after = model(source, changed)
        assert torch.equal(after[:, :position], before[:, :position])
        assert not torch.allclose(after[:, position], before[:, position])


@torch.no_grad()
def test_every_source_token_reaches_every_logit() -> None:
    model = make()
    source, target = ids(1, SOURCE), ids(1, TARGET)
    before = model(source, target)
    for position in range(SOURCE):
        changed = source.clone()
        changed[:, position] = 6 + (changed[:, position] - 5) % (VOCABULARY - 6)
        assert ((model(changed, target) - before).abs().amax(-1) > 1e-9).all()


@ORDERS
def test_a_source_of_padding_alone_gives_finite_values_and_gradients(order: str) -> None:
    model = make(norm_order=order).train()
    source_mask = torch.ones(2, SOURCE, dtype=torch.bool)
    source_mask[1] = False
    logits = model(ids(2, SOURCE), ids(2, TARGET), source_mask=source_mask)
    logits.logsumexp(-1).sum().backward()
    assert torch.isfinite(logits).all()
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())


@pytest.mark.parametrize(
    "tying",
    [{}, {"share_embeddings": False}, {"share_embeddings": False, "share_decoder_embeddings": False}],
    ids=["all three", "decoder", "none"],
)
def test_the_padding_row_is_zero_and_stays_zero(tying: dict[str, object]) -> None:
    model = make(**tying).train()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.1)
    for seed in range(3):
        source, target = ids(2, SOURCE, seed), ids(2, TARGET, seed)
        source[:, 3], target[:, 2] = 5, 5
        # The output projection pulls at the padding row through the softmax, at every position.
        model(source, target).log_softmax(-1)[..., 7].sum().backward()
        optimiser.step()
        optimiser.zero_grad()
    for table in {model.source_embedding, model.decoder_embedding}:
        assert not table.weight[5].any()
        assert table.weight[6:].any(dim=1).all()


def test_a_free_padding_row_is_drawn_and_trained() -> None:
    model = make(zero_padding_row=False)
    assert model.source_embedding.weight[5].any()
    source = ids(2, SOURCE)
    source[:, 3] = 5
    model(source, ids(2, TARGET))[..., 7].sum().backward()
    assert model.source_embedding.weight.grad is not None
    assert model.source_embedding.weight.grad[5].any()


def test_freezing_the_padding_row_leaves_all_other_gradients_as_they_are() -> None:
    frozen, free = make(), make(zero_padding_row=False)
    free.load_state_dict(frozen.state_dict())
    for model in (frozen, free):
        model(ids(2, SOURCE), ids(2, TARGET)).log_softmax(-1)[..., 7].sum().backward()
    for (name, ours), theirs in zip(frozen.named_parameters(), free.parameters(), strict=True):
        expected = theirs.grad.clone()
        if name == "source_embedding.weight":
            assert expected[5].any()
            expected[5] = 0
        same(ours.grad, expected)


TABLES = ["source_embedding.weight", "target_embedding.weight", "projection.weight", "projection.bias"]


@pytest.mark.parametrize(
    ("settings", "stored"),
    [
        ({}, TABLES[:1]),
        ({"share_embeddings": False, "target_vocab_size": 37}, TABLES[:2]),
        ({"share_embeddings": False, "share_decoder_embeddings": False, "output_bias": True}, TABLES),
    ],
)
def test_a_shared_table_is_stored_once(settings: dict[str, object], stored: list[str]) -> None:
    model = make(**settings)
    names = [name for name in model.state_dict() if not name.startswith(("encoder", "decoder"))]
    assert names == stored
    assert list(model.state_dict()) == [name for name, _ in model.named_parameters()]
    clone = copy.deepcopy(model)
    assert list(clone.state_dict()) == list(model.state_dict())
    same(clone(ids(2, SOURCE), ids(2, TARGET)), model(ids(2, SOURCE), ids(2, TARGET)))


def test_starts_are_as_configured() -> None:
    assert make().start_id == 2
    assert make(decoder_start="pad").start_id == 5
    assert make(decoder_start="zero_vector").start_id == ZERO_VECTOR_ID


def test_unknown_vocabulary_sizes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"source_vocab_size = 0.*with_vocabulary"):
        make(source_vocab_size=0)


@torch.no_grad()
def test_too_long_a_sequence_is_refused_with_its_length_and_the_limit() -> None:
    model = make(max_positions=6)
    with pytest.raises(PellucidError, match=r"7 tokens.*max_positions = 6"):
        model.encode(ids(1, 7))
    with pytest.raises(PellucidError, match=r"7 tokens.*max_positions = 6"):
        model(ids(1, 6), ids(1, 7))


@torch.no_grad()
def test_projecting_chosen_rows_is_choosing_projected_rows() -> None:
    model = make(output_bias=True)
    hidden = torch.randn(3, TARGET, 22, dtype=torch.float64)
    mask = torch.rand(3, TARGET) < 0.5
    same(model.project(hidden[mask]), model.project(hidden)[mask])


def test_parameters_of_base_are_the_sum_of_the_papers_parts() -> None:
    vocabulary, d_model, d_feedforward = 37_000, 512, 2048
    attention = 4 * (d_model * d_model + d_model)
    feed_forward = d_model * d_feedforward + d_feedforward + d_feedforward * d_model + d_model
    norm = 2 * d_model
    encoder_layer = attention + feed_forward + 2 * norm
    decoder_layer = 2 * attention + feed_forward + 3 * norm
    expected = vocabulary * d_model + 6 * (encoder_layer + decoder_layer)
    with torch.device("meta"):
        config = ModelConfig(**PRESETS["base"], source_vocab_size=vocabulary, target_vocab_size=vocabulary)
        assert Transformer(config).num_parameters() == expected == 63_082_496
    assert abs(expected - 65e6) < 2.5e6  # table 3: "65 x 10^6"


def test_initial_weights_are_spread_as_stated() -> None:
    torch.manual_seed(4)
    config = ModelConfig(
        d_model=128, num_heads=4, d_feedforward=512, source_vocab_size=997, target_vocab_size=997, output_bias=True
    )
    model = Transformer(config)
    assert model.source_embedding.weight.std().item() == pytest.approx(128**-0.5, rel=0.02)
    layer, other = model.encoder.layers[0], model.decoder.layers[5]
    inside = [layer.self_attention.queries, layer.feed_forward.inner, other.cross_attention.values]
    # Two residual sums in each of six layers of the encoder, three in those of the decoder.
    last_in_encoder = [layer.self_attention.output, layer.feed_forward.outer]
    last_in_decoder = [other.self_attention.output, other.cross_attention.output, other.feed_forward.outer]
    for linear in inside + last_in_encoder + last_in_decoder:
        sums = 12 if linear in last_in_encoder else 18 if linear in last_in_decoder else 1
        rows, columns = linear.weight.shape
        bound = (6 / (rows + columns) / sums) ** 0.5
        assert linear.weight.abs().max().item() == pytest.approx(bound, rel=0.01)
        assert linear.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)
        assert not linear.bias.any()
    assert not model.projection.bias.any()


def test_the_seed_decides_the_initial_weights() -> None:
    first, again, other = make(seed=1), make(seed=1), make(seed=2)
    same(first(ids(1, SOURCE), ids(1, TARGET)), again(ids(1, SOURCE), ids(1, TARGET)))
    assert not torch.equal(first.source_embedding.weight, other.source_embedding.weight)


@ORDERS
def test_autocast_trains_in_bfloat16_with_finite_gradients_in_float32(order: str) -> None:
    model = make(norm_order=order, dropout=0.1, attention_dropout=0.1, activation_dropout=0.1).float().train()
    source_mask = torch.ones(2, SOURCE, dtype=torch.bool)
    source_mask[1, 3:] = False
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(ids(2, SOURCE), ids(2, TARGET), source_mask=source_mask)
        loss = logits.float().log_softmax(-1)[..., 7].sum()
    loss.backward()
    assert logits.dtype == torch.bfloat16
    for parameter in model.parameters():
        assert parameter.grad.dtype == torch.float32
        assert torch.isfinite(parameter.grad).all()
    exact = model.eval()(ids(2, SOURCE), ids(2, TARGET), source_mask=source_mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = model(ids(2, SOURCE), ids(2, TARGET), source_mask=source_mask)
    torch.testing.assert_close(rounded.float(), exact, rtol=0.1, atol=0.15)


def test_dropout_acts_in_training_only_and_in_all_three_places() -> None:
    source, target = ids(2, SOURCE), ids(2, TARGET)
    for place in ("dropout", "attention_dropout", "activation_dropout"):
        model = make(**{"dropout": 0.0, place: 0.4})
        still = model(source, target)
        assert torch.equal(still, model(source, target))
        model.train()
        assert not torch.allclose(model(source, target), still)
        state = torch.get_rng_state()
        first = model(source, target)
        torch.set_rng_state(state)
        assert torch.equal(model(source, target), first)


# The compiler of torch 2.13 itself makes an instance of autograd.Function, which torch deprecates.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_it_compiles_as_one_graph() -> None:
    model = make(num_encoder_layers=1, num_decoder_layers=1, attention_dropout=0.1, activation_dropout=0.1).train()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    source_mask = torch.ones(2, SOURCE, dtype=torch.bool)
    assert compiled(ids(2, SOURCE), ids(2, TARGET), source_mask=source_mask).shape == (2, TARGET, VOCABULARY)
