"""A run takes the compiled attention where it can, keeps what it began with, and says which one it has."""

from __future__ import annotations

from pathlib import Path

import pytest

from pellucid.config import Recipe
from pellucid.errors import ConfigError, EngineUnavailableError
from pellucid.jobs.choosing import attention as room
from pellucid.jobs.choosing.attention import choose_attention
from pellucid.jobs.opening import OpenedRun
from pellucid.model.attention import has_short_attention
from pellucid.runtime import Precision, Runtime
from pellucid.training.state import RunFacts

from ...training.kit import tiny_model


def run_of(folder: Path, attention: str = "auto", device: str = "cpu") -> OpenedRun:
    recipe = Recipe.model_validate({"training": {"attention": attention}})
    return OpenedRun(recipe, folder, Runtime(device, Precision.FP32, 1, ""), None, ())


def loads(monkeypatch: pytest.MonkeyPatch, problem: str = "") -> None:
    def load(say: object) -> None:
        if problem:
            raise EngineUnavailableError(problem)

    monkeypatch.setattr(room, "load_short_attention", load)


def began_with(monkeypatch: pytest.MonkeyPatch, **runtime: object) -> None:
    monkeypatch.setattr(room, "recorded_facts", lambda _: RunFacts({}, {}, runtime))


def chosen(run: OpenedRun) -> tuple[bool, str]:
    """Return whether the model of the run takes the compiled attention, and the line for the screen."""
    model, choice = tiny_model(), choose_attention(run)
    choice.apply_to(model)
    return has_short_attention(model), choice.text


def test_a_new_run_takes_the_compiled_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads(monkeypatch)
    is_compiled, line = chosen(run_of(tmp_path))
    assert is_compiled
    assert line.startswith("attention: compiled for this machine")


def test_without_a_compiler_all_works_and_the_line_says_why_it_is_slower(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads(monkeypatch, "there is no C compiler")
    is_compiled, line = chosen(run_of(tmp_path))
    assert line.endswith("which are slower for short sentences, because there is no C compiler")
    assert not is_compiled
    with pytest.raises(ConfigError, match=r"training.attention = 'compiled' is not possible: there is no C compiler"):
        choose_attention(run_of(tmp_path, "compiled"))


def test_a_run_keeps_what_it_began_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads(monkeypatch)
    began_with(monkeypatch)
    assert chosen(run_of(tmp_path)) == (False, "attention: by torch's operations, as this run began")
    assert chosen(run_of(tmp_path, "compiled"))[0]
    began_with(monkeypatch, attention="compiled")
    assert chosen(run_of(tmp_path))[0]


def test_it_can_be_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads(monkeypatch, "nobody asked")
    assert chosen(run_of(tmp_path, "torch")) == (False, "attention: by torch's operations, as requested")


def test_a_gpu_has_its_own(tmp_path: Path) -> None:
    assert chosen(run_of(tmp_path, device="cuda")) == (False, "")
    with pytest.raises(ConfigError, match="is for a processor, and the device is cuda"):
        choose_attention(run_of(tmp_path, "compiled", device="cuda"))
