"""Compute the training loss with the regularisers that are switched on: word dropout, R-Drop, SimCut.

    word dropout   random tokens become the unknown piece or the zero vector (Gal and Ghahramani 2016, section 4.2;
                   Sennrich et al. 2016, "Edinburgh Neural Machine Translation Systems for WMT 16")
    R-Drop         two passes with different dropout shall agree (Liang et al. 2021, section 2, equation 4)
    SimCut         a pass with tokens cut out shall agree with the whole one (Gao et al. 2022)

All are off by default, and then this is ``loss.batch_loss``. Random numbers come from torch's default generator, whose
state is in a checkpoint. Both kinds of agreement are a divergence between two distributions p and q of each target
token, and both passes run as one batch. Batches of every kind, padded, static and packed, go through ``regularised``;
the loss of two static or packed passes is in ``gpu/vocabulary_loss.py``. Read ``update.py`` next.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

import torch
from torch import Tensor

from pellucid.config import ModelConfig, TrainingConfig, WordDropout
from pellucid.errors import ConfigError
from pellucid.runtime import Runtime
from pellucid.training.batches import PairWeights, TensorBatch
from pellucid.training.loss import GradientInForward, batch_logits, batch_loss, precision_context

if TYPE_CHECKING:
    from pellucid.model.transformer import Transformer

__all__ = ["pair_loss", "pair_weights", "regularised", "training_loss", "without_words"]

# The numbers in a block of rows: with its four tables it fits into the second-level cache.
_BLOCK_NUMBERS = 1 << 17


class Passable(Protocol):
    """A batch that can be computed with other pieces, and twice: padded, static or packed."""

    def ids(self) -> tuple[Tensor, Tensor]:
        """Return what encoder and decoder read."""
        ...

    def with_ids(self, source: Tensor, target: Tensor) -> Self:
        """Return the batch with other pieces to read."""
        ...

    def joined(self, other: Self, pair: PairWeights) -> Self:
        """Return this batch and one with rows of the same lengths as two passes."""
        ...


Batch = TypeVar("Batch", bound=Passable)


def training_loss(
    model: Transformer, batch: TensorBatch, *, config: TrainingConfig, runtime: Runtime
) -> tuple[Tensor, Tensor]:
    """Run the model on a batch and return the summed loss and the summed negative log-likelihood.

    Both are scalars, summed over ``batch.num_target_tokens`` tokens; the second has no gradient. Where two passes count
    alike, the loss is the mean of both, half of the sum in the paper of R-Drop.

    Raises:
        ConfigError: tokens shall become the zero vector, and the model has none.
    """
    shown = regularised(batch, config=config, model=model.config, start_id=model.start_id)
    if shown.pair is None:
        return batch_loss(model, shown, label_smoothing=config.label_smoothing, runtime=runtime)
    with precision_context(runtime):
        logits = batch_logits(model, shown)
    return pair_loss(logits, batch.target_ids, weights=shown.pair, label_smoothing=config.label_smoothing)


def regularised(batch: Batch, *, config: TrainingConfig, model: ModelConfig, start_id: int) -> Batch:
    """Return the batch that is computed: without random words, and twice where two passes shall agree.

    Raises:
        ConfigError: tokens shall become the zero vector, and the model has none.
    """
    drop = partial(without_words, config=model, start_id=start_id)
    source, target = batch.ids()
    first = batch.with_ids(
        drop(source, config.source_word_dropout, form=config.word_dropout),
        drop(target, config.target_word_dropout, form=config.word_dropout),
    )
    if (weights := pair_weights(config)) is None:
        return first
    cut = config.simcut_cutoff if config.simcut else 0.0
    second = first.with_ids(*(drop(ids, cut, form=WordDropout.ZERO) for ids in first.ids()))
    return first.joined(second, weights)


def pair_weights(config: TrainingConfig) -> PairWeights | None:
    """Return the weights of the loss of a run whose batches are computed twice, or None where one pass is enough."""
    if config.r_drop:
        return PairWeights(0.5, 0.5, config.r_drop / 4, config.r_drop / 4)
    return PairWeights(1.0, 0.0, config.simcut, 0.0) if config.simcut else None


def without_words(ids: Tensor, rate: float, *, form: WordDropout, config: ModelConfig, start_id: int) -> Tensor:
    """Replace random tokens, integers of any shape; special pieces stay.

    Raises:
        ConfigError: tokens shall become the zero vector, and the model has none.
    """
    if not rate:
        return ids
    specials = config.specials
    if form is WordDropout.ZERO and not config.zero_padding_row:
        raise ConfigError(
            "the tokens that training.word_dropout = 'zero' or training.simcut drop become the embedding of padding, "
            "but model.zero_padding_row = false trains that embedding; use training.word_dropout = 'unk' and "
            "training.simcut = 0, or a model with model.zero_padding_row = true"
        )
    is_dropped = torch.rand(ids.shape, device=ids.device) < rate
    for special in {specials.pad, specials.bos, specials.eos, start_id}:
        is_dropped &= ids != special
    return ids.masked_fill(is_dropped, specials.pad if form is WordDropout.ZERO else specials.unk)


def pair_loss(
    logits: Tensor, target_ids: Tensor, *, weights: PairWeights, label_smoothing: float
) -> tuple[Tensor, Tensor]:
    """Return the summed loss of two passes over the same targets, and their summed negative log-likelihood.

    ``logits`` is ``[2 * tokens, vocabulary]``, all rows of the first pass before those of the second, and
    ``target_ids`` is ``[tokens]``. Labels are smoothed in the cross-entropies, not in the divergences. The computation
    is in float32 or wider. The forward pass also computes the gradient, which overwrites the logits.
    """
    loss, negative_log_likelihood = _PairLoss.apply(  # type: ignore[no-untyped-call]
        logits, target_ids, weights, label_smoothing
    )
    return loss, negative_log_likelihood


class _PairLoss(GradientInForward):
    """The gradients for every row, with t the smoothed target distribution and the weights c1, c2, f and r.

    d loss / d first  = c1 (p - t) + f p (log p - log q - KL(p || q)) + r (p - q)
    d loss / d second = c2 (q - t) + r q (log q - log p - KL(q || p)) + f (q - p)
    """

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        logits: Tensor,
        target_ids: Tensor,
        weights: PairWeights,
        label_smoothing: float,
    ) -> tuple[Tensor, Tensor]:
        tokens, vocab_size = len(target_ids), logits.shape[1]
        wide = torch.promote_types(logits.dtype, torch.float32)
        gradient = logits.detach()
        passes = (gradient[:tokens], gradient[tokens:])
        shares = (weights.first, weights.second)
        divergences = ((weights.forward, weights.reverse), (weights.reverse, weights.forward))
        block_rows = max(1, tokens if logits.is_cuda else _BLOCK_NUMBERS // vocab_size)
        loss = logits.new_zeros((), dtype=wide)
        likelihood = logits.new_zeros((), dtype=wide)
        for start in range(0, tokens, block_rows):
            block = slice(start, start + block_rows)
            targets = target_ids[block, None]
            logs = [one[block].log_softmax(-1, dtype=wide) for one in passes]
            probabilities = [log.exp() for log in logs]
            for index, (own, other) in enumerate(((0, 1), (1, 0))):
                p, q, share = probabilities[own], probabilities[other], shares[own]
                towards, backwards = divergences[index]
                difference = logs[own] - logs[other]
                divergence = (p * difference).sum(1, keepdim=True)
                nll = -logs[own].gather(1, targets).sum()
                uniform = -logs[own].sum() / vocab_size
                loss += share * ((1.0 - label_smoothing) * nll + label_smoothing * uniform) + towards * divergence.sum()
                likelihood += share * nll
                slope = share * (p - label_smoothing / vocab_size) + towards * p * (difference - divergence)
                slope += backwards * (p - q)
                slope.scatter_add_(1, targets, slope.new_full((len(p), 1), share * (label_smoothing - 1.0)))
                passes[own][block] = slope
        ctx.save_for_backward(gradient)
        ctx.mark_non_differentiable(likelihood)
        return loss, likelihood
