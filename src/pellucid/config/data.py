"""Where the text comes from and how it becomes token ids: corpora, cleaning, tokenizer.

Read ``model.py`` next.
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from pellucid.config.section import Section
from pellucid.errors import ConfigError

__all__ = ["CleaningConfig", "CorpusConfig", "DataConfig", "InvalidUtf8", "TokenizerConfig"]


_TARGET: Final = "{tgt}"
_TAG: Final = re.compile(r"[^\w\s{}][^\s{}]{0,62}[^\w\s{}]")


def _possible_tag(value: str) -> str:
    if value and not _TAG.fullmatch(value.replace(_TARGET, "xx")):
        raise ValueError(
            f"{value!r} cannot be a tag; begin and end it with a sign that is no letter, without white space, and with "
            "{tgt} for the target language if need be, as in '>>{tgt}<<'"
        )
    return value


class InvalidUtf8(StrEnum):
    """What to do with a line that is not valid UTF-8, holds a NUL character, or has more than 16 MiB."""

    STRICT = "strict"
    """An error with file, line and byte, before any training begins."""
    REPLACE = "replace"
    """Each offending byte becomes U+FFFD; a pair with a line that is too long is left out, and counted."""
    SKIP = "skip"
    """The pair is left out, and counted."""


class CorpusConfig(Section):
    """One source of sentence pairs: two parallel files, or one TSV file, or one file of JSON lines.

    Files may be compressed with gzip, bzip2, xz or Zstandard. A relative name is looked for in ``--data-dir``, or
    where there is none in the folder that the command is given in.
    """

    src: Path | None = None
    """Source side of two parallel files, a sentence a line."""
    tgt: Path | None = None
    """Target side, line by line its translation."""
    tsv: Path | None = None
    """A file with a pair a line, columns between tabs; no header, no quoting."""
    jsonl: Path | None = None
    """A file with a JSON object a line, a string for each side."""
    src_column: int = Field(0, ge=0)
    """Column of the source in a TSV file, from 0."""
    tgt_column: int = Field(1, ge=0)
    """Column of the target in a TSV file, from 0."""
    src_key: str = "source"
    """Key of the source in JSON lines."""
    tgt_key: str = "target"
    """Key of the target in JSON lines."""
    weight: float = Field(1.0, gt=0, le=1000)
    """How often an epoch shows each pair: 2 is twice, 0.5 shows half of them, the others in the next epoch."""
    tag: str = ""
    """Instead of ``data.tag`` for this corpus; if empty, ``data.tag`` holds here too."""
    tgt_lang: str = ""
    """Code that ``{tgt}`` in a tag stands for in this corpus; if empty, ``data.tgt_lang``."""
    name: str = ""
    """What messages and the model's card call this corpus; empty is the first file's name."""

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        forms = [bool(self.src or self.tgt), bool(self.tsv), bool(self.jsonl)]
        if sum(forms) != 1:
            raise ValueError("name the files of a corpus in one form: src and tgt, or tsv, or jsonl")
        if forms[0] and not (self.src and self.tgt):
            raise ValueError(f"src = {self.src} and tgt = {self.tgt}: both files are needed")
        if self.tsv and self.src_column == self.tgt_column:
            raise ValueError(f"src_column = tgt_column = {self.src_column}: a text and its translation are two columns")
        if self.jsonl and self.src_key == self.tgt_key:
            raise ValueError(f"src_key = tgt_key = {self.src_key!r}: a text and its translation have two keys")
        return self

    @field_validator("tag")
    @classmethod
    def _tag_is_possible(cls, value: str) -> str:
        return _possible_tag(value)

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
    """Drop pairs with a side of nothing but white space and invisible characters."""
    max_characters: int = Field(2000, ge=1)
    """Drop pairs with more characters than this on a side."""
    max_ratio: float = Field(9.0, ge=1)
    """Drop pairs with one side more than this many times as long as the other."""
    ratio_minimum_characters: int = Field(60, ge=0)
    """The ratio is judged only where the longer side has this many characters; 0 judges every pair."""
    drop_duplicates: bool = True
    """Drop pairs that came before in any training corpus, white space at the ends aside."""
    drop_copies: bool = True
    """Drop pairs whose target is the source, white space at the ends aside: most often untranslated lines."""
    copy_minimum_characters: int = Field(20, ge=0)
    """Copies of a source with fewer characters (names, numbers) are kept; 0 drops them, too."""


class DataConfig(Section):
    """The corpora of a run, and the languages' codes (ISO 639-1, or longer tags such as pt-BR)."""

    train: tuple[CorpusConfig, ...] = ()
    """The training corpora, a table ``[[data.train]]`` each; one at least is needed to train."""
    valid: CorpusConfig | None = None
    """The validation corpus, a table ``[data.valid]``; if not set, 1 % of the training pairs (1,000 at most)."""
    src_lang: str = Field("src", min_length=1)
    """Code of the source language; decides how long input is split into sentences."""
    tgt_lang: str = Field("tgt", min_length=1)
    """Code of the target language; decides how BLEU finds words, and how parts of split input are joined."""
    tag: str = ""
    """Piece put in front of every source, as in ``>>{tgt}<<``, where one model has several targets; empty is none."""
    invalid_utf8: InvalidUtf8 = InvalidUtf8.STRICT
    """What to do with a line that is not valid UTF-8, holds a NUL character, or has more than 16 MiB."""
    max_unknown_share: float = Field(0.05, ge=0, le=1)
    """Largest share of pieces that the tokenizer may not know, on a side of the training or validation text."""
    cleaning: CleaningConfig = CleaningConfig()
    """Which training pairs are dropped; validation pairs are taken as they are."""
    capitals_share: float = Field(0.0, ge=0, le=1)
    """Share of the training pairs that are added once more in capitals, so that the model knows them; 0 is none."""

    @field_validator("tag")
    @classmethod
    def _tag_is_possible(cls, value: str) -> str:
        return _possible_tag(value)

    def corpora(self) -> tuple[CorpusConfig, ...]:
        """Return the training corpora, and the validation corpus after them if there is one."""
        return (*self.train, *((self.valid,) if self.valid else ()))

    def tag_of(self, corpus: CorpusConfig) -> str:
        """Return the tag of a corpus's sources, "" where they have none.

        Raises:
            ConfigError: the tag names the target language, and its code is not given.
        """
        template = corpus.tag or self.tag
        language = corpus.tgt_lang or self.tgt_lang
        if _TARGET in template and language == type(self).model_fields["tgt_lang"].default:
            raise ConfigError(
                f"data.tag = {template!r} names the target language of {corpus.label()}, and no code is given; set "
                "tgt_lang of that corpus, or data.tgt_lang"
            )
        return template.replace(_TARGET, language)

    def below(self, folder: Path) -> DataConfig:
        """Return the same corpora with relative files looked for in ``folder``."""
        return self.model_copy(
            update={
                "train": tuple(c.below(folder) for c in self.train),
                "valid": self.valid.below(folder) if self.valid else None,
            }
        )


