"""Settings of translation, with the names and meanings of other toolkits.

Read ``recipe.py`` next.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from pellucid.config.section import Section

__all__ = ["LengthPenalty", "SentenceSplitting", "TranslationConfig"]


class LengthPenalty(StrEnum):
    """The divisor of the log-probability of a hypothesis; ``alpha`` is the exponent.

    alpha has different meanings in different tools, so the form is explicit. |y| is the number of tokens, including the
    end-of-sentence piece.
    """

    NONE = "none"
    """1: the plain sum of log-probabilities, which favours short output."""
    AVERAGE = "average"
    """|y|^alpha: fairseq, Hugging Face, CTranslate2, Marian."""
    GNMT = "gnmt"
    """((5 + |y|) / 6)^alpha: Wu et al. 2016, section 7, as in the paper, section 6.1; OpenNMT calls it ``wu``."""


class SentenceSplitting(StrEnum):
    """Whether the sentences of a text are translated separately and joined with the white space between them."""

    AUTO = "auto"
    """Split if the model was trained on single sentences, which its folder records; it would lose later sentences."""
    ALWAYS = "always"
    """Always split."""
    NEVER = "never"
    """Never split, for input that is already split."""

    def acts_on(self, *, single_sentences: bool) -> bool:
        """Return whether text is split for a model that was, or was not, trained on single sentences."""
        return single_sentences if self is SentenceSplitting.AUTO else self is SentenceSplitting.ALWAYS


class TranslationConfig(Section):
    """The settings of a search; one value serves every sentence of a call."""

    NEWER: ClassVar[tuple[str, ...]] = ("alignment", "placeholders", "num_beam_groups", "diversity_penalty")

    beam_size: int = Field(5, ge=1, le=100_000)
    """Number of hypotheses at each step; 1 is greedy search."""
    n_best: int = Field(1, ge=1, le=100_000)
    """Number of translations of each text, at most ``beam_size``; with ``sampling`` the number of draws."""
    num_beam_groups: int = Field(1, ge=1, le=1000)
    """Groups of the beam that avoid each other's tokens, so that n-best lists differ; a divisor of ``beam_size``."""
    diversity_penalty: float = Field(0.5, gt=0, le=1e4)
    """With several ``num_beam_groups``: what a token costs for each row of the groups before that has just taken it."""
    length_penalty: LengthPenalty = LengthPenalty.AVERAGE
    """The divisor of the log-probability of a hypothesis."""
    alpha: float = Field(1.0, ge=0, le=20)
    """Exponent of the length penalty; 0 is no penalty."""
    min_length: int = Field(0, ge=0)
    """Smallest number of tokens of a translation, without its end; 0 is off."""
    max_length_factor: float = Field(2.0, gt=0, le=1000)
    """Limit of tokens of a translation: this factor times the tokens of its source, plus ``max_length_constant``."""
    max_length_constant: int = Field(20, ge=1)
    """Constant part of the limit of tokens of a translation."""
    no_repeat_ngram_size: int = Field(0, ge=0)
    """A translation never repeats a run of this number of tokens; 0 is off."""
    banned_tokens: tuple[str, ...] = ()
    """Pieces that a translation must not contain, in the form of the tokens of a result."""
    target_prefix: str = ""
    """Text at the start of every translation; a space at its end means that its last word is complete."""

    sampling: bool = False
    """Draw at random from the model's distribution instead of searching."""
    temperature: float = Field(1.0, ge=1e-4, le=1e4)
    """With ``sampling``: the divisor of log-probabilities; over 1 gives more variety, under 1 less."""
    top_k: int = Field(0, ge=0, le=2**31 - 1)
    """With ``sampling``: draw from this number of most probable tokens; 0 is all."""
    top_p: float = Field(1.0, gt=0, le=1)
    """With ``sampling``: draw from the fewest most probable tokens that reach this probability; 1 is all."""
    seed: int = Field(1, ge=0, le=2**63 - 1)
    """With ``sampling``: the same seed and text give the same draws."""

    placeholders: Literal["translate", "keep"] = "translate"
    """Placeholders, tags and entities: ``translate`` treats them as text, ``keep`` puts each back once and in order."""
    alignment: bool = False
    """Align the words of each translation with those of its text, by the heads that ``model.toml`` names."""
    batch_size: int = Field(4096, ge=1)
    """Limit of padded source tokens in a batch; a longer text is a batch alone."""
    split_sentences: SentenceSplitting = SentenceSplitting.AUTO
    """Translate the sentences of a text separately; ``auto`` does so if the model was trained on single sentences."""
    long_input: Literal["split", "refuse"] = "split"
    """For a text over ``max_input_length``: ``split`` translates it in parts and joins them, ``refuse`` fails."""
    max_input_length: int = Field(200, ge=1)
    """Limit of source tokens in one input of the model, without the end of sentence."""

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if not all(self.banned_tokens):
            raise ValueError("banned_tokens contains an empty text; use pieces in the form of the tokens of a result")
        if not self.sampling and self.n_best > self.beam_size:
            raise ValueError(
                f"n_best = {self.n_best} is more than beam_size = {self.beam_size}; raise beam_size, or lower n_best"
            )
        self._groups_fit()
        if not self.sampling and (self.temperature != 1 or self.top_k or self.top_p != 1):
            raise ValueError("temperature, top_k and top_p need sampling = true")
        if self.sampling and self.beam_size != 1 and "beam_size" in self.model_fields_set:
            raise ValueError(
                f"beam_size = {self.beam_size} with sampling = true; sampling uses no beam, so leave beam_size out"
            )
        return self

    def _groups_fit(self) -> None:
        if self.num_beam_groups == 1:
            if "diversity_penalty" in self.model_fields_set and self.diversity_penalty != 0.5:
                raise ValueError("diversity_penalty needs num_beam_groups over 1, such as the number of n_best")
            return
        if self.sampling:
            raise ValueError(
                f"num_beam_groups = {self.num_beam_groups} with sampling = true, which uses no beam; leave one out"
            )
        if self.beam_size % self.num_beam_groups:
            raise ValueError(
                f"num_beam_groups = {self.num_beam_groups} does not divide beam_size = {self.beam_size}; "
                f"use beam_size = {-(-self.beam_size // self.num_beam_groups) * self.num_beam_groups}, for example"
            )
