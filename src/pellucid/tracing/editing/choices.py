"""Edits of words and pieces: force a target piece, ban one, replace or drop a source word. Read ``text.py`` next.

They change what is translated or what may be written, not a value inside the model. Word edits apply to the source
first. A forced piece keeps what the model writes before it; everything after it is translated again. Several forced
pieces apply in the order of their steps.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pellucid.errors import RequestError, counted
from pellucid.text.vocabulary import WORD_BOUNDARY
from pellucid.tracing.editing.refusal import EditError
from pellucid.translation.alignment.words import Word

if TYPE_CHECKING:
    from pellucid.text.tokenizer import Tokenizer

__all__ = ["BanPiece", "ChangeWord", "Choice", "ForcePiece", "ids_of", "with_words"]


@dataclass(frozen=True)
class ForcePiece:
    """The translation has this piece at a step, counted from 0.

    A text that is no piece is written with several, at this step and the next ones; it begins a word if it begins with
    U+2581, or else continues the word before it.
    """

    step: int
    piece: str

    def __post_init__(self) -> None:
        if isinstance(self.step, bool) or not isinstance(self.step, int) or self.step < 0:
            raise RequestError(f"step = {self.step!r}; steps are whole numbers from 0")
        if not isinstance(self.piece, str) or not self.piece:
            raise RequestError(f"step.{self.step}: the piece is {self.piece!r}; give a text that is not empty")

    def __str__(self) -> str:
        return f"step.{self.step}={json.dumps(self.piece, ensure_ascii=False)}"


@dataclass(frozen=True)
class BanPiece:
    """The translation never has this piece."""

    piece: str

    def __post_init__(self) -> None:
        if not isinstance(self.piece, str) or not self.piece:
            raise RequestError(f"ban: the piece is {self.piece!r}; give a text that is not empty")

    def __str__(self) -> str:
        return f"ban={json.dumps(self.piece, ensure_ascii=False)}"


@dataclass(frozen=True)
class ChangeWord:
    """Another text stands in the place of a source word; None drops the word. Words are those of the trace, from 0."""

    word: int
    text: str | None

    def __post_init__(self) -> None:
        if isinstance(self.word, bool) or not isinstance(self.word, int) or self.word < 0:
            raise RequestError(f"word = {self.word!r}; words are numbered from 0")
        if self.text is not None and not (isinstance(self.text, str) and self.text.strip()):
            raise RequestError(f"word.{self.word}: the text is {self.text!r}; give a word, or drop")

    def __str__(self) -> str:
        text = "drop" if self.text is None else json.dumps(self.text, ensure_ascii=False)
        return f"word.{self.word}={text}"


Choice = ForcePiece | BanPiece | ChangeWord


def with_words(text: str, words: Sequence[Word], changes: Sequence[ChangeWord]) -> str:
    """Return a text with words replaced or dropped; ``words`` are those of its pieces, without the end of sentence.

    Raises:
        EditError: there is no such word, or it cannot be found in the text.
    """
    by_word: dict[int, ChangeWord] = {}
    for change in changes:
        if change.word >= len(words):
            raise EditError([(change, f"{change}: the sentence has words 0 to {len(words) - 1}")])
        by_word[change.word] = change
    parts, cursor = [], 0
    for number, word in enumerate(words):
        start = text.find(word.text, cursor)
        if start < 0:
            reason = f"word.{number}: {word.text!r} is written otherwise in the text; edit the sentence itself"
            raise EditError([(change, reason) for change in changes])
        end = start + len(word.text)
        known = by_word.get(number)
        space = text[cursor:start]
        if known is None:
            parts += [space, text[start:end]]
        elif known.text is not None:
            parts += [space, known.text]
        cursor = end
    return "".join([*parts, text[cursor:]]).strip()


def ids_of(edit: ForcePiece | BanPiece, tokenizer: Tokenizer) -> tuple[int, ...]:
    """Return the target ids of the piece of an edit: one, or several if the vocabulary writes the text with several.

    Raises:
        RequestError: a ban names no piece of the vocabulary, or the end of the sentence.
    """
    specials = tokenizer.specials
    found = tokenizer.target_id(edit.piece)
    if found is None and edit.piece.startswith(WORD_BOUNDARY):  # in scripts without spaces, pieces have no boundary
        found = tokenizer.target_id(edit.piece.removeprefix(WORD_BOUNDARY))
    if found in (specials.pad, specials.bos):
        raise RequestError(f"{edit}: a translation never has {edit.piece!r}; name another piece")
    if isinstance(edit, BanPiece) and found == specials.eos:
        raise RequestError(f"{edit}: {edit.piece!r} ends the sentence and cannot be banned; ban another piece")
    if found is not None:
        return (found,)
    ids = _spelt(edit, tokenizer)
    if isinstance(edit, BanPiece) and len(ids) != 1:
        pieces = ", ".join(map(repr, tokenizer.target_pieces(ids)))
        begins = WORD_BOUNDARY + edit.piece
        known = begins if tokenizer.target_id(begins) is not None else tokenizer.target_pieces(ids[:1])[0]
        raise RequestError(
            f"{edit}: is no piece of the vocabulary, which writes it with {counted(len(ids), 'piece')} ({pieces}); ban "
            f"one piece, such as {known!r}"
        )
    return ids


def _spelt(edit: ForcePiece | BanPiece, tokenizer: Tokenizer) -> tuple[int, ...]:
    """Return the pieces that write a text which is none itself.

    Raises:
        RequestError: there are none.
    """
    text = edit.piece.replace(WORD_BOUNDARY, " ")
    if text.startswith(" "):
        (ids,) = tokenizer.encode_target([text[1:]])
    else:
        ids = tokenizer.continuation(text)
    if not ids or tokenizer.specials.unk in ids:
        raise RequestError(f"{edit}: the vocabulary has no pieces that write it; name another")
    return tuple(ids)