class TokenizerConfig(Section):
    """How text is cut into pieces. The options of SentencePiece carry its own names where it has them.

    With ``kind = "bytes"`` nothing is learnt, and of the others only ``lowercase`` acts. A run that starts from
    a model (``--init-from``) takes that model's tokenizer, and none of these act.
    """

    kind: Literal["sentencepiece", "bytes"] = "sentencepiece"
    """``sentencepiece`` learns pieces from the training text; ``bytes`` makes every byte of UTF-8 a piece."""
    joint: bool = True
    """One set of pieces for both languages (section 5.1), as tied tables need it; false learns one for each."""
    vocab_size: int | Literal["auto"] = "auto"
    """Pieces, specials included; ``auto`` is 8,000, fewer for little text, more for a large alphabet."""
    model_type: Literal["unigram", "bpe"] = "unigram"
    """``unigram``: Kudo 2018. ``bpe``: byte-pair encoding, Sennrich et al. 2016, the paper's (section 5.1)."""
    character_coverage: float = Field(0.9995, ge=0.98, le=1)
    """Share of the text's characters that get pieces, the commonest first; 0.98 is SentencePiece's own least."""
    byte_fallback: bool = True
    """Spell a character that has no piece in bytes; false makes it the unknown piece."""
    input_sentence_size: int = Field(2_000_000, ge=1)
    """Most sentences that SentencePiece learns from; of more, so many are drawn at random, by the seed."""
    lowercase: bool = False
    """Lowercase both sides first; translations are lowercase, then."""

    @model_validator(mode="after")
    def _bytes_learn_nothing(self) -> Self:
        idle = sorted(self.model_fields_set - {"kind", "joint", "lowercase"})
        changed = [name for name in idle if getattr(self, name) != type(self).model_fields[name].default]
        if self.kind == "bytes" and changed:
            raise ValueError(f"kind = 'bytes' learns nothing, so {', '.join(changed)} cannot act; leave them out")
        return self

    @field_validator("vocab_size", mode="before")
    @classmethod
    def _size_is_possible(cls, value: object) -> object:
        if isinstance(value, str) and value != "auto":
            raise ValueError(f"{value!r} is not a size; use 'auto' or a number of pieces")
        if isinstance(value, int) and value < 8:
            raise ValueError(f"{value} leaves no room for text; use 'auto' or 300 and more")
        return value
