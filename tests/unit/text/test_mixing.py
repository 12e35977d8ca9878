"""Corpora are mixed in the stated shares, whatever their sizes, and an epoch shows what the report says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pellucid.config import BatchType, DataConfig, validated
from pellucid.errors import ConfigError, DataError
from pellucid.text.batching import epoch_batches
from pellucid.text.cleaning import Cleaner
from pellucid.text.mixing import corpus_weights, describe_mixture
from pellucid.text.selection import cleaned_pairs, deciding_settings, select_pairs
from pellucid.text.splits.leakless import Role


def data_of(*corpora: dict[str, object], **settings: object) -> DataConfig:
    table = {"train": [{"tsv": f"{n}.tsv", **corpus} for n, corpus in enumerate(corpora)], **settings}
    return validated(DataConfig, table, place="test")


def shown(data: DataConfig, pairs: list[int], *, epochs: int) -> list[int]:
    """Count how many pairs of each corpus the batches of some epochs have."""
    corpus = np.repeat(np.arange(len(pairs)), pairs)
    lengths = 3 + np.arange(sum(pairs)) % 5
    counts = np.zeros(len(pairs), dtype=np.int64)
    for epoch in range(epochs):
        for rows in epoch_batches(
            lengths,
            lengths,
            batch_size=61,
            batch_type=BatchType.TOKENS,
            seed=3,
            epoch=epoch,
            corpus=corpus,
            weights=corpus_weights(data, pairs),
        ):
            counts += np.bincount(corpus[rows], minlength=len(pairs))
    return counts.tolist()


@pytest.mark.parametrize("sizes", [[211, 23], [23, 211], [101, 101]])
def test_a_share_is_that_part_of_what_training_sees(sizes: list[int]) -> None:
    data = data_of({}, {"share": 0.3})
    real, mixed = shown(data, sizes, epochs=10)
    assert real == 10 * sizes[0], "the corpus without a share is read whole in each epoch"
    assert abs(mixed / (real + mixed) - 0.3) < 0.01


def test_a_share_that_makes_an_epoch_endless_is_refused() -> None:
    assert corpus_weights(data_of({}, {"share": 0.99}), [100, 100]) == pytest.approx([1, 99])
    with pytest.raises(DataError, match=r"1e-06 of an epoch .* 100,000,000 pairs, 500,000 times the text \(limit"):
        corpus_weights(data_of({}, {"share": 0.999999}), [100, 100])


def test_shares_weights_and_temperature_go_together() -> None:
    data = data_of({"weight": 2.0}, {}, {"share": 0.5}, mixing_temperature=2)
    weights = corpus_weights(data, [100, 400, 77])
    counts = [w * n for w, n in zip(weights, [100, 400, 77], strict=True)]
    # 2 * sqrt(100) : 1 * sqrt(400) = 1 : 1, of 2 * 100 + 400 pairs; and as many again for the share of a half.
    assert counts == pytest.approx([300, 300, 600])


@pytest.mark.parametrize("temperature", [1, 1.7, 5, 100])
def test_a_temperature_keeps_the_length_of_an_epoch_and_evens_out_the_sizes(temperature: float) -> None:
    sizes = [1000, 10]
    weights = corpus_weights(data_of({}, {}, mixing_temperature=temperature), sizes)
    counts = [w * n for w, n in zip(weights, sizes, strict=True)]
    assert sum(counts) == pytest.approx(1010)
    assert counts[0] / counts[1] == pytest.approx(100 ** (1 / temperature))


def test_weights_alone_are_taken_as_they_are() -> None:
    assert corpus_weights(data_of({"weight": 0.1}, {"weight": 3.0}), [7, 11]) == [0.1, 3.0]


def test_the_report_says_what_an_epoch_shows() -> None:
    data = data_of({"name": "real"}, {"name": "bt", "share": 0.5})
    assert describe_mixture(data, [200, 1000]) == (
        "mixing: an epoch shows 400 pairs: real 50.0% (200 pairs, each 1 times), bt 50.0% (1,000 pairs, each 0.2 times)"
    )


@pytest.mark.parametrize(
    ("corpora", "told"),
    [
        (({"share": 0.5},), "leave at least one corpus without a share"),
        (({}, {"share": 0.6}, {"share": 0.5}), "keep the sum of the shares under 1"),
        (({}, {"share": 0.6, "weight": 2.0}), "weight = 2 and share = 0.6 exclude each other"),
        (({}, {"share": 1.0}), "train.1.share"),
    ],
)
def test_shares_that_cannot_be_had_are_refused(corpora: tuple[dict[str, object], ...], told: str) -> None:
    with pytest.raises(ConfigError, match=told.replace(".", r"\.")):
        data_of(*corpora)


def test_a_share_of_an_empty_corpus_is_refused() -> None:
    with pytest.raises(DataError, match=r"1\.tsv: no pair is left to train on, so share = 0\.5"):
        corpus_weights(data_of({}, {"share": 0.5}), [5, 0])


def write(folder: Path, sizes: list[int]) -> list[dict[str, object]]:
    for number, size in enumerate(sizes):
        rows = [f"satz {number} {n}\tsentence {number} {n}\n" for n in range(size)]
        (folder / f"{number}.tsv").write_text("".join(rows))
    return [{"tsv": str(folder / f"{number}.tsv")} for number in range(len(sizes))]


def test_what_may_not_be_held_out_is_not(tmp_path: Path) -> None:
    files = write(tmp_path, [230, 310, 170])
    data = data_of(files[0], files[1] | {"hold_out": False}, files[2])
    selection = select_pairs(data, seed=5, progress=lambda done: None)
    validating = list(selection.validation_pairs())
    assert {pair.corpus for pair in validating} == {0, 2}
    assert len(validating) == (230 + 170) // 100
    assert len(list(selection.training_pairs())) + len(validating) == 710


def test_one_pair_in_many_copies_is_named_so(tmp_path: Path) -> None:
    (tmp_path / "same.tsv").write_text("ein satz\ta sentence\n" * 300)
    with pytest.raises(DataError, match=r"one training pair and no validation text: .*; cleaning: 300 .*duplicate 299"):
        select_pairs(data_of({"tsv": str(tmp_path / "same.tsv")}), seed=5, progress=lambda done: None)


def test_the_pairs_that_older_releases_held_out_are_still_those(tmp_path: Path) -> None:
    data = data_of(*write(tmp_path, [230, 310]))
    selection = select_pairs(data, seed=5, progress=lambda done: None)
    drawn = np.random.default_rng([5, 0x5EED]).choice(540, size=5, replace=False)
    rows = list(cleaned_pairs(data, Cleaner(data.cleaning)))
    assert list(selection.validation_pairs()) == [rows[row] for row in sorted(drawn.tolist())]


def test_nothing_to_hold_out_is_said(tmp_path: Path) -> None:
    (files,) = write(tmp_path, [50])
    with pytest.raises(DataError, match=r"no training pair that may be held out \(hold_out = false\)"):
        select_pairs(data_of(files | {"hold_out": False}), seed=5, progress=lambda done: None)


def test_unused_settings_leave_the_record_of_a_run_as_it_was() -> None:
    record = deciding_settings(data_of({}, {}))
    assert not {"shares", "hold_out"} & record.keys()
    assert "mixing_temperature" not in record["data"]  # type: ignore[operator]
    used = deciding_settings(data_of({}, {"share": 0.2, "hold_out": False}, mixing_temperature=3))
    assert used["shares"] == [None, 0.2]
    assert used["hold_out"] == [True, False]


def test_the_roles_of_one_pass_are_those_of_the_cleaned_pairs(tmp_path: Path) -> None:
    """Later passes read the roles and do not clean; what they yield is what the cleaning yields."""
    files = write(tmp_path, [60, 70])
    with (tmp_path / "1.tsv").open("a") as more:
        more.write("satz 0 3\tsentence 0 3\n\tempty\nsatz 1 5\tsentence 1 5\nlast\tone\n")
    data = data_of(*files)
    selection = select_pairs(data, seed=5, progress=lambda done: None)
    cleaned = list(cleaned_pairs(data, Cleaner(data.cleaning)))
    valid = set(selection.validation_pairs())
    assert list(selection.training_pairs()) == [pair for pair in cleaned if pair not in valid]
    assert len(cleaned) == 131 == selection.report.kept
    assert selection.count(Role.DROPPED) == 3
