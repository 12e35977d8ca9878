"""The verb ``translate``: a file or standard input, line by line, to standard output or a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pellucid.cli.console import say, say_error
from pellucid.cli.options import (
    DeviceOption,
    EngineOption,
    MemoryOption,
    ModelArgument,
    PrecisionOption,
    ThreadsOption,
)
from pellucid.cli.screens.translation import TranslationScreen
from pellucid.errors import ConfigError
from pellucid.jobs.options.parts import CHUNK_LINES, PATIENCE_SECONDS, PartsOptions

if TYPE_CHECKING:
    from pellucid.documents.naming import Format
    from pellucid.jobs.translate import FileOutcome

__all__ = ["translate"]

FileArgument = Annotated[
    str,
    typer.Argument(
        help="A file, a segment a line; a document such as page.html; records in .jsonl or .parquet; - is standard "
        "input; or a text of several words, in quotes."
    ),
]
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", help="Write here instead of to standard output.")]
PrefixOption = Annotated[
    str | None, typer.Option(help="A file with what each translation begins with, a line for each line of the text.")
]
OtherSettingsOption = Annotated[
    list[str] | None, typer.Option("--set", help="Any other setting of [translation], as in no_repeat_ngram_size=3.")
]
DocumentOption = Annotated[
    bool, typer.Option("--document", help="Translate a file as a whole: its white space comes back as it was.")
]
LinesOption = Annotated[
    str, typer.Option(help="With --document: keep (each line is a text), join, or wrap (a paragraph is one).")
]
NoSplitOption = Annotated[
    bool, typer.Option("--no-split", help="Do not split a line into sentences, which are translated one by one.")
]
AlignmentOption = Annotated[
    bool, typer.Option("--alignment", help="Add word links: a column ' ||| 0-0 1-2', or a field of jsonl.")
]
FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="Of lines: text, jsonl or moses (n-best list). Of a document with codes: html, srt ..., where the name of "
        "the file does not tell it.",
    ),
]
ForceOption = Annotated[
    bool,
    typer.Option("--force", help="Replace a translated document that exists; lines and records do in any case."),
]
TermsOption = Annotated[
    str | None,
    typer.Option(help="A file of terms: source form, target forms and forms to avoid, with tabs between them."),
]
FieldOption = Annotated[
    str | None,
    typer.Option(help="Of JSON lines and Parquet: the field with the text; without it, source, src, text or sentence."),
]
ToFieldOption = Annotated[
    str | None, typer.Option(help="The field for the translation; without it, target, tgt or translation.")
]
KeepOption = Annotated[
    list[str] | None, typer.Option("--keep", help="A word or phrase that stays as it is; may be given several times.")
]
ChunkOption = Annotated[
    int, typer.Option(help="Lines read before their translations are written; 1 answers each at once.")
]
RestartOption = Annotated[
    bool, typer.Option("--restart", help="Discard the parts that an interrupted command left, and begin again.")
]
TogetherOption = Annotated[
    bool, typer.Option("--together", help="Share the work with all processes that give this command, on any machines.")
]
PatienceOption = Annotated[
    float, typer.Option(help="With --together: seconds without a sign of life until a process counts as ended.")
]


def translate(
    model: ModelArgument,
    file: FileArgument = "-",
    output: OutputOption = None,
    format_: FormatOption = None,
    beam_size: Annotated[int | None, typer.Option(help="Hypotheses kept at each step; 1 is greedy search.")] = None,
    n_best: Annotated[int | None, typer.Option(help="Translations given for each line (jsonl and moses).")] = None,
    length_penalty: Annotated[str | None, typer.Option(help="none, average (|y|^alpha) or gnmt.")] = None,
    alpha: Annotated[float | None, typer.Option(help="Exponent of the length penalty.")] = None,
    prefix_file: PrefixOption = None,
    terms: TermsOption = None,
    field: FieldOption = None,
    to_field: ToFieldOption = None,
    keep: KeepOption = None,
    memory: MemoryOption = None,
    set_: OtherSettingsOption = None,
    document: DocumentOption = False,
    lines: LinesOption = "keep",
    no_split: NoSplitOption = False,
    alignment: AlignmentOption = False,
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
    chunk_lines: ChunkOption = CHUNK_LINES,
    restart: RestartOption = False,
    together: TogetherOption = False,
    patience: PatienceOption = PATIENCE_SECONDS,
    force: ForceOption = False,
) -> None:
    """Translate text or a document (HTML ...). Text is line-parallel; what fails does so alone and is reported."""
    from pellucid.jobs import translate as job
    from pellucid.jobs.options.translation import FOR_PEOPLE, TranslationOptions

    kind = None if format_ in list(job.OutputFormat) else _document_format(file, format_)
    given = {"beam_size": beam_size, "n_best": n_best, "length_penalty": length_penalty, "alpha": alpha}
    settings = [*FOR_PEOPLE] if prefix_file is None else []  # a prefix has its placeholders itself
    settings += [f"{key}={value}" for key, value in given.items() if value is not None] + list(set_ or [])
    settings += ["split_sentences=never"] * no_split + ["alignment=true"] * alignment
    machine: dict[str, Any] = {"device": device, "threads": threads, "engine": engine, "precision": precision}
    options = TranslationOptions(settings=settings, terms=terms, keep=keep or (), memory=memory or (), **machine)
    parts = PartsOptions(chunk_lines=chunk_lines, restart=restart, together=_patience_of(together, patience))
    _refuse_mixed(parts, prefix_file, document=document or kind is not None, lines=lines, has_codes=kind is not None)
    shared: dict[str, Any] = {"output": output, "options": options}
    of_lines: dict[str, Any] = {"prefix_file": prefix_file, "parts": parts}
    if kind is not None:
        _translate_document(model, file, kind, force=force, **shared)
        return
    if format_ is None and not document and _holds_records(file):
        _translate_records(model, file, field=field, to_field=to_field, **of_lines, **shared)
        return
    _refuse_for_lines(field=field, to_field=to_field)
    shared["format"] = job.OutputFormat.named(format_ or job.OutputFormat.TEXT)
    if document:
        _translate_whole(model, file, lines=lines, **shared)
    else:
        _translate_lines(model, file, **of_lines, **shared)


def _translate_whole(model: Path, file: str, **given: Any) -> None:
    from pellucid.jobs.bulk.document import translate_document_file

    with TranslationScreen("sentences") as screen:
        outcome = translate_document_file(model, file, say=screen.message, progress=screen.progress, **given)
    _report(outcome)


def _translate_lines(model: Path, file: str, **given: Any) -> None:
    from pellucid.jobs.bulk.addresses import translate_at
    from pellucid.jobs.line_files import is_text
    from pellucid.jobs.translate import translate_file

    if is_text(file):
        say("translating the text itself, because no file has this name")
    with TranslationScreen("lines") as screen:
        outcome = translate_at(translate_file, model, file, say=screen.message, progress=screen.progress, **given)
    _report(outcome)


def _document_format(file: str, stated: str | None) -> Format | None:
    """Return the format of a document with codes, or None for text."""
    from pellucid.jobs.documents.files import document_format

    return document_format(file, stated)


def _translate_document(model: Path, file: str, kind: Format, **given: Any) -> None:
    from pellucid.jobs.documents.files import translate_document_in

    with TranslationScreen("segments") as screen:
        report = translate_document_in(model, file, kind, say=screen.message, progress=screen.progress, **given)
    for problem in report.problems:
        say_error(problem)
    for line in report.lines():
        say(line)
    if report.problems:
        raise typer.Exit(1)


def _holds_records(file: str) -> bool:
    from pellucid.jobs.bulk.record_files import holds_records
    from pellucid.jobs.line_files import is_text

    return holds_records(file) and not is_text(file)


def _translate_records(model: Path, file: str, *, prefix_file: str | None, **given: Any) -> None:
    from pellucid.jobs.bulk.addresses import translate_at
    from pellucid.jobs.bulk.record_files import translate_records

    if prefix_file is not None:
        raise ConfigError("--prefix-file does not fit records; leave it out")
    with TranslationScreen("records") as screen:
        outcome = translate_at(translate_records, model, file, say=screen.message, progress=screen.progress, **given)
    _report(outcome)


def _refuse_mixed(parts: PartsOptions, prefix_file: str | None, *, document: bool, lines: str, has_codes: bool) -> None:
    """Refuse options of lines for a document, and the other way round."""
    if has_codes and lines != "keep":
        raise ConfigError("--lines is for plain text; leave it out for a document with codes")
    if not document and lines != "keep":
        raise ConfigError("--lines is for --document; without it each line is a text")
    usual = {"prefix_file": None, **vars(PartsOptions())}
    for name, value in {"prefix_file": prefix_file, **vars(parts)}.items():
        if document and value != usual[name]:
            raise ConfigError(
                f"--{name.replace('_', '-')} is for lines; a document is translated as a whole, so leave it out"
            )


def _refuse_for_lines(*, field: str | None, to_field: str | None) -> None:
    if field is not None or to_field is not None:
        raise ConfigError("--field and --to-field are for JSON lines and Parquet files without --format")


def _patience_of(together: bool, patience: float) -> float | None:
    if not together and patience != PATIENCE_SECONDS:
        raise ConfigError("--patience is for --together; without it there are no other processes to wait for")
    return patience if together else None


def _report(outcome: FileOutcome) -> None:
    for problem in outcome.problems:
        say_error(problem)
    for line in (outcome.flag_summary(), outcome.notes):
        if line:
            say(line)
    if outcome.problems:
        raise typer.Exit(1)
