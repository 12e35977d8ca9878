"""Muon for many matrices of few shapes: ``torch.optim.Muon``, with matrices of one shape in one product.

A Transformer has dozens of matrices of the same shape. PyTorch makes them orthogonal one after the other; a stack of
them takes little more than half the time on a processor for ``d_model`` 128. Of several processes, each makes a share
of every stack orthogonal and sends it to the others. Read ``optimisation.py`` next.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from pellucid.training.processes.ranks import ONE_PROCESS, Ranks

__all__ = ["StackedMuon", "orthogonalised"]


class StackedMuon(torch.optim.Muon):
    """The rule and the state of ``torch.optim.Muon`` with Nesterov's momentum and rates that match Adam's."""

    def __init__(
        self,
        matrices: Iterable[Tensor],
        *,
        lr: float,
        momentum: float,
        weight_decay: float,
        ranks: Ranks = ONE_PROCESS,
    ) -> None:
        self._ranks = ranks
        super().__init__(matrices, lr=lr, momentum=momentum, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Change the matrices that have gradients, which must be the same in all processes."""
        if closure is not None:
            raise ValueError("closures are not supported")
        for group in self.param_groups:
            stacks: dict[tuple[int, int], list[Tensor]] = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is not None:
                    rows, columns = matrix.shape
                    stacks[min(rows, columns), max(rows, columns)].append(matrix)
            updates = [self._updates_of(matrices, group) for matrices in stacks.values()]
            for matrices, wide in zip(stacks.values(), self._orthogonal(updates, group), strict=True):
                _change(matrices, wide, group)

    def _updates_of(self, matrices: Sequence[Tensor], group: dict[str, Any]) -> Tensor:
        """Return the momentum of matrices of one shape, (matrices, rows, columns) with no more rows than columns."""
        means = [self._mean_of(matrix) for matrix in matrices]
        gradients = [matrix.grad for matrix in matrices if matrix.grad is not None]
        torch._foreach_lerp_(means, gradients, 1 - group["momentum"])
        updates = torch._foreach_lerp(gradients, means, group["momentum"])
        return torch.stack([update if _is_wide(update) else update.mT for update in updates])

    def _orthogonal(self, stacks: Sequence[Tensor], group: dict[str, Any]) -> list[Tensor]:
        """Return the orthogonal matrices near those of each stack; every process computes its share of each stack."""
        ranks, found = self._ranks, []
        for stack in stacks:
            share = -(-len(stack) // ranks.count)
            own = stack[ranks.rank * share : (ranks.rank + 1) * share]
            wide = orthogonalised(
                own, coefficients=group["ns_coefficients"], steps=group["ns_steps"], epsilon=group["eps"]
            )
            found.append(torch.cat([wide, wide.new_zeros(share - len(own), *stack.shape[1:])]))
        if ranks.count == 1 or not found:
            return found
        of_all = [torch.split(each, [part.numel() for part in found]) for each in ranks.from_each(_flat(found))]
        return [
            torch.cat([parts.view(part.shape) for parts in of_each])[: len(stack)]
            for stack, part, of_each in zip(stacks, found, zip(*of_all, strict=True), strict=True)
        ]

    def _mean_of(self, matrix: Tensor) -> Tensor:
        state = self.state[matrix]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(matrix, memory_format=torch.preserve_format)
        mean: Tensor = state["momentum_buffer"]
        return mean


def orthogonalised(stack: Tensor, *, coefficients: tuple[float, float, float], steps: int, epsilon: float) -> Tensor:
    """Return the orthogonal matrix near each matrix, by Newton-Schulz iterations in bfloat16 (Jordan et al. 2024).

    Args:
        stack: (matrices, rows, columns), with no more rows than columns.
        coefficients: of the quintic polynomial; with those of Muon, singular values end between 0.5 and 1.5.
        steps: number of iterations.
        epsilon: least norm that a matrix is divided by.
    """
    linear, cubic, quintic = coefficients
    found = stack.bfloat16()
    found = found / torch.linalg.vector_norm(found, dim=(-2, -1), keepdim=True).clamp(min=epsilon)
    for _ in range(steps):
        gram = found @ found.mT
        found = torch.baddbmm(found, torch.baddbmm(gram, gram, gram, beta=cubic, alpha=quintic), found, beta=linear)
    return found


def _change(matrices: Sequence[Tensor], wide: Tensor, group: dict[str, Any]) -> None:
    """Decay the weights and move them along the orthogonal matrices."""
    changes = wide.to(matrices[0].dtype)
    turned = [change if _is_wide(matrix) else change.mT for change, matrix in zip(changes, matrices, strict=True)]
    torch._foreach_mul_(list(matrices), 1 - group["lr"] * group["weight_decay"])
    torch._foreach_add_(list(matrices), turned, alpha=-group["lr"] * 0.2 * math.sqrt(max(matrices[0].shape)))


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def _is_wide(matrix: Tensor) -> bool:
    return matrix.shape[0] <= matrix.shape[1]
