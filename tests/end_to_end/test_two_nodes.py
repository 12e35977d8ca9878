"""Two network namespaces as two nodes of one training: a cable is cut, or a node ends, and the others say which."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .small_runs import TINY, numbered_lines, options

ADDRESSES = ("10.99.0.1", "10.99.0.2")


def ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


def kill_all_in(node: str) -> None:
    for process in ip("netns", "pids", node).split():
        os.kill(int(process), signal.SIGKILL)


@pytest.fixture
def nodes() -> Iterator[tuple[str, str]]:
    """Make two nodes with one cable between them, whose ends are both called ``cable``."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("network namespaces need root and the program ip")
    names = (f"pellucid-{os.getpid()}-0", f"pellucid-{os.getpid()}-1")
    try:
        ip("netns", "add", names[0])
    except subprocess.CalledProcessError as error:
        pytest.skip(f"network namespaces are not allowed here: {error.stderr.strip()}")
    try:
        ip("netns", "add", names[1])
        ip("link", "add", "cable", "netns", names[0], "type", "veth", "peer", "name", "cable", "netns", names[1])
        for name, address in zip(names, ADDRESSES, strict=True):
            ip("-n", name, "address", "add", f"{address}/24", "dev", "cable")
            for device in ("lo", "cable"):
                ip("-n", name, "link", "set", device, "up")
        yield names
    finally:
        for name in names:
            if name in ip("netns", "list"):
                kill_all_in(name)
                ip("netns", "delete", name)


@pytest.mark.slow(minutes=2)
@pytest.mark.parametrize("loss", ["cut", "killed"])
def test_the_others_end_and_name_the_node_that_is_gone(loss: str, nodes: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "s").write_text(numbered_lines(97))
    command = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
    command += ["--master-addr", ADDRESSES[0], "--master-port", "29400"]
    training = [
        "-m",
        "pellucid",
        "train",
        "--train-src",
        "s",
        "--train-tgt",
        "s",
        "--preset",
        "tiny",
        "--output",
        "run",
    ]
    own = ("training.train_steps=1000000", "training.batch_size=199", "training.threads=1", "training.save_steps=5")
    training += options(*TINY, *own, "tokenizer.kind=bytes", "data.cleaning.drop_copies=false")
    # The name of a machine leads nowhere in a namespace, so gloo has to know the network.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "cable"}
    running = [
        subprocess.Popen(
            ["ip", "netns", "exec", node, *command, "--node-rank", str(rank), *training],
            cwd=tmp_path,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, node in enumerate(nodes)
    ]
    deadline = time.monotonic() + 300
    while not any((tmp_path / "run/checkpoints").glob("step-*[1-9]*")):
        assert time.monotonic() < deadline
        assert [process.poll() for process in running] == [None, None]
        time.sleep(0.1)
    if loss == "cut":
        ip("-n", nodes[1], "link", "set", "cable", "down")
    else:
        kill_all_in(nodes[1])
    said = [process.communicate(timeout=600)[1] for process in running]
    assert running[0].returncode != 0
    assert "process 0 of 2 (counted from 0): process 1 of this run" in said[0]
    assert "exitcode  : 75" in said[0]
    if loss == "cut":
        assert running[1].returncode != 0
        assert "process 1 of 2 (counted from 0): process 0 of this run gives no sign of life" in said[1]
