"""Settings of the shape of a Transformer; by default it is the paper's model.

Vaswani et al. 2017, "Attention Is All You Need", section 3 and table 3. The switches after the sizes exist because the
formats of other tools need them. Read ``training.py`` next.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Self

from pydantic import Field, model_validator

from pellucid.config.section import Section
from pellucid.errors import counted

__all__ = [
    "PRESETS",
    "Activation",
    "DecoderStart",
    "ModelConfig",
    "NormOrder",
    "PositionLayout",
    "SpecialIds",
]


class NormOrder(StrEnum):
    """The place of layer normalisation: after the residual sum (the paper) or before the sub-layer."""

    POST = "post"
    """norm(x + sublayer(x)): the paper, section 3.1."""
    PRE = "pre"
    """x + sublayer(norm(x)), and one more norm after each stack; for 12 layers or more."""


class PositionLayout(StrEnum):
    """The table of positions: one of three incompatible sinusoid tables, or a learned one."""

    INTERLEAVED = "interleaved"
    """Sine and cosine alternate: the paper, section 3.5."""
    HALF_SPLIT_PAPER_FREQUENCY = "half_split_paper_frequency"
    """All sines, then all cosines, with the paper's frequencies: Hugging Face Marian."""
    HALF_SPLIT_T2T = "half_split_t2t"
    """All sines, then all cosines, with frequencies over a slightly wider range: Tensor2Tensor, fairseq."""
    LEARNED = "learned"
    """A table of weights, one for each side (the paper, table 3, row E)."""


class Activation(StrEnum):
    """The non-linearity between the two linear maps of the feed-forward sub-layer."""

    RELU = "relu"
    """max(0, x): the paper, section 3.3, equation 2."""
    GELU = "gelu"
    """x times the normal distribution function of x, the exact form (Hendrycks and Gimpel 2016)."""
    SWISH = "swish"
    """x times the logistic function of x (Ramachandran et al. 2017); also called SiLU."""


class DecoderStart(StrEnum):
    """The first input of the decoder."""

    BOS = "bos"
    """The piece that begins a sentence."""
    PAD = "pad"
    """The padding piece, as in Hugging Face Marian."""
    ZERO_VECTOR = "zero_vector"
    """A vector of zeros in place of an embedding, as in Marian."""


class SpecialIds(Section):
    """The ids of the special pieces, which are the same on both sides. Code must not assume any number.

    Training takes them from the tokenizer.
    """

    pad: int = Field(0, ge=0)
    """Fills up the shorter rows of a batch; never attended to."""
    unk: int = Field(1, ge=0)
    """Stands for characters that no piece covers."""
    bos: int = Field(2, ge=0)
    """Begins a sentence: the first input of the decoder if ``decoder_start`` is ``bos``."""
    eos: int = Field(3, ge=0)
    """Ends a sentence, on both sides."""

    @model_validator(mode="after")
    def _roles_that_must_differ(self) -> Self:
        # bos can share an id (Hugging Face Marian has bos = eos = 0); the other three cannot.
        if len({self.pad, self.unk, self.eos}) != 3:
            raise ValueError(f"pad = {self.pad}, unk = {self.unk} and eos = {self.eos} must be three different ids")
        return self


