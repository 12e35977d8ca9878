"""Open a SentencePiece file of anybody: walked here, opened in a process of its own, and only then opened here.

The walk (``sentencepiece_file.py``) checks what no opening can show: that the C++ will not read beyond the table of
characters for some text to come. The child (``child.py``) shows that the C++ opens and uses the file
within limits of memory and time, and that it counts the same pieces as the walk. A child takes some 150 ms, so a file
goes through one once: ``sound_files.py`` remembers its checksum. A file that was trained here goes through none.
Read ``tokenizer.py`` next.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from typing import Final

from pellucid.errors import BundleError
from pellucid.text.sentencepiece.child import LARGEST_ANSWER_BYTES
from pellucid.text.sentencepiece.file import SentencePieceFile, inspect
from pellucid.text.sentencepiece.segmenter import Segmenter
from pellucid.text.sentencepiece.sound_files import is_known_sound, remember_sound

__all__ = ["WALL_SECONDS", "foreign_segmenter"]

WALL_SECONDS: Final = 180
"""Much more than the child needs, so that a busy machine does not refuse a sound file."""

_COMMAND: Final = (sys.executable, "-P", "-m", "pellucid.text.sentencepiece.child")
_USER_DEFINED, _NORMAL = 4, 1


def foreign_segmenter(model: bytes, *, place: str) -> Segmenter:
    """Return the segmenter that a stranger's file holds.

    Args:
        model: the file's bytes.
        place: how messages call it.

    Raises:
        BundleError: it is no SentencePiece model, or opening it crashed, took too much memory or time.
    """
    file = inspect(model, place=place)
    if not is_known_sound(model):
        _compare(_ask_child(model, place=place), file, place=place)
        remember_sound(model)
    return Segmenter(model, place=place, file=file)


def _ask_child(model: bytes, *, place: str) -> dict[str, object]:
    with tempfile.TemporaryFile() as answer:
        try:
            done = subprocess.run(
                _COMMAND,
                input=model,
                stdout=answer,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                timeout=WALL_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise BundleError(
                f"{place}: SentencePiece did not open it within {WALL_SECONDS} seconds; fetch or export it again"
            ) from None
        except OSError as error:
            raise BundleError(f"{place}: no process could be started to open it in: {error.strerror}") from None
        if done.returncode:
            raise BundleError(
                f"{place}: opening it ended the process it was opened in ({_death(done.returncode)}); the file is "
                "damaged or made to do harm: fetch or export it again"
            )
        answer.seek(0)
        raw = answer.read(LARGEST_ANSWER_BYTES)
    try:
        told = json.loads(raw)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise BundleError(f"{place}: the process it was opened in gave no answer; fetch or export it again")
    if "error" in told:
        raise BundleError(f"{place}: SentencePiece cannot read it ({told['error']})")
    return told


def _compare(told: dict[str, object], file: SentencePieceFile, *, place: str) -> None:
    """Refuse a file that two readers read differently."""
    kinds = [_NORMAL if kind == _USER_DEFINED else kind for kind in file.types]
    if told.get("pieces") != list(file.pieces) or told.get("types") != kinds:
        raise BundleError(f"{place}: the file is damaged: SentencePiece finds other pieces in it than it lists")


def _environment() -> dict[str, str]:
    """Return all that the child is told: where Python finds its modules, and to use one thread."""
    paths = os.pathsep.join(path for path in sys.path if path)
    kept = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}  # Windows starts nothing without
    return {"PYTHONPATH": paths, "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1", **kept}


def _death(status: int) -> str:
    if status > 0:
        return f"exit status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
