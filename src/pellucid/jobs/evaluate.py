"""Translate a test set and score it, alone or against a second model."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pellucid.config import CorpusConfig, InvalidUtf8
from pellucid.durable import DISK, refuse_full_disk, sha256_of
from pellucid.errors import ConfigError, RequestError
from pellucid.evaluation.metrics import bleu_tokenizer
from pellucid.evaluation.report import EvaluationReport, evaluate_translations
from pellucid.evaluation.systems import EvaluatedFile, EvaluatedSystem
from pellucid.interop.onnx_reading import WEIGHTS, read_onnx_description
from pellucid.jobs.line_files import is_stream
from pellucid.jobs.models import open_translator
from pellucid.text.corpus import read_pairs
from pellucid.translation.translator import Translator
from pellucid.version import __version__

__all__ = ["describe_system", "evaluate_files", "refuse_unwritable", "translate_all", "write_report"]


def evaluate_files(
    model: Path,
    src: Path,
    ref: Path,
    *,
    against: Path | None = None,
    tokenizer: str = "auto",
    settings: Sequence[str] = (),
    device: str = "auto",
    threads: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> EvaluationReport:
    """Translate ``src`` and compare with ``ref``, line by line.

    Raises:
        BundleError: a model cannot be used.
        ConfigError: the tokenizer of BLEU is unknown or not installed.
        DataError: the files cannot be read or are not parallel.
        RequestError: a line could not be translated; a score over the others would not be one.
    """
    pairs = list(read_pairs(CorpusConfig(src=src, tgt=ref), index=0, invalid_utf8=InvalidUtf8.STRICT))
    sources = [pair.source for pair in pairs]
    translator = open_translator(model, settings=settings, device=device, threads=threads)
    # Chosen before the work: a tokenizer that is not installed must not cost a translated test set.
    choice = bleu_tokenizer(translator.target_language, tokenizer)
    hypotheses = translate_all(translator, sources, progress=progress)
    other: list[str] | None = None
    second: Translator | None = None
    if against is not None:
        second = open_translator(against, settings=settings, device=device, threads=threads)
        other = translate_all(second, sources, progress=progress)
    report = evaluate_translations(
        hypotheses,
        [pair.target for pair in pairs],
        sources=sources,
        target_language=translator.target_language,
        baseline=other,
        tokenizer=choice,
    )
    files = (("source", src), ("reference", ref))
    return replace(
        report,
        system=describe_system(translator, model),
        against=None if second is None or against is None else describe_system(second, against),
        notes=(*report.notes, *_notes_on_languages(translator, second)),
        files=tuple(EvaluatedFile(side, str(path), sha256_of(path)) for side, path in files),
    )


def _notes_on_languages(first: Translator, second: Translator | None) -> list[str]:
    """Return a note where a model says of itself that it has other languages than the one it is compared with."""
    if second is None:
        return []
    own, other = ((t.source_language, t.target_language) for t in (first, second))
    if own == other:
        return []
    return [f"the model translates from {own[0]} into {own[1]}, the baseline from {other[0]} into {other[1]}"]


def describe_system(translator: Translator, path: Path) -> EvaluatedSystem:
    """Return which model a translator that was opened from ``path`` is, and how it searches.

    Raises:
        BundleError: the ONNX folder is not there any more.
    """
    config = translator.config
    search = config.model_dump(mode="json")
    always = ["sampling", "seed"] if config.sampling else ["beam_size", "length_penalty", "alpha"]
    changed = [name for name, field in type(config).model_fields.items() if getattr(config, name) != field.default]
    # Of the n best of a text the first alone is scored, and texts are batched without a trace in the result.
    decisive = dict.fromkeys(name for name in (*always, *changed) if name not in {"n_best", "batch_size"})
    return replace(_model_of(translator, path), search=search, decisive=tuple(decisive), version=__version__)


def _model_of(translator: Translator, path: Path) -> EvaluatedSystem:
    if translator.origin is None:
        return EvaluatedSystem(
            str(path), weights_sha256=read_onnx_description(path).files[WEIGHTS], facts={}, search={}, kind="ONNX"
        )
    description = translator.origin.description
    return EvaluatedSystem(
        str(translator.origin.folder),
        weights_sha256=description.files[description.weights],
        facts=description.facts,
        search={},
    )


def refuse_unwritable(path: Path, *, taken: Sequence[Path] = ()) -> None:
    """Find out before a test set is translated that its report could not be written.

    Raises:
        ConfigError: it is one of the files that are ``taken``; or the folder is missing, or the folder or the file
            may not be written.
    """
    if any(path.resolve() == other.resolve() for other in taken):
        raise ConfigError(f"{path}: is named twice, and the report would replace what is there; name another file")
    folder = path.parent
    if path.is_dir():
        raise ConfigError(f"{path}: is a folder; name a file for the report")
    if not folder.is_dir():
        raise ConfigError(f"{path}: there is no folder {folder}; make it first, or name another file")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise ConfigError(f"{path}: may not be written; check the permissions, or name another file")


def write_report(path: Path, text: str) -> None:
    """Write a report whole, in the place of the one that is there; a device or a pipe is written to directly.

    Raises:
        StoppedError: the disk is full; the older report is as it was.
        OSError: it cannot be written, with its name.
    """
    content = text.encode()
    try:
        if is_stream(path):
            path.write_bytes(content)
            return
        with refuse_full_disk(path.parent, needed_bytes=len(content)):
            DISK.write_replacing(path, content)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def translate_all(
    translator: Translator, sources: Sequence[str], *, progress: Callable[[int], None] = lambda done: None
) -> list[str]:
    """Translate sentences that must all succeed.

    Raises:
        RequestError: one of them failed; says which.
    """
    results = translator.translate(sources, progress=progress)
    for number, result in enumerate(results, start=1):
        if result.error:
            raise RequestError(f"line {number}: {result.error}; mend or remove it, a score needs every line")
    return [result.text for result in results]
