"""Translate with edits: a stepper whose values are edited, and whose pieces are forced or banned.

The decoder computes the whole target again at each step, because edits are applied by a recorder, and a recorder sees
full passes only. For 30 pieces and a beam of 5, the walkthrough model takes 160 ms of one core so. If no edit is in the
decoder, its values are kept in a cache as usual. Read ``plan.py`` next.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pellucid.model.cache import DecoderCache
from pellucid.model.transformer import Transformer
from pellucid.tracing.editing.recorder import Editor, Others
from pellucid.tracing.edits import ValueEdit
from pellucid.translation.stepper import ModelStepper, Stepper
from pellucid.translation.translator import Translator

__all__ = ["EditedStepper", "edited_translator"]


class EditedStepper:
    """A Transformer whose values are edited, as a ``Stepper`` of one sentence."""

    def __init__(self, model: Transformer, edits: Sequence[ValueEdit], others: Others) -> None:
        self.vocab_size = model.config.target_vocab_size
        self.eos_id = model.config.specials.eos
        self.max_length = model.config.max_positions
        self._model, self._edits, self._others = model, edits, others
        self._editor = Editor((), model)
        self._memory = torch.empty(0)
        self._fed = torch.empty(0)
        self._cache: DecoderCache | None = None

    def start(self, source_ids: Sequence[Sequence[int]]) -> None:
        """Encode the sentence.

        Raises:
            ValueError: there are several; the edits are those of one.
        """
        if len(source_ids) != 1:
            raise ValueError(f"{len(source_ids)} sentences; edits belong to one sentence")
        device = next(self._model.parameters()).device
        self._editor = Editor(self._edits, self._model, others=self._others)
        self._memory = self._editor.encode(torch.tensor(source_ids, device=device))
        self._fed = torch.full((1, 1), self._model.start_id, device=device)
        is_encoder = all(site.startswith("encoder") for edit in self._edits for site in edit.sites(self._model.config))
        self._cache = self._model.start_cache(self._memory) if is_encoder else None

    def step(self, last_ids: Tensor | None) -> Tensor:
        """Decode everything so far, and return the log-probabilities of the next piece."""
        if last_ids is not None:
            self._fed = torch.cat([self._fed, last_ids[:, None].to(self._fed.device)], dim=1)
        if self._cache is not None:
            logits = self._model.decode_step(self._fed[:, -1], self._cache)
        else:
            hidden = self._editor.decode(self._fed, self._memory.expand(len(self._fed), -1, -1))
            logits = self._model.project(hidden[:, -1])
        return torch.log_softmax(logits if logits.dtype == torch.float64 else logits.float(), dim=-1)

    def select(self, rows: Tensor) -> None:
        """Go on with these rows."""
        self._fed = self._fed[rows]
        if self._cache is not None:
            self._cache.select(rows)


class _ChosenStepper:
    """A stepper that has no choice at some steps, and never has some pieces."""

    def __init__(self, inner: Stepper, forced_ids: Sequence[int], banned_ids: Sequence[int]) -> None:
        self.vocab_size, self.eos_id, self.max_length = inner.vocab_size, inner.eos_id, inner.max_length
        self._inner, self._forced, self._banned = inner, forced_ids, list(banned_ids)
        self._step = 0

    def start(self, source_ids: Sequence[Sequence[int]]) -> None:
        self._step = 0
        self._inner.start(source_ids)

    def step(self, last_ids: Tensor | None) -> Tensor:
        log_probabilities = self._inner.step(last_ids)
        if self._step < len(self._forced):
            index = self._forced[self._step]
            alone = torch.full_like(log_probabilities, -torch.inf)
            alone[:, index] = log_probabilities[:, index]
            log_probabilities = alone
        elif self._banned:
            log_probabilities[:, self._banned] = -torch.inf
        self._step += 1
        return log_probabilities

    def select(self, rows: Tensor) -> None:
        self._inner.select(rows)


def edited_translator(
    translator: Translator,
    values: Sequence[ValueEdit],
    *,
    others: Others,
    forced_ids: Sequence[int] = (),
    banned_ids: Sequence[int] = (),
) -> Translator:
    """Return a translator of the same model and settings with edits; itself if there are none."""
    if not (values or forced_ids or banned_ids):
        return translator
    model = translator.model

    def make_stepper() -> Stepper:
        inner: Stepper = EditedStepper(model, values, others) if values else ModelStepper(model)
        return _ChosenStepper(inner, forced_ids, banned_ids) if forced_ids or banned_ids else inner

    edited = Translator(
        make_stepper,
        translator.tokenizer,
        config=translator.config.model_copy(update={"alignment": False}),  # of words, which a trace does not show
        source_language=translator.source_language,
        target_language=translator.target_language,
        single_sentences=translator.single_sentences,
    )
    return edited.with_terms(translator.glossary.terms) if translator.glossary.terms else edited
