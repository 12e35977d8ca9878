"""Cut text into pieces in several processes; the results are those of one process, in the same order.

A thread for each process hands it some pairs and waits for the arrays. Read ``../store.py`` next.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import numpy as np

from pellucid.errors import DataError
from pellucid.runtime import module_paths
from pellucid.text.corpus import SentencePair
from pellucid.text.storing.cutting import CutPairs, CutSide, cut
from pellucid.text.tokenizer import Tokenizer

__all__ = ["cut_in_order"]

_COMMAND: Final = (sys.executable, "-P", "-m", "pellucid.text.storing.child")
_WAITING: Final = 2
"""Chunks that are read ahead for each process."""

Chunk = list[SentencePair]


def cut_in_order(
    chunks: Iterable[Chunk], tokenizer: Tokenizer, *, most: int, processes: int
) -> Generator[tuple[Chunk, CutPairs]]:
    """Yield each chunk of pairs and its pieces, in order.

    Args:
        chunks: the pairs.
        tokenizer: cuts them.
        most: limit of pieces of a side.
        processes: with 1, this process does it itself.

    Raises:
        DataError: a process ended, as for lack of memory.
        RequestError: a text holds a lone surrogate.
    """
    if processes == 1:
        for chunk in chunks:
            yield chunk, cut(tokenizer, *_sides(chunk), most=most)
        return
    with _children(tokenizer, most=most, count=processes) as idle, ThreadPoolExecutor(processes) as threads:

        def ask(chunk: Chunk) -> CutPairs:
            child = idle.get()
            try:
                return _ask(child, chunk)
            finally:
                idle.put(child)

        under_way: deque[tuple[Chunk, Future[CutPairs]]] = deque()
        try:
            for chunk in chunks:
                under_way.append((chunk, threads.submit(ask, chunk)))
                if len(under_way) >= _WAITING * processes:
                    done, found = under_way.popleft()
                    yield done, found.result()
            while under_way:
                done, found = under_way.popleft()
                yield done, found.result()
        finally:
            for _, found in under_way:
                found.cancel()


def _sides(chunk: Sequence[SentencePair]) -> tuple[list[str], list[str]]:
    return [pair.source for pair in chunk], [pair.target for pair in chunk]


@contextmanager
def _children(tokenizer: Tokenizer, *, most: int, count: int) -> Iterator[queue.SimpleQueue[subprocess.Popen[bytes]]]:
    """Start the processes, which read the tokenizer from a folder, and end them."""
    environment = os.environ | {"PYTHONPATH": module_paths(), "OMP_NUM_THREADS": "1"}
    idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
    with ExitStack() as held:
        folder = held.enter_context(tempfile.TemporaryDirectory())
        tokenizer.save(Path(folder))
        command = (*_COMMAND, folder, tokenizer.default_tag, str(most))
        for _ in range(count):
            try:
                child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
            except OSError as error:
                raise DataError(f"a process that cuts text cannot be started: {error.strerror or error}") from None
            held.callback(_end, child)
            idle.put(child)
        yield idle


def _end(child: subprocess.Popen[bytes]) -> None:
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            with suppress(OSError):  # what it never read
                stream.close()
    child.terminate()
    child.wait()


def _ask(child: subprocess.Popen[bytes], chunk: Chunk) -> CutPairs:
    if child.stdin is None or child.stdout is None:
        raise ValueError("the process has no pipes")
    try:
        child.stdin.write(json.dumps(_sides(chunk)).encode() + b"\n")
        child.stdin.flush()
        sizes = json.loads(child.stdout.readline())
        fits, *rest = (child.stdout.read(size) for size in sizes)
    except (OSError, ValueError):
        status = child.wait()
        raise DataError(
            f"a process that cuts text into pieces ended with status {status}"
            f"{', perhaps for lack of memory' if status < 0 else ''}; give the same command again, with fewer --threads"
        ) from None
    sides = [
        CutSide(np.frombuffer(ids, dtype=np.uint32), np.frombuffer(lengths, dtype=np.int64))
        for ids, lengths in (rest[:2], rest[2:])
    ]
    return CutPairs(np.frombuffer(fits, dtype=np.bool_), (sides[0], sides[1]))
