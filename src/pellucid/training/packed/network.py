"""The Transformer on packed tokens: forward and backward, written out.

The tokens of all sentences of a batch follow each other without padding, so every product and every norm computes
tokens only; attention knows where each sentence begins. The backward pass is written by hand, because it can then add
a residual gradient inside a product, sum gradients over the tokens where they are made, and compute the keys and values
of all decoder layers in one product. The arithmetic is that of ``model/``, which tests compare. Read ``batch.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from pellucid.config import DecoderStart
from pellucid.training.gpu.vocabulary_loss import vocabulary_gradients
from pellucid.training.packed import products, reference
from pellucid.training.packed.batch import PackedBatch, Side
from pellucid.training.packed.reference import Dropping
from pellucid.training.packed.weights import PackedTensors, Sites, parts_of

if TYPE_CHECKING:
    from pellucid.model.transformer import Transformer

__all__ = ["PackedNetwork"]


class _Norm(NamedTuple):
    """What the backward pass needs of a residual sum and its norm."""

    residual: Tensor
    mean: Tensor
    scale: Tensor


class _Attended(NamedTuple):
    """What the backward pass needs of an attention sub-layer."""

    hidden: Tensor
    projected: Tensor
    contexts: Tensor
    kept: Tensor | None
    norm: _Norm


class _Fed(NamedTuple):
    """What the backward pass needs of a feed-forward sub-layer."""

    hidden: Tensor
    activated: Tensor
    norm: _Norm


class PackedNetwork:
    """The computing twin of a model, and the gradients of its parameters in the type of the parameters.

    ``operations`` is a module with the functions of ``reference.py``; without it, the kernels on a GPU.
    """

    def __init__(self, model: Transformer, *, dtype: torch.dtype, operations: ModuleType | None = None) -> None:
        config = model.config
        table = model.source_embedding.weight
        self._config = config
        self._sites = Sites(config.num_encoder_layers, config.num_decoder_layers)
        self._operations: Any = operations or (_kernels() if table.is_cuda else reference)
        self._weights = PackedTensors.like(model, dtype=dtype)
        self._gradients = PackedTensors.like(model, dtype=table.dtype)
        self._masters: list[Tensor] = list(model.parameters())
        own, to_own = parts_of(model, self._weights), parts_of(model, self._gradients)
        self._copies = [own[master] for master in self._masters]
        self.gradients: list[Tensor] = [to_own[master] for master in self._masters]
        """The gradients of the last batch, in the order of the model's parameters."""
        # Sums over tokens are added up in the type of the gradients.
        self._wide = torch.promote_types(torch.float32, table.dtype)
        self._angles = [
            stack.input.positions.table[config.position_offset :] for stack in (model.encoder, model.decoder)
        ]
        self._factors = [stack.input.scale for stack in (model.encoder, model.decoder)]
        self._pad = model.source_embedding.pad
        self._seeds = torch.zeros(1, dtype=torch.int64, device=table.device)
        self._output_sum = torch.zeros(config.d_model, dtype=self._wide, device=table.device)
        self._adds = False

    @torch.no_grad()
    def compute(
        self,
        batch: PackedBatch,
        *,
        label_smoothing: float,
        target_tokens: float | None = None,
        adds: bool = False,
        half_way: Callable[[], None] = lambda: None,
    ) -> tuple[Tensor, Tensor]:
        """Return the summed loss and the summed negative log-likelihood.

        The gradients are those of the loss divided by ``target_tokens``, or by the number of its own target tokens.
        With ``adds``, they are added to those of the last batch, and the weights are taken to be the same as then.
        ``half_way`` is called when those of the decoder are complete.
        """
        self._adds = adds
        if not adds:
            torch._foreach_copy_(self._copies, self._masters)
            torch.sum(self._output(self._weights), 0, dtype=self._wide, out=self._output_sum)
        self._seeds = torch.randint(0, 1 << 62, (self._sites.dropouts,), device=self._seeds.device)
        source, target = batch.source, batch.target
        memory, encoder = self._encode(source)
        hidden, kv, decoder = self._decode(target, source, memory)
        to_weight = self._output(self._gradients)
        found = vocabulary_gradients(
            hidden,
            self._output(self._weights),
            self._weights.output_bias if self._config.output_bias else None,
            batch.target_ids,
            batch.target_weights,
            label_smoothing=label_smoothing,
            operations=self._operations,
            pair=batch.pair,
            weight_sum=self._output_sum,
        )
        scale = batch.num_target_tokens().clamp(min=1.0).reciprocal()
        if target_tokens is not None:
            scale.fill_(1.0 / target_tokens)
        products.scaled_gradient(to_weight, found.to_weight, scale, adds=adds)
        if found.to_bias is not None:
            products.scaled_gradient(self._gradients.output_bias, found.to_bias, scale, adds=adds)
        to_target, to_kv = self._decode_backward(found.to_hidden.mul_(scale), target, source, kv, decoder)
        to_memory = self._memory_gradient(to_kv, memory)
        half_way()
        to_source = self._encode_backward(to_memory, source, encoder)
        self._embed_backward(to_source, to_target, source, target)
        return found.loss, found.likelihood

    # Forward

    def _encode(self, source: Side) -> tuple[Tensor, list[tuple[_Attended, _Fed]]]:
        hidden = self._embed(0, source, self._weights.source_table)
        tape: list[tuple[_Attended, _Fed]] = []
        for layer in range(self._sites.encoder):
            hidden, attended = self._self_attention(layer, hidden, source, is_causal=False)
            hidden, fed = self._feed_forward(layer, 1, hidden)
            tape.append((attended, fed))
        return hidden, tape

    def _decode(
        self, target: Side, source: Side, memory: Tensor
    ) -> tuple[Tensor, Tensor, list[tuple[_Attended, _Attended, _Fed]]]:
        kv = products.linear(memory, self._weights.kv, self._weights.kv_bias[0])
        hidden = self._embed(1, target, self._target_table(self._weights))
        tape: list[tuple[_Attended, _Attended, _Fed]] = []
        for number in range(self._sites.decoder):
            layer = self._sites.encoder + number
            hidden, attended = self._self_attention(layer, hidden, target, is_causal=True)
            hidden, crossed = self._cross_attention(number, hidden, target, source, kv)
            hidden, fed = self._feed_forward(layer, 2, hidden)
            tape.append((attended, crossed, fed))
        return hidden, kv, tape

    def _embed(self, stack: int, side: Side, table: Tensor) -> Tensor:
        embedded: Tensor = self._operations.embed(
            side.ids,
            side.positions,
            table,
            self._angles[stack],
            factor=self._factors[stack],
            dropping=self._residual_dropping(self._sites.norms + stack),
        )
        return embedded

    def _self_attention(self, layer: int, hidden: Tensor, side: Side, *, is_causal: bool) -> tuple[Tensor, _Attended]:
        qkv = products.linear(hidden, self._weights.qkv[layer], self._weights.qkv_bias[layer])
        contexts, kept = self._operations.attention(
            *qkv.chunk(3, 1), **self._attention_options(layer, side, side, is_causal=is_causal)
        )
        normed, norm = self._add_norm(layer, 0, hidden, contexts, self._weights.out[layer])
        return normed, _Attended(hidden, qkv, contexts, kept, norm)

    def _cross_attention(
        self, number: int, hidden: Tensor, target: Side, source: Side, kv: Tensor
    ) -> tuple[Tensor, _Attended]:
        site = self._sites.cross(number)
        queries = products.linear(hidden, self._weights.query[number], self._weights.query_bias[number])
        contexts, kept = self._operations.attention(
            queries, *self._keys_and_values(kv, number), **self._attention_options(site, target, source)
        )
        layer = self._sites.encoder + number
        normed, norm = self._add_norm(layer, 1, hidden, contexts, self._weights.out[site])
        return normed, _Attended(hidden, queries, contexts, kept, norm)

    def _feed_forward(self, layer: int, index: int, hidden: Tensor) -> tuple[Tensor, _Fed]:
        activated = products.linear_relu(hidden, self._weights.inner[layer], self._weights.inner_bias[layer])
        normed, norm = self._add_norm(layer, index, hidden, activated, self._weights.outer[layer])
        return normed, _Fed(hidden, activated, norm)

    def _add_norm(self, layer: int, index: int, hidden: Tensor, inputs: Tensor, weight: Tensor) -> tuple[Tensor, _Norm]:
        """Apply the last map of a sub-layer, then dropout, residual sum and norm."""
        site = self._sites.norm(layer, index)
        gamma, beta, bias = self._weights.norms[site]
        normed, *kept = self._operations.add_norm(
            hidden,
            products.linear(inputs, weight, bias),
            gamma,
            beta,
            epsilon=self._config.layer_norm_epsilon,
            dropping=self._residual_dropping(site),
        )
        return normed, _Norm(*kept)

    # Backward

    def _decode_backward(
        self,
        gradient: Tensor,
        target: Side,
        source: Side,
        kv: Tensor,
        tape: list[tuple[_Attended, _Attended, _Fed]],
    ) -> tuple[Tensor, Tensor]:
        """Return the gradients of the input sum, and of the keys and values of all layers."""
        to_kv = torch.empty_like(kv)
        sums = self._sums()
        for number in reversed(range(self._sites.decoder)):
            layer = self._sites.encoder + number
            attended, crossed, fed = tape.pop()
            gradient = self._feed_forward_backward(layer, 2, gradient, fed, sums)
            gradient = self._cross_backward(number, gradient, crossed, target, source, kv, to_kv, sums)
            gradient = self._self_backward(layer, gradient, attended, target, sums, is_causal=True)
        self._add_up(sums, is_decoder=True)
        return gradient, to_kv

    def _encode_backward(self, gradient: Tensor, source: Side, tape: list[tuple[_Attended, _Fed]]) -> Tensor:
        sums = self._sums()
        for layer in reversed(range(self._sites.encoder)):
            attended, fed = tape.pop()
            gradient = self._feed_forward_backward(layer, 1, gradient, fed, sums)
            gradient = self._self_backward(layer, gradient, attended, source, sums, is_causal=False)
        self._add_up(sums, is_decoder=False)
        return gradient

    def _memory_gradient(self, to_kv: Tensor, memory: Tensor) -> Tensor:
        parts = self._parts(self._gradients.kv_bias, self._operations.column_parts())[0]
        self._operations.column_sums(to_kv, parts)
        products.summed_gradient(self._gradients.kv_bias[0], parts, 0, adds=self._adds)
        products.weight_gradient(self._gradients.kv, to_kv, memory, adds=self._adds)
        return to_kv @ self._weights.kv

    def _feed_forward_backward(
        self, layer: int, index: int, gradient: Tensor, fed: _Fed, sums: dict[str, Tensor]
    ) -> Tensor:
        total, to_outer = self._add_norm_backward(layer, index, gradient, fed.norm, sums)
        products.weight_gradient(self._gradients.outer[layer], to_outer, fed.activated, adds=self._adds)
        to_inner = to_outer @ self._weights.outer[layer]
        self._operations.column_sums(to_inner, sums["inner_bias"][layer], activated=fed.activated)
        products.weight_gradient(self._gradients.inner[layer], to_inner, fed.hidden, adds=self._adds)
        return total.addmm_(to_inner, self._weights.inner[layer])

    def _self_backward(
        self, layer: int, gradient: Tensor, kept: _Attended, side: Side, sums: dict[str, Tensor], *, is_causal: bool
    ) -> Tensor:
        total, to_output = self._add_norm_backward(layer, 0, gradient, kept.norm, sums)
        products.weight_gradient(self._gradients.out[layer], to_output, kept.contexts, adds=self._adds)
        to_qkv = torch.empty_like(kept.projected)
        self._operations.attention_backward(
            to_output @ self._weights.out[layer],
            *kept.projected.chunk(3, 1),
            **self._attention_options(layer, side, side, is_causal=is_causal),
            kept=kept.kept,
            out=to_qkv.chunk(3, 1),
        )
        self._operations.column_sums(to_qkv, sums["qkv_bias"][layer])
        products.weight_gradient(self._gradients.qkv[layer], to_qkv, kept.hidden, adds=self._adds)
        return total.addmm_(to_qkv, self._weights.qkv[layer])

    def _cross_backward(
        self,
        number: int,
        gradient: Tensor,
        kept: _Attended,
        target: Side,
        source: Side,
        kv: Tensor,
        to_kv: Tensor,
        sums: dict[str, Tensor],
    ) -> Tensor:
        site = self._sites.cross(number)
        total, to_output = self._add_norm_backward(self._sites.encoder + number, 1, gradient, kept.norm, sums)
        products.weight_gradient(self._gradients.out[site], to_output, kept.contexts, adds=self._adds)
        to_queries = torch.empty_like(kept.projected)
        self._operations.attention_backward(
            to_output @ self._weights.out[site],
            kept.projected,
            *self._keys_and_values(kv, number),
            **self._attention_options(site, target, source),
            kept=kept.kept,
            out=(to_queries, *self._keys_and_values(to_kv, number)),
        )
        self._operations.column_sums(to_queries, sums["query_bias"][number])
        products.weight_gradient(self._gradients.query[number], to_queries, kept.hidden, adds=self._adds)
        return total.addmm_(to_queries, self._weights.query[number])

    def _add_norm_backward(
        self, layer: int, index: int, gradient: Tensor, norm: _Norm, sums: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return the gradients of the residual sum, which the caller may change, and of the sub-layer."""
        site = self._sites.norm(layer, index)
        total, to_sublayer = self._operations.add_norm_backward(
            gradient,
            *norm,
            self._weights.norms[site, 0],
            dropping=self._residual_dropping(site),
            sums=sums["norms"][site],
        )
        # Without dropout both are the same tensor, and the first will be added to while the second is still read.
        return (total.clone() if total is to_sublayer else total), to_sublayer

    def _embed_backward(self, to_source: Tensor, to_target: Tensor, source: Side, target: Side) -> None:
        """Add the gradients of the rows of the tables that were read to those of the output map."""
        sides = ((0, to_source, source), (1, to_target, target))
        count = len(to_source)
        rows = to_source.new_empty(count + len(to_target), to_source.shape[1])
        parts = (rows[:count], rows[count:])
        for (stack, gradient, side), part in zip(sides, parts, strict=True):
            self._operations.embed_backward(
                gradient,
                factor=self._factors[stack],
                dropping=self._residual_dropping(self._sites.norms + stack),
                out=part,
            )
            if self._config.decoder_start is DecoderStart.ZERO_VECTOR:
                part.masked_fill_((side.ids < 0)[:, None], 0)
        ids = torch.cat([source.ids, target.ids]).clamp(min=0)
        if self._config.share_embeddings:
            self._operations.add_rows(self._gradients.source_table, rows, ids)
        else:
            if not self._adds:
                self._gradients.source_table.zero_()
                if not self._config.share_decoder_embeddings:
                    self._gradients.target_table.zero_()
            tables = (self._gradients.source_table, self._gradients.target_table)
            for table, part, own in zip(tables, parts, (ids[:count], ids[count:]), strict=True):
                self._operations.add_rows(table, part, own)
        if self._pad is not None:
            for table in (self._gradients.source_table, self._target_table(self._gradients)):
                table[self._pad].zero_()

    # Parts

    def _sums(self) -> dict[str, Tensor]:
        """Return room for the parts of the sums over tokens."""
        columns = {
            kind: self._parts(getattr(self._gradients, kind), self._operations.column_parts())
            for kind in ("qkv_bias", "query_bias", "inner_bias")
        }
        return columns | {"norms": self._parts(self._gradients.norms, self._operations.norm_parts())}

    def _parts(self, like: Tensor, count: int) -> Tensor:
        return torch.empty((like.shape[0], count, *like.shape[1:]), dtype=self._wide, device=like.device)

    def _add_up(self, sums: dict[str, Tensor], *, is_decoder: bool) -> None:
        """Add up the parts of the sums of one stack."""
        first = self._sites.encoder
        for kind, parts in sums.items():
            split = {"norms": 2 * first, "query_bias": 0}.get(kind, first)
            span = slice(split, None) if is_decoder else slice(0, split)
            if len(parts[span]):
                products.summed_gradient(getattr(self._gradients, kind)[span], parts[span], 1, adds=self._adds)

    def _attention_options(self, site: int, queries: Side, keys: Side, *, is_causal: bool = False) -> dict[str, object]:
        rate = self._config.attention_dropout
        return {
            "query_bounds": queries.bounds,
            "key_bounds": keys.bounds,
            "block": queries.block,
            "num_heads": self._config.num_heads,
            "is_causal": is_causal,
            "dropping": Dropping(rate, self._seeds, self._sites.norms + 2 + site),
        }

    def _residual_dropping(self, site: int) -> Dropping:
        return Dropping(self._config.dropout, self._seeds, site)

    def _keys_and_values(self, kv: Tensor, number: int) -> Sequence[Tensor]:
        width = self._config.d_model
        return kv[:, 2 * width * number : 2 * width * (number + 1)].chunk(2, 1)

    def _target_table(self, tensors: PackedTensors) -> Tensor:
        return tensors.source_table if self._config.share_embeddings else tensors.target_table

    def _output(self, tensors: PackedTensors) -> Tensor:
        return self._target_table(tensors) if self._config.share_decoder_embeddings else tensors.output


def _kernels() -> Any:
    """Return the operations by kernels of Triton, which only exist where torch has a GPU."""
    from pellucid.training.packed import operations

    return operations
