"""Translate a whole document to text, or to a record for each sentence. Read ``../translate.py`` first."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Final, TextIO

from pellucid.errors import ConfigError, DataError
from pellucid.jobs.bulk.lines import OutputFormat, record_of
from pellucid.jobs.bulk.tally import MOST_PROBLEMS, Tally
from pellucid.jobs.line_files import check_files, reading, writing
from pellucid.jobs.options.translation import TranslationOptions
from pellucid.jobs.translate import FileOutcome, outcome_of, with_memory
from pellucid.translation.document.layout import Lines
from pellucid.translation.memory.translating import Remembering
from pellucid.translation.translator import Translator

__all__ = ["translate_document_file", "translate_text"]

_WRAPPED: Final = (
    "most lines of this document go on in the next line, but each was translated alone; "
    "--lines wrap or --lines join takes them together"
)


def translate_document_file(
    model: Path,
    file: str,
    *,
    output: Path | None,
    format: OutputFormat,
    options: TranslationOptions,
    lines: str = Lines.KEEP,
    say: Callable[[str], None] = lambda text: None,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> FileOutcome:
    """Translate a document, or standard input for ``-``; see ``Translator.translate_document``.

    Raises:
        BundleError: the model cannot be used.
        EngineUnavailableError: the engine that is asked for is not available here.
        DataError: the document cannot be read.
        ConfigError: a setting is wrong, the format cannot hold what was asked for, or the output cannot be written.
    """
    if lines not in list(Lines):
        raise ConfigError(f"--lines {lines!r} is unknown; use {', '.join(Lines)}")
    config = options.config_of(model)
    if format is OutputFormat.MOSES:
        raise ConfigError("--format moses holds lines and no document; use --format text or --format jsonl")
    if format is OutputFormat.TEXT and (config.n_best > 1 or config.alignment):
        asked = "--alignment" if config.alignment else f"n_best = {config.n_best}"
        raise ConfigError(f"{asked} does not fit a document with --format text; use --format jsonl")
    if file == options.terms == "-":
        raise ConfigError("the text and --terms are both standard input; name a file for one of them")
    check_files([file], output)
    glossary = options.read_terms(config)
    recalled = options.read_memory(model, say)
    translator = options.open(model, say=say).with_terms(glossary)
    with ExitStack() as opened:
        source = opened.enter_context(reading(file))
        sink = opened.enter_context(writing(output, sources=[source]))
        tally, notes = translate_text(
            with_memory(translator, recalled),
            source.lines(with_ends=True),
            sink,
            name=source.name,
            lines=lines,
            format=format,
            progress=lambda done: progress(done, None),
        )
    return outcome_of(tally, name=source.name, format=format, notes=notes)


def translate_text(
    translator: Translator | Remembering,
    chunks: Iterable[str | ValueError],
    sink: TextIO,
    *,
    name: str,
    lines: str,
    format: OutputFormat,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[Tally, str]:
    """Translate a document and write it.

    Args:
        translator: of the model, with the settings.
        chunks: of its text, lines with their ends; or what is wrong with a line.
        sink: where the translation goes.
        name: of the document, for messages.
        lines: what the ends of its lines mean.
        format: text, or jsonl with a record for each sentence.
        progress: told how many sentences are done.

    Returns:
        What became of its sentences, and what else there is to say.

    Raises:
        DataError: a line cannot be read; a document is translated whole or not at all.
    """
    read = []
    for number, chunk in enumerate(chunks, start=1):
        if isinstance(chunk, ValueError):
            raise DataError(f"{name}, line {number}: {chunk}")
        read.append(chunk)
    found = translator.translate_document("".join(read), lines=lines, progress=progress)
    if format is OutputFormat.TEXT:
        sink.write(found.text)
    else:
        for number, one in enumerate(found.sentences):
            places = {"source": [one.source_start, one.source_end], "target": [one.target_start, one.target_end]}
            record = {"sentence": number, "line": found.line_of(one), "places": places}
            record |= record_of(one.translation)
            sink.write(json.dumps(record, ensure_ascii=False) + "\n")
    sink.flush()
    failed = [(found.line_of(one), str(one.translation.error)) for one in found.failed]
    flags = Counter(flag for one in found.sentences for flag in one.translation.flags)
    tally = Tally(len(found.sentences), len(failed), tuple(failed[:MOST_PROBLEMS]), dict(flags))
    return tally, _WRAPPED if found.looks_wrapped else ""
