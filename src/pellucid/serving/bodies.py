"""Read the body of a request up to a limit, and let a client that sends more read the refusal.

A server that answers and closes while bytes of the request are unread makes the system reset the connection. The client
is still sending then, and sees a broken pipe instead of the answer. So what is over a limit is read on for a while, and
dropped. Read ``protocols/reading.py`` next.
"""

from __future__ import annotations

from typing import Final

from starlette.requests import Request

__all__ = ["body_of"]

READ_ON_BYTES: Final = 8 << 20
"""So many bytes over its limit a body is read and dropped; who sends still more is cut off."""


async def body_of(request: Request, limit: int) -> bytes | None:
    """Return the body; None if it is over the limit in bytes, by its announced length or as it comes."""
    announced = request.headers.get("content-length", "")
    is_over = announced.isdecimal() and int(announced) > limit
    if is_over and "expect" in request.headers:  # the client sends nothing before it is told to
        return None
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        is_over = is_over or size > limit
        if size > limit + READ_ON_BYTES:
            break
        if not is_over:
            pieces.append(piece)
    return None if is_over else b"".join(pieces)
