"""Write one sentence in two languages at once, with its word links.

A `Fragment` is a piece of both sides. Each of its words has a mask with one bit for every meaning that it expresses.
An English and a French word are linked when their masks share a bit, so "du" (de + le) is linked to both "of" and
"the". Fragments are immutable and cached; a `Sentence` appends them and shifts their masks so that bits never clash.

Read next: `phrases.py`, which builds the fragments.
"""

from functools import cache
from typing import NamedTuple

from pellucid.sample.morphology_french import elide
from pellucid.sample.records import Referent

Words = tuple[tuple[str, int], ...]  # each word with its mask


class Fragment(NamedTuple):
    """Hold the words of both sides; `width` is the number of bits that their masks use."""

    english: Words
    french: Words
    width: int


class Agreement(NamedTuple):
    """Describe what a verb, an adjective or a pronoun agrees with; `mask` identifies its head word in the sentence."""

    person: int
    feminine: bool
    plural: bool
    mask: int = 0


@cache
def pair(english: str, french: str) -> Fragment:
    """Return a fragment that links every English word to every French word; spaces separate the words."""
    return Fragment(tuple((word, 1) for word in english.split()), tuple((word, 1) for word in french.split()), 1)


class Sentence:
    """Collect the words of both sides from left to right.

    Words are appended in lower case and without elision. `source` and `target` return the final text; after them,
    `english` and `french` hold the words into which `split_words` splits it.
    """

    __slots__ = ("_referents", "_shift", "english", "english_masks", "french", "french_masks")

    def __init__(self) -> None:
        self.english: list[str] = []
        self.english_masks: list[int] = []
        self.french: list[str] = []
        self.french_masks: list[int] = []
        self._shift = 0
        self._referents: list[tuple[int, int]] = []

    def add(self, fragment: Fragment) -> int:
        """Append both sides of a fragment and return how far its masks were shifted."""
        shift = self.begin(fragment.width)
        self.write_at(shift, fragment)
        return shift

    def begin(self, width: int) -> int:
        """Reserve `width` bits for fragments whose parts are not adjacent, and return the shift for `write_at`."""
        shift = self._shift
        self._shift = shift + width
        return shift

    def write_at(self, shift: int, fragment: Fragment) -> None:
        """Append both sides of a fragment with its masks moved by `shift`."""
        self.english += [word for word, _ in fragment.english]
        self.french += [word for word, _ in fragment.french]
        self.english_masks += [mask << shift for _, mask in fragment.english]
        self.french_masks += [mask << shift for _, mask in fragment.french]

    def both(self, english: str, french: str) -> int:
        """Append words that mean each other and return their mask; one side may be empty."""
        return 1 << self.add(pair(english, french))

    def refer(self, pronoun: int, antecedent: int) -> None:
        """Record that the words with mask `pronoun` refer to the noun with mask `antecedent`."""
        self._referents.append((pronoun, antecedent))

    def source(self) -> str:
        """Return the English sentence; call it once, after the last word."""
        self.english[0] = self.english[0][0].upper() + self.english[0][1:]
        text = " ".join(self.english)
        return text.replace(" .", ".").replace(" ,", ",").replace(" ?", "?").replace(" 's", "'s")

    def target(self) -> str:
        """Return the French sentence, with a space before a question mark; call it once, after the last word."""
        elide(self.french)
        self.french[0] = self.french[0][0].upper() + self.french[0][1:]
        return " ".join(self.french).replace("' ", "'").replace(" .", ".").replace(" ,", ",")

    def links(self) -> tuple[tuple[int, int], ...]:
        """Return the pairs of linked (English, French) word indices, sorted."""
        right = list(enumerate(self.french_masks))
        return tuple((i, j) for i, left in enumerate(self.english_masks) for j, mask in right if left & mask)

    def referents(self) -> tuple[Referent, ...]:
        """Return the word indices of each pronoun and its noun on both sides."""
        return tuple(
            Referent(
                _first(self.english_masks, pronoun),
                _first(self.english_masks, antecedent),
                _first(self.french_masks, pronoun),
                _first(self.french_masks, antecedent),
            )
            for pronoun, antecedent in self._referents
        )


def _first(masks: list[int], wanted: int) -> int:
    return next(index for index, mask in enumerate(masks) if mask & wanted)
