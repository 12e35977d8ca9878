"""The process that opens a stranger's SentencePiece file first, so that harm stays in it.

``python -P -m pellucid.text.sentencepiece.child``: the file's bytes come in at standard input, one JSON object
goes out: the pieces as the C++ counts them, with their kinds. Memory, processor time and files are limited before
the first byte is read. Nothing but SentencePiece is imported. Read ``foreign_segmenter.py``, which asks, next.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final

import sentencepiece

__all__ = ["LARGEST_ANSWER_BYTES", "MEMORY_BYTES", "PROCESSOR_SECONDS", "main"]

MEMORY_BYTES: Final = 2 << 30
"""Address space of the child: the largest file that is read (64 MiB) takes a quarter of it."""

PROCESSOR_SECONDS: Final = 60
LARGEST_ANSWER_BYTES: Final = 512 << 20

_NORMAL, _UNKNOWN, _CONTROL, _UNUSED, _BYTE = 1, 2, 3, 5, 6
_PROBE_CHARACTERS: Final = 1 << 16
_STRANGE: Final = (
    "a\u0301e\u0323\u0302 \uff21\ufb01\u00bd\u1112\u1161\u11ab \u3000\u00a0\u200b\u2603\U00010348\ufffd \t"
)


def limit() -> None:
    """Take from this process what it does not need; where the system has no such limits, time is what is left."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for name, most in (
        ("RLIMIT_AS", MEMORY_BYTES),
        ("RLIMIT_CPU", PROCESSOR_SECONDS),
        ("RLIMIT_FSIZE", LARGEST_ANSWER_BYTES),
        ("RLIMIT_CORE", 0),
    ):
        kind = getattr(resource, name, None)
        if kind is not None:
            _, hardest = resource.getrlimit(kind)
            most = most if hardest == resource.RLIM_INFINITY else min(most, hardest)
            resource.setrlimit(kind, (most, most))


def opened(model: bytes) -> dict[str, object]:
    """Open a model, cut its own pieces and strange characters with it, and tell what it has."""
    processor: Any = sentencepiece.SentencePieceProcessor(model_proto=model)
    pieces = [processor.id_to_piece(i) for i in range(processor.get_piece_size())]
    probe = "".join(pieces)[:_PROBE_CHARACTERS]
    for text in (probe, probe.replace("\u2581", " "), _STRANGE, ""):
        ids = processor.encode(text, out_type=int)
        processor.encode(text, out_type=str)
        processor.decode(ids)
    return {"pieces": pieces, "types": [_kind(processor, i) for i in range(len(pieces))], "unk": processor.unk_id()}


def _kind(processor: Any, index: int) -> int:
    """Return a piece's kind as the file numbers them; user-defined ones cannot be told from normal ones."""
    if processor.is_unknown(index):
        return _UNKNOWN
    if processor.is_control(index):
        return _CONTROL
    if processor.is_byte(index):
        return _BYTE
    return _UNUSED if processor.is_unused(index) else _NORMAL


def main() -> None:
    """Read a model at standard input, write what it has at standard output."""
    limit()
    model = sys.stdin.buffer.read()
    try:
        answer = opened(model)
    except (RuntimeError, ValueError, OSError, MemoryError) as error:
        answer = {"error": (str(error).strip().partition("\n")[0] or type(error).__name__)[:200]}
    sys.stdout.buffer.write(json.dumps(answer).encode("ascii"))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
