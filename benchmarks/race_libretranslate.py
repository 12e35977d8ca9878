"""Race LibreTranslate and pellucid over one model: requests a second, and the time of a request.

    python -m venv VENV && VENV/bin/pip install libretranslate
    pellucid export MODEL --format argos --quantization int8 --output model.argosmodel
    python benchmarks/race_libretranslate.py MODEL model.argosmodel --libretranslate VENV/bin/libretranslate

Both servers get one thread for their products (LibreTranslate has several that answer), both have a beam of 4, and each
is loaded by the same clients in turns, so that a busy machine slows both. The processor time of each server for a
request says more than the clock on such a machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from serve_load import Counts, ask, closed_loop, quantiles, served

_INSTALL = "import sys; from argostranslate import package; package.install_from_path(sys.argv[1])"
_CLIENTS = (1, 32)
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Runner:
    """A server that runs: its port, and its process."""

    port: int
    pid: int

    def processor_seconds(self) -> float:
        """Return the processor time of the process so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


@contextmanager
def libretranslate(program: Path, package: Path, languages: str) -> Iterator[Runner]:
    """Serve a package with LibreTranslate, in folders of its own."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
        taken.close()
        own = dict.fromkeys(("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "HOME"), folder)
        places = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | own
        environment = places | {"OMP_NUM_THREADS": "1", "ARGOS_INTER_THREADS": "1", "ARGOS_INTRA_THREADS": "1"}
        subprocess.run([program.parent / "python", "-c", _INSTALL, package], env=environment, check=True)
        command = [program, "--host", "127.0.0.1", "--port", str(port), "--load-only", languages, "--disable-web-ui"]
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            yield Runner(port, process.pid)
        finally:
            process.terminate()
            process.communicate()


async def ready(runner: Runner, wish: dict[str, object]) -> None:
    """Wait for the first translation, and warm the server up."""
    for _ in range(600):
        if (await ask(runner.port, 0, wish))[0] == 200:
            break
        await asyncio.sleep(0.5)
    else:
        raise SystemExit(f"the server at port {runner.port} did not answer")
    await closed_loop(runner.port, clients=8, seconds=1, wish=wish)


async def race(runners: dict[str, Runner], seconds: float, rounds: int, wish: dict[str, object]) -> dict[str, object]:
    """Load the servers in turns, and return medians of the rounds and their ratios."""
    for runner in runners.values():
        await ready(runner, wish)
    counts: dict[tuple[str, int], list[tuple[Counts, float]]] = {}
    for _ in range(rounds):
        for clients in _CLIENTS:
            for name, runner in runners.items():
                before = runner.processor_seconds()
                found = await closed_loop(runner.port, clients=clients, seconds=seconds, wish=wish)
                used = runner.processor_seconds() - before
                counts.setdefault((name, clients), []).append((found, used / max(len(found.answered), 1)))
    report: dict[str, object] = {}
    for clients in _CLIENTS:
        rate, half, processor = (
            {name: statistics.median(of(*one) for one in counts[name, clients]) for name in runners}
            for of in (_rate, _half, _processor)
        )
        report[f"{clients} clients"] = {
            "requests_per_second": rate,
            "median_ms": half,
            "processor_ms_a_request": processor,
            "other_answers": {name: sum(_others(c) for c, _ in counts[name, clients]) for name in runners},
            "throughput_ratio": _ratio(rate, "pellucid", "libretranslate"),
            "latency_ratio": _ratio(half, "pellucid", "libretranslate"),
            "processor_ratio": _ratio(processor, "libretranslate", "pellucid"),
        }
    return report


def _others(counts: Counts) -> int:
    return sum(counts.other.values()) + len(counts.refused)


def _rate(counts: Counts, seconds: float) -> float:
    return round(counts.rate, 1)


def _half(counts: Counts, seconds: float) -> float:
    return quantiles(counts.answered).get("p50", float("nan"))


def _processor(counts: Counts, seconds: float) -> float:
    return round(1000 * seconds, 2)


def _ratio(values: dict[str, float], above: str, below: str) -> float:
    return round(values[above] / values[below], 2)


def main() -> None:
    """Race, and print the report as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("package", type=Path, help="the same model, exported with --format argos")
    parser.add_argument("--libretranslate", type=Path, required=True, help="the program in its own environment")
    parser.add_argument("--source", default="en")
    parser.add_argument("--target", default="fr")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    wish: dict[str, object] = {"source": given.source, "target": given.target}
    with ExitStack() as held:
        config = Path(held.enter_context(tempfile.TemporaryDirectory())) / "serve.toml"
        model = json.dumps(str(given.model.resolve()))
        config.write_text(f'page = false\n[[models]]\npath = {model}\nsettings = ["beam_size=4"]\n', encoding="utf-8")
        port, pid = held.enter_context(served(given.model, 1, config))
        other = libretranslate(
            given.libretranslate.absolute(), given.package.absolute(), f"{given.source},{given.target}"
        )
        runners = {"libretranslate": held.enter_context(other), "pellucid": Runner(port, pid)}
        report = asyncio.run(race(runners, given.seconds, given.rounds, wish))
    text = json.dumps(
        {"load_average": os.getloadavg(), "seconds": given.seconds, "rounds": given.rounds} | report, indent=1
    )
    print(text)
    if given.output is not None:
        given.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
