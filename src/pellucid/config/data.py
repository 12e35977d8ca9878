"""Settings of the corpora, their cleaning, and the tokenizer.

Read ``model.py`` next.
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from pellucid.config.section import Section
from pellucid.errors import ConfigError

__all__ = ["CleaningConfig", "CorpusConfig", "DataConfig", "InvalidUtf8", "SplitConfig", "TokenizerConfig"]


_TARGET: Final = "{tgt}"
_MANGLED_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
"""How a path shows ``s3://bucket``."""
_TAG: Final = re.compile(r"[^\w\s{}][^\s{}]{0,62}[^\w\s{}]")


def _possible_tag(value: str) -> str:
    if value and not _TAG.fullmatch(value.replace(_TARGET, "xx")):
        raise ValueError(
            f"{value!r} cannot be a tag; it must begin and end with a character that is not a letter or digit, and "
            "have no white space; {tgt} stands for the target language, as in '>>{tgt}<<'"
        )
    return value


Tag = Annotated[str, AfterValidator(_possible_tag)]


class InvalidUtf8(StrEnum):
    """The policy for lines that are not valid UTF-8, contain a NUL character, or have more than 16 MiB."""

    STRICT = "strict"
    """An error with file, line and byte, before any training begins."""
    REPLACE = "replace"
    """Each invalid byte becomes U+FFFD; a pair with a line that is too long is skipped and counted."""
    SKIP = "skip"
    """The pair is skipped and counted."""


