"""How a translation is searched for. Names and meanings as in the field's toolkits.

Read ``recipe.py`` next.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from pellucid.config.section import Section

__all__ = ["LengthPenalty", "TranslationConfig"]


class LengthPenalty(StrEnum):
    """What a finished hypothesis' log-probability is divided by; ``alpha`` is the exponent.

    The same alpha means different things in different tools, so the form is always named.
    ``average``: |y|^alpha (fairseq, Hugging Face, CTranslate2, Marian). ``gnmt``: ((5 + |y|) / 6)^alpha
    (Wu et al. 2016, section 7; Tensor2Tensor, JoeyNMT; OpenNMT calls it ``wu``). ``none``: 1.
    |y| counts the end-of-sentence piece.
    """

    NONE = "none"
    AVERAGE = "average"
    GNMT = "gnmt"


class TranslationConfig(Section):
    """The settings of a search; one value serves every sentence of a call."""

    beam_size: int = Field(5, ge=1)
    n_best: int = Field(1, ge=1)
    length_penalty: LengthPenalty = LengthPenalty.AVERAGE
    alpha: float = Field(1.0, ge=0)
    min_length: int = Field(0, ge=0, description="tokens before the end of sentence is allowed")
    max_length_factor: float = Field(2.0, gt=0)
    max_length_constant: int = Field(20, ge=1, description="at most factor * source tokens + this many tokens")
    no_repeat_ngram_size: int = Field(0, ge=0)
    banned_tokens: tuple[str, ...] = ()
    target_prefix: str = ""

    sampling: bool = False
    temperature: float = Field(1.0, gt=0)
    top_k: int = Field(0, ge=0)
    top_p: float = Field(1.0, gt=0, le=1)
    seed: int = Field(1, ge=0)

    batch_size: int = Field(4096, ge=1, description="padded source tokens translated together")
    long_input: Literal["split", "refuse"] = "split"
    max_input_length: int = Field(200, ge=1, description="source tokens; longer input is split or refused")

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if not self.sampling and self.n_best > self.beam_size:
            raise ValueError(f"n_best = {self.n_best} is more than beam_size = {self.beam_size} can give")
        if not self.sampling and (self.temperature != 1 or self.top_k or self.top_p != 1):
            raise ValueError("temperature, top_k and top_p only act when sampling = true")
        if self.sampling and self.beam_size != 1 and "beam_size" in self.model_fields_set:
            raise ValueError(f"beam_size = {self.beam_size} with sampling = true; sampling draws without a beam")
        return self
