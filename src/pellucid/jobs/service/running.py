"""A uvicorn server that stops in steps, so that no request is lost when it is replaced.

On SIGTERM ``/readyz`` says at once that the server is stopping, while requests are still accepted; after a notice the
server closes its socket, finishes the requests in progress, and ends with status 0. A second signal ends it at once.
When the service cannot translate any longer, the server ends with an error, so that a supervisor starts it again.
Read ``../serve.py`` next.
"""

from __future__ import annotations

import logging
import signal
import socket
import time
from types import FrameType
from typing import Final

import uvicorn

from pellucid.errors import PellucidError, counted
from pellucid.serving.service import Service

__all__ = ["DrainingServer"]

_LOG: Final = logging.getLogger("pellucid.serving")
_TICKS_BETWEEN_LOOKS = 10
"""Ten ticks of uvicorn are a second."""
_SECONDS_WHEN_ILL = 2


class DrainingServer(uvicorn.Server):
    """A server with an optional service behind it.

    Args:
        config: of uvicorn.
        service: whose requests are finished.
    """

    def __init__(self, config: uvicorn.Config, service: Service | None) -> None:
        super().__init__(config)
        self._service = service
        self._closes_at: float | None = None
        self.problem: str | None = None
        self._says_why = ""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; at the second signal, stop at once."""
        if self._service is None or sig == signal.SIGINT:
            super().handle_exit(sig, frame)
            return
        if self._service.is_draining:
            self.force_exit = True
            self.should_exit = True
            return
        self._captured_signals.append(sig)
        self._says_why = signal.Signals(sig).name  # a log must not be written here, where another line may be
        self._service.is_draining = True
        self._closes_at = time.monotonic() + self._service.limits.notice_seconds

    async def on_tick(self, counter: int) -> bool:
        """Stop when the notice is over, or when the service cannot translate any longer."""
        if self._says_why and self._service is not None:
            limits = self._service.limits
            _LOG.warning(
                "%s: stopping; requests are accepted for %g s more, and those in progress have %g s then",
                self._says_why,
                limits.notice_seconds,
                limits.drain_seconds,
            )
            self._says_why = ""
        if self._closes_at is not None and time.monotonic() >= self._closes_at:
            self.should_exit = True
        if self._service is not None and counter % _TICKS_BETWEEN_LOOKS == 0:
            self.problem = self.problem or self._service.illness
        if self.problem is not None:
            self.config.timeout_graceful_shutdown = _SECONDS_WHEN_ILL  # nothing would be answered later
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish the requests in progress, and log how that went."""
        await super().shutdown(sockets)
        if self._closes_at is not None and self._service is not None:
            left = self._service.queue.requests
            _LOG.warning("stopped; %s", f"{counted(left, 'request')} left unanswered" if left else "all is answered")

    def raise_problem(self) -> None:
        """Raise an error if the server ended because of the service.

        Raises:
            PellucidError: it says why.
        """
        if self.problem is not None:
            raise PellucidError(f"the server ended: {self.problem}; start it again")
