r"""Make untrusted text safe to show in a terminal.

Names of files, tensors and languages, unknown keys and sentences are untrusted. A terminal obeys control characters in
them: an escape sequence can move the cursor, hide a line, or rename the window, and a direction mark can reverse the
rest of the line. These functions replace them by escapes such as ``\x1b`` and ``\u202e``.

``cli/console.py`` writes every message and every result through these functions; read it next.
"""

from __future__ import annotations

import io
import re
from typing import Final, TextIO, cast

__all__ = ["line_of", "shown_on", "visible"]

_CONTROLS: Final = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
_TURNS: Final = r"\u202a-\u202e\u2066-\u2069"
"""They reverse any text after them."""
_MARKS: Final = r"\u061c\u200e\u200f"
"""They only affect the punctuation beside them; Arabic and Hebrew sentences need them, names do not."""

_IN_SENTENCES: Final = re.compile(f"[{_CONTROLS}{_TURNS}]")
_IN_MESSAGES: Final = re.compile(f"[{_CONTROLS}{_TURNS}{_MARKS}]")
_IN_LINES: Final = re.compile(f"[\t\n{_CONTROLS}{_TURNS}{_MARKS}]")


def visible(text: str) -> str:
    """Return a message with its control characters and direction marks escaped; line feeds and tabs stay."""
    return _IN_MESSAGES.sub(_escaped, text)


def line_of(text: str) -> str:
    """Return a name or a sentence as part of one line: like ``visible``, with line feeds and tabs escaped too."""
    return _IN_LINES.sub(_escaped, text)


def shown_on(stream: TextIO) -> TextIO:
    """Return a stream for sentences that escapes control characters if ``stream`` is a terminal, not a file or a pipe.

    The direction marks that Arabic and Hebrew sentences need stay.
    """
    return cast(TextIO, _Terminal(stream)) if stream.isatty() else stream


class _Terminal(io.TextIOBase):
    """A terminal that shows control characters as escapes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(_IN_SENTENCES.sub(_escaped, text))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
