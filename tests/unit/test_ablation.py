"""The ablation script runs its variants in turns, and its table has their means over the seeds."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from tests.benchmark_scripts import load_script

from pellucid.config import recipe_from

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("ablation")


def options(script: ModuleType, folder: Path, *more: str) -> object:
    recipe = ROOT / "recipes/multi30k-de-en.toml"
    paths = ["--recipe", recipe, "--test-src", "a", "--test-tgt", folder / "b", "--output", folder / "out"]
    return script.parse([*map(str, paths), "--steps", "7", "--variant", "adam", *more])


def test_every_seed_trains_all_variants_and_begins_with_the_next_one(script: ModuleType) -> None:
    variants = [script.Variant(name, ()) for name in "abc"]
    order = [(variant.name, seed) for variant, seed in script.in_turns(variants, [5, 6])]
    assert order == [("a", 5), ("b", 5), ("c", 5), ("b", 6), ("c", 6), ("a", 6)]


def test_a_wrong_setting_fails_before_the_first_run(script: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="optimizer"):
        options(script, tmp_path, "--variant", "muon", "training.optimizer=moun")


def test_complete_runs_are_kept_and_the_table_has_means(script: ModuleType, tmp_path: Path) -> None:
    chosen = options(script, tmp_path, "--variant", "muon", "training.optimizer=muon", "--seeds", "1", "2")
    runs = []
    for variant, seed in script.in_turns(chosen.variants, chosen.seeds):  # type: ignore[attr-defined]
        folder = tmp_path / f"{variant.name}-seed{seed}"
        folder.mkdir()
        settings = [*variant.settings, f"training.seed={seed}", "training.train_steps=7"]
        known = {
            "variant": variant.name, "seed": seed, "settings": settings, "beam_size": 5,
            "bleu": {"cased": 40.0 + seed, "lowercased": 41.0 + seed}, "signatures": {"cased": "nrefs:1"},
            "seconds": 60.0, "steps": 7, "target_tokens": 1000, "best_step": 7, "valid_nll": 2.0,
            "precision": "fp32", "machine": {"others_share": 0.01},
        }  # fmt: skip
        (folder / script.RESULT).write_text(json.dumps(known))
        runs.append(script.one_run(variant, seed, folder, chosen))
        assert runs[-1] == known
    result = script.collect(chosen, runs)
    table = script.as_table(result)
    assert "| muon | `training.optimizer=muon` | 2 | 41.50 ± 0.71 | 42.50 ± 0.71 |" in table
    assert "nrefs:1" in table
    with pytest.raises(SystemExit, match="other settings"):
        script.one_run(script.Variant("adam", ("training.seed=9",)), 1, tmp_path / "adam-seed1", chosen)


def test_a_promise_has_mean_and_spread(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    module = load_script("promise")
    runs = [
        {
            "variant": "small", "bleu": {"cased": 40.0 + seed, "lowercased": 41.0 + seed}, "seconds": 600.0,
            "signatures": {"cased": "a", "lowercased": "b"}, "steps": 7, "target_tokens": 900, "precision": "fp32",
        }
        for seed in (1, 2, 3)
    ]  # fmt: skip
    (tmp_path / "ablation.json").write_text(json.dumps({"runs": runs, "machine": {"cores": 2, "processor": "P"}}))
    options = ["--variant", "small", "--command", "pellucid train", "--test-src", "a", "--test-tgt", "b"]
    module.main([str(tmp_path / "ablation.json"), *options])
    table = recipe_from(tomllib.loads(capsys.readouterr().out)).promise
    assert table is not None
    assert table.curve is None
    assert (table.seeds, table.minutes, table.hardware) == (3, 10.0, "2 cores of P, fp32")
    assert [(s.metric, s.value, s.spread) for s in table.scores] == [
        ("bleu", 42.0, 1.0),
        ("bleu_lowercased", 43.0, 1.0),
    ]


def test_the_curve_of_a_promise_is_the_mean_at_tenths_of_the_budget(tmp_path: Path) -> None:
    module = load_script("promise")
    for seed, gain in ((1, 0.0), (2, 2.0)):
        rows = []
        for fraction in (0.1, 0.22, 0.5, 1.0):
            rows.append({"kind": "step", "fraction": fraction})
            rows.append({"kind": "validation", "scores": {"bleu": 10 * fraction + gain}})
        rows[1]["scores"] = {"bleu": 50.0, "bleu_share": 0.06}  # of a few sentences, which says nothing
        (folder := tmp_path / f"auto-seed{seed}/run").mkdir(parents=True)
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    curve = module.curve_of(sorted(tmp_path.glob("auto-seed*/run")))
    assert curve["fraction"] == [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert curve["bleu"] == [4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0]
