"""Open an untrusted SentencePiece file: check it in Python, open it in a child process, and only then open it here.

The check in Python (``file.py``) proves what opening the file cannot: that the C++ library will not read beyond the
table of characters for some later text. The child process (``child.py``) shows that the library opens and uses the file
within limits of memory and time, and reads the same pieces as the check. A child takes about 150 ms, so each file is
opened in one only once: ``sound_files.py`` stores its checksum. Files trained on this machine skip the child. Read
``../tokenizer.py`` next.
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
from pellucid.runtime import module_paths
from pellucid.text.sentencepiece.child import LARGEST_ANSWER_BYTES
from pellucid.text.sentencepiece.file import SentencePieceFile, inspect
from pellucid.text.sentencepiece.segmenter import Segmenter
from pellucid.text.sentencepiece.sound_files import is_known_sound, remember_sound

__all__ = ["WALL_SECONDS", "foreign_segmenter"]

WALL_SECONDS: Final = 180
"""Much more time than the child needs, so that a busy machine does not refuse a valid file."""

_COMMAND: Final = (sys.executable, "-P", "-m", "pellucid.text.sentencepiece.child")
_USER_DEFINED, _NORMAL = 4, 1


def foreign_segmenter(model: bytes, *, place: str) -> Segmenter:
    """Return the segmenter of an untrusted file.

    Args:
        model: the file's bytes.
        place: the file's name in messages.

    Raises:
        BundleError: the file is not a valid SentencePiece model, or opening it crashed or exceeded memory or time.
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
            raise BundleError(f"{place}: the process to open it in cannot be started: {error.strerror}") from None
        if done.returncode:
            raise BundleError(
                f"{place}: the process that opened it crashed ({_death(done.returncode)}); the file is damaged or "
                "malicious: fetch or export it again"
            )
        answer.seek(0)
        raw = answer.read(LARGEST_ANSWER_BYTES)
    try:
        contents = json.loads(raw)
    except (ValueError, RecursionError):
        contents = None
    if not isinstance(contents, dict):
        raise BundleError(f"{place}: the process that opened it returned no result; fetch or export it again")
    if "error" in contents:
        raise BundleError(f"{place}: SentencePiece cannot read it ({contents['error']})")
    return contents


def _compare(contents: dict[str, object], file: SentencePieceFile, *, place: str) -> None:
    """Refuse a file that the two readers read differently."""
    kinds = [_NORMAL if kind == _USER_DEFINED else kind for kind in file.types]
    if contents.get("pieces") != list(file.pieces) or contents.get("types") != kinds:
        raise BundleError(f"{place}: the file is damaged: SentencePiece reads other pieces than the file lists")


def _environment() -> dict[str, str]:
    """Return the environment of the child: the paths of Python's modules, UTF-8, and one thread."""
    kept = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}  # Windows starts nothing without
    return {"PYTHONPATH": module_paths(), "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1", **kept}


def _death(status: int) -> str:
    if status > 0:
        return f"exit status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
