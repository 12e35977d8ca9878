"""What the tests of the device engine share: requests, engines, and the comparison with torch."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from copy import deepcopy

import pytest
import torch
from tests.equivalence.clear_models import BOS, EOS, PAD, SHORT, sentences

from pellucid.config import TranslationConfig
from pellucid.model.transformer import Transformer
from pellucid.translation.constraints import Constraints
from pellucid.translation.engines.device.engine import DeviceEngine
from pellucid.translation.engines.engine import SearchRequest
from pellucid.translation.engines.torch_engine import TorchEngine
from pellucid.translation.hypothesis import Hypothesis
from pellucid.translation.stepper import ModelStepper
from pellucid.translation.units import Unit

Found = dict[int, list[Hypothesis]]


def visible(ids: Sequence[int]) -> Hashable:
    """Return what a reader sees of a translation where many pieces look alike, so that lists have to be filled up."""
    return tuple(index % 7 for index in ids if index % 3)


def request(
    sources: Sequence[Sequence[int]],
    settings: dict[str, object],
    *,
    key_of: Callable[[Sequence[int]], Hashable] = visible,
    forbidden: Sequence[int] = (PAD, BOS),
) -> SearchRequest:
    config = TranslationConfig.model_validate(settings)
    units = [Unit(place, 0, tuple(ids)) for place, ids in enumerate(sources)]
    rules = Constraints(eos_id=EOS, forbidden_ids=tuple(forbidden), min_length=config.min_length)
    return SearchRequest(units, config, rules, key_of=key_of)


def engine_of(model: Transformer, **options: object) -> DeviceEngine:
    return DeviceEngine(deepcopy(model), **options)


def by_torch(model: Transformer, wanted: SearchRequest) -> dict[int, list[Hypothesis] | str]:
    return dict(TorchEngine(lambda: ModelStepper(model), (model,)).search(wanted))


def refuse_difference(found: Found, expected: Found, *, tolerance: float = 1e-4) -> None:
    assert found.keys() == expected.keys()
    for place, theirs in expected.items():
        ours = found[place]
        assert [one.ids for one in ours] == [one.ids for one in theirs], place
        assert [one.is_finished for one in ours] == [one.is_finished for one in theirs]
        for one, other in zip(ours, theirs, strict=True):
            assert one.token_log_probabilities == pytest.approx(other.token_log_probabilities, abs=tolerance)
            assert one.score == pytest.approx(other.score, abs=tolerance)


def compare(
    model: Transformer, settings: dict[str, object], *, count: int = 13, rows_at_once: int = 0
) -> dict[int, list[Hypothesis]]:
    wanted = request(sentences(count), SHORT | settings)
    engine = engine_of(model, rows_at_once=rows_at_once)
    assert engine.lacks(wanted) is None
    found = dict(engine.search(wanted))
    refuse_difference(found, by_torch(model, wanted))
    return found


class NoLook(torch.utils._python_dispatch.TorchDispatchMode):
    """Note every operation with the shapes of its arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, function, types, arguments=(), options=None):  # type: ignore[no-untyped-def]
        def told(value: object) -> str:
            if isinstance(value, list | tuple):
                return str([told(one) for one in value])
            return f"{value.dtype} {list(value.shape)}" if isinstance(value, torch.Tensor) else repr(value)

        self.seen.append(f"{function} {told(arguments)}")
        return function(*arguments, **(options or {}))
