"""The link that a server follows: absolute or relative, as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from pellucid.jobs.learning.learn import _place


@pytest.mark.parametrize("is_absolute", [True, False])
def test_a_link_stays_absolute_or_relative(tmp_path: Path, is_absolute: bool) -> None:
    runs = tmp_path / "runs"
    for name in ("one", "two"):
        (runs / name).mkdir(parents=True)
    live = runs / "live"
    live.symlink_to(runs / "one" if is_absolute else "one")
    _place(runs / "two", live)
    assert live.readlink() == (runs / "two" if is_absolute else Path("two"))
    assert live.resolve() == runs / "two"


def test_a_new_link_holds_where_its_folder_is_mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs/two").mkdir(parents=True)
    (tmp_path / "served").mkdir()
    monkeypatch.chdir(tmp_path)
    _place(Path("runs/two"), Path("served/live"))
    assert Path("served/live").readlink() == Path("../runs/two")
    (tmp_path / "elsewhere").mkdir()
    for name in ("runs", "served"):
        (tmp_path / name).rename(tmp_path / "elsewhere" / name)
    assert (tmp_path / "elsewhere/served/live").resolve() == tmp_path / "elsewhere/runs/two"
