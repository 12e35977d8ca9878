"""Lines of the page's JavaScript and CSS are short; ``test_architecture.py`` holds the other rules of the house.

The formatter leaves the insides of html`...` templates as they are, and nothing formats the style sheets.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WEB = ROOT / "src" / "pellucid" / "web"

MAX_LINE_LENGTH = 120
MAX_FILE_LINES = 400


def page_files() -> dict[Path, list[str]]:
    """Read the page's JavaScript and CSS without the libraries of others: path below the root, lines."""
    paths = [path for kind in ("*.js", "*.mjs", "*.css") for path in sorted(WEB.rglob(kind))]
    return {
        path.relative_to(ROOT): path.read_text(encoding="utf-8").splitlines()
        for path in paths
        if "vendor" not in path.parts
    }


def test_lines_are_short() -> None:
    files = page_files()
    assert {path.suffix for path in files} == {".js", ".css"}
    offences = [
        f"{path}:{number}: {len(line)} characters"
        for path, lines in files.items()
        for number, line in enumerate(lines, start=1)
        if len(line) > MAX_LINE_LENGTH
    ]
    assert not offences, f"at most {MAX_LINE_LENGTH} characters a line; in a template, break between attributes"


def test_files_are_short() -> None:
    offences = [f"{path}: {len(lines)} lines" for path, lines in page_files().items() if len(lines) > MAX_FILE_LINES]
    assert not offences, f"at most {MAX_FILE_LINES} lines a file: cut where the ideas part"


def test_no_markup_is_made_of_text() -> None:
    """A13: a text of a user or a model never becomes an element or a program; templates escape what they hold."""
    ways = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "srcdoc=")
    offences = [
        f"{path}:{number}: {way}"
        for path, lines in page_files().items()
        for number, line in enumerate(lines, start=1)
        for way in ways
        if way.lower() in line.lower()
    ]
    assert not offences