class CorpusConfig(Section):
    """A corpus of sentence pairs: ``files`` of any format, two parallel files, one TSV file, or one of JSON lines.

    Files can be compressed with gzip, bzip2, xz or Zstandard. A relative name is relative to ``--data-dir``, or to the
    current folder without that option.
    """

    NEWER: ClassVar[tuple[str, ...]] = ("files", "format", "document_key", "keep_context", "src_lang")

    files: tuple[str, ...] = ()
    """Names, patterns (``po/**/*.po``) or addresses (``s3://bucket/*.jsonl``, by ``pellucid[remote]``) of TMX, XLIFF,
    PO, CSV, TSV, JSON lines or Parquet files; or of two parallel files that end with the codes of the languages, of
    which one may be named. Units that are no use are left out and counted."""
    format: Literal["auto", "tmx", "xliff", "po", "csv", "tsv", "jsonl", "parquet", "moses"] = "auto"
    """Format of ``files``: ``auto`` goes by the end of each name; ``tmx``, ``xliff``, ``po``, ``csv``, ``tsv``,
    ``jsonl``, ``parquet`` and ``moses`` (two parallel files) hold for all of them."""
    document_key: str = "document"
    """Column or key of the document's name in CSV, TSV, JSON lines and Parquet, if there is one."""
    keep_context: bool = False
    """Use entries of PO files that hold in one context only (``msgctxt``), which the model does not see."""
    src: Path | None = None
    """Source side of two parallel files, with one sentence on each line."""
    tgt: Path | None = None
    """Target side of two parallel files; each line translates the same line of ``src``."""
    tsv: Path | None = None
    """A file with one pair on each line and tabs between the columns; no header, no quoting."""
    jsonl: Path | None = None
    """A file with one JSON object on each line, which has a string for each side."""
    src_column: int = Field(0, ge=0)
    """Column of the source in a TSV file, from 0; in ``files``, where the first row names no columns."""
    tgt_column: int = Field(1, ge=0)
    """Column of the target in a TSV file, from 0, likewise."""
    src_key: str = "source"
    """Key of the source in JSON lines and Parquet, or its column in a table with a header."""
    tgt_key: str = "target"
    """Key of the target, likewise."""
    weight: float = Field(1.0, gt=0, le=1000)
    """How often an epoch shows each pair: 2 is twice; 0.5 shows one half in this epoch and the other in the next."""
    share: float | None = Field(None, gt=0, lt=1)
    """Share of the pairs of an epoch that come from this corpus, whatever its size; the corpora without a share make
    up the rest, as their weights say. It takes the place of ``weight``."""
    hold_out: bool = True
    """Without ``[data.valid]``, pairs of this corpus may be held out for validation; set false for synthetic text."""
    tag: Tag = ""
    """Tag of this corpus in place of ``data.tag``; if empty, ``data.tag`` applies."""
    src_lang: str = ""
    """Code of the source language in ``files``; if empty, ``data.src_lang`` applies."""
    tgt_lang: str = ""
    """Code of the target language of this corpus, for ``{tgt}`` in a tag and in ``files``; if empty, ``data.tgt_lang``
    applies."""
    name: str = ""
    """Name of this corpus in messages and the model card; if empty, the name of the first file."""

    @model_validator(mode="after")
    def _weight_or_share(self) -> Self:
        if self.share is not None and "weight" in self.model_fields_set and self.weight != 1:
            raise ValueError(f"weight = {self.weight:g} and share = {self.share:g} exclude each other; set one of them")
        return self

    @model_validator(mode="after")
    def _addresses_are_files(self) -> Self:
        for path in self.paths():
            if _MANGLED_ADDRESS.match(str(path)):
                raise ValueError(f"{path} looks like an address; addresses go into files = [...]")
        return self

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        forms = [bool(self.src or self.tgt), bool(self.tsv), bool(self.jsonl), bool(self.files)]
        if sum(forms) != 1:
            raise ValueError("a corpus needs either files, or src and tgt, or tsv, or jsonl")
        if not all(self.files):
            raise ValueError("files has an empty name; name a file or a pattern")
        if forms[0] and not (self.src and self.tgt):
            raise ValueError(f"src = {self.src} and tgt = {self.tgt}: both files are needed")
        if self.tsv and self.src_column == self.tgt_column:
            raise ValueError(
                f"src_column = tgt_column = {self.src_column}: a text and its translation need two columns"
            )
        if self.jsonl and self.src_key == self.tgt_key:
            raise ValueError(f"src_key = tgt_key = {self.src_key!r}: a text and its translation need two keys")
        return self

    def paths(self) -> tuple[Path, ...]:
        """Return the files that this corpus names one by one, source side first; ``files`` are not among them."""
        return tuple(p for p in (self.src, self.tgt, self.tsv, self.jsonl) if p is not None)

    def label(self) -> str:
        """Return the name, or the name of the first file if there is none."""
        if self.name or not self.files:
            return self.name or self.paths()[0].name
        more = f" and {len(self.files) - 1} more" if len(self.files) > 1 else ""
        return f"{Path(self.files[0]).name}{more}"

    def below(self, folder: Path) -> CorpusConfig:
        """Return the same corpus with relative files in ``folder``."""
        found = {k: folder / p for k in ("src", "tgt", "tsv", "jsonl") if (p := getattr(self, k)) is not None}
        return self.model_copy(
            update={**found, "files": tuple(name if "://" in name else str(folder / name) for name in self.files)}
        )


class CleaningConfig(Section):
    """Filters that drop training pairs before the tokenizer is trained. Dropped pairs are counted by reason.

    Lengths are in characters here; ``training.max_length`` is the limit in tokens.
    """

    drop_empty: bool = True
    """Drop pairs with a side that has only white space and invisible characters."""
    max_characters: int = Field(2000, ge=1)
    """Drop pairs with more than this number of characters on a side."""
    max_ratio: float = Field(9.0, ge=1)
    """Drop pairs if one side is more than this number of times as long as the other."""
    ratio_minimum_characters: int = Field(60, ge=0)
    """``max_ratio`` applies only if the longer side has at least this number of characters; 0 applies it to all."""
    drop_duplicates: bool = True
    """Drop pairs that occurred before in any training corpus, ignoring white space at the ends."""
    drop_copies: bool = True
    """Drop pairs whose target equals the source, ignoring white space at the ends: most often untranslated lines."""
    copy_minimum_characters: int = Field(20, ge=0)
    """Keep copies of a source with fewer characters (names, numbers); 0 drops these too."""


class SplitConfig(Section):
    """How validation and test text without its own files is held out of the training text, without leaks.

    Whole documents are held out where the files name documents that are small enough, else all pairs with one source.
    Training pairs with the source of a held-out one are left out; sources are compared without case, punctuation,
    digits and inline codes. The choice depends on the text and ``training.seed`` only, and a memory that has grown
    keeps most of it.
    """

    share: float = Field(0.05, gt=0, le=0.4)
    """Share of the pairs for the validation, and as much again for the test."""
    most: int = Field(1000, ge=1)
    """Largest number of pairs for each of the two; a document is not cut, so there can be more."""
    test: bool = True
    """Hold out a test set, which is scored after the training."""


