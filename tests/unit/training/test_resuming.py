"""What counts as the same run, and in which words it is refused."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from pellucid.config import TrainingConfig
from pellucid.errors import IncompatibleModelError, InterruptedByUser
from pellucid.signals import StopSignals
from pellucid.training.resuming import FREE_SETTINGS, differences, refuse_changes


def test_differences_name_the_place_and_both_values() -> None:
    old = {"a": 1, "b": {"c": [1, 2], "d": "x"}, "gone": 3}
    new = {"a": 1, "b": {"c": (1, 2), "d": "y"}, "new": None}
    assert differences(old, new) == ["b.d: was 'x', now 'y'", "gone: was 3, now not set"]
    assert differences(old, new, free={"b", "gone"}) == []
    assert differences(old, new, free={"b.d"}) == ["gone: was 3, now not set"]
    assert differences({"a": None}, {"a": 3}) == ["a: was not set, now 3"]


def test_every_free_setting_exists() -> None:
    for name in FREE_SETTINGS:
        section, _, field = name.partition(".")
        assert section in {"training", "translation", "description"}
        assert not field or field in TrainingConfig.model_fields


def test_free_settings_may_change() -> None:
    refuse_changes(
        Path("run"),
        old_settings={"training": {"train_steps": 10, "seed": 1}, "description": "a"},
        new_settings={"training": {"train_steps": 20, "seed": 1, "save_seconds": 3}, "description": "b"},
        old_data={},
        new_data={},
    )


def test_a_refusal_lists_everything() -> None:
    with pytest.raises(IncompatibleModelError) as caught:
        refuse_changes(
            Path("run"),
            old_settings={"model": {"d_model": 128}, "training": {"seed": 1}},
            new_settings={"model": {"d_model": 256}, "training": {"seed": 2}},
            old_data={"train": "aa"},
            new_data={"train": "bb"},
        )
    for words in ("model.d_model: was 128, now 256", "training.seed: was 1, now 2", "data.train: was 'aa', now 'bb'"):
        assert words in str(caught.value)


def test_the_first_signal_is_remembered_and_a_second_ctrl_c_stops_at_once() -> None:
    before = signal.getsignal(signal.SIGINT)
    with StopSignals() as signals:
        signal.raise_signal(signal.SIGINT)
        assert signals.received is signal.SIGINT
        with pytest.raises(InterruptedByUser, match="newest checkpoint"):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_the_first_signal_decides_and_sigterm_never_cuts_a_step() -> None:
    with StopSignals() as signals:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        assert signals.received is signal.SIGTERM
        with pytest.raises(InterruptedByUser):
            signal.raise_signal(signal.SIGINT)
