"""What every test run has in common."""

from __future__ import annotations

import signal

from hypothesis import settings

# The same examples every time: a gate that fails by chance teaches people to press the button again.
# Deadlines are off because a busy machine is not a bug.
settings.register_profile("gate", deadline=None, derandomize=True)
settings.load_profile("gate")

# A shell that starts the tests in the background has them ignore Ctrl-C, and every command that they start would, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name octets by their argument: gzip writes the time into them, and all workers must name a test alike."""
    return argname if isinstance(val, bytes) else None
