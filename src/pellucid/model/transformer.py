"""Define the encoder, the decoder and the whole Transformer (Vaswani et al. 2017, section 3, figure 1).

    source ids ─ embedding + position ─ encoder layers ─ memory ──────┐
    target ids ─ embedding + position ─ decoder layers (attend to memory) ─ projection ─ logits

All tensors are batch first; masks are boolean, and True means "may attend". ``__init__.py`` defines the names of
the shapes; the parts are in ``layers.py`` and ``attention.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn

from pellucid.config import DecoderStart, ModelConfig, NormOrder
from pellucid.errors import ConfigError
from pellucid.model.attention import MultiHeadAttention, causal_may_attend, padding_may_attend
from pellucid.model.cache import DecoderCache
from pellucid.model.embedding import ZERO_VECTOR_ID, InputSum, OutputProjection, TokenEmbedding
from pellucid.model.layers import DecoderLayer, EncoderLayer, FeedForward
from pellucid.model.positions import Positions
from pellucid.model.recorder import Recorder, Scope, below, scope_of, visit

__all__ = ["ZERO_VECTOR_ID", "Decoder", "Encoder", "Transformer"]


class _Stack(nn.Module):
    """A stack of layers after an input sum; with pre-norm, a norm follows the last layer."""

    def __init__(self, config: ModelConfig, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.input = InputSum(config)
        self.layers = nn.ModuleList(layers)
        self.final_norm = _final_norm(config)

    def _finish(self, hidden: Tensor, *, scope: Scope | None) -> Tensor:
        if self.final_norm is not None:
            hidden = visit(scope, "final_norm", self.final_norm(hidden))
        return visit(scope, "output", hidden)


class Encoder(_Stack):
    """The layers over the source (section 3.1)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config, (EncoderLayer(config) for _ in range(config.num_encoder_layers)))

    def forward(self, hidden: Tensor, *, may_attend: Tensor | None = None, scope: Scope | None = None) -> Tensor:
        """Map ``hidden`` [batch, source, d_model], the input sum, to the memory of the same shape."""
        for index, layer in enumerate(self.layers):
            hidden = layer(hidden, may_attend=may_attend, scope=below(scope, index))
        return self._finish(hidden, scope=scope)


class Decoder(_Stack):
    """The layers over the target (section 3.1)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config, (DecoderLayer(config) for _ in range(config.num_decoder_layers)))

    def forward(
        self,
        hidden: Tensor,
        memory: Tensor,
        *,
        target_mask: Tensor | None = None,
        memory_may_attend: Tensor | None = None,
        scope: Scope | None = None,
    ) -> Tensor:
        """Map the input sum ``hidden`` [batch, target, d_model] to the same shape, under the causal mask."""
        may_attend = causal_may_attend(hidden.shape[1], device=hidden.device)
        real = padding_may_attend(target_mask, like=hidden)
        if real is not None:
            may_attend = may_attend & real
        for index, layer in enumerate(self.layers):
            hidden = layer(
                hidden,
                memory,
                may_attend=may_attend,
                is_causal=real is None,
                memory_may_attend=memory_may_attend,
                scope=below(scope, index),
            )
        return self._finish(hidden, scope=scope)

    def step(self, hidden: Tensor, cache: DecoderCache) -> Tensor:
        """Map the input sum of one new position, [rows, 1, d_model], to the same shape."""
        cache.past.make_room()
        for layer, layer_cache in zip(self.decoder_layers(), cache.layers, strict=True):
            hidden = layer.step(hidden, layer_cache)
        cache.past.length += 1
        return self._finish(hidden, scope=None)

    def attentions(self) -> list[tuple[MultiHeadAttention, MultiHeadAttention]]:
        """Return each layer's self-attention and cross-attention, for a cache."""
        return [(layer.self_attention, layer.cross_attention) for layer in self.decoder_layers()]

    def decoder_layers(self) -> list[DecoderLayer]:
        """Return the layers, the first one first."""
        return cast(list[DecoderLayer], list(self.layers))


