"""Write the toy tasks: copy, reverse and sort sequences of 5 to 12 of the 26 letters.

python tests/end_to_end/toy_tasks.py reverse FOLDER --seed 1
"""

from __future__ import annotations

import argparse
import random
import string
from collections.abc import Callable
from pathlib import Path

TASKS: dict[str, Callable[[list[str]], list[str]]] = {
    "copy": lambda letters: letters,
    "reverse": lambda letters: letters[::-1],
    "sort": sorted,
}
TRAINING_PAIRS = 20_000
UNSEEN_PAIRS = 1_000


def write_task(task: str, folder: Path, *, seed: int) -> None:
    """Write train, valid and test files; no source of valid or test occurs in train."""
    generator = random.Random(f"{task}-{seed}")
    sources: dict[tuple[str, ...], None] = {}
    while len(sources) < TRAINING_PAIRS + 2 * UNSEEN_PAIRS:
        sources[tuple(generator.choices(string.ascii_lowercase, k=generator.randint(5, 12)))] = None
    rows = list(sources)
    folder.mkdir(parents=True, exist_ok=True)
    start = 0
    for name, size in (("train", TRAINING_PAIRS), ("valid", UNSEEN_PAIRS), ("test", UNSEEN_PAIRS)):
        chosen = rows[start : start + size]
        start += size
        (folder / f"{name}.src").write_text("".join(" ".join(row) + "\n" for row in chosen))
        (folder / f"{name}.tgt").write_text("".join(" ".join(TASKS[task](list(row))) + "\n" for row in chosen))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=sorted(TASKS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    write_task(chosen.task, chosen.folder, seed=chosen.seed)
