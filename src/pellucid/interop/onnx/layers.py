"""The Transformer as two ONNX graphs, written from configuration and weights (Vaswani et al. 2017, section 3).

    encoder   source_ids, source_mask → encoder.output, and for each decoder layer cross_attention.keys, .values
    decoder   target_ids, source_mask, these keys and values, and each layer's self_attention.past_keys, .past_values
              → log_probabilities, and each layer's self_attention.keys, .values: the past of the next step

One decoder serves the first step (a past of no positions), each further step (one new position), and a whole
target at once, so there is no second decoder graph to prove. Rows are hypotheses; each ``rows / sentences`` of them
in a row belong to one sentence, so a beam shares its keys and values. Values have the names and shapes of the sites
of a trace (``model/__init__.py``). Read ``writing.py``
next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pellucid.config import Activation, DecoderStart, ModelConfig, NormOrder
from pellucid.interop.onnx.graph import Graph, WeightsFile
from pellucid.interop.position_rows import position_rows

__all__ = ["cross_names", "decoder_graph", "encoder_graph", "past_names", "present_names"]

Weights = Mapping[str, Tensor]
_LOWEST: Final = float(np.finfo(np.float32).min)


def cross_names(layers: int) -> list[str]:
    """Return the names of the keys and values that the decoder layers keep of the source, keys first."""
    return [f"decoder.{layer}.cross_attention.{name}" for layer in range(layers) for name in ("keys", "values")]


def past_names(layers: int) -> list[str]:
    """Return the names of the decoder's inputs for keys and values of earlier positions."""
    return [f"decoder.{layer}.self_attention.past_{name}" for layer in range(layers) for name in ("keys", "values")]


def present_names(layers: int) -> list[str]:
    """Return the names of keys and values of all positions so far, in the order of ``past_names``."""
    return [name.replace("past_", "") for name in past_names(layers)]


def encoder_graph(config: ModelConfig, weights: Weights, file: WeightsFile) -> Graph:
    """Build the graph that reads source sentences, ids [batch, source]."""
    graph = Graph("encoder", file)
    parts = _Parts(graph, config, weights)
    ids = graph.input("source_ids", "int64", ["batch", "source"])
    mask = graph.input("source_mask", "bool", ["batch", "source"])
    may_attend = graph.add("Unsqueeze", [mask, graph.integers(1, 2)], "source_may_attend")
    hidden = parts.input_sum(ids, "source", "source_embedding.weight", first=graph.integers(0))
    for layer in range(config.num_encoder_layers):
        at = f"encoder.{layer}"
        hidden = graph.add("Identity", [hidden], f"{at}.input")
        hidden = parts.around(hidden, parts.self_attention, f"{at}.self_attention", may_attend=may_attend)
        hidden = parts.around(hidden, parts.feed_forward, f"{at}.feed_forward")
    memory = parts.finished(hidden, "encoder")
    graph.output(memory, "float32", ["batch", "source", config.d_model])
    for name in cross_names(config.num_decoder_layers):
        kept = parts.heads(memory, *name.rsplit(".", 1))
        graph.output(kept, "float32", ["batch", config.num_heads, "source", config.d_head])
    return graph


