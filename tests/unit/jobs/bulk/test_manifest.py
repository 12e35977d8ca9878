"""The manifest of parts has one form, so that a translation that an earlier version began goes on."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from tests.models import random_model, save_model

from pellucid.jobs.bulk.folder import folder_for
from pellucid.jobs.options.parts import PartsOptions
from pellucid.jobs.options.translation import TranslationOptions
from pellucid.jobs.translate import OutputFormat, translate_file

SETTINGS = ("beam_size=1", "max_length_constant=3", "max_length_factor=0.1", "split_sentences=never")
TRANSLATION = {
    "beam_size": 1,
    "n_best": 1,
    "length_penalty": "average",
    "alpha": 1.0,
    "min_length": 0,
    "max_length_factor": 0.1,
    "max_length_constant": 3,
    "no_repeat_ngram_size": 0,
    "banned_tokens": [],
    "target_prefix": "",
    "sampling": False,
    "temperature": 1.0,
    "top_k": 0,
    "top_p": 1.0,
    "seed": 1,
    "batch_size": 4096,
    "split_sentences": "never",
    "long_input": "split",
    "max_input_length": 200,
}
LINES = [f"zeile {number}\n" for number in range(70)]


def test_parts_of_an_earlier_version_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = save_model(tmp_path / "model", random_model(noise=0.5))
    Path("in").write_text("".join(LINES))
    Path("memory.tsv").write_text("zeile 69\tline 69\n")
    options = TranslationOptions(
        settings=SETTINGS, device="cpu", threads=1, engine="torch", keep=("Zoo",), memory=("memory.tsv",)
    )
    given: dict[str, Any] = {"format": OutputFormat.TEXT, "options": options}
    translate_file(model, "in", output=Path("alone"), parts=PartsOptions(chunk_lines=64, together=9.0), **given)
    written = (folder_for(Path("alone")) / "manifest.json").read_text()
    found = json.loads(written)
    earlier = {
        "pellucid": found["pellucid"],
        "model": found["model"],
        "engine": found["engine"],
        "translation": TRANSLATION,
        "chunk_lines": 64,
        "terms": ["Zoo: use Zoo"],
        "format": "text",
        "memory": found["memory"],
        "input 1": {"file": "in", "sha256": sha256("".join(LINES)), "bytes": 620, "lines": 70},
        "lines_per_part": 64,
    }
    manifest = json.dumps(earlier, ensure_ascii=False, indent=1) + "\n"
    assert written == manifest
    keep_a_part(folder_for(Path("out")), manifest)
    translate_file(model, "in", output=Path("out"), parts=PartsOptions(chunk_lines=64), **given)
    lines = Path("out").read_text().splitlines()
    assert lines == ["kept"] * 64 + Path("alone").read_text().splitlines()[64:]
    assert lines[-1] == "line 69"


def keep_a_part(folder: Path, manifest: str) -> None:
    tally = {"lines": 64, "failed": 0, "problems": [], "flags": {}, "with_bars": 0}
    record = {"source_sha256": sha256("".join(LINES[:64])), "sha256": sha256("kept\n" * 64), "tally": tally}
    folder.mkdir()
    (folder / "manifest.json").write_text(manifest)
    (folder / "part-000001.txt").write_text("kept\n" * 64)
    (folder / "part-000001.json").write_text(json.dumps(record))


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
