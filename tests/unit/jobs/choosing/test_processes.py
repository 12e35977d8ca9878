"""A number of processes that a run cannot have is refused before anything is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from pellucid.config import TrainingConfig
from pellucid.errors import ConfigError
from pellucid.jobs.choosing.processes import refuse_processes
from pellucid.runtime import Precision, Runtime
from pellucid.training.processes.ranks import Ranks

RUNTIME = Runtime("cpu", Precision.FP32, 2, "")


class Three(Ranks):
    count = 3


def test_a_step_has_a_batch_for_each_process(tmp_path: Path) -> None:
    refuse_processes(TrainingConfig(processes=2, accum_count=2), tmp_path, runtime=RUNTIME)
    with pytest.raises(ConfigError, match=r"training.processes = 3, but a step has 2 batches .* at most 2"):
        refuse_processes(TrainingConfig(processes=3, accum_count=2), tmp_path, runtime=RUNTIME)


def test_a_launcher_decides_and_a_gpu_has_its_own() -> None:
    sharing = TrainingConfig(processes=2, accum_count=6)
    with pytest.raises(ConfigError, match="the launcher started 3 processes"):
        refuse_processes(sharing, Path(), runtime=RUNTIME, ranks=Three())
    refuse_processes(TrainingConfig(), Path(), runtime=RUNTIME, ranks=Three())
    with pytest.raises(ConfigError, match="torchrun"):
        refuse_processes(sharing, Path(), runtime=Runtime("cuda", Precision.BF16, 2, ""))
