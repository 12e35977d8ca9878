"""The embedded model that is in the package: its size, its directions, its licence and its scores."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pellucid
from pellucid.bundle import open_model_folder
from pellucid.sample.embedded import DIRECTIONS, EMBEDDED_FOLDER, has_embedded

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "pellucid"
DATA = os.environ.get("PELLUCID_TATOEBA", "")
needs_model = pytest.mark.skipif(not has_embedded(), reason="the embedded model is not trained yet: make embedded")


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def test_the_package_is_small_enough_to_install_at_once() -> None:
    assert size_of(PACKAGE) < 24_000_000
    assert not has_embedded() or size_of(EMBEDDED_FOLDER) < 12_000_000


def test_the_notice_names_the_source_and_licence_of_the_text() -> None:
    notice = (ROOT / "NOTICE").read_text()
    assert "CC BY 2.0 FR" in notice
    assert "tatoeba.org and www.manythings.org/anki" in notice


@needs_model
def test_the_card_has_attribution_command_scores_and_limits() -> None:
    card = (EMBEDDED_FOLDER / "card.md").read_text()
    for words in ("tatoeba.org and www.manythings.org/anki", "CC BY 2.0", "pellucid train --recipe", "## Limits"):
        assert words in card
    assert all(f"| {name} |" in card for name in DIRECTIONS)


@needs_model
@pytest.mark.parametrize("name", DIRECTIONS)
def test_each_direction_has_its_tag_and_answers_its_examples_in_words(name: str) -> None:
    assert open_model_folder(Path(name)).tokenizer.default_tag == f">>{DIRECTIONS[name].target_language}<<"
    for source in DIRECTIONS[name].examples:
        found = pellucid.load(name).translate(source)
        assert found.text
        assert not set(found.flags) & {"repetition", "copy", "max_length"}, (source, found.text)


@pytest.mark.slow
@needs_model
@pytest.mark.skipif(not DATA, reason="set PELLUCID_TATOEBA to the folder that has tatoeba-fra and tatoeba-deu")
def test_the_scores_of_the_card_are_reproduced() -> None:
    command = [sys.executable, "benchmarks/embed_translators.py", "--check", "--data-dir", DATA]
    outcome = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
