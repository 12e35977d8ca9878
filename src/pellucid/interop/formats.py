"""The formats that models are exported to and imported from. A new format is a new entry here.

A format writes models, after it has listed why one does not fit, or reads them; and it opens what is on disk as
engines that a comparison can run. Read ``huggingface/config.py`` next, for the first of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pellucid.bundle import Bundle
from pellucid.errors import BundleError, ConfigError
from pellucid.interop.argos.engine import argos_pairs
from pellucid.interop.argos.package import argos_refusals, write_argos
from pellucid.interop.ctranslate2.config import ctranslate2_refusals
from pellucid.interop.ctranslate2.pairs import ctranslate2_pairs
from pellucid.interop.ctranslate2.writing import write_ctranslate2
from pellucid.interop.foreign_model import ForeignModel, Refusal
from pellucid.interop.huggingface.oracle import TransformersMarian
from pellucid.interop.huggingface.reading import CONFIG, read_marian
from pellucid.interop.huggingface.reference import MarianReference
from pellucid.interop.huggingface.writing import marian_refusals, write_marian
from pellucid.interop.marian.folder import looks_like_npz
from pellucid.interop.marian.reading import read_marian_npz
from pellucid.interop.marian.reference import MarianNpzReference
from pellucid.interop.onnx.engines import OnnxEvaluator, OnnxRuntime
from pellucid.interop.onnx.writing import write_onnx
from pellucid.interop.packages import is_installed
from pellucid.interop.verification.comparison import ComparedModel, Pair

__all__ = ["FORMATS", "Format", "format_named", "format_of"]

MakeModel = Callable[[], ComparedModel]


@dataclass(frozen=True)
class Format:
    """What a format can do; None where it cannot."""

    name: str
    title: str
    opinions: Callable[[Path], Sequence[MakeModel]]
    """Ways to compute what is on disk in this format, none of which is our own model."""
    proof: str
    """What computes the written model again, for the screen."""
    refusals: Callable[[Bundle], list[Refusal]] | None = None
    """Return every reason why a model cannot be written; called before ``write``."""
    write: Callable[..., tuple[str, ...]] | None = None
    """Write a model (Bundle) into an empty folder (Path), or to a file; return notes for the user."""
    options: frozenset[str] = frozenset()
    """Names of the other keyword arguments of ``write``; their values are texts."""
    is_file: bool = False
    """Whether ``write`` writes one file, not a folder."""
    pairs: Callable[[Bundle, Path], Sequence[Pair]] | None = None
    """More comparisons of a model with its export: with other bounds, or after rounding."""
    read: Callable[[Path], ForeignModel] | None = None
    """Read a stranger's folder or file, and check all of it."""
    recognises: Callable[[Path], bool] | None = None
    """Tell by file names alone whether a path holds this format."""


def has_transformers() -> bool:
    """Tell whether ``transformers`` is installed, a third opinion on MarianMT."""
    return is_installed("transformers")


def _marian_opinions(folder: Path) -> Sequence[MakeModel]:
    theirs: list[MakeModel] = [lambda: TransformersMarian(folder)] if has_transformers() else []
    return [lambda: MarianReference(folder), *theirs]


FORMATS: Final[Mapping[str, Format]] = {
    "argos": Format(
        name="argos",
        title="Argos Translate",
        refusals=argos_refusals,
        write=write_argos,
        options=frozenset({"quantization"}),
        is_file=True,
        opinions=lambda path: (),
        pairs=argos_pairs,
        proof="ctranslate2, with the package unpacked and run as Argos Translate 1.11 runs it",
    ),
    "marian": Format(
        name="marian",
        title="Hugging Face MarianMT",
        refusals=marian_refusals,
        write=write_marian,
        read=read_marian,
        recognises=lambda path: (path / CONFIG).exists(),
        opinions=_marian_opinions,
        proof="an independent pass over the files in float64, and transformers where it is installed",
    ),
    "marian-npz": Format(
        name="marian-npz",
        title="Marian's own .npz",
        read=read_marian_npz,
        recognises=looks_like_npz,
        opinions=lambda path: [lambda: MarianNpzReference(path)],
        proof="an independent pass over the .npz in float64, as Marian computes it",
    ),
    "ctranslate2": Format(
        name="ctranslate2",
        title="CTranslate2",
        refusals=ctranslate2_refusals,
        write=write_ctranslate2,
        options=frozenset({"quantization"}),
        opinions=lambda path: (),
        pairs=ctranslate2_pairs,
        proof="ctranslate2: step by step, in one pass beside a longer sentence, and by its search",
    ),
    "onnx": Format(
        name="onnx",
        title="ONNX",
        write=write_onnx,
        opinions=lambda path: [lambda: OnnxEvaluator(path), lambda: OnnxRuntime(path)],
        proof="the operators' definitions in onnx, in float64, and onnxruntime in float32",
    ),
}
"""Every format, by the name that the command line takes."""

_DONE: Final = {"read": "imported", "write": "exported to"}


def format_named(name: str, *, to: Literal["read", "write"]) -> Format:
    """Return the format of that name.

    Raises:
        ConfigError: no format has this name, or the format does not support ``to``.
    """
    able = sorted(key for key, entry in FORMATS.items() if getattr(entry, to) is not None)
    if name in able:
        return FORMATS[name]
    if name in FORMATS:
        raise ConfigError(f"--format {name!r} cannot be {_DONE[to]}; formats that can: {', '.join(able)}")
    raise ConfigError(f"--format {name!r} is unknown; use {', '.join(able)}")


def format_of(path: Path) -> Format:
    """Return the format of a stranger's folder or file, by the names of its files.

    Raises:
        BundleError: the path does not exist, or its files fit no format, or several.
    """
    if not path.exists():
        raise BundleError(f"{path}: does not exist; name the folder of a model")
    readable = [entry for entry in FORMATS.values() if entry.read is not None]
    found = [entry for entry in readable if entry.recognises is not None and entry.recognises(path)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"{entry.name} ({entry.title})" for entry in found or readable)
    what = "fits several formats" if found else "fits no format that can be imported"
    raise BundleError(f"{path}: {what}; choose with --format: {names}")
