"""Make synthetic training text: from a model and a file to a corpus, its provenance, and lines for a recipe.

    bt.tsv         a pair on each line: source, tab, target
    bt.tsv.json    where it comes from: model, settings, inputs, date, counts
    bt.tsv.parts/  the finished parts, until the corpus is complete

Read ``pairs.py`` next.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from pellucid.config import CorpusConfig, InvalidUtf8
from pellucid.config.synthesis import SynthesisConfig
from pellucid.config.tables import parse_settings, validated
from pellucid.config.translation import TranslationConfig
from pellucid.errors import ConfigError, DataError, counted
from pellucid.evaluation.bleu_words import bleu_tokenizer
from pellucid.evaluation.sentence_bleu import SentenceBleu
from pellucid.jobs.bulk.files import run_files
from pellucid.jobs.bulk.search import part_search
from pellucid.jobs.bulk.survey import Survey, can_be_read_twice, survey_of
from pellucid.jobs.bulk.work import Progress, Work
from pellucid.jobs.line_files import check_output, is_stream, reading
from pellucid.jobs.options.parts import CHUNK_LINES, PartsOptions
from pellucid.jobs.options.translation import ModelOptions
from pellucid.jobs.synthesis.corpus import CorpusWriter, describe
from pellucid.jobs.synthesis.finished import FORMAT, facts_of_corpus, finished_corpus, write_provenance
from pellucid.jobs.synthesis.pairs import PairMaker, SynthesisKind
from pellucid.text.cleaning import CleaningReport
from pellucid.text.lines import LineReader, read_lines
from pellucid.translation.flags import FLAGS
from pellucid.translation.translator import Translator
from pellucid.version import __version__

__all__ = ["PROVENANCE_VERSION", "Search", "SynthesisOutcome", "SynthesisRequest", "synthesize"]

PROVENANCE_VERSION: Final = 1
_LINES_FOR_THE_SCRIPT: Final = 200
_USUAL_TOP_K: Final = 10


class Search(StrEnum):
    """How the model writes its side."""

    BEAM = "beam"
    """The search of the model's settings: the most probable translations."""
    SAMPLING = "sampling"
    """Draws from the whole distribution: more varied and less correct (Edunov et al. 2018)."""
    TOP_K = "top-k"
    """Draws from the most probable pieces alone; 10 unless ``top_k`` says otherwise."""

    def settings(self) -> list[str]:
        """Return the settings of [translation] for this search."""
        return {
            Search.BEAM: [],
            Search.SAMPLING: ["sampling=true"],
            Search.TOP_K: ["sampling=true", f"top_k={_USUAL_TOP_K}"],
        }[self]


@dataclass(frozen=True, kw_only=True)
class SynthesisRequest:
    """What to make."""

    model: Path
    """A reverse model for back-translation, the teacher for distillation."""
    file: str
    """Text in the source language of the model, one segment a line."""
    output: Path
    kind: SynthesisKind
    reference: str | None = None
    """For distillation: a translation of each line; the closest of the n-best translations is kept."""
    search: Search = Search.BEAM
    tag: str | None = None
    """Tag for the recipe; None is ``<bt>`` for back-translation and none for distillation."""
    language_tag: str = ""
    """A tag of the model, put before each line that it translates; "" is none."""
    options: ModelOptions = ModelOptions()
    """Its settings may have ``cleaning.*``, ``drop_flags`` and ``invalid_utf8``, too."""
    chunk_lines: int = CHUNK_LINES
    restart: bool = False

    @property
    def provenance(self) -> Path:
        """The file that says where the corpus comes from."""
        return self.output.with_name(f"{self.output.name}.json")


@dataclass(frozen=True)
class SynthesisOutcome:
    """What there is to say after a corpus was written."""

    summary: str
    problems: tuple[str, ...]
    """One sentence for each of the first lines that could not be read or translated."""
    recipe: str
    """The lines for a recipe."""


