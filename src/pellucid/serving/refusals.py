"""Why the service does not do what a request asks for; each protocol writes it in its own form.

Read ``service.py`` next.
"""

from __future__ import annotations

from enum import StrEnum

from pellucid.errors import RequestError

__all__ = ["Reason", "Refusal"]


class Reason(StrEnum):
    """Why a request is refused; metrics count them."""

    INVALID = "invalid"
    LANGUAGE = "language"
    NO_KEY = "no_key"
    WRONG_KEY = "wrong_key"
    RATE = "rate"
    FULL = "full"
    LATE = "late"
    TOO_LARGE = "too_large"
    NOT_OFFERED = "not_offered"
    FAILED = "failed"


_STATUSES = {
    Reason.INVALID: 400,
    Reason.LANGUAGE: 400,
    Reason.NO_KEY: 403,
    Reason.WRONG_KEY: 403,
    Reason.RATE: 429,
    Reason.FULL: 503,
    Reason.LATE: 504,
    Reason.TOO_LARGE: 413,
    Reason.NOT_OFFERED: 400,
    Reason.FAILED: 500,
}


class Refusal(RequestError):
    """A request is refused.

    Args:
        reason: why.
        message: for the user, as a sentence.
        status: of HTTP, unless the usual one of the reason.
        retry_after_seconds: when the same request may succeed.
        subject: the language that is not offered: ``source`` or ``target``.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        status: int | None = None,
        retry_after_seconds: int | None = None,
        subject: str = "",
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = status or _STATUSES[reason]
        self.retry_after_seconds = retry_after_seconds
        self.subject = subject

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer."""
        return {} if self.retry_after_seconds is None else {"Retry-After": str(self.retry_after_seconds)}
