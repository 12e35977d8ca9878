"""``docs/reference/errors.md`` against what the command really says: each row of its tables is a case of a test.

A row is ``| given | status | said |``; "…" in the last cell stands for anything. With UPDATE_ERRORS_PAGE=1 in the
environment a row that is missing or no longer true is printed as it should be.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["PAGE", "check_row", "rows", "said_in"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "errors.md"
LONGEST = 240


def rows(section: str) -> dict[str, tuple[int, str]]:
    """Return status and sentence of each row of a section's table, by what was given."""
    text = PAGE.read_text(encoding="utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    found = {}
    for line in text.splitlines():
        cells = [cell.strip().replace("&#124;", "|") for cell in line.strip("|").split("|")]
        if len(cells) == 3 and cells[1].isdecimal():
            found[cells[0].strip("`")] = (int(cells[1]), cells[2].removeprefix("`` ").removesuffix(" ``").strip("`"))
    return found


def said_in(said: str, message: str) -> bool:
    """Return whether a message is what the page says, "…" standing for anything."""
    pattern = ".*".join(re.escape(" ".join(part.split())) for part in said.split("…"))
    return re.search(pattern, " ".join(message.split())) is not None


def check_row(section: str, given: str, *, status: int, message: str, folder: Path) -> None:
    """Compare a case with its row."""
    flat = " ".join(message.replace(f"{folder}/", "").split())
    message = f" {flat}".partition(" error: ")[2]
    row = rows(section).get(given)
    is_true = row is not None and row[0] == status and said_in(row[1], message)
    if not is_true and os.environ.get("UPDATE_ERRORS_PAGE"):
        shown = message if len(message) <= LONGEST else message[:LONGEST].rsplit(" ", 1)[0] + " …"
        shown = shown.replace("|", "&#124;")
        fence = "``" if "`" in shown else "`"
        print(f"ROW\t{section}\t| {given} | {status} | {fence}{shown}{fence} |")
        return
    assert row is not None, f"{PAGE.name}, {section}: has no row for {given!r}, where the command says: {message}"
    assert is_true, f"{PAGE.name}, {section}: {given!r} is told as {row}, and the command says: {status} {message}"
