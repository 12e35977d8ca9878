"""Run an ONNX folder for the comparison: by onnx's own evaluator, and by onnxruntime as in later use.

    onnx's evaluator   the definition of every operator in NumPy, in float64: one sentence alone, the whole target in
                       one pass. Rounding hides no mistake there.
    onnxruntime        in float32, padded beside a longer sentence, step by step with a past, as in a search.

Read ``formats.py`` next.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pellucid.errors import ConversionError
from pellucid.interop.onnx.reading import GRAPHS, OnnxFolder, read_onnx
from pellucid.interop.onnx.stepper import Arrays, Run
from pellucid.interop.packages import refuse_without
from pellucid.interop.verification.comparison import TokenizerModel

if TYPE_CHECKING:
    from onnx.reference import ReferenceEvaluator


__all__ = ["OnnxEvaluator", "OnnxRuntime", "evaluated"]

_PIECES_LONGER = 3


class OnnxEvaluator(TokenizerModel):
    """The graphs as onnx itself defines them, in float64.

    Raises:
        ConversionError: a graph cannot be computed, or has fewer positions than the model; the sentences of
            a comparison are too short to show that.
    """

    def __init__(self, folder: Path) -> None:
        opened = read_onnx(folder)
        runs = [evaluated(folder / f"{name}.onnx") for name in GRAPHS]
        import onnx

        super().__init__(opened.tokenizer, name=f"the graphs by the definition of onnx {onnx.__version__}")
        self.stepper = opened.steppers(*runs, dtype=np.float64)
        self._start_id = opened.description.start_id
        _refuse_short_tables(opened)

    def log_probabilities(self, source_ids: Sequence[int], target_ids: Sequence[int]) -> Tensor:
        """Return the log-probabilities along a forced target: alone, and all of it in one pass."""
        stepper = self.stepper()
        stepper.start([source_ids])
        return stepper.read(np.array([[self._start_id, *target_ids[:-1]]]))[0]


class OnnxRuntime(TokenizerModel):
    """The graphs by onnxruntime, as a search uses them."""

    is_single_precision = True

    def __init__(self, folder: Path) -> None:
        opened = read_onnx(folder)
        self.stepper = opened.open(threads=torch.get_num_threads())
        import onnxruntime

        super().__init__(opened.tokenizer, name=f"onnxruntime {onnxruntime.__version__}")

    def log_probabilities(self, source_ids: Sequence[int], target_ids: Sequence[int]) -> Tensor:
        """Return the log-probabilities along a forced target: beside a longer sentence and so padded, step by step."""
        stepper = self.stepper()
        longer = [*[source_ids[0]] * _PIECES_LONGER, *source_ids][: stepper.max_length]
        stepper.start([source_ids, longer])
        rows = [stepper.step(None)]
        rows += [stepper.step(torch.tensor([last, last])) for last in target_ids[:-1]]
        return torch.stack([row[0] for row in rows]).double()


def evaluated(path: Path) -> Run:
    """Return a graph as a function in float64, computed by the operators' definitions in onnx."""
    refuse_without("onnx", extra="onnx")
    import onnx
    from onnx.reference import ReferenceEvaluator

    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            wide = onnx.numpy_helper.to_array(tensor).astype(np.float64)
            tensor.CopyFrom(onnx.numpy_helper.from_array(wide, tensor.name))
    return partial(_evaluate, ReferenceEvaluator(model))


def _refuse_short_tables(folder: OnnxFolder) -> None:
    import onnx

    expected = [folder.description.model.max_positions, folder.description.model.d_model]
    for name in GRAPHS:
        graph = onnx.load(folder.folder / f"{name}.onnx", load_external_data=False).graph
        tables = [list(tensor.dims) for tensor in graph.initializer if tensor.name.endswith(".positions")]
        if tables != [expected]:
            raise ConversionError(f"{name}.onnx: has tables of positions of {tables}; it must have one of {expected}")


def _evaluate(evaluator: ReferenceEvaluator, outputs: Sequence[str], inputs: Arrays) -> Sequence[NDArray[np.generic]]:
    try:
        return cast(Sequence[NDArray[np.generic]], evaluator.run(list(outputs), inputs))
    except Exception as error:  # of any kind: it is another project's code
        raise ConversionError(f"onnx cannot compute the graph: {str(error)[:300]}") from error
