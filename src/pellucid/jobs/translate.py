"""Translate a file or a stream, line by line: output is parallel to the input, whatever a line holds."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, TextIO

from pellucid.errors import ConfigError, DataError
from pellucid.jobs.models import open_translator
from pellucid.translation.hypothesis import Translation
from pellucid.translation.translator import Translator

__all__ = ["FileOutcome", "OutputFormat", "translate_file", "translate_lines"]

_REPORTED_PROBLEMS = 20
_WORTH_SAYING = {"split", "max_length", "unknown"}


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
    notes: str
    """What happened to lines that did not fail: split, ended at the length limit, and so on."""


def translate_file(
    model: Path,
    file: str,
    *,
    output: Path | None,
    format: OutputFormat,
    settings: Sequence[str] = (),
    device: str = "auto",
    threads: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> FileOutcome:
    """Translate a file, or standard input for ``-``, to a file or standard output.

    Raises:
        BundleError: the model cannot be used.
        DataError: the input cannot be read.
        ConfigError: a setting is wrong, or the format cannot hold what was asked for.
    """
    translator = open_translator(model, settings=settings, device=device, threads=threads)
    if format is OutputFormat.TEXT and translator.config.n_best > 1:
        raise ConfigError(
            f"n_best = {translator.config.n_best} does not fit --format text, which holds one line for each line; "
            "use --format jsonl or --format moses"
        )
    with _reading(file) as stream, _writing(output) as sink:
        return translate_lines(translator, stream, sink, format=format, progress=progress)


def translate_lines(
    translator: Translator,
    stream: BinaryIO,
    sink: TextIO,
    *,
    format: OutputFormat,
    progress: Callable[[int], None] = lambda done: None,
) -> FileOutcome:
    """Translate a stream of UTF-8 lines; a line that fails leaves an empty line and a problem."""
    undecodable: dict[int, str] = {}
    problems: list[str] = []
    flags: Counter[str] = Counter()
    count = 0
    for count, result in enumerate(translator.translate_stream(_decoded(stream, undecodable)), start=1):
        error = undecodable.pop(count, None) or result.error
        if error:
            problems.append(f"line {count}: {error}")
        flags.update(set(result.flags) & _WORTH_SAYING)
        sink.write(_format(count - 1, result, error, format))
        progress(count)
    sink.flush()
    notes = ", ".join(f"{n:,} {'line' if n == 1 else 'lines'} flagged {flag!r}" for flag, n in sorted(flags.items()))
    if len(problems) > _REPORTED_PROBLEMS:
        left = len(problems) - _REPORTED_PROBLEMS
        problems = [*problems[:_REPORTED_PROBLEMS], f"... and {left:,} more lines failed"]
    return FileOutcome(count, tuple(problems), notes)


def _decoded(stream: BinaryIO, undecodable: dict[int, str]) -> Iterator[str]:
    # Only the byte \n ends a line: str.splitlines would also split at U+2028, U+0085 and others,
    # and every later line would stand beside the wrong translation.
    for number, raw in enumerate(stream, start=1):
        line = raw.removesuffix(b"\n").removesuffix(b"\r")
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError as error:
            undecodable[number] = f"is not valid UTF-8 at byte {error.start} (0x{line[error.start]:02x})"
            yield ""


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


def _one_line(text: str) -> str:
    # A model with byte pieces can write a line feed; the lines must stay parallel.
    return text.replace("\r", " ").replace("\n", " ")


@contextmanager
def _reading(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        with Path(file).open("rb") as stream:
            yield stream
    except FileNotFoundError:
        raise DataError(f"{file}: no such file; name a text file, or - for standard input") from None
    except IsADirectoryError:
        raise DataError(f"{file}: is a folder; name a text file, or - for standard input") from None
    except PermissionError:
        raise DataError(f"{file}: may not be read; check its permissions") from None


@contextmanager
def _writing(output: Path | None) -> Iterator[TextIO]:
    if output is None:
        yield sys.stdout
        return
    try:
        # newline="": a line ends with one \n on every system.
        with output.open("w", encoding="utf-8", newline="") as sink:
            yield sink
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise DataError(f"{output}: cannot be written: {error.strerror}") from None
