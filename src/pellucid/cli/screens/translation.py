"""The live view of a translation: lines done, lines a second, time left; a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time

from pellucid.cli.console import SECONDS_BETWEEN_PLAIN_LINES, Bar, Screen, draws_bars, say

__all__ = ["TranslationScreen", "progress_text"]


class TranslationScreen(Screen):
    """Show the progress of a translation, counted in lines or in sentences; use it as a context manager."""

    def __init__(self, counted: str = "lines") -> None:
        super().__init__()
        self._counted = counted
        self._begin: tuple[int, float] | None = None
        self._last_line = time.monotonic()

    def progress(self, done: int, total: int | None) -> None:
        """Show how many lines are done, of how many; what was done at the first call counts for no speed."""
        now = time.monotonic()
        if self._begin is None:
            self._begin = done, now
            if draws_bars():
                self._bar = Bar(total=total, disappears=True)
        first, began = self._begin
        text = progress_text(done, total, first=first, seconds=now - began, counted=self._counted)
        if self._bar is not None:
            self._bar.update(done, text)
        elif now - self._last_line >= SECONDS_BETWEEN_PLAIN_LINES:
            self._last_line = now
            say(text)


def progress_text(done: int, total: int | None, *, first: int, seconds: float, counted: str = "lines") -> str:
    """Return the line that shows how far a translation is.

    Args:
        done: lines that are done.
        total: all lines; None if the number is unknown.
        first: lines that were done before.
        seconds: since then.
        counted: what is done.
    """
    text = f"translated {counted}: {done:,}" if total is None else f"translated {counted}: {done:,} of {total:,}"
    speed = (done - first) / seconds if seconds > 0 else 0.0
    if speed <= 0:
        return text
    text += f", {speed:,.0f} a second" if speed >= 10 else f", {speed:.1f} a second"
    return text if total is None else f"{text}, {_time((total - done) / speed)} left"


def _time(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
