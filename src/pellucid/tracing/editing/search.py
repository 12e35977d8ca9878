"""Translate with edits: a stepper whose values are edited, and whose pieces are forced or banned.

The encoder's edits are applied in its one pass, those of the decoder position by position (``steps.py``). Read
``plan.py`` next.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pellucid.errors import counted
from pellucid.model.transformer import Transformer
from pellucid.tracing.editing.recorder import Editor, Others
from pellucid.tracing.editing.steps import EditedDecoder
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
        self._decoder: EditedDecoder | None = None

    def start(self, source_ids: Sequence[Sequence[int]]) -> None:
        """Encode the sentence.

        Raises:
            ValueError: there are several; the edits are those of one.
        """
        if len(source_ids) != 1:
            raise ValueError(f"{counted(len(source_ids), 'sentence')}; edits belong to one sentence")
        device = next(self._model.parameters()).device
        editor = Editor(self._edits, self._model, others=self._others)
        memory = editor.encode(torch.tensor(source_ids, device=device))
        self._decoder = EditedDecoder(self._model, self._edits, memory, others=self._others, memories=editor.memories)

    def step(self, last_ids: Tensor | None) -> Tensor:
        """Decode one position, and return the log-probabilities of the next piece."""
        if last_ids is None:
            last_ids = torch.full((1,), self._model.start_id)
        device = next(self._model.parameters()).device
        logits = self._started().step(last_ids.to(device))
        return torch.log_softmax(logits if logits.dtype == torch.float64 else logits.float(), dim=-1)

    def select(self, rows: Tensor) -> None:
        """Go on with these rows."""
        self._started().select(rows)

    def _started(self) -> EditedDecoder:
        if self._decoder is None:
            raise ValueError("the stepper has no sentence; call start() first")
        return self._decoder


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