class DataConfig(Section):
    """The corpora of a run, and the languages' codes (ISO 639-1, or longer tags such as pt-BR)."""

    NEWER: ClassVar[tuple[str, ...]] = ("test", "split")

    train: tuple[CorpusConfig, ...] = ()
    """The training corpora, a table ``[[data.train]]`` for each; training needs at least one."""
    valid: tuple[CorpusConfig, ...] = ()
    """The validation corpus, a table ``[data.valid]``; if not set, 1 % of the training pairs (at most 1,000), or what
    ``[data.split]`` says. Several tables ``[[data.valid]]`` take turns, pair by pair, and each gets a BLEU of its
    own."""
    test: CorpusConfig | None = None
    """The test corpus, a table ``[data.test]``; it is scored after the training, and training pairs with one of its
    sources are left out."""
    split: SplitConfig | None = None
    """How validation and test text are held out, a table ``[data.split]``; a recipe with ``files`` or a test corpus has
    it without saying so."""
    general: CorpusConfig | None = None
    """Text that fine-tuning must not forget, a table ``[data.general]``; see ``training.max_forgetting``."""
    mixing_temperature: float = Field(1.0, ge=1, le=100)
    """Over 1, small corpora get more of an epoch: n pairs count as n^(1/temperature), times the weight (Arivazhagan et
    al. 2019); 1 is off. The epoch keeps its length."""
    src_lang: str = Field("src", min_length=1)
    """Code of the source language; decides how input is split into sentences."""
    tgt_lang: str = Field("tgt", min_length=1)
    """Code of the target language; decides the tokenizer of BLEU, and how parts of split input are joined."""
    tag: Tag = ""
    """Piece before every source, such as ``>>{tgt}<<``, for a model with several target languages; empty is none."""
    invalid_utf8: InvalidUtf8 = InvalidUtf8.STRICT
    """The policy for lines that are not valid UTF-8, contain a NUL character, or have more than 16 MiB."""
    max_unknown_share: float = Field(0.05, ge=0, le=1)
    """Limit of the share of unknown pieces on each side of the training and validation text."""
    cleaning: CleaningConfig = CleaningConfig()
    """The filters of training pairs; validation pairs are not filtered."""
    capitals_share: float = Field(0.0, ge=0, le=1)
    """Share of the training pairs that are repeated in capitals, so that the model learns capitals; 0 is none."""

    @field_validator("valid", mode="before")
    @classmethod
    def _one_table_is_enough(cls, value: object) -> object:
        return (value,) if isinstance(value, (dict, CorpusConfig)) else value or ()

    @model_validator(mode="after")
    def _shares_leave_room(self) -> Self:
        shares = [corpus.share for corpus in self.train if corpus.share is not None]
        if shares and (len(shares) == len(self.train) or sum(shares) >= 1):
            raise ValueError(
                f"the shares of the training corpora are {', '.join(f'{share:g}' for share in shares)}; leave at least "
                "one corpus without a share, which gives the epoch its length, and keep the sum of the shares under 1"
            )
        for role, corpus in zip(self.roles(), self.corpora(), strict=True):
            if role != "train" and corpus.share is not None:
                raise ValueError(f"{role}.share = {corpus.share:g} has no effect; a share is for [[data.train]]")
        return self

    def corpora(self) -> tuple[CorpusConfig, ...]:
        """Return the training corpora, followed by those of the validation, the general and the test one, if any."""
        return (*self.train, *self.valid, *(corpus for corpus in (self.general, self.test) if corpus))

    def roles(self) -> tuple[str, ...]:
        """Return what each of ``corpora()`` is for: train, valid, general or test."""
        others = [name for name in ("general", "test") if getattr(self, name)]
        return (*("train" for _ in self.train), *("valid" for _ in self.valid), *others)

    def split_without_leaks(self) -> SplitConfig | None:
        """Return how text is held out without leaks; None if pairs are held out at random, or not at all."""
        needs_it = self.test is not None or any(corpus.files for corpus in self.train)
        return self.split or (SplitConfig() if needs_it else None)

    def languages_of(self, corpus: CorpusConfig) -> tuple[str, str]:
        """Return the codes of source and target of a corpus.

        Raises:
            ConfigError: its files have texts in several languages, and a code is not set.
        """
        codes = (corpus.src_lang or self.src_lang, corpus.tgt_lang or self.tgt_lang)
        names = ("src_lang", "tgt_lang")
        unset = [n for n, code in zip(names, codes, strict=True) if code == type(self).model_fields[n].default]
        if corpus.files and unset:
            options = " and ".join(f"--{name.replace('_', '-')}" for name in unset)
            raise ConfigError(
                f"{corpus.label()}: the languages to read are not set; give {options}, such as --src-lang de"
            )
        return codes

    def tag_of(self, corpus: CorpusConfig) -> str:
        """Return the tag of a corpus's sources, or "".

        Raises:
            ConfigError: the tag needs the code of the target language, which is not set.
        """
        template = corpus.tag or self.tag
        language = corpus.tgt_lang or self.tgt_lang
        if _TARGET in template and language == type(self).model_fields["tgt_lang"].default:
            raise ConfigError(
                f"data.tag = {template!r} needs the target language of {corpus.label()}; set tgt_lang of that corpus, "
                "or data.tgt_lang"
            )
        return template.replace(_TARGET, language)

    def below(self, folder: Path) -> DataConfig:
        """Return the same corpora with relative files in ``folder``."""
        return self.model_copy(
            update={
                "train": tuple(c.below(folder) for c in self.train),
                "valid": tuple(c.below(folder) for c in self.valid),
                "general": self.general.below(folder) if self.general else None,
                "test": self.test.below(folder) if self.test else None,
            }
        )


