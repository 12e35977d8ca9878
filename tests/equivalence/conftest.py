"""The real command, for tests that compare what it writes."""

from __future__ import annotations

from tests.commands import command

__all__ = ["command"]
