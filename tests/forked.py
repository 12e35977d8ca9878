"""Commands in processes of their own that need not import torch again.

A new interpreter imports for two to three seconds before a command begins. One process, the fork server of
``multiprocessing``, imports once what the commands need, and every command starts in a fork of it. Tests of the start
itself, of the number of threads and of other programs begin a new interpreter.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import runpy
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any

from pellucid.runtime import let_others_run_at_barriers

__all__ = ["Started", "slow_disk"]

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        "torch._dynamo",  # every optimiser imports it
        "pellucid.cli.main",
        "pellucid.jobs.train",
        "pellucid.jobs.serve",
        "pellucid.jobs.bulk.files",
    ]
)


class Started:
    """What ``python ARGUMENTS`` starts, in a forked process, with the methods of ``subprocess.Popen`` that tests use.

    The arguments begin with ``-m`` and a module, ``-c`` and a program, or the path of a script. Standard input is
    empty. The other streams lead nowhere, into an open file, or with ``subprocess.PIPE`` into ``stdout`` and
    ``stderr``.
    """

    def __init__(
        self,
        *arguments: str | Path,
        stdout: int | IO[Any] = subprocess.DEVNULL,
        stderr: int | IO[Any] = subprocess.DEVNULL,
        text: bool = False,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        before: Callable[[], object] | None = None,
    ) -> None:
        self.args = [*map(str, arguments)]
        self.stdout, out = _stream(stdout, text=text)
        self.stderr, err = _stream(stderr, text=text)
        let_others_run_at_barriers()  # the fork server imports torch with this setting
        place, environment = str(cwd or Path.cwd()), dict(os.environ if env is None else env)
        self._process = _FORKS.Process(target=_work, args=(self.args, (out, err), place, environment, before))
        self._process.start()
        for stream in (out, err):
            if stream is not None:
                stream.close()
        self.pid = self._process.pid or 0

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return the status, or None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; return the status, which is negative after a signal."""
        self._process.join(timeout)
        status = self._process.exitcode
        if status is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return status

    def communicate(self, timeout: float | None = None) -> tuple[Any, Any]:
        """Read both streams to their ends and wait; return what they said."""
        said: dict[str, Any] = {}
        readers = [
            threading.Thread(target=lambda name=name, stream=stream: said.update({name: stream.read()}), daemon=True)
            for name, stream in (("out", self.stdout), ("err", self.stderr))
            if stream is not None and not stream.closed
        ]
        for reader in readers:
            reader.start()
        self.wait(timeout)
        for reader in readers:
            reader.join()
        for stream in (self.stdout, self.stderr):
            if stream is not None:
                stream.close()
        return said.get("out"), said.get("err")

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()


def slow_disk() -> None:
    """Wait a tenth of a second for every file: a command does this ``before`` it can end too early to be killed."""
    os.fsync = lambda descriptor: time.sleep(0.1)  # type: ignore[assignment]


def _stream(wish: int | IO[Any], *, text: bool) -> tuple[IO[Any] | None, Connection | None]:
    """Return the end that a test reads, and the end that the command writes to."""
    if wish == subprocess.DEVNULL:
        return None, None
    if wish == subprocess.PIPE:
        reading, writing = os.pipe()
        return os.fdopen(reading, "r" if text else "rb"), Connection(writing, readable=False)
    assert not isinstance(wish, int)
    return None, Connection(os.dup(wish.fileno()), readable=False)


def _work(
    arguments: Sequence[str],
    streams: tuple[Connection | None, Connection | None],
    place: str,
    environment: Mapping[str, str],
    before: Callable[[], object] | None,
) -> None:
    """Be the child."""
    gc.freeze()  # what is inherited is no garbage
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(place)
    with Path(os.devnull).open("wb") as nowhere:
        for number, stream in enumerate(streams, start=1):
            os.dup2((stream or nowhere).fileno(), number)
    for stream in streams:
        if stream is not None:
            stream.close()
    if "OMP_NUM_THREADS" in environment:
        import torch

        torch.set_num_threads(int(environment["OMP_NUM_THREADS"]))
    os.fsync = os.fstat  # type: ignore[assignment]  # as in the process of the tests: the disk is not waited for
    if before is not None:
        before()
    first, *rest = arguments
    if first == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        sys.argv = [first, *rest[1:]]
        exec(rest[0], {"__name__": "__main__"})
    else:
        sys.argv = [first, *rest]
        sys.path.insert(0, str(Path(first).resolve().parent))
        runpy.run_path(first, run_name="__main__")
