"""What a search sees of a model: start, step, select rows. Nothing else, so that anything can be searched.

A stepper may be a Transformer with a cache, an ensemble, another engine, or a table of a Markov chain
in a test. Read ``observer.py`` next, or ``beam.py`` for the use of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from torch import Tensor

from pellucid.errors import IncompatibleModelError, counted

if TYPE_CHECKING:
    from pellucid.model.cache import DecoderCache
    from pellucid.model.transformer import Transformer
    from pellucid.text.tokenizer import Tokenizer

__all__ = ["AttentiveStepper", "EnsembleStepper", "ModelStepper", "Stepper", "refuse_strangers"]


class Stepper(Protocol):
    """The model as the search sees it: rows of unfinished target sentences that grow a token at a time.

    After ``start`` there is one row a sentence, in order. All rows have the same length at all times.
    A stepper serves one search at a time.
    """

    @property
    def vocab_size(self) -> int:
        """Number of target ids; they are 0 ... vocab_size - 1."""

    @property
    def eos_id(self) -> int:
        """The id that ends a sentence."""

    @property
    def max_length(self) -> int:
        """Most steps that can be taken after one ``start``."""

    def start(self, source_ids: Sequence[Sequence[int]]) -> None:
        """Read the source sentences (ids with the end of sentence already there) and forget the last ones."""

    def step(self, last_ids: Tensor | None) -> Tensor:
        """Append ``last_ids`` [rows] int64 and return the log-probabilities [rows, vocab] of the next token.

        ``None`` at the first step: the stepper knows its own start. The tensor belongs to the caller, who
        writes into it. Minus infinity is a token that cannot come; NaN is never returned.
        """

    def select(self, rows: Tensor) -> None:
        """Go on with these rows ([new rows] int64): drops, reorders and duplicates."""


@runtime_checkable
class AttentiveStepper(Stepper, Protocol):
    """A stepper that can also say which source tokens its next token is about."""

    def attention(self) -> Tensor | None:
        """Return the weights [rows, source] behind the last log-probabilities, the mean over the heads of all layers.

        None where the stepper was made without, or is made of others that have none.
        """


class ModelStepper:
    """A Transformer in evaluation mode, stepped with a cache.

    Memory and cache are computed on the device the model is on.

    Args:
        model: the Transformer.
        has_attention: keep the weights of the cross-attention of each step.
    """

    def __init__(self, model: Transformer, *, has_attention: bool = False) -> None:
        self.model = model
        self._has_attention = has_attention
        self.vocab_size = model.config.target_vocab_size
        self.eos_id = model.config.specials.eos
        self.max_length = model.config.max_positions
        self._cache: DecoderCache | None = None

    def start(self, source_ids: Sequence[Sequence[int]]) -> None:
        """Encode the sentences together.

        Raises:
            ValueError: the model is in training mode, where dropout would draw at random.
        """
        if self.model.training:
            raise ValueError("the model is in training mode, where dropout changes every step; call model.eval()")
        lengths = torch.tensor([len(ids) for ids in source_ids])
        width = int(lengths.max())
        filler = self.model.config.specials.pad
        device = next(self.model.parameters()).device
        ids = torch.tensor([[*row, *[filler] * (width - len(row))] for row in source_ids], device=device)
        # Without padding there is no mask, and attention takes a shorter way.
        is_ragged = bool((lengths != width).any())
        mask = (torch.arange(width) < lengths[:, None]).to(device) if is_ragged else None
        memory = self.model.encode(ids, source_mask=mask)
        self._cache = self.model.start_cache(memory, source_mask=mask)

    def step(self, last_ids: Tensor | None) -> Tensor:
        """Advance the cache by one position; float32 whatever the model computes in, float64 stays."""
        cache = self._started()
        if last_ids is None:
            device = next(self.model.parameters()).device
            last_ids = torch.full((cache.num_rows,), self.model.start_id, device=device)
        cache.cross.weights = [] if self._has_attention else None
        logits = self.model.decode_step(last_ids, cache)
        if logits.dtype != torch.float64:
            logits = logits.float()
        return torch.log_softmax(logits, dim=-1)

    def attention(self) -> Tensor | None:
        """See ``AttentiveStepper``."""
        weights = self._started().cross.weights
        return torch.stack(weights).mean(dim=(0, 2)) if weights else None

    def select(self, rows: Tensor) -> None:
        """Reorder the cache."""
        self._started().select(rows)

    def _started(self) -> DecoderCache:
        if self._cache is None:
            raise ValueError("the stepper has no sentences; call start() first")
        return self._cache


class EnsembleStepper:
    """Several steppers over one vocabulary; the next token's probability is the mean of theirs.

    Raises:
        IncompatibleModelError: the vocabularies or the ends of sentence are not the same.
    """

    def __init__(self, steppers: Sequence[Stepper]) -> None:
        if not steppers:
            raise ValueError("an ensemble needs at least one stepper")
        facts = {(stepper.vocab_size, stepper.eos_id) for stepper in steppers}
        if len(facts) > 1:
            told = ", ".join(
                f"{counted(size, 'piece')} with the end of sentence at {eos}" for size, eos in sorted(facts)
            )
            raise IncompatibleModelError(
                f"the models of an ensemble share one vocabulary, and these have {told}; "
                "train them with the same tokenizer (--init-from keeps it)"
            )
        self._steppers = tuple(steppers)
        self.vocab_size, self.eos_id = facts.pop()
        self.max_length = min(stepper.max_length for stepper in steppers)

    def start(self, source_ids: Sequence[Sequence[int]]) -> None:
        """Start every member."""
        for stepper in self._steppers:
            stepper.start(source_ids)

    def step(self, last_ids: Tensor | None) -> Tensor:
        """Return the logarithm of the mean of the members' probabilities."""
        members = torch.stack([stepper.step(last_ids) for stepper in self._steppers])
        return torch.logsumexp(members, dim=0) - math.log(len(self._steppers))

    def attention(self) -> Tensor | None:
        """Return the mean of the members' weights."""
        found = [one.attention() if isinstance(one, AttentiveStepper) else None for one in self._steppers]
        given = [weights for weights in found if weights is not None]
        return torch.stack(given).mean(dim=0) if len(given) == len(found) else None

    def select(self, rows: Tensor) -> None:
        """Select in every member."""
        for stepper in self._steppers:
            stepper.select(rows)


def refuse_strangers(model: Transformer, tokenizer: Tokenizer) -> None:
    """Refuse a tokenizer that numbers its pieces otherwise than the model does.

    Raises:
        IncompatibleModelError: sizes or special ids differ.
    """
    config = model.config
    sizes = (config.source_vocab_size, config.target_vocab_size)
    if sizes != (tokenizer.source_vocab_size, tokenizer.target_vocab_size) or config.specials != tokenizer.specials:
        raise IncompatibleModelError(
            f"the model has {sizes[0]} source and {counted(sizes[1], 'target piece')} "
            f"with special ids {config.specials}, "
            f"the tokenizer {tokenizer.source_vocab_size} and {tokenizer.target_vocab_size} with "
            f"{tokenizer.specials}; use the tokenizer of the model's own folder"
        )
