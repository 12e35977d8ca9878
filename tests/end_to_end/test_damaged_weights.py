"""Every verb refuses a model of NaN weights: no figure on standard output, status 1, and what to do."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from tests.models import save_model

from pellucid.bundle import load_bundle

from .conftest import Command


@pytest.fixture(params=[math.nan, math.inf], ids=["NaN", "infinite"])
def damaged(request: pytest.FixtureRequest, tiny_model: Path, tmp_path: Path) -> Path:
    sound = load_bundle(tiny_model)
    with torch.no_grad():
        next(sound.model.decoder.parameters()).fill_(request.param)
    return save_model(tmp_path / "damaged", sound.model, sound.tokenizer)


def test_no_verb_shows_its_figures(damaged: Path, command: Command, tmp_path: Path) -> None:
    for name, text in (("s", "Hund\nKatze\n"), ("t", "dog\ncat\n")):
        (tmp_path / name).write_text(text)
    for arguments in (
        ("score", damaged, "--src", "s", "--tgt", "t"),
        ("evaluate", damaged, "--src", "s", "--ref", "t"),
        ("inspect", damaged, "Hund", "--output", "page.html"),
    ):
        outcome = command(*arguments)
        assert outcome.status == 1, arguments
        assert outcome.out == ""
        assert "not numbers (NaN or infinite)" in outcome.err
        assert "use an earlier model" in outcome.err
    assert not (tmp_path / "page.html").exists()
    translated = command("translate", damaged, "s")
    assert (translated.status, translated.out) == (1, "\n\n")
    assert "s, line 1: the model's log-probabilities are not numbers" in translated.err
