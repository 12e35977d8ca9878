"""Choose how CTranslate2 runs on this machine, by trying.

Its defaults are often half as fast as its best settings, and no flag of a processor says which are best. The trial
translates random pieces to a fixed length, so every setting does the same work. Read ``engine.py`` next.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from pellucid.durable import DISK
from pellucid.errors import EngineUnavailableError
from pellucid.translation.engines.ctranslate2.process import Child, WorkerSettings

__all__ = ["best_settings"]

_SENTENCES: Final = 64
_LENGTH: Final = 20
_ROUNDS: Final = 2
_ISAS: Final = ("", "AVX512")
"""CTranslate2 takes its AVX-512 kernels only where it is told to. It refuses an instruction set that is absent."""
_BATCHES: Final = (512, 2048)


def best_settings(
    folder: Path, pieces: Sequence[str], *, compute_type: str, threads: int, say: Callable[[str], None]
) -> WorkerSettings:
    """Return the fastest settings for a model folder, from the trial's record or by a trial of some seconds.

    Args:
        folder: the exported model; the record is kept beside its files.
        pieces: of the source vocabulary, for the sentences of the trial.
        compute_type: CTranslate2's name for the precision.
        threads: cores that may be used.
        say: called once if a trial runs.

    Raises:
        EngineUnavailableError: CTranslate2 cannot translate with any setting.
    """
    record = folder / f"settings-{compute_type}-{threads}.json"
    try:
        return WorkerSettings(**json.loads(record.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # absent, or of another version
        pass
    say("CTranslate2: trying its settings on this machine, once")
    timed: list[tuple[float, int, WorkerSettings]] = []
    problem = "no setting was tried"
    for number, settings in enumerate(_candidates(compute_type, threads)):
        try:
            timed.append((_seconds(folder, pieces, settings), number, settings))
        except EngineUnavailableError as error:
            problem = str(error)
    if not timed:
        raise EngineUnavailableError(problem)
    _, _, best = min(timed)
    DISK.write_replacing(record, json.dumps(asdict(best)).encode())
    return best


def _candidates(compute_type: str, threads: int) -> Iterator[WorkerSettings]:
    layouts = {(threads, 1), (1, threads)}
    for isa in _ISAS:
        for inter, intra in sorted(layouts, reverse=True):
            for batch in _BATCHES:
                yield WorkerSettings(compute_type, inter, intra, batch, isa)


def _seconds(folder: Path, pieces: Sequence[str], settings: WorkerSettings) -> float:
    """Return the least time of some rounds.

    Raises:
        EngineUnavailableError: the settings do not work here.
    """
    request = _request(pieces, settings)
    least = float("inf")
    with closing(Child(folder, settings)) as child:
        for _ in range(1 + _ROUNDS):  # the first one reserves memory
            answer = child.ask("time", request)
            if "error" in answer:
                raise EngineUnavailableError(f"CTranslate2 fails with {settings}: {answer['error']}")
            least = min(least, answer["seconds"])
    return least


def _request(pieces: Sequence[str], settings: WorkerSettings) -> dict[str, Any]:
    dice = random.Random(1)
    return {
        "sources": [dice.choices(pieces, k=_LENGTH) for _ in range(_SENTENCES)],
        "max_batch_size": settings.max_batch_size,
        "options": {"beam_size": 5, "min_decoding_length": _LENGTH, "max_decoding_length": _LENGTH},
    }
