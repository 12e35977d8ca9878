"""Write one sentence in two languages at once, with its word links.

A `Fragment` is a piece of both sides. Each of its words carries a mask: a bit for every meaning it expresses. An
English and a French word are linked when their masks share a bit, so "du" (de + le) is linked to both "of" and
"the". Fragments are immutable and cached; a `Sentence` appends them and shifts their masks so that bits never clash.

Read next: `phrases.py`, which makes the fragments.
"""

from functools import cache
from typing import NamedTuple

from pellucid.sample.morphology_french import elide
from pellucid.sample.records import Referent


class Fragment(NamedTuple):
    """Hold words of both sides, a mask for each, and `width`, the number of bits that the masks use."""

    english: tuple[str, ...]
    english_masks: tuple[int, ...]
    french: tuple[str, ...]
    french_masks: tuple[int, ...]
    width: int


class Agreement(NamedTuple):
    """Say what a verb, an adjective or a pronoun agrees with; `mask` finds the head word in the sentence."""

    person: int
    feminine: bool
    plural: bool
    mask: int = 0


@cache
def pair(english: str, french: str) -> Fragment:
    """Make a fragment in which every English word means every French word; words stand between spaces."""
    left, right = tuple(english.split()), tuple(french.split())
    return Fragment(left, (1,) * len(left), right, (1,) * len(right), 1)


class Sentence:
    """Collect the words of both sides from left to right.

    Words are written in lower case and without elision; `source` and `target` make the surface, and leave in
    `english` and `french` the words that `split_words` would find in it.
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
        """Set `width` bits aside for fragments whose parts stand apart, and return the shift to write them with."""
        shift = self._shift
        self._shift = shift + width
        return shift

    def write_at(self, shift: int, fragment: Fragment) -> None:
        """Append both sides of a fragment with its masks moved by `shift`."""
        self.english += fragment.english
        self.french += fragment.french
        self.english_masks += [mask << shift for mask in fragment.english_masks]
        self.french_masks += [mask << shift for mask in fragment.french_masks]

    def both(self, english: str, french: str) -> int:
        """Append words that mean each other and return their mask; one side may be empty."""
        return 1 << self.add(pair(english, french))

    def refer(self, pronoun: int, antecedent: int) -> None:
        """Note that the words with mask `pronoun` stand for the noun with mask `antecedent`."""
        self._referents.append((pronoun, antecedent))

    def source(self) -> str:
        """Return the English sentence; call it once, when every word is written."""
        self.english[0] = self.english[0][0].upper() + self.english[0][1:]
        text = " ".join(self.english)
        return text.replace(" .", ".").replace(" ,", ",").replace(" ?", "?").replace(" 's", "'s")

    def target(self) -> str:
        """Return the French sentence, an ordinary space before a question mark; call it once, at the end."""
        elide(self.french)
        self.french[0] = self.french[0][0].upper() + self.french[0][1:]
        return " ".join(self.french).replace("' ", "'").replace(" .", ".").replace(" ,", ",")

    def links(self) -> tuple[tuple[int, int], ...]:
        """Return the linked (English, French) word indices in order."""
        right = list(enumerate(self.french_masks))
        return tuple((i, j) for i, left in enumerate(self.english_masks) for j, mask in right if left & mask)

    def referents(self) -> tuple[Referent, ...]:
        """Return for each pronoun where it stands and where its noun stands, on both sides."""
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
