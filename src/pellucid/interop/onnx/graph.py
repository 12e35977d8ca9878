"""Build an ONNX graph node by node: every value has a name, and all weights are in one file.

This uses three things of ONNX: nodes with names, weights whose numbers are in a file beside the graph, and
inputs and outputs with shapes. ``WeightsFile`` writes equal tables once, so both graphs share tied tables and the
tables of positions. Read ``layers.py`` next, which says what the graphs compute.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from pellucid.interop.packages import refuse_without

if TYPE_CHECKING:
    import onnx


__all__ = ["IR_VERSION", "OPSET", "Graph", "Shape", "WeightsFile"]

OPSET: Final = 17
"""The first that has LayerNormalization as one operator (2022); onnxruntime 1.12 and newer read it."""
IR_VERSION: Final = 8
"""Version of the file format that goes with the opset."""

_PAGE_BYTES: Final = 4096
_LINE_BYTES: Final = 64
Shape = Sequence[int | str]
"""Sizes of a value: a number, or a name where it is free."""


class WeightsFile:
    """The numbers of all weights, as one block of bytes that several graphs point into."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.content = bytearray()
        self._places: dict[bytes, tuple[int, int]] = {}

    def place(self, array: NDArray[np.generic]) -> tuple[int, int]:
        """Return offset and number of bytes of an array; equal bytes have one place."""
        raw = np.ascontiguousarray(array).tobytes()
        digest = hashlib.sha256(raw).digest()
        if digest not in self._places:
            # Tables begin where a page does, so that a reader can map them into memory; small ones would waste it.
            alignment = _PAGE_BYTES if len(raw) >= _PAGE_BYTES else _LINE_BYTES
            self.content += bytes(-len(self.content) % alignment)
            self._places[digest] = (len(self.content), len(raw))
            self.content += raw
        return self._places[digest]


class Graph:
    """A graph under construction. Each method adds one operator and returns the name of its output.

    A node has the name of its output.
    """

    def __init__(self, name: str, weights: WeightsFile) -> None:
        refuse_without("onnx", extra="onnx")
        self.name = name
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._initialisers: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, dtype: str, shape: Shape) -> str:
        """Declare an input of the type ``float32``, ``int64`` or ``bool``."""
        self._inputs.append(_value(name, dtype, shape))
        return name

    def output(self, name: str, dtype: str, shape: Shape) -> None:
        """Declare a value as an output."""
        self._outputs.append(_value(name, dtype, shape))

    def add(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Append an operator with one output."""
        from onnx import helper

        self._nodes.append(helper.make_node(operator, list(inputs), [output], name=output, **attributes))
        return output

    def weight(self, name: str, array: NDArray[np.float32]) -> str:
        """Add a weight; its numbers go to the file of weights."""
        from onnx import StringStringEntryProto, TensorProto

        offset, size = self._weights.place(array)
        tensor = TensorProto(
            name=name, data_type=TensorProto.FLOAT, dims=array.shape, data_location=TensorProto.EXTERNAL
        )
        for key, value in (("location", self._weights.name), ("offset", str(offset)), ("length", str(size))):
            tensor.external_data.append(StringStringEntryProto(key=key, value=value))
        self._initialisers[name] = tensor
        return name

    def number(self, value: float, name: str) -> str:
        """Add a float32 to the graph itself."""
        return self._constant(np.array(value, dtype=np.float32), name)

    def integers(self, *values: int) -> str:
        """Add a list of integers to the graph itself."""
        return self._constant(np.array(values, dtype=np.int64), f"integers_{'_'.join(map(str, values))}")

    def integer(self, value: int) -> str:
        """Add one integer, without an axis, to the graph itself."""
        return self._constant(np.array(value, dtype=np.int64), f"integer_{value}")

    def size(self, value: str, axis: int, name: str) -> str:
        """Return the size of one axis, as a list of one integer."""
        return self.add("Shape", [value], name, start=axis, end=axis + 1)

    def model(self) -> onnx.ModelProto:
        """Return the whole as a model."""
        from onnx import helper

        graph = helper.make_graph(
            self._nodes, self.name, self._inputs, self._outputs, initializer=list(self._initialisers.values())
        )
        opset = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="pellucid")

    def _constant(self, array: NDArray[np.generic], name: str) -> str:
        from onnx import numpy_helper

        self._initialisers.setdefault(name, numpy_helper.from_array(array, name))
        return name


def _value(name: str, dtype: str, shape: Shape) -> onnx.ValueInfoProto:
    from onnx import TensorProto, helper

    kinds = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64, "bool": TensorProto.BOOL}
    return helper.make_tensor_value_info(name, kinds[dtype], list(shape))