class ModelConfig(Section):
    """Everything that decides the shape of the weights and the arithmetic of a forward pass.

    A vocabulary size of 0 means "not known yet": training takes both from the tokenizer, and ``Transformer`` requires
    them.
    """

    d_model: int = Field(512, ge=2)
    """Width of every hidden state, section 3.1."""
    num_heads: int = Field(8, ge=1)
    """Heads of each attention, h in section 3.2.2; must divide d_model."""
    d_feedforward: int = Field(2048, ge=1)
    """Inner width of the feed-forward sub-layers, d_ff in section 3.3."""
    num_encoder_layers: int = Field(6, ge=1, le=1000)
    """Layers of the encoder, N in section 3.1."""
    num_decoder_layers: int = Field(6, ge=1, le=1000)
    """Layers of the decoder, N in section 3.1."""

    norm_order: NormOrder = NormOrder.POST
    """The place of layer normalisation in a layer."""
    activation: Activation = Activation.RELU
    """The non-linearity between the two linear maps of the feed-forward sub-layers."""
    layer_norm_epsilon: float = Field(1e-5, gt=0)
    """Added to the variance in layer normalisation; the paper names no value."""

    dropout: float = Field(0.1, ge=0, lt=1)
    """Probability of residual dropout, on sub-layer outputs and input sums, section 5.4; 0 is off."""
    attention_dropout: float = Field(0.0, ge=0, lt=1)
    """Probability of dropout on the attention weights; 0 is off. Not in the paper."""
    activation_dropout: float = Field(0.0, ge=0, lt=1)
    """Probability of dropout inside the feed-forward sub-layers, after the activation; 0 is off. Not in the paper."""

    position_layout: PositionLayout = PositionLayout.INTERLEAVED
    """The table of positions that is added to the embeddings."""
    position_offset: int = Field(0, ge=0)
    """Row of that table for the first token; 0 in the paper."""
    max_positions: int = Field(1024, ge=1)
    """Limit of tokens of a sentence on either side, its end included; longer sentences are an error."""

    share_embeddings: bool = True
    """One table for source, target and output projection, section 3.4; needs a joint vocabulary."""
    share_decoder_embeddings: bool = True
    """One table for target and output projection."""
    scale_embeddings: bool = True
    """Multiply embeddings by sqrt(d_model), section 3.4."""
    output_bias: bool = False
    """Add a trained bias to the logits. Not in the paper."""
    zero_padding_row: bool = True
    """Keep the embedding of padding at zero, without a gradient."""
    decoder_start: DecoderStart = DecoderStart.BOS
    """The first input of the decoder."""

    source_vocab_size: int = Field(0, ge=0)
    """Number of source pieces, specials included; 0 is not known yet. Training takes it from the tokenizer."""
    target_vocab_size: int = Field(0, ge=0)
    """Number of target pieces, specials included; 0 is not known yet. Training takes it from the tokenizer."""
    specials: SpecialIds = SpecialIds()
    """Ids of the special pieces. Training takes them from the tokenizer."""

    @property
    def d_head(self) -> int:
        """Width of one head, d_k = d_v = d_model / num_heads (section 3.2.2)."""
        return self.d_model // self.num_heads

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        problems = []
        if self.d_model % self.num_heads:
            divisors = [n for n in range(1, min(self.d_model, 64) + 1) if self.d_model % n == 0]
            problems.append(
                f"num_heads = {self.num_heads} does not divide d_model = {self.d_model}; "
                f"use one of {', '.join(map(str, divisors))}"
            )
        if self.d_model % 2 and self.position_layout is not PositionLayout.LEARNED:
            problems.append(
                f"d_model = {self.d_model} is odd, but sinusoid positions are pairs of sine and cosine; use "
                "an even d_model or position_layout = 'learned'"
            )
        if self.position_layout is PositionLayout.HALF_SPLIT_T2T and self.d_model < 4:
            problems.append("position_layout = 'half_split_t2t' divides by d_model / 2 - 1; use d_model >= 4")
        if self.share_embeddings and not self.share_decoder_embeddings:
            problems.append(
                "share_embeddings = true ties all three tables (section 3.4), so share_decoder_embeddings "
                "cannot be false; set share_embeddings = false to tie fewer"
            )
        sizes = (self.source_vocab_size, self.target_vocab_size)
        if self.share_embeddings and all(sizes) and sizes[0] != sizes[1]:
            problems.append(
                f"share_embeddings = true needs one vocabulary, but source_vocab_size = {sizes[0]} and "
                f"target_vocab_size = {sizes[1]}; set share_embeddings = false"
            )
        top = max(self.specials.pad, self.specials.unk, self.specials.bos, self.specials.eos)
        if any(size and top >= size for size in sizes):
            problems.append(
                f"special id {top} is outside a vocabulary of {counted(min(s for s in sizes if s), 'piece')}"
            )
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def with_vocabulary(self, *, source_size: int, target_size: int, specials: SpecialIds) -> ModelConfig:
        """Return the same shape for a tokenizer of these sizes, checked again.

        Raises:
            pydantic.ValidationError: the sizes do not fit the sharing of embeddings.
        """
        changed = self.model_dump() | {
            "source_vocab_size": source_size,
            "target_vocab_size": target_size,
            "specials": specials.model_dump(),
        }
        return ModelConfig.model_validate(changed)


def _preset(*, layers: int, d_model: int, num_heads: int, dropout: float = 0.1) -> dict[str, int | float]:
    return {
        "num_encoder_layers": layers,
        "num_decoder_layers": layers,
        "d_model": d_model,
        "d_feedforward": 4 * d_model,
        "num_heads": num_heads,
        "dropout": dropout,
    }


PRESETS: Final = {
    "tiny": _preset(layers=2, d_model=128, num_heads=4),
    "small": _preset(layers=3, d_model=256, num_heads=4),
    "base": _preset(layers=6, d_model=512, num_heads=8),
    "big": _preset(layers=6, d_model=1024, num_heads=16, dropout=0.3),
}
"""The named sizes: ``base`` and ``big`` are the paper's (table 3), the others suit a laptop."""
