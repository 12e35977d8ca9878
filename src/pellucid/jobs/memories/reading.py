"""Read translation memories of every format into main memory, for the language pairs that models translate.

Dates, user names and notes of a file are never read (``text/formats/``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pellucid.config import CorpusConfig, InvalidUtf8
from pellucid.config.service import ServedMemory
from pellucid.errors import ConfigError, DataError, counted
from pellucid.jobs.models import languages_of
from pellucid.sample.embedded import direction_of
from pellucid.text.formats.languages import answers
from pellucid.text.formats.reading import FilesReader, describe_files
from pellucid.translation.memory.units import TranslationMemory

__all__ = ["memories_of", "memory_for"]

Pair = tuple[str, str]
Say = Callable[[str], None]


def memory_for(model: Path, files: Sequence[str], say: Say) -> TranslationMemory:
    """Read files and patterns as the memory of the language pair of a model.

    Raises:
        BundleError: the model has no usable description.
        ConfigError: the model states no languages.
        DataError: a file cannot be read or has other languages, or there is no unit.
    """
    direction = direction_of(model)
    languages = (direction.source_language, direction.target_language) if direction else languages_of(model)
    named = [ServedMemory(path=file, source=languages[0], target=languages[1]) for file in files]
    return memories_of(named, [languages], say)[languages]


def memories_of(named: Sequence[ServedMemory], pairs: Sequence[Pair], say: Say) -> dict[Pair, TranslationMemory]:
    """Read memories, each for the language pairs that it has.

    Raises:
        ConfigError: a memory says no languages, and there are several pairs that it may be for.
        DataError: a file cannot be read, or has no unit for any of the pairs.
    """
    problems: dict[ServedMemory, DataError] = {}
    useful: set[ServedMemory] = set()

    def units(pair: Pair) -> Iterator[tuple[str, str]]:
        for memory in named:
            wanted = [one for one in pairs if _is_for(memory, one)]
            if pair not in wanted:
                continue
            try:
                for unit in _units(memory, pair, say, is_only=len(wanted) == 1):
                    yield unit
                    useful.add(memory)
            except DataError as error:
                if memory in useful and len(wanted) == 1:
                    raise
                problems.setdefault(memory, error)

    found = {pair: TranslationMemory(units(pair), name=_label(named)) for pair in dict.fromkeys(pairs)}
    for memory in named:
        if memory not in useful:
            raise problems.get(memory) or DataError(
                f"{memory.path}: has no unit for {', '.join(f'{source} → {target}' for source, target in pairs)}; name "
                "a memory in these languages"
            )
    for (source, target), one in found.items():
        if len(one):
            say(f"memory: {counted(len(one), 'source')} for {source} → {target}")
    return {pair: one for pair, one in found.items() if len(one)}


def _is_for(memory: ServedMemory, pair: Pair) -> bool:
    stated = memory.source, memory.target
    return all(not code or answers(code, own) for code, own in zip(stated, pair, strict=True))


def _units(memory: ServedMemory, pair: Pair, say: Say, *, is_only: bool) -> Iterator[tuple[str, str]]:
    reader = FilesReader(
        CorpusConfig(files=(memory.path,)),
        languages=pair,
        invalid_utf8=InvalidUtf8.STRICT,
        say=say if is_only else _mute,
    )
    for unit in reader.read():
        yield unit.source, unit.target
    reports = reader.reports()
    silent = next((one for one in reports if one.used and not any(one.codes) and one.format != "moses"), None)
    if silent is not None and not is_only:
        raise ConfigError(
            f"{silent.name}: does not say its languages, and there are several models that it may be for; name it in "
            "--config under [[memories]], with source and target"
        )
    if any(report.used for report in reports) or is_only:
        for line in describe_files(reports, pair):
            say(f"memory: {line}")


def _mute(text: str) -> None:
    pass


def _label(named: Sequence[ServedMemory]) -> str:
    return ", ".join(memory.path for memory in named[:3]) + (" ..." if len(named) > 3 else "")