def synthesize(
    request: SynthesisRequest,
    *,
    say: Callable[[str], None] = lambda text: None,
    progress: Progress = lambda done, total: None,
) -> SynthesisOutcome:
    """Make a corpus, or continue what an interrupted call left of it.

    Raises:
        BundleError: the model cannot be used.
        ConfigError: a setting is wrong, the output cannot be written, or it or its parts are of another command.
        DataError: an input cannot be read, the inputs differ in length, or no pair is left.
        StoppedError: Ctrl-C or SIGTERM; the same call continues.
        OSError: writing fails, as on a full disk; the same call continues.
    """
    config, options = _filters(request)
    recipe = _recipe(request)
    files = [request.file, *([request.reference] if request.reference is not None else [])]
    _refuse_misfits(request, files)
    _refuse_few_choices(request, options.config_of(request.model))
    if config.invalid_utf8 is InvalidUtf8.STRICT:
        _refuse_invalid(files)
    surveys = [survey_of(file) for file in files]
    _refuse_different_lengths(surveys)
    translator = _opened(request, options, say)
    search = part_search(
        [(translator, options.device)],
        request.model,
        lines=surveys[0].lines,
        chunk_lines=request.chunk_lines,
        has_prefixes=bool(translator.config.target_prefix),
        threads=options.threads,
    )
    of_corpus = {"kind": request.kind.value, "language_tag": request.language_tag}
    facts = search.facts | of_corpus | {"filters": config.model_dump(mode="json")}
    wanted = facts_of_corpus(facts, surveys)
    about = finished_corpus(request.output, request.provenance, wanted, restart=request.restart)
    if about is not None:
        say(f"{request.output}: this command has finished it before, so nothing is translated")
        write_provenance(request.provenance, about | {"recipe": recipe})
        return SynthesisOutcome(describe(CleaningReport(**about["counts"])), (), recipe)
    closeness = _closeness(translator, request.reference)
    maker = PairMaker(search.translator, request.kind, config, request.chunk_lines, request.language_tag, closeness)
    writer = CorpusWriter(config)

    def write(output: Path, texts: Iterable[str]) -> None:
        writer.write(output, texts)
        write_provenance(request.provenance, _provenance(request, translator, facts, surveys, writer, recipe))

    work = Work(maker, search.at_once, search.lines_per_part, facts)
    restarts = PartsOptions(restart=request.restart)
    tally = run_files(surveys, request.output, work, parts=restarts, say=say, progress=progress, write=write)
    problems = [f"{request.file}, line {line}: {error}" for line, error in tally.problems]
    if tally.failed > len(problems):
        problems.append(f"... and {counted(tally.failed - len(problems), 'more line')} failed")
    return SynthesisOutcome(describe(writer.report), tuple(problems), recipe)


def _filters(request: SynthesisRequest) -> tuple[SynthesisConfig, ModelOptions]:
    """Return the filters, and the options with the settings of the search."""
    table: dict[str, Any] = {}
    of_search = request.search.settings()
    given = request.options.settings
    for setting, (keys, value) in zip(given, parse_settings(given), strict=True):
        if keys[0] == "cleaning" and len(keys) == 2:
            table.setdefault("cleaning", {})[keys[1]] = value
        elif keys in (("drop_flags",), ("invalid_utf8",)):
            table[keys[0]] = value
        elif keys == ("sampling",):
            raise ConfigError(f"--set {setting}: the search is chosen by --search: {', '.join(Search)}")
        else:
            of_search.append(setting)
        if keys == ("top_k",) and request.search is not Search.TOP_K:
            raise ConfigError(f"--set {setting} belongs to --search top-k, and this is --search {request.search}")
        if keys == ("top_k",) and value == 0:
            raise ConfigError(f"--set {setting} draws from every piece, which is --search sampling")
    config = validated(SynthesisConfig, table, place="--set")
    if unknown := [flag for flag in config.drop_flags if flag not in FLAGS]:
        raise ConfigError(f"--set drop_flags: {unknown[0]!r} is not a flag; use {', '.join(FLAGS)}")
    return config, replace(request.options, settings=of_search)


def _recipe(request: SynthesisRequest) -> str:
    """Return the lines for a recipe, and refuse a tag that a recipe refuses."""
    is_backwards = request.kind is SynthesisKind.BACK_TRANSLATION
    tag = request.tag if request.tag is not None else "<bt>" if is_backwards else ""
    validated(CorpusConfig, {"tsv": request.output, "tag": tag}, place="--tag")
    lines = ["[[data.train]]", f"tsv = {json.dumps(str(request.output), ensure_ascii=False)}"]
    lines += [f"name = {json.dumps(request.kind.value)}"]
    lines += [f"tag = {json.dumps(tag, ensure_ascii=False)}"] if tag else []
    lines += ["share = 0.5"] if is_backwards else []
    return "\n".join([*lines, "hold_out = false"])


