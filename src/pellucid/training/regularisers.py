"""Compute the training loss with the regularisers that are switched on: word dropout, R-Drop, SimCut.

    word dropout   random tokens become the unknown piece or the zero vector (Gal and Ghahramani 2016, section 4.2;
                   Sennrich et al. 2016, "Edinburgh Neural Machine Translation Systems for WMT 16")
    R-Drop         two passes with different dropout shall agree (Liang et al. 2021, section 2, equation 4)
    SimCut         a pass with tokens cut out shall agree with the whole one (Gao et al. 2022)

All are off by default, and then this is ``loss.batch_loss``. Random numbers come from torch's default generator, whose
state is in a checkpoint. Both kinds of agreement are a divergence between two distributions p and q of each target
token, and both passes run as one batch. ``packed/regularised.py`` does the same for packed and static steps. Read
``update.py`` next.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from pellucid.config import ModelConfig, TrainingConfig, WordDropout
from pellucid.errors import ConfigError
from pellucid.runtime import Runtime
from pellucid.training.batches import TensorBatch
from pellucid.training.loss import GradientInForward, batch_logits, batch_loss, precision_context

if TYPE_CHECKING:
    from pellucid.model.transformer import Transformer

__all__ = ["PairWeights", "pair_loss", "pair_weights", "training_loss", "without_words"]

# The numbers in a block of rows: with its four tables it fits into the second-level cache.
_BLOCK_NUMBERS = 1 << 17


class PairWeights(NamedTuple):
    """The weights of the parts of a loss over two passes, whose distributions are p and q."""

    first: float
    """Of the cross-entropy of p."""
    second: float
    """Of the cross-entropy of q."""
    forward: float
    """Of the divergence KL(p || q)."""
    reverse: float
    """Of the divergence KL(q || p)."""


def training_loss(
    model: Transformer, batch: TensorBatch, *, config: TrainingConfig, runtime: Runtime
) -> tuple[Tensor, Tensor]:
    """Run the model on a batch and return the summed loss and the summed negative log-likelihood.

    Both are scalars, summed over ``batch.num_target_tokens`` tokens; the second has no gradient. Where two passes count
    alike, the loss is the mean of both, half of the sum in the paper of R-Drop.

    Raises:
        ConfigError: tokens shall become the zero vector, and the model has none.
    """
    shown = _shown(model, batch, config.source_word_dropout, config.target_word_dropout, config.word_dropout)
    weights = pair_weights(config)
    if weights is None:
        return batch_loss(model, shown, label_smoothing=config.label_smoothing, runtime=runtime)
    cut = config.simcut_cutoff if config.simcut else 0.0
    both = _joined(shown, _shown(model, shown, cut, cut, WordDropout.ZERO))
    with precision_context(runtime):
        logits = batch_logits(model, both)
    return pair_loss(logits, batch.target_ids, weights=weights, label_smoothing=config.label_smoothing)


def pair_weights(config: TrainingConfig) -> PairWeights | None:
    """Return the weights of the loss of a run whose batches are computed twice, or None where one pass is enough."""
    if config.r_drop:
        return PairWeights(0.5, 0.5, config.r_drop / 4, config.r_drop / 4)
    return PairWeights(1.0, 0.0, config.simcut, 0.0) if config.simcut else None


def _shown(
    model: Transformer, batch: TensorBatch, source_rate: float, target_rate: float, form: WordDropout
) -> TensorBatch:
    """Return the batch as a pass sees it: with random tokens of the source and of the decoder's input replaced."""
    drop = partial(without_words, form=form, config=model.config, start_id=model.start_id)
    return replace(
        batch,
        source_ids=drop(batch.source_ids, source_rate),
        target_input_ids=drop(batch.target_input_ids, target_rate),
    )


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


def _joined(first: TensorBatch, second: TensorBatch) -> TensorBatch:
    """Return two batches of one shape as one batch, the rows and the target tokens of the first before the others."""
    shift = first.target_input_ids.numel()
    return replace(
        first,
        source_ids=torch.cat([first.source_ids, second.source_ids]),
        source_mask=torch.cat([first.source_mask, second.source_mask]),
        target_input_ids=torch.cat([first.target_input_ids, second.target_input_ids]),
        target_ids=torch.cat([first.target_ids, second.target_ids]),
        target_positions=torch.cat([first.target_positions, second.target_positions + shift]),
        num_target_tokens=first.num_target_tokens + second.num_target_tokens,
        num_padded_tokens=first.num_padded_tokens + second.num_padded_tokens,
    )


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
