"""What each head adds: the output of an attention as a sum over its heads.

W_O is linear, so the output is exactly the sum of one vector per head and the bias. A large weight on a short
value vector contributes little; these vectors show the contributions. Read ``tracing/file.py`` next.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from pellucid.analysis.equations import head_vectors
from pellucid.errors import RequestError
from pellucid.tracing.predictions import Array
from pellucid.tracing.record import Trace
from pellucid.tracing.sites import AttentionKind

__all__ = ["HeadShares", "head_shares"]


@dataclass(frozen=True, eq=False)
class HeadShares:
    """The parts of the output [time, d_model] of one attention, in float64, so that they sum to the output."""

    vectors: Array
    """[heads, time, d_model]: context_h W_O^h."""
    bias: Array
    """[d_model]: the part of the output that does not depend on the heads."""

    @property
    def norms(self) -> Array:
        """Lengths of the vectors, [heads, time]."""
        lengths: Array = np.linalg.norm(self.vectors, axis=-1)
        return lengths

    @property
    def total(self) -> Array:
        """The output of the attention, [time, d_model]."""
        total: Array = self.vectors.sum(0) + self.bias
        return total


def head_shares(trace: Trace, place: str) -> HeadShares:
    """Return what each head of an attention, such as ``decoder.3.cross_attention``, adds to its output.

    Raises:
        RequestError: there is no such attention, or the trace has no model.
    """
    places = [site.removesuffix(".context") for site in trace.sites if site.endswith("_attention.context")]
    kind = AttentionKind.of(place)
    if kind is None or place not in places:
        raise RequestError(
            f"{place!r} is not an attention of this trace; name one like {places[-1] if places else 'decoder.0...'!r}"
        )
    if trace.model is None:
        raise RequestError(
            "the shares of heads require W_O, and this trace has no model; attach it with trace.attach(translator)"
        )
    stack, layer, attention = place.split(".")
    name = f"{stack}.layers.{layer}.{attention}.output"
    with torch.no_grad():
        weight, bias = (
            trace.model.get_parameter(f"{name}.{part}").double().cpu().numpy() for part in ("weight", "bias")
        )
    return HeadShares(head_vectors(trace[f"{place}.context"].astype(np.float64), weight), bias)
