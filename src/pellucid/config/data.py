"""Where the text comes from and how it becomes token ids: corpora, cleaning, tokenizer.

Read ``model.py`` next.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from pellucid.config.section import Section

__all__ = ["CleaningConfig", "CorpusConfig", "DataConfig", "InvalidUtf8", "TokenizerConfig"]


class InvalidUtf8(StrEnum):
    """What to do with a line that is not valid UTF-8."""

    STRICT = "strict"
    REPLACE = "replace"
    SKIP = "skip"


class CorpusConfig(Section):
    """One source of sentence pairs: two parallel files, or one TSV or JSON-lines file.

    Files may end in ``.gz`` or ``.xz``. ``weight`` is the share of this corpus in an epoch
    relative to its size: 2 shows each of its pairs twice an epoch, 0.5 shows half of them.
    """

    src: Path | None = None
    tgt: Path | None = None
    tsv: Path | None = None
    jsonl: Path | None = None
    src_column: int = Field(0, ge=0)
    tgt_column: int = Field(1, ge=0)
    src_key: str = "source"
    tgt_key: str = "target"
    weight: float = Field(1.0, gt=0)
    name: str = ""

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        forms = [bool(self.src or self.tgt), bool(self.tsv), bool(self.jsonl)]
        if sum(forms) != 1:
            raise ValueError("name the files of a corpus in one form: src and tgt, or tsv, or jsonl")
        if forms[0] and not (self.src and self.tgt):
            raise ValueError(f"src = {self.src} and tgt = {self.tgt}: both files are needed")
        return self

    def paths(self) -> tuple[Path, ...]:
        """Return the files this corpus is read from, source side first."""
        return tuple(p for p in (self.src, self.tgt, self.tsv, self.jsonl) if p is not None)

    def label(self) -> str:
        """Return the name, or the first file's name where none was given."""
        return self.name or self.paths()[0].name

    def below(self, folder: Path) -> CorpusConfig:
        """Return the same corpus with relative files looked for in ``folder``."""
        found = {k: folder / p for k in ("src", "tgt", "tsv", "jsonl") if (p := getattr(self, k)) is not None}
        return self.model_copy(update=found)


class CleaningConfig(Section):
    """Which training pairs are dropped before the tokenizer sees them. Every drop is counted by reason.

    Lengths are in characters here; the limit in tokens is ``training.max_length``.
    """

    drop_empty: bool = True
    max_characters: int = Field(2000, ge=1)
    max_ratio: float = Field(9.0, ge=1)
    ratio_minimum_characters: int = Field(
        60, ge=0, description="the ratio is judged only where the longer side has this many characters"
    )
    drop_duplicates: bool = True
    drop_copies: bool = True
    copy_minimum_characters: int = Field(20, ge=0, description="shorter copies (names, numbers) are kept")


class DataConfig(Section):
    """The corpora of a run, and the languages' codes (ISO 639-1, or longer tags such as pt-BR)."""

    train: tuple[CorpusConfig, ...] = ()
    valid: CorpusConfig | None = None
    src_lang: str = Field("src", min_length=1)
    tgt_lang: str = Field("tgt", min_length=1)
    invalid_utf8: InvalidUtf8 = InvalidUtf8.STRICT
    cleaning: CleaningConfig = CleaningConfig()

    def below(self, folder: Path) -> DataConfig:
        """Return the same corpora with relative files looked for in ``folder``."""
        return self.model_copy(
            update={
                "train": tuple(c.below(folder) for c in self.train),
                "valid": self.valid.below(folder) if self.valid else None,
            }
        )


class TokenizerConfig(Section):
    """How text is cut into pieces. The options of SentencePiece carry its own names where it has them."""

    kind: Literal["sentencepiece", "bytes"] = "sentencepiece"
    joint: bool = True
    vocab_size: int | Literal["auto"] = "auto"
    model_type: Literal["unigram", "bpe"] = "unigram"
    character_coverage: float = Field(0.9995, ge=0.98, le=1, description="0.98 is SentencePiece's own least")
    byte_fallback: bool = True
    input_sentence_size: int = Field(2_000_000, ge=1)
    lowercase: bool = False

    @field_validator("vocab_size", mode="before")
    @classmethod
    def _size_is_possible(cls, value: object) -> object:
        if isinstance(value, str) and value != "auto":
            raise ValueError(f"{value!r} is not a size; use 'auto' or a number of pieces")
        if isinstance(value, int) and value < 8:
            raise ValueError(f"{value} leaves no room for text; use 'auto' or 300 and more")
        return value
