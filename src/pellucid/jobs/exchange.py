"""Import a model from the format of another tool, or export it: convert, then compare both sides.

A conversion is written beside its destination and renamed into place only if both sides compute the same; otherwise
nothing stays on disk. ``import_model`` and ``export_model`` share these arguments:

    sample      source sentences for the comparison, one a line; generated from the vocabulary if None
    threads     CPU threads; 0 uses as many as torch uses in this process
    say         receives the result of each comparison
    progress    receives the number of compared sentences
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from pellucid.bundle import Bundle, load_bundle, save_bundle
from pellucid.durable import draft_of, refuse_full_disk
from pellucid.errors import ConfigError, ConversionError, IncompatibleModelError
from pellucid.interop.foreign_model import ForeignModel, refusal_message
from pellucid.interop.formats import FORMATS, Format, format_named, format_of
from pellucid.interop.verification.comparison import ComparedModel, Pair, PellucidModel, Verdict, compare
from pellucid.interop.verification.samples import Sample, make_samples, read_sentences
from pellucid.model.transformer import Transformer
from pellucid.runtime import Runtime

__all__ = ["ExchangeOutcome", "export_model", "import_model"]

Say = Callable[[str], None]
Progress = Callable[[int], None]


def _nobody(_: object) -> None:
    pass


@dataclass(frozen=True)
class ExchangeOutcome:
    """A proved conversion: its place, the comparisons, and notes for the user."""

    output: Path
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...]

    def to_text(self) -> str:
        """Return the lines for the screen."""
        witnesses = ", ".join(verdict.theirs for verdict in self.verdicts)
        proof = f"verified: pieces, log-probabilities and translations agree with {witnesses}"
        return "\n".join([*(f"note: {note}" for note in self.notes), f"{self.output}: {proof}"])


def import_model(
    folder: Path,
    output: Path,
    *,
    format: str | None = None,
    sample: Path | None = None,
    threads: int = 0,
    say: Say = _nobody,
    progress: Progress = _nobody,
) -> ExchangeOutcome:
    """Read the model of another tool and write it as a model folder, if both compute the same.

    ``folder`` is the folder or the file of the other tool; its content is untrusted. ``format`` is recognised by the
    names of the files if it is None. ``output`` must not exist yet.

    Raises:
        BundleError: the folder cannot be read; the message lists every reason.
        ConversionError: the imported model computes something else; nothing stays on disk.
        ConfigError: the format is unknown, or the output exists.
    """
    chosen = format_named(format, to="read") if format else format_of(folder)
    Runtime.detect(device="cpu", threads=threads).apply()
    _refuse_existing(output)
    sentences = read_sentences(sample) if sample else []
    if chosen.read is None:
        raise ConfigError(f"--format {chosen.name!r} cannot be imported")
    foreign = chosen.read(folder)
    with _beside(output, needed_bytes=_needed_bytes(foreign.model)) as draft:
        _save(foreign, draft, chosen, folder)
        bundle = load_bundle(draft)
        ours = PellucidModel(bundle.model, bundle.tokenizer)
        samples = make_samples(ours.tokenizer, max_positions=foreign.model.config.max_positions, sentences=sentences)
        say(f"compared with {chosen.proof}")
        verdicts = _compared(_pairs(ours, chosen.opinions(folder)), samples, say=say, progress=progress)
        if chosen.refusals and (refusals := chosen.refusals(bundle)):
            raise ConversionError(refusal_message(str(folder), chosen.name, refusals))
        _refuse_unequal(verdicts, output)
    return ExchangeOutcome(output, verdicts, foreign.notes)


def export_model(
    model: Path,
    output: Path,
    *,
    format: str = "marian",
    options: Mapping[str, str] | None = None,
    verify_only: bool = False,
    sample: Path | None = None,
    threads: int = 0,
    say: Say = _nobody,
    progress: Progress = _nobody,
) -> ExchangeOutcome:
    """Write a model in the format of another tool, if it computes the same there; or check an earlier export.

    ``model`` is a model folder or a run folder; ``options`` are those of the format, such as
    ``{"quantization": "int8"}``. ``output`` must not exist yet, but with ``verify_only`` it is the export to check.

    Raises:
        IncompatibleModelError: the format cannot hold this model; the message has all reasons, and settings that fit.
        ConversionError: the exported model computes something else; nothing stays on disk.
        BundleError: the model, or with ``verify_only`` the folder, cannot be read.
        ConfigError: the format is unknown, or the output exists.
    """
    chosen = format_named(format, to="write")
    wanted = _options_of(chosen, options or {}, verify_only=verify_only)
    Runtime.detect(device="cpu", threads=threads).apply()
    if not verify_only:
        _refuse_existing(output)
    sentences = read_sentences(sample) if sample else []
    bundle = load_bundle(model)
    tag = bundle.tokenizer.default_tag  # no other format has such a tag
    bundle = replace(bundle, tokenizer=bundle.tokenizer.with_default_tag(""))
    if chosen.refusals and (refusals := chosen.refusals(bundle)):
        raise IncompatibleModelError(refusal_message(str(bundle.folder), chosen.name, refusals))
    ours = PellucidModel(bundle.model, bundle.tokenizer)
    samples = make_samples(ours.tokenizer, max_positions=bundle.description.model.max_positions, sentences=sentences)
    say(f"compared with {chosen.proof}")
    notes: tuple[str, ...] = ()
    with nullcontext(output) if verify_only else _beside(output, needed_bytes=_needed_bytes(bundle.model)) as folder:
        if not verify_only and chosen.write is not None:
            if not chosen.is_file:
                folder.mkdir()
            notes = chosen.write(bundle, folder, **wanted)
        verdicts = _compared(_export_pairs(ours, bundle, chosen, folder), samples, say=say, progress=progress)
        _refuse_unequal(verdicts, None if verify_only else output)
    if tag:
        notes += (f"the exported model has all its directions; begin every source with {tag} for this one",)
    return ExchangeOutcome(output, verdicts, notes)


def _export_pairs(ours: PellucidModel, bundle: Bundle, chosen: Format, folder: Path) -> list[Pair]:
    engines: list[Callable[[], ComparedModel]] = []
    if chosen.read is not None:  # first, because our reader checks the most
        again = chosen.read(folder)
        engines.append(lambda: PellucidModel(again.model, again.tokenizer, name="its re-import"))
    engines[:0] = chosen.opinions(folder)
    return [*_pairs(ours, engines), *(chosen.pairs(bundle, folder) if chosen.pairs else ())]


def _pairs(ours: ComparedModel, theirs: Sequence[Callable[[], ComparedModel]]) -> list[Pair]:
    return [Pair(lambda: ours, engine) for engine in theirs]


def _compared(pairs: Sequence[Pair], samples: Sequence[Sample], *, say: Say, progress: Progress) -> tuple[Verdict, ...]:
    verdicts = []
    for pair in pairs:
        comparison = compare(pair.ours(), pair.theirs(), samples, bounds=pair.bounds, progress=progress)
        say(comparison.to_text())
        verdicts.append(comparison)
    return tuple(verdicts)


def _refuse_unequal(verdicts: Sequence[Verdict], output: Path | None) -> None:
    if unequal := [c for c in verdicts if not c.is_equal]:
        left = f"; nothing was written to {output}" if output else ""
        shown = "\n".join(comparison.to_text() for comparison in unequal)
        raise ConversionError(f"the two models do not compute the same{left}:\n{shown}")


def _save(foreign: ForeignModel, folder: Path, chosen: Format, origin: Path) -> None:
    languages = f"{foreign.source_language} → {foreign.target_language}"
    card = [f"# A translator, {languages}", "", f"Imported from {chosen.title}: {origin.name}.", ""]
    card += [f"* {note}" for note in foreign.notes]
    save_bundle(
        folder,
        foreign.model,
        tokenizer=foreign.tokenizer,
        card="\n".join(card) + "\n",
        source_language=foreign.source_language,
        target_language=foreign.target_language,
        translation=foreign.translation,
        facts={"imported_from": chosen.name},
    )


def _options_of(chosen: Format, options: Mapping[str, str], *, verify_only: bool) -> dict[str, str]:
    if unknown := sorted(options.keys() - chosen.options):
        formats = sorted(name for name, entry in FORMATS.items() if unknown[0] in entry.options)
        raise ConfigError(
            f"--{unknown[0]} {options[unknown[0]]!r}: the format {chosen.name!r} has no such option; "
            f"formats that have it: {', '.join(formats) or 'none'}"
        )
    if options and verify_only:
        raise ConfigError(
            f"--verify-only only reads an earlier export, so --{sorted(options)[0]} has no effect; leave it out"
        )
    return dict(options)


def _needed_bytes(model: Transformer) -> int:
    return 8 * model.num_parameters()


def _refuse_existing(output: Path) -> None:
    if output.exists() or output.is_symlink():
        raise ConfigError(f"--output {output}: exists already; name a new folder")


@contextmanager
def _beside(output: Path, *, needed_bytes: int) -> Iterator[Path]:
    """Yield a draft that becomes the output at the end, and is removed if anything fails."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with refuse_full_disk(output.parent, needed_bytes=needed_bytes), draft_of(output) as draft:
            yield draft
    except FileExistsError as error:
        if error.filename != str(output):
            raise
        raise ConfigError(
            f"--output {output}: another command created it in the meantime; it is unchanged, and the result of this "
            "command is discarded; name a new folder"
        ) from None
