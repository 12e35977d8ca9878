"""Start the child process of ``worker.py`` and exchange records with it. Read ``trial.py`` next."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast

from pellucid.errors import EngineUnavailableError, counted
from pellucid.runtime import module_paths

__all__ = ["Child", "WorkerSettings"]

_WORKER: Final = Path(__file__).with_name("worker.py")
_SECONDS_TO_END: Final = 5


@dataclass(frozen=True)
class WorkerSettings:
    """How CTranslate2 runs. The names are CTranslate2's."""

    compute_type: str
    inter_threads: int
    """Batches that are computed at once, each by ``intra_threads``."""
    intra_threads: int
    max_batch_size: int
    """In source tokens."""
    isa: str
    """``CT2_FORCE_CPU_ISA``; empty leaves the choice to CTranslate2."""

    def __str__(self) -> str:
        isa = self.isa or "default instructions"
        return (
            f"{self.compute_type}, {isa}, {self.inter_threads} x {counted(self.intra_threads, 'thread')}, "
            f"batches of {self.max_batch_size} tokens"
        )


class Child:
    """A running CTranslate2 with one model open. Requests of several threads wait for each other.

    Raises:
        EngineUnavailableError: CTranslate2 is not installed, or cannot open the folder with these settings.
    """

    def __init__(self, folder: Path, settings: WorkerSettings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        environment = {key: value for key, value in os.environ.items() if key != "CT2_FORCE_CPU_ISA"}
        if settings.isa:
            environment["CT2_FORCE_CPU_ISA"] = settings.isa
        environment["PYTHONPATH"] = module_paths()
        self._process = subprocess.Popen(
            [sys.executable, str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
            encoding="utf-8",
        )
        options = {
            "compute_type": settings.compute_type,
            "inter_threads": settings.inter_threads,
            "intra_threads": settings.intra_threads,
        }
        answer = self.ask("open", {"folder": str(folder), "options": options})
        if "error" in answer:
            self.close()
            raise EngineUnavailableError(f"CTranslate2 cannot open {folder}: {answer['error']}")
        self.version = str(answer["version"])

    def ask(self, kind: str, request: dict[str, Any]) -> dict[str, Any]:
        """Send one request and return the answer; ``{"error": ...}`` if it failed or the child ended."""
        line = json.dumps({kind: request}) + "\n"
        sink, source = cast(IO[str], self._process.stdin), cast(IO[str], self._process.stdout)
        with self._lock:
            try:
                sink.write(line)
                sink.flush()
                answer = source.readline()
            except (OSError, ValueError):
                answer = ""
        if not answer:
            return {"error": f"the process of CTranslate2 ended with status {self._process.poll()}", "ended": True}
        return dict(json.loads(answer))

    @property
    def is_running(self) -> bool:
        """Whether the child can answer."""
        return self._process.poll() is None

    def close(self) -> None:
        """End the child."""
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):  # a request that the child did not read
                cast(IO[str], stream).close()
        try:
            self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
