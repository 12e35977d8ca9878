"""Score the translations of a test set, of a model or from a file, alone or against a baseline."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Final

from pellucid.config import InvalidUtf8
from pellucid.durable import refuse_full_disk, sha256_of
from pellucid.errors import ConfigError, DataError, RequestError
from pellucid.evaluation.bleu_words import bleu_tokenizer
from pellucid.evaluation.report import EvaluationReport, evaluate_translations
from pellucid.evaluation.systems import EvaluatedFile, EvaluatedSystem
from pellucid.jobs.corpora.test_set import read_test_set
from pellucid.jobs.line_files import is_stream, writing
from pellucid.jobs.options.translation import ModelOptions
from pellucid.text.compression import packer_of
from pellucid.text.lines import read_lines
from pellucid.translation.translator import Translator
from pellucid.version import __version__

__all__ = ["describe_system", "evaluate_files", "refuse_unwritable", "translate_all", "write_report"]

UNKNOWN_LANGUAGE: Final = "tgt"
_OURS, _THEIRS = "translations", "baseline"
"""The evaluated side and the side that it is compared with; each is a model or a file."""


def evaluate_files(
    references: Sequence[Path],
    *,
    options: ModelOptions,
    src: Path | None = None,
    test: Sequence[str] = (),
    model: Path | None = None,
    hypotheses: Path | None = None,
    against: Path | None = None,
    target_language: str | None = None,
    tokenizer: str = "auto",
    say: Callable[[str], None] = lambda text: None,
    progress: Callable[[int], None] = lambda done: None,
) -> EvaluationReport:
    """Compare the translations of a model, or those in a file, with references line by line.

    ``model`` translates ``src``, or the sources of the files ``test``, which have the references, too; or
    ``hypotheses`` names the translations. ``against`` is another model (a folder) or other translations (a file).
    ``target_language`` defaults to that of the model. ``say`` receives the name of the engine, which is in the report.

    Raises:
        BundleError: a model cannot be used.
        ConfigError: neither or both of model and translations are given; or the tokenizer of BLEU is unknown or not
            installed.
        DataError: the files cannot be read or are not parallel.
        RequestError: a line could not be translated, and a score of the other lines would be misleading.
    """
    second = None if against is None or against.is_file() else against
    models = {side: path for side, path in ((_OURS, model), (_THEIRS, second)) if path is not None}
    of_search = {
        "--set": options.settings,
        "--engine": options.engine != "auto",
        "--precision": options.precision != "auto",
    }
    _refuse_unclear(models, {"--src": src, "--ref": references, "--hyp": hypotheses, "--test": test}, of_search)
    files = _files(references, src=src, hypotheses=hypotheses, baseline=None if second else against)
    texts, more = _read_texts(files, test, model=model, say=say)
    for path in models.values():  # a wrong setting is refused before an engine is opened
        options.config_of(path)
    sets = [lines for side, lines in texts.items() if side.startswith("reference")]
    translators = {side: options.open(path, say=say) for side, path in models.items()}
    language = target_language or next((t.target_language for t in translators.values()), UNKNOWN_LANGUAGE)
    # Before the translation: a tokenizer that is not installed must not cost the work on a whole test set.
    choice = bleu_tokenizer(language, tokenizer, references=chain(*sets))
    for side, translator in translators.items():
        texts[side] = translate_all(translator, texts["source"], progress=progress)
    report = evaluate_translations(
        texts[_OURS],
        sets,
        sources=texts.get("source"),
        target_language=language,
        baseline=texts.get(_THEIRS),
        tokenizer=choice,
    )
    return _with_sources(report, models, translators, [*files.items(), *more])


def _with_sources(
    report: EvaluationReport,
    models: Mapping[str, Path],
    translators: Mapping[str, Translator],
    files: Sequence[tuple[str, Path]],
) -> EvaluationReport:
    """Return a report that names the models and the files it is about."""
    systems = {side: describe_system(translator, models[side]) for side, translator in translators.items()}
    return replace(
        report,
        system=systems.get(_OURS),
        against=systems.get(_THEIRS),
        notes=(*report.notes, *_notes_on_languages(list(translators.values()))),
        files=tuple(EvaluatedFile(side, str(path), sha256_of(path)) for side, path in files),
    )


def _refuse_unclear(models: Mapping[str, Path], given: Mapping[str, object], of_search: Mapping[str, object]) -> None:
    """Refuse arguments that leave open what to evaluate, or that would have no effect."""
    others = [name for name in ("--src", "--ref", "--hyp") if given[name]]
    if given["--test"] and others:
        raise ConfigError(f"--test has both sides, so {' and '.join(others)} would have no effect; leave one out")
    if not given["--test"] and not given["--ref"]:
        raise ConfigError("--ref is missing; name the reference translations, or a test set with both sides by --test")
    if (_OURS in models) == bool(given["--hyp"]):
        raise ConfigError("name what to evaluate: either a model, or a file of translations with --hyp")
    if not given["--src"] and not given["--test"] and models:
        raise ConfigError(
            f"--src is missing: {next(iter(models.values()))} is a model and needs sentences to translate"
        )
    if (changed := [name for name in of_search if of_search[name]]) and not models:
        raise ConfigError(
            f"{changed[0]} changes the search of a model, but only translations are evaluated here; leave it out"
        )


def _files(
    references: Sequence[Path], *, src: Path | None, hypotheses: Path | None, baseline: Path | None
) -> dict[str, Path]:
    """Return every file by its side."""
    sides = {"source": src, _OURS: hypotheses, _THEIRS: baseline}
    are_several = len(references) > 1
    sides |= {f"reference {n}" if are_several else "reference": path for n, path in enumerate(references, start=1)}
    return {side: path for side, path in sides.items() if path is not None}


def _read_texts(
    files: Mapping[str, Path], test: Sequence[str], *, model: Path | None, say: Callable[[str], None]
) -> tuple[dict[str, list[str]], list[tuple[str, Path]]]:
    """Return the texts by side, and the files of the test set."""
    found = read_test_set(test, model=model, say=say) if test and model is not None else None
    texts = {} if found is None else {"source": list(found.sources), "reference": list(found.references)}
    texts |= {
        side: [line or "" for line in read_lines(path, invalid_utf8=InvalidUtf8.STRICT)] for side, path in files.items()
    }
    _refuse_unequal(texts, files)
    return texts, [] if found is None else [("test set", path) for path in found.files]


def _refuse_unequal(texts: Mapping[str, Sequence[str]], files: Mapping[str, Path]) -> None:
    if len({len(lines) for lines in texts.values()}) > 1:
        counts = ", ".join(f"{files.get(side, 'the test set')} has {len(text):,}" for side, text in texts.items())
        raise DataError(
            f"the files have different numbers of lines: {counts}; line n of each belongs to line n of the others"
        )


def _notes_on_languages(translators: Sequence[Translator]) -> list[str]:
    """Return a note if the two models state different languages."""
    if len(translators) < 2:
        return []
    own, other = ((t.source_language, t.target_language) for t in translators)
    if own == other:
        return []
    return [f"the model translates from {own[0]} into {own[1]}, the baseline from {other[0]} into {other[1]}"]


def describe_system(translator: Translator, path: Path) -> EvaluatedSystem:
    """Describe the model that a translator opened from ``path``, and its search.

    Raises:
        BundleError: the ONNX folder has been removed.
    """
    config = translator.config
    search = config.model_dump(mode="json")
    always = ["sampling", "seed"] if config.sampling else ["beam_size", "length_penalty", "alpha"]
    changed = [name for name, field in type(config).model_fields.items() if getattr(config, name) != field.default]
    # Only the best translation of a text is scored, and the batch size does not change the result.
    decisive = dict.fromkeys(name for name in (*always, *changed) if name not in {"n_best", "batch_size"})
    described = replace(_model_of(translator, path), search=search, decisive=tuple(decisive), version=__version__)
    names = ("onnxruntime",) if translator.origin is None else translator.engines_used
    return replace(described, engine=", ".join("torch (fp32)" if name == "torch" else name for name in names))


def _model_of(translator: Translator, path: Path) -> EvaluatedSystem:
    if translator.origin is None:
        from pellucid.interop.onnx.reading import WEIGHTS, read_onnx_description

        return EvaluatedSystem(
            str(path), weights_sha256=read_onnx_description(path).files[WEIGHTS], facts={}, search={}, kind="ONNX"
        )
    description = translator.origin.description
    return EvaluatedSystem(
        str(translator.origin.folder),
        weights_sha256=description.weights_sha256,
        facts=description.facts,
        search={},
    )


def refuse_unwritable(path: Path, *, taken: Sequence[Path] = ()) -> None:
    """Refuse a report file that cannot be written, before the test set is translated.

    Raises:
        ConfigError: it is one of the ``taken`` files; or the folder is missing, or the folder or the file is not
            writable.
    """
    if any(path.resolve() == other.resolve() for other in taken):
        raise ConfigError(f"{path}: is named twice, and the report would replace its content; name another file")
    folder = path.parent
    if path.is_dir():
        raise ConfigError(f"{path}: is a folder; name a file for the report")
    if not folder.is_dir():
        raise ConfigError(f"{path}: there is no folder {folder}; create it, or name another file")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise ConfigError(f"{path}: is not writable; check its permissions, or name another file")
    packer_of(path)


def write_report(path: Path, text: str) -> None:
    """Write a report as ``writing`` does: in one step over an older one, or directly to a device or a pipe.

    Raises:
        StoppedError: the disk is full; the older report is unchanged.
        OSError: it cannot be written; the error has its name.
    """
    fits = nullcontext() if is_stream(path) else refuse_full_disk(path.parent, needed_bytes=len(text.encode()))
    with fits, writing(path, sources=()) as sink:
        sink.write(text)


def translate_all(
    translator: Translator, sources: Sequence[str], *, progress: Callable[[int], None] = lambda done: None
) -> list[str]:
    """Translate sentences, all of which must succeed.

    Raises:
        RequestError: a sentence failed; the message has its line.
    """
    results = translator.translate(sources, progress=progress)
    for number, result in enumerate(results, start=1):
        if result.error:
            raise RequestError(f"line {number}: {result.error}; correct or remove it, because a score needs every line")
    return [result.text for result in results]
