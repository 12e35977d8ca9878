"""Photograph the first screen of the page, for the README.

    pellucid serve                                   # in another terminal
    python benchmarks/page_picture.py ADDRESS docs/pictures/first_screen.png

ADDRESS is that of ``pellucid serve`` with the walkthrough model. The window has 1,440 x 900 pixels, light.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

READY = ("main[aria-busy=false]", ".pair[aria-busy=false]", ".whole-stage")


def main() -> None:
    """Open the page, wait until all is drawn, and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("address")
    parser.add_argument("picture", type=Path)
    given = parser.parse_args()
    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme="light", reduced_motion="reduce")
        page.goto(given.address)
        for selector in READY:
            page.wait_for_selector(selector, timeout=60_000)
        page.wait_for_timeout(1000)  # the picture of the model is drawn in the next frames
        page.screenshot(path=given.picture)
        browser.close()


if __name__ == "__main__":
    main()
