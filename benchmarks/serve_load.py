"""Load the translation service: throughput of 1 and 32 clients, four times what it can do, and memory.

    python benchmarks/serve_load.py MODEL [--seconds 3] [--rounds 2] [--soak 600] [--output results.json]

Starts the real command on loopback, and clients in this process. The phases, with 1 and 32 clients in turns so that a
busy machine slows both:

    one, many   as many requests as 1 or 32 clients get through, each of one sentence; "many" is the peak
    overload    requests at four times the peak rate, whatever the answers: goodput (answered requests in time, over the
                peak), and how long refusals took
    soak        with --soak SECONDS: requests at 70 % of the peak rate
    memory      of the server after each phase: kilobytes, threads, descriptors

The defaults prove the script in seconds; results that are quoted need --seconds 60 on an idle machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

SENTENCES = [
    "The animal didn't cross the street because it was too tired.",
    "I am a student.",
    "The old woman reads the red book.",
    "We saw the little house near the river.",
    "My brother has a black cat and a white dog.",
    "They want to buy some bread.",
    "She never sings in the morning.",
]
LISTENS = re.compile(r"(?:look inside|the service is at): http://127\.0\.0\.1:(\d+)/")


@dataclass
class Counts:
    """What became of the requests of a phase."""

    seconds: float = 0.0
    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    other: dict[int, int] = field(default_factory=dict)

    def add(self, status: int, seconds: float) -> None:
        """Count an answer."""
        if status == 200:
            self.answered.append(seconds)
        elif status == 503:
            self.refused.append(seconds)
        else:
            self.other[status] = self.other.get(status, 0) + 1

    @property
    def rate(self) -> float:
        """Answered requests a second."""
        return len(self.answered) / self.seconds

    def record(self) -> dict[str, object]:
        """Return the counts for the report; times in milliseconds."""
        return {
            "requests_per_second": round(self.rate, 1),
            "answered": len(self.answered),
            "answered_ms": quantiles(self.answered),
            "refused": len(self.refused),
            "refused_ms": quantiles(self.refused),
            "other": self.other,
        }


def quantiles(values: list[float]) -> dict[str, float]:
    """Return the median and the 99th percentile in milliseconds."""
    ordered = sorted(values)
    if not ordered:
        return {}
    return {
        "p50": round(1000 * statistics.median(ordered), 1),
        "p99": round(1000 * ordered[len(ordered) * 99 // 100], 1),
    }


async def ask(port: int, number: int, wish: dict[str, object]) -> tuple[int, float]:
    """Send one request on a connection of its own; return the status and the seconds. 0 is a broken connection."""
    text = f"{SENTENCES[number % len(SENTENCES)][:-1]} {number}."
    body = json.dumps({"q": text, **wish}).encode()
    head = "POST /translate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close\r\n"
    begun = time.perf_counter()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = await reader.read()
        writer.close()
        status = int(answer.split(b" ", 2)[1])
    except (OSError, IndexError, ValueError):
        status = 0
    return status, time.perf_counter() - begun


async def closed_loop(port: int, *, clients: int, seconds: float, wish: dict[str, object]) -> Counts:
    """Let each client send its next request when the last is answered."""
    counts, begun = Counts(), time.perf_counter()

    async def client(first: int) -> None:
        number = first
        while time.perf_counter() - begun < seconds:
            counts.add(*await ask(port, number, wish))
            number += clients

    await asyncio.gather(*(client(number) for number in range(clients)))
    counts.seconds = time.perf_counter() - begun
    return counts


async def open_loop(port: int, *, rate: float, seconds: float, wish: dict[str, object]) -> Counts:
    """Send requests at a rate, whatever the answers."""
    counts, begun, number = Counts(), time.perf_counter(), 0
    running: set[asyncio.Task[None]] = set()

    async def one(number: int) -> None:
        counts.add(*await ask(port, number, wish))

    while (now := time.perf_counter() - begun) < seconds:
        while number < rate * now:
            task = asyncio.create_task(one(number))
            running.add(task)
            task.add_done_callback(running.discard)
            number += 1
        await asyncio.sleep(0.005)
    counts.seconds = seconds
    in_time = len(counts.answered)
    await asyncio.gather(*running)
    del counts.answered[in_time:]  # they came after the end
    return counts


def footprint(pid: int) -> dict[str, int]:
    """Return the memory in kilobytes, the threads and the descriptors of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    rss, threads = (int(re.findall(rf"{name}:\s+(\d+)", status)[0]) for name in ("VmRSS", "Threads"))
    return {"rss_kb": rss, "threads": threads, "descriptors": len([*Path(f"/proc/{pid}/fd").iterdir()])}


@contextmanager
def served(model: Path, threads: int, config: Path | None) -> Iterator[tuple[int, int]]:
    """Start the command; yield its port and its process."""
    more = ["--config", str(config)] if config else []
    command = [sys.executable, "-m", "pellucid", "serve", str(model), "--port", "0", "--threads", str(threads), *more]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        port = next(int(found[1]) for line in process.stderr if (found := LISTENS.search(line)))
        yield port, process.pid
    finally:
        process.terminate()
        process.communicate()


async def measured(port: int, pid: int, given: argparse.Namespace) -> dict[str, object]:
    """Run all phases and return the report."""
    wish: dict[str, object] = {"source": given.source, "target": given.target}
    while (await ask(port, 0, wish))[0] != 200:
        await asyncio.sleep(0.2)
    await closed_loop(port, clients=8, seconds=given.seconds / 3, wish=wish)  # warms up
    memory = {"warm": footprint(pid)}
    rounds = []
    for _ in range(given.rounds):
        one = await closed_loop(port, clients=1, seconds=given.seconds, wish=wish)
        many = await closed_loop(port, clients=32, seconds=given.seconds, wish=wish)
        rounds.append((one, many))
    memory["peak"] = footprint(pid)
    peak = statistics.median(many.rate for _, many in rounds)
    over = await open_loop(port, rate=4 * peak, seconds=given.seconds, wish=wish)
    memory["overload"] = footprint(pid)
    soak = await open_loop(port, rate=0.7 * peak, seconds=given.soak, wish=wish) if given.soak else None
    memory["soak"] = footprint(pid)
    return {
        "threads": given.threads,
        "many_over_one": round(statistics.median(many.rate / one.rate for one, many in rounds), 2),
        "goodput_over_peak": round(over.rate / peak, 2),
        "one": [one.record() for one, _ in rounds],
        "many": [many.record() for _, many in rounds],
        "overload": over.record(),
        "soak": soak and soak.record(),
        "memory": memory,
    }


def main() -> None:
    """Measure, and print the report as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--source", default="en")
    parser.add_argument("--target", default="fr")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--soak", type=float, default=0)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    with served(given.model, given.threads, given.config) as (port, pid):
        report = asyncio.run(measured(port, pid, given))
    text = json.dumps(report, indent=1)
    print(text)
    if given.output is not None:
        given.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
