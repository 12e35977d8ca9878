"""A Ray cluster of nodes on this machine, for tests: it listens on the loopback address only, and all of it ends."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any

ENVIRONMENT = {
    # Ray has one setting for "this computer is never part of a cluster of machines", and it bears this name. It is read
    # when ray is imported.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Ray Data starts 32 processes to look at the ends of Parquet files, however few there are.
    "RAY_DATA_PARQUET_FOOTER_NUM_ACTORS": "1",
    # On a busy machine a process that starts for a minute is not dead.
    "RAY_worker_register_timeout_seconds": "600",
}
NODE = {"num_gpus": 0, "object_store_memory": 100 << 20, "include_dashboard": False}
STARTS = 5


class LocalCluster:
    """The cluster, with what tests do to it."""

    def __init__(self, folder: Path) -> None:
        from ray.cluster_utils import Cluster

        self.folder = folder
        self._cluster = patiently(lambda: Cluster(initialize_head=True, head_node_args={**NODE, "num_cpus": 1}), folder)
        self.address: str = self._cluster.address

    def add_node(self, *, processors: int) -> Any:
        return patiently(lambda: self._cluster.add_node(num_cpus=processors, **NODE), None)

    def lose(self, node: Any) -> None:
        """End a node as a power cut does."""
        self._cluster.remove_node(node, allow_graceful=False)

    def shutdown(self) -> None:
        self._cluster.shutdown()

    def listens_on(self) -> set[str]:
        """Return the addresses on which processes of the cluster listen."""
        inodes = set()
        for process in processes_of(self.folder):
            with suppress(OSError):  # it ended, or a stream of it was closed
                for stream in Path(f"/proc/{process}/fd").iterdir():
                    with suppress(OSError):
                        inodes.add(str(stream.readlink()))
        return {address for inode, address in listening() if f"socket:[{inode}]" in inodes}


@contextmanager
def local_cluster() -> Iterator[LocalCluster]:
    """Start a cluster with one processor, connect to it, and end it."""
    # The names of sockets have at most 107 bytes, so pytest's folders are too long.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        before = {key: os.environ.get(key) for key in (*ENVIRONMENT, "RAY_TMPDIR")}
        os.environ.update(ENVIRONMENT, RAY_TMPDIR=name)
        import ray

        try:
            cluster = LocalCluster(folder)
            ray.init(address=cluster.address, log_to_driver=False)
            yield cluster
            ray.shutdown()
            cluster.shutdown()
        finally:
            end(folder)
            for key, value in before.items():
                os.environ.pop(key) if value is None else os.environ.update({key: value})


def patiently(start: Callable[[], Any], folder: Path | None) -> Any:
    """Start a node, again if need be: Ray gives its own processes 15 seconds, which a busy machine may not have."""
    for number in range(STARTS):
        try:
            return start()
        except Exception as error:
            if "timed out during startup" not in str(error) or number + 1 == STARTS:
                raise
            if folder is not None:
                end(folder)


def end(folder: Path) -> None:
    """Kill what is left of the processes of a cluster, and wait until they are gone."""
    deadline = time.monotonic() + 60
    while left := processes_of(folder):
        assert time.monotonic() < deadline, f"processes of Ray do not end: {left}"
        for process in left:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.05)


def processes_of(folder: Path) -> set[int]:
    """Return the processes that name the folder of a cluster in their command, and their descendants."""
    parents, found = {}, set()
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (place / "cmdline").read_bytes()
            state, parent = (place / "stat").read_text().rpartition(")")[2].split()[:2]
            if state == "Z":
                continue
            parents[int(place.name)] = int(parent)
            if os.fsencode(folder) in command and int(place.name) != os.getpid():
                found.add(int(place.name))
    while more := {process for process, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def listening() -> Iterator[tuple[str, str]]:
    """Yield inode and address of each TCP socket of this machine that listens."""
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for row in table.read_text().splitlines()[1:]:
            _, local, _, state, *rest = row.split()
            if state == "0A":
                words = bytes.fromhex(local.partition(":")[0])
                # Each 32 bits in the order of this machine's bytes.
                raw = b"".join(words[first : first + 4][::-1] for first in range(0, len(words), 4))
                address = ip_address(raw)
                yield rest[5], str(getattr(address, "ipv4_mapped", None) or address)
