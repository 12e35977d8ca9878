"""Translate a file or a stream, line by line: output is parallel to the input, whatever a line holds."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from itertools import tee, zip_longest
from pathlib import Path
from typing import Final, TextIO

from pellucid.config.translation import TranslationConfig
from pellucid.errors import ConfigError, DataError, InterruptedByUser
from pellucid.jobs.line_files import is_stream, reading, writing
from pellucid.jobs.models import EngineName, EnginePrecision, open_translator
from pellucid.signals import HeldInterrupt
from pellucid.translation.flags import in_order
from pellucid.translation.hypothesis import Alignment, Translation
from pellucid.translation.translator import Translator

__all__ = ["CHUNK_LINES", "FileOutcome", "OutputFormat", "PrefixLines", "translate_file", "translate_lines"]

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
class PrefixLines:
    """What the translation of each line begins with, or why it cannot be read; and the name of its file."""

    lines: Iterable[str | ValueError]
    name: str


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
    prefix_file: str | None = None,
    settings: Sequence[str] = (),
    device: str = "auto",
    threads: int = 0,
    engine: str = EngineName.AUTO,
    precision: str = EnginePrecision.AUTO,
    chunk_lines: int = CHUNK_LINES,
    say: Callable[[str], None] = lambda text: None,
    progress: Callable[[int], None] = lambda done: None,
) -> FileOutcome:
    """Translate a file, or standard input for ``-``, to a file or standard output.

    An output file appears whole at the end; until then one that was there before stays as it is. ``prefix_file`` has
    a line for each line of the input, which its translation begins with. ``say`` is told which engine computes.

    Raises:
        BundleError: the model cannot be used.
        EngineUnavailableError: the native engine is asked for and cannot be compiled here.
        DataError: the input or the prefixes cannot be read, or have different numbers of lines.
        ConfigError: a setting is wrong, the format cannot hold what was asked for, or the output cannot be written.
        InterruptedByUser: Ctrl-C; says how many lines are out.
    """
    if chunk_lines < 1:
        raise ConfigError(f"--chunk-lines {chunk_lines}: give 1 or more; 1 translates each line as it comes")
    translator = open_translator(
        model, settings=settings, device=device, threads=threads, engine=engine, precision=precision, say=say
    )
    _refuse_misfits(translator.config, file, format=format, prefix_file=prefix_file)
    written = 0

    def advance(done: int) -> None:
        nonlocal written
        written = done
        progress(done)

    with ExitStack() as opened:
        source = opened.enter_context(reading(file))
        prefixes = None if prefix_file is None else opened.enter_context(reading(prefix_file))
        sources = [source] if prefixes is None else [source, prefixes]
        sink = opened.enter_context(writing(output, sources=sources))
        try:
            return translate_lines(
                translator,
                source.lines(),
                sink,
                name=source.name,
                prefixes=None if prefixes is None else PrefixLines(prefixes.lines(), prefixes.name),
                format=format,
                chunk_lines=chunk_lines,
                progress=advance,
            )
        except KeyboardInterrupt:
            sink.flush()
            raise InterruptedByUser(_left_by(written, output)) from None


def _refuse_misfits(config: TranslationConfig, file: str, *, format: OutputFormat, prefix_file: str | None) -> None:
    if format is OutputFormat.TEXT and config.n_best > 1:
        raise ConfigError(
            f"n_best = {config.n_best} does not fit --format text, which holds one line for each line; "
            "use --format jsonl or --format moses"
        )
    if format is OutputFormat.MOSES and config.alignment:
        raise ConfigError("--alignment does not fit --format moses; use --format text or --format jsonl")
    if prefix_file is not None and config.target_prefix:
        raise ConfigError("target_prefix and --prefix-file are both given; give one of them")
    if prefix_file == file == "-":
        raise ConfigError("the text and --prefix-file are both standard input; name a file for one of them")


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
    prefixes: PrefixLines | None = None,
    chunk_lines: int = CHUNK_LINES,
    progress: Callable[[int], None] = lambda done: None,
) -> FileOutcome:
    """Translate lines, each of them text or why it is none; one that fails leaves an empty line and a problem.

    Raises:
        DataError: there are more lines than prefixes, or fewer.
    """
    unreadable: dict[int, str] = {}
    problems: list[str] = []
    flags: Counter[str] = Counter()
    count = ambiguous = 0
    if prefixes is None:
        stream = translator.translate_stream(_readable(lines, unreadable), chunk=chunk_lines)
    else:
        # Both sides are read together, a line each, so that what is wrong with either is the line's.
        texts, begun = tee(_with_prefixes(lines, prefixes, name, unreadable))
        stream = translator.translate_stream(
            (text for text, _ in texts), chunk=chunk_lines, target_prefix=(prefix for _, prefix in begun)
        )
    with HeldInterrupt() as interruption:
        for count, result in enumerate(stream, start=1):
            error = unreadable.pop(count, None) or result.error
            if error:
                problems.append(f"{name}, line {count}: {error}")
            flags.update(result.flags)
            ambiguous += any(_BAR in hypothesis.text for hypothesis in result.alternatives)
            with interruption.held():
                sink.write(_format(count - 1, result, error, format, aligns=translator.config.alignment))
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


def _with_prefixes(
    lines: Iterable[str | ValueError], prefixes: PrefixLines, name: str, unreadable: dict[int, str]
) -> Iterator[tuple[str | None, str]]:
    for number, (line, prefix) in enumerate(zip_longest(lines, prefixes.lines), start=1):
        if line is None or prefix is None:
            shorter, longer = (name, prefixes.name) if line is None else (prefixes.name, name)
            raise DataError(
                f"{shorter} has {number - 1:,} lines, and {longer} has more; "
                "a file of prefixes has a line for each line of the text, an empty one for no prefix"
            )
        if isinstance(line, ValueError):
            unreadable[number] = str(line)
        elif isinstance(prefix, ValueError):
            unreadable[number] = f"{prefixes.name}: {prefix}"
        else:
            yield line, prefix
            continue
        yield None, ""


def _format(index: int, result: Translation, error: str | None, format: OutputFormat, *, aligns: bool = False) -> str:
    if format is OutputFormat.TEXT:
        links = f" {_BAR} {result.alignment.pharaoh}" if result.alignment is not None else ""
        return _one_line(result.text) + (links or (f" {_BAR} " if aligns else "")) + "\n"
    if format is OutputFormat.MOSES:
        rows = [f"{index} ||| {_one_line(h.text)} ||| {h.score:.6f}\n" for h in result.alternatives]
        return "".join(rows) or f"{index} |||  ||| 0\n"
    record: dict[str, object] = {"line": index, "source": result.source, "text": result.text, "score": result.score}
    record["tokens"] = list(result.tokens)
    record["flags"] = list(result.flags)
    record["evidence"] = dict(result.evidence)
    if result.alignment is not None:
        record["alignment"] = _alignment_record(result.alignment)
    record["alternatives"] = [
        {"text": h.text, "score": h.score, "log_probability": h.log_probability, "tokens": list(h.pieces)}
        for h in result.alternatives
    ]
    if error:
        record["error"] = error
    return json.dumps(record, ensure_ascii=False) + "\n"


def _alignment_record(alignment: Alignment) -> dict[str, object]:
    return {
        "source_words": list(alignment.source_words),
        "target_words": list(alignment.target_words),
        "links": [list(link) for link in alignment.links],
        "source_pieces": list(alignment.source_pieces),
        "piece_links": [list(link) for link in alignment.piece_links],
    }


def _on_bars(lines: int) -> str:
    # Other toolkits write the text as it is, too; Moses itself has its users escape "|" in training text.
    return (
        f"{lines:,} {'line has' if lines == 1 else 'lines have'} {_BAR!r} in a translation, which is kept as it is: "
        'read a row from its first " ||| " to its last, or use --format jsonl'
    )


def _one_line(text: str) -> str:
    # A model with byte pieces can write a line feed; the lines must stay parallel.
    return text.replace("\r", " ").replace("\n", " ")
