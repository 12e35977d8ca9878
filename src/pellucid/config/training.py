"""How a model is trained: batches, loss, optimiser, schedule, length of the run, what is kept.

Names are the field's (OpenNMT, fairseq, Marian). The paper's values are in Vaswani et al. 2017,
section 5. Read ``translation.py`` next.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from pellucid.config.section import Section

__all__ = ["BatchType", "DecayMethod", "TrainingConfig"]


class BatchType(StrEnum):
    """What ``batch_size`` counts: padded tokens of the longer side, or sentence pairs."""

    TOKENS = "tokens"
    SENTENCES = "sentences"


class DecayMethod(StrEnum):
    """How the learning rate goes on after the linear warm-up.

    ``noam``: the paper's schedule, section 5.3; ``learning_rate`` multiplies it (1 is the paper's).
    ``inverse_sqrt``: ``learning_rate`` is the peak, reached at the end of the warm-up.
    ``linear_to_zero``: as above, then a straight line to 0 at the end of the budget of steps or minutes.
    ``constant``: stays at the peak.
    """

    NOAM = "noam"
    INVERSE_SQRT = "inverse_sqrt"
    LINEAR_TO_ZERO = "linear_to_zero"
    CONSTANT = "constant"


class TrainingConfig(Section):
    """The settings of a training run."""

    batch_size: int = Field(2048, ge=1)
    batch_type: BatchType = BatchType.TOKENS
    accum_count: int = Field(1, ge=1)
    max_length: int = Field(256, ge=2, description="pairs with more tokens on a side are left out, and counted")

    label_smoothing: float = Field(0.1, ge=0, lt=1)
    adam_beta1: float = Field(0.9, ge=0, lt=1)
    adam_beta2: float = Field(0.98, ge=0, lt=1)
    adam_epsilon: float = Field(1e-9, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, ge=0, description="0 leaves gradients as they are")

    learning_rate: float = Field(1e-3, gt=0)
    decay_method: DecayMethod = DecayMethod.LINEAR_TO_ZERO
    warmup_steps: int = Field(400, ge=0)

    train_steps: int | None = Field(None, ge=1)
    minutes: float | None = Field(None, gt=0)
    max_epochs: int | None = Field(None, ge=1)

    average_decay: float = Field(0.998, ge=0, lt=1, description="of the moving average of the weights; 0 is off")
    valid_steps: int | None = Field(None, ge=1)
    valid_seconds: float | None = Field(
        None,
        gt=0,
        description="with a budget of minutes: seconds between validations; a tenth of it if unset",
    )
    valid_bleu_sentences: int = Field(500, ge=0)
    early_stopping: int = Field(0, ge=0, description="validations without a better one before stopping; 0 is off")
    keep_checkpoint: int = Field(3, ge=1)
    save_seconds: float = Field(30.0, gt=0)
    save_steps: int | None = Field(None, ge=1, description="if set, saves go by steps and not by time")

    max_bad_steps: int = Field(10, ge=1, description="non-finite steps in a row before going back to a checkpoint")
    max_rollbacks: int = Field(2, ge=0)

    seed: int = Field(1, ge=0)
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    threads: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _budget_is_one(self) -> Self:
        if self.train_steps is not None and self.minutes is not None:
            raise ValueError(
                f"train_steps = {self.train_steps} and minutes = {self.minutes}: a run has one budget; set one of them"
            )
        if self.valid_steps is not None and self.valid_seconds is not None:
            raise ValueError("set valid_steps or valid_seconds, not both")
        if self.valid_seconds is not None and self.minutes is None:
            raise ValueError("valid_seconds goes with minutes; with train_steps use valid_steps, which is exact")
        return self
