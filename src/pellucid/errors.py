"""Every error that pellucid raises on purpose, and the exit status each one gives the command line.

    PellucidError            1
    ├── ConfigError          1   a recipe or a setting is wrong; lists every problem at once
    ├── DataError            1   a corpus file or a sentence pair is wrong; names file and line
    │   └── DocumentError            a document cannot be read, or its codes would not come through
    │       └── DocumentTooLargeError    it exceeds a limit
    ├── BundleError          1   a model folder is missing, damaged or of a newer format
    │   ├── IncompatibleModelError   two parts do not fit: tokenizer and weights, run and recipe
    │   └── ConversionError          a model and its copy in another format compute different results
    ├── CheckpointError      1   no checkpoint of a run can be used
    ├── TrainingError        1   training cannot continue: numbers stay non-finite
    ├── EngineUnavailableError 1 a translation engine cannot be used here
    ├── RequestError         1   a single request to a translator is invalid
    └── StoppedError        75   stopped early without loss; the same command continues
        ├── InterruptedByUser  130   the same, after Ctrl-C
        └── ProcessLostError    75   another process of the same training has ended

A message says what was wrong, the value and its place, what is allowed, and the remedy.
This module imports nothing else of the package. Read ``config/`` next.
"""

from __future__ import annotations

__all__ = [
    "BundleError",
    "CheckpointError",
    "ConfigError",
    "ConversionError",
    "DataError",
    "DocumentError",
    "DocumentTooLargeError",
    "EngineUnavailableError",
    "IncompatibleModelError",
    "InterruptedByUser",
    "PellucidError",
    "ProcessLostError",
    "RequestError",
    "StoppedError",
    "TrainingError",
]


class PellucidError(Exception):
    """Base of every error whose message is for the user."""

    exit_status = 1


class ConfigError(PellucidError):
    """A setting is wrong; the message has a line for each problem."""


class DataError(PellucidError):
    """A file of text is missing, unreadable or inconsistent."""


class DocumentError(DataError):
    """A document cannot be read or written; the message names it."""


class DocumentTooLargeError(DocumentError):
    """A document exceeds a limit."""


class BundleError(PellucidError):
    """A model folder cannot be read."""


class IncompatibleModelError(BundleError):
    """Two parts do not fit each other."""


class ConversionError(BundleError):
    """A model and its copy in another format compute different results; the copy was removed."""


class CheckpointError(PellucidError):
    """A run cannot be continued from its files."""


class TrainingError(PellucidError):
    """Training cannot continue."""


class RequestError(PellucidError):
    """A single request to a translator is invalid; other requests are not affected."""


class StoppedError(PellucidError):
    """The work stopped early, and the same command continues it (EX_TEMPFAIL of sysexits.h)."""

    exit_status = 75


class InterruptedByUser(StoppedError):
    """Ctrl-C stopped the work, and the same command continues it (128 + SIGINT)."""

    exit_status = 130


class ProcessLostError(StoppedError):
    """Another process of the same training has ended or does not answer; the message names it."""


class EngineUnavailableError(PellucidError):
    """A translation engine does not support this machine or this model; another engine does."""


def counted(number: float, name: str) -> str:
    """Return a number with its noun, for messages: ``1 column``, ``1,000 columns``, ``2.5 minutes``, ``3 batches``."""
    return f"{_written(number)} {name if number == 1 else _plural(name)}"


def are(number: float) -> str:
    """Return the verb behind a counted subject, for messages: ``1 line is ...``, ``2 lines are ...``."""
    return "is" if number == 1 else "are"


def _written(number: float) -> str:
    return f"{int(number):,}" if number == int(number) else f"{number:,g}"


def _plural(name: str) -> str:
    if name.endswith("sis"):
        return f"{name[:-2]}es"
    if name.endswith("y") and name[-2] not in "aeiou":
        return f"{name[:-1]}ies"
    hisses = name.endswith(("s", "x", "ch")) and not name.endswith("epoch")  # in "epoch", ch is a k
    return f"{name}es" if hisses else f"{name}s"