def decoder_graph(config: ModelConfig, weights: Weights, file: WeightsFile) -> Graph:
    """Build the graph that reads target ids [rows, target] after a past, and scores each next piece."""
    graph = Graph("decoder", file)
    parts = _Parts(graph, config, weights)
    layers, num_heads, d_head = config.num_decoder_layers, config.num_heads, config.d_head
    ids = graph.input("target_ids", "int64", ["rows", "target"])
    mask = graph.input("source_mask", "bool", ["sentences", "source"])
    for names, row, time in ((cross_names, "sentences", "source"), (past_names, "rows", "past")):
        for name in names(layers):
            graph.input(name, "float32", [row, num_heads, time, d_head])
    table = "source_embedding.weight" if config.share_embeddings else "target_embedding.weight"
    hidden = parts.input_sum(ids, "target", table, first=graph.size(past_names(1)[0], 2, "past_size"))
    may_attend = parts.causal_may_attend()
    source_may_attend = graph.add("Unsqueeze", [mask, graph.integers(1, 2)], "source_may_attend")
    asking = _AskingTogether(parts, ids, mask)
    for layer in range(layers):
        at = f"decoder.{layer}"
        hidden = graph.add("Identity", [hidden], f"{at}.input")
        hidden = parts.around(hidden, parts.attention_with_past, f"{at}.self_attention", may_attend=may_attend)
        hidden = parts.around(hidden, asking, f"{at}.cross_attention", may_attend=source_may_attend)
        hidden = parts.around(hidden, parts.feed_forward, f"{at}.feed_forward")
    parts.log_probabilities(parts.finished(hidden, "decoder"), table)
    graph.output("log_probabilities", "float32", ["rows", "target", config.target_vocab_size])
    for name in present_names(layers):
        graph.output(name, "float32", ["rows", num_heads, "past_and_target", d_head])
    return graph


