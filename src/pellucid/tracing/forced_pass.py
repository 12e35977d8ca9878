"""One forced pass: record the wanted values as arrays, and apply edits.

Every site is stored. Storing only the inputs of each sub-layer and computing the rest again would be smaller, but a
stored value is the one that was used, edits included, and identities between stored values can be checked without the
weights. The cost, by count: 28 MB for 30 pieces on each side in the base model with a vocabulary of 37,000.
What a lower level leaves out is computed by running the same pass again; a test checks that both are equal bit for bit
with the same number of threads. With another number of threads, matrix products differ in their last bits.
Read ``making.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from pellucid.model.transformer import Transformer
from pellucid.tracing.editing.recorder import Editor, Others
from pellucid.tracing.edits import ValueEdit
from pellucid.tracing.predictions import Array

__all__ = ["forced_pass"]


class _Tape:
    """Keeps read-only copies of the wanted sites, without the batch axis."""

    def __init__(self, is_wanted: Callable[[str], bool]) -> None:
        self.arrays: dict[str, Array] = {}
        self._is_wanted = is_wanted
        self._last: tuple[Tensor, Array] | None = None

    def keep(self, site: str, value: Tensor) -> None:
        if self._is_wanted(site):
            # One value often has two names: the output of a layer is the input of the next.
            if self._last is None or self._last[0] is not value:
                self._last = (value, _copied(value))
            self.arrays[site] = self._last[1]


def forced_pass(
    model: Transformer,
    source_ids: Sequence[int],
    fed_ids: Sequence[int],
    *,
    edits: Sequence[ValueEdit] = (),
    others: Others | None = None,
    is_wanted: Callable[[str], bool] = lambda site: True,
) -> dict[str, Array]:
    """Run a model over one source, end of sentence included, and the target pieces that it is fed, start first.

    ``others`` is what the edits take from other sentences.

    Returns:
        The wanted sites by name, without the batch axis, read-only. Number formats that NumPy lacks become float32.

    Raises:
        ValueError: the model is in training mode.
        RequestError: a side is longer than ``max_positions``, or an edit does not fit another sentence.
    """
    if model.training:
        raise ValueError("the model is in training mode, where dropout changes every value; call model.eval()")
    tape = _Tape(is_wanted)
    editor = Editor(edits, model, others=others, keep=tape.keep)
    device = next(model.parameters()).device
    with torch.inference_mode():
        memory = editor.encode(torch.tensor([source_ids], device=device))
        hidden = editor.decode(torch.tensor([fed_ids], device=device), memory)
        model.project(hidden, recorder=editor)
    return tape.arrays


def _copied(value: Tensor) -> Array:
    first = value.detach()[0]
    first = first.float() if first.dtype in {torch.bfloat16, torch.float16} else first
    array = np.array(first.cpu().numpy(), order="C")
    array.setflags(write=False)
    return array
