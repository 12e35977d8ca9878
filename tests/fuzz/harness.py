"""Feed inputs to a way in, in a process of its own, and find out what they do to it.

    python -m tests.fuzz.harness TARGET FOLDER COUNT

A child with limits of memory and files gives its target (see ``targets.py``) the inputs that once did harm, and then
``COUNT`` inputs that it makes from their numbers. An input may be accepted, or refused with a ``PellucidError``.
Anything else is a failure: another exception, a processor time beyond ``SECONDS``, a signal. The inputs of failures are
written to the folder. Memory is limited for the child as a whole, so a bomb is a ``MemoryError`` or ends the child
alone. Read ``targets.py`` next.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

from tests.fuzz.mutation import Mutator, mutate

from pellucid.errors import PellucidError

ROOT = Path(__file__).parents[2]
SECONDS = 20
"""Of the processor, for one input: far beyond what is needed, so that a slow machine fails nothing."""
MEMORY_BYTES = 768 << 20
"""Beyond what the child has after it has imported everything and taken a sound input."""
PATIENCE_SECONDS = 1800
"""Ends a child that hangs without computing."""
MOST_FAILURES = 10
LONGEST_MESSAGE = 100_000
"""What a screen may be filled with: a message quotes a hostile file in part."""


@dataclass(frozen=True)
class Target:
    """A way in.

    Args:
        take: gives an input to it, by the name of its seed and its bytes; raises ``PellucidError`` for a refusal.
        seeds: sound inputs by name; each is one that ``take`` accepts.
        mutator: damages an input.
        words: what the format is made of, for the mutator.
        kept: inputs that once did harm, by a name for messages: the seed's name and the bytes.
    """

    take: Callable[[str, bytes], None]
    seeds: Mapping[str, bytes]
    mutators: Mapping[str, Mutator] = field(default_factory=dict)
    """By the seed's name, where it is not ``mutate``."""
    words: Sequence[bytes] = ()
    kept: Mapping[str, tuple[str, bytes]] = field(default_factory=dict)

    def input(self, number: int) -> tuple[str, bytes]:
        """Make the input of a number: the same for ever."""
        generator = random.Random(number)
        name = generator.choice(sorted(self.seeds))
        return name, self.mutators.get(name, mutate)(self.seeds[name], generator, self.words)


@dataclass(frozen=True)
class Report:
    """What became of some inputs."""

    given: int
    accepted: int
    refused: int
    failures: list[str]

    def told(self) -> str:
        """Describe the first failures, and how many there are."""
        return "\n\n".join([f"{len(self.failures)} inputs did harm:", *self.failures[:MOST_FAILURES]])


def run(target: str, folder: Path, *, count: int) -> Report:
    """Give a target, in a child, the inputs that are kept for it and ``count`` new ones."""
    failures: list[str] = []
    accepted = refused = 0
    first = 0
    while len(failures) < MOST_FAILURES:
        done = _child(target, folder, first, count)
        lines = [json.loads(line) for line in (folder / "report").read_text().splitlines()]
        accepted += sum(line["outcome"] == "accepted" for line in lines)
        refused += sum(line["outcome"] == "refused" for line in lines)
        failures += [f"{line['input']}: {line['outcome']}" for line in lines if line["outcome"] not in _FINE]
        if lines and lines[-1]["outcome"] == "ended":
            return Report(lines[-1]["number"], accepted, refused, failures)
        if not lines or lines[-1]["outcome"] != "given":
            raise RuntimeError(f"the child of {target} did not begin ({_death(done)})\n{done.stderr[-3000:]}")
        failures.append(f"{lines[-1]['input']}: ended the process ({_death(done)})\n{done.stderr[-1500:]}")
        first = lines[-1]["number"] + 1
    return Report(first, accepted, refused, failures)


_FINE = ("accepted", "refused", "given", "ended")


def _child(target: str, folder: Path, first: int, count: int) -> subprocess.CompletedProcess[str]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report").write_text("")
    paths = os.pathsep.join([str(ROOT), *(path for path in sys.path if path)])
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz.harness", target, str(folder), str(first), str(count)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(folder / "cache")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def _death(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode >= 0:
        return f"exit status {done.returncode}"
    name = signal.Signals(-done.returncode).name
    return f"{name}: over {SECONDS} seconds of the processor" if name == "SIGPROF" else name


def main(target_name: str, folder: Path, first: int, count: int) -> None:
    """Be the child."""
    faulthandler.enable()
    from tests.fuzz.targets import TARGETS

    (folder / "work").mkdir(exist_ok=True)
    target = TARGETS[target_name](folder / "work")
    for name, content in target.seeds.items():
        target.take(name, content)
    gc.freeze()  # hundreds of thousands of objects that stay; the collector would go through them again and again
    limit()
    inputs = chain(target.kept.items(), ((str(number), target.input(number)) for number in range(count)))
    with (folder / "report").open("a", encoding="utf-8", buffering=1) as report:

        def tell(number: int, name: str, outcome: str) -> None:
            report.write(json.dumps({"number": number, "input": name, "outcome": outcome}) + "\n")

        for number, (label, (name, content)) in islice(enumerate(inputs), first, None):
            path = folder / (re.sub(r"[^\w.]+", "-", f"{target_name}-{label}")[:100] + f"-{name}")
            path.write_bytes(content)
            tell(number, str(path), "given")
            outcome = _outcome(target, name, content)
            tell(number, str(path), outcome)
            if outcome in _FINE:
                path.unlink()
        tell(len(target.kept) + count, "end", "ended")


def _outcome(target: Target, name: str, content: bytes) -> str:
    signal.setitimer(signal.ITIMER_PROF, SECONDS)  # nobody handles the signal: it ends C++ too
    try:
        target.take(name, content)
    except PellucidError as error:
        length = len(str(error).strip())
        return "refused" if 0 < length <= LONGEST_MESSAGE else f"refused in a message of {length:,} characters"
    except Exception:
        return traceback.format_exc(limit=-5)[-1500:]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return "accepted"


def limit() -> None:
    """Bound memory, by what is taken now, and the size of files."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_FSIZE, (256 << 20, 256 << 20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
