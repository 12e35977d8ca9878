"""The memory of a job: what ``engine.c`` reads of sentences, and where it writes what became of them.

Read ``beginnings.py`` next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate, chain
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pellucid.config import LengthPenalty, ModelConfig
from pellucid.errors import counted
from pellucid.translation.engines.native import layout
from pellucid.translation.engines.native.beginnings import tables_of
from pellucid.translation.engines.native.n_best import Lists
from pellucid.translation.hypothesis import AlignedHypothesis, Hypothesis, length_divisor, make_hypothesis
from pellucid.translation.prefixes import Prefix

__all__ = ["NOT_FINITE", "NO_MEMORY", "JobMemory", "Sampling", "SearchSettings", "Sentence"]

NOT_FINITE: Final = -1
NO_MEMORY: Final = -2


@dataclass(frozen=True)
class Sampling:
    """How pieces are drawn; see ``TranslationConfig`` for the meanings."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0


@dataclass(frozen=True)
class SearchSettings:
    """What ``engine.c`` is told of a search; see ``TranslationConfig`` for the meanings."""

    beam_size: int
    end_id: int
    n_best: int = 1
    length_penalty: LengthPenalty = LengthPenalty.AVERAGE
    alpha: float = 1.0
    min_length: int = 0
    no_repeat_ngram_size: int = 0
    forbidden_ids: tuple[int, ...] = ()
    sampling: Sampling | None = None
    """Draw pieces; ``beam_size`` is 1 then."""
    head: tuple[int, int] | None = None
    """Layer and head of the decoder whose cross-attention is wanted."""


@dataclass(frozen=True)
class Sentence:
    """What is to be translated: ids with the end of sentence."""

    source_ids: Sequence[int]
    limit: int
    """Most tokens of the translation, end of sentence included."""
    prefix: Prefix = field(default_factory=Prefix)
    uniform: NDArray[np.float64] | None = None
    """Random numbers of [0, 1), one for each of ``limit`` steps, where pieces are drawn."""