class _Parts:
    """The parts of both graphs. Methods take and return names of values; ``at`` is the site of a part."""

    def __init__(self, graph: Graph, config: ModelConfig, weights: Weights) -> None:
        self.graph = graph
        self.config = config
        self._weights = weights

    def input_sum(self, ids: str, side: str, table: str, *, first: str) -> str:
        """Embed, scale and add positions from ``first`` on (sections 3.4, 3.5): the input of a stack."""
        graph, config = self.graph, self.config
        scale = math.sqrt(config.d_model) if config.scale_embeddings else 1.0
        embedded = self._embedded(ids, side, table)
        scaled = graph.add("Mul", [embedded, graph.number(scale, f"{side}.scale")], f"{side}.scaled_embedding")
        end = graph.add("Add", [first, graph.size(ids, 1, "time_size")], "end_size")
        bounds = [graph.add("Squeeze", [size], f"{name}_place") for name, size in (("first", first), ("end", end))]
        places = graph.add("Range", [*bounds, graph.integer(1)], f"{side}.places")
        # Gather, not Slice: beyond the table it is an error, where a slice would only be shorter.
        stack = {"source": "encoder", "target": "decoder"}[side]
        rows = position_rows(config, self._weights, stack, count=config.max_positions)
        positions = graph.weight(f"{side}.positions", rows.numpy())
        position = graph.add("Gather", [positions, places], f"{side}.position")
        return graph.add("Add", [scaled, position], f"{side}.input")

    def _embedded(self, ids: str, side: str, table: str) -> str:
        graph = self.graph
        weight = graph.weight(table, self._array(table))
        if side == "source" or self.config.decoder_start is not DecoderStart.ZERO_VECTOR:
            return graph.add("Gather", [weight, ids], f"{side}.embedding")
        # ONNX counts -1 from the end of the table; here it is the start, whose vector is zero.
        known = graph.add("Max", [ids, graph.integer(0)], f"{side}.known_ids")
        found = graph.add("Gather", [weight, known], f"{side}.known_embedding")
        is_start = graph.add("Less", [ids, graph.integer(0)], f"{side}.is_start")
        is_start = graph.add("Unsqueeze", [is_start, graph.integers(2)], f"{side}.is_start_vector")
        return graph.add("Where", [is_start, graph.number(0, "nothing"), found], f"{side}.embedding")

    def causal_may_attend(self) -> str:
        """Return the mask under which no position sees a later one, [target, past and target] (section 3.2.3)."""
        graph = self.graph
        later = graph.add("Unsqueeze", ["target.places", graph.integers(1)], "target.asking_places")
        every = graph.add("Range", [graph.integer(0), "end_place", graph.integer(1)], "target.all_places")
        return graph.add("LessOrEqual", [every, later], "target_may_attend")

    def around(self, hidden: str, sublayer: Callable[..., str], at: str, **named: str) -> str:
        """Apply a sub-layer with its residual connection and norm, in the configured order."""
        if self.config.norm_order is NormOrder.PRE:
            normed = self._norm(hidden, f"{at}_norm")
            return self.graph.add("Add", [hidden, sublayer(normed, at, **named)], f"{at}_residual")
        residual = self.graph.add("Add", [hidden, sublayer(hidden, at, **named)], f"{at}_residual")
        return self._norm(residual, f"{at}_norm")

    def finished(self, hidden: str, stack: str) -> str:
        """End a stack: with pre-norm by one more norm."""
        if self.config.norm_order is NormOrder.PRE:
            hidden = self._norm(hidden, f"{stack}.final_norm", module=f"{stack}.final_norm")
        return self.graph.add("Identity", [hidden], f"{stack}.output")

    def heads(self, hidden: str, at: str, name: str, *, shape: str = "", output: str = "") -> str:
        """Project and cut into heads: [batch, time, d_model] to [batch, heads, time, d_head] (section 3.2.2)."""
        config = self.config
        projected = self._linear(hidden, f"{at}.{name}", f"{at}.{name}_together")
        shape = shape or self.graph.integers(0, 0, config.num_heads, config.d_head)  # 0 leaves a size as it is
        apart = self.graph.add("Reshape", [projected, shape], f"{at}.{name}_apart")
        return self.graph.add("Transpose", [apart], output or f"{at}.{name}", perm=[0, 2, 1, 3])

    def attention(self, at: str, queries: str, keys: str, values: str, may_attend: str) -> str:
        """Compute equation 1 (section 3.2.1): the contexts of all heads."""
        graph = self.graph
        turned = graph.add("Transpose", [keys], f"{at}.keys_turned", perm=[0, 1, 3, 2])
        scores = graph.add("MatMul", [queries, turned], f"{at}.scores")
        divisor = graph.number(math.sqrt(self.config.d_head), "sqrt_d_head")
        scaled = graph.add("Div", [scores, divisor], f"{at}.scaled")
        masked = graph.add("Where", [may_attend, scaled, graph.number(_LOWEST, "hidden_score")], f"{at}.masked")
        weights = graph.add("Softmax", [masked], f"{at}.weights", axis=-1)
        return graph.add("MatMul", [weights, values], f"{at}.context")

    def combined(self, context: str, at: str, *, shape: str = "") -> str:
        """Join the heads and apply W^O: [batch, heads, time, d_head] to [batch, time, d_model]."""
        turned = self.graph.add("Transpose", [context], f"{at}.context_turned", perm=[0, 2, 1, 3])
        shape = shape or self.graph.integers(0, 0, self.config.d_model)
        together = self.graph.add("Reshape", [turned, shape], f"{at}.concatenated")
        return self._linear(together, f"{at}.output", f"{at}.output")

    def self_attention(self, hidden: str, at: str, *, may_attend: str) -> str:
        """Attend from all positions to all of them."""
        queries, keys, values = (self.heads(hidden, at, name) for name in ("queries", "keys", "values"))
        return self.combined(self.attention(at, queries, keys, values, may_attend), at)

    def attention_with_past(self, hidden: str, at: str, *, may_attend: str) -> str:
        """Attend from the new positions to those before and to each other."""
        queries = self.heads(hidden, at, "queries")
        both: list[str] = []
        for name in ("keys", "values"):
            new = self.heads(hidden, at, name, output=f"{at}.new_{name}")
            both.append(self.graph.add("Concat", [f"{at}.past_{name}", new], f"{at}.{name}", axis=2))
        return self.combined(self.attention(at, queries, both[0], both[1], may_attend), at)

    def feed_forward(self, hidden: str, at: str) -> str:
        """Apply the two linear maps with a non-linearity between (section 3.3)."""
        graph = self.graph
        x = self._linear(hidden, f"{at}.inner", f"{at}.pre_activation")
        name = f"{at}.hidden"
        if self.config.activation is Activation.RELU:
            activated = graph.add("Relu", [x], name)
        elif self.config.activation is Activation.SWISH:
            activated = graph.add("Mul", [x, graph.add("Sigmoid", [x], f"{at}.gate")], name)
        else:  # x times the normal distribution function of x, (1 + erf(x / sqrt(2))) / 2
            erf = graph.add("Div", [x, graph.number(math.sqrt(2), "sqrt_2")], f"{at}.deviations")
            erf = graph.add("Erf", [erf], f"{at}.erf")
            twice = graph.add("Add", [erf, graph.number(1, "one")], f"{at}.twice_gate")
            twice = graph.add("Mul", [x, twice], f"{at}.twice_hidden")
            activated = graph.add("Mul", [twice, graph.number(0.5, "half")], name)
        return self._linear(activated, f"{at}.outer", f"{at}.output")

    def log_probabilities(self, hidden: str, table: str) -> str:
        """Score every next piece: [rows, target, d_model] to [rows, target, target_vocab_size] (section 3.4)."""
        graph, config = self.graph, self.config
        name = table if config.share_decoder_embeddings else "projection.weight"
        inputs = [graph.add("Reshape", [hidden, graph.integers(-1, config.d_model)], "hidden_rows")]
        # Gemm can turn the table itself, so that a tied one is needed in one form only.
        inputs.append(graph.weight(name, self._array(name)))
        if config.output_bias:
            inputs.append(graph.weight("projection.bias", self._array("projection.bias")))
        rows = graph.add("Gemm", inputs, "logits_rows", transB=1)
        sizes = ["ids_size", graph.integers(config.target_vocab_size)]
        logits = graph.add("Reshape", [rows, graph.add("Concat", sizes, "logits_size", axis=0)], "logits")
        return graph.add("LogSoftmax", [logits], "log_probabilities", axis=-1)

    def _linear(self, hidden: str, at: str, output: str) -> str:
        weight, bias = f"{_module(at)}.weight", f"{_module(at)}.bias"
        # The weight is turned here: a product of three axes by two takes it as [in, out].
        turned = np.ascontiguousarray(self._array(weight).T)
        product = self.graph.add("MatMul", [hidden, self.graph.weight(weight, turned)], f"{output}_product")
        return self.graph.add("Add", [product, self.graph.weight(bias, self._array(bias))], output)

    def _norm(self, hidden: str, at: str, *, module: str = "") -> str:
        names = [f"{module or _module(at)}.{name}" for name in ("weight", "bias")]
        weights = [self.graph.weight(name, self._array(name)) for name in names]
        epsilon = self.config.layer_norm_epsilon
        return self.graph.add("LayerNormalization", [hidden, *weights], at, axis=-1, epsilon=epsilon)

    def _array(self, name: str) -> NDArray[np.float32]:
        return self._weights[name].detach().to("cpu", torch.float32).numpy()


class _AskingTogether:
    """Cross-attention in which all rows of a sentence ask its keys in one product."""

    def __init__(self, parts: _Parts, ids: str, mask: str) -> None:
        graph, config = parts.graph, parts.config
        sentences = graph.size(mask, 0, "sentences_size")
        apart = [sentences, graph.integers(-1, config.num_heads, config.d_head)]
        together = [graph.add("Shape", [ids], "ids_size"), graph.integers(config.d_model)]
        self._parts = parts
        self._apart = graph.add("Concat", apart, "asking_size", axis=0)
        self._together = graph.add("Concat", together, "hidden_size", axis=0)

    def __call__(self, hidden: str, at: str, *, may_attend: str) -> str:
        queries = self._parts.heads(hidden, at, "queries", shape=self._apart)
        context = self._parts.attention(at, queries, f"{at}.keys", f"{at}.values", may_attend)
        return self._parts.combined(context, at, shape=self._together)


def _module(at: str) -> str:
    """Return the module of a site's weights, by our names: those of a layer are under ``layers``."""
    stack, rest = at.split(".", 1)
    return f"{stack}.layers.{rest}"
