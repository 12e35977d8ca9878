"""A model brings its own beam; a call that samples does not have to undo it."""

from __future__ import annotations

import json
from pathlib import Path

from .conftest import Command


def draws(command: Command, model: Path, *more: str) -> list[str]:
    settings = ("--set", "sampling=true", "--set", "max_length_constant=7", "--format", "jsonl", "--n-best", "5")
    outcome = command("translate", model, *settings, *more, stdin=b"Hund\n")
    assert outcome.status == 0, outcome.err
    return [alternative["text"] for alternative in json.loads(outcome.out)["alternatives"]]


def test_the_command_draws_as_many_as_asked_for_by_the_seed(command: Command, tiny_model: Path) -> None:
    found = draws(command, tiny_model)
    assert len(found) == 5
    assert len(set(found)) > 1
    assert draws(command, tiny_model) == found
    assert draws(command, tiny_model, "--set", "seed=7") != found


def test_a_beam_that_is_asked_for_beside_sampling_is_refused(command: Command, tiny_model: Path) -> None:
    outcome = command("translate", tiny_model, "--set", "sampling=true", "--beam-size", "3", stdin=b"Hund\n")
    assert outcome.status == 1
    assert "beam_size = 3" in outcome.err
