"""A second opinion: a model computed straight from the tensors of its file, by this one page.

It shares nothing with ``model/``, ``text/`` or the code that reads and writes a format: no configuration of ours, no
renaming, no cache. It runs plain loops in float64, slow and easy to check against the paper, so a mistake in reading
or writing shows as a difference. A format's own page says where its tensors are and what its settings mean. The files
must have passed the format's reader first, which checks what a stranger wrote. Read ``huggingface/reference.py`` next.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from sentencepiece import SentencePieceProcessor

__all__ = ["ACTIVATIONS", "PrefixStepper", "Reference", "in_order"]

ACTIVATIONS: Final[Mapping[str, Callable[[Tensor], Tensor]]] = {
    "relu": functional.relu,
    "gelu": functional.gelu,
    "swish": functional.silu,
    "silu": functional.silu,
}


class Reference(ABC):
    """A foreign model as the comparison sees it (``comparison.ComparedModel``); a format fills in the attributes."""

    name: str
    source_pieces: tuple[str, ...]
    target_pieces: tuple[str, ...]
    source_ids: Mapping[str, int]
    segmenters: Sequence[SentencePieceProcessor]
    eos_id: int
    pad_id: int
    start_id: int
    max_length: int
    d_model: int
    num_layers: Mapping[str, int]
    """By stack, ``encoder`` and ``decoder``."""
    num_heads: Mapping[str, int]
    epsilon: float
    is_pre_norm: bool
    activation: Callable[[Tensor], Tensor]

    @abstractmethod
    def split_tag(self, text: str) -> tuple[list[str], str]:
        """Return the language tag that leads a text, or none, and the rest."""

    @abstractmethod
    def embed(self, stack: str, ids: Tensor) -> Tensor:
        """Return the scaled embeddings of ids [rows, time], [rows, time, d_model]."""

    @abstractmethod
    def angles(self, count: int) -> Tensor:
        """Return the angles of the sinusoids, [count, d_model / 2]."""

    @abstractmethod
    def place(self, stack: str, layer: int, part: str) -> str:
        """Return where the tensors of a sub-layer are: ``self``, ``cross`` or ``feed_forward``."""

    @abstractmethod
    def linear(self, place: str, name: str) -> tuple[Tensor, Tensor]:
        """Return weight [in, out] and bias of a linear map: ``q``, ``k``, ``v``, ``o``, ``1`` or ``2``."""

    @abstractmethod
    def norm(self, place: str) -> tuple[Tensor, Tensor]:
        """Return scale and bias of the norm of a sub-layer, or of a stack where ``place`` is its name."""

    @abstractmethod
    def logits(self, hidden: Tensor) -> Tensor:
        """Score every piece: [rows, target, d_model] to [rows, target, vocab]."""

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Cut source texts; a tag is a piece of its own; the end of sentence comes last."""
        rows = []
        for text in texts:
            tag, rest = self.split_tag(text)
            pieces = [*tag, *self.segmenters[0].encode(rest, out_type=str), "</s>"]
            rows.append([self.source_ids.get(piece, self.source_ids["<unk>"]) for piece in pieces])
        return rows

    def decode(self, ids: Sequence[int]) -> str:
        """Join target pieces to text; the caller has taken the special ones out."""
        text = str(self.segmenters[1].decode_pieces([self.target_pieces[i] for i in ids]))
        # The segmenter leaves the mark in pieces that it does not know itself.
        return text.replace("\u2581", " ").strip()

    def log_probabilities(self, source_ids: Sequence[int], target_ids: Sequence[int]) -> Tensor:
        """Return the log-probabilities along a forced target of one sentence, [target, vocab], float64."""
        memory = self.encoded(torch.tensor([list(source_ids)]), None)
        return self.decoded(torch.tensor([[self.start_id, *target_ids[:-1]]]), memory, None)[0].log_softmax(-1)

    def stepper(self) -> PrefixStepper:
        """Return this model as the search sees it."""
        return PrefixStepper(self)

    def encoded(self, ids: Tensor, mask: Tensor | None) -> Tensor:
        """Return the memory of ids [rows, source]; ``mask`` is added to the scores, [rows, 1, 1, source]."""
        hidden = self.embed("encoder", ids) + self._positions(ids)
        for layer in range(self.num_layers["encoder"]):
            hidden = self._attention_layer("encoder", layer, "self", hidden, None, mask)
            hidden = self._feed_forward_layer("encoder", layer, hidden)
        return self._norm("encoder", hidden) if self.is_pre_norm else hidden

    def decoded(self, ids: Tensor, memory: Tensor, memory_mask: Tensor | None) -> Tensor:
        """Return the logits after each of the ids [rows, target], [rows, target, vocab]."""
        hidden = self.embed("decoder", ids) + self._positions(ids)
        causal = torch.full((ids.shape[1], ids.shape[1]), -math.inf, dtype=torch.float64).triu(1)
        for layer in range(self.num_layers["decoder"]):
            hidden = self._attention_layer("decoder", layer, "self", hidden, None, causal)
            hidden = self._attention_layer("decoder", layer, "cross", hidden, memory, memory_mask)
            hidden = self._feed_forward_layer("decoder", layer, hidden)
        return self.logits(self._norm("decoder", hidden) if self.is_pre_norm else hidden)

    def _positions(self, ids: Tensor) -> Tensor:
        angles = self.angles(ids.shape[1])
        return torch.cat([angles.sin(), angles.cos()], dim=1)

    def _attention_layer(
        self, stack: str, layer: int, part: str, hidden: Tensor, memory: Tensor | None, mask: Tensor | None
    ) -> Tensor:
        at, heads = self.place(stack, layer, part), self.num_heads[stack]
        asking = self._norm(at, hidden) if self.is_pre_norm else hidden
        asked = asking if memory is None else memory
        rows, time, width = asking.shape

        def split(x: Tensor, name: str) -> Tensor:
            return self._linear(at, name, x).view(rows, -1, heads, width // heads).transpose(1, 2)

        scores = split(asking, "q") @ split(asked, "k").transpose(2, 3) / math.sqrt(width // heads)
        weights = (scores if mask is None else scores + mask).softmax(-1)
        context = (weights @ split(asked, "v")).transpose(1, 2).reshape(rows, time, width)
        found = hidden + self._linear(at, "o", context)
        return found if self.is_pre_norm else self._norm(at, found)

    def _feed_forward_layer(self, stack: str, layer: int, hidden: Tensor) -> Tensor:
        at = self.place(stack, layer, "feed_forward")
        before = self._norm(at, hidden) if self.is_pre_norm else hidden
        found = hidden + self._linear(at, "2", self.activation(self._linear(at, "1", before)))
        return found if self.is_pre_norm else self._norm(at, found)

    def _linear(self, place: str, name: str, x: Tensor) -> Tensor:
        weight, bias = self.linear(place, name)
        return x @ weight + bias

    def _norm(self, place: str, x: Tensor) -> Tensor:
        scale, bias = self.norm(place)
        centred = x - x.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + self.epsilon).sqrt() * scale + bias


class PrefixStepper:
    """The reference as a stepper: the whole prefix again at every step."""

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self.vocab_size = len(reference.target_pieces)
        self.eos_id = reference.eos_id
        self.max_length = reference.max_length
        self._memory = self._mask = self._ids = torch.empty(0)

    def start(self, source_ids: Sequence[Sequence[int]]) -> None:
        """Encode the sentences; the shorter ones are padded and masked."""
        width = max(map(len, source_ids))
        rows = torch.tensor([[*ids, *[self._reference.pad_id] * (width - len(ids))] for ids in source_ids])
        is_filler = torch.arange(width) >= torch.tensor([len(ids) for ids in source_ids])[:, None]
        self._mask = torch.zeros(is_filler.shape, dtype=torch.float64).masked_fill(is_filler, -math.inf)[:, None, None]
        self._memory = self._reference.encoded(rows, self._mask)
        self._ids = torch.full((len(rows), 1), self._reference.start_id)

    def step(self, last_ids: Tensor | None) -> Tensor:
        """Append ids [rows] and return the log-probabilities of the next, [rows, vocab]."""
        if last_ids is not None:
            self._ids = torch.cat([self._ids, last_ids[:, None]], dim=1)
        return self._reference.decoded(self._ids, self._memory, self._mask)[:, -1].log_softmax(-1)

    def select(self, rows: Tensor) -> None:
        """Go on with these rows."""
        self._ids, self._memory, self._mask = self._ids[rows], self._memory[rows], self._mask[rows]


def in_order(ids: Mapping[str, int]) -> tuple[str, ...]:
    """Return pieces in the order of their ids."""
    return tuple(sorted(ids, key=ids.__getitem__))
