"""Which heads matter for a word: every head off in turn, and the log-probability of every piece.

One row of a batch has one head off, so that all heads take two passes: one of the encoder for its heads, one of the
decoder for all. Read ``../page/answers_edit.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pellucid.config import ModelConfig
from pellucid.errors import RequestError
from pellucid.model.transformer import Transformer
from pellucid.tracing.editing.plan import value_edits
from pellucid.tracing.editing.recorder import Editor, Others, others_of
from pellucid.tracing.edits import AblateHead, ValueEdit
from pellucid.tracing.predictions import Array
from pellucid.tracing.record import Trace
from pellucid.tracing.sites import AttentionKind

__all__ = ["head_effects", "heads_of"]

_MOST_POSITIONS = 6_000
"""Rows times positions that are computed together; more are computed in parts."""


def heads_of(config: ModelConfig) -> tuple[AblateHead, ...]:
    """Return every head of every attention, off: kind by kind, layer by layer."""
    return tuple(
        AblateHead(kind, layer, head)
        for kind in AttentionKind
        for layer in kind.layers(config)
        for head in range(config.num_heads)
    )


def head_effects(trace: Trace, *, between_steps: Callable[[], None] = lambda: None) -> Array:
    """Return the change of the log-probability of every piece of a trace when one head is off, [heads, steps].

    The heads are those of ``heads_of``, in its order. The edits of the trace stay.

    Raises:
        RequestError: the trace has no model.
    """
    model, tokens = trace.model, trace.tokens
    if model is None:
        raise RequestError("the effect of heads requires the model; attach it with trace.attach(translator)")
    values = value_edits(trace.provenance.edits)
    others = others_of(values, model, trace.translator.tokenizer if trace.translator else None)
    heads = heads_of(model.config)
    at_once = max(1, _MOST_POSITIONS // max(tokens.source_length, tokens.target_length))
    device = next(model.parameters()).device
    source = torch.tensor([tokens.source_ids], device=device)
    fed = torch.tensor([tokens.fed_ids], device=device)
    wanted = torch.tensor(tokens.predicted_ids, device=device)
    rows: list[Array] = []
    with torch.inference_mode():
        base = _Rows(model, values, others).log_probabilities(source, fed, wanted, ())
        for start in range(0, len(heads), at_once):
            between_steps()
            some = heads[start : start + at_once]
            rows.append(
                (_Rows(model, values, others).log_probabilities(source, fed, wanted, some) - base).cpu().numpy()
            )
    effects: Array = np.concatenate(rows)
    return effects


@dataclass(frozen=True)
class _Rows:
    """One pass with a head off in each row; no heads means one row without any off."""

    model: Transformer
    values: tuple[ValueEdit, ...]
    others: Others

    def log_probabilities(self, source: Tensor, fed: Tensor, wanted: Tensor, heads: tuple[AblateHead, ...]) -> Tensor:
        """Return the log-probabilities of the wanted pieces, [rows, steps]."""
        editor = _RowEditor(self.values, self.model, self.others, heads)
        count = max(len(heads), 1)
        in_encoder = sum(head.kind is AttentionKind.ENCODER for head in heads)
        # The memory is one and the same for all rows whose head is in the decoder.
        memory = editor.encode(source.expand(in_encoder + 1, -1))
        memory = torch.cat([memory[:in_encoder], memory[-1:].expand(count - in_encoder, -1, -1)])
        hidden = editor.decode(fed.expand(count, -1), memory)
        logits = self.model.project(hidden)
        log_probabilities = logits.log_softmax(-1, dtype=torch.promote_types(logits.dtype, torch.float32))
        return log_probabilities[:, torch.arange(len(wanted)), wanted]


class _RowEditor(Editor):
    """An editor that also switches off one head in each row; heads of the encoder come first."""

    def __init__(
        self, edits: tuple[ValueEdit, ...], model: Transformer, others: Others, heads: tuple[AblateHead, ...]
    ) -> None:
        super().__init__(edits, model, others=others)
        self._off: dict[str, list[tuple[int, int]]] = {}
        for row, head in enumerate(heads):
            (site,) = head.sites(model.config)
            self._off.setdefault(site, []).append((row, head.head))

    def visit(self, site: str, value: Tensor) -> Tensor:
        """Return the value with the edits, and with the heads of this site off in their rows."""
        value = super().visit(site, value)
        if site in self._off:
            value = value.clone()
            rows, heads = zip(*self._off[site], strict=True)
            value[list(rows), list(heads)] = 0
        return value
