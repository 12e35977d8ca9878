"""Preparation adds copies in capitals where it is asked to, counts them, and is as it was where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from pellucid.config import Recipe
from pellucid.jobs.opening import OpenedRun
from pellucid.jobs.prepare import PreparedData, prepare
from pellucid.runtime import Runtime


def prepared(folder: Path, name: str, **data: object) -> PreparedData:
    rows = [f"a small dog {n}" for n in range(40)]
    for side in ("src", "tgt"):
        (folder / side).write_text("".join(f"{row} {side}\n" for row in rows))
    files = {"src": folder / "src", "tgt": folder / "tgt"}
    recipe = Recipe.model_validate(
        {"data": {"train": [files], "valid": files} | data, "tokenizer": {"kind": "bytes"}, "training": {"seed": 3}}
    )
    runtime = Runtime.detect(device="cpu", threads=1)
    return prepare(OpenedRun(recipe, folder / name, runtime, initial=None, notes=()))


def sources(data: PreparedData) -> list[str]:
    tokenizer = data.tokenizer
    return [tokenizer.decode_target([data.store.source(row).tolist()])[0] for row in range(len(data.store))]


def test_copies_are_added_and_counted(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    data = prepared(tmp_path, "run", capitals_share=0.5)
    found = sources(data)
    copies = [text for text in found if text.isupper()]
    assert 8 < len(copies) < 32
    assert len(found) == 40 + len(copies)
    assert all(text.lower() in found for text in copies)
    assert f"capitals: {len(copies)} pairs added once more in capitals (seeded)" in data.summary


def test_without_copies_the_run_is_the_one_of_older_releases(tmp_path: Path) -> None:
    for name in ("plain", "none"):
        (tmp_path / name).mkdir()
    plain, none = prepared(tmp_path, "plain"), prepared(tmp_path, "none", capitals_share=0.0)
    assert len(sources(plain)) == 40
    assert plain.fingerprint == none.fingerprint
    assert not any("capitals" in line for line in plain.summary)
    assert "capitals_share" not in (tmp_path / "plain" / "text.json").read_text()


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_is_from_none_to_all(share: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="capitals_share"):
        prepared(tmp_path, "run", capitals_share=share)
