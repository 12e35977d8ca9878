"""The one declared change made to text before it is cut into pieces.

Unicode NFC writes "é" in one way only, so that the same word gives the same pieces whatever keyboard
it was typed on; it changes nothing that a reader can see. SentencePiece's own default (NFKC with extras)
would rewrite full-width punctuation and no-break spaces, which Chinese, Japanese and French need.
Read ``vocabulary.py`` next.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final, Literal

from pellucid.errors import RequestError

__all__ = ["FORMS", "Form", "Normaliser"]

Form = Literal["nfc", "none"]
FORMS: Final[tuple[Form, ...]] = ("nfc", "none")


@dataclass(frozen=True)
class Normaliser:
    """A function from text to text, written down by name in ``tokenizer.json``; idempotent."""

    form: Form = "nfc"
    lowercase: bool = False

    def __call__(self, text: str) -> str:
        """Return the text as the segmenter sees it."""
        if self.lowercase:
            text = text.lower()
        return unicodedata.normalize("NFC", text) if self.form == "nfc" else text

    def all(self, texts: list[str]) -> list[str]:
        """Return many texts normalised.

        Raises:
            RequestError: a text holds a lone surrogate, which is no character and has no UTF-8 form.
        """
        normalised = [self(text) for text in texts]
        try:
            "".join(normalised).encode("utf-8")
        except UnicodeEncodeError:
            _raise_at_surrogate(texts)
        return normalised


def _raise_at_surrogate(texts: list[str]) -> None:
    for index, text in enumerate(texts):
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise RequestError(
                f"text {index}: character {error.start} is the lone surrogate U+{ord(text[error.start]):04X}, which is "
                "no character; the text was decoded wrongly somewhere, so remove it (texts and characters from 0)"
            ) from None
    # Two halves at the seam of two texts would make a pair only in UTF-16; in a Python string they stay two.
    raise RequestError("a text holds a lone surrogate, which is no character; remove it")