class JobMemory:
    """The arrays that a job points to, in the order in which sentences are taken: the longest first.

    Args:
        sentences: at least one.
        settings: of the search.
        config: of the model.
        key_of: see ``SearchRequest``.

    Raises:
        ValueError: an id is not within the model's vocabulary, or a sentence has more tokens than the model positions.
    """

    def __init__(
        self,
        sentences: Sequence[Sentence],
        settings: SearchSettings,
        *,
        config: ModelConfig,
        key_of: Callable[[Sequence[int]], Hashable] | None = None,
    ) -> None:
        self._order = sorted(range(len(sentences)), key=lambda i: -len(sentences[i].source_ids))
        self._settings = settings
        ordered = [sentences[i] for i in self._order]
        self._source_lengths = [len(one.source_ids) for one in ordered]
        limits = [one.limit for one in ordered]
        count = len(ordered)
        self._starts = [0, *accumulate(limits)]
        self._seen_starts = [0]
        if settings.head is not None:
            self._seen_starts += accumulate(map(math.prod, zip(limits, self._source_lengths, strict=True)))
        self._arrays: dict[str, NDArray[Any]] = {
            "source_ids": np.fromiter(chain.from_iterable(one.source_ids for one in ordered), np.int32),
            "source_starts": np.array([0, *accumulate(self._source_lengths)], np.int64),
            "limits": np.array(limits, np.int32),
            "result_starts": np.array(self._starts, np.int64),
            "ids": np.zeros(self._starts[-1], np.int32),
            "gains": np.zeros(self._starts[-1], np.float32),
            "lengths": np.zeros(count, np.int32),
            "is_finished": np.zeros(count, np.int32),
            "outcomes": np.full(count, NO_MEMORY, np.int32),
            "seen": np.zeros(self._seen_starts[-1], np.float32),
            "seen_starts": np.array(self._seen_starts, np.int64),
            "is_dropped": np.zeros(count, np.uint8),
        }
        if settings.sampling:
            self._arrays["uniform"] = np.concatenate([_numbers_of(one) for one in ordered])
        self._spelling = tables_of([one.prefix for one in ordered])
        for name in ("first_places", "most_pieces"):
            self._arrays[name] = self._spelling.pop(name)
        _refuse_strange(self._arrays["source_ids"], config.source_vocab_size, "source")
        _refuse_strange(self._spelling["way_ids"], config.target_vocab_size, "target")
        if max(*limits, *self._source_lengths) > config.max_positions:
            raise ValueError(f"a sentence is longer than the {config.max_positions} positions of the model")
        self._is_forbidden = _marked(settings.forbidden_ids, config.target_vocab_size)
        self._divisors = _divisors(settings.length_penalty, settings.alpha, config.max_positions)
        self._lists: Lists | None = None
        if settings.n_best > 1:
            self._lists = Lists(count, settings.n_best, key_of=key_of, read=self._hypothesis, stop=self._stop)
        self.record: Final = self._record()

    def _record(self) -> layout.Job:
        settings = self._settings
        layer, head = settings.head or (-1, -1)
        callbacks = {}
        if self._lists:
            callbacks = {"on_end": self._lists.on_end, "has_enough": self._lists.has_enough}
        sampling = settings.sampling or Sampling()
        return layout.Job(
            num_sentences=len(self._order),
            settings=layout.Settings(
                beam_size=settings.beam_size,
                min_length=settings.min_length,
                no_repeat_ngram_size=settings.no_repeat_ngram_size,
                end_id=settings.end_id,
                divisors=layout.address_of(self._divisors),
                is_forbidden=layout.address_of(self._is_forbidden),
                seen_layer=layer,
                seen_head=head,
                is_sampling=settings.sampling is not None,
                temperature=sampling.temperature,
                top_k=sampling.top_k,
                top_p=sampling.top_p,
            ),
            spelling=layout.Spelling(**{name: layout.address_of(array) for name, array in self._spelling.items()}),
            **{name: layout.address_of(array) for name, array in self._arrays.items()},
            **callbacks,
        )

    @property
    def problem(self) -> BaseException | None:
        """The error that ended the search too early, from ``key_of``."""
        return self._lists.problem if self._lists else None

    def drop(self, sentence: int) -> None:
        """Stop the search of a sentence, by its number in the call, at its next step; its result means nothing."""
        self._arrays["is_dropped"][self._order.index(sentence)] = 1

    def results(self) -> list[list[Hypothesis] | int]:
        """Return what became of each sentence, in the order of the call."""
        found: list[list[Hypothesis] | int] = [NO_MEMORY] * len(self._order)
        for place, sentence in enumerate(self._order):
            outcome = int(self._arrays["outcomes"][place])
            if outcome < 0:
                found[sentence] = outcome
            else:
                found[sentence] = self._lists.best(place) if self._lists else [self._hypothesis(place)]
        return found

    def _hypothesis(self, place: int) -> Hypothesis:
        """Return the hypothesis that stands in a sentence's place of the results."""
        start = self._starts[place]
        length = int(self._arrays["lengths"][place])
        hypothesis = make_hypothesis(
            self._arrays["ids"][start : start + length].tolist(),
            self._arrays["gains"][start : start + length].tolist(),
            is_finished=bool(self._arrays["is_finished"][place]),
            form=self._settings.length_penalty,
            alpha=self._settings.alpha,
        )
        if self._settings.head is None:
            return hypothesis
        width, first = self._source_lengths[place], self._seen_starts[place]
        seen = self._arrays["seen"][first : first + length * width].reshape(length, width)
        return AlignedHypothesis.of(hypothesis, seen.copy())

    def _stop(self) -> None:
        self.record.is_cancelled = 1


@lru_cache(maxsize=16)
def _marked(ids: tuple[int, ...], count: int) -> NDArray[np.uint8]:
    marked = np.zeros(count, np.uint8)
    marked[list(ids)] = 1
    return marked


@lru_cache(maxsize=16)
def _divisors(form: LengthPenalty, alpha: float, longest: int) -> NDArray[np.float64]:
    """Return the divisor of every length from 0 to ``longest``."""
    return np.array([length_divisor(length, form=form, alpha=alpha) for length in range(longest + 1)])


def _numbers_of(sentence: Sentence) -> NDArray[np.float64]:
    if sentence.uniform is None or len(sentence.uniform) != sentence.limit:
        raise ValueError("a sentence that is drawn needs a random number for each of its steps")
    return sentence.uniform


def _refuse_strange(ids: NDArray[Any], vocab_size: int, side: str) -> None:
    if ids.size and ids.view(np.uint32).max() >= vocab_size:  # negative numbers are large ones there
        raise ValueError(
            f"the {side} ids are from {ids.min()} to {ids.max()}, and the model has {counted(vocab_size, 'piece')}"
        )