def _refuse_misfits(request: SynthesisRequest, files: Sequence[str]) -> None:
    if request.chunk_lines < 1:
        raise ConfigError(f"--chunk-lines {request.chunk_lines}: give 1 or more")
    if request.reference is not None and request.kind is not SynthesisKind.DISTILLATION:
        raise ConfigError("--reference is for --kind distillation, whose targets it chooses; leave it out")
    for file in files:
        if not can_be_read_twice(file):
            with reading(file):  # says what is wrong with a name
                raise DataError(
                    f"{file}: is read twice, so it must be a file; write standard input or a pipe to one first"
                )
    if is_stream(request.output):
        raise ConfigError(f"--output {request.output} must be a file, because its parts are kept beside it")
    with ExitStack() as opened:
        sources = [opened.enter_context(reading(file)) for file in files]
        for path in (request.output, request.provenance):
            check_output(path, sources=sources)


def _refuse_invalid(files: Sequence[str]) -> None:
    """Refuse a file with a line that cannot be read, before any work; one that is too long counts as dropped later."""
    for file in files:
        reader = LineReader(Path(file), invalid_utf8=InvalidUtf8.STRICT, option="or give --set invalid_utf8={}")
        for _ in reader.blocks():
            pass


def _opened(request: SynthesisRequest, options: ModelOptions, say: Callable[[str], None]) -> Translator:
    translator = options.open(request.model, say=say)
    if request.language_tag and request.language_tag not in translator.tokenizer.source_tags:
        known = ", ".join(translator.tokenizer.source_tags) or "none"
        raise ConfigError(
            f"--language-tag {request.language_tag!r} is not a tag of {request.model} (its tags: {known})"
        )
    config = translator.config
    if request.reference is None or config.n_best > 1:
        return translator
    return translator.with_settings(n_best=config.beam_size)


def _refuse_few_choices(request: SynthesisRequest, config: TranslationConfig) -> None:
    if request.reference is None or config.n_best > 1:
        return
    if config.sampling or config.beam_size == 1:
        how = "sampling" if config.sampling else "beam_size = 1"
        raise ConfigError(
            f"--reference chooses among several translations, and {how} gives one; --set n_best=8 gives more"
        )


def _refuse_different_lengths(surveys: Sequence[Survey]) -> None:
    if len({survey.lines for survey in surveys}) > 1:
        counts = " and ".join(f"{survey.file} has {counted(survey.lines, 'line')}" for survey in surveys)
        raise DataError(f"{counts}; line n of --reference must translate line n of the text")


def _closeness(translator: Translator, reference: str | None) -> SentenceBleu | None:
    if reference is None:
        return None
    lines = read_lines(Path(reference), invalid_utf8=InvalidUtf8.SKIP)
    first = [line or "" for line, _ in zip(lines, range(_LINES_FOR_THE_SCRIPT), strict=False)]
    return SentenceBleu(bleu_tokenizer(translator.target_language, references=first))


def _provenance(
    request: SynthesisRequest,
    translator: Translator,
    facts: Mapping[str, Any],
    surveys: Sequence[Survey],
    writer: CorpusWriter,
    recipe: str,
) -> dict[str, object]:
    origin = translator.origin
    return {
        "format": FORMAT,
        "format_version": PROVENANCE_VERSION,
        "kind": request.kind.value,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "pellucid": __version__,
        "model": {
            "folder": str(request.model),
            "sha256": facts["model"],
            "weights_sha256": None if origin is None else origin.description.weights_sha256,
            "source_language": translator.source_language,
            "target_language": translator.target_language,
        },
        "engine": facts["engine"],
        "search": request.search.value,
        "language_tag": request.language_tag,
        "translation": facts["translation"],
        "filters": facts["filters"],
        "inputs": [survey.facts() for survey in surveys],
        "output": {"file": request.output.name, "sha256": writer.sha256, "pairs": writer.report.kept},
        "counts": asdict(writer.report),
        "recipe": recipe,
    }
