"""Settings of training: batches, loss, optimiser, schedule, length of the run, checkpoints.

The names follow OpenNMT, fairseq and Marian. The paper's values are in Vaswani et al. 2017, section 5. Read
``translation.py`` next.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from pellucid.config.section import Section
from pellucid.errors import ConfigError

__all__ = ["BatchLengths", "BatchType", "DecayMethod", "Optimizer", "StepMethod", "TrainingConfig", "WordDropout"]


class BatchType(StrEnum):
    """The unit of ``batch_size``: padded tokens of the longer side, or sentence pairs."""

    TOKENS = "tokens"
    """Padded tokens of the longer side, end of sentence included."""
    SENTENCES = "sentences"
    """Sentence pairs."""


class BatchLengths(StrEnum):
    """Which sentences come together in a batch."""

    AUTO = "auto"
    """``mixed`` where steps on a processor are packed, because these need no padding; otherwise ``similar``."""
    SIMILAR = "similar"
    """Sentences of about the same length, section 5.1, with little padding. Those of an unusual length are all in a few
    batches."""
    MIXED = "mixed"
    """Sentences of any length, in random order. Each batch is a sample of the whole text, so fewer steps are needed;
    without packed steps most of a batch can be padding."""


class Optimizer(StrEnum):
    """The rule that turns gradients into changes of the weights."""

    ADAM = "adam"
    """Adam for every weight: the paper, section 5.3."""
    MUON = "muon"
    """Muon (Jordan et al. 2024) for the matrices of the two stacks, Adam for tables, norms and biases. Muon replaces
    the mean gradient of a matrix by the nearest orthogonal matrix. Its steps are as large as Adam's (Liu et al. 2025,
    section 2.2), so the same learning rate fits."""


class WordDropout(StrEnum):
    """What replaces the embedding of a dropped token."""

    UNK = "unk"
    """The embedding of the unknown piece."""
    ZERO = "zero"
    """The zero vector, so that only the position is left; also called token cutoff (Shen et al. 2020, section 3)."""


class DecayMethod(StrEnum):
    """The course of the learning rate after the linear warm-up, at whose end it reaches its peak."""

    NOAM = "noam"
    """The paper's schedule, section 5.3, times ``learning_rate``; 1 is the paper's."""
    INVERSE_SQRT = "inverse_sqrt"
    """Falls from the peak ``learning_rate`` with the inverse square root of the steps."""
    LINEAR_TO_ZERO = "linear_to_zero"
    """Falls in a straight line from the peak ``learning_rate`` to 0 at the end of the budget of steps or minutes;
    ``inverse_sqrt`` suits a run better that can end earlier, as with ``stop_at_exact_match``."""
    COSINE_TO_ZERO = "cosine_to_zero"
    """Falls along half a cosine from the peak ``learning_rate`` to 0 at the end of the budget (Loshchilov and Hutter
    2017, equation 5, without restarts)."""
    STABLE_THEN_LINEAR = "stable_then_linear"
    """Stays at the peak ``learning_rate``, and falls in a straight line to 0 in the last ``decay_share`` of the budget
    (warm-up, stable, decay: Hu et al. 2024, section 4)."""
    CONSTANT = "constant"
    """Stays at the peak ``learning_rate``."""


class StepMethod(StrEnum):
    """The way in which a step is computed; all of them give the same result up to rounding."""

    AUTO = "auto"
    """On a GPU the fastest of a trial that gives the numbers of ``eager``; ``compiled`` is tried where the settings
    describe a run of about five minutes or more; ``eager`` there with several processes, ``accum_count`` over 1, Muon
    or subword sampling. On a processor ``packed`` where there is a C compiler and it knows the model, otherwise
    ``eager``; a run that is continued keeps its own."""
    EAGER = "eager"
    """Operation by operation, as the loop waits for each step; the reference."""
    STATIC = "static"
    """In a small set of shapes, without waiting for the device; also on a processor."""
    GRAPH = "graph"
    """As ``static``, and a shape that comes back is one CUDA graph."""
    PACKED = "packed"
    """Without padding, with a backward pass written by hand, and with kernels of our own for what lies between the
    matrix products: in Triton on a GPU, where it is otherwise as ``graph``, and in C on a processor. For the norm of
    the paper, ReLU and sinusoid positions. On a GPU, batches with a sentence of more than 128 pieces are padded."""
    COMPILED = "compiled"
    """As ``graph`` on a GPU and ``static`` on a processor, with compiled layers. Compilation takes up to a minute."""


class TrainingConfig(Section):
    """The settings of a training run."""

    NEWER: ClassVar[tuple[str, ...]] = (
        "optimizer",
        "muon_learning_rate",
        "muon_momentum",
        "muon_weight_decay",
        "decay_share",
        "average_tail",
        "source_word_dropout",
        "target_word_dropout",
        "word_dropout",
        "r_drop",
        "simcut",
        "simcut_cutoff",
        "source_subword_alpha",
        "target_subword_alpha",
        "subword_nbest",
        "step_method",
        "batch_lengths",
        "tensorboard",
        "hang_seconds",
        "processes",
        "attention",
    )

    batch_size: int | Literal["auto"] = 2048
    """Size of a batch in the unit ``batch_type``, 1 or more; a longer pair is an error; ``auto`` fits it to memory."""
    batch_type: BatchType = BatchType.TOKENS
    """The unit of ``batch_size``."""
    batch_lengths: BatchLengths = BatchLengths.AUTO
    """Which sentences come together in a batch; a run that is continued keeps its own."""
    accum_count: int = Field(1, ge=1)
    """Batches in one step: their gradients are summed and divided by the number of their target tokens.

    Under a launcher such as torchrun, so many for each process that began the run, unless ``processes`` is a number.
    A run keeps the batches of its step for ever.
    """
    max_length: int = Field(256, ge=2)
    """Limit of tokens on each side of a pair, end of sentence included; longer pairs are skipped and counted."""

    label_smoothing: float = Field(0.1, ge=0, lt=1)
    """Share of the target distribution spread evenly over the vocabulary, section 5.4; 0 is off."""
    source_word_dropout: float = Field(0.0, ge=0, lt=1)
    """Probability that a source token is dropped in training (Sennrich et al. 2016); 0 is off."""
    target_word_dropout: float = Field(0.0, ge=0, lt=1)
    """Probability that a token of the decoder's input is dropped in training; the tokens to predict stay; 0 is off."""
    word_dropout: WordDropout = WordDropout.UNK
    """What replaces a dropped token."""
    source_subword_alpha: float = Field(0.0, ge=0, le=10)
    """Subword sampling of the source: the words are cut in another way in each epoch, in training only. With a unigram
    tokenizer the exponent alpha of the probability of each way (Kudo 2018: 0.1 to 0.5; lower is more random), with BPE
    the probability to leave a pair out (Provilkov et al. 2020: 0.1; higher is more random); 0 is off."""
    target_subword_alpha: float = Field(0.0, ge=0, le=10)
    """The same for the target."""
    subword_nbest: int = Field(64, ge=2, le=1024)
    """With subword sampling: number of ways to cut a word, l in Kudo 2018."""
    r_drop: float = Field(0.0, ge=0)
    """Weight alpha of R-Drop: two passes with different dropout shall agree (Liang et al. 2021, equation 4: 5 for
    translation). It doubles the time of a step; 0 is off."""
    simcut: float = Field(0.0, ge=0)
    """Weight alpha of SimCut: a pass with dropped tokens shall agree with the whole one (Gao et al. 2022: 3).
    It doubles the time of a step; 0 is off."""
    simcut_cutoff: float = Field(0.05, gt=0, lt=1)
    """With ``simcut``: probability that a token of either side is dropped in the second pass."""
    optimizer: Optimizer = Optimizer.ADAM
    """The rule that changes the weights."""
    muon_learning_rate: float | None = Field(None, gt=0)
    """With ``muon``: peak learning rate of the matrices; if not set, ``learning_rate``."""
    muon_momentum: float = Field(0.95, ge=0, lt=1)
    """With ``muon``: decay of the mean gradient of the matrices."""
    muon_weight_decay: float = Field(0.0, ge=0)
    """With ``muon``: decoupled weight decay of the matrices; 0 is off."""
    adam_beta1: float = Field(0.9, ge=0, lt=1)
    """Adam's decay of the mean gradient, section 5.3."""
    adam_beta2: float = Field(0.98, ge=0, lt=1)
    """Adam's decay of the mean squared gradient, section 5.3."""
    adam_epsilon: float = Field(1e-9, gt=0)
    """Added to Adam's divisor, section 5.3."""
    weight_decay: float = Field(0.0, ge=0)
    """Decoupled weight decay, on matrices only (Loshchilov and Hutter 2019); 0 is off. Not in the paper."""
    max_grad_norm: float = Field(1.0, ge=0)
    """Gradients with a larger Euclidean norm are scaled down to it; 0 is off. Not in the paper."""

    learning_rate: float = Field(1e-3, gt=0)
    """Peak of the learning rate; with ``noam`` the factor of the paper's schedule."""
    decay_method: DecayMethod = DecayMethod.LINEAR_TO_ZERO
    """The course of the learning rate after the warm-up."""
    decay_share: float = Field(0.2, gt=0, le=1)
    """With ``stable_then_linear``: last share of the budget, in which the learning rate falls."""
    warmup_steps: int = Field(400, ge=0)
    """Steps of the linear rise of the learning rate, section 5.3 (the paper: 4000); 0 is none."""

    train_steps: int | None = Field(None, ge=1)
    """Steps of the run; on one machine such a run can be repeated bit for bit."""
    minutes: float | None = Field(None, gt=0)
    """Minutes of the whole command, preparation and saving included; continued runs add up."""
    max_epochs: int | None = Field(None, ge=1)
    """Epochs of the run; with another budget too, the run ends at the first limit that it reaches."""

    average_decay: float = Field(0.998, ge=0, lt=1)
    """Decay of the moving average of the weights at each step; the saved model is the average. 0 is off."""
    average_tail: float = Field(0.0, ge=0, lt=1)
    """If over 0, the moving average covers about this last share of the updates so far, however long the run is:
    the decay after update t is 1 - 1 / (share * t), in place of ``average_decay``."""
    valid_steps: int | None = Field(None, ge=1)
    """Steps between validations; if not set, a tenth of the run, and so many that validations take a tenth of the
    time."""
    valid_seconds: float | None = Field(None, gt=0)
    """With ``minutes``: seconds between validations; if not set, a tenth of the budget. Slow ones lengthen it."""
    valid_bleu_sentences: int = Field(500, ge=0)
    """Number of validation sentences, from the first, to translate greedily for BLEU, which decides the best model;
    with 0 the likelihood decides. As long as most translations do not end, only 32 are, except at the end of
    the run."""
    early_stopping: int = Field(0, ge=0)
    """The run ends after this number of validations in a row without an improvement; 0 is off."""
    stop_at_exact_match: float | None = Field(None, gt=0, le=1)
    """The run ends when this share of the ``valid_bleu_sentences`` is exact; if set, it also decides the best model."""
    max_forgetting: float = Field(1.0, ge=0)
    """With ``[data.general]``: BLEU points that the score on it may fall below that of the initial model. A validation
    that has fallen further is never the best."""
    forgetting_patience: int = Field(3, ge=0)
    """With ``[data.general]``: the run ends at a validation over ``max_forgetting`` if this number of validations in a
    row brought no better model; the score can rise again. 0 is off."""
    min_minutes: float = Field(0.0, ge=0)
    """Minutes before ``early_stopping`` and ``stop_at_exact_match`` can end the run."""
    keep_checkpoint: int = Field(3, ge=1)
    """Number of newest checkpoints to keep; the checkpoint of the best validation is kept too."""
    save_seconds: float = Field(30.0, gt=0)
    """Seconds between checkpoints; slow saves lengthen the interval so that they take at most a twentieth of it."""
    save_steps: int | None = Field(None, ge=1)
    """Steps between checkpoints; if set, ``save_seconds`` does not act."""

    tensorboard: bool = False
    """Write the numbers of ``metrics.jsonl`` for TensorBoard too, in ``tensorboard/``; needs the extra of that name."""

    max_bad_steps: int = Field(10, ge=1)
    """Steps in a row with a non-finite loss or gradient after which the run returns to a checkpoint."""
    max_rollbacks: int = Field(2, ge=0)
    """Limit of returns to a checkpoint; at the next one the run fails with a report. 0 allows none."""

    hang_seconds: float = Field(1800, ge=0)
    """A step that takes longer ends the process with status 75, after it showed where its threads are; 0 never does."""

    seed: int = Field(1, ge=0, le=2**63 - 1)
    """Decides the first weights, dropout, the order of the batches, and random samples of the text."""
    device: str = "auto"
    """``auto`` (a GPU if available), ``cpu``, ``cuda``, ``cuda:1`` ..."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Number format of the matrix products: ``fp32``, ``bf16``, or ``auto``: the faster one. On a processor a trial of
    about a second decides, once for each shape of model; a run that is continued keeps its precision."""
    attention: Literal["auto", "compiled", "torch"] = "auto"
    """How attention between short sentences is computed on a processor: ``compiled``, in one pass of a C file that is
    compiled for this machine; ``torch``, by its operations; or ``auto``: compiled where there is a compiler. Both round
    differently; a run that is continued keeps its own. On a GPU it is always ``torch``."""
    step_method: StepMethod = StepMethod.AUTO
    """The way in which a step is computed."""
    threads: int = Field(0, ge=0, le=1024)
    """CPU threads; 0 means OMP_NUM_THREADS or MKL_NUM_THREADS, otherwise the physical cores of the process."""
    processes: int | Literal["auto"] = "auto"
    """Number, 1 or more, of processes among which the ``accum_count`` batches of a step are divided. On a processor the
    command starts them, and they share its threads; the number does not change the training. With ``auto`` a trial of
    about a second decides where a step has several batches. Under a launcher such as torchrun, ``auto`` means its
    processes, with ``accum_count`` batches each."""

    @property
    def samples_subwords(self) -> bool:
        """Whether words are cut in another way in each epoch."""
        return bool(self.source_subword_alpha or self.target_subword_alpha)

    @property
    def passes(self) -> int:
        """How often a step computes each batch."""
        return 2 if self.r_drop or self.simcut else 1

    @property
    def known_batch_size(self) -> int:
        """The size of a batch as a number.

        Raises:
            ConfigError: it is still ``auto``.
        """
        if isinstance(self.batch_size, str):
            raise ConfigError("training.batch_size = 'auto' is chosen by `pellucid train`; give a number here")
        return self.batch_size

    @field_validator("batch_size", "processes", mode="before")
    @classmethod
    def _number_is_possible(cls, value: object) -> object:
        if isinstance(value, str) and value != "auto":
            raise ValueError(f"{value!r} is not a number; use 'auto', or 1 or more")
        if isinstance(value, int) and value < 1:
            raise ValueError(f"{value} is too small; use 'auto', or 1 or more")
        return value

    @model_validator(mode="after")
    def _auto_counts_tokens(self) -> Self:
        if self.batch_size == "auto" and self.batch_type is not BatchType.TOKENS:
            raise ValueError("batch_size = 'auto' needs batch_type = 'tokens', because memory goes by tokens")
        return self

    @model_validator(mode="after")
    def _budget_is_one(self) -> Self:
        if self.train_steps is not None and self.minutes is not None:
            raise ValueError(
                f"train_steps = {self.train_steps} and minutes = {self.minutes} exclude each other; set one of them"
            )
        if self.stop_at_exact_match is not None and not self.valid_bleu_sentences:
            raise ValueError(
                f"stop_at_exact_match = {self.stop_at_exact_match} needs valid_bleu_sentences, which is 0; set that "
                "to 500, or leave stop_at_exact_match out"
            )
        if self.minutes is not None and self.min_minutes > self.minutes:
            raise ValueError(f"min_minutes = {self.min_minutes:g} is more than minutes = {self.minutes:g}")
        if self.r_drop and self.simcut:
            raise ValueError(
                f"r_drop = {self.r_drop:g} and simcut = {self.simcut:g} exclude each other; set one of them"
            )
        if self.valid_steps is not None and self.valid_seconds is not None:
            raise ValueError("set valid_steps or valid_seconds, not both")
        if self.valid_seconds is not None and self.minutes is None:
            raise ValueError("valid_seconds needs minutes; with train_steps use valid_steps, which is exact")
        return self
