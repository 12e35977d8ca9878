"""No way of making steps ignores a setting: all have the losses of plain steps, or refuse the setting.

Every setting of the training and of the model is in one of the tables below. Where numbers of chance decide, losses are
only compared with those of a run without the setting.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from pellucid.config import ModelConfig, TrainingConfig
from pellucid.errors import ConfigError
from pellucid.model.transformer import Transformer
from pellucid.runtime import Runtime
from pellucid.training.gpu import updater
from pellucid.training.packed.gradients import takes_packed

from .kit import run_training, tiny_model

ACTING: dict[str, tuple[dict[str, Any], Any]] = {
    "accum_count": ({}, 2),
    "adam_beta1": ({}, 0.8),
    "adam_beta2": ({}, 0.9),
    "adam_epsilon": ({}, 0.1),
    "batch_size": ({}, 43),
    "batch_lengths": ({}, "mixed"),
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
    "r_drop": ({"dropout": 0.1}, 5.0),
    "seed": ({}, 2),
    "simcut": ({}, 3.0),
    "simcut_cutoff": ({"simcut": 3.0}, 0.5),
    "source_word_dropout": ({}, 0.3),
    "target_word_dropout": ({}, 0.3),
    "warmup_steps": ({}, 1),
    "weight_decay": ({}, 0.5),
    "word_dropout": ({"source_word_dropout": 0.3}, "zero"),
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
"""A value that changes the losses of a run, and the other settings that it needs; without dropout unless it is here."""

OF_CHANCE = {
    *("activation_dropout", "attention_dropout", "dropout", "r_drop", "simcut", "simcut_cutoff", "source_word_dropout"),
    *("target_word_dropout", "word_dropout"),
}
"""The settings with which each way of making steps draws numbers of its own."""

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
    known = set(ACTING) | NOT_OF_A_STEP
    assert known == set(TrainingConfig.model_fields) | set(ModelConfig.model_fields)


def only_refuse(
    model: Transformer, *, config: TrainingConfig, runtime: Runtime, keeps: str | None, **_: object
) -> None:
    """Leave packed steps to static shapes, as on a GPU, where settings are refused as everywhere."""
    takes_packed(model, config=config, runtime=runtime, keeps=keeps)


@cache
def losses(way: str, items: tuple[tuple[str, Any], ...]) -> list[float] | str:
    """Return the losses of a short run, or why it is refused."""
    model = {"dropout": 0.0} | {name: value for name, value in items if name in ModelConfig.model_fields}
    training = {f"config_{name}": value for name, value in items if name not in model}
    method, _, loop = way.partition(", ")
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        if loop:
            patch.setattr(updater, "choose_packed", only_refuse)
        try:
            _, _, listener = run_training(
                Path(folder),
                model=tiny_model(**model),
                **{"config_step_method": method, "config_train_steps": 5, "config_adam_epsilon": 1e-3, **training},
            )
        except ConfigError as error:
            return str(error)
    found = [record.loss for record in listener.steps]
    assert all(map(math.isfinite, found))
    return found


@pytest.mark.parametrize("way", ["packed", "packed, as a GPU does", "static"])
@pytest.mark.parametrize("name", sorted(ACTING))
def test_what_changes_plain_steps_changes_all(name: str, way: str) -> None:
    needed, value = ACTING[name]
    before, after = tuple(needed.items()), tuple({**needed, name: value}.items())
    plain = losses("eager", after)
    assert not isinstance(plain, str)
    assert losses("eager", before) != plain, "the table is wrong"
    found = losses(way, after)
    if isinstance(found, str):
        assert f"step_method = '{way.partition(',')[0]}' is not possible" in found
    elif name in OF_CHANCE:
        assert found != losses(way, before)
    else:
        assert found == pytest.approx(plain, rel=1e-4)
