"""Batches keep to the budget, waste little, and follow from seed and epoch alone."""

from __future__ import annotations

import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from pellucid.config import BatchLengths, BatchType, SpecialIds
from pellucid.errors import ConfigError
from pellucid.text.batching import epoch_batches, make_batch, order_bytes

TOKENS, SENTENCES = BatchType.TOKENS, BatchType.SENTENCES
SIMILAR, MIXED = BatchLengths.SIMILAR, BatchLengths.MIXED
Lengths = NDArray[np.int64]


def typical_lengths(rows: int, *, seed: int = 1) -> tuple[Lengths, Lengths]:
    """Draw lengths such as translations have: skewed to the right, sides alike within a third."""
    generator = np.random.default_rng(seed)
    source = np.clip(np.exp(generator.normal(2.9, 0.5, rows)), 1, 200)
    target = np.clip(source * np.exp(generator.normal(0, 0.17, rows)), 1, 200)
    return source.astype(np.int64), target.astype(np.int64)


def epoch(
    lengths: tuple[Lengths, Lengths],
    *,
    number: int = 0,
    seed: int = 1,
    batch_size: int = 2048,
    batch_type: BatchType = TOKENS,
    batch_lengths: BatchLengths = SIMILAR,
    corpus: Lengths | None = None,
    weights: list[float] | None = None,
) -> list[Lengths]:
    return epoch_batches(
        *lengths, batch_size=batch_size, batch_type=batch_type, batch_lengths=batch_lengths, seed=seed, epoch=number,
        corpus=corpus, weights=weights,
    )  # fmt: skip


def test_every_row_is_in_one_batch_and_no_batch_is_over_the_budget() -> None:
    source, target = typical_lengths(5003)
    batches = epoch((source, target))
    assert sorted(np.concatenate(batches).tolist()) == list(range(5003))
    assert max(len(b) * (1 + max(source[b].max(), target[b].max())) for b in batches) <= 2048


def test_mixed_batches_are_full_and_each_is_like_the_whole_text() -> None:
    source, target = typical_lengths(20_011)
    batches = epoch((source, target), batch_lengths=MIXED)
    assert sorted(np.concatenate(batches).tolist()) == list(range(20_011))
    longer = np.maximum(source, target) + 1
    tokens = np.array([longer[rows].sum() for rows in batches])
    assert tokens.max() <= 2048
    assert (tokens[:-1] + longer.max()).min() > 2048, "the next row may not have fitted"
    means, spread = [longer[rows].mean() for rows in batches[:-1]], longer.std() / np.sqrt(2048 / longer.mean())
    assert np.std(means) == pytest.approx(spread, rel=0.15), "as of rows that are drawn at random"
    similar = [longer[rows].mean() for rows in epoch((source, target))]
    assert np.std(similar) > 5 * spread


def test_little_of_a_batch_is_padding() -> None:
    source, target = typical_lengths(20_011)
    batches = epoch((source, target))
    longer = np.maximum(source, target) + 1
    padded = sum(len(b) * longer[b].max() for b in batches)
    both = sum(len(b) * (source[b].max() + target[b].max() + 2) for b in batches)
    assert longer.sum() / padded > 0.98
    assert (source + target + 2).sum() / both > 0.93
    assert padded / len(batches) > 0.97 * 2048, "batches are full"


@pytest.mark.parametrize("kind", [SIMILAR, MIXED])
def test_the_order_follows_from_seed_and_epoch(kind: BatchLengths) -> None:
    lengths = typical_lengths(1009)
    first = epoch(lengths, batch_lengths=kind)
    assert [b.tolist() for b in first] == [b.tolist() for b in epoch(lengths, batch_lengths=kind)]
    for other in (epoch(lengths, number=1, batch_lengths=kind), epoch(lengths, seed=2, batch_lengths=kind)):
        assert [b.tolist() for b in first] != [b.tolist() for b in other]
        together = {frozenset(b.tolist()) for b in first} & {frozenset(b.tolist()) for b in other}
        assert len(together) < 0.1 * len(first), "batches are made anew, not only shuffled"
    crossed = epoch(lengths, number=1, seed=2, batch_lengths=kind), epoch(lengths, number=2, batch_lengths=kind)
    assert [b.tolist() for b in crossed[0]] != [b.tolist() for b in crossed[1]]


