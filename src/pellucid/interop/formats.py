"""The formats that models go out to and come in from, by name. A new one is a new entry here.

A format that can be written says what does not fit it and writes what does; one that can be read reads; each
opens what is on disk as engines that a comparison can ask. Read ``huggingface/config.py`` next, for the first of them.
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
from pellucid.interop.huggingface.oracle import TransformersMarian, has_transformers
from pellucid.interop.huggingface.reading import CONFIG, read_marian
from pellucid.interop.huggingface.reference import MarianReference
from pellucid.interop.huggingface.writing import marian_refusals, write_marian
from pellucid.interop.marian.folder import looks_like_npz
from pellucid.interop.marian.reading import read_marian_npz
from pellucid.interop.marian.reference import MarianNpzReference
from pellucid.interop.onnx.engines import OnnxEvaluator, OnnxRuntime
from pellucid.interop.onnx.writing import write_onnx
from pellucid.interop.verification.comparison import Engine, Pair, PellucidEngine

__all__ = ["FORMATS", "Format", "engine_of", "format_named", "format_of"]

MakeEngine = Callable[[], Engine]


@dataclass(frozen=True)
class Format:
    """What can be done with a format; what is None cannot be done with it."""

    name: str
    title: str
    opinions: Callable[[Path], Sequence[MakeEngine]]
    """Ways to compute what is on disk in this format, none of which is our own model."""
    says: Callable[[], str]
    """What the screen is told about who checks."""
    refusals: Callable[[Bundle], list[Refusal]] | None = None
    """Every reason why a model cannot be written; asked before ``write``."""
    write: Callable[..., tuple[str, ...]] | None = None
    """Write a model (Bundle) into an empty folder (Path), or to a file; return what a person should know."""
    options: frozenset[str] = frozenset()
    """Names of what ``write`` takes besides, by keyword and as text."""
    is_file: bool = False
    """Whether ``write`` makes one file and no folder."""
    pairs: Callable[[Bundle, Path], Sequence[Pair]] | None = None
    """More comparisons of a model with what was written of it: with other bounds, or after rounding."""
    read: Callable[[Path], ForeignModel] | None = None
    """Read a folder (or file) of strangers, with every check there is."""
    recognises: Callable[[Path], bool] | None = None
    """Tell by names alone whether a path holds this format; for ``read``."""


def _marian_opinions(folder: Path) -> Sequence[MakeEngine]:
    makers: list[MakeEngine] = [lambda: MarianReference(folder)]
    if has_transformers():
        makers.append(lambda: TransformersMarian(folder))
    return makers


def _marian_says() -> str:
    if has_transformers():
        return "transformers is installed, so it is asked too"
    return "transformers is not installed; the check is an independent pass over the files, and reading them again"


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
        says=lambda: "the package is unpacked and run as Argos Translate 1.11 runs it, which is not needed for that",
    ),
    "marian": Format(
        name="marian",
        title="Hugging Face MarianMT",
        refusals=marian_refusals,
        write=write_marian,
        read=read_marian,
        recognises=lambda path: (path / CONFIG).exists(),
        opinions=_marian_opinions,
        says=_marian_says,
    ),
    "marian-npz": Format(
        name="marian-npz",
        title="Marian's own .npz",
        read=read_marian_npz,
        recognises=looks_like_npz,
        opinions=lambda path: [lambda: MarianNpzReference(path)],
        says=lambda: "the check is an independent pass over the .npz, as Marian computes it",
    ),
    "ctranslate2": Format(
        name="ctranslate2",
        title="CTranslate2",
        refusals=ctranslate2_refusals,
        write=write_ctranslate2,
        options=frozenset({"quantization"}),
        opinions=lambda path: (),
        pairs=ctranslate2_pairs,
        says=lambda: "ctranslate2 itself is asked, step by step, in one pass beside a longer sentence, and to search",
    ),
    "onnx": Format(
        name="onnx",
        title="ONNX",
        write=write_onnx,
        opinions=lambda path: [lambda: OnnxEvaluator(path), lambda: OnnxRuntime(path)],
        says=lambda: "onnx's own evaluator is asked in float64, and onnxruntime in float32, as it will be used",
    ),
}
"""Every format, by the name that the command line takes."""

_DONE: Final = {"read": "imported", "write": "exported to"}


def format_named(name: str, *, to: Literal["read", "write"]) -> Format:
    """Return the format of that name, which can be read or written, as asked.

    Raises:
        ConfigError: there is none.
    """
    able = sorted(key for key, entry in FORMATS.items() if getattr(entry, to) is not None)
    if name in able:
        return FORMATS[name]
    if name in FORMATS:
        raise ConfigError(f"--format {name!r} cannot be {_DONE[to]}; what can: {', '.join(able)}")
    raise ConfigError(f"--format {name!r} is unknown; use {', '.join(able)}")


def format_of(path: Path) -> Format:
    """Return the format that a stranger's folder or file has, by the names that are there.

    Raises:
        BundleError: nothing is there, or no format can be told by it, or several.
    """
    if not path.exists():
        raise BundleError(f"{path}: is no folder and no file; name the folder of a model")
    readable = [entry for entry in FORMATS.values() if entry.read is not None]
    found = [entry for entry in readable if entry.recognises is not None and entry.recognises(path)]
    if len(found) == 1:
        return found[0]
    told = ", ".join(f"{entry.name} ({entry.title})" for entry in found or readable)
    what = "looks like several formats" if found else "looks like no format that can be read"
    raise BundleError(f"{path}: {what}; say with --format which it is: {told}")


def engine_of(model: ForeignModel | Bundle, *, name: str) -> PellucidEngine:
    """Return one of our models as an engine."""
    return PellucidEngine(model.model, model.tokenizer, name=name)
