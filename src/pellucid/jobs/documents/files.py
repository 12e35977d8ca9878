"""From a document to a translated document of the same format, which appears whole at the end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from pellucid.documents.limits import Limits, Reading
from pellucid.documents.naming import FORMATS, Format, format_named, format_of, read_document
from pellucid.documents.transfer.outcomes import DocumentReport, report_on
from pellucid.documents.translating import translated_segments
from pellucid.durable import DISK, draft_of
from pellucid.errors import ConfigError, DataError, DocumentError, DocumentTooLargeError, RequestError
from pellucid.jobs.bulk.lines import OutputFormat
from pellucid.jobs.line_files import check_output, is_text
from pellucid.jobs.models import languages_of
from pellucid.jobs.options.translation import TranslationOptions
from pellucid.translation.alignment.heads import heads_of_origin
from pellucid.translation.translator import Translator
from pellucid.untrusted import TooLargeError, read_at_most

__all__ = ["aligns", "document_format", "translate_document_in"]


def document_format(file: str, stated: str | None) -> Format | None:
    """Return the format of a document, by its name or as stated; None for what is translated as lines.

    Raises:
        ConfigError: the stated format is unknown.
    """
    if stated is not None:
        try:
            return format_named(stated)
        except DocumentError:
            raise ConfigError(
                f"--format {stated!r} is unknown; use {', '.join(OutputFormat)}, or for a document "
                f"{', '.join(one.name for one in FORMATS)}"
            ) from None
    if file == "-" or is_text(file):
        return None
    try:
        found = format_of(file)
    except DocumentError:
        return None
    return None if found.name == "txt" else found


def translate_document_in(
    model: Path,
    file: str,
    format: Format,
    *,
    output: Path | None,
    options: TranslationOptions,
    force: bool = False,
    say: Callable[[str], None] = lambda text: None,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> DocumentReport:
    """Translate a document; what cannot be translated stays as it is, and the report says so.

    ``force`` replaces an output that exists. ``say`` is told which engine computes, and ``progress`` how many segments
    are done, and how many there are.

    Raises:
        BundleError: the model cannot be used.
        DataError: the document or the memory cannot be read.
        ConfigError: a setting is wrong, or the output cannot be written.
    """
    if output is None:
        raise ConfigError(f"{file}: a document of the format {format.name} needs --output FILE (or -o FILE)")
    config = options.config_of(model)
    if config.n_best > 1 or config.alignment or config.target_prefix:
        raise ConfigError("n_best, alignment and target_prefix do not fit a document; leave them out")
    target = _checked(output, Path(file), force=force)
    data = _read(Path(file))
    glossary = options.read_terms(config)
    # All that can be wrong with the document and its output is looked for before an engine is compiled.
    document = read_document(data, format, Reading(file, *_languages(model)))
    with ExitStack() as opened:
        try:
            draft = opened.enter_context(draft_of(target, may_replace=force))
        except OSError as error:
            raise ConfigError(f"{output}: cannot be written in that folder: {error.strerror or error}") from None
        recalled = options.read_memory(model, say)
        translator = options.open(model, say=say).with_terms(glossary)
        total = len(document.segments)
        found = translated_segments(
            translator,
            document.segments,
            aligns=aligns(translator),
            memory=recalled,
            glossary=glossary,
            progress=lambda done: progress(done, total),
        )
        DISK.write(draft, document.merge([one.parts for one in found]))
    return report_on(document.segments, found, document.notes)


def aligns(translator: Translator) -> bool:
    """Return whether the folder of a translator names heads that align words."""
    try:
        heads_of_origin(translator.origin)
    except RequestError:
        return False
    return True


def _languages(model: Path) -> tuple[str, str]:
    try:
        return languages_of(model)
    except ConfigError:  # the model was trained without codes
        return "", ""


def _read(path: Path) -> bytes:
    limit = Limits().file_bytes
    try:
        return read_at_most(path, limit)
    except TooLargeError:
        raise DocumentTooLargeError(f"{path}: has more than {limit:,} bytes, the limit; divide the document") from None
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; the absolute path is {path.absolute()}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


def _checked(output: Path, source: Path, *, force: bool) -> Path:
    """Return the file behind the name of the output, which is not there, or may be replaced."""
    target, status = check_output(output, sources=[])
    if status is not None and source.exists() and output.samefile(source):
        raise ConfigError(f"--output {output} is also the input; name another file")
    if status is not None and not force:
        raise ConfigError(f"{output}: is there already; name another file, or replace it with --force")
    return target