def test_the_order_is_the_same_in_another_process() -> None:
    program = (
        "import numpy as np; from pellucid.text.batching import epoch_batches; from pellucid.config import BatchType;"
        "n = np.arange(997) % 41;"
        "b = epoch_batches(n, n[::-1], batch_size=211, batch_type=BatchType.TOKENS, seed=3, epoch=5);"
        "print(np.concatenate(b).tolist())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    lengths = np.arange(997) % 41
    here = np.concatenate(epoch((lengths, lengths[::-1]), number=5, seed=3, batch_size=211))
    assert done.stdout.strip() == str(here.tolist())


@pytest.mark.parametrize("kind", [SIMILAR, MIXED])
@pytest.mark.parametrize("weights", [None, (3.0, 2.0, 5.0), (0.5, 1.5, 1.2), (7.3, 7.3, 7.3)])
def test_the_memory_of_an_order_is_what_is_foretold(weights: tuple[float, ...] | None, kind: BatchLengths) -> None:
    pairs = 200_003
    source, target = (lengths.astype(np.int32) for lengths in typical_lengths(pairs))
    corpus = (np.arange(pairs) % 3).astype(np.uint8)
    tracemalloc.start()
    batches = epoch((source, target), batch_lengths=kind, corpus=corpus if weights else None, weights=weights)
    assert len(batches[0])
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    foretold = order_bytes(pairs, weight=float(np.mean(weights)) if weights else 1.0)
    assert taken + source.nbytes + target.nbytes == pytest.approx(foretold, rel=0.2)


def test_batches_of_short_and_long_rows_are_mixed() -> None:
    lengths = typical_lengths(5003)
    sizes = np.array([lengths[0][b].mean() for b in epoch(lengths)])
    half = len(sizes) // 2
    assert abs(sizes[:half].mean() - sizes[half:].mean()) < 0.3 * sizes.mean()


def test_batches_of_sentences_have_that_many() -> None:
    batches = epoch(typical_lengths(103), batch_size=10, batch_type=SENTENCES)
    assert sorted(len(b) for b in batches)[2:] == [10] * (len(batches) - 2)
    assert sum(len(b) for b in batches) == 103


def test_a_pair_longer_than_the_budget_is_said_before_training() -> None:
    lengths = (np.array([3, 50, 7]), np.array([3, 9, 60]))
    with pytest.raises(
        ConfigError, match=r"batch_size = 50 tokens is too small for 2 pairs of up to 61 tokens; use at least 61"
    ):
        epoch(lengths, batch_size=50)
    assert len(np.concatenate(epoch(lengths, batch_size=61))) == 3


def test_no_rows_give_no_batches() -> None:
    assert epoch((np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))) == []


def shown(counts: tuple[int, ...], weights: list[float], epochs: int) -> Lengths:
    corpus = np.repeat(np.arange(len(counts)), counts)
    lengths = typical_lengths(len(corpus))
    rows = [np.concatenate(epoch(lengths, number=number, corpus=corpus, weights=weights)) for number in range(epochs)]
    return np.stack([np.bincount(row, minlength=len(corpus)) for row in rows])


def test_weights_give_whole_copies_and_a_rotating_share() -> None:
    counts, weights = (101, 211, 53), [2.0, 0.25, 1.4]
    times = shown(counts, weights, epochs=20)
    assert (times[:, :101] == 2).all()
    quarter, more = times[:, 101:312], times[:, 312:]
    assert all(abs(total - 0.25 * 211) <= 1 for total in quarter.sum(axis=1))
    assert all(abs(total - 1.4 * 53) <= 1 for total in more.sum(axis=1))
    for corpus, weight in ((quarter, 0.25), (more, 1.4)):
        for epochs in range(1, 21):
            total = corpus[:epochs].sum(axis=0)
            assert total.max() - total.min() <= 1, "no row is ever shown two times more than another"
            assert abs(total.sum() - epochs * weight * corpus.shape[1]) <= 1, "nothing is lost to rounding over time"
    assert (quarter[0] != quarter[1]).any()


def test_weights_of_one_change_nothing() -> None:
    lengths = typical_lengths(307)
    corpus = np.arange(307) % 2
    plain = epoch(lengths)
    assert [b.tolist() for b in epoch(lengths, corpus=corpus, weights=[1.0, 1.0])] == [b.tolist() for b in plain]


def test_tiny_weights_never_leave_an_epoch_empty() -> None:
    times = shown((3,), [0.01], epochs=7)
    assert (times.sum(axis=1) >= 1).all()


def test_weights_must_cover_the_corpora() -> None:
    lengths, corpus = typical_lengths(7), np.arange(7) % 2
    for weights, rows in (([0.5], corpus), ([0.5, 0.0], corpus), ([0.5, 2.0], None)):
        with pytest.raises(ConfigError, match="every corpus needs a weight above 0"):
            epoch(lengths, corpus=rows, weights=weights)


