"""How a translation is searched for. Names and meanings as in the field's toolkits.

Read ``recipe.py`` next.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from pellucid.config.section import Section

__all__ = ["LengthPenalty", "SentenceSplitting", "TranslationConfig"]


class LengthPenalty(StrEnum):
    """What the log-probability of a hypothesis is divided by; ``alpha`` is the exponent.

    The same alpha means different things in different tools, so the form is always named.
    |y| counts the tokens with the end-of-sentence piece.
    """

    NONE = "none"
    """1: the plain sum of log-probabilities, which favours short output."""
    AVERAGE = "average"
    """|y|^alpha: fairseq, Hugging Face, CTranslate2, Marian."""
    GNMT = "gnmt"
    """((5 + |y|) / 6)^alpha: Wu et al. 2016, section 7, as in the paper, section 6.1; OpenNMT calls it ``wu``."""


class SentenceSplitting(StrEnum):
    """Whether the sentences of a text are translated one by one, and joined with the white space between them."""

    AUTO = "auto"
    """Where the model was trained on single sentences, as its folder says; it would lose all but one of several."""
    ALWAYS = "always"
    """Whatever the model was trained on."""
    NEVER = "never"
    """A text goes to the model whole, for those who split text themselves."""

    def acts_on(self, *, single_sentences: bool) -> bool:
        """Return whether text is split for a model that was, or was not, trained on single sentences."""
        return single_sentences if self is SentenceSplitting.AUTO else self is SentenceSplitting.ALWAYS


class TranslationConfig(Section):
    """The settings of a search; one value serves every sentence of a call."""

    beam_size: int = Field(5, ge=1, le=100_000)
    """Hypotheses kept at each step; 1 is greedy search."""
    n_best: int = Field(1, ge=1, le=100_000)
    """Different translations given for each text, at most ``beam_size``; with ``sampling`` the number of draws."""
    length_penalty: LengthPenalty = LengthPenalty.AVERAGE
    """What the log-probability of a hypothesis is divided by."""
    alpha: float = Field(1.0, ge=0, le=20)
    """Exponent of the length penalty; 0 is no penalty."""
    min_length: int = Field(0, ge=0)
    """Least tokens of a translation, its end not counted; 0 is none."""
    max_length_factor: float = Field(2.0, gt=0, le=1000)
    """A translation has at most this many times the tokens of its source, and ``max_length_constant`` more."""
    max_length_constant: int = Field(20, ge=1)
    """The constant part of the longest translation, in tokens."""
    no_repeat_ngram_size: int = Field(0, ge=0)
    """No run of so many tokens comes twice in a translation; 0 is off."""
    banned_tokens: tuple[str, ...] = ()
    """Pieces that never come, spelt as the tokens of a result are."""
    target_prefix: str = ""
    """Text that every translation begins with; a space at its end says that its last word is complete."""

    sampling: bool = False
    """Draw at random from the model's distribution instead of searching."""
    temperature: float = Field(1.0, ge=1e-4, le=1e4)
    """With ``sampling``: log-probabilities are divided by this; over 1 is more varied, under 1 less."""
    top_k: int = Field(0, ge=0, le=2**31 - 1)
    """With ``sampling``: draw from the so many most probable tokens; 0 is all."""
    top_p: float = Field(1.0, gt=0, le=1)
    """With ``sampling``: draw from the fewest most probable tokens that reach this probability; 1 is all."""
    seed: int = Field(1, ge=0, le=2**63 - 1)
    """With ``sampling``: another seed draws others; the same seed and text give the same draws."""

    batch_size: int = Field(4096, ge=1)
    """Padded source tokens translated together; a longer text goes alone."""
    split_sentences: SentenceSplitting = SentenceSplitting.AUTO
    """Translate the sentences of a text one by one; ``auto`` does so where the model was trained on single ones."""
    long_input: Literal["split", "refuse"] = "split"
    """A text over ``max_input_length``: ``split`` translates it in parts and joins them, ``refuse`` fails it."""
    max_input_length: int = Field(200, ge=1)
    """Most source tokens that the model is given at once, end of sentence not counted."""

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if not all(self.banned_tokens):
            raise ValueError("banned_tokens holds an empty text; ban pieces as the tokens of a result show them")
        if not self.sampling and self.n_best > self.beam_size:
            raise ValueError(f"n_best = {self.n_best} is more than beam_size = {self.beam_size} can give")
        if not self.sampling and (self.temperature != 1 or self.top_k or self.top_p != 1):
            raise ValueError("temperature, top_k and top_p only act when sampling = true")
        if self.sampling and self.beam_size != 1 and "beam_size" in self.model_fields_set:
            raise ValueError(f"beam_size = {self.beam_size} with sampling = true; sampling draws without a beam")
        return self
