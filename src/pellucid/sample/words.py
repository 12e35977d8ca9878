"""Split text into the words that links and referents index.

The rule is the same for both languages: a French elided word ends at its apostrophe (`l'` `animal`), the English
possessive `'s` is a separate word, and each punctuation mark is a word. Everything else between spaces is one word,
including hyphens and inner apostrophes (`didn't`, `grand-père`, `est-ce`, `aujourd'hui`).
"""

import re

_WORD = re.compile(
    r"(?i:\b(?:lorsqu|puisqu|jusqu|qu|[cdjlmnst])'(?=\w))"  # an elided word, up to its apostrophe
    r"|'s\b"  # the English possessive
    r"|\w+(?:-\w+)*(?:'(?!s\b)\w+)?"  # an ordinary word
    r"|[^\w\s]"  # a punctuation mark
)


def split_words(text: str) -> list[str]:
    """Return the words of an English or French sentence of this corpus, in order."""
    return _WORD.findall(text)