class TokenizerConfig(Section):
    """How text is cut into pieces. Options of SentencePiece keep the names that it gives them.

    With ``kind = "bytes"`` nothing is trained, and only ``lowercase`` acts. A run that starts from a model
    (``--init-from``) uses that model's tokenizer, and none of these settings act.
    """

    kind: Literal["sentencepiece", "bytes"] = "sentencepiece"
    """``sentencepiece`` learns pieces from the training text; ``bytes`` makes every byte of UTF-8 a piece."""
    joint: bool = True
    """One set of pieces for both languages (section 5.1), which tied tables need; false learns one for each."""
    vocab_size: int | Literal["auto"] = "auto"
    """Number of pieces, specials included; ``auto`` is 8,000, fewer for little text, more for a large alphabet."""
    model_type: Literal["unigram", "bpe"] = "unigram"
    """``unigram``: Kudo 2018. ``bpe``: byte-pair encoding, Sennrich et al. 2016, the paper's (section 5.1)."""
    character_coverage: float = Field(0.9995, ge=0.98, le=1)
    """Share of the text's characters that get pieces, most common first; SentencePiece allows 0.98 and more."""
    byte_fallback: bool = True
    """Write a character without a piece as byte pieces; false makes it the unknown piece."""
    input_sentence_size: int = Field(2_000_000, ge=1)
    """Limit of sentences that SentencePiece learns from; a larger text is sampled at random, by the seed."""
    lowercase: bool = False
    """Lowercase both sides first, so that translations are lowercase too."""

    @model_validator(mode="after")
    def _bytes_learn_nothing(self) -> Self:
        idle = sorted(self.model_fields_set - {"kind", "joint", "lowercase"})
        changed = [name for name in idle if getattr(self, name) != type(self).model_fields[name].default]
        if self.kind == "bytes" and changed:
            raise ValueError(f"kind = 'bytes' needs no training, so {', '.join(changed)} cannot act; leave them out")
        return self

    @field_validator("vocab_size", mode="before")
    @classmethod
    def _size_is_possible(cls, value: object) -> object:
        if isinstance(value, str) and value != "auto":
            raise ValueError(f"{value!r} is not a size; use 'auto' or a number of pieces")
        if isinstance(value, int) and value < 8:
            raise ValueError(f"{value} is too small; use 'auto', or 300 or more")
        return value
