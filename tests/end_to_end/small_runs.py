"""Settings of runs that are small enough to train in a test, and a port where two processes of one meet."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

SHAPE = (
    ("model.d_model", 12),
    ("model.num_heads", 3),
    ("model.d_feedforward", 17),
    ("model.num_encoder_layers", 1),
    ("model.num_decoder_layers", 2),
    ("training.batch_size", 199),
    ("training.warmup_steps", 2),
    ("training.valid_steps", 3),
    ("training.valid_bleu_sentences", 5),
    ("training.threads", 1),
)


def settings(*more: str) -> list[str]:
    """Return the options of a small run and ``more`` of the form key=value."""
    return [part for name, value in SHAPE for part in ("--set", f"{name}={value}")] + [
        part for setting in more for part in ("--set", setting)
    ]


@contextmanager
def kept_port() -> Iterator[int]:
    """Yield a port of this machine that no other program is given meanwhile.

    A socket that is bound and does not listen keeps it, and lets another one with the same option listen there.
    """
    with socket.socket() as kept:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        yield kept.getsockname()[1]
