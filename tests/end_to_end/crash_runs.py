"""Small training runs in processes of their own, killed on purpose; run as a script by ``test_crash``.

This process forks a child for every run: the child trains with one thread and is
killed (``os._exit`` at a chosen operation of the disk, or a signal at a random moment), and a second child continues.
The report on standard output is one JSON object a line.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit" / "training"))

import torch
from kit import run_training  # type: ignore[import-not-found]

from pellucid.durable import Disk
from pellucid.errors import PellucidError

KILLED = 9


def settings(steps: int) -> dict[str, object]:
    """Moving average, dropout, patience, validations, saves and removals of old checkpoints: all of it."""
    return {
        "config_train_steps": steps,
        "config_save_steps": 2,
        "config_valid_steps": 3,
        "config_keep_checkpoint": 1,
        "config_early_stopping": 50,
    }


def weights_of(model: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


def in_child(work: Callable[[], None]) -> tuple[int, str]:
    """Run ``work`` in a forked process; return its status and what it wrote to standard error."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.dup2(writing, 2)
        status = 1
        try:
            work()
            status = 0
        except PellucidError as error:
            os.write(2, str(error).encode())
            status = error.exit_status
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), text


def train_to_end(folder: Path, *, steps: int, disk: Disk | None = None) -> None:
    _, model, _ = run_training(folder, **settings(steps), **({"disk": disk} if disk else {}))
    (folder / "final").write_text(weights_of(model))


def operations_of(folder: Path, *, steps: int) -> list[str]:
    """Train without a kill and return every operation in order."""
    log = folder.with_suffix(".operations")

    def note(kind: str, path: Path) -> None:
        with log.open("a") as file:
            file.write(f"{kind} {path.relative_to(folder)}\n")

    status, text = in_child(lambda: train_to_end(folder, steps=steps, disk=Disk(note)))
    if status:
        raise SystemExit(text)
    return log.read_text().splitlines()


def kill_at(number: int) -> Disk:
    count = 0

    def stop(kind: str, path: Path) -> None:
        nonlocal count
        count += 1
        if count == number:
            os._exit(KILLED)

    return Disk(stop)


def every_operation(folder: Path, *, steps: int) -> None:
    """End the process before every operation of the disk, once each, and continue."""
    operations = operations_of(folder / "whole", steps=steps)
    expected = (folder / "whole" / "final").read_text()
    for number in range(1, len(operations) + 1):
        run = folder / f"killed-{number}"
        killed, _ = in_child(lambda run=run, number=number: train_to_end(run, steps=steps, disk=kill_at(number)))
        status, text = in_child(lambda run=run: train_to_end(run, steps=steps))
        final = (run / "final").read_text() if status == 0 else ""
        report(operation=operations[number - 1], killed=killed, status=status, text=text, same=final == expected)
        shutil.rmtree(run)


def train_until(moment: float, folder: Path, *, steps: int) -> None:
    """Train for so many seconds of the processor; nothing handles the signal, so it ends a process as SIGKILL does."""
    signal.setitimer(signal.ITIMER_PROF, moment)
    train_to_end(folder, steps=steps)


def random_moments(folder: Path, *, steps: int, kills: int, seed: int) -> None:
    """End a run at random moments of its processor time, which a busy machine does not move, and continue."""
    in_child(lambda: train_to_end(folder / "whole", steps=steps))
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    lasts = spent.ru_utime + spent.ru_stime
    expected = (folder / "whole" / "final").read_text()
    generator = random.Random(seed)
    for number in range(kills):
        run = folder / f"killed-{number}"
        moment = generator.uniform(0.02, lasts)
        killed, _ = in_child(lambda run=run, moment=moment: train_until(moment, run, steps=steps))
        saved = sorted(path.name for path in (run / "checkpoints").glob("step-*"))
        status, text = in_child(lambda run=run: train_to_end(run, steps=steps))
        final = (run / "final").read_text() if status == 0 else ""
        report(saved=saved, killed=killed, status=status, text=text, same=final == expected)
        shutil.rmtree(run)


def full_disk(folder: Path, *, steps: int) -> None:
    """Continue a run with a limit on the size of files, then without."""
    in_child(lambda: train_to_end(folder / "whole", steps=steps))
    run = folder / "run"
    in_child(lambda: train_to_end(run, steps=steps // 2))
    before = sorted(path.name for path in (run / "checkpoints").iterdir())
    largest = max(path.stat().st_size for path in (run / "checkpoints" / before[-1]).iterdir())

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest - 1, largest - 1))
        train_to_end(run, steps=steps)

    status, text = in_child(limited)
    after = sorted(path.name for path in (run / "checkpoints").iterdir())
    report(status=status, text=text, before=before, after=after)
    status, text = in_child(lambda: train_to_end(run, steps=steps))
    same = (run / "final").read_text() == (folder / "whole" / "final").read_text()
    report(status=status, text=text, same=same)


def report(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    place = Path(sys.argv[2])
    place.mkdir(parents=True, exist_ok=True)
    # What a library sets up at its first use is set up once, and inherited by every child.
    run_training(place / "warm", **settings(4))
    gc.freeze()  # no child looks through what it inherits for garbage
    arguments = {key: int(value) for key, value in (pair.split("=") for pair in sys.argv[3:])}
    {"operations": every_operation, "moments": random_moments, "disk": full_disk}[sys.argv[1]](place, **arguments)
