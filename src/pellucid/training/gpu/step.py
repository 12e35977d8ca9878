"""Compute a training step on the device: batch, loss, gradients, clipping, Adam, averaging. The host waits for nothing.

Everything that a later step reads stays at its address: weights, moments, averages and results are changed in place,
and whether the weights change is decided on the device. So the same code runs eagerly or as a graph. A loss or gradient
that is not finite leaves weights, moments and averages as they are.

With bf16, a twin of the model in bfloat16 computes, and the float32 weights are the masters: each step copies them into
the twin and takes its gradients back. So activations and the residual sums are in bfloat16 too, which halves the memory
traffic; softmax, loss, norms of gradients, moments and averages are in float32. Read ``graphs.py`` next.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from pellucid.config import TrainingConfig
from pellucid.runtime import Precision, Runtime
from pellucid.training.averaging import MovingAverage
from pellucid.training.gpu.corpus import AnyBatch, Corpus, Feed, StaticBatch, corpus_on
from pellucid.training.gpu.shapes import AnyShape
from pellucid.training.gpu.vocabulary_loss import vocabulary_loss
from pellucid.training.inputs import RunInputs
from pellucid.training.optimisation import gradient_norm
from pellucid.training.packed.batch import PackedBatch
from pellucid.training.packed.network import PackedNetwork
from pellucid.training.regularisers import regularised

if TYPE_CHECKING:
    from pellucid.model.transformer import Transformer

__all__ = ["StaticStep"]


class StaticStep:
    """A step of one model and one optimiser, always of the same tensors.

    The host writes the rate into ``learning_rate`` and fills a feed; after ``run``, ``results`` holds the summed loss,
    the summed negative log-likelihood and the norm of the gradient of the mean loss, in float64.
    """

    def __init__(
        self,
        model: Transformer,
        optimiser: torch.optim.AdamW,
        average: MovingAverage,
        *,
        corpus: Corpus,
        config: TrainingConfig,
        runtime: Runtime,
        is_packed: bool = False,
    ) -> None:
        device = runtime.torch_device()
        self._optimiser = optimiser
        self._average = average
        self.corpus = corpus
        self._config = config
        self._masters: list[Tensor] = [parameter for parameter in model.parameters() if parameter.requires_grad]
        has_twin = runtime.precision is Precision.BF16
        self.computing: Transformer = copy.deepcopy(model).to(torch.bfloat16) if has_twin else model
        """The model that computes: the twin, or the model itself."""
        self._weights: list[Tensor] = [
            parameter for parameter in self.computing.parameters() if parameter.requires_grad
        ]
        self._packed = PackedNetwork(model, dtype=self._weights[0].dtype) if is_packed else None
        self._wide_gradients = [torch.zeros_like(master) for master in self._masters] if has_twin else None
        self.learning_rate = torch.zeros((), dtype=torch.float32, device=device)
        self.results = torch.zeros(3, dtype=torch.float64, device=device)

    @staticmethod
    def of_run(
        inputs: RunInputs, *, optimiser: torch.optim.AdamW, average: MovingAverage, is_packed: bool = False
    ) -> StaticStep:
        """Return the step of a run, with its corpus on the device or in pinned memory."""
        model, runtime = inputs.model, inputs.runtime
        device = runtime.torch_device()
        corpus = corpus_on(inputs.store, device, specials=model.config.specials, start_id=model.start_id)
        return StaticStep(
            model,
            optimiser,
            average,
            corpus=corpus,
            config=inputs.config,
            runtime=runtime,
            is_packed=is_packed,
        )

    def adopt_optimiser(self) -> None:
        """Give the optimiser its rate on the device, and moments for all weights: a graph may not create any."""
        for group in self._optimiser.param_groups:
            group["lr"], group["capturable"] = self.learning_rate, True
        for master in self._masters:
            if not self._optimiser.state[master]:
                self._optimiser.state[master] = {
                    "step": torch.zeros((), dtype=torch.float32, device=master.device),
                    "exp_avg": torch.zeros_like(master),
                    "exp_avg_sq": torch.zeros_like(master),
                }

    def release_optimiser(self) -> None:
        """Give the optimiser back to a caller that sets its rate from the host."""
        for group in self._optimiser.param_groups:
            group["lr"], group["capturable"] = self._config.learning_rate, False

    def run(self, feed: Feed, shape: AnyShape) -> None:
        """Make one update from the batch of a feed."""
        batch = self.corpus.batch(feed, shape)
        loss, likelihood, gradients = self._gradients(batch)
        with torch.no_grad():
            norm = gradient_norm(gradients)
            is_bad = (~(torch.isfinite(loss) & torch.isfinite(norm))).float()
            self._update(gradients, norm, is_bad)
            updates = self._optimiser.state[self._masters[0]]["step"]
            self._average.update_on_device(updates, is_bad=is_bad)
            self.results.copy_(torch.stack([number.double() for number in (loss.detach(), likelihood, norm)]))

    def _gradients(self, batch: AnyBatch) -> tuple[Tensor, Tensor, Sequence[Tensor]]:
        """Return the sums of loss and likelihood, and the gradients of the mean loss in the type of the masters."""
        config, model = self._config, self.computing
        if isinstance(batch, PackedBatch) and self._packed is not None:
            shown = regularised(batch, config=config, model=model.config, start_id=model.start_id)
            sums = self._packed.compute(shown, label_smoothing=config.label_smoothing)
            return (*sums, self._packed.gradients)
        padded = cast("StaticBatch", batch)
        return self._padded_gradients(regularised(padded, config=config, model=model.config, start_id=model.start_id))

    def _padded_gradients(self, batch: StaticBatch) -> tuple[Tensor, Tensor, Sequence[Tensor]]:
        model = self.computing
        if self._wide_gradients is not None:
            with torch.no_grad():
                torch._foreach_copy_(self._weights, self._masters)
        memory = model.encode(batch.source_ids, source_mask=batch.source_mask)
        hidden = model.decode(batch.target_input_ids, memory, source_mask=batch.source_mask)
        loss, likelihood = vocabulary_loss(
            hidden.flatten(0, 1),
            *model.output_map(),
            batch.target_ids,
            batch.target_weights,
            label_smoothing=self._config.label_smoothing,
            pair=batch.pair,
        )
        scale = batch.num_target_tokens().clamp(min=1.0).reciprocal().to(loss.dtype)
        # Not backward(): it would create ``.grad`` tensors, and bind nodes of the graph of autograd to a stream.
        gradients: Sequence[Tensor] = torch.autograd.grad(
            loss, self._weights, grad_outputs=scale, allow_unused=True, materialize_grads=True
        )
        if self._wide_gradients is not None:
            torch._foreach_copy_(self._wide_gradients, list(gradients))
            return loss, likelihood, self._wide_gradients
        # Fused Adam reads weights and gradients element by element, in the order of memory.
        return (
            loss,
            likelihood,
            [
                gradient if gradient.stride() == master.stride() else torch.empty_like(master).copy_(gradient)
                for gradient, master in zip(gradients, self._masters, strict=True)
            ],
        )

    def _update(self, gradients: Sequence[Tensor], norm: Tensor, is_bad: Tensor) -> None:
        """Clip and update in one kernel: fused Adam divides gradients by a scale and leaves bad steps out."""
        limit = self._config.max_grad_norm
        optimiser = self._optimiser
        for master, gradient in zip(self._masters, gradients, strict=True):
            master.grad = gradient
        try:
            optimiser.found_inf = is_bad  # type: ignore[attr-defined]
            optimiser.grad_scale = (norm.float() / limit).clamp(min=1.0) if limit else None  # type: ignore[attr-defined]
            optimiser.step()
        finally:
            del optimiser.found_inf, optimiser.grad_scale  # type: ignore[attr-defined]
            for master in self._masters:
                master.grad = None
