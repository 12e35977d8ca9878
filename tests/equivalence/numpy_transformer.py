"""An independent forward pass in NumPy, float64, written from the paper and not from our modules.

It imports nothing of pellucid, works on plain arrays and keeps every intermediate value under
the name of its site. Where an edit is given for a site, the edited value goes on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

Array = np.ndarray
Edits = Mapping[str, Callable[[Array], Array]]


@dataclass(frozen=True)
class Shape:
    """What the weights alone do not tell."""

    num_heads: int
    num_encoder_layers: int
    num_decoder_layers: int
    pre_norm: bool = False
    activation: str = "relu"
    epsilon: float = 1e-5
    layout: str = "interleaved"
    offset: int = 0
    scale_embeddings: bool = True


def position_vector(position: int, width: int, layout: str) -> Array:
    """One row of the table, component by component (section 3.5 and its two variants)."""
    row = np.zeros(width)
    half = width // 2
    for pair in range(half):
        if layout == "half_split_t2t":
            wavelength = 10000 ** (pair / (half - 1))
        else:
            wavelength = 10000 ** (2 * pair / width)
        where_sine, where_cosine = (2 * pair, 2 * pair + 1) if layout == "interleaved" else (pair, half + pair)
        row[where_sine] = math.sin(position / wavelength)
        row[where_cosine] = math.cos(position / wavelength)
    return row


def gelu(x: Array) -> Array:
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": lambda x: np.where(x > 0, x, 0.0),
    "gelu": gelu,
    "swish": lambda x: x / (1 + np.exp(-x)),
}


@dataclass
class NumpyTransformer:
    """The whole model on a dictionary of arrays; ``sites`` fills up during ``run``."""

    weights: Mapping[str, Array]
    shape: Shape
    edits: Edits = field(default_factory=dict)
    sites: dict[str, Array] = field(default_factory=dict)

    def run(self, source: Array, target: Array, source_mask: Array, target_mask: Array) -> dict[str, Array]:
        """Ids [batch, time] and boolean masks to every site."""
        memory = self.stack("encoder", self.shape.num_encoder_layers, self.embed("source", source), None, source_mask)
        time = target.shape[1]
        earlier = np.array([[key <= query for key in range(time)] for query in range(time)])
        hidden = self.embed("target", target)
        hidden = self.stack("decoder", self.shape.num_decoder_layers, hidden, memory, source_mask, earlier, target_mask)
        table = self.weights.get("projection.weight")
        logits = hidden @ (self.table("target") if table is None else table).T
        if "projection.bias" in self.weights:
            logits = logits + self.weights["projection.bias"]
        logits = self.keep("logits", logits)
        shifted = logits - logits.max(-1, keepdims=True)
        self.keep("log_probabilities", shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))
        return self.sites

    def keep(self, site: str, value: Array) -> Array:
        value = self.edits[site](value) if site in self.edits else value
        self.sites[site] = value
        return value

    def table(self, side: str) -> Array:
        own = self.weights.get(f"{side}_embedding.weight")
        return self.weights["source_embedding.weight"] if own is None else own

    def embed(self, side: str, ids: Array) -> Array:
        table = self.table(side)
        width = table.shape[1]
        rows = [[np.zeros(width) if i == -1 else table[i] for i in sentence] for sentence in ids]
        embedded = self.keep(f"{side}.embedding", np.array(rows))
        scale = math.sqrt(width) if self.shape.scale_embeddings else 1.0
        scaled = self.keep(f"{side}.scaled_embedding", embedded * scale)
        learned = self.weights.get(f"{'encoder' if side == 'source' else 'decoder'}.input.positions.table")
        steps = range(self.shape.offset, self.shape.offset + ids.shape[1])
        if learned is not None:
            rows_used = np.array([learned[t] for t in steps])
        else:
            rows_used = np.array([position_vector(t, width, self.shape.layout) for t in steps])
        position = self.keep(f"{side}.position", np.broadcast_to(rows_used, scaled.shape))
        return self.keep(f"{side}.input", scaled + position)

    def stack(
        self,
        name: str,
        depth: int,
        hidden: Array,
        memory: Array | None,
        source_mask: Array,
        earlier: Array | None = None,
        target_mask: Array | None = None,
    ) -> Array:
        for index in range(depth):
            at = f"{name}.{index}"
            layer = f"{name}.layers.{index}"
            hidden = self.keep(f"{at}.input", hidden)
            if memory is None:
                own = source_mask[:, None, None, :]
            else:
                assert target_mask is not None
                own = earlier & target_mask[:, None, None, :]
            hidden = self.sublayer(
                at,
                layer,
                "self_attention",
                hidden,
                lambda x, at=at, layer=layer, own=own: self.attend(
                    f"{at}.self_attention", f"{layer}.self_attention", x, x, own
                ),
            )
            if memory is not None:
                hidden = self.sublayer(
                    at,
                    layer,
                    "cross_attention",
                    hidden,
                    lambda x, at=at, layer=layer: self.attend(
                        f"{at}.cross_attention", f"{layer}.cross_attention", x, memory, source_mask[:, None, None, :]
                    ),
                )
            hidden = self.sublayer(
                at, layer, "feed_forward", hidden, lambda x, at=at, layer=layer: self.feed_forward(at, layer, x)
            )
        if self.shape.pre_norm:
            hidden = self.keep(f"{name}.final_norm", self.norm(f"{name}.final_norm", hidden))
        return self.keep(f"{name}.output", hidden)

    def sublayer(self, at: str, layer: str, name: str, x: Array, function: Callable[[Array], Array]) -> Array:
        if self.shape.pre_norm:
            normed = self.keep(f"{at}.{name}_norm", self.norm(f"{layer}.{name}_norm", x))
            return self.keep(f"{at}.{name}_residual", x + function(normed))
        added = self.keep(f"{at}.{name}_residual", x + function(x))
        return self.keep(f"{at}.{name}_norm", self.norm(f"{layer}.{name}_norm", added))

    def linear(self, name: str, x: Array) -> Array:
        return np.einsum("bti,oi->bto", x, self.weights[f"{name}.weight"]) + self.weights[f"{name}.bias"]

    def norm(self, name: str, x: Array) -> Array:
        mean = x.mean(-1, keepdims=True)
        variance = ((x - mean) ** 2).mean(-1, keepdims=True)
        normal = (x - mean) / np.sqrt(variance + self.shape.epsilon)
        return normal * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def feed_forward(self, at: str, layer: str, x: Array) -> Array:
        before = self.keep(f"{at}.feed_forward.pre_activation", self.linear(f"{layer}.feed_forward.inner", x))
        after = self.keep(f"{at}.feed_forward.hidden", ACTIVATIONS[self.shape.activation](before))
        return self.keep(f"{at}.feed_forward.output", self.linear(f"{layer}.feed_forward.outer", after))

    def attend(self, at: str, weights: str, x: Array, memory: Array, allowed: Array) -> Array:
        """One multi-head attention, head by head and sentence by sentence."""
        heads = self.shape.num_heads
        parts = {}
        for role, given in (("queries", x), ("keys", memory), ("values", memory)):
            full = self.linear(f"{weights}.{role}", given)
            width = full.shape[-1] // heads
            by_head = np.stack([full[:, :, h * width : (h + 1) * width] for h in range(heads)], axis=1)
            parts[role] = self.keep(f"{at}.{role}", by_head)
        scores = self.keep(f"{at}.scores", np.einsum("bhqd,bhkd->bhqk", parts["queries"], parts["keys"]))
        scaled = self.keep(f"{at}.scaled", scores / math.sqrt(width))
        allowed = self.keep(f"{at}.may_attend", np.broadcast_to(allowed, scaled.shape))
        share = np.zeros_like(scaled)
        for place in np.ndindex(scaled.shape[:-1]):
            row, may = scaled[place], allowed[place]
            if may.any():
                top = np.exp(row[may] - row[may].max())
                share[place][may] = top / top.sum()
        share = self.keep(f"{at}.weights", share)
        context = self.keep(f"{at}.context", np.einsum("bhqk,bhkd->bhqd", share, parts["values"]))
        joined = self.keep(f"{at}.concatenated", np.concatenate([context[:, h] for h in range(heads)], axis=-1))
        return self.keep(f"{at}.output", self.linear(f"{weights}.output", joined))
