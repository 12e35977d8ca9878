"""Open an ONNX folder that ``writing.py`` wrote: check it, then run it with onnxruntime.

``model.json`` is read first; every file must exist with the SHA-256 that it gives, and the graphs must have the inputs
and outputs that it implies. onnxruntime opens the graphs in memory, so that a graph cannot refer to another file of
this machine. Read ``stepper.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, cast

import numpy as np
from numpy.typing import NDArray

from pellucid.bundle import FolderDescription, described, verify_files, verify_tokenizer
from pellucid.errors import BundleError
from pellucid.interop.onnx.layers import cross_names, past_names, present_names
from pellucid.interop.onnx.stepper import Arrays, OnnxStepper, Run
from pellucid.interop.packages import refuse_without
from pellucid.interop.untrusted.files import read_table
from pellucid.text.tokenizer import Tokenizer, load_tokenizer

__all__ = [
    "DESCRIPTION",
    "GRAPHS",
    "TOKENIZER",
    "WEIGHTS",
    "OnnxDescription",
    "OnnxFolder",
    "is_onnx_folder",
    "read_onnx",
    "read_onnx_description",
]

DESCRIPTION: Final = "model.json"
WEIGHTS: Final = "weights.bin"
TOKENIZER: Final = "tokenizer"
_MAX_DESCRIPTION_BYTES: Final = 1 << 20
GRAPHS: Final = ("encoder", "decoder")


class OnnxDescription(FolderDescription):
    """The content of ``model.json``."""

    format: Literal["pellucid-onnx"]
    opset: int
    ir_version: int
    start_id: int
    """The decoder's first input; -1 is a vector of zeros."""


@dataclass(frozen=True)
class OnnxFolder:
    """A folder whose files are sound and fit each other."""

    folder: Path
    description: OnnxDescription
    tokenizer: Tokenizer

    def open(self, *, threads: int = 0) -> Callable[[], OnnxStepper]:
        """Open the graphs in onnxruntime, and return what makes a stepper for one search; 0 threads uses all cores.

        Several threads may search at once, each with a stepper of its own.

        Raises:
            ConfigError: ``onnxruntime`` is not installed.
            BundleError: onnxruntime cannot open a graph, or its inputs and outputs are not those of ``model.json``.
        """
        refuse_without("onnxruntime", extra="onnx")
        weights = (self.folder / WEIGHTS).read_bytes()
        return self.steppers(*(_session(self, name, weights, threads) for name in GRAPHS))

    def steppers(
        self, encoder: Run, decoder: Run, *, dtype: type[np.floating] = np.float32
    ) -> Callable[[], OnnxStepper]:
        """Return what makes a stepper, for whatever computes the two graphs."""
        description = self.description
        return partial(
            OnnxStepper, encoder, decoder, config=description.model, start_id=description.start_id, dtype=dtype
        )


def is_onnx_folder(path: Path) -> bool:
    """Tell by the names of its files whether the path looks like a pellucid ONNX export."""
    return (path / DESCRIPTION).is_file() and (path / "decoder.onnx").exists()


def read_onnx(folder: Path) -> OnnxFolder:
    """Read a folder and check all of it except the contents of the graphs.

    Raises:
        BundleError: a file is missing, damaged, a link, or of a newer format.
        IncompatibleModelError: the tokenizer is not the one of the graphs.
    """
    description = read_onnx_description(folder)
    needed = {WEIGHTS, *(f"{name}.onnx" for name in GRAPHS)}
    verify_files(folder / DESCRIPTION, description.files, needed=needed)
    tokenizer = load_tokenizer(folder / TOKENIZER)
    verify_tokenizer(folder, description.model, tokenizer)
    return OnnxFolder(folder, description, tokenizer)


def read_onnx_description(folder: Path) -> OnnxDescription:
    """Read ``model.json`` alone.

    Raises:
        BundleError: ``model.json`` is missing, damaged, or of a newer format.
    """
    path = folder / DESCRIPTION
    return described(OnnxDescription, read_table(path, most=_MAX_DESCRIPTION_BYTES), place=path)


def _session(folder: OnnxFolder, name: str, weights: bytes, threads: int) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    path = folder.folder / f"{name}.onnx"
    try:
        options.add_external_initializers_from_files_in_memory([WEIGHTS], [weights], [len(weights)])
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of any kind, since it is another project's code
        raise BundleError(f"{path}: onnxruntime cannot open it: {str(error)[:300]}") from error
    layers = folder.description.model.num_decoder_layers
    expected = {
        "encoder": ({"source_ids", "source_mask"}, {"encoder.output", *cross_names(layers)}),
        "decoder": (
            {"target_ids", "source_mask", *cross_names(layers), *past_names(layers)},
            {"log_probabilities", *present_names(layers)},
        ),
    }[name]
    found = ({node.name for node in session.get_inputs()}, {node.name for node in session.get_outputs()})
    if found != expected:
        odd = sorted((found[0] ^ expected[0]) | (found[1] ^ expected[1]))
        raise BundleError(f"{path}: has other inputs or outputs than {DESCRIPTION} implies: {', '.join(odd[:5])}")
    return partial(_run, session)


def _run(session: Any, outputs: Sequence[str], inputs: Arrays) -> Sequence[NDArray[np.generic]]:
    try:
        return cast(Sequence[NDArray[np.generic]], session.run(list(outputs), inputs))
    except Exception as error:  # of kinds that are onnxruntime's own
        if "allocate memory" in str(error) or "bad_alloc" in str(error) or "bad allocation" in str(error):
            raise MemoryError(str(error)) from error
        raise BundleError(f"onnxruntime cannot compute a graph of this folder: {str(error)[:300]}") from error
