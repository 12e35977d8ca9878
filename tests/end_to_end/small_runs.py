"""Settings and text of runs that are small enough to train in a test, and a port where two processes of one meet."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from pellucid.sample import SampleCorpus, build_corpus

TINY = ("model.d_model=12", "model.num_heads=3", "model.d_feedforward=17")
SMALL = (
    *TINY,
    "model.num_encoder_layers=1",
    "model.num_decoder_layers=2",
    "training.batch_size=199",
    "training.warmup_steps=2",
    "training.valid_steps=3",
    "training.valid_bleu_sentences=5",
    "training.threads=1",
)


def options(*settings: str) -> list[str]:
    """Return the options of the command that make settings of the form key=value."""
    return [part for setting in settings for part in ("--set", setting)]


def settings(*more: str) -> list[str]:
    """Return the options of a small run and ``more`` of the form key=value."""
    return options(*SMALL, *more)


def numbered_lines(count: int = 29) -> str:
    """Return that many lines, which differ by a number."""
    return "".join(f"wort {i} und noch eins\n" for i in range(count))


@cache
def sample(*, seed: int = 1, train: int, valid: int = 0, test: int = 0) -> SampleCorpus:
    """Return the embedded corpus of these sizes, which takes up to half a second to write."""
    return build_corpus(seed=seed, train_size=train, valid_size=valid, test_size=test)


def write_corpus(folder: Path, *, train: int, valid: int, test: int) -> None:
    """Write parts of the embedded corpus: train.en, train.fr, valid.en and so on."""
    corpus = sample(train=train, valid=valid, test=test)
    for name, pairs in (("train", corpus.train), ("valid", corpus.valid), ("test", corpus.test)):
        (folder / f"{name}.en").write_text("".join(p.source + "\n" for p in pairs), encoding="utf-8")
        (folder / f"{name}.fr").write_text("".join(p.target + "\n" for p in pairs), encoding="utf-8")


@contextmanager
def kept_port() -> Iterator[int]:
    """Yield a port of this machine that no other program is given meanwhile.

    A socket that is bound and does not listen keeps it, and lets another one with the same option listen there.
    """
    with socket.socket() as kept:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        yield kept.getsockname()[1]
