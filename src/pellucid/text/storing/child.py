"""A process that cuts pairs into pieces: ``python -P -m pellucid.text.storing.child FOLDER TAG MOST``.

It reads a line of JSON for some pairs (the sources and the targets), and writes a line of JSON with the sizes in bytes
of the arrays that follow it. It ends when its input ends. Read ``crew.py`` next, which starts it.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

from pellucid.text.storing.cutting import cut
from pellucid.text.tokenizer import load_tokenizer

__all__ = ["main"]


def main() -> None:
    """Answer until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends its children
    folder, tag, most = sys.argv[1:]
    tokenizer = load_tokenizer(Path(folder)).with_default_tag(tag)
    while line := sys.stdin.buffer.readline():
        sources, targets = json.loads(line)
        found = cut(tokenizer, sources, targets, most=int(most))
        arrays = [found.fits, *(array for side in found.sides for array in (side.ids, side.lengths))]
        answer = [array.tobytes() for array in arrays]
        sys.stdout.buffer.write(json.dumps([len(part) for part in answer]).encode() + b"\n")
        for part in answer:
            sys.stdout.buffer.write(part)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
