"""Write one of our models as a complete ONNX folder that stores every number once.

    encoder.onnx, decoder.onnx   the graphs; they point into the weights
    weights.bin                  all numbers, float32, little-endian
    tokenizer/                   the pieces and their ids, as in a model folder
    model.json                   configuration, first id, languages, SHA-256 of every file

Read ``reading.py`` next.
"""

from __future__ import annotations

from pathlib import Path

from pellucid.bundle import Bundle, FolderDescription
from pellucid.durable import DISK, sha256_of
from pellucid.errors import ConversionError
from pellucid.interop.onnx.graph import IR_VERSION, OPSET, WeightsFile
from pellucid.interop.onnx.layers import decoder_graph, encoder_graph
from pellucid.interop.onnx.reading import DESCRIPTION, TOKENIZER, WEIGHTS, OnnxDescription
from pellucid.interop.packages import refuse_without
from pellucid.version import __version__

__all__ = ["write_onnx"]


def write_onnx(bundle: Bundle, folder: Path) -> tuple[str, ...]:
    """Write the files into an existing folder; return notes for the user.

    Raises:
        ConfigError: ``onnx``, or ``onnxruntime`` for the proof, is not installed.
        ConversionError: ``onnx.checker`` finds a fault in a graph.
    """
    refuse_without("onnx", "onnxruntime", extra="onnx")
    import onnx

    config, weights = bundle.description.model, bundle.model.state_dict()
    file = WeightsFile(WEIGHTS)
    graphs = [build(config, weights, file) for build in (encoder_graph, decoder_graph)]
    for graph in graphs:
        DISK.write(folder / f"{graph.name}.onnx", graph.model().SerializeToString(deterministic=True))
    DISK.write(folder / WEIGHTS, bytes(file.content))
    for graph in graphs:
        try:
            onnx.checker.check_model(folder / f"{graph.name}.onnx", full_check=True)
        except Exception as error:  # of any kind: it is another project's code
            raise ConversionError(f"{graph.name}.onnx: onnx.checker finds a fault: {str(error)[:300]}") from error
    (folder / TOKENIZER).mkdir()
    bundle.tokenizer.save(folder / TOKENIZER)
    names = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    description = OnnxDescription(
        **bundle.description.model_dump(include=FolderDescription.model_fields.keys() - {"files", "pellucid_version"}),
        format="pellucid-onnx",
        pellucid_version=__version__,
        opset=OPSET,
        ir_version=IR_VERSION,
        start_id=bundle.model.start_id,
        files={path.relative_to(folder).as_posix(): sha256_of(path) for path in names},
    )
    DISK.write(folder / DESCRIPTION, (description.model_dump_json(indent=2) + "\n").encode())
    return ()
