"""Find the files of a corpus by their names and patterns, and the format of each. Read ``reading.py`` next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pellucid.config import CorpusConfig
from pellucid.errors import DataError, counted
from pellucid.text.compression import telling_damage
from pellucid.text.formats.content import BEGINNING_BYTES, SHOWN, kind_of
from pellucid.text.formats.languages import tidy_code
from pellucid.text.formats.remote import address_in, copies_of
from pellucid.text.lines import open_text

__all__ = ["FORMATS", "NamedFile", "files_of", "refuse_other_format"]

FORMATS: Final[dict[str, tuple[str, ...]]] = {
    "tmx": (".tmx",),
    "xliff": (".xlf", ".xliff", ".mxliff", ".mqxliff", ".sdlxliff"),
    "po": (".po",),
    "csv": (".csv",),
    "tsv": (".tsv", ".tab"),
    "jsonl": (".jsonl", ".ndjson"),
    "parquet": (".parquet",),
}
_COMPRESSED: Final = {".gz", ".bz2", ".xz", ".zst"}
_MAGIC: Final = set("*?[")
_MOST_FILES: Final = 100_000


@dataclass(frozen=True)
class NamedFile:
    """A file and its format; of a Moses pair, ``partner`` is the target side."""

    path: Path
    format: str
    partner: Path | None = None

    @property
    def label(self) -> str:
        """The name in reports."""
        return self.path.name if self.partner is None else f"{self.path.name} + {self.partner.name}"


def files_of(corpus: CorpusConfig, languages: tuple[str, str]) -> tuple[NamedFile, ...]:
    """Return the files that the names, patterns and addresses of a corpus stand for, each once, sorted in a pattern.

    Raises:
        DataError: a name or a pattern stands for no file, a name is that of a folder, or a format is unknown.
    """
    paths = list(dict.fromkeys(path for pattern in corpus.files for path in _expanded(pattern)))
    found, problems = [], []
    for path in paths:
        try:
            named = _named(path, corpus.format, languages, paths)
        except DataError as error:
            problems.append(str(error))
        else:
            if named is not None:
                found.append(named)
    if problems:
        raise DataError("\n".join(problems))
    return tuple(dict.fromkeys(found))


def refuse_other_format(file: NamedFile) -> None:
    """Refuse a file whose content is plainly of another format than its name says, or its corpus.

    Raises:
        DataError: it is, or it cannot be opened.
    """
    with open_text(file.path) as opened, telling_damage(file.path, lambda: opened.compression, lines=lambda: 0):
        kind = kind_of(opened.stream.read(BEGINNING_BYTES))
    is_it = not kind or kind == file.format or (kind == "xml" and file.format in ("tmx", "xliff"))
    if is_it:
        return
    if kind in FORMATS:
        remedy = f"rename it to {file.path.stem}{FORMATS[kind][0]}, or set format = {kind!r} of its corpus"
    else:
        remedy = "save its text in a format for pairs"
    raise DataError(f"{file.path}: is read as {file.format.upper()}, and its content is {SHOWN[kind]}; {remedy}")


def _expanded(pattern: str) -> Sequence[Path]:
    if (address := address_in(pattern)) is not None:
        return copies_of(address)
    path = Path(pattern)
    if path.is_dir():
        raise DataError(f"{path}: is a folder; name files in it by a pattern, such as '{path}/**/*.po'")
    if path.exists() or not _MAGIC & set(pattern):
        if not path.exists():
            raise DataError(f"{path}: no such file; the absolute path is {path.absolute()}")
        return [path]
    below = path.relative_to(path.anchor)
    found = sorted(one for one in Path(path.anchor).glob(str(below)) if one.is_file())
    if not found:
        raise DataError(f"{pattern}: no file matches this pattern; the current folder is {Path.cwd()}")
    if len(found) > _MOST_FILES:
        raise DataError(f"{pattern}: {counted(len(found), 'file')} match, limit {_MOST_FILES:,}; use several corpora")
    return found


def _named(path: Path, stated: str, languages: tuple[str, str], paths: Sequence[Path]) -> NamedFile | None:
    """Return a file with its format; None for the second half of a Moses pair, which comes with the first."""
    if stated != "auto" and stated != "moses":
        return NamedFile(path, stated)
    packed = path.suffix if path.suffix.lower() in _COMPRESSED else ""
    plain = path.name.removesuffix(packed)
    stem, _, suffix = plain.rpartition(".")
    known = next((name for name, endings in FORMATS.items() if f".{suffix.lower()}" in endings), None)
    if known is not None and stated == "auto":
        return NamedFile(path, known)
    source, target = languages
    if stem and tidy_code(suffix) == tidy_code(source):
        return NamedFile(path, "moses", _partner(path, stem, target))
    if stem and tidy_code(suffix) == tidy_code(target):
        halves = [path.with_name(f"{stem}.{source}{end}") for end in ("", *sorted(_COMPRESSED))]
        if any(half in paths for half in halves):
            return None
        half = next((half for half in halves if half.is_file()), None)
        if half is not None:
            return NamedFile(half, "moses", path)
        raise DataError(
            f"{path}: has no other half, {halves[0].name}; line N of one must translate line N of the other"
        )
    endings = ", ".join(ending for group in FORMATS.values() for ending in group)
    raise DataError(
        f"{path}: its name does not tell its format; the endings are {endings} (with .gz, .bz2, .xz or .zst after "
        f"them), and .{source} with .{target} for two parallel files; rename it, or set the format of the corpus"
    )


def _partner(path: Path, stem: str, target: str) -> Path:
    for end in ("", *sorted(_COMPRESSED)):
        if (other := path.with_name(f"{stem}.{target}{end}")).is_file():
            return other
    raise DataError(f"{path}: has no other half, {stem}.{target}; line N of one must translate line N of the other")
