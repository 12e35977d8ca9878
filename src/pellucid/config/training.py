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
    """Padded tokens of the longer side, end of sentence included."""
    SENTENCES = "sentences"
    """Sentence pairs."""


class DecayMethod(StrEnum):
    """How the learning rate goes on after the linear warm-up, at whose end it is at its peak."""

    NOAM = "noam"
    """The paper's schedule, section 5.3, times ``learning_rate``: 1 is the paper's own."""
    INVERSE_SQRT = "inverse_sqrt"
    """Falls with the square root of the steps from the peak ``learning_rate``."""
    LINEAR_TO_ZERO = "linear_to_zero"
    """Falls in a straight line from the peak ``learning_rate`` to 0 at the end of the budget of steps or minutes; a run
    that ends before that, as by ``stop_at_exact_match``, is better off with ``inverse_sqrt``, which knows no end."""
    CONSTANT = "constant"
    """Stays at the peak ``learning_rate``."""


class TrainingConfig(Section):
    """The settings of a training run."""

    batch_size: int = Field(2048, ge=1)
    """Size of a batch, in what ``batch_type`` says; a pair longer than it is an error."""
    batch_type: BatchType = BatchType.TOKENS
    """What ``batch_size`` counts."""
    accum_count: int = Field(1, ge=1)
    """Batches of one step: their gradients are added up, and divided by all their target tokens together."""
    max_length: int = Field(256, ge=2)
    """Pairs with more tokens on a side, end of sentence included, are left out, and counted."""

    label_smoothing: float = Field(0.1, ge=0, lt=1)
    """Share of the target distribution spread evenly over the vocabulary, section 5.4; 0 is off."""
    adam_beta1: float = Field(0.9, ge=0, lt=1)
    """Adam's decay of the mean gradient, section 5.3."""
    adam_beta2: float = Field(0.98, ge=0, lt=1)
    """Adam's decay of the mean squared gradient, section 5.3."""
    adam_epsilon: float = Field(1e-9, gt=0)
    """Added to Adam's divisor, section 5.3."""
    weight_decay: float = Field(0.0, ge=0)
    """Decoupled weight decay, on matrices only (Loshchilov and Hutter 2019); 0 is off. Not in the paper."""
    max_grad_norm: float = Field(1.0, ge=0)
    """Gradients of a larger Euclidean norm are scaled down to it; 0 leaves them as they are. Not in the paper."""

    learning_rate: float = Field(1e-3, gt=0)
    """Peak of the learning rate; with ``noam`` the factor of the paper's schedule."""
    decay_method: DecayMethod = DecayMethod.LINEAR_TO_ZERO
    """How the learning rate goes on after the warm-up."""
    warmup_steps: int = Field(400, ge=0)
    """Steps over which the learning rate rises in a straight line, section 5.3 (the paper: 4000); 0 has no rise."""

    train_steps: int | None = Field(None, ge=1)
    """Steps of the run; on one machine such a run can be repeated bit for bit."""
    minutes: float | None = Field(None, gt=0)
    """Minutes of the whole command, preparation and saving included, continued runs added up."""
    max_epochs: int | None = Field(None, ge=1)
    """Epochs of the run; beside another budget, what is used up first ends it."""

    average_decay: float = Field(0.998, ge=0, lt=1)
    """Decay of the moving average of the weights, a step each; the averaged model is what is kept. 0 is off."""
    valid_steps: int | None = Field(None, ge=1)
    """Steps between validations; if not set, a tenth of the run."""
    valid_seconds: float | None = Field(None, gt=0)
    """With ``minutes``: seconds between validations; if not set, a tenth of the budget. Longer where one is slow."""
    valid_bleu_sentences: int = Field(500, ge=0)
    """First validation sentences translated for BLEU, greedily; 0 has none, and the likelihood decides what is best."""
    early_stopping: int = Field(0, ge=0)
    """Validations in a row without a better one that end the run; 0 is off."""
    stop_at_exact_match: float | None = Field(None, gt=0, le=1)
    """Share of the ``valid_bleu_sentences`` translated exactly at which the run ends; it decides what is best, too."""
    min_minutes: float = Field(0.0, ge=0)
    """Minutes before which neither ``early_stopping`` nor ``stop_at_exact_match`` ends the run."""
    keep_checkpoint: int = Field(3, ge=1)
    """Newest checkpoints kept; that of the best validation is kept beside them."""
    save_seconds: float = Field(30.0, gt=0)
    """Seconds between checkpoints; longer where a save costs over a twentieth of it."""
    save_steps: int | None = Field(None, ge=1)
    """Steps between checkpoints; if set, saves go by steps and not by time."""

    max_bad_steps: int = Field(10, ge=1)
    """Steps in a row with a loss or gradient that is not finite before the run goes back to a checkpoint."""
    max_rollbacks: int = Field(2, ge=0)
    """How often a run goes back before it gives up with a report; 0 gives up the first time."""

    seed: int = Field(1, ge=0, le=2**63 - 1)
    """Decides the first weights, dropout, the order of the batches, and what is held out or sampled."""
    device: str = "auto"
    """``auto`` (a GPU if there is one), ``cpu``, ``cuda``, ``cuda:1`` ..."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Numbers of the matrix products: ``fp32``, ``bf16``, or ``auto``: bf16 where the machine is good at it."""
    threads: int = Field(0, ge=0, le=1024)
    """Processor threads; 0 is OMP_NUM_THREADS or MKL_NUM_THREADS, or without them the physical cores of the process."""

    @model_validator(mode="after")
    def _budget_is_one(self) -> Self:
        if self.train_steps is not None and self.minutes is not None:
            raise ValueError(
                f"train_steps = {self.train_steps} and minutes = {self.minutes}: a run has one budget; set one of them"
            )
        if self.stop_at_exact_match is not None and not self.valid_bleu_sentences:
            raise ValueError(
                f"stop_at_exact_match = {self.stop_at_exact_match} is measured on valid_bleu_sentences, which is 0; "
                "set it to 500, or leave stop_at_exact_match out"
            )
        if self.minutes is not None and self.min_minutes > self.minutes:
            raise ValueError(f"min_minutes = {self.min_minutes:g} is more than minutes = {self.minutes:g}")
        if self.valid_steps is not None and self.valid_seconds is not None:
            raise ValueError("set valid_steps or valid_seconds, not both")
        if self.valid_seconds is not None and self.minutes is None:
            raise ValueError("valid_seconds goes with minutes; with train_steps use valid_steps, which is exact")
        return self
