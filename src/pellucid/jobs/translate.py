"""Translate a file or a stream: from files to a file in parts that survive a kill, and otherwise as a stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from io import StringIO
from pathlib import Path

from pellucid.config.translation import TranslationConfig
from pellucid.errors import ConfigError, DataError, are, counted
from pellucid.jobs.bulk.files import run_files
from pellucid.jobs.bulk.lanes import Lanes
from pellucid.jobs.bulk.lines import BAR, OutputFormat, PrefixLines, on_lengths, translate_lines
from pellucid.jobs.bulk.repeats import Repeats
from pellucid.jobs.bulk.search import part_search
from pellucid.jobs.bulk.survey import Part, Survey, can_be_read_twice, survey_of
from pellucid.jobs.bulk.tally import Tally
from pellucid.jobs.bulk.work import Finished, Progress, Runner, Work
from pellucid.jobs.line_files import check_files, is_stream, is_text, reading, writing
from pellucid.jobs.options.parts import PartsOptions
from pellucid.jobs.options.translation import TranslationOptions
from pellucid.runtime import devices_of
from pellucid.signals import stopped_by
from pellucid.translation.flags import in_order
from pellucid.translation.memory.translating import Remembering
from pellucid.translation.memory.units import TranslationMemory
from pellucid.translation.translator import Translator

__all__ = [
    "FileOutcome",
    "OutputFormat",
    "outcome_of",
    "translate_file",
    "with_memory",
    "work_for",
]


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
    options: TranslationOptions,
    prefix_file: str | None = None,
    parts: PartsOptions = PartsOptions(),
    say: Callable[[str], None] = lambda text: None,
    progress: Progress = lambda done, total: None,
) -> FileOutcome:
    """Translate a file, standard input for ``-``, or ``file`` itself if it is a text, to a file or standard output.

    An output file appears whole at the end; until then one that was there before stays as it is. ``prefix_file`` has
    a line for each line of the input, which its translation begins with. ``say`` is told which engine computes.

    From files to a file it goes in parts, which survive a kill (``bulk/files.py``); with ``parts.together``, other
    processes that do the same do their share of them (``bulk/together.py``).

    Raises:
        BundleError: the model cannot be used.
        EngineUnavailableError: the native engine is asked for and cannot be compiled here.
        DataError: the input or the prefixes cannot be read, or have different numbers of lines.
        ConfigError: a setting is wrong, the format cannot hold what was asked for, or the output cannot be written.
        StoppedError: Ctrl-C or SIGTERM; says how many lines are out.
    """
    files = [file] if prefix_file is None else [file, prefix_file]
    is_in_parts = output is not None and not is_stream(output) and all(map(can_be_read_twice, files))
    devices = devices_of(options.device) if is_in_parts else (options.device,)
    parts.refuse_misfits(is_in_parts=is_in_parts)
    # All that can be wrong with the command is looked for before an engine is compiled and weights are prepared.
    config = options.config_of(model)
    _refuse_misfits(config, file, prefix_file, options, format=format, chunk_lines=parts.chunk_lines)
    check_files(files, output, may_be_text=True)
    glossary = options.read_terms(config)
    memory = options.read_memory(model, say)
    surveys = [survey_of(name) for name in files] if is_in_parts else []
    _refuse_different_lengths(surveys)
    lanes = [
        (options.open(model, device=one, say=_unheard if n else say).with_terms(glossary), one)
        for n, one in enumerate(devices)
    ]
    if output is not None and is_in_parts:
        work = work_for(
            lanes,
            model,
            surveys,
            partial(_runner, names=files, format=format),
            facts={"format": format.value},
            options=options,
            parts=parts,
            memory=memory,
            say=say,
        )
        tally = run_files(surveys, output, work, parts=parts, say=say, progress=progress)
    else:
        one = with_memory(lanes[0][0], memory)
        tally = _stream(one, files, output, format=format, parts=parts, progress=progress)
    return outcome_of(tally, name=_name_of(file), format=format)


def _name_of(file: str) -> str:
    if file == "-":
        return "standard input"
    return "the text" if is_text(file) else file


def _refuse_different_lengths(surveys: Sequence[Survey]) -> None:
    by_length = sorted(surveys, key=lambda survey: survey.lines)
    if by_length and by_length[0].lines != by_length[-1].lines:
        raise DataError(on_lengths(by_length[0].file, by_length[-1].file, lines=by_length[0].lines))


def _unheard(text: str) -> None:
    pass


def work_for(
    lanes: Sequence[tuple[Translator, str]],
    model: Path,
    surveys: Sequence[Survey],
    runner: Callable[[Translator | Remembering, int, Repeats], Runner],
    *,
    facts: Mapping[str, str],
    options: TranslationOptions,
    parts: PartsOptions,
    memory: TranslationMemory | None,
    say: Callable[[str], None],
) -> Work:
    """Return how parts are translated and written, by the translator of each device.

    ``runner`` returns what runs a part with a translator, so many lines at once, and what is known of repeated texts;
    ``facts`` are what its output depends on besides them.
    """
    if len(lanes) > 1:
        say(f"parts are divided among {counted(len(lanes), 'device')}: {', '.join(device for _, device in lanes)}")
    translator = lanes[0][0]
    search = part_search(
        lanes,
        model,
        lines=surveys[0].lines,
        chunk_lines=parts.chunk_lines,
        has_prefixes=len(surveys) > 1 or bool(translator.config.target_prefix),
        threads=options.threads,
    )
    repeats = Repeats(keeps=search.lanes[0][0] is not translator)
    runners = [(runner(with_memory(one, memory), search.chunk_lines, repeats), calls) for one, calls in search.lanes]
    known = search.facts | {"terms": [str(term) for term in translator.glossary]} | dict(facts)
    known |= {"memory": memory.sha256} if memory is not None else {}
    return Work(Lanes(runners), search.at_once, search.lines_per_part, known)


def with_memory(translator: Translator, memory: TranslationMemory | None) -> Translator | Remembering:
    """Return a translator with a memory, or itself if there is none."""
    return translator if memory is None else Remembering(translator, memory)


def _runner(
    translator: Translator | Remembering,
    chunk_lines: int,
    repeats: Repeats,
    *,
    names: Sequence[str],
    format: OutputFormat,
) -> Runner:
    def run(part: Part, advance: Callable[[int], None]) -> Finished:
        sink = StringIO()
        prefixes = None if len(names) == 1 else PrefixLines((line[1] for line in part.lines), names[1])
        tally = translate_lines(
            translator,
            (line[0] for line in part.lines),
            sink,
            name=names[0],
            prefixes=prefixes,
            format=format,
            chunk_lines=chunk_lines,
            first_line=part.first_line,
            repeats=repeats,
            searched=advance,
        )
        return Finished(sink.getvalue(), tally)

    return run


def _stream(
    translator: Translator | Remembering,
    files: Sequence[str],
    output: Path | None,
    *,
    format: OutputFormat,
    parts: PartsOptions,
    progress: Progress,
) -> Tally:
    """Translate what can be read once only, or is written where somebody waits for it."""
    written = 0

    def advance(done: int) -> None:
        nonlocal written
        written = done
        progress(done, None)

    with ExitStack() as opened:
        sources = [opened.enter_context(reading(name, may_be_text=not i)) for i, name in enumerate(files)]
        sink = opened.enter_context(writing(output, sources=sources))
        try:
            return translate_lines(
                translator,
                sources[0].lines(),
                sink,
                name=sources[0].name,
                prefixes=PrefixLines(sources[1].lines(), sources[1].name) if len(sources) > 1 else None,
                format=format,
                chunk_lines=parts.chunk_lines,
                progress=advance,
            )
        except KeyboardInterrupt as interrupt:
            sink.flush()
            raise stopped_by(interrupt, _left_by(written, output)) from None


def outcome_of(tally: Tally, *, name: str, format: OutputFormat, notes: str = "") -> FileOutcome:
    """Return what there is to say of counted lines, or sentences, of a file."""
    problems = [f"{name}, line {line}: {error}" for line, error in tally.problems]
    if tally.failed > len(problems):
        problems.append(f"... and {counted(tally.failed - len(problems), 'more line')} failed")
    flags = {flag: tally.flags[flag] for flag in in_order(set(tally.flags))}
    if not tally.lines and not notes:
        notes = f"{name}: has no text to translate"
    notes = _on_bars(tally.with_bars) if format is OutputFormat.MOSES and tally.with_bars else notes
    return FileOutcome(tally.lines, tuple(problems), flags, notes)


def _refuse_misfits(
    config: TranslationConfig,
    file: str,
    prefix_file: str | None,
    options: TranslationOptions,
    *,
    format: OutputFormat,
    chunk_lines: int,
) -> None:
    if chunk_lines < 1:
        raise ConfigError(f"--chunk-lines {chunk_lines}: give 1 or more; 1 translates each line as it comes")
    if format is OutputFormat.TEXT and config.n_best > 1:
        raise ConfigError(
            f"n_best = {config.n_best} does not fit --format text, which holds one line for each line; "
            "use --format jsonl or --format moses"
        )
    if format is OutputFormat.MOSES and config.alignment:
        raise ConfigError("--alignment does not fit --format moses; use --format text or --format jsonl")
    if prefix_file is not None and config.target_prefix:
        raise ConfigError("target_prefix and --prefix-file are both given; give one of them")
    inputs = {"the text": file, "--prefix-file": prefix_file, "--terms": options.terms}
    if len(piped := [name for name, one in inputs.items() if one == "-"]) > 1:
        raise ConfigError(f"{piped[0]} and {piped[1]} are both standard input; name a file for one of them")


def _left_by(written: int, output: Path | None) -> str:
    """Say what an interruption leaves behind."""
    if output is not None and not is_stream(output):
        return (
            f"interrupted after {counted(written, 'line')}; {output} is unchanged, because it is only written whole. "
            "Translate to standard output to keep what is done"
        )
    if not written:
        return "interrupted before the first line was written"
    return (
        f"interrupted: {counted(written, 'line')} {are(written)} translated and written, each of them whole; "
        f"to go on, begin with line {written + 1:,} of the input"
    )


def _on_bars(lines: int) -> str:
    # Other toolkits write the text as it is, too; Moses itself has its users escape "|" in training text.
    return (
        f"{lines:,} {'line has' if lines == 1 else 'lines have'} {BAR!r} in a translation, which is kept as it is: "
        'read a row from its first " ||| " to its last, or use --format jsonl'
    )
