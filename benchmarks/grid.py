r"""Measure a grid for the preset ``auto``: sizes of a corpus by variants of the settings, and the table of the winners.

    python benchmarks/grid.py --data-dir DATA --src-lang de --tgt-lang en --test test2016 \
        --pairs 5000 20000 --minutes 10 --seeds 1 2 3 --output grid/multi30k --variants small narrow narrow-simcut

``DATA`` contains ``train``, ``valid`` and the test set as ``NAME.LANG``, one sentence per line. Each size is a seeded
part of the training text, and a smaller part lies within a larger one. The variants are those of ``grid.toml``; the
first one is the bar. ``ablation.py`` trains and scores the variants of one size, in turns and resumably: the same
command continues, and a command with more variants, seeds or sizes adds to the same output. The table is ``grid.md``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ablation
import numpy as np

from pellucid.durable import DISK

VARIANTS = Path(__file__).with_name("grid.toml")
_SEED_OF_PARTS = 20170612
_NOISE = 0.3
"""BLEU that two runs of equal settings differ by at least; a smaller difference decides nothing with one seed."""


@dataclass(frozen=True)
class Cell:
    """All runs of one variant on one size."""

    pairs: int
    variant: str
    settings: tuple[str, ...]
    scores: tuple[float, ...]
    """Lowercased BLEU, one for each seed."""
    nll: float
    steps: float
    best_share: float
    """Where in the run the best validation was, from 0 to 1; well before 1 the model overfits."""
    tokens: float
    seconds: float

    @property
    def mean(self) -> float:
        """Return the mean score over the seeds."""
        return statistics.mean(self.scores)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    for pairs in options.pairs:
        folder = options.output.resolve() / f"pairs-{pairs:06d}"
        folder.mkdir(parents=True, exist_ok=True)
        recipe = write_part(folder, pairs, options)
        ablation.main(ablation_arguments(folder, recipe, options))
        write(options.output)
    print((options.output / "grid.md").read_text(encoding="utf-8"))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    known = variants_of(VARIANTS)
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--data-dir", type=Path, required=True)
    add("--src-lang", required=True)
    add("--tgt-lang", required=True)
    add("--test", default="test", help="name of the test set, without the language")
    add("--output", type=Path, required=True)
    add("--pairs", type=int, nargs="+", required=True)
    add("--variants", nargs="+", choices=sorted(known), default=list(known))
    add("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="for every variant")
    add("--seeds", type=int, nargs="+", default=[1])
    add("--minutes", type=float)
    add("--steps", type=int)
    add("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    if (options.minutes is None) == (options.steps is None):
        parser.error("give either --minutes or --steps")
    available = len(lines_of(options.data_dir / f"train.{options.src_lang}"))
    if max(options.pairs) > available:
        parser.error(f"--pairs {max(options.pairs)}: {options.data_dir} has {available:,} training pairs")
    return options


def variants_of(path: Path) -> dict[str, list[str]]:
    """Return the settings of each variant; a variant that is ``based_on`` others has their settings first."""
    tables = tomllib.loads(path.read_text(encoding="utf-8"))

    def settings(name: str) -> list[str]:
        table = tables[name]
        return [s for base in table.get("based_on", []) for s in settings(base)] + table.get("settings", [])

    return {name: settings(name) for name in tables}


def write_part(folder: Path, pairs: int, options: argparse.Namespace) -> Path:
    """Write a part of the training text and the recipe of its runs; return the recipe."""
    sides = {"src": options.src_lang, "tgt": options.tgt_lang}
    texts = {side: lines_of(options.data_dir / f"train.{language}") for side, language in sides.items()}
    rows = part_of(len(texts["src"]), pairs)
    for side, lines in texts.items():
        content = "".join(lines[row] + "\n" for row in rows)
        DISK.write_replacing(folder / f"train.{side}", content.encode())
    valid = {side: json.dumps(str((options.data_dir / f"valid.{code}").resolve())) for side, code in sides.items()}
    recipe = (
        f'preset = "small"\n\n[data]\nsrc_lang = "{options.src_lang}"\ntgt_lang = "{options.tgt_lang}"\n\n'
        '[[data.train]]\nsrc = "train.src"\ntgt = "train.tgt"\n\n'
        f"[data.valid]\nsrc = {valid['src']}\ntgt = {valid['tgt']}\n"
    )
    path = folder / "recipe.toml"
    DISK.write_replacing(path, recipe.encode())
    return path


def part_of(available: int, pairs: int) -> list[int]:
    """Return the rows of a part, in their order; a part of fewer pairs is within it."""
    generator = np.random.Generator(np.random.PCG64(_SEED_OF_PARTS))
    shuffled = np.argsort(generator.random(available), kind="stable")
    return sorted(shuffled[:pairs].tolist())


def ablation_arguments(folder: Path, recipe: Path, options: argparse.Namespace) -> list[str]:
    """Return the command line of ``ablation.py`` for one size."""
    tests = [options.data_dir / f"{options.test}.{code}" for code in (options.src_lang, options.tgt_lang)]
    budget = ("--minutes", options.minutes) if options.minutes is not None else ("--steps", options.steps)
    line = ["--recipe", recipe, "--data-dir", folder, "--output", folder, *budget, "--seeds", *options.seeds]
    line += ["--test-src", tests[0].resolve(), "--test-tgt", tests[1].resolve()]
    for setting in (*options.settings, f"training.threads={options.threads}"):
        line += ["--set", setting]
    known = variants_of(VARIANTS)
    for name in options.variants:
        line += ["--variant", name, *known[name]]
    return [str(part) for part in line]


def cells_of(output: Path) -> list[Cell]:
    """Return the cells of all runs in an output folder, whichever command made them."""
    cells = []
    for folder in sorted(output.glob("pairs-*")):
        runs = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob(f"*/{ablation.RESULT}"))]
        for name in dict.fromkeys(run["variant"] for run in runs):
            cells.append(_cell(int(folder.name.partition("-")[2]), [r for r in runs if r["variant"] == name]))
    return cells


def _cell(pairs: int, runs: Sequence[Mapping[str, Any]]) -> Cell:
    def mean(name: str) -> float:
        return statistics.mean(run[name] for run in runs)

    shared = tuple(s for s in runs[0]["settings"] if not s.startswith("training.seed="))
    return Cell(
        pairs=pairs,
        variant=runs[0]["variant"],
        settings=shared,
        scores=tuple(run["bleu"]["lowercased"] for run in runs),
        nll=mean("valid_nll"),
        steps=mean("steps"),
        best_share=statistics.mean(run["best_step"] / run["steps"] for run in runs),
        tokens=mean("target_tokens"),
        seconds=mean("seconds"),
    )


def write(output: Path) -> None:
    """Write the table of all runs as JSON and Markdown."""
    cells = cells_of(output)
    rows = [vars(cell) | {"mean": round(cell.mean, 2)} for cell in cells]
    DISK.write_replacing(output / "grid.json", (json.dumps(rows, indent=1) + "\n").encode())
    DISK.write_replacing(output / "grid.md", (as_table(cells) + "\n").encode())


def as_table(cells: Sequence[Cell], bar: str = "small") -> str:
    """Return the cells as Markdown, size by size, best first, each beside the bar of its size."""
    lines = [
        f"| pairs | variant | seeds | BLEU lowercased | beside {bar} | valid nll | best at | steps | target tokens |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for pairs in dict.fromkeys(cell.pairs for cell in cells):
        own = sorted((cell for cell in cells if cell.pairs == pairs), key=lambda cell: -cell.mean)
        bars = [cell.mean for cell in own if cell.variant == bar]
        for cell in own:
            beside = f"{cell.mean - bars[0]:+.2f}" if bars else "-"
            mark = " (best)" if cell is own[0] else " (level with the best)" if own[0].mean - cell.mean < _NOISE else ""
            figures = [f"{cell.pairs:,}", cell.variant + mark, str(len(cell.scores))]
            figures += [ablation.spread(cell.scores), beside, f"{cell.nll:.3f}", f"{cell.best_share:.0%}"]
            figures += [f"{cell.steps:,.0f}", f"{cell.tokens:,.0f}"]
            lines.append(f"| {' | '.join(figures)} |")
    return "\n".join(lines)


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")


if __name__ == "__main__":
    main()
