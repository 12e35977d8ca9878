"""Every error that pellucid raises on purpose, and the exit status each one gives the command line.

    PellucidError            1
    ├── ConfigError          1   a recipe or a setting is wrong; lists every problem at once
    ├── DataError            1   a corpus file or a sentence pair is wrong; names file and line
    ├── BundleError          1   a model folder is missing, damaged, untrusted or of a newer format
    │   ├── IncompatibleModelError   two things that must fit do not: tokenizer and weights, run and recipe
    │   └── ConversionError          a model and its copy in another format do not compute the same
    ├── CheckpointError      1   no checkpoint of a run can be used
    ├── TrainingError        1   training cannot go on: numbers stay non-finite
    ├── EngineUnavailableError 1 a translation engine cannot be used here
    ├── RequestError         1   one thing asked of a translator is wrong
    └── StoppedError        75   stopped early, nothing is lost, the same command continues
        └── InterruptedByUser  130   the same, by Ctrl-C

A message says what was wrong, the value and its place, what is allowed, and the remedy.
Nothing else in the package is imported here. Read ``config/`` next.
"""

from __future__ import annotations

__all__ = [
    "BundleError",
    "CheckpointError",
    "ConfigError",
    "ConversionError",
    "DataError",
    "EngineUnavailableError",
    "IncompatibleModelError",
    "InterruptedByUser",
    "PellucidError",
    "RequestError",
    "StoppedError",
    "TrainingError",
]


class PellucidError(Exception):
    """Base of every error whose message is meant for the person who gave the input."""

    exit_status = 1


class ConfigError(PellucidError):
    """A setting is wrong; the message holds every problem found, a line each."""


class DataError(PellucidError):
    """A file of text is missing, unreadable or inconsistent."""


class BundleError(PellucidError):
    """A model folder cannot be read as one."""


class IncompatibleModelError(BundleError):
    """Two parts that have to fit each other do not."""


class ConversionError(BundleError):
    """A model and its copy in another format do not compute the same; the copy was not kept."""


class CheckpointError(PellucidError):
    """A run cannot be continued from what is on disk."""


class TrainingError(PellucidError):
    """Training cannot go on."""


class RequestError(PellucidError):
    """A single request to a translator is out of bounds; other requests are not touched by it."""


class StoppedError(PellucidError):
    """The work was stopped early and the same command continues it (EX_TEMPFAIL of sysexits.h)."""

    exit_status = 75


class InterruptedByUser(StoppedError):
    """The work was stopped by Ctrl-C and the same command continues it (128 + SIGINT)."""

    exit_status = 130


class EngineUnavailableError(PellucidError):
    """A translation engine cannot be used on this machine, or not with this model; another one can."""