class Transformer(nn.Module):
    """The encoder-decoder model of "Attention Is All You Need", and the variants of ``ModelConfig``.

    A mask of None allows attention to every position; padding is never inferred from ids.
    Weights are drawn from torch's default generator: Xavier uniform for linear maps, the last of each
    sub-layer divided by the root of the number of sub-layers in its stack; normal with standard
    deviation d_model^-0.5 for tables; zero for biases.

    Raises:
        ConfigError: the configuration has no vocabulary sizes.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        if not (config.source_vocab_size and config.target_vocab_size):
            raise ConfigError(
                f"model.source_vocab_size = {config.source_vocab_size} and model.target_vocab_size = "
                f"{config.target_vocab_size}: a model requires both; set them from the tokenizer with "
                "ModelConfig.with_vocabulary"
            )
        self.config = config
        self.start_id = {
            DecoderStart.BOS: config.specials.bos,
            DecoderStart.PAD: config.specials.pad,
            DecoderStart.ZERO_VECTOR: ZERO_VECTOR_ID,
        }[config.decoder_start]
        self.source_embedding = TokenEmbedding(config.source_vocab_size, config)
        # A shared table is registered, and therefore stored, once.
        self.target_embedding = None if config.share_embeddings else TokenEmbedding(config.target_vocab_size, config)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.projection = OutputProjection(config)
        self._initialise()

    @property
    def decoder_embedding(self) -> TokenEmbedding:
        """The embedding of the decoder's input and, if tied, of the projection; it can be the source embedding."""
        return self.source_embedding if self.target_embedding is None else self.target_embedding

    def encode(
        self, source_ids: Tensor, *, source_mask: Tensor | None = None, recorder: Recorder | None = None
    ) -> Tensor:
        """Encode the source: ids [batch, source] to the memory, [batch, source, d_model].

        Raises:
            RequestError: the source is longer than ``max_positions``.
        """
        embedded = self.source_embedding(source_ids)
        hidden = self.encoder.input(embedded, scope=scope_of(recorder, "source"))
        may_attend = padding_may_attend(source_mask, like=source_ids)
        memory: Tensor = self.encoder(hidden, may_attend=may_attend, scope=scope_of(recorder, "encoder"))
        return memory

    def decode(
        self,
        target_ids: Tensor,
        memory: Tensor,
        *,
        source_mask: Tensor | None = None,
        target_mask: Tensor | None = None,
        recorder: Recorder | None = None,
    ) -> Tensor:
        """Decode the target: ids [batch, target] to hidden states, [batch, target, d_model].

        The state at position t depends only on ids 0 to t. So padding at the end of a row cannot
        affect its tokens, and ``target_mask`` is needed only for padding elsewhere.

        Raises:
            RequestError: the target is longer than ``max_positions``.
        """
        embedded = self.decoder_embedding(target_ids)
        hidden = self.decoder.input(embedded, scope=scope_of(recorder, "target"))
        result: Tensor = self.decoder(
            hidden,
            memory,
            target_mask=target_mask,
            memory_may_attend=padding_may_attend(source_mask, like=memory),
            scope=scope_of(recorder, "decoder"),
        )
        return result

    def project(self, hidden: Tensor, *, recorder: Recorder | None = None) -> Tensor:
        """Return logits [..., target_vocab_size] for ``hidden`` [..., d_model].

        It is the most expensive product of a small model; ``project(hidden[target_mask])`` skips padding.
        A recorder also visits the log-softmax of the logits. If it edits that, the edit is returned: it is
        a valid set of logits for the edited distribution.
        """
        scope = scope_of(recorder)
        logits = visit(scope, "logits", self.projection(hidden, self.decoder_embedding))
        if scope is None:
            return logits
        log_probabilities = logits.log_softmax(-1, dtype=torch.promote_types(logits.dtype, torch.float32))
        edited = visit(scope, "log_probabilities", log_probabilities)
        return logits if edited is log_probabilities else edited

    def output_map(self) -> tuple[Tensor, Tensor | None]:
        """Return weight and bias of the projection, for a loss that computes the product itself."""
        return self.projection.weight_with(self.decoder_embedding), self.projection.bias

    def forward(
        self,
        source_ids: Tensor,
        target_ids: Tensor,
        *,
        source_mask: Tensor | None = None,
        target_mask: Tensor | None = None,
        recorder: Recorder | None = None,
    ) -> Tensor:
        """Map ids [batch, source] and [batch, target] to logits [batch, target, target_vocab_size].

        ``target_ids`` start with ``start_id``; the logits at position t score the piece after id t.
        """
        memory = self.encode(source_ids, source_mask=source_mask, recorder=recorder)
        hidden = self.decode(target_ids, memory, source_mask=source_mask, target_mask=target_mask, recorder=recorder)
        return self.project(hidden, recorder=recorder)

    @torch.no_grad()
    def start_cache(self, memory: Tensor, *, source_mask: Tensor | None = None) -> DecoderCache:
        """Start step-by-step decoding of ``memory`` [rows, source, d_model], one row per sentence."""
        may_attend = padding_may_attend(source_mask, like=memory)
        return DecoderCache(memory, self.decoder.attentions(), may_attend=may_attend)

    @torch.no_grad()
    def decode_step(self, last_ids: Tensor, cache: DecoderCache) -> Tensor:
        """Append one id to each row, [rows], and return the next logits, [rows, target_vocab_size].

        The first ids are ``start_id``. Recorders are supported only by ``forward`` and its parts.

        Raises:
            RequestError: the target is longer than ``max_positions``.
        """
        embedded = self.decoder_embedding(last_ids[:, None])
        hidden = self.decoder.step(self.decoder.input(embedded, start=cache.length), cache)
        return self.project(hidden[:, 0])

    def num_parameters(self) -> int:
        """Return the number of trained weights; a shared table counts once."""
        return sum(parameter.numel() for parameter in self.parameters())

    @torch.no_grad()
    def _initialise(self) -> None:
        if self.source_embedding.weight.is_meta:
            return  # shapes only; random numbers on "meta" import all of torch's compiler, 90 MB (torch 2.13.0)
        deviation = self.config.d_model**-0.5
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
            elif isinstance(module, TokenEmbedding):
                nn.init.normal_(module.weight, std=deviation)
                if module.pad is not None:
                    module.weight[module.pad] = 0
            elif isinstance(module, OutputProjection) and module.weight is not None:
                nn.init.xavier_uniform_(module.weight)
            elif isinstance(module, Positions) and isinstance(module.table, nn.Parameter):
                nn.init.normal_(module.table, std=deviation)
        # The residual sums start near their input for any number of layers (Radford et al. 2019, section 2.3).
        # Without this, six post-norm layers on each side memorise the target before they use the source:
        # docs/log.md, 2026-11-22, "the first weights".
        for stack in (self.encoder, self.decoder):
            last_maps = _last_maps(stack)
            for linear in last_maps:
                linear.weight.mul_(len(last_maps) ** -0.5)


def _last_maps(stack: nn.Module) -> list[nn.Linear]:
    """Return the last linear map of each sub-layer, whose output is added to the residual sum."""
    attentions = [module.output for module in stack.modules() if isinstance(module, MultiHeadAttention)]
    return attentions + [module.outer for module in stack.modules() if isinstance(module, FeedForward)]


def _final_norm(config: ModelConfig) -> nn.LayerNorm | None:
    """Return the norm after a pre-norm stack, whose last residual sum has none yet; None for post-norm."""
    if config.norm_order is not NormOrder.PRE:
        return None
    return nn.LayerNorm(config.d_model, eps=config.layer_norm_epsilon)
