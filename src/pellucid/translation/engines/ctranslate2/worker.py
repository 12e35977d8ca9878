"""The child process that runs CTranslate2: one JSON record a line in, one a line out.

It runs as a script, imports nothing of pellucid and has a process to itself, because CTranslate2 reads its instruction
set from the environment once, and because its OpenMP runtime and torch's disturb each other in one process.

    {"open": {"folder": ..., "options": {...}}}                     ->  {"version": "4.8.5"}
    {"search": {"sources": [[piece, ...], ...], "options": {...}, "max_batch_size": 512}}
        ->  {"found": [{"pieces": [...], "log_probabilities": [...]}, ...]}
    {"time": {...as "search"}}                                      ->  {"seconds": 0.25}

A request that fails returns ``{"error": message}``. The child ends when its input ends.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any

Record = dict[str, Any]


class Server:
    """Answers requests with one open model."""

    def __init__(self) -> None:
        self._translator: Any = None
        self.answers: dict[str, Callable[[Record], Record]] = {
            "open": self.open,
            "search": self.search,
            "time": self.time,
        }

    def open(self, request: Record) -> Record:
        """Open a model folder; the options are those of ``ctranslate2.Translator``."""
        library: Any = importlib.import_module("ctranslate2")
        self._translator = library.Translator(request["folder"], device="cpu", **request["options"])
        return {"version": library.__version__}

    def time(self, request: Record) -> Record:
        """Search and return how long it took."""
        began = time.perf_counter()
        self._best(request)
        return {"seconds": time.perf_counter() - began}

    def search(self, request: Record) -> Record:
        """Search, and score the pieces found: CTranslate2's search returns no log-probability of each piece."""
        best = self._best(request)
        end = request["end"]
        bare = [pieces[:-1] if pieces[-1:] == [end] else pieces for pieces in best]
        scored = self._translator.score_batch(
            request["sources"], bare, max_batch_size=request["max_batch_size"], batch_type="tokens", max_input_length=0
        )
        return {
            "found": [
                {"pieces": pieces, "log_probabilities": list(row.log_probs)[: len(pieces)]}
                for pieces, row in zip(best, scored, strict=True)
            ]
        }

    def _best(self, request: Record) -> list[list[str]]:
        results = self._translator.translate_batch(
            request["sources"],
            max_batch_size=request["max_batch_size"],
            batch_type="tokens",
            max_input_length=0,
            return_end_token=True,
            **request["options"],
        )
        return [list(result.hypotheses[0]) for result in results]


def main() -> None:
    """Answer line after line."""
    server = Server()
    # What the library prints itself must not disturb the answers.
    sink, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        ((kind, request),) = json.loads(line).items()
        try:
            answer = server.answers[kind](request)
        except Exception as error:  # of any kind: it is another project's code, and the parent reports it
            answer = {"error": f"{type(error).__name__}: {error}"}
        sink.write(json.dumps(answer) + "\n")
        sink.flush()


if __name__ == "__main__":
    main()
