"""Recognise files that were read before, so that a restart does not read a large corpus again.

A file counts as unchanged if its path, size, inode and both times are those of the earlier reading. A time stamp has a
grain, so a file that changed shortly before it was read could change once more without a trace: such a file is read
again at the next start. Read ``../prepare.py`` next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pellucid.config import CorpusConfig, DataConfig
from pellucid.errors import PellucidError
from pellucid.text.corpus import CorpusFacts
from pellucid.text.formats.naming import files_of

__all__ = ["TextState", "recognised", "states_of", "table_of"]

_GRAIN_NANOSECONDS: Final = 2_000_000_000
"""Of the coarsest file systems in use."""

State = list[Any]


@dataclass(frozen=True)
class TextState:
    """What the stores depend on of a corpus, and the names of its files."""

    pairs: int
    sha256: str
    names: tuple[str, ...]

    @staticmethod
    def of(facts: CorpusFacts) -> TextState:
        """Return the state of a corpus that was read."""
        return TextState(facts.pairs, facts.sha256, facts.names)


def states_of(paths: Iterable[Path]) -> list[State]:
    """Return the state of each file.

    Raises:
        OSError: a file is missing.
    """
    return [
        [str(path.absolute()), found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev]
        for path in paths
        for found in (path.stat(),)
    ]


def table_of(data: DataConfig, texts: Sequence[TextState], *, read_from_ns: int) -> list[dict[str, object]] | None:
    """Return a table for ``recognised``; None if a file changed so shortly before that it must be read again.

    Args:
        data: the corpora.
        texts: what was found of each.
        read_from_ns: when the reading began, as ``time.time_ns`` gives it.
    """
    corpora = _corpora(data)
    if corpora is None:
        return None
    times = [time for _, states in corpora for state in states for time in state[2:4]]
    if max(times, default=0) > read_from_ns - _GRAIN_NANOSECONDS:
        return None
    return [
        {"asked": asked, "files": states, "pairs": text.pairs, "sha256": text.sha256, "names": list(text.names)}
        for (asked, states), text in zip(corpora, texts, strict=True)
    ]


def recognised(data: DataConfig, table: object) -> tuple[TextState, ...] | None:
    """Return what an earlier reading found, if all corpora and their files are as they were then; else None."""
    corpora = _corpora(data)
    if corpora is None or not isinstance(table, list) or len(table) != len(corpora):
        return None
    found = []
    for (asked, states), entry in zip(corpora, table, strict=True):
        if not isinstance(entry, dict) or entry.get("asked") != asked or entry.get("files") != states:
            return None
        try:
            found.append(TextState(int(entry["pairs"]), str(entry["sha256"]), tuple(map(str, entry["names"]))))
        except (KeyError, TypeError, ValueError):
            return None
    return tuple(found)


def _corpora(data: DataConfig) -> list[tuple[str, list[State]]] | None:
    """Return for each corpus how it is read, and the states of its files; None if they cannot be had."""
    try:
        return [
            (f"{corpus.model_dump_json()} {data.invalid_utf8} {data.languages_of(corpus)}", _states(corpus, data))
            for corpus in data.corpora()
        ]
    except (PellucidError, OSError):  # reading says what is wrong
        return None


def _states(corpus: CorpusConfig, data: DataConfig) -> list[State]:
    if not corpus.files:
        return states_of(corpus.paths())
    named = files_of(corpus, data.languages_of(corpus))
    return states_of(path for file in named for path in (file.path, file.partner) if path is not None)
