"""The line that shows how far a translation is: no time left where it is unknown, no speed from earlier lines."""

from __future__ import annotations

import pytest

from pellucid.cli.screens.translation import progress_text


@pytest.mark.parametrize(
    ("done", "total", "first", "seconds", "text"),
    [
        (0, 100, 0, 0.0, "translated lines: 0 of 100"),
        (2000, None, 0, 4.0, "translated lines: 2,000, 500 a second"),
        (2000, 12000, 0, 4.0, "translated lines: 2,000 of 12,000, 500 a second, 0:20 left"),
        (11000, 12000, 10000, 500.0, "translated lines: 11,000 of 12,000, 2.0 a second, 8:20 left"),
        (1000, 10**7, 0, 1.0, "translated lines: 1,000 of 10,000,000, 1,000 a second, 2:46:39 left"),
    ],
)
def test_speed_and_time_left(done: int, total: int | None, first: int, seconds: float, text: str) -> None:
    assert progress_text(done, total, first=first, seconds=seconds) == text
