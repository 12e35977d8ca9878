"""The grid script takes nested parts of a corpus, and its table compares each variant with the bar of its size."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest
from tests.benchmark_scripts import load_script

from pellucid.config import recipe_from

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def grid() -> ModuleType:
    return load_script("grid")


def test_a_smaller_part_of_the_corpus_is_within_a_larger_one(grid: ModuleType) -> None:
    small, large = grid.part_of(1000, 50), grid.part_of(1000, 200)
    assert len(small) == 50
    assert set(small) < set(large)
    assert small == sorted(small) == grid.part_of(1000, 50)


def test_every_variant_is_a_valid_recipe(grid: ModuleType) -> None:
    for name, settings in grid.variants_of(grid.VARIANTS).items():
        assert recipe_from({"preset": "small"}, settings, place=name)


def test_the_table_has_all_runs_of_the_folder_beside_the_bar(grid: ModuleType, tmp_path: Path) -> None:
    for pairs, variant, seed, bleu in ((5000, "small", 1, 20.0), (5000, "narrow", 1, 24.0), (5000, "narrow", 2, 25.0)):
        folder = tmp_path / f"pairs-{pairs:06d}" / f"{variant}-seed{seed}"
        folder.mkdir(parents=True)
        run = {
            "variant": variant, "seed": seed, "settings": [f"training.seed={seed}"], "bleu": {"lowercased": bleu},
            "valid_nll": 2.0, "steps": 100, "best_step": 50, "target_tokens": 1000, "seconds": 60.0,
        }  # fmt: skip
        (folder / grid.ablation.RESULT).write_text(json.dumps(run))
    grid.write(tmp_path)
    table = (tmp_path / "grid.md").read_text()
    assert "| 5,000 | narrow (best) | 2 | 24.50 ± 0.71 | +4.50 | 2.000 | 50% |" in table
    assert {row["variant"]: row["mean"] for row in json.loads((tmp_path / "grid.json").read_text())} == {
        "small": 20.0,
        "narrow": 24.5,
    }
