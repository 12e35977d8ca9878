"""A trace in a notebook: the page in a sandboxed frame, with a text and a picture for viewers without frames.

The frame contains the whole page in its ``srcdoc``; it can run scripts and download files, but it cannot reach the
network, cookies or the notebook. It sends its height in a message, and a script beside it adjusts the frame within
limits, because a frame whose height depends on itself could grow for ever. If the notebook does not run scripts, the
height does not change. Read ``web/modules/frame.js`` next, which sends the message.
"""

from __future__ import annotations

import base64
import html
import struct
import zlib
from typing import Final

import numpy as np

from pellucid.errors import PellucidError
from pellucid.page.single_file import StartView, record_of, single_file
from pellucid.tracing.predictions import Array
from pellucid.tracing.record import Trace
from pellucid.tracing.sites import AttentionKind

__all__ = ["LARGEST_BYTES", "attention_png", "mime_bundle", "notebook_html"]

LARGEST_BYTES: Final = 12 << 20
"""Of a frame: notebooks store it, and notebooks of many megabytes are slow."""
_HEIGHT: Final = 720
_LEAST_HEIGHT: Final = 240
_LARGEST_HEIGHT: Final = 2400
_CELL: Final = 12
_LARGEST_SIDE: Final = 1200
# The script listens to the frame before it; without ids, a notebook can show the same trace several times.
_FOLLOW: Final = """
(() => {
  const frame = document.currentScript.previousElementSibling;
  addEventListener("message", (event) => {
    if (event.source !== frame.contentWindow || event.data?.from !== "pellucid") return;
    const height = Number(event.data.height);
    if (Number.isFinite(height)) frame.style.height = `${Math.min(Math.max(Math.ceil(height), LEAST), LARGEST)}px`;
  });
})();
"""


def mime_bundle(trace: Trace, *, beside: Trace | None = None) -> dict[str, object]:
    """Return all representations for a notebook; the page requires the model of the trace.

    With ``beside``, the page opens with the comparison of both.
    """
    bundle: dict[str, object] = {"text/plain": repr(trace)}
    picture = attention_png(trace)
    if picture is not None:
        bundle["image/png"] = base64.b64encode(picture).decode()
    try:
        bundle["text/html"] = notebook_html(trace, beside=beside)
    except PellucidError as error:
        bundle["text/plain"] = f"{trace!r}\n(no page: {error})"
    return bundle


def notebook_html(
    trace: Trace,
    *,
    beside: Trace | None = None,
    start: StartView | None = None,
    largest_bytes: int = LARGEST_BYTES,
) -> str:
    """Return the page in a frame, and under it a line of text for viewers that remove frames.

    Raises:
        RequestError: the trace has no model.
    """
    start = start or (StartView(view="compare") if beside is not None else None)
    made = single_file(
        record_of(trace, beside=beside),
        start=start,
        largest_bytes=largest_bytes,
        modules=("pellucid/main", "pellucid/frame"),
    )
    script = _FOLLOW.replace("LEAST", str(_LEAST_HEIGHT)).replace("LARGEST", str(_LARGEST_HEIGHT))
    sentence = f"{trace.source} → {trace.text}"
    left_out = f" Left out of this frame: {'; '.join(made.left_out)}." if made.left_out else ""
    return (
        '<div class="pellucid-trace">'
        f'<iframe sandbox="allow-scripts allow-downloads" title="{html.escape(f"pellucid: {sentence}")}" '
        f'style="width: 100%; height: {_HEIGHT}px; border: 0; border-radius: 6px" '
        f'srcdoc="{html.escape(made.html)}"></iframe><script>{script}</script>'
        f"<p><small>{html.escape(sentence)}<br>{html.escape(repr(trace) + left_out)}</small></p></div>"
    )


def attention_png(trace: Trace) -> bytes | None:
    """Draw the cross-attention of the last layer, averaged over heads, as a PNG: rows look at columns, dark means much.

    Return None if the trace has no such attention. Requires no library.
    """
    sites = AttentionKind.CROSS.weights_among(trace.sites)
    if not sites:
        return None
    try:
        weights = np.asarray(trace[sites[-1]], dtype=np.float64).mean(axis=0)
    except PellucidError:  # not stored at this level, and there is no model
        return None
    step = -(-max(weights.shape) // _LARGEST_SIDE)
    levels = np.rint(255 * (1 - np.clip(weights[::step, ::step], 0, 1))).astype(np.uint8)
    side = max(1, min(_CELL, _LARGEST_SIDE // max(levels.shape)))
    return _grey_png(levels.repeat(side, axis=0).repeat(side, axis=1))


def _grey_png(pixels: Array) -> bytes:
    """Write [height, width] bytes as a PNG of eight bits a pixel (ISO/IEC 15948)."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width = pixels.shape
    lines = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines, 9)) + chunk(b"IEND", b"")
