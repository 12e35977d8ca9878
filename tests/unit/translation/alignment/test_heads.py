"""A model folder names its heads in a table that every release reads; what it names has to be there."""

from __future__ import annotations

import pytest

from pellucid.config import ModelConfig
from pellucid.errors import BundleError, RequestError
from pellucid.translation.alignment.heads import AlignmentHeads, AlignmentStep, heads_in, heads_of_origin

CONFIG = ModelConfig(
    d_model=12, num_heads=3, d_feedforward=7, num_encoder_layers=1, num_decoder_layers=2, max_positions=41
)


def test_heads_are_read_as_they_are_named() -> None:
    heads = AlignmentHeads(((1, 0), (1, 2)), AlignmentStep.READS)
    facts = {"alignment_heads": heads.name, "alignment_step": "reads", "bleu": 12.5}
    assert heads_in(facts, CONFIG, place="model.toml") == heads
    assert heads_in({"alignment_heads": "0.1"}, CONFIG, place="") == AlignmentHeads(((0, 1),), AlignmentStep.WRITES)
    assert heads_in({"bleu": 12.5}, CONFIG, place="model.toml") is None


@pytest.mark.parametrize(
    "facts",
    [
        {"alignment_heads": "2.0"},
        {"alignment_heads": "0.3"},
        {"alignment_heads": "0.0,1.1"},
        {"alignment_heads": ""},
        {"alignment_heads": 1.0},
        {"alignment_heads": "0.0 " * 9999},
        {"alignment_heads": "0.0", "alignment_step": "sleeps"},
    ],
)
def test_heads_that_the_model_lacks_are_refused(facts: dict[str, object]) -> None:
    with pytest.raises(BundleError, match=r"model\.toml: alignment_"):
        heads_in(facts, CONFIG, place="model.toml")


def test_a_translator_without_a_folder_has_no_heads() -> None:
    with pytest.raises(RequestError, match="no folder of its own"):
        heads_of_origin(None)
