"""Measure the picture of the whole model in Chromium: frame intervals, and processor time of a frame.

    python benchmarks/page_frames.py ADDRESS [--seconds 4] [--scale 1] [--output FILE.json]

ADDRESS is that of ``pellucid serve`` with the walkthrough model. Chromium runs without a GPU, as on the plainest
laptop. For each action (nothing, playing, zooming in every frame, pointing in every frame) the script notes the
intervals between animation frames and the processor time of all of Chromium's processes, divided by the frames: on a
busy machine the intervals tell about the neighbours, the processor time about the page. At 60 frames a second a frame
may take 16.7 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from machine import machine_facts
from playwright.sync_api import sync_playwright

ACTIONS = ("nothing", "play", "zoom", "point")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
WINDOW = {"width": 1440, "height": 900}
RUN = """async ([action, milliseconds]) => {
    const scene = __inspect.whole;
    const intervals = [];
    const before = scene.paints;
    if (action === "play") scene.play();
    await new Promise((done) => {
        const end = performance.now() + milliseconds;
        let [last, count] = [null, 0];
        const frame = (now) => {
            if (last !== null) intervals.push(now - last);
            [last, count] = [now, count + 1];
            if (action === "zoom") scene.zoomBy(count % 80 < 40 ? 1.06 : 1 / 1.06);
            if (action === "point") scene.point(scene.under([100 + ((count * 3) % 800), 60 + ((count * 7) % 400)]));
            if (performance.now() < end) requestAnimationFrame(frame);
            else done();
        };
        requestAnimationFrame(frame);
    });
    const paints = scene.paints - before;
    scene.pause();
    scene.point(null);
    scene.whole();
    return {intervals, paints};
}"""


def processes_below(root: int) -> Iterator[int]:
    """Yield a process and all that it has started."""
    children = defaultdict(list)
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        children[parent].append(int(path.parent.name))
    waiting = [root]
    while waiting:
        process = waiting.pop()
        yield process
        waiting += children[process]


def processor_seconds(processes: Sequence[int]) -> float:
    """Return the processor time that processes have used so far."""
    ticks = 0
    for process in processes:
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(address: str, *, seconds: float, scale: float) -> list[dict[str, object]]:
    """Return one record for each action."""
    records: list[dict[str, object]] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        context = browser.new_context(viewport=WINDOW, device_scale_factor=scale, reduced_motion="no-preference")
        page = context.new_page()
        page.goto(address)
        while not page.evaluate("Boolean(window.__inspect?.whole?.layout)"):
            page.wait_for_timeout(200)
        page.wait_for_timeout(1000)
        ours = [process for process in processes_below(os.getpid()) if process != os.getpid()]
        for action in ACTIONS:
            start = processor_seconds(ours)
            found = page.evaluate(RUN, [action, seconds * 1000])
            used = processor_seconds(ours) - start
            intervals = sorted(found["intervals"])
            middle, late = (round(intervals[int(part * (len(intervals) - 1))], 1) for part in (0.5, 0.95))
            records.append(
                {
                    "action": action,
                    "frames": len(intervals),
                    "paints": found["paints"],
                    "interval_ms_median": middle,
                    "interval_ms_95": late,
                    "processor_ms_a_frame": round(1000 * used / len(intervals), 2),
                }
            )
        browser.close()
    return records


def main() -> None:
    """Measure, print, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("address")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--scale", type=float, default=1.0, help="pixels of the screen for one of the page")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    records = measure(arguments.address, seconds=arguments.seconds, scale=arguments.scale)
    text = json.dumps({"scale": arguments.scale, "machine": machine_facts(), "actions": records}, indent=1)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
