"""A trace shows itself in a notebook: executed by nbconvert, opened in the browser."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pellucid
from pellucid.jobs.surface import Trace

from .conftest import OpenPage

pytestmark = pytest.mark.slow

SOURCE = "The animal didn't cross the street."
TARGET = "L'animal n'a pas traversé la rue."


@pytest.fixture(scope="module")
def executed(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a notebook of two cells that show one trace each, executed and turned into a page."""
    pytest.importorskip("nbconvert", reason="no notebook tests: pip install -c constraints.txt -e '.[browser]'")
    pytest.importorskip("ipykernel", reason="no notebook tests: pip install -c constraints.txt -e '.[browser]'")
    folder = tmp_path_factory.mktemp("notebook")
    cells = [
        f"import pellucid\ntranslator = pellucid.load({str(small_run)!r}, threads=1)\n"
        f"trace = pellucid.trace(translator, {SOURCE!r}, target={TARGET!r})\ntrace",
        "trace",
    ]
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "cells": [
            {"cell_type": "code", "id": f"cell{i}", "metadata": {}, "outputs": [], "execution_count": None, "source": c}
            for i, c in enumerate(cells)
        ],
    }
    (folder / "shown.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    places = {f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("RUNTIME", "CONFIG", "DATA")}
    command = [sys.executable, "-m", "nbconvert", "--execute", "--to", "html", "--ExecutePreprocessor.timeout=600"]
    done = subprocess.run(
        [*command, "--template", "basic", "shown.ipynb"],
        cwd=folder,
        env={**os.environ, **places, "IPYTHONDIR": str(folder / "ipython"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return folder / "shown.html"


@pytest.fixture(scope="module")
def trace(small_run: Path) -> Trace:
    return pellucid.trace(pellucid.load(small_run, threads=1), SOURCE, target=TARGET)


def test_the_page_runs_in_its_frame(executed: Path, trace: Trace, open_page: OpenPage) -> None:
    window = open_page(executed.as_uri(), offline=True)
    first, second = (element.content_frame() for element in window.page.query_selector_all("iframe"))
    for frame in (first, second):
        assert frame is not None
        window.until("() => window.__inspect?.trace && document.querySelector('.chapter')", frame=frame)
    assert first is not None
    assert first.evaluate("origin") == "null", "the frame has no origin, so it reaches nothing of the notebook"
    site = "decoder.1.cross_attention.weights"
    data = first.evaluate(
        "async (site) => [...(await __inspect.get(`api/traces/${__inspect.trace.id}/sites/${site}`)).data]", site
    )
    np.testing.assert_array_equal(np.asarray(data, dtype=np.float32), np.asarray(trace[site]).ravel())
    assert window.requests == [executed.as_uri()]
    window.screenshot("notebook")


def test_the_frame_takes_the_height_of_its_content(executed: Path, open_page: OpenPage) -> None:
    window = open_page(executed.as_uri(), offline=True)
    (element, _) = window.page.query_selector_all("iframe")
    frame = element.content_frame()
    assert frame is not None
    window.until("() => window.__inspect?.trace && document.querySelector('.chapter')", frame=frame)
    content = "() => Math.ceil(document.getElementById('app').getBoundingClientRect().height)"
    shown = "() => document.querySelector('iframe').getBoundingClientRect().height"
    for view in ("health", "translate"):
        frame.evaluate("(view) => { location.hash = `view=${view}`; }", view)
        window.until("(view) => document.querySelector('.chapter')?.dataset.view === view", view, frame=frame)
        for _ in range(150):  # a view can still grow, so its height is read again each time
            wanted, height = min(max(frame.evaluate(content), 240), 2400), window.page.evaluate(shown)
            if abs(height - wanted) < 40:
                break
            window.page.wait_for_timeout(200)
        assert abs(height - wanted) < 40, f"the frame has {height} pixels, and its content {wanted}"
    window.page.wait_for_timeout(1000)
    heights = [window.page.evaluate(shown), window.page.wait_for_timeout(1000), window.page.evaluate(shown)]
    assert heights[0] == heights[2], "it comes to rest"


def test_a_message_of_another_frame_changes_nothing(executed: Path, open_page: OpenPage) -> None:
    window = open_page(executed.as_uri(), offline=True)
    shown = "() => document.querySelector('iframe').getBoundingClientRect().height"
    frame = window.page.query_selector_all("iframe")[0].content_frame()
    assert frame is not None
    window.until("() => window.__inspect?.trace && document.querySelector('.chapter')", frame=frame)
    window.page.wait_for_timeout(1000)
    before = window.page.evaluate(shown)
    window.page.evaluate("postMessage({from: 'pellucid', height: 1471}, '*')")
    frame.evaluate("parent.postMessage({from: 'somebody', height: 1471}, '*')")
    window.page.wait_for_timeout(500)
    assert window.page.evaluate(shown) == before
    frame.evaluate("parent.postMessage({from: 'pellucid', height: 1471}, '*')")
    window.until(f"() => ({shown})() === 1471")
    frame.evaluate("parent.postMessage({from: 'pellucid', height: 1e9}, '*')")
    window.until(f"() => ({shown})() === 2400")
