"""What a run says of settings and saves is true of those that nobody chose, and of those that are not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from pellucid.config.training import TrainingConfig
from pellucid.durable import refuse_full_disk
from pellucid.errors import StoppedError
from pellucid.training.trainer import Trainer


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "the usual warm-up of 400 steps is over half"),
        ({"warmup_steps": 90}, "the warm-up of 90 steps is over half"),
    ],
)
def test_a_warm_up_that_nobody_chose_is_called_the_usual_one(settings: dict[str, int], said: str) -> None:
    trainer, heard = object.__new__(Trainer), list[str]()
    trainer._config = TrainingConfig.model_validate({"decay_method": "linear_to_zero", **settings})
    trainer._say = heard.append  # type: ignore[method-assign]
    trainer._warn_of_warmup()
    trainer._warn_of_warmup()
    assert [line.startswith(said) for line in heard] == [True]


def test_a_full_disk_claims_no_save_that_may_not_be_there(tmp_path: Path) -> None:
    with (
        pytest.raises(StoppedError, match="What was saved before stays intact"),
        refuse_full_disk(tmp_path, needed_bytes=1 << 62),
    ):
        pass
