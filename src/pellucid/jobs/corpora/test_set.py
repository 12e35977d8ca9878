"""Read a test set in any format, both sides of it. Read ``test_score.py`` next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pellucid.config import CorpusConfig, InvalidUtf8
from pellucid.errors import DataError
from pellucid.jobs.models import languages_of
from pellucid.text.formats.reading import FilesReader, describe_files

__all__ = ["TestSet", "read_test_set"]


@dataclass(frozen=True)
class TestSet:
    """Sources and references, line by line, and the files that they are from."""

    __test__ = False  # pytest takes it for tests

    sources: tuple[str, ...]
    references: tuple[str, ...]
    files: tuple[Path, ...]


def read_test_set(patterns: Sequence[str], *, model: Path, say: Callable[[str], None]) -> TestSet:
    """Read files in the languages of a model; ``say`` receives what is left out and which variants are taken.

    Raises:
        BundleError: the model has no usable description.
        ConfigError: the model states no languages.
        DataError: a file cannot be read, or has nothing to score.
    """
    languages = languages_of(model)
    corpus = CorpusConfig(files=tuple(patterns))
    reader = FilesReader(corpus, languages=languages, invalid_utf8=InvalidUtf8.STRICT, say=say)
    units = list(reader.read())
    for line in describe_files(reader.reports(), languages):
        say(line)
    if not units:
        raise DataError(f"{corpus.label()}: no unit can be scored; name a file in {languages[0]} and {languages[1]}")
    paths = [path for file in reader.files for path in (file.path, file.partner) if path is not None]
    return TestSet(tuple(one.source for one in units), tuple(one.target for one in units), tuple(paths))
