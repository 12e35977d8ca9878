"""What all these tests have: the real command, and a model that is small."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.commands import Command, Outcome, command
from tests.models import random_model, save_model

__all__ = ["Command", "Outcome", "command", "tiny_model"]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model folder with random weights and a byte tokenizer; what it says is noise, but it says it."""
    model = random_model(
        seed=5, d_model=12, d_feedforward=17, num_encoder_layers=2, num_decoder_layers=1, max_positions=307
    )
    return save_model(tmp_path_factory.mktemp("model") / "tiny", model, card="# A model with random weights\n")
