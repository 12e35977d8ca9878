"""Describe the machine of a measurement, and measure the load of other processes during it.

Read ``train_cpu.py`` next.
"""

from __future__ import annotations

import datetime
import os
import platform
import re
import resource
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_REPORTED_FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "asimd", "sve", "bf16")


def machine_facts() -> dict[str, object]:
    """Return the processor, the instruction sets for matrix products, cores, memory, system and Python version."""
    text = _read("/proc/cpuinfo")
    name = re.search(r"^model name\s*:\s*(.+)$", text, re.M)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.M)
    known = set(flags[1].split()) if flags else set()
    memory = re.search(r"MemTotal:\s+(\d+)", _read("/proc/meminfo"))
    return {
        "processor": name[1] if name else platform.processor() or platform.machine(),
        "instructions": [flag for flag in _REPORTED_FLAGS if flag in known],
        "cores": available_cores(),
        "memory_gib": round(int(memory[1]) / 2**20, 1) if memory else None,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
    }


def available_cores() -> int:
    """Return the number of cores that this process can use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def commit() -> str:
    """Return the commit of this checkout, with a plus if files differ from it."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "unknown"


@dataclass(frozen=True)
class Watched:
    """The wall time and the processor time of a command, and the share of all cores that other processes used.

    The share is None if it is unknown.
    """

    seconds: float
    others_share: float | None
    load_before: float
    processor_seconds: float


def run_watched(command: Sequence[str | Path], *, log: Path, environment: dict[str, str], timeout: float) -> Watched:
    """Run a command with its output in a log file.

    Raises:
        SystemExit: the command failed or exceeded ``timeout``; the message contains the end of its log.
    """
    load_before = os.getloadavg()[0]
    busy, children, began = _busy_seconds(), _child_seconds(), time.perf_counter()
    with log.open("wb") as sink:
        try:
            status = subprocess.run(
                [str(part) for part in command],
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=os.environ | environment,
                timeout=timeout,
            ).returncode
        except subprocess.TimeoutExpired:
            status = -1
    seconds = time.perf_counter() - began
    if status:
        end = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-30:])
        why = f"ended with status {status}" if status > 0 else f"was stopped after {seconds:.0f} s"
        raise SystemExit(f"{end}\n{' '.join(map(str, command))}\n{why}; its log is {log}")
    others, ours = None, _child_seconds() - children
    if busy is not None:
        others = max(0.0, (_busy_seconds() or 0.0) - busy - ours) / (seconds * (os.cpu_count() or 1))
    return Watched(seconds, others, load_before, ours)


def _busy_seconds() -> float | None:
    """Return the busy seconds of all cores together, including time stolen by the host."""
    fields = _read("/proc/stat").splitlines()[:1]
    if not fields:
        return None
    user, nice, system, _idle, _wait, irq, softirq, steal = map(int, fields[0].split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _child_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
