"""Translate one field of every record of a file, JSON lines or Parquet, in parts that survive a kill.

Everything goes as with lines (``files.py``): each text is translated once, several processes may work together, and the
output appears whole. Read ``../translate.py`` first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Final

from pellucid.config.translation import TranslationConfig
from pellucid.errors import ConfigError, DataError
from pellucid.jobs.bulk.files import run_files, write_texts
from pellucid.jobs.bulk.lines import OutputFormat, translate_lines
from pellucid.jobs.bulk.records import Fields, choose_fields, record_in, written
from pellucid.jobs.bulk.repeats import Repeats
from pellucid.jobs.bulk.survey import Part, survey_of
from pellucid.jobs.bulk.table import ENDING, column_names, refuse_other_type, write_table
from pellucid.jobs.bulk.work import Finished, Progress, Runner
from pellucid.jobs.line_files import check_files, is_stream, reading
from pellucid.jobs.options.parts import PartsOptions
from pellucid.jobs.options.translation import TranslationOptions
from pellucid.jobs.translate import FileOutcome, outcome_of, work_for
from pellucid.runtime import devices_of
from pellucid.translation.memory.translating import Remembering
from pellucid.translation.translator import Translator

__all__ = ["holds_records", "translate_records"]

_JSON_LINES: Final = (".jsonl", ".ndjson")
_PACKED: Final = (".gz", ".bz2", ".xz", ".zst")


def holds_records(file: str) -> bool:
    """Return whether a file holds records, by its name."""
    return _ending(file) in (*_JSON_LINES, ENDING)


def _ending(file: str) -> str:
    path = Path(file)
    ending = path.suffix.lower()
    return Path(path.stem).suffix.lower() if ending in _PACKED else ending


def translate_records(
    model: Path,
    file: str,
    *,
    output: Path | None,
    options: TranslationOptions,
    field: str | None = None,
    to_field: str | None = None,
    parts: PartsOptions = PartsOptions(),
    say: Callable[[str], None] = lambda text: None,
    progress: Progress = lambda done, total: None,
) -> FileOutcome:
    """Translate the text in ``field`` of each record into ``to_field``; all other fields stay as they are.

    The endings of ``file`` and ``output`` say what they are. Without ``field``, it is the first
    of the usual names that the first record has. The other arguments are those of ``translate_file``.

    Raises:
        BundleError: the model cannot be used.
        DataError: the file cannot be read, or its first record lacks the field.
        ConfigError: a setting is wrong, or the output cannot be written.
        StoppedError: Ctrl-C or SIGTERM; the finished parts are kept.
    """
    is_table = _ending(file) == ENDING
    target = _checked_output(file, output, is_table=is_table)
    parts.refuse_misfits(is_in_parts=True)
    check_files([file], target)
    glossary = options.read_terms(_fitting(options.config_of(model)))
    names = _first_names(file, is_table=is_table)
    fields = choose_fields(names, field=field, to_field=to_field, place=file)
    if is_table:
        refuse_other_type(file, fields.text)
    say(f"{file}: translating the field {fields.text!r} into {fields.translation!r}")
    surveys = [survey_of(file, column=fields.text if is_table else None)]
    recalled = options.read_memory(model, say)
    devices = devices_of(options.device)
    work = work_for(
        [(options.open(model, device=one, say=say).with_terms(glossary), one) for one in devices],
        model,
        surveys,
        partial(_runner, fields=fields),
        facts={"field": fields.text, "to_field": fields.translation},
        options=options,
        parts=parts,
        memory=recalled,
        say=say,
    )
    write = partial(_write_table, file=file, fields=fields) if is_table else write_texts
    tally = run_files(surveys, target, work, parts=parts, say=say, progress=progress, write=write)
    return outcome_of(tally, name=file, format=OutputFormat.TEXT)


def _fitting(config: TranslationConfig) -> TranslationConfig:
    if config.n_best > 1 or config.alignment or config.target_prefix:
        raise ConfigError("n_best, alignment and target_prefix do not fit records; translate lines with --format jsonl")
    return config


def _write_table(output: Path, texts: Iterable[str], *, file: str, fields: Fields) -> None:
    write_table(file, output, (line for text in texts for line in text.removesuffix("\n").split("\n")), fields)


def _checked_output(file: str, output: Path | None, *, is_table: bool) -> Path:
    endings = (ENDING,) if is_table else _JSON_LINES
    if output is None or is_stream(output):
        raise ConfigError(f"{file} holds records; name a file for them, such as --output translated{endings[0]}")
    if _ending(str(output)) not in endings or (is_table and output.suffix.lower() != ENDING):
        raise ConfigError(
            f"--output {output}: records of {file} go to a file of the same kind; end it with {endings[0]}"
        )
    return output


def _first_names(file: str, *, is_table: bool) -> list[str] | None:
    """Return the fields of the first record; None if the file is empty, as one of many files can be."""
    if is_table:
        return column_names(file)
    line = None
    with reading(file) as source:
        for line in source.lines():
            try:
                record = json.loads(line) if isinstance(line, str) else None
            except (ValueError, RecursionError):
                record = None
            if isinstance(record, dict):
                return list(record)
    if line is None:
        return None
    raise DataError(f"{file}: holds no record; each line must be a JSON object")


def _runner(translator: Translator | Remembering, chunk_lines: int, repeats: Repeats, *, fields: Fields) -> Runner:
    def run(part: Part, advance: Callable[[int], None]) -> Finished:
        records = [record_in(line[0], fields) for line in part.lines]
        sink = StringIO()
        tally = translate_lines(
            translator,
            (record.text for record in records),
            sink,
            name="the records",
            format=OutputFormat.TEXT,
            chunk_lines=chunk_lines,
            first_line=part.first_line,
            repeats=repeats,
            searched=advance,
            row=lambda place, result, error: written(records[place], result, error, fields),
        )
        return Finished(sink.getvalue(), tally)

    return run
