"""Translate a file or a stream, line by line: output is parallel to the input, whatever a line holds."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, TextIO

from pellucid.errors import ConfigError, InterruptedByUser
from pellucid.jobs.interruption import HeldInterrupt
from pellucid.jobs.line_files import is_stream, reading, writing
from pellucid.jobs.models import open_translator
from pellucid.translation.flags import in_order
from pellucid.translation.hypothesis import Translation
from pellucid.translation.translator import Translator

__all__ = ["CHUNK_LINES", "FileOutcome", "OutputFormat", "translate_file", "translate_lines"]

CHUNK_LINES: Final = 1024
"""Lines that are read before their translations are written: they share batches."""
_REPORTED_PROBLEMS = 20
_BAR: Final = "|||"


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
class FileOutcome:
    """What there is to say after a file was translated."""

    lines: int
    problems: tuple[str, ...]
    """One sentence for each line that failed, with its number from 1, as editors count."""
    flags: Mapping[str, int]
    """How many lines have each flag, in the order of ``translation/flags.py``; a flag that no line has is absent."""
    notes: str
    """What else there is to say, or nothing."""

    def flag_summary(self) -> str:
        """Return one line that counts every flag of the run, or nothing where there is none."""
        counts = ", ".join(f"{flag} {count:,}" for flag, count in self.flags.items())
        return f"flagged lines: {counts}" if counts else ""


def translate_file(
    model: Path,
    file: str,
    *,
    output: Path | None,
    format: OutputFormat,
    settings: Sequence[str] = (),
    device: str = "auto",
    threads: int = 0,
    chunk_lines: int = CHUNK_LINES,
    progress: Callable[[int], None] = lambda done: None,
) -> FileOutcome:
    """Translate a file, or standard input for ``-``, to a file or standard output.

    An output file appears whole at the end; until then one that was there before stays as it is.

    Raises:
        BundleError: the model cannot be used.
        DataError: the input cannot be read.
        ConfigError: a setting is wrong, the format cannot hold what was asked for, or the output cannot be written.
        InterruptedByUser: Ctrl-C; says how many lines are out.
    """
    if chunk_lines < 1:
        raise ConfigError(f"--chunk-lines {chunk_lines}: give 1 or more; 1 translates each line as it comes")
    translator = open_translator(model, settings=settings, device=device, threads=threads)
    if format is OutputFormat.TEXT and translator.config.n_best > 1:
        raise ConfigError(
            f"n_best = {translator.config.n_best} does not fit --format text, which holds one line for each line; "
            "use --format jsonl or --format moses"
        )
    written = 0

    def advance(done: int) -> None:
        nonlocal written
        written = done
        progress(done)

    with reading(file) as source, writing(output, source=source) as sink:
        try:
            return translate_lines(
                translator,
                source.lines(),
                sink,
                name=source.name,
                format=format,
                chunk_lines=chunk_lines,
                progress=advance,
            )
        except KeyboardInterrupt:
            sink.flush()
            raise InterruptedByUser(_left_by(written, output)) from None


def _left_by(written: int, output: Path | None) -> str:
    """Say what an interruption leaves behind."""
    if output is not None and not is_stream(output):
        return (
            f"interrupted after {written:,} lines; {output} is made whole or not at all, and is as it was before. "
            "Translate to standard output to keep what is done"
        )
    if not written:
        return "interrupted before the first line was written"
    return (
        f"interrupted: {written:,} lines are translated and written, each of them whole; "
        f"to go on, begin with line {written + 1:,} of the input"
    )


def translate_lines(
    translator: Translator,
    lines: Iterable[str | ValueError],
    sink: TextIO,
    *,
    name: str,
    format: OutputFormat,
    chunk_lines: int = CHUNK_LINES,
    progress: Callable[[int], None] = lambda done: None,
) -> FileOutcome:
    """Translate lines, each of them text or why it is none; one that fails leaves an empty line and a problem."""
    unreadable: dict[int, str] = {}
    problems: list[str] = []
    flags: Counter[str] = Counter()
    count = ambiguous = 0
    stream = translator.translate_stream(_readable(lines, unreadable), chunk=chunk_lines)
    with HeldInterrupt() as interruption:
        for count, result in enumerate(stream, start=1):
            error = unreadable.pop(count, None) or result.error
            if error:
                problems.append(f"{name}, line {count}: {error}")
            flags.update(result.flags)
            ambiguous += any(_BAR in hypothesis.text for hypothesis in result.alternatives)
            with interruption.held():
                sink.write(_format(count - 1, result, error, format))
                if count % chunk_lines == 0:
                    sink.flush()
                progress(count)
        with interruption.held():
            sink.flush()
    notes = _on_bars(ambiguous) if format is OutputFormat.MOSES and ambiguous else ""
    if len(problems) > _REPORTED_PROBLEMS:
        left = len(problems) - _REPORTED_PROBLEMS
        problems = [*problems[:_REPORTED_PROBLEMS], f"... and {left:,} more lines failed"]
    counts = {flag: flags[flag] for flag in in_order(set(flags))}
    return FileOutcome(count, tuple(problems), counts, notes)


def _readable(lines: Iterable[str | ValueError], unreadable: dict[int, str]) -> Iterator[str | None]:
    for number, line in enumerate(lines, start=1):
        if isinstance(line, ValueError):
            unreadable[number] = str(line)
            yield None
        else:
            yield line


def _format(index: int, result: Translation, error: str | None, format: OutputFormat) -> str:
    if format is OutputFormat.TEXT:
        return _one_line(result.text) + "\n"
    if format is OutputFormat.MOSES:
        rows = [f"{index} ||| {_one_line(h.text)} ||| {h.score:.6f}\n" for h in result.alternatives]
        return "".join(rows) or f"{index} |||  ||| 0\n"
    record: dict[str, object] = {"line": index, "source": result.source, "text": result.text, "score": result.score}
    record["tokens"] = list(result.tokens)
    record["flags"] = list(result.flags)
    record["alternatives"] = [
        {"text": h.text, "score": h.score, "log_probability": h.log_probability, "tokens": list(h.pieces)}
        for h in result.alternatives
    ]
    if error:
        record["error"] = error
    return json.dumps(record, ensure_ascii=False) + "\n"


def _on_bars(lines: int) -> str:
    # Other toolkits write the text as it is, too; Moses itself has its users escape "|" in training text.
    return (
        f"{lines:,} {'line has' if lines == 1 else 'lines have'} {_BAR!r} in a translation, which is kept as it is: "
        'read a row from its first " ||| " to its last, or use --format jsonl'
    )


def _one_line(text: str) -> str:
    # A model with byte pieces can write a line feed; the lines must stay parallel.
    return text.replace("\r", " ").replace("\n", " ")
