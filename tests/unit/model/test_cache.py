"""Decoding step by step with a cache is the uncached pass, whatever search does to the rows."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from tests.models import random_model
from torch import Tensor

from pellucid.errors import PellucidError
from pellucid.model import Transformer

SENTENCES, SOURCE, VOCABULARY = 3, 7, 31
STEPS = 37  # the buffers, of 16 positions at first, are doubled twice


def make(**changes: object) -> Transformer:
    shape = {"max_positions": 41} | changes
    return random_model(vocabulary=VOCABULARY, seed=1, dtype=torch.float64, **shape)


def sentences() -> tuple[Tensor, Tensor]:
    source = torch.randint(4, VOCABULARY, (SENTENCES, SOURCE), generator=torch.Generator().manual_seed(2))
    return source, torch.arange(SOURCE) < torch.tensor([7, 4, 0])[:, None]


VARIANTS: dict[str, dict[str, object]] = {
    "paper": {},
    "pre-norm": {"norm_order": "pre"},
    "learned positions with offset": {"position_layout": "learned", "position_offset": 2},
    "zero vector, untied": {
        "decoder_start": "zero_vector",
        "share_embeddings": False,
        "share_decoder_embeddings": False,
        "output_bias": True,
        "target_vocab_size": 37,
    },
}


@pytest.mark.parametrize("variant", VARIANTS)
@torch.no_grad()
def test_a_step_is_the_uncached_pass_at_every_position(variant: str) -> None:
    model = make(**VARIANTS[variant])
    source, source_mask = sentences()
    target = torch.randint(4, VOCABULARY, (SENTENCES, STEPS), generator=torch.Generator().manual_seed(3))
    target[:, 0] = model.start_id
    cache = model.start_cache(model.encode(source, source_mask=source_mask), source_mask=source_mask)
    whole = model(source, target, source_mask=source_mask)
    for position in range(STEPS):
        assert cache.length == position
        step = model.decode_step(target[:, position], cache)
        torch.testing.assert_close(step, whole[:, position], rtol=1e-10, atol=1e-10)


# Row orders as searches make them: a beam opens, is reordered, loses single rows, loses a sentence,
# mixes sentences, grows again.
ORDERS: list[list[int]] = [
    [0, 0, 1, 1, 2, 2],
    [1, 0, 2, 2, 5, 4],
    [0, 1, 2, 3, 4, 5],
    [0, 2, 3, 4, 5],
    [1, 2, 3, 4],
    [3, 2, 0, 1],
    [0, 1],
    [1, 0, 1, 0, 0, 0],
    [5, 4, 3, 0],
    [2],
    [0, 0, 0],
]


@pytest.mark.parametrize("masked", [True, False])
@torch.no_grad()
def test_rows_may_be_reordered_duplicated_and_dropped(masked: bool) -> None:
    model = make()
    source, source_mask = sentences()
    mask = source_mask if masked else None
    cache = model.start_cache(model.encode(source, source_mask=mask), source_mask=mask)
    generator = torch.Generator().manual_seed(5)
    owner = torch.arange(SENTENCES)
    past = torch.full((SENTENCES, 0), 0)
    for order in [[0, 1, 2], *ORDERS, *ORDERS[-1:] * 7]:
        rows = torch.tensor(order)
        cache.select(rows)
        owner, past = owner[rows], past[rows]
        last = torch.randint(4, VOCABULARY, (len(rows),), generator=generator)
        past = torch.cat([past, last[:, None]], dim=1)
        step = model.decode_step(last, cache)
        chosen = None if mask is None else mask[owner]
        whole = model(source[owner], past, source_mask=chosen)
        assert cache.num_rows == len(rows)
        torch.testing.assert_close(step, whole[:, -1], rtol=1e-10, atol=1e-10)


@torch.no_grad()
def test_a_beam_shares_the_keys_and_values_of_its_sentence() -> None:
    model = make()
    source, _ = sentences()
    cache = model.start_cache(model.encode(source))
    cache.select(torch.arange(SENTENCES).repeat_interleave(5))
    assert cache.num_rows == 15
    assert cache.cross.keys_values.shape[0] == SENTENCES
    cache.select(torch.arange(10))
    assert cache.cross.keys_values.shape[0] == 2


@torch.no_grad()
def test_no_rows_may_be_left() -> None:
    model = make()
    cache = model.start_cache(model.encode(sentences()[0]))
    model.decode_step(torch.tensor([4, 4, 4]), cache)
    cache.select(torch.tensor([], dtype=torch.long))
    assert cache.num_rows == 0
    assert model.decode_step(torch.tensor([], dtype=torch.long), cache).shape == (0, VOCABULARY)


@torch.no_grad()
def test_a_step_past_the_last_position_is_refused() -> None:
    model = make(max_positions=7)
    cache = model.start_cache(model.encode(sentences()[0]))
    for _ in range(7):
        model.decode_step(torch.tensor([4, 5, 6]), cache)
    with pytest.raises(PellucidError, match=r"8 tokens.*max_positions = 7"):
        model.decode_step(torch.tensor([4, 5, 6]), cache)


def test_steps_keep_no_graph() -> None:
    model = make()
    cache = model.start_cache(model.encode(sentences()[0]))
    assert not model.decode_step(torch.tensor([4, 5, 6]), cache).requires_grad


@torch.no_grad()
def test_a_cache_works_under_autocast() -> None:
    model = make().float()
    source, source_mask = sentences()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cache = model.start_cache(model.encode(source, source_mask=source_mask), source_mask=source_mask)
        first = model.decode_step(torch.tensor([2, 2, 2]), cache)
        second = model.decode_step(torch.tensor([4, 5, 6]), cache)
    target = torch.tensor([[2, 4], [2, 5], [2, 6]])
    whole = model(source, target, source_mask=source_mask)
    torch.testing.assert_close(torch.stack([first, second], 1).float(), whole, rtol=0.1, atol=0.15)


@torch.no_grad()
def test_buffers_go_with_their_search_and_do_not_wait_for_the_garbage_collector() -> None:
    model = make()
    source, source_mask = sentences()
    gc.disable()
    try:
        cache = model.start_cache(model.encode(source, source_mask=source_mask), source_mask=source_mask)
        model.decode_step(torch.full((SENTENCES,), model.start_id), cache)
        past, cross = weakref.ref(cache.past), weakref.ref(cache.cross)
        del cache
        assert past() is None
        assert cross() is None
    finally:
        gc.enable()
