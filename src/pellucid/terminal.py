r"""Text that is safe to show in a terminal: no character of a stranger may command it.

Names of files, of tensors and of languages, unknown keys and sentences come from other people. A terminal obeys the
control characters in them: an escape sequence moves the cursor, hides a line, or renames the window, and a mark of
direction turns the rest of the line round. Here they are spelt out, as in ``\x1b`` and ``\u202e``.

``cli/console.py`` writes every message and every result through these functions; read it next.
"""

from __future__ import annotations

import io
import re
from typing import Final, TextIO, cast

__all__ = ["line_of", "shown_on", "visible"]

_CONTROLS: Final = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
_TURNS: Final = r"\u202a-\u202e\u2066-\u2069"
"""They turn the text after them round, whatever it is."""
_MARKS: Final = r"\u061c\u200e\u200f"
"""They only place the punctuation beside them, and Arabic and Hebrew sentences need them; names do not."""

_IN_SENTENCES: Final = re.compile(f"[{_CONTROLS}{_TURNS}]")
_IN_MESSAGES: Final = re.compile(f"[{_CONTROLS}{_TURNS}{_MARKS}]")
_IN_LINES: Final = re.compile(f"[\t\n{_CONTROLS}{_TURNS}{_MARKS}]")


def visible(text: str) -> str:
    """Return a message with its control characters and marks of direction spelt out; line feeds and tabs stay."""
    return _IN_MESSAGES.sub(_spelt, text)


def line_of(text: str) -> str:
    """Return a name or a sentence as a part of one line: as ``visible``, with line feeds and tabs spelt out too."""
    return _IN_LINES.sub(_spelt, text)


def shown_on(stream: TextIO) -> TextIO:
    """Return where to write sentences: a terminal gets their control characters spelt out, a file or a pipe does not.

    The marks that Arabic and Hebrew sentences need stay.
    """
    return cast(TextIO, _Terminal(stream)) if stream.isatty() else stream


class _Terminal(io.TextIOBase):
    """A terminal that is written to with control characters spelt out."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(_IN_SENTENCES.sub(_spelt, text))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()


def _spelt(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
