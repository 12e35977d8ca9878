"""A probe that is none, or is made to do harm, is refused in a sentence and takes no memory."""

from __future__ import annotations

import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.unit.tracing.test_file import head, npy

from pellucid.errors import RequestError
from pellucid.page.answers_training import _probe

ROWS = 5


def arrays() -> dict[str, np.ndarray]:
    return {
        "pair": np.zeros(ROWS, np.int32),
        "target_ids": np.zeros(ROWS, np.int32),
        "target_log_probability": np.zeros(ROWS, np.float32),
        "top_ids": np.zeros((ROWS, 7), np.int32),
        "top_log_probabilities": np.zeros((ROWS, 7), np.float32),
        "log_sum_exp": np.zeros(ROWS, np.float32),
    }


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_sound_one_is_read_packed_or_not(save: object, tmp_path: Path) -> None:
    save(tmp_path / "probe.npz", **arrays())  # type: ignore[operator]
    found = _probe(tmp_path / "probe.npz")
    assert {name: array.tolist() for name, array in found.items()} == {n: a.tolist() for n, a in arrays().items()}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pair": np.zeros(ROWS - 1, np.int32)}, "target_ids is int32"),
        ({"top_ids": np.zeros((ROWS - 1, 7), np.int32)}, "top_ids is int32"),
        ({"top_ids": np.zeros(ROWS, np.int32)}, "top_ids is int32"),
        ({"top_ids": np.zeros((ROWS, 7), np.float32)}, "top_ids is float32"),
        ({"log_sum_exp": np.zeros((ROWS, 1), np.float32)}, "log_sum_exp is float32"),
        ({"pair": np.int32(3)}, "pair is int32"),
        ({"pair": np.array(["a"] * ROWS)}, "pair is <U1"),
    ],
)
def test_arrays_that_do_not_go_together(changes: dict[str, np.ndarray], words: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "probe.npz", **arrays() | changes)
    with pytest.raises(RequestError, match=rf"probe\.npz: is not a probe, or is damaged: {words}"):
        _probe(tmp_path / "probe.npz")


@pytest.mark.parametrize(
    "content",
    [
        npy(head("<i4", (50 << 20,)), bytes(200 << 20)),
        npy(head("<i4", (1 << 50,))),
        npy(b"x" * (20 << 20)),
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff",
        b"",
    ],
    ids=["zeros", "a shape without numbers", "a long head", "a head without end", "empty"],
)
def test_one_that_unpacks_to_more_than_it_is(content: bytes, tmp_path: Path) -> None:
    np.savez(tmp_path / "probe.npz", **{name: array for name, array in arrays().items() if name != "top_ids"})
    with zipfile.ZipFile(tmp_path / "probe.npz", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("top_ids.npy", content)
    tracemalloc.start()
    try:
        with pytest.raises(RequestError, match=r"probe\.npz: "):
            _probe(tmp_path / "probe.npz")
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


def test_one_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="No such file"):
        _probe(tmp_path / "probe.npz")
