"""The formats that models go out to and come in from, by name. A new one is a new entry here.

A format that can be written says what does not fit it, writes what does, and opens what was written as
engines that a comparison can ask. Read ``marian_config.py`` next, for the first of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pellucid.bundle import Bundle
from pellucid.errors import ConfigError
from pellucid.interop.marian_oracle import TransformersMarian, has_transformers
from pellucid.interop.marian_reading import read_marian
from pellucid.interop.marian_reference import MarianReference
from pellucid.interop.marian_writing import marian_refusals, write_marian
from pellucid.interop.records import ForeignModel, Refusal
from pellucid.interop.verification import Engine, PellucidEngine

__all__ = ["FORMATS", "Format", "engine_of", "format_named"]

MakeEngine = Callable[[], Engine]


@dataclass(frozen=True)
class Format:
    """What can be done with a format."""

    name: str
    title: str
    refusals: Callable[[Bundle], list[Refusal]]
    """Every reason why a model cannot be written; asked before ``write``."""
    write: Callable[[Bundle, Path], tuple[str, ...]]
    """Write a model into an empty folder; return what a person should know."""
    read: Callable[[Path], ForeignModel]
    """Read a folder of strangers, with every check there is."""
    opinions: Callable[[Path], Sequence[MakeEngine]]
    """Ways to compute a folder that ``read`` has accepted, none of which is our own model."""
    says: Callable[[], str]
    """What the screen is told about who checks."""


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
    "marian": Format(
        name="marian",
        title="Hugging Face MarianMT",
        refusals=marian_refusals,
        write=write_marian,
        read=read_marian,
        opinions=_marian_opinions,
        says=_marian_says,
    )
}
"""Every format, by the name that the command line takes."""


def format_named(name: str) -> Format:
    """Return the format of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in FORMATS:
        raise ConfigError(f"--format {name!r} is unknown; use {', '.join(sorted(FORMATS))}")
    return FORMATS[name]


def engine_of(model: ForeignModel | Bundle, *, name: str) -> PellucidEngine:
    """Return one of our models as an engine.

    Raises:
        ConfigError: its tokenizer is of a kind that formats cannot hold.
    """
    from pellucid.text.subword import SentencePieceTokenizer

    if not isinstance(model.tokenizer, SentencePieceTokenizer):
        raise ConfigError("only models with SentencePiece tokenizers are exchanged")
    return PellucidEngine(model.model, model.tokenizer, name=name)
