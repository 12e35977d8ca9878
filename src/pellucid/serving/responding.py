"""Make responses of answers, with an ETag and compressed; errors as a sentence. Read ``pages.py`` next."""

from __future__ import annotations

import gzip
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from pellucid.errors import ConfigError, PellucidError, RequestError
from pellucid.page.answers import Answer
from pellucid.page.catalogue import UnknownPathError
from pellucid.serving.gate import error_response
from pellucid.serving.traces import BusyError, ClientGoneError, TraceGoneError
from pellucid.tracing.editing.refusal import EditError

__all__ = ["ASK_AGAIN", "FOR_EVER", "Endpoint", "digest", "guarded", "is_known", "refused", "respond"]

FOR_EVER: Final = "private, max-age=31536000, immutable"
ASK_AGAIN: Final = "no-cache"
_SMALLEST_COMPRESSED: Final = 512
_LARGEST_COMPRESSED_OCTETS: Final = 1 << 20
# The first match counts, because some of them are subclasses of others.
_STATUSES: Final = (
    (TraceGoneError, 410),
    (UnknownPathError, 404),
    (BusyError, 503),
    (RequestError, 400),
    (ConfigError, 400),
    (PellucidError, 500),
)

Endpoint = Callable[[Request], Awaitable[Response]]


def guarded(endpoint: Endpoint) -> Endpoint:
    """Turn every error into a response with a sentence."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except EditError as error:
            return error_response(400, str(error), more={"edits": [list(pair) for pair in error.refused]})
        except PellucidError as error:
            status = next(status for kind, status in _STATUSES if isinstance(error, kind))
            return error_response(status, str(error), {"Retry-After": "2"} if status == 503 else None)
        except HTTPException as error:
            return refused(request, error)
        except (ClientGoneError, ClientDisconnect):
            return error_response(499, "the client has disconnected")
        except Exception as error:
            logging.getLogger("pellucid.serving").exception("%s %s", request.method, request.url.path)
            return error_response(500, f"the server failed ({type(error).__name__}); see its log")

    return answer


def refused(request: Request, error: Exception) -> Response:
    """Answer what the router refuses."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    sentences = {
        404: f"there is nothing at {request.url.path!r}; the pages are / and /translator",
        405: f"{request.url.path!r} does not support {request.method}",
    }
    detail = error.detail if isinstance(error, HTTPException) else "the server failed"
    return error_response(status, sentences.get(status, detail))


def respond(
    request: Request,
    answer: Answer,
    *,
    etag: str,
    status: int = 200,
    cache: str = ASK_AGAIN,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Make a response of an answer: shape and number format as headers, compressed if that helps."""
    # Weak, because the compressed and the plain bytes differ.
    own = {"ETag": f'W/"{etag}"', "Cache-Control": cache, "Vary": "Accept-Encoding", **(headers or {})}
    if request.method in {"GET", "HEAD"} and is_known(request, etag):
        return Response(status_code=304, headers=own)
    if answer.shape is not None:
        own |= {"X-Shape": ",".join(map(str, answer.shape)), "X-Dtype": answer.dtype or ""}
    if answer.file_name is not None:
        own["Content-Disposition"] = f'attachment; filename="{answer.file_name}"'
    body = answer.body
    is_small_enough = answer.shape is None or len(body) <= _LARGEST_COMPRESSED_OCTETS
    if len(body) >= _SMALLEST_COMPRESSED and is_small_enough and answer.file_name is None and _takes_gzip(request):
        body = gzip.compress(body, 6, mtime=0)
        own["Content-Encoding"] = "gzip"
    return Response(body, status, media_type=answer.media_type, headers=own)


def _takes_gzip(request: Request) -> bool:
    codings = request.headers.get("accept-encoding", "").lower().replace(" ", "").split(",")
    return any(coding.split(";")[0] in {"gzip", "*"} and not coding.endswith(";q=0") for coding in codings)


def is_known(request: Request, etag: str) -> bool:
    """Return whether the client has the answer with this ETag."""
    known = [tag.strip().removeprefix("W/").strip('"') for tag in request.headers.get("if-none-match", "").split(",")]
    return etag in known or "*" in known


def digest(content: bytes) -> str:
    """Return the ETag of content."""
    return hashlib.sha256(content).hexdigest()[:32]
