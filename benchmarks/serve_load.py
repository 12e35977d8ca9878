"""Load the translation service: throughput of 1 and 32 clients, four times what it can do, and memory.

    python benchmarks/serve_load.py MODEL [--seconds 3] [--rounds 2] [--soak 600] [--output results.json]

Starts the real command on loopback, and clients in this process. The phases, with 1 and 32 clients in turns so that a
busy machine slows both:

    one, many   as many requests as 1 or 32 clients get through, each of one sentence; "many" is the peak
    overload    requests at four times the peak rate, whatever the answers: goodput (answered requests in time, over the
                peak), and how long refusals took
    soak        with --soak SECONDS: requests at 70 % of the peak rate

After each phase, and once a second during the last two, the server's memory, threads and descriptors are read. The
report begins with a summary: for each of the two, the first and the last reading, taken when no connection is open, and
how many kilobytes 10,000 answers cost (the slope of a line through the readings after the first tenth).

The defaults prove the script in seconds; results that are quoted need --seconds 60 on an idle machine, and --soak 600.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from machine import commit, machine_facts

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


_IDLE: dict[int, list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]] = {}
"""Connections by port that wait for their next request. Programs that send many requests keep their connections."""


async def ask(port: int, number: int, wish: dict[str, object]) -> tuple[int, float]:
    """Send one request, on a kept connection if one is idle; return the status and the seconds. 0 is a broken one."""
    text = f"{SENTENCES[number % len(SENTENCES)][:-1]} {number}."
    body = json.dumps({"q": text, **wish}).encode()
    head = "POST /translate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    idle, begun = _IDLE.setdefault(port, []), time.perf_counter()
    status = 0
    while status == 0:
        is_kept = bool(idle)
        try:
            reader, writer = idle.pop() if is_kept else await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: *(\d+)", answer)
            await reader.readexactly(int(length[1]) if length else 0)
            status = int(answer.split(b" ", 2)[1])
        except (OSError, EOFError, ValueError):
            if not is_kept:  # a kept one may have been closed while it was idle
                break
        else:
            if b"connection: close" in answer.lower():
                writer.close()
            else:
                idle.append((reader, writer))
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


async def open_loop(port: int, counts: Counts, *, rate: float, seconds: float, wish: dict[str, object]) -> None:
    """Send requests at a rate, whatever the answers, and count those that come in time."""
    begun, number = time.perf_counter(), 0
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


def footprint(pid: int) -> dict[str, int]:
    """Return the memory in kilobytes, the threads and the descriptors of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    rss, threads = (int(re.findall(rf"{name}:\s+(\d+)", status)[0]) for name in ("VmRSS", "Threads"))
    return {"rss_kb": rss, "threads": threads, "descriptors": len([*Path(f"/proc/{pid}/fd").iterdir()])}


async def settled(pid: int) -> dict[str, int]:
    """Return the footprint when the connections that have ended are gone: it is the same for a second."""
    readings = [footprint(pid)]
    for _ in range(300):
        await asyncio.sleep(0.1)
        readings.append(footprint(pid))
        if len({(one["threads"], one["descriptors"]) for one in readings[-10:]}) == 1 and len(readings) > 10:
            break
    return readings[-1]


@dataclass
class Growth:
    """What a phase did to the server's memory."""

    before: dict[str, int]
    after: dict[str, int] = field(default_factory=dict)
    readings: list[tuple[float, int]] = field(default_factory=list)
    """Answers until then, and kilobytes."""

    async def watch(self, pid: int, counts: Counts) -> None:
        """Read the memory once a second, until this is cancelled."""
        while True:
            await asyncio.sleep(1)
            self.readings.append((len(counts.answered), footprint(pid)["rss_kb"]))

    @property
    def kilobytes_per_10_000(self) -> float | None:
        """The slope of a line through the readings after the first tenth; None without enough of them."""
        late = self.readings[len(self.readings) // 10 :]
        if len(late) < 3 or late[0][0] == late[-1][0]:
            return None
        slope, _ = statistics.linear_regression([x for x, _ in late], [y for _, y in late])
        return round(slope * 10_000, 1)

    def record(self) -> dict[str, object]:
        """Return it for the report."""
        answers = self.readings[-1][0] if self.readings else 0
        slope = self.kilobytes_per_10_000
        return {"before": self.before, "after": self.after, "answers": answers, "kb_per_10,000_answers": slope}


async def watched(
    port: int, pid: int, *, rate: float, seconds: float, wish: dict[str, object]
) -> tuple[Counts, Growth]:
    """Send requests at a rate, and watch the server's memory."""
    growth, counts = Growth(await settled(pid)), Counts()
    watch = asyncio.create_task(growth.watch(pid, counts))
    await open_loop(port, counts, rate=rate, seconds=seconds, wish=wish)
    watch.cancel()
    with suppress(asyncio.CancelledError):
        await watch
    growth.after = await settled(pid)
    return counts, growth


@contextmanager
def served(model: Path, threads: int, config: Path | None) -> Iterator[tuple[int, int]]:
    """Start the command; yield its port and its process."""
    more = ["--config", str(config)] if config else []
    command = [sys.executable, "-m", "pellucid", "serve", str(model), "--port", "0", "--threads", str(threads), *more]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    said: list[str] = []
    try:
        assert process.stderr is not None
        port = None
        for line in process.stderr:
            said.append(line)
            if found := LISTENS.search(line):
                port = int(found[1])
                break
        if port is None:
            raise SystemExit(f"{''.join(said)}the server ended before it listened")
        # What it says later is read as well, because it would wait for room in the pipe.
        threading.Thread(target=lambda: [None for _ in process.stderr or ()], daemon=True).start()
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


async def measured(port: int, pid: int, given: argparse.Namespace) -> dict[str, object]:
    """Run all phases and return the report."""
    wish: dict[str, object] = {"source": given.source, "target": given.target}
    while (await ask(port, 0, wish))[0] != 200:
        await asyncio.sleep(0.2)
    await closed_loop(port, clients=8, seconds=given.seconds / 3, wish=wish)  # warms up
    memory = {"warm": await settled(pid)}
    rounds = []
    for _ in range(given.rounds):
        one = await closed_loop(port, clients=1, seconds=given.seconds, wish=wish)
        many = await closed_loop(port, clients=32, seconds=given.seconds, wish=wish)
        rounds.append((one, many))
    memory["peak"] = await settled(pid)
    peak = statistics.median(many.rate for _, many in rounds)
    over, grown = await watched(port, pid, rate=4 * peak, seconds=given.seconds, wish=wish)
    summary: dict[str, object] = {
        "many_over_one": round(statistics.median(many.rate / one.rate for one, many in rounds), 2),
        "peak_per_second": round(peak, 1),
        "goodput_over_peak": round(over.rate / peak, 2),
        "refused_p99_ms": quantiles(over.refused).get("p99"),
        "overload_memory": grown.record(),
    }
    phases: dict[str, object] = {
        "one": [one.record() for one, _ in rounds],
        "many": [many.record() for _, many in rounds],
        "overload": over.record(),
    }
    if given.soak:
        soak, grown = await watched(port, pid, rate=0.7 * peak, seconds=given.soak, wish=wish)
        summary["soak_memory"] = grown.record()
        phases["soak"] = soak.record()
    facts = {"machine": machine_facts(), "commit": commit(), "model": given.model.name, "threads": given.threads}
    lengths = {"seconds": given.seconds, "rounds": given.rounds, "soak_seconds": given.soak}
    return {"summary": summary, **facts, **lengths, **phases, "memory": memory}


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
