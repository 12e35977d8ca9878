"""A chosen batch fits into the free memory, holds the longest pair, and is only smaller where memory is short."""

from __future__ import annotations

import itertools

import pytest
import torch

from pellucid.config import recipe_from
from pellucid.errors import ConfigError
from pellucid.jobs.promises.batch_size import BatchSize, _bytes_for_backward, chosen_size, free_memory, scaled_rate

GIB = 2**30


def size(*, free: int | None, longest: int = 257, places: int = 10**9, is_gpu: bool = False) -> BatchSize:
    return chosen_size(
        lambda tokens: 0.2 * GIB + tokens * 500_000, free=free, longest=longest, places=places, is_gpu=is_gpu
    )


def test_it_fits() -> None:
    for free, longest, is_gpu in itertools.product((3 * GIB // 4, GIB, 4 * GIB, 80 * GIB), (31, 257), (False, True)):
        found = size(free=free, longest=longest, is_gpu=is_gpu)
        assert found.tokens >= longest
        assert 0.2 * GIB + found.tokens * 500_000 <= 0.7 * free


def test_a_processor_takes_the_usual_size_unless_memory_is_short() -> None:
    assert size(free=80 * GIB).tokens == 2048
    assert size(free=None).tokens == 2048
    short = size(free=GIB)
    assert short.tokens == 1024
    assert "memory is short" in short.to_text()


def test_a_step_on_the_processor_is_counted_there_although_there_is_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    weights = torch.ones(1000, requires_grad=True)
    assert _bytes_for_backward(lambda: (weights.exp() ** 2).sum(), is_gpu=False) >= 4 * 1000


def test_a_gpu_takes_more_as_long_as_an_epoch_has_enough_steps() -> None:
    assert size(free=80 * GIB, is_gpu=True).tokens == 32_768
    assert size(free=80 * GIB, is_gpu=True, places=400_000).tokens == 8192
    assert size(free=80 * GIB, is_gpu=True, places=1_000).tokens == 2048


def test_a_rate_that_a_preset_chose_follows_the_batch_once() -> None:
    recipe = recipe_from({"training": {"batch_size": 8192, "learning_rate": 2e-3}})
    scaled, words = scaled_rate(recipe, 2048)
    assert scaled.training.learning_rate == 4e-3
    assert words == "; the peak rate 0.002, which preset auto chose for 2,048 tokens, becomes 0.004"
    assert scaled_rate(recipe, 8192) == (recipe, "")
    assert scaled_rate(recipe, None) == (recipe, "; training.learning_rate is not scaled with it")
    usual = recipe_from({"training": {"batch_size": 2048, "learning_rate": 2e-3}})
    assert scaled_rate(usual, None) == (usual, "")
    smaller, _ = scaled_rate(usual, 4096)
    assert smaller.training.learning_rate == 1.4e-3


def test_too_little_memory_is_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match=r"0\.25 GiB are free; use a smaller preset"):
        size(free=GIB // 4)


def test_the_free_memory_of_this_machine_is_known() -> None:
    free = free_memory()
    assert free is None or free > 0
