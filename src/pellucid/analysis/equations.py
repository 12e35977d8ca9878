"""The equations of the paper: how every site is computed from the sites before it.

This code is independent of the model's code, and works on NumPy arrays in float64. Read ``checks.py`` next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pellucid.config import Activation, ModelConfig, NormOrder
from pellucid.model.transformer import ZERO_VECTOR_ID, Transformer
from pellucid.tracing.predictions import Array, log_sum_exp
from pellucid.tracing.tokens import Tokens

__all__ = ["Rule", "head_vectors", "rules_of"]

Weights = Callable[["Transformer"], Sequence[Tensor]]

_VOCABULARY_AT_ONCE: Final = 4096


@dataclass(frozen=True)
class Rule:
    """One equation: computes ``site`` from the sites ``inputs`` and, if required, weights of the model."""

    site: str
    equation: str
    inputs: tuple[str, ...]
    compute: Callable[..., Array]
    """Takes the inputs in float64 (masks boolean), then the weights unchanged."""
    weights: Weights | None = None


def rules_of(config: ModelConfig, tokens: Tokens) -> Iterator[Rule]:
    """Yield the rule of every site, in the order of the pass."""
    yield from _input("source", tokens.source_ids, config)
    yield from _stack("encoder", config)
    yield from _input("target", tokens.fed_ids, config)
    yield from _stack("decoder", config)
    yield Rule("logits", "decoder.output W^T (+ b)", ("decoder.output",), _project, _projection_weights)
    yield Rule(
        "log_probabilities",
        "logits - log sum exp(logits)",
        ("logits",),
        lambda logits: logits - log_sum_exp(logits)[..., None],
    )


def _input(side: str, ids: Sequence[int], config: ModelConfig) -> Iterator[Rule]:
    scale = math.sqrt(config.d_model) if config.scale_embeddings else 1.0
    is_source = side == "source"
    yield Rule(
        f"{side}.embedding",
        "the rows of the embedding table",
        (),
        lambda rows: rows * np.array([[index != ZERO_VECTOR_ID] for index in ids]),
        lambda model: [
            (model.source_embedding if is_source else model.decoder_embedding).weight[[max(index, 0) for index in ids]]
        ],
    )
    yield Rule(
        f"{side}.scaled_embedding",
        "embedding sqrt(d_model)" if config.scale_embeddings else "embedding",
        (f"{side}.embedding",),
        lambda embedding: embedding * scale,
    )
    yield Rule(
        f"{side}.position",
        "the rows of the table of positions",
        (),
        lambda table: table,
        lambda model: [(model.encoder if is_source else model.decoder).input.positions(len(ids))],
    )
    yield Rule(
        f"{side}.input",
        "scaled_embedding + position",
        (f"{side}.scaled_embedding", f"{side}.position"),
        np.add,
    )


def _stack(stack: str, config: ModelConfig) -> Iterator[Rule]:
    is_encoder, is_pre = stack == "encoder", config.norm_order is NormOrder.PRE
    depth = config.num_encoder_layers if is_encoder else config.num_decoder_layers
    names = ["self_attention", "feed_forward"] if is_encoder else ["self_attention", "cross_attention", "feed_forward"]
    hidden = "source.input" if is_encoder else "target.input"
    for layer in range(depth):
        at, weights = f"{stack}.{layer}", f"{stack}.layers.{layer}"
        yield _same(f"{at}.input", hidden)
        hidden = f"{at}.input"
        for name in names:
            norm, residual = f"{at}.{name}_norm", f"{at}.{name}_residual"
            entry = norm if is_pre else hidden
            if is_pre:
                yield _norm(norm, hidden, f"{weights}.{name}_norm", config)
            if name == "feed_forward":
                yield from _feed_forward(f"{at}.{name}", entry, f"{weights}.{name}", config)
            else:
                memory = "encoder.output" if name == "cross_attention" else entry
                yield from _attention(f"{at}.{name}", entry, memory, f"{weights}.{name}", config)
            yield Rule(residual, "input + output", (hidden, f"{at}.{name}.output"), np.add)
            if not is_pre:
                yield _norm(norm, residual, f"{weights}.{name}_norm", config)
            hidden = residual if is_pre else norm
    if is_pre:
        yield _norm(f"{stack}.final_norm", hidden, f"{stack}.final_norm", config)
        hidden = f"{stack}.final_norm"
    yield _same(f"{stack}.output", hidden)


def _attention(at: str, entry: str, memory: str, weights: str, config: ModelConfig) -> Iterator[Rule]:
    heads, root = config.num_heads, math.sqrt(config.d_head)
    for name, given in (("queries", entry), ("keys", memory), ("values", memory)):
        yield Rule(
            f"{at}.{name}",
            f"x W_{name[0].upper()} + b, head by head",
            (given,),
            lambda x, weight, bias: _split(x @ weight.T + bias, heads),
            _linear(f"{weights}.{name}"),
        )
    yield Rule(
        f"{at}.scores", "queries keys^T", (f"{at}.queries", f"{at}.keys"), lambda q, k: q @ np.swapaxes(k, -1, -2)
    )
    yield Rule(f"{at}.scaled", "scores / sqrt(d_head)", (f"{at}.scores",), lambda scores: scores / root)
    is_causal = at.startswith("decoder") and at.endswith("self_attention")
    yield Rule(
        f"{at}.may_attend",
        "no later position" if is_causal else "every position",
        (f"{at}.scores",),
        lambda scores: np.tril(np.ones(scores.shape, bool)) if is_causal else np.ones(scores.shape, bool),
    )
    yield Rule(f"{at}.weights", "softmax(scaled)", (f"{at}.scaled", f"{at}.may_attend"), _softmax)
    yield Rule(f"{at}.context", "weights values", (f"{at}.weights", f"{at}.values"), np.matmul)
    yield Rule(f"{at}.concatenated", "the heads of context, side by side", (f"{at}.context",), _join)
    yield Rule(
        f"{at}.output",
        "sum over heads of context_h W_O^h + b",
        (f"{at}.context",),
        lambda context, weight, bias: head_vectors(context, weight).sum(0) + bias,
        _linear(f"{weights}.output"),
    )


def _feed_forward(at: str, entry: str, weights: str, config: ModelConfig) -> Iterator[Rule]:
    activate = _ACTIVATIONS[config.activation]
    yield Rule(f"{at}.pre_activation", "x W_1 + b_1", (entry,), _apply_linear, _linear(f"{weights}.inner"))
    yield Rule(f"{at}.hidden", f"{config.activation}(pre_activation)", (f"{at}.pre_activation",), activate)
    yield Rule(f"{at}.output", "hidden W_2 + b_2", (f"{at}.hidden",), _apply_linear, _linear(f"{weights}.outer"))


def _norm(site: str, entry: str, weights: str, config: ModelConfig) -> Rule:
    epsilon = config.layer_norm_epsilon
    return Rule(
        site,
        "(x - mean) / sqrt(variance + epsilon) gain + bias",
        (entry,),
        lambda x, gain, bias: (
            (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + epsilon) * gain + bias
        ),
        _linear(weights),
    )


def _same(site: str, entry: str) -> Rule:
    return Rule(site, f"= {entry}", (entry,), lambda x: x)


def _linear(name: str) -> Weights:
    return lambda model: [model.get_parameter(f"{name}.weight"), model.get_parameter(f"{name}.bias")]


def _projection_weights(model: Transformer) -> list[Tensor]:
    weight, bias = model.projection.weight, model.projection.bias
    table = model.decoder_embedding.weight if weight is None else weight
    return [table] if bias is None else [table, bias]


def _apply_linear(x: Array, weight: Array, bias: Array) -> Array:
    result: Array = x @ weight.T + bias
    return result


def _project(hidden: Array, table: Array, bias: Array | None = None) -> Array:
    some = [
        hidden @ table[start : start + _VOCABULARY_AT_ONCE].T for start in range(0, len(table), _VOCABULARY_AT_ONCE)
    ]
    logits: Array = np.concatenate(some, axis=-1)
    return logits if bias is None else logits + bias


def head_vectors(context: Array, weight: Array) -> Array:
    """Return what each head adds to the output of its attention, [heads, time, d_model].

    ``context`` is [heads, time, d_head], ``weight`` W_O as torch stores it, [d_model, heads * d_head].
    """
    heads, _, width = context.shape
    # A product of matrices for each head; the same as one einsum is not handed to BLAS and takes six times as long.
    vectors: Array = context @ weight.reshape(weight.shape[0], heads, width).transpose(1, 2, 0)
    return vectors


def _split(projected: Array, heads: int) -> Array:
    time, d_model = projected.shape
    return projected.reshape(time, heads, d_model // heads).transpose(1, 0, 2)


def _join(context: Array) -> Array:
    return context.transpose(1, 0, 2).reshape(context.shape[1], -1)


def _softmax(scaled: Array, may_attend: Array) -> Array:
    hidden = np.where(may_attend, scaled, -np.inf)
    raised = np.exp(hidden - hidden.max(-1, keepdims=True))
    weights: Array = raised / raised.sum(-1, keepdims=True)
    return weights


def _by_torch(function: Callable[[Tensor], Tensor]) -> Callable[[Array], Array]:
    return lambda x: function(torch.tensor(x)).numpy()


_ACTIVATIONS: Final[dict[Activation, Callable[[Array], Array]]] = {
    Activation.RELU: lambda x: np.maximum(x, 0),
    Activation.GELU: _by_torch(functional.gelu),  # NumPy has no error function
    Activation.SWISH: lambda x: x / (1 + np.exp(-x)),
}
