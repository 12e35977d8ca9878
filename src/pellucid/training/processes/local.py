"""Start the other processes of a run on this machine, without a launcher, and connect this process with them.

The others run a command with the variables that ``torchrun`` would set. This process is the first: it keeps the screen,
the signals and the exit status. The others write nothing into the run folder and know nothing that the first does not
know, so they may be killed when the first one ends early. All of them listen on the loopback interface only. Read
``lives.py`` next.
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from signal import SIGKILL, Signals
from typing import IO, Final, Self

import torch.distributed

from pellucid.errors import ConfigError, ProcessLostError, StoppedError
from pellucid.runtime import module_paths
from pellucid.training.processes.ranks import ProcessGroup, first_line

__all__ = ["FIRST_PROCESS", "end_with_first", "started_here"]

FIRST_PROCESS: Final = "PELLUCID_FIRST_PROCESS"
"""The variable with the id of the process that started this one."""
_HOST: Final = "127.0.0.1"
_INTERFACE: Final = "GLOO_SOCKET_IFNAME"
_LOOPBACK: Final = "lo0" if sys.platform == "darwin" else "lo"
_LONGEST_WAIT: Final = timedelta(hours=2)
_LOOK_SECONDS: Final = 0.1
_SECONDS_TO_CONNECT: Final = 600
"""They read the settings first; on a busy machine that takes a minute."""
_SECONDS_TO_END: Final = 60
_LAST_LINES: Final = 15
_SIGNAL_AT_DEATH_OF_PARENT: Final = 1
"""PR_SET_PDEATHSIG of Linux."""


@contextmanager
def started_here(command: Sequence[str], *, count: int, threads: int) -> Iterator[ProcessGroup]:
    """Start ``count - 1`` processes that run ``command`` with ``threads`` threads each, and be the first of them all.

    Raises:
        ProcessLostError: one of them ended early; the message says how.
        ConfigError: the processes cannot be started or connected.
    """
    others: dict[int, _Other] = {}
    group: ProcessGroup | None = None
    store: object = None
    try:
        try:
            store, port = _store()
            for rank in range(1, count):
                variables = {"RANK": rank, "WORLD_SIZE": count, "MASTER_ADDR": _HOST, "MASTER_PORT": port}
                others[rank] = _Other.start(command, variables | {"OMP_NUM_THREADS": threads})
            _connect(port, others)
            group = ProcessGroup(torch.distributed.TCPStore(_HOST, port, timeout=timedelta(seconds=10)))  # type: ignore[attr-defined]
        except (OSError, RuntimeError) as error:  # no port, no process, no room for its messages
            raise _unconnected(error) from None
        yield group
        for other in others.values():
            other.wait()
    except ProcessLostError as error:
        ends = [f"process {rank} {end}" for rank, other in others.items() if (end := other.end())]
        raise ProcessLostError("\n".join([str(error), *ends])) from None
    finally:
        for other in others.values():
            other.kill()
        if group is not None:
            group.close()
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        del store


def end_with_first() -> None:
    """If ``started_here`` started this process, let the system end it when the first process ends, however that ends.

    Raises:
        StoppedError: the first process has ended.
    """
    if not (first := os.environ.get(FIRST_PROCESS, "")):
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SIGNAL_AT_DEATH_OF_PARENT, int(SIGKILL))
    if str(os.getppid()) != first:
        raise StoppedError("the process that started this one has ended")


@dataclass(frozen=True)
class _Other:
    """Another process of the run, and the file with its messages."""

    process: subprocess.Popen[bytes]
    messages: IO[bytes]

    @classmethod
    def start(cls, command: Sequence[str], variables: Mapping[str, object]) -> Self:
        """Start it in a session of its own, so that Ctrl-C reaches the first process only, which stops them all."""
        environment = {_INTERFACE: _LOOPBACK} | os.environ | {name: str(value) for name, value in variables.items()}
        environment |= {"PYTHONPATH": module_paths(), FIRST_PROCESS: str(os.getpid())}
        messages = tempfile.TemporaryFile()  # noqa: SIM115 - ``kill`` closes it
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=messages,
            stderr=messages,
            start_new_session=True,
        )
        return cls(process, messages)

    def end(self) -> str:
        """Return how it ended, with its last messages; empty if it did not, or if all was well."""
        if not (status := self.process.poll()):
            return ""
        if status < 0:
            return f"was killed by {Signals(-status).name}"
        self.messages.seek(0)
        lines = self.messages.read().decode(errors="replace").splitlines()[-_LAST_LINES:]
        return "\n  ".join([f"ended with status {status}{'; its last messages:' if lines else ''}", *lines])

    def wait(self) -> None:
        """Give it time to end by itself."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_SECONDS_TO_END)

    def kill(self) -> None:
        """End it at once, if it has not ended."""
        self.process.kill()
        self.process.wait()
        self.messages.close()


def _store() -> tuple[object, int]:
    """Serve the store where the processes meet; return it and its port."""
    listening = socket.create_server((_HOST, 0))
    port: int = listening.getsockname()[1]
    store = torch.distributed.TCPStore(  # type: ignore[attr-defined]
        _HOST, port, is_master=True, multi_tenant=True, wait_for_workers=False, master_listen_fd=listening.detach()
    )
    return store, port


def _connect(port: int, others: Mapping[int, _Other]) -> None:
    """Connect with the others. This waits in C++ for all of them, so a thread waits, and this one looks after them."""
    failures: list[Exception] = []

    def connect() -> None:
        try:
            torch.distributed.init_process_group(
                "gloo", init_method=f"tcp://{_HOST}:{port}", rank=0, world_size=len(others) + 1, timeout=_LONGEST_WAIT
            )
        except Exception as error:
            failures.append(error)

    connecting = threading.Thread(target=connect, daemon=True)
    last = time.monotonic() + _SECONDS_TO_CONNECT
    with _on_loopback():
        connecting.start()
        while connecting.is_alive():
            connecting.join(_LOOK_SECONDS)
            if time.monotonic() > last:
                raise TimeoutError(f"they did not find each other within {_SECONDS_TO_CONNECT} seconds")
            for rank, other in others.items():
                if other.end():
                    raise ProcessLostError(
                        f"process {rank} of {len(others) + 1} (counted from 0) ended before the first step; nothing is "
                        "lost. Fix the cause and run the same command again, or set training.processes=1"
                    )
    if failures:
        raise _unconnected(failures[0])


def _unconnected(error: Exception) -> ConfigError:
    return ConfigError(f"the processes of this run cannot be connected ({first_line(error)}); set training.processes=1")


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Let gloo listen on the loopback interface, unless the environment names another one."""
    if _INTERFACE in os.environ:
        yield
        return
    os.environ[_INTERFACE] = _LOOPBACK
    try:
        yield
    finally:
        del os.environ[_INTERFACE]
