"""The ids of a store for one epoch, each word cut in a way that is drawn for this epoch.

What an epoch contains is a pure function of the store, the seed and the epoch: so a run that is continued, and every
process of a run, draws the same. A store keeps the usual ids of each sentence, and these are split into words again;
the ways to cut a word are found once for each different word. An epoch is drawn as a whole before its batches are
formed, so a batch has the size that it shall have. Read ``../batching.py`` next.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pellucid.config import BatchType, TrainingConfig
from pellucid.errors import counted
from pellucid.text.sampling.ways import Cutter
from pellucid.text.store import TokenStore
from pellucid.text.subword import Side
from pellucid.text.tokenizer import Tokenizer

__all__ = ["SampledIds", "SubwordSampler", "subword_sampler"]

_ROWS_AT_ONCE: Final = 1 << 16
_STREAMS: Final = {"source": 2, "target": 3}
"""Numbers of the random streams; the batches have 0 and 1."""


@dataclass(frozen=True)
class _Sampled:
    ids: NDArray[np.integer]
    offsets: NDArray[np.int64]


class SampledIds:
    """The rows of a store with the ids of one epoch, as ``TokenStore`` has them."""

    def __init__(self, source: _Sampled, target: _Sampled) -> None:
        self._source, self._target = source, target
        self.source_lengths: NDArray[np.int32] = np.diff(source.offsets).astype(np.int32)
        """Source pieces of each row, without specials; int32 [rows]."""
        self.target_lengths: NDArray[np.int32] = np.diff(target.offsets).astype(np.int32)
        """Target pieces of each row, without specials; int32 [rows]."""

    def source(self, row: int) -> NDArray[np.integer]:
        """Return the source piece ids of a row."""
        return self._source.ids[self._source.offsets[row] : self._source.offsets[row + 1]]

    def target(self, row: int) -> NDArray[np.integer]:
        """Return the target piece ids of a row."""
        return self._target.ids[self._target.offsets[row] : self._target.offsets[row + 1]]


def subword_sampler(store: TokenStore, tokenizer: Tokenizer, config: TrainingConfig) -> SubwordSampler | None:
    """Return the sampler that the settings ask for; None if both sides are always cut in the usual way.

    Raises:
        ConfigError: the tokenizer has only one way to cut a text.
    """
    return SubwordSampler(store, tokenizer, config) if config.samples_subwords else None


class SubwordSampler:
    """Draws the ids of an epoch. A side whose alpha is 0 keeps those of the store.

    A sentence that would become longer than ``max_length``, or than a whole batch, keeps its usual ids.
    """

    def __init__(self, store: TokenStore, tokenizer: Tokenizer, config: TrainingConfig) -> None:
        self._seed = config.seed
        self._longest = config.max_length
        if config.batch_type is BatchType.TOKENS:
            self._longest = min(self._longest, config.known_batch_size)
        sides = {
            "source": (store.source_ids, store.source_lengths, tokenizer.source, config.source_subword_alpha),
            "target": (store.target_ids, store.target_lengths, tokenizer.target, config.target_subword_alpha),
        }
        self._tables: dict[str, _Words | None] = {}
        self._usual: dict[str, _Sampled] = {}
        for name, (ids, lengths, side, alpha) in sides.items():
            offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths, dtype=np.int64)])
            self._usual[name] = _Sampled(ids, offsets)
            generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([config.seed, 0, _STREAMS[name]])))
            setting = f"training.{name}_subword_alpha"
            self._tables[name] = (
                _Words.of(ids, offsets, side, alpha=alpha, most=config.subword_nbest, generator=generator, name=setting)
                if alpha
                else None
            )

    def epoch(self, epoch: int) -> SampledIds:
        """Draw the ids of an epoch."""
        return SampledIds(*(self._drawn(name, epoch) for name in ("source", "target")))

    def _drawn(self, name: str, epoch: int) -> _Sampled:
        table = self._tables[name]
        if table is None:
            return self._usual[name]
        seed = np.random.SeedSequence([self._seed, epoch + 1, _STREAMS[name]])
        return table.drawn(np.random.Generator(np.random.PCG64(seed)), longest=self._longest)

    def to_text(self) -> str:
        """Return the line for the screen."""
        parts = []
        for name, table in self._tables.items():
            if table is not None:
                parts.append(
                    f"{name} {counted(len(table.first), 'word')} in {len(table.lengths):,} ways, {table.growth():.2f}"
                )
        return f"subword sampling: {'; '.join(parts)} times as many tokens"


@dataclass(frozen=True)
class _Words:
    """The words of one side, and their ways. Way w of all ways has ``pieces[starts[w] : starts[w] + lengths[w]]``."""

    words: NDArray[np.int32]
    """The word at each place of the text."""
    rows: NDArray[np.int64]
    """The place of the first word of each row, and the end."""
    first: NDArray[np.int64]
    """The first way of each word, which is the usual one."""
    borders: NDArray[np.float64]
    """Of each way: the number of its word plus the cumulated probability of the ways of this word up to it."""
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    pieces: NDArray[np.integer]

    @staticmethod
    def of(
        ids: NDArray[np.integer],
        offsets: NDArray[np.int64],
        side: Side,
        *,
        alpha: float,
        most: int,
        generator: np.random.Generator,
        name: str,
    ) -> _Words:
        cutter = Cutter(side, alpha=alpha, most=most, generator=generator, setting=name)
        is_start = cutter.begins_word()[ids]
        is_start[offsets[:-1][np.diff(offsets) > 0]] = True
        places = np.flatnonzero(is_start)
        words, different = _different_words(ids, np.append(places, len(ids)))
        found = [cutter.ways(word) for word in different]
        counts = np.array([len(ways.ids) for ways in found], dtype=np.int64)
        lengths = np.array([len(way) for ways in found for way in ways.ids], dtype=np.int64)
        borders = [number + np.cumsum(ways.weights) / sum(ways.weights) for number, ways in enumerate(found)]
        for number, border in enumerate(borders):
            border[-1] = number + 1.0
        return _Words(
            words=words,
            rows=np.searchsorted(places, offsets),
            first=np.cumsum(counts) - counts,
            borders=np.concatenate(borders) if borders else np.zeros(0),
            starts=np.cumsum(lengths) - lengths,
            lengths=lengths,
            pieces=np.array([i for ways in found for way in ways.ids for i in way], dtype=ids.dtype),
        )

    def drawn(self, generator: np.random.Generator, *, longest: int) -> _Sampled:
        """Draw a way for every word of the text."""
        parts, sizes = [], [np.zeros(1, dtype=np.int64)]
        for begin in range(0, len(self.rows) - 1, _ROWS_AT_ONCE):
            rows = self.rows[begin : begin + _ROWS_AT_ONCE + 1]
            words = self.words[rows[0] : rows[-1]]
            ways = np.searchsorted(self.borders, words + generator.random(len(words)), side="right")
            is_long = np.diff(_ends(self.lengths[ways])[rows - rows[0]]) + 1 > longest
            stays = np.repeat(is_long, np.diff(rows))
            ways[stays] = self.first[words[stays]]
            ends = _ends(self.lengths[ways])
            places = np.repeat(self.starts[ways] - ends[:-1], self.lengths[ways]) + np.arange(ends[-1])
            parts.append(self.pieces[places])
            sizes.append(np.diff(ends[rows - rows[0]]))
        return _Sampled(np.concatenate(parts), np.cumsum(np.concatenate(sizes)))

    def growth(self) -> float:
        """Return the expected number of tokens, as a multiple of the usual one."""
        probabilities = np.diff(np.concatenate([np.zeros(1), self.borders]))
        mean = np.add.reduceat(probabilities * self.lengths, self.first)
        return float(mean[self.words].sum() / self.lengths[self.first][self.words].sum())


def _different_words(ids: NDArray[np.integer], bounds: NDArray[np.int64]) -> tuple[NDArray[np.int32], list[list[int]]]:
    """Return the number of the word at each place, and the ids of the words, numbered as they first occur."""
    raw, size = ids.tobytes(), ids.itemsize
    known: dict[bytes, int] = {}
    ends = (bounds * size).tolist()
    numbers = [known.setdefault(raw[begin:end], len(known)) for begin, end in pairwise(ends)]
    return np.array(numbers, dtype=np.int32), [np.frombuffer(word, dtype=ids.dtype).tolist() for word in known]


def _ends(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths, dtype=np.int64)])
