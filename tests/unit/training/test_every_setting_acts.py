"""No way of making steps ignores a setting: what changes plain steps changes the others too, or is refused.

Every setting of the training and of the model is in one of the tables below.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from pellucid.config import ModelConfig, TrainingConfig
from pellucid.errors import ConfigError

from .kit import run_training, tiny_model

TRAINING: dict[str, tuple[dict[str, Any], Any]] = {
    "accum_count": ({}, 2),
    "adam_beta1": ({}, 0.8),
    "adam_beta2": ({}, 0.9),
    "adam_epsilon": ({}, 0.1),
    "batch_size": ({}, 43),
    "batch_type": ({}, "sentences"),
    "decay_method": ({}, "noam"),
    "decay_share": ({"decay_method": "stable_then_linear", "warmup_steps": 0}, 0.9),
    "label_smoothing": ({}, 0.3),
    "learning_rate": ({}, 1e-2),
    "max_grad_norm": ({}, 0.1),
    "muon_learning_rate": ({"optimizer": "muon"}, 1e-2),
    "muon_momentum": ({"optimizer": "muon"}, 0.5),
    "muon_weight_decay": ({"optimizer": "muon"}, 0.5),
    "optimizer": ({}, "muon"),
    "r_drop": ({}, 5.0),
    "seed": ({}, 2),
    "simcut": ({}, 3.0),
    "simcut_cutoff": ({"simcut": 3.0}, 0.5),
    "source_word_dropout": ({}, 0.3),
    "target_word_dropout": ({}, 0.3),
    "warmup_steps": ({}, 1),
    "weight_decay": ({}, 0.5),
    "word_dropout": ({"source_word_dropout": 0.3}, "zero"),
}
"""A value that changes the losses of a run, and the other settings that it needs."""

MODEL: dict[str, tuple[dict[str, Any], Any]] = {
    "activation": ({}, "gelu"),
    "activation_dropout": ({}, 0.3),
    "attention_dropout": ({}, 0.3),
    "d_feedforward": ({}, 23),
    "d_model": ({}, 16),
    "decoder_start": ({}, "zero_vector"),
    "dropout": ({}, 0.3),
    "layer_norm_epsilon": ({}, 0.1),
    "norm_order": ({}, "pre"),
    "num_decoder_layers": ({}, 2),
    "num_encoder_layers": ({}, 2),
    "num_heads": ({}, 1),
    "output_bias": ({}, True),
    "position_layout": ({}, "half_split_paper_frequency"),
    "position_offset": ({}, 1),
    "scale_embeddings": ({}, False),
    "share_decoder_embeddings": ({"share_embeddings": False}, False),
    "share_embeddings": ({}, False),
}

NOT_OF_A_STEP = {
    # how long a run is, and what is said, saved and measured on its way
    *("train_steps", "minutes", "max_epochs", "valid_steps", "valid_seconds", "valid_bleu_sentences", "early_stopping"),
    *("stop_at_exact_match", "max_forgetting", "forgetting_patience", "min_minutes", "keep_checkpoint", "save_seconds"),
    *("save_steps", "tensorboard", "max_bad_steps", "max_rollbacks", "hang_seconds", "average_decay", "average_tail"),
    # how and where it is computed; the precision is that of ``Runtime`` here
    *("device", "precision", "attention", "step_method", "threads", "processes"),
    # what is made of the text before there are batches
    *("max_length", "source_subword_alpha", "target_subword_alpha", "subword_nbest"),
    # numbers of pieces, and what no loss of a sentence without padding can show
    *("max_positions", "source_vocab_size", "target_vocab_size", "specials", "zero_padding_row"),
}


def test_every_setting_is_in_a_table() -> None:
    known = set(TRAINING) | set(MODEL) | NOT_OF_A_STEP
    assert known == set(TrainingConfig.model_fields) | set(ModelConfig.model_fields)


@cache
def losses(method: str, training: tuple[tuple[str, Any], ...], model: tuple[tuple[str, Any], ...]) -> list[float]:
    """Return the losses of a short run."""
    settings = {f"config_{name}": value for name, value in training}
    with TemporaryDirectory() as folder:
        _, _, listener = run_training(
            Path(folder), model=tiny_model(**dict(model)), config_step_method=method, config_train_steps=5, **settings
        )
    return [record.loss for record in listener.steps]


@pytest.mark.parametrize("method", ["packed", "static"])
@pytest.mark.parametrize("name", sorted({*TRAINING, *MODEL}))
def test_what_changes_plain_steps_changes_all(name: str, method: str) -> None:
    needed, value = (TRAINING if name in TRAINING else MODEL)[name]

    def found(method: str, settings: dict[str, Any]) -> list[float] | str:
        """Return the losses, or why the run is refused."""
        items = tuple(settings.items())
        try:
            return losses(method, *((items, ()) if name in TRAINING else ((), items)))
        except ConfigError as error:
            return str(error)

    changed = {**needed, name: value}
    assert found("eager", needed) != found("eager", changed), "the table is wrong"
    after = found(method, changed)
    if isinstance(after, str):
        assert f"step_method = '{method}' is not possible" in after
    else:
        assert found(method, needed) != after
