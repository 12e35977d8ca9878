"""Split text into the words that links and referents count in.

One rule for both languages: a French elided word ends at its apostrophe (`l'` `animal`), an English possessive `'s`
is a word of its own, and everything else between spaces or punctuation marks is one word, hyphens and inner
apostrophes included (`didn't`, `grand-père`, `est-ce`, `aujourd'hui`). Every punctuation mark is a word.
"""

import re

_WORD = re.compile(
    r"(?i:\b(?:lorsqu|puisqu|jusqu|qu|[cdjlmnst])'(?=\w))"  # an elided word, up to its apostrophe
    r"|'s\b"  # the English possessive
    r"|\w+(?:-\w+)*(?:'(?!s\b)\w+)?"  # an ordinary word
    r"|[^\w\s]"  # a punctuation mark
)


def split_words(text: str) -> list[str]:
    """Return the words of an English or French sentence of this corpus, in order, from index 0."""
    return _WORD.findall(text)
