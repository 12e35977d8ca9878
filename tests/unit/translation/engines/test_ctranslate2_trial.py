"""The record of the trial over CTranslate2's settings."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from pellucid.translation.engines.ctranslate2 import trial


@pytest.mark.parametrize("content", [None, "", "{", '{"other": 1}'])
def test_a_record_that_is_missing_or_damaged_is_written_and_then_read(
    content: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(trial, "_seconds", lambda *_: 1.0)
    record = tmp_path / "settings-int8-1.json"
    if content is not None:
        record.write_text(content)
    said: list[str] = []
    first, second = (
        trial.best_settings(tmp_path, ["a"], compute_type="int8", threads=1, say=said.append) for _ in range(2)
    )
    assert len(said) == 1
    assert first == second
    assert json.loads(record.read_text()) == asdict(first)
