"""What every test run has in common."""

from __future__ import annotations

from hypothesis import settings

# The same examples every time: a gate that fails by chance teaches people to press the button again.
# Deadlines are off because a busy machine is not a bug.
settings.register_profile("gate", deadline=None, derandomize=True)
settings.load_profile("gate")
