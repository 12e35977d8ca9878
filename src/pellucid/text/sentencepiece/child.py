"""The process that opens an untrusted SentencePiece file first, so that a harmful file affects only this process.

``python -P -m pellucid.text.sentencepiece.child`` reads the file's bytes from standard input and writes one JSON
object: the pieces and their kinds as the C++ library reads them. It limits its memory, processor time and file size
before it reads, and imports nothing but SentencePiece. Read ``foreign.py``, which starts it, next.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final

import sentencepiece

__all__ = ["LARGEST_ANSWER_BYTES", "MEMORY_BYTES", "PROCESSOR_SECONDS", "main"]

MEMORY_BYTES: Final = 2 << 30
"""Limit of the child's address space; the largest supported file (64 MiB) needs a quarter of it."""

PROCESSOR_SECONDS: Final = 60
LARGEST_ANSWER_BYTES: Final = 512 << 20

_NORMAL, _UNKNOWN, _CONTROL, _UNUSED, _BYTE = 1, 2, 3, 5, 6
_PROBE_CHARACTERS: Final = 1 << 16
_STRANGE: Final = (
    "a\u0301e\u0323\u0302 \uff21\ufb01\u00bd\u1112\u1161\u11ab \u3000\u00a0\u200b\u2603\U00010348\ufffd \t"
)


def limit() -> None:
    """Limit the resources of this process; on systems without such limits, only the parent's timeout acts."""
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


def contents_of(model: bytes) -> dict[str, object]:
    """Open a model, encode its own pieces and unusual characters, and return its pieces and their kinds."""
    processor: Any = sentencepiece.SentencePieceProcessor(model_proto=model)
    pieces = [processor.id_to_piece(i) for i in range(processor.get_piece_size())]
    probe = "".join(pieces)[:_PROBE_CHARACTERS]
    for text in (probe, probe.replace("\u2581", " "), _STRANGE, ""):
        ids = processor.encode(text, out_type=int)
        processor.encode(text, out_type=str)
        processor.decode(ids)
    return {"pieces": pieces, "types": [_kind(processor, i) for i in range(len(pieces))], "unk": processor.unk_id()}


def _kind(processor: Any, index: int) -> int:
    """Return a piece's kind as the file numbers it; the library reports user-defined pieces as normal."""
    if processor.is_unknown(index):
        return _UNKNOWN
    if processor.is_control(index):
        return _CONTROL
    if processor.is_byte(index):
        return _BYTE
    return _UNUSED if processor.is_unused(index) else _NORMAL


def main() -> None:
    """Read a model from standard input and write its pieces to standard output."""
    limit()
    model = sys.stdin.buffer.read()
    try:
        answer = contents_of(model)
    except (RuntimeError, ValueError, OSError, MemoryError) as error:
        answer = {"error": (str(error).strip().partition("\n")[0] or type(error).__name__)[:200]}
    sys.stdout.buffer.write(json.dumps(answer).encode("ascii"))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
