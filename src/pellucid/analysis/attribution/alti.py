"""ALTI+: how much of each state of the decoder comes from every source piece and every earlier target piece.

Ferrando et al. 2022, "Towards Opening the Black Box of Neural Machine Translation", section 3. A sub-layer of attention
adds to position i one vector for each position j that it looks at, sum_h weight_ij^h W_O^h value_j^h, and the residual
sum adds i itself. The norm after it is linear once its deviation is known, so the state of i is exactly the sum of such
vectors, after the norm, and of the biases. The contribution of j to i is how much closer its vector brings the state y:
max(0, |y| - |y - vector|) in the L1 norm, divided by the sum over all j, so a row sums to 1. Products of these matrices
over the layers lead back to the pieces. Feed-forward networks work on one position, so they mix nothing; value vectors
include their bias; what the biases of W_O and of the norm add has no piece.

``alti_logit`` asks for one logit instead (after Ferrando et al. 2023, "Explaining How Transformers Use Context to Build
Predictions"): every sub-layer of the last stack adds an exact signed amount to it; ALTI+ leads it back to the pieces.
Read ``methods.py`` next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from pellucid.analysis.attribution.question import Parts, Quantity, Question
from pellucid.config import NormOrder
from pellucid.errors import RequestError
from pellucid.model.transformer import Transformer
from pellucid.tracing.forced_pass import forced_pass
from pellucid.tracing.predictions import Array

__all__ = ["Contributions", "alti", "alti_logit", "contributions_of"]

_LARGEST_PARTS: Final = 1 << 22
"""Numbers of the largest array: parts of some rows at once."""


@dataclass(frozen=True, eq=False)
class Contributions:
    """The matrices of ALTI+ in float64; row i of each says where position i comes from.

    ``encoder`` [layers, source, source], ``decoder`` [layers, target, target] (self-attention) and ``cross`` [layers,
    target, source + 1], whose last column is the residual, are the sub-layers alone; their rows sum to 1. ``source``
    [layers, target, source] and ``target`` [layers, target, target] lead the output of each layer of the decoder back
    to the pieces, through all layers below it; together their rows sum to 1.
    """

    encoder: Array
    decoder: Array
    cross: Array
    source: Array
    target: Array

    @property
    def source_share(self) -> Array:
        """How much of each step comes from the source, [target]; a low share is a sign of a detached translation."""
        share: Array = self.source[-1].sum(-1)
        return share


class _Pass:
    """The sites of a forced pass in float64, with the weights that turn them into vectors."""

    def __init__(self, model: Transformer, arrays: Mapping[str, Array]) -> None:
        self.is_post = model.config.norm_order is NormOrder.POST
        self._model = model
        self._arrays = arrays

    def site(self, name: str) -> Array:
        return self._arrays[name].astype(np.float64)

    def parameter(self, site: str, name: str) -> Array:
        stack, layer, rest = site.split(".", 2)
        found = self._model.get_parameter(f"{stack}.layers.{layer}.{rest}.{name}")
        array: Array = found.detach().double().cpu().numpy()
        return array

    def before(self, at: str, name: str) -> Array:
        """Return the state to which a sub-layer adds, [time, d_model]."""
        if name == "self_attention":
            return self.site(f"{at}.input")
        earlier = "self_attention" if name == "cross_attention" else "cross_attention"
        return self.after(at, earlier)

    def after(self, at: str, name: str) -> Array:
        """Return the state behind a sub-layer, [time, d_model]."""
        return self.site(f"{at}.{name}_norm" if self.is_post else f"{at}.{name}_residual")

    def value_vectors(self, at: str) -> Array:
        """Return W_O^h value_j^h for every head and position of an attention, [heads, memory, d_model]."""
        values = self.site(f"{at}.values")
        heads, _, d_head = values.shape
        weight = self.parameter(f"{at}.output", "weight").reshape(-1, heads, d_head)
        vectors: Array = np.einsum("hjk,ohk->hjo", values, weight)
        return vectors

    def norm_of(self, at: str, name: str) -> _LinearNorm | None:
        """Return the norm behind a sub-layer, None with pre-norm."""
        if not self.is_post:
            return None
        place = f"{at}.{name}_norm"
        epsilon = self._model.config.layer_norm_epsilon
        residual = self.site(f"{at}.{name}_residual")
        return _LinearNorm(residual, self.parameter(place, "weight"), self.parameter(place, "bias"), epsilon)

    def final_norm(self) -> _LinearNorm | None:
        norm = self._model.decoder.final_norm
        if norm is None:
            return None
        last = self._model.config.num_decoder_layers - 1
        weight, bias = (one.detach().double().cpu().numpy() for one in (norm.weight, norm.bias))
        return _LinearNorm(self.after(f"decoder.{last}", "feed_forward"), weight, bias, norm.eps)


class _LinearNorm:
    """A layer norm as a linear map, for the deviation that its input at each position has."""

    def __init__(self, states: Array, weight: Array, bias: Array, epsilon: float) -> None:
        self._deviations = np.sqrt(states.var(-1) + epsilon)
        self._weight = weight
        self.bias = bias

    def forward(self, vectors: Array, rows: slice) -> Array:
        """Map vectors [rows, ..., d_model] as the inputs of these rows are mapped, without the bias."""
        deviations = self._deviations[rows].reshape(-1, *[1] * (vectors.ndim - 1))
        mapped: Array = (vectors - vectors.mean(-1, keepdims=True)) * self._weight / deviations
        return mapped

    def backward(self, direction: Array, row: int) -> Array:
        """Return the direction whose product with the input of the norm is that of ``direction`` with its output."""
        weighted: Array = direction * self._weight / self._deviations[row]
        centred: Array = weighted - weighted.mean()
        return centred


def _passed(question: Question, arrays: Mapping[str, Array] | None = None) -> _Pass:
    for edit in question.edits:
        sites = edit.sites(question.model.config)
        if not all(site.endswith((".weights", ".values")) for site in sites):
            raise RequestError(
                f"{edit}: replaces {sites[0]}, which is then no sum over weights and values that ALTI+ can split; use "
                "another method, or leave the edit out"
            )
    if arrays is None:
        arrays = forced_pass(
            question.model, question.source_ids, question.fed_ids, edits=question.edits, others=question.others
        )
    return _Pass(question.model, arrays)


def contributions_of(question: Question, arrays: Mapping[str, Array] | None = None) -> Contributions:
    """Return the contributions to every state of a pass; the steps and pieces of the question do not matter.

    ``arrays`` are all sites of the pass, where they are known; else the pass is run again.

    Raises:
        RequestError: an edit replaces something else than weights or values of an attention.
    """
    return _contributions(_passed(question, arrays), question)


def _contributions(done: _Pass, question: Question) -> Contributions:
    config = question.model.config
    source, target = question.sides
    encoder = [_mixed(done, f"encoder.{layer}", "self_attention") for layer in range(config.num_encoder_layers)]
    decoder = [_mixed(done, f"decoder.{layer}", "self_attention") for layer in range(config.num_decoder_layers)]
    cross = [_mixed(done, f"decoder.{layer}", "cross_attention") for layer in range(config.num_decoder_layers)]
    memory = np.eye(source)
    for matrix in encoder:
        memory = matrix @ memory
    from_source, from_target = [np.zeros((target, source))], [np.eye(target)]
    for own, looked in zip(decoder, cross, strict=True):
        kept = looked[:, -1:]
        from_source.append(looked[:, :-1] @ memory + kept * (own @ from_source[-1]))
        from_target.append(kept * (own @ from_target[-1]))
    return Contributions(*map(np.stack, (encoder, decoder, cross, from_source[1:], from_target[1:])))


def _mixed(done: _Pass, at: str, name: str) -> Array:
    """Return the contributions to each row of one sub-layer of attention; in cross-attention the residual is last."""
    before, after = done.before(at, name), done.after(at, name)
    weights, vectors = done.site(f"{at}.{name}.weights"), done.value_vectors(f"{at}.{name}")
    norm = done.norm_of(at, name)
    is_self = name == "self_attention"
    size = max(1, _LARGEST_PARTS // vectors[0].size)
    blocks = []
    for rows in (slice(first, first + size) for first in range(0, len(before), size)):
        # [rows, memory, d_model]: what each position adds to each row.
        parts = (weights[:, rows].T @ vectors.swapaxes(0, 1)).swapaxes(0, 1)
        at_itself = np.arange(len(before))[rows]
        if is_self:
            parts[np.arange(len(parts)), at_itself] += before[rows]
        else:
            parts = np.concatenate([parts, before[rows, None]], axis=1)
        parts = parts if norm is None else norm.forward(parts, rows)
        result = after[rows, None]
        closer = np.abs(result).sum(-1) - np.abs(result - parts).sum(-1)
        # Zero for a position that the row cannot see, whose part is zero: only rounding is left there.
        closer = np.where(np.any(parts != 0, axis=-1), np.maximum(closer, 0), 0)
        alone = np.flatnonzero(~closer.any(-1))  # the biases alone: the position stays what it was
        closer[alone, at_itself[alone] if is_self else -1] = 1
        blocks.append(closer / closer.sum(-1, keepdims=True))
    return np.concatenate(blocks)


def alti(question: Question) -> Parts:
    """Return the contributions of ALTI+ to the last state of the decoder at every step; they sum to 1.

    They are those to the state, whatever piece is written from it.

    Raises:
        RequestError: two pieces are compared; ``alti_logit`` does that.
    """
    if question.against_id is not None:
        raise RequestError(
            "method 'alti' says where the state of the decoder comes from, which is the same for every piece, so "
            "against has no effect; use method 'alti_logit' to compare two pieces"
        )
    found = contributions_of(question)
    rows = list(question.steps)
    source, target = (torch.from_numpy(one[-1][rows]) for one in (found.source, found.target))
    return Parts(source, target, expected_sums=torch.ones(len(rows), dtype=torch.float64))


def alti_logit(question: Question) -> Parts:
    """Split a logit, or the difference of two, into signed amounts for the pieces; with the biases they sum to it.

    Raises:
        RequestError: the score is a log-probability, which is no linear function of the state.
    """
    if question.quantity is Quantity.LOG_PROBABILITY and question.against_id is None:
        raise RequestError(
            "method 'alti_logit' splits a logit; use quantity 'logit', or compare with another piece, where the "
            "difference of logits and of log-probabilities is the same"
        )
    done = _passed(question)
    found = _contributions(done, question)
    memory = np.eye(len(question.source_ids))
    for matrix in found.encoder:
        memory = matrix @ memory
    rows = [
        _logit_parts(done, question, found, memory, step=step, piece=piece)
        for step, piece in zip(question.steps, question.piece_ids, strict=True)
    ]
    source, target = (torch.from_numpy(np.stack([row[side] for row in rows])) for side in (0, 1))
    return Parts(source, target, expected_sums=torch.tensor([row[2] for row in rows], dtype=torch.float64))


def _logit_parts(
    done: _Pass, question: Question, found: Contributions, memory: Array, *, step: int, piece: int
) -> tuple[Array, Array, float]:
    """Return the parts of source and target for one step, and the score without the biases."""
    direction, constant = _direction(question, piece)
    score = float(direction @ done.site("decoder.output")[step]) + constant
    biases = constant
    of_source, of_target = np.zeros(len(question.source_ids)), np.zeros(len(question.fed_ids))
    inputs = [(np.zeros_like(found.source[0]), np.eye(len(question.fed_ids)))]
    inputs += list(zip(found.source, found.target, strict=True))
    final = done.final_norm()
    if final is not None:
        biases += float(direction @ final.bias)
        direction = final.backward(direction, step)
    for layer in reversed(range(len(found.cross))):
        at = f"decoder.{layer}"
        from_source, from_target = inputs[layer]
        for name in ("feed_forward", "cross_attention", "self_attention"):
            norm = done.norm_of(at, name)
            if norm is not None:
                biases += float(direction @ norm.bias)
                direction = norm.backward(direction, step)
            if name == "feed_forward":
                # It reads the state behind the cross-attention, whose sources are those of the layer's output.
                amount = float(direction @ done.site(f"{at}.feed_forward.output")[step])
                of_source += amount * found.source[layer][step]
                of_target += amount * found.target[layer][step]
                continue
            place = f"{at}.{name}"
            biases += float(direction @ done.parameter(f"{place}.output", "bias"))
            weights = done.site(f"{place}.weights")[:, step]
            amounts = np.einsum("hj,hjo,o->j", weights, done.value_vectors(place), direction)
            if name == "cross_attention":
                of_source += amounts @ memory
            else:
                of_source += amounts @ from_source
                of_target += amounts @ from_target
    of_target[step] += float(direction @ done.site("target.input")[step])
    return of_source, of_target, score - biases


def _direction(question: Question, piece: int) -> tuple[Array, float]:
    """Return the vector whose product with the output of the decoder is the score, and the constant beside it."""
    ids = [piece] if question.against_id is None else [piece, question.against_id]
    weight, bias = question.model.output_map()
    rows = weight.detach()[ids].double().cpu().numpy()
    constants = np.zeros(len(ids)) if bias is None else bias.detach()[ids].double().cpu().numpy()
    signs = np.array([1.0, -1.0])[: len(ids)]
    return signs @ rows, float(signs @ constants)
