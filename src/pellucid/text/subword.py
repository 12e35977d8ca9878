"""From text to the ids of its pieces and back: one side of a tokenizer, the tokenizer, and its files.

``tokenizer.json`` names and describes the other files: ``sentencepiece.model`` and ``vocabulary.json`` where both
sides share them, otherwise one of each with the prefix ``source.`` or ``target.``. ``tokenizer.py`` learns and loads a
tokenizer; read it next.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from copy import copy
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Final, Self

from pellucid.config import SpecialIds
from pellucid.durable import DISK
from pellucid.errors import BundleError, RequestError
from pellucid.text.normalisation import Normaliser, refuse_surrogates, without_invisible
from pellucid.text.sentencepiece.segmenter import Segmenter
from pellucid.text.sentencepiece.training import VocabularyChoice
from pellucid.text.spelling import Beginning, PieceIndex
from pellucid.text.vocabulary import Vocabulary, byte_piece
from pellucid.untrusted import shown

__all__ = ["DESCRIPTION_FILE", "FORMAT_NAME", "FORMAT_VERSION", "BytesTokenizer", "Side", "Tokenizer"]

FORMAT_NAME: Final = "pellucid tokenizer"
FORMAT_VERSION: Final = 1
DESCRIPTION_FILE: Final = "tokenizer.json"
_LINE_BREAKS: Final = re.compile(r"[\r\n]+")
_NO_BREAK_SPACES: Final = ("\u00a0", "\u202f")
Ids = list[int]


class Side:
    """One side of a tokenizer: a normaliser, a segmenter (None: each byte is a piece) and a vocabulary.

    ``by_spelling`` is for models of other tools: pieces are looked up by their text, so the vocabulary can know a piece
    that this side's segmenter lacks.
    """

    def __init__(
        self,
        normaliser: Normaliser,
        segmenter: Segmenter | None,
        vocabulary: Vocabulary,
        *,
        by_spelling: bool = False,
    ) -> None:
        self.normaliser = normaliser
        self.segmenter = segmenter
        self.vocabulary = vocabulary
        pieces = segmenter.pieces if segmenter else tuple(byte_piece(b) for b in range(256))
        specials = vocabulary.specials
        forbidden = {specials.pad, specials.bos, specials.eos, *(vocabulary.ids[t] for t in vocabulary.tags)}
        found = [vocabulary.ids.get(piece, specials.unk) for piece in pieces]
        # Text never becomes a special id, even if a foreign segmenter has the word "</s>".
        self._ids = [specials.unk if i in forbidden else i for i in found]
        self._spelt = {p: i for p, i in vocabulary.ids.items() if i not in forbidden} if by_spelling else None
        self._strip_prefix = segmenter is not None and segmenter.file.dummy_prefix
        longest_first = sorted(vocabulary.tags, key=len, reverse=True)
        self._leading_tag = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        """Cut texts into ids."""
        return self._cut(self.normaliser.all(texts))

    def _cut(self, normalised: list[str]) -> list[Ids]:
        table = self._ids
        if self.segmenter is None:
            return [[table[b] for b in text.encode("utf-8")] for text in normalised]
        if (spelt := self._spelt) is not None:
            unk = self.vocabulary.specials.unk
            return [[spelt.get(piece, unk) for piece in pieces] for pieces in self.segmenter.spell(normalised)]
        return [[table[i] for i in ids] for ids in self.segmenter.encode(normalised)]

    def ids_of(self, segmented: Sequence[int]) -> Ids:
        """Return our ids of the segmenter's ids."""
        if self._spelt is not None and self.segmenter is not None:
            unk = self.vocabulary.specials.unk
            return [self._spelt.get(self.segmenter.pieces[i], unk) for i in segmented]
        return [self._ids[i] for i in segmented]

    def encode_tagged(self, texts: Sequence[str]) -> list[Ids]:
        """Cut texts into ids; a language tag at the start, and white space around it, becomes the tag's id."""
        if not self.vocabulary.tags:
            return self.encode(texts)
        refuse_surrogates(texts)
        split = [self.split_tag(text) for text in texts]
        bodies = self.normaliser.all([body for _, body in split])
        if self._spelt is not None:
            # Models of other tools were trained with the space after a tag as part of the text.
            bodies = [
                f" {body}" if given[:1].isspace() else body for (_, given), body in zip(split, bodies, strict=True)
            ]
        return [
            [self.vocabulary.ids[tag], *ids] if tag else ids
            for (tag, _), ids in zip(split, self._cut(bodies), strict=True)
        ]

    def split_tag(self, text: str) -> tuple[str, str]:
        """Return the language tag at the start of a text, or "", and the rest of the text with its white space."""
        if not self.vocabulary.tags:
            return "", text
        visible = without_invisible(text).lstrip()
        found = self._leading_tag.match(visible)
        return (found[0], visible[found.end() :]) if found else ("", text)

    def begin(self, text: str) -> Beginning:
        """Return the pieces that a text starting with ``text`` can start with; see ``Tokenizer.begin_target``."""
        (body,) = self.normaliser.all([_LINE_BREAKS.sub(" ", text)])
        body = body.strip()
        space = text[len(text.rstrip()) :]
        if body and space:
            body += space if space in _NO_BREAK_SPACES else " "
        cut = max(body.rfind(" "), 0)
        (ids,) = self.encode([body[:cut]]) if cut else ([],)
        wanted = (" " if self._strip_prefix and body else "") + body
        written = b"".join(self.vocabulary.surfaces[index] for index in ids)
        if written.decode("utf-8", errors="replace") != wanted[: len(wanted) - len(body) + cut] or not cut:
            ids, written = [], b""  # the segmenter rewrites text, so no piece is certain
        return Beginning(tuple(ids), wanted.encode("utf-8")[len(written) :], self._piece_index)

    def continuation(self, text: str) -> Ids:
        """Return the fewest pieces that write exactly this text; none where no pieces do."""
        (body,) = self.normaliser.all([text])
        return self._piece_index.fewest(body.encode("utf-8"))

    @cached_property
    def _piece_index(self) -> PieceIndex:
        return PieceIndex(self.vocabulary.surfaces, left_out={self.vocabulary.specials.unk})

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Join ids to texts."""
        size = len(self.vocabulary)
        for row in ids:
            if row and not 0 <= min(row) <= max(row) < size:
                wrong = next(i for i in row if not 0 <= i < size)
                raise RequestError(f"piece id {wrong} is outside this vocabulary; ids are 0 to {size - 1}")
        return [self.vocabulary.text(row, strip_prefix=self._strip_prefix) for row in ids]


class Tokenizer:
    """A segmenter and a vocabulary for each side. Ids are those of pieces only: no bos, no eos.

    Args:
        source: the source side.
        target: the target side; the same object as ``source`` if joint.
        choices: the size of each vocabulary, and the reason for it.
        training: the facts of its training, for ``tokenizer.json``.
        partial_vocabulary: the vocabulary may lack pieces of the segmenter, as in models of other tools; the sides
            then look pieces up by their spelling.
    """

    kind: Final = "sentencepiece"

    def __init__(
        self,
        source: Side,
        target: Side,
        *,
        choices: Sequence[VocabularyChoice] = (),
        training: dict[str, object] | None = None,
        partial_vocabulary: bool = False,
    ) -> None:
        self.source = source
        self.target = target
        self.choices = tuple(choices)
        self.training: dict[str, object] = dict(training or {})
        self.partial_vocabulary = partial_vocabulary
        self.default_tag = ""
        """The language tag of source texts that begin with none; empty if there is no such tag."""
        if source.vocabulary.specials != target.vocabulary.specials:
            raise ValueError("the special ids of both sides must be equal")

    @property
    def joint(self) -> bool:
        """Whether one segmenter and one vocabulary serve both sides."""
        return self.source is self.target

    @property
    def specials(self) -> SpecialIds:
        """Ids of the special pieces, on both sides."""
        return self.source.vocabulary.specials

    @property
    def source_vocab_size(self) -> int:
        """Number of source ids."""
        return len(self.source.vocabulary)

    @property
    def target_vocab_size(self) -> int:
        """Number of target ids."""
        return len(self.target.vocabulary)

    @cached_property
    def fingerprint(self) -> str:
        """Digest of everything that decides which ids a text gets."""
        digest = hashlib.sha256()
        for side in (self.source, self.target):
            digest.update(repr((self.kind, side.normaliser, side.vocabulary.specials)).encode())
            digest.update(hashlib.sha256(side.vocabulary.to_json()).digest())
            digest.update(hashlib.sha256(side.segmenter.model if side.segmenter else b"").digest())
        digest.update(self.default_tag.encode())
        return digest.hexdigest()

    @property
    def source_tags(self) -> tuple[str, ...]:
        """Language tags that can start a source text."""
        return self.source.vocabulary.tags

    def with_default_tag(self, tag: str) -> Self:
        """Return the same tokenizer with a language tag for source texts that begin with none; "" is no such tag.

        Raises:
            BundleError: it is not one of the tags of this tokenizer.
        """
        if tag and tag not in self.source_tags:
            known = ", ".join(self.source_tags) or "none"
            raise BundleError(f"default_tag = {shown(tag)} is not a tag of the tokenizer (its tags: {known})")
        other = copy(self)
        other.__dict__.pop("fingerprint", None)  # it was of the other tag
        other.default_tag = tag
        return other

    def split_tag(self, text: str) -> tuple[str, str]:
        """Return the language tag at the start of a source text, or "", and the rest of the text."""
        return self.source.split_tag(text)

    def encode_source(self, texts: Sequence[str]) -> list[Ids]:
        """Cut source texts into pieces; a language tag at the start, or the default tag, becomes its own piece.

        Raises:
            RequestError: a text holds a lone surrogate.
        """
        found = self.source.encode_tagged(texts)
        if not self.default_tag:
            return found
        tag = self.source.vocabulary.ids[self.default_tag]
        return [ids if self.split_tag(text)[0] else [tag, *ids] for text, ids in zip(texts, found, strict=True)]

    def encode_target(self, texts: Sequence[str]) -> list[Ids]:
        """Cut target texts into pieces.

        Raises:
            RequestError: a text holds a lone surrogate.
        """
        return self.target.encode(texts)

    def begin_target(self, text: str) -> Beginning:
        """Return the pieces that a target text starting with ``text`` can start with.

        The text is normalised as in training. White space at the end means that the last word is complete; it becomes a
        single space or no-break space.

        Raises:
            RequestError: the text holds a lone surrogate.
        """
        return self.target.begin(text)

    def continuation(self, text: str) -> Ids:
        """Return the fewest target pieces that write a text within a word, so without a space before it.

        There are none where no pieces of the vocabulary write it.
        """
        return self.target.continuation(text)

    def decode_target(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Join target pieces to text; specials are skipped, an unknown piece becomes U+2047."""
        return self.target.decode(ids)

    def decode_source(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Join source pieces to text, as ``decode_target`` does."""
        return self.source.decode(ids)

    def source_pieces(self, ids: Sequence[int]) -> list[str]:
        """Return the pieces of source ids; specials are ``<pad> <unk> <s> </s>``."""
        return [self.source.vocabulary.piece(i) for i in ids]

    def target_pieces(self, ids: Sequence[int]) -> list[str]:
        """Return the pieces of target ids; specials are ``<pad> <unk> <s> </s>``."""
        return [self.target.vocabulary.piece(i) for i in ids]

    def source_id(self, piece: str) -> int | None:
        """Return the source id of a piece, or None."""
        return self.source.vocabulary.ids.get(piece)

    def target_id(self, piece: str) -> int | None:
        """Return the target id of a piece, or None."""
        return self.target.vocabulary.ids.get(piece)

    def save(self, folder: Path) -> list[str]:
        """Write the tokenizer's files into a folder that exists; return their names."""
        contents: dict[str, bytes] = {}
        files: dict[str, dict[str, str]] = {}
        for name, side in (("source", self.source), ("target", self.target)):
            prefix = "" if self.joint else f"{name}."
            own = {"vocabulary": f"{prefix}vocabulary.json"}
            contents[own["vocabulary"]] = side.vocabulary.to_json()
            if side.segmenter is not None:
                own["segmenter"] = f"{prefix}sentencepiece.model"
                contents[own["segmenter"]] = side.segmenter.model
            files[name] = own
        description = {
            "format": FORMAT_NAME,
            "format_version": FORMAT_VERSION,
            "kind": self.kind,
            "normaliser": self.source.normaliser.form,
            "lowercase": self.source.normaliser.lowercase,
            "joint": self.joint,
            "specials": self.specials.model_dump(),
            "tags": list(self.source.vocabulary.tags),
            "partial_vocabulary": self.partial_vocabulary,
            "files": files,
            "sha256": {name: hashlib.sha256(raw).hexdigest() for name, raw in contents.items()},
            "vocabularies": [asdict(choice) for choice in self.choices],
            "training": self.training,
        }
        contents[DESCRIPTION_FILE] = (json.dumps(description, ensure_ascii=False, indent=2) + "\n").encode()
        for name, raw in contents.items():
            DISK.write_replacing(folder / name, raw)
        return list(contents)


class BytesTokenizer(Tokenizer):
    """Every UTF-8 byte is a piece: 256 pieces and the specials. Needs no training; for tests and rare alphabets."""

    kind: Final = "bytes"  # type: ignore[misc]

    def __init__(
        self,
        *,
        specials: SpecialIds | None = None,
        tags: Sequence[str] = (),
        normaliser: Normaliser | None = None,
    ) -> None:
        pieces = [byte_piece(b) for b in range(256)]
        vocabulary = Vocabulary.build(pieces, specials=specials or SpecialIds(), tags=tags)
        side = Side(normaliser or Normaliser(), None, vocabulary)
        super().__init__(side, side)
