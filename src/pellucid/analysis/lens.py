"""The logit lens: what the decoder would write if it ended after each of its sub-layers.

Every state of the decoder [target, d_model] has the width of the last one, so the output matrix can read them all
(nostalgebraist 2020, "interpreting GPT: the logit lens"). The last row is exactly what the model predicts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from pellucid.config import ModelConfig, NormOrder
from pellucid.errors import RequestError
from pellucid.tracing.predictions import Array, entropy
from pellucid.tracing.record import Trace
from pellucid.tracing.sites import Level, refuse_outside

__all__ = ["CAVEATS", "LogitLens", "lens_logits", "lens_sites", "logit_lens"]

CAVEATS: Final = {
    NormOrder.POST: (
        "The output matrix was trained to read the last state only. In a post-norm model, a norm rescales the sum "
        "after every sub-layer, so states of different layers have no common scale, and those of early layers often "
        "read like noise: compare ranks more than probabilities. An early row is not a decision of the model."
    ),
    NormOrder.PRE: (
        "The output matrix was trained to read the last state only. Each state is read through the final norm, which "
        "was fitted to the last one. An early row is not a decision of the model."
    ),
}


@dataclass(frozen=True, eq=False)
class LogitLens:
    """One row per state of the decoder, the lowest first; natural logarithms; arrays are read-only."""

    sites: tuple[str, ...]
    """The state that each row reads."""
    top_ids: Array
    """[rows, target, top], the most probable piece first; of two equal ones the lower id."""
    top_log_probabilities: Array
    """[rows, target, top]."""
    target_log_probability: Array
    """[rows, target], for the piece that the step writes."""
    target_rank: Array
    """[rows, target]: how many pieces are more probable than it."""
    entropy: Array
    """[rows, target], in nats."""
    caveat: str
    """What the rows do not say."""


def lens_sites(config: ModelConfig) -> tuple[str, ...]:
    """Return the states that the lens reads: the input of the decoder, then the state behind every sub-layer."""
    end = "norm" if config.norm_order is NormOrder.POST else "residual"
    names = [f"{name}_{end}" for name in ("self_attention", "cross_attention", "feed_forward")]
    layers = range(config.num_decoder_layers)
    return ("decoder.0.input", *(f"decoder.{layer}.{name}" for layer in layers for name in names))


def lens_logits(trace: Trace, site: str, *, step: int | None = None) -> Array:
    """Return the logits [target, vocabulary] that the output matrix reads from one state of the decoder.

    With a step, those of this step alone, [1, vocabulary].

    Raises:
        RequestError: the trace has no model, or the lens does not read this site.
    """
    if trace.model is None:
        raise RequestError("the lens requires the output matrix, and this trace has no model; use trace.attach(...)")
    sites = lens_sites(trace.model.config)
    if site not in sites:
        raise RequestError(f"{site!r} is no state that the lens reads; use one of {sites[0]!r} to {sites[-1]!r}")
    state = np.array(trace[site] if step is None else trace[site][step : step + 1])
    weight = next(trace.model.decoder.parameters())
    with torch.inference_mode():
        hidden = torch.from_numpy(state).to(weight)[None]
        if trace.model.decoder.final_norm is not None:
            hidden = trace.model.decoder.final_norm(hidden)
        logits = trace.model.project(hidden)[0]
        logits = logits.float() if logits.dtype in {torch.bfloat16, torch.float16} else logits
    read: Array = logits.cpu().numpy()
    return read


def logit_lens(trace: Trace, *, top: int = 10, step: int | None = None) -> LogitLens:
    """Read every state of the decoder with the output matrix; edits of the trace apply.

    With a step, the arrays are those of this step alone.

    Raises:
        RequestError: the trace has no model or no such step, or ``top`` is not between 1 and the size of the
            vocabulary.
    """
    if trace.model is None:
        raise RequestError("the lens requires the output matrix, and this trace has no model; use trace.attach(...)")
    config = trace.model.config
    refuse_outside("top", top, range(1, config.target_vocab_size + 1))
    ids = np.array(trace.tokens.predicted_ids)
    if step is not None:
        refuse_outside("step", step, range(len(ids)))
        ids = ids[step : step + 1]
    full = trace.at_level(Level.FULL)
    sites = lens_sites(config)
    target = ids[:, None]
    columns: list[tuple[Array, ...]] = []
    for site in sites:
        logits = lens_logits(full, site, step=step).astype(np.float64)
        shifted = logits - logits.max(-1, keepdims=True)
        scores = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
        best = np.argsort(-scores, axis=-1, kind="stable")[:, :top]
        chosen = np.take_along_axis(scores, target, axis=-1)
        tops = np.take_along_axis(scores, best, axis=-1)
        columns.append((best, tops, chosen[:, 0], (scores > chosen).sum(-1), entropy(scores)))
    arrays = [np.stack(column) for column in zip(*columns, strict=True)]
    for array in arrays:
        array.setflags(write=False)
    return LogitLens(sites, arrays[0], arrays[1], arrays[2], arrays[3], arrays[4], CAVEATS[config.norm_order])
