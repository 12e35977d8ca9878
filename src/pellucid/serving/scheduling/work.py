"""The work of a request: its sentences, what became of them, and the batches they are translated in.

Read ``queue.py`` next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pellucid.translation.completion.alternatives import NextWord
from pellucid.translation.engines.dropping import Drops
from pellucid.translation.hypothesis import Translation

if TYPE_CHECKING:
    from pellucid.translation.translator import Translator

__all__ = ["Batch", "Group", "Outcome", "Sentence", "Work"]

Outcome = Translation | list[NextWord] | Exception
"""What became of a sentence: its translation, the next words, or why the translator failed."""


@dataclass(frozen=True)
class Sentence:
    """A text that the translator gets; ``tokens`` counts the pieces of its source, with the end of sentence."""

    text: str
    tokens: int
    prefix: str = ""


@dataclass(frozen=True)
class Group:
    """What sentences of one batch have in common: the model, and the settings of the search."""

    translator: Translator
    settings: tuple[tuple[str, object], ...] = ()
    completes: tuple[str, int] | None = None
    """What is typed of a translation, and how many next words are wanted; None: translations are."""


@dataclass(eq=False)
class Work:
    """A request in the queue.

    Args:
        group: of all its sentences.
        sentences: at least one.
        deadline: time of the clock of the queue after which none of them is begun.
        is_bulk: waits behind those that are not.
        on_done: called from a thread of the workers with the number of each sentence that is done, in any order. The
            result is an exception where the translator failed.
    """

    group: Group
    sentences: Sequence[Sentence]
    deadline: float
    on_done: Callable[[list[tuple[int, Outcome]]], None]
    is_bulk: bool = False
    waiting: deque[int] = field(init=False)
    """Sentences that no batch has."""
    running: dict[int, tuple[Drops, int]] = field(default_factory=dict, init=False)
    """For each sentence of a batch its place there."""
    is_begun: bool = field(default=False, init=False)
    is_cancelled: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.waiting = deque(range(len(self.sentences)))

    @property
    def tokens(self) -> int:
        """Tokens that wait or are being translated."""
        return sum(self.sentences[number].tokens for number in (*self.waiting, *self.running))


@dataclass(frozen=True, eq=False)
class Batch:
    """Sentences that are translated together: the work of each, and its number there."""

    group: Group
    places: Sequence[tuple[Work, int]]
    drops: Drops

    @property
    def sentences(self) -> list[Sentence]:
        """The sentences, in order."""
        return [work.sentences[number] for work, number in self.places]

    @property
    def tokens(self) -> int:
        """Tokens of all sentences."""
        return sum(sentence.tokens for sentence in self.sentences)
