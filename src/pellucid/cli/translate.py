"""The verb ``translate``: a file or standard input, line by line, to standard output or a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from pellucid.cli.console import say, say_error
from pellucid.cli.options import DeviceOption, EngineOption, ModelArgument, PrecisionOption, ThreadsOption
from pellucid.cli.screens.translation import TranslationScreen
from pellucid.errors import ConfigError

if TYPE_CHECKING:
    from pellucid.jobs.translate import FileOutcome

__all__ = ["translate"]

CHUNK_LINES: Final = 1024

PrefixOption = Annotated[
    str | None, typer.Option(help="A file with what each translation begins with, a line for each line of the text.")
]
OtherSettingsOption = Annotated[
    list[str] | None, typer.Option("--set", help="Any other setting of [translation], as in no_repeat_ngram_size=3.")
]
DocumentOption = Annotated[
    bool, typer.Option("--document", help="Translate a file as a whole: its white space comes back as it was.")
]
TermsOption = Annotated[
    str | None,
    typer.Option(help="A file of terms: source form, target forms and forms to avoid, with tabs between them."),
]


def translate(
    model: ModelArgument,
    file: Annotated[
        str,
        typer.Argument(help="A file, a segment a line; - is standard input; or a text of several words, in quotes."),
    ] = "-",
    output: Annotated[Path | None, typer.Option(help="Write here instead of to standard output.")] = None,
    format_: Annotated[str, typer.Option("--format", help="text, jsonl or moses (n-best list).")] = "text",
    beam_size: Annotated[int | None, typer.Option(help="Hypotheses kept at each step; 1 is greedy search.")] = None,
    n_best: Annotated[int | None, typer.Option(help="Translations given for each line (jsonl and moses).")] = None,
    length_penalty: Annotated[str | None, typer.Option(help="none, average (|y|^alpha) or gnmt.")] = None,
    alpha: Annotated[float | None, typer.Option(help="Exponent of the length penalty.")] = None,
    prefix_file: PrefixOption = None,
    terms: TermsOption = None,
    set_: OtherSettingsOption = None,
    document: DocumentOption = False,
    lines: Annotated[
        str,
        typer.Option(help="With --document: keep (each line is a text), join, or wrap (a paragraph is one)."),
    ] = "keep",
    no_split: Annotated[
        bool, typer.Option("--no-split", help="Do not split a line into sentences, which are translated one by one.")
    ] = False,
    alignment: Annotated[
        bool, typer.Option("--alignment", help="Add word links: a column ' ||| 0-0 1-2', or a field of jsonl.")
    ] = False,
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
    chunk_lines: Annotated[
        int, typer.Option(help="Lines read before their translations are written; 1 answers each at once.")
    ] = CHUNK_LINES,
    restart: Annotated[
        bool, typer.Option("--restart", help="Discard the parts that an interrupted command left, and begin again.")
    ] = False,
) -> None:
    """Translate text. Output is line-parallel to the input; a bad line fails alone and is reported."""
    from pellucid.jobs import translate as job
    from pellucid.jobs.line_files import is_text

    given = {"beam_size": beam_size, "n_best": n_best, "length_penalty": length_penalty, "alpha": alpha}
    settings = [f"{key}={value}" for key, value in given.items() if value is not None] + list(set_ or [])
    settings += ["split_sentences=never"] * no_split + ["alignment=true"] * alignment
    shared: dict[str, Any] = {"device": device, "threads": threads, "engine": engine, "precision": precision}
    shared |= {"output": output, "format": job.OutputFormat.named(format_), "terms_file": terms, "settings": settings}
    of_lines: dict[str, Any] = {"prefix_file": prefix_file, "chunk_lines": chunk_lines, "restart": restart}
    _refuse_mixed(of_lines, document=document, lines=lines)
    if not document and is_text(file):
        say("translating the text itself, because no file has this name")
    with TranslationScreen("sentences" if document else "lines") as screen:
        shared |= {"say": screen.message, "progress": screen.progress}
        if document:
            from pellucid.jobs.bulk.document import translate_document_file

            outcome = translate_document_file(model, file, lines=lines, **shared)
        else:
            outcome = job.translate_file(model, file, **of_lines, **shared)
    _report(outcome)


def _refuse_mixed(of_lines: Mapping[str, object], *, document: bool, lines: str) -> None:
    """Refuse options of lines for a document, and the other way round."""
    if not document and lines != "keep":
        raise ConfigError("--lines is for --document; without it each line is a text")
    defaults = {"prefix_file": None, "chunk_lines": CHUNK_LINES, "restart": False}
    for name, value in of_lines.items():
        if document and value != defaults[name]:
            raise ConfigError(f"--{name.replace('_', '-')} is for lines; leave it out with --document")


def _report(outcome: FileOutcome) -> None:
    for problem in outcome.problems:
        say_error(problem)
    for line in (outcome.flag_summary(), outcome.notes):
        if line:
            say(line)
    if outcome.problems:
        raise typer.Exit(1)
