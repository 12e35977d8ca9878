"""One forced pass, watched: every wanted value on its way as an array, and edits put in their place.

Every site is stored, rather than the inputs of each sub-layer with the rest computed again from the weights: a stored
value is the one that was used, edits included, and identities between stored values prove something, without
the weights too. The price, by count: 28 MB for 30 pieces on each side in the base model with a vocabulary of 37,000.
What a lower level leaves out comes back by running the same pass again; a test holds the two equal bit for bit with
the same number of threads. With another number, matrix products differ in their last bits.
Read ``making.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from pellucid.model.transformer import Transformer
from pellucid.tracing.edits import Edit
from pellucid.tracing.predictions import Array

__all__ = ["forced_pass"]


class _Tape:
    """A recorder that applies edits and keeps read-only copies of what is wanted, without the batch of one."""

    def __init__(self, edits: dict[str, list[Edit]], is_wanted: Callable[[str], bool]) -> None:
        self.arrays: dict[str, Array] = {}
        self._edits = edits
        self._is_wanted = is_wanted
        self._last: tuple[Tensor, Array] | None = None

    def visit(self, site: str, value: Tensor) -> Tensor:
        for edit in self._edits.get(site, ()):
            value = edit.apply(value)
        if self._is_wanted(site):
            # One value often has two names: the output of a layer is the input of the next.
            if self._last is None or self._last[0] is not value:
                self._last = (value, _copied(value))
            self.arrays[site] = self._last[1]
        return value


def forced_pass(
    model: Transformer,
    source_ids: Sequence[int],
    fed_ids: Sequence[int],
    *,
    edits: Sequence[Edit] = (),
    is_wanted: Callable[[str], bool] = lambda site: True,
) -> dict[str, Array]:
    """Run a model over one source, end of sentence included, and the target pieces it is fed, the start first.

    Returns:
        The wanted sites by name, without the batch axis, read-only. Formats that NumPy lacks come as float32.

    Raises:
        ValueError: the model is in training mode.
        RequestError: a side is longer than ``max_positions``.
    """
    if model.training:
        raise ValueError("the model is in training mode, where dropout changes every value; call model.eval()")
    by_site: dict[str, list[Edit]] = {}
    for edit in edits:
        for site in edit.sites(model.config):
            by_site.setdefault(site, []).append(edit)
    tape = _Tape(by_site, is_wanted)
    device = next(model.parameters()).device
    with torch.inference_mode():
        model(torch.tensor([source_ids], device=device), torch.tensor([fed_ids], device=device), recorder=tape)
    return tape.arrays


def _copied(value: Tensor) -> Array:
    own = value.detach()[0]
    own = own.float() if own.dtype in {torch.bfloat16, torch.float16} else own
    array = np.array(own.cpu().numpy(), order="C")
    array.setflags(write=False)
    return array
