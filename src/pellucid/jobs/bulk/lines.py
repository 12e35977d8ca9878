"""Lines through a translator: output is parallel to the input, whatever a line holds.

Read ``../translate.py`` next.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import tee, zip_longest
from typing import Final, TextIO

from pellucid.errors import ConfigError, DataError, counted
from pellucid.jobs.bulk.repeats import Repeats
from pellucid.jobs.bulk.tally import MOST_PROBLEMS, Tally
from pellucid.jobs.options.parts import CHUNK_LINES
from pellucid.signals import HeldInterrupt
from pellucid.translation.hypothesis import Alignment, Translation
from pellucid.translation.memory.translating import Remembering
from pellucid.translation.translator import Translator

__all__ = ["BAR", "OutputFormat", "PrefixLines", "Row", "on_lengths", "record_of", "translate_lines"]

BAR: Final = "|||"
"""Separates the fields of the Moses format."""
Row = Callable[[int, Translation, str | None], str]
"""Takes the place of a line among those that are given, from 0, its translation, and what is wrong with it."""


class OutputFormat(StrEnum):
    """How translations are written."""

    TEXT = "text"
    JSONL = "jsonl"
    MOSES = "moses"

    @staticmethod
    def named(name: str) -> OutputFormat:
        """Return the format of that name.

        Raises:
            ConfigError: there is none.
        """
        try:
            return OutputFormat(name)
        except ValueError:
            raise ConfigError(f"--format {name!r} is unknown; use {', '.join(OutputFormat)}") from None


@dataclass(frozen=True)
class PrefixLines:
    """What the translation of each line begins with, or why it cannot be read; and the name of its file."""

    lines: Iterable[str | ValueError]
    name: str


def translate_lines(
    translator: Translator | Remembering,
    lines: Iterable[str | ValueError],
    sink: TextIO,
    *,
    name: str,
    format: OutputFormat,
    prefixes: PrefixLines | None = None,
    chunk_lines: int = CHUNK_LINES,
    first_line: int = 1,
    repeats: Repeats | None = None,
    progress: Callable[[int], None] = lambda done: None,
    searched: Callable[[int], None] = lambda done: None,
    row: Row | None = None,
) -> Tally:
    """Translate lines, each of them text or why it is none; one that fails leaves an empty line and a problem.

    Args:
        translator: of the lines.
        lines: from the line ``first_line`` of a file on.
        sink: gets the output.
        name: of the file.
        format: of the output.
        prefixes: of the lines.
        chunk_lines: lines that are translated together.
        first_line: from 1.
        repeats: what is known of texts that come again; nothing without it.
        progress: called with the number of lines that are written, after each.
        searched: called with the number of lines that are searched, now and then, between those writes.
        row: returns what is written for a line, in place of ``format``.

    Raises:
        DataError: there are more lines than prefixes, or fewer.
    """
    unreadable: dict[int, str] = {}
    problems: list[tuple[int, str]] = []
    flags: Counter[str] = Counter()
    count = failed = with_bars = 0
    texts, begun = _both_sides(lines, prefixes, name, unreadable)
    repeats = repeats or Repeats(keeps=False)
    stream = repeats.translate_stream(
        translator, texts, begun, chunk=chunk_lines, progress=lambda done: searched(count + done)
    )
    row = row or _rows(format, first_line, aligns=translator.config.alignment)
    with HeldInterrupt() as interruption:
        for count, result in enumerate(stream, start=1):
            error = unreadable.pop(count, None) or result.error
            if error:
                failed += 1
                problems += [(first_line + count - 1, error)][: MOST_PROBLEMS - len(problems)]
            flags.update(result.flags)
            with_bars += any(BAR in hypothesis.text for hypothesis in result.alternatives)
            with interruption.held():
                sink.write(row(count - 1, result, error))
                if count % chunk_lines == 0:
                    sink.flush()
                progress(count)
        with interruption.held():
            sink.flush()
    return Tally(count, failed, tuple(problems), dict(flags), with_bars)


def _both_sides(
    lines: Iterable[str | ValueError], prefixes: PrefixLines | None, name: str, unreadable: dict[int, str]
) -> tuple[Iterable[str | None], Iterable[str] | None]:
    if prefixes is None:
        return _readable(lines, unreadable), None
    # Both sides are read together, a line each, so that what is wrong with either is the line's.
    left, right = tee(_with_prefixes(lines, prefixes, name, unreadable))
    return (text for text, _ in left), (prefix for _, prefix in right)


def _readable(lines: Iterable[str | ValueError], unreadable: dict[int, str]) -> Iterator[str | None]:
    for number, line in enumerate(lines, start=1):
        if isinstance(line, ValueError):
            unreadable[number] = str(line)
            yield None
        else:
            yield line


def _with_prefixes(
    lines: Iterable[str | ValueError], prefixes: PrefixLines, name: str, unreadable: dict[int, str]
) -> Iterator[tuple[str | None, str]]:
    for number, (line, prefix) in enumerate(zip_longest(lines, prefixes.lines), start=1):
        if line is None or prefix is None:
            shorter, longer = (name, prefixes.name) if line is None else (prefixes.name, name)
            raise DataError(on_lengths(shorter, longer, lines=number - 1))
        if isinstance(line, ValueError):
            unreadable[number] = str(line)
        elif isinstance(prefix, ValueError):
            unreadable[number] = f"{prefixes.name}: {prefix}"
        else:
            yield line, prefix
            continue
        yield None, ""


def on_lengths(shorter: str, longer: str, *, lines: int) -> str:
    """Return the message for a text and its prefixes that differ in length."""
    return (
        f"{shorter} has {counted(lines, 'line')}, and {longer} has more; "
        "a file of prefixes has a line for each line of the text, an empty one for no prefix"
    )


def _rows(format: OutputFormat, first_line: int, *, aligns: bool) -> Row:
    return lambda place, result, error: _format(first_line + place - 1, result, error, format, aligns=aligns)


def _format(index: int, result: Translation, error: str | None, format: OutputFormat, *, aligns: bool) -> str:
    if format is OutputFormat.TEXT:
        links = f" {BAR} {result.alignment.pharaoh if result.alignment is not None else ''}" if aligns else ""
        return _one_line(result.text) + links + "\n"
    if format is OutputFormat.MOSES:
        rows = [f"{index} ||| {_one_line(h.text)} ||| {h.score:.6f}\n" for h in result.alternatives]
        return "".join(rows) or f"{index} |||  ||| 0\n"
    return json.dumps({"line": index} | record_of(result, error), ensure_ascii=False) + "\n"


def record_of(result: Translation, error: str | None = None) -> dict[str, object]:
    """Return what a record of ``--format jsonl`` says of a translation; ``error`` is that of its line, else its own."""
    record: dict[str, object] = {"source": result.source, "text": result.text, "score": result.score}
    record["origin"] = result.origin
    record["tokens"] = list(result.tokens)
    record["flags"] = list(result.flags)
    record["evidence"] = dict(result.evidence)
    if result.alignment is not None:
        record["alignment"] = _alignment_record(result.alignment)
    record["alternatives"] = [
        {"text": h.text, "score": h.score, "log_probability": h.log_probability, "tokens": list(h.pieces)}
        for h in result.alternatives
    ]
    if result.matches:
        record["matches"] = [asdict(match) for match in result.matches]
    if error := error or result.error:
        record["error"] = error
    return record


def _alignment_record(alignment: Alignment) -> dict[str, object]:
    return {
        "source_words": list(alignment.source_words),
        "target_words": list(alignment.target_words),
        "links": [list(link) for link in alignment.links],
        "source_pieces": list(alignment.source_pieces),
        "piece_links": [list(link) for link in alignment.piece_links],
    }


def _one_line(text: str) -> str:
    # A model with byte pieces can write a line feed; the lines must stay parallel.
    return text.replace("\r", " ").replace("\n", " ")