def test_an_epoch_of_200_000_pairs_is_planned_in_well_under_half_a_second() -> None:
    lengths = typical_lengths(200_000)
    seconds = []
    for number in range(3):
        start = time.process_time()
        epoch(lengths, number=number)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.3


class Rows:
    """A store of two lists."""

    def __init__(self, sources: list[list[int]], targets: list[list[int]]) -> None:
        self.sources, self.targets = sources, targets

    def source(self, row: int) -> NDArray[np.uint16]:
        return np.array(self.sources[row], dtype=np.uint16)

    def target(self, row: int) -> NDArray[np.uint16]:
        return np.array(self.targets[row], dtype=np.uint16)


@pytest.mark.parametrize("start", [8, 9, -1])
def test_a_batch_holds_what_the_model_is_fed(start: int) -> None:
    specials = SpecialIds(pad=9, unk=1, bos=8, eos=7)
    batch = make_batch(
        Rows([[10, 11], [], [12]], [[13], [], [14, 15, 16]]), np.array([2, 0, 1]), specials=specials, start_id=start
    )
    assert batch.source_ids.tolist() == [[12, 7, 9], [10, 11, 7], [7, 9, 9]]
    assert batch.target_input_ids.tolist() == [[start, 14, 15, 16], [start, 13, 9, 9], [start, 9, 9, 9]]
    assert batch.target_output_ids.tolist() == [[14, 15, 16, 7], [13, 7, 9, 9], [7, 9, 9, 9]]
    assert batch.source_mask.tolist() == [[True, True, False], [True, True, True], [True, False, False]]
    assert batch.target_mask.sum(axis=1).tolist() == [4, 2, 1]
    assert batch.indices.tolist() == [2, 0, 1]
    assert (batch.num_target_tokens, batch.num_padded_tokens) == (7, 12)
    assert {a.dtype for a in (batch.source_ids, batch.target_input_ids, batch.target_output_ids)} == {
        np.dtype(np.int64)
    }


def test_real_ids_that_equal_padding_are_kept() -> None:
    specials = SpecialIds(pad=9, unk=1, bos=8, eos=7)
    batch = make_batch(Rows([[9, 9]], [[9, 5, 9]]), np.array([0]), specials=specials, start_id=8)
    assert batch.source_mask.all()
    assert batch.target_input_ids.tolist() == [[8, 9, 5, 9]]


def test_the_order_of_rows_is_that_of_one_sort_by_length_and_difference() -> None:
    """The order is sorted length by length; a plain sort by both keys, as older releases did it, agrees."""
    source, target = typical_lengths(5000)
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([1, 0, 0])))
    longer = np.maximum(source, target) + 1
    difference = target - source + 1.5 * generator.random(5000)
    plain = np.lexsort((np.where(longer % 2 == 1, difference, -difference), -longer))
    batches = epoch((source, target))
    by_length = sorted(batches, key=lambda rows: np.flatnonzero(plain == rows[0])[0])
    assert np.array_equal(np.concatenate(by_length), plain)


@pytest.mark.parametrize("weights", [None, [0.7, 1.6]])
def test_batches_are_the_same_in_whatever_order_they_are_asked_for(weights: list[float] | None) -> None:
    lengths = typical_lengths(3001)
    corpus = np.arange(3001) % 2
    given = {"corpus": corpus, "weights": weights} if weights else {}
    expected = [rows.tolist() for rows in epoch(lengths, **given)]
    asked = np.random.default_rng(1).permutation(len(expected)).tolist()
    batches = epoch(lengths, **given)
    assert {number: batches[number].tolist() for number in asked} == dict(enumerate(expected))
    assert epoch(lengths, **given)[-1].tolist() == expected[-1]
    assert [rows.tolist() for rows in epoch(lengths, **given)[3:9:2]] == expected[3:9:2]


def test_the_first_batch_sorts_the_rows_of_its_lengths_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A restart with ten million pairs waits for this sort before its first step."""
    argsort = np.argsort
    sizes = []

    def counting(values: NDArray[np.generic], **options: str) -> NDArray[np.int64]:
        if values.dtype == np.float64:
            sizes.append(len(values))
        return argsort(values, **options)

    monkeypatch.setattr(np, "argsort", counting)
    lengths = typical_lengths(100_003)
    batches = epoch(lengths)
    assert sizes == [len(batches)], "the order of the batches"
    first = batches[0]
    longer = np.maximum(*lengths)
    assert sum(sizes[1:]) == np.isin(longer, longer[first]).sum() < 10_000
    list(batches)
    assert sum(sizes[1:]) == 100_003, "each length once"
