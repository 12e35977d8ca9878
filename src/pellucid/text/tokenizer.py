"""Learn a tokenizer from text, and read one from the files of a model.

``subword.py`` holds the tokenizer itself: for each side of a pair (or once for both, if it is joint) a normaliser, a
segmenter and a vocabulary. Read ``store.py`` next.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

import sentencepiece
from pydantic import ValidationError

from pellucid.config import SpecialIds, TokenizerConfig
from pellucid.errors import BundleError, counted
from pellucid.text.corpus import SentencePair
from pellucid.text.normalisation import FORMS, Normaliser
from pellucid.text.sentencepiece.foreign import foreign_segmenter
from pellucid.text.sentencepiece.segmenter import Segmenter
from pellucid.text.sentencepiece.training import VocabularyChoice, train_segmenter, trainer_options
from pellucid.text.subword import (
    DESCRIPTION_FILE,
    FORMAT_NAME,
    FORMAT_VERSION,
    BytesTokenizer,
    Side,
    Tokenizer,
)
from pellucid.text.vocabulary import MOST_VALUES, Vocabulary
from pellucid.untrusted import TooLargeError, parse_json, read_at_most, shown

__all__ = [
    "BytesTokenizer",
    "Tokenizer",
    "load_tokenizer",
    "train_tokenizer",
]

MAX_DESCRIPTION_BYTES: Final = 16 << 20
MAX_FILE_BYTES: Final = 128 << 20


def train_tokenizer(
    pairs: Callable[[], Iterable[SentencePair]],
    config: TokenizerConfig,
    *,
    seed: int,
    threads: int,
    specials: SpecialIds | None = None,
    tags: Sequence[str] = (),
) -> Tokenizer:
    """Learn a tokenizer from sentence pairs; ``choices`` of the result gives its sizes and the reasons for them.

    The same pairs, settings, seed and number of threads give the same bytes.

    Args:
        pairs: called once (joint) or twice (separate) for the sentences.
        config: see ``TokenizerConfig``.
        seed: of the sample, if there are more sentences than ``input_sentence_size``.
        threads: for SentencePiece.
        specials: ids of the special pieces; 0 to 3 by default.
        tags: language tags to reserve ids for, such as ``>>fr<<``.

    Raises:
        DataError: there is no text.
        ConfigError: the vocabulary size is impossible for this text.
    """
    specials = specials or SpecialIds()
    normaliser = Normaliser(lowercase=config.lowercase)
    if config.kind == "bytes":
        return BytesTokenizer(specials=specials, tags=tags, normaliser=normaliser)
    reserved = len(set(specials.model_dump().values())) + len(tags)
    sides: list[Side] = []
    choices: list[VocabularyChoice] = []
    for name in ("joint",) if config.joint else ("source", "target"):
        segmenter, choice = train_segmenter(
            _texts(pairs(), name), config, side=name, reserved=reserved, seed=seed, threads=threads
        )
        own = [p for i, p in enumerate(segmenter.pieces) if i != segmenter.unknown_id]
        sides.append(Side(normaliser, segmenter, Vocabulary.build(own, specials=specials, tags=tags)))
        choices.append(choice)
    training: dict[str, object] = {
        "sentencepiece": sentencepiece.__version__,
        "seed": seed,
        "threads": threads,
        "input_sentence_size": config.input_sentence_size,
        "options": [
            trainer_options(config, size=len(side.segmenter.pieces), threads=threads)
            for side in sides
            if side.segmenter
        ],
    }
    return Tokenizer(sides[0], sides[-1], choices=choices, training=training)


def _texts(pairs: Iterable[SentencePair], side: str) -> Iterable[str]:
    for pair in pairs:
        if side != "target":
            yield pair.source
        if side != "source":
            yield pair.target


def load_tokenizer(folder: Path) -> Tokenizer:
    """Read a tokenizer from a model folder, which may be untrusted.

    Raises:
        BundleError: a file is missing, damaged, of a newer format, or does not fit the others.
    """
    path = folder / DESCRIPTION_FILE
    table = _description(path)
    kind = table.get("kind")
    form = next((f for f in FORMS if f == table.get("normaliser")), None)
    if kind not in ("sentencepiece", "bytes") or form is None:
        raise BundleError(
            f"{path}: kind = {shown(kind)} with normaliser = {shown(table.get('normaliser'))} is not supported; the "
            "file may be damaged"
        )
    normaliser = Normaliser(form, lowercase=table.get("lowercase") is True)
    try:
        specials = SpecialIds.model_validate(table.get("specials"))
    except ValidationError as error:
        raise BundleError(f"{path}: specials = {shown(table.get('specials'))}: {error.errors()[0]['msg']}") from None
    tags = table.get("tags")
    if not isinstance(tags, list) or not all(isinstance(t, str) and t for t in tags):
        raise BundleError(f"{path}: tags = {shown(tags)} must be a list of pieces such as '>>fr<<'")
    if kind == "bytes":
        return BytesTokenizer(specials=specials, tags=tags, normaliser=normaliser)
    is_partial = table.get("partial_vocabulary") is True
    sides: list[Side] = []
    for name in ("source",) if table.get("joint") is True else ("source", "target"):
        files = _side_files(table, name, folder)
        place = str(files["vocabulary"][0])
        own_tags = _tags_within(files["vocabulary"][1], tags) if is_partial else tags
        vocabulary = Vocabulary.from_json(files["vocabulary"][1], place=place, specials=specials, tags=own_tags)
        segmenter = foreign_segmenter(files["segmenter"][1], place=str(files["segmenter"][0]))
        if not is_partial:
            _check_fit(segmenter, vocabulary, files["segmenter"][0], files["vocabulary"][0])
        sides.append(Side(normaliser, segmenter, vocabulary, by_spelling=is_partial))
    training = table.get("training")
    return Tokenizer(
        sides[0],
        sides[-1],
        choices=_choices(table),
        training=training if isinstance(training, dict) else {},
        partial_vocabulary=is_partial,
    )


def _tags_within(raw: bytes, tags: list[str]) -> list[str]:
    """Return the tags that this side's vocabulary has; with separate sides, one of them may lack some."""
    try:
        table = parse_json(raw, most_values=MOST_VALUES)
    except ValueError:
        return tags
    return [tag for tag in tags if tag in table] if isinstance(table, dict) else tags


def _description(path: Path) -> dict[str, object]:
    try:
        table = parse_json(_read(path, MAX_DESCRIPTION_BYTES))
    except ValueError as error:
        raise BundleError(f"{path}: is not JSON in UTF-8 ({str(error)[:200]}); the file is damaged") from None
    if not isinstance(table, dict) or table.get("format") != FORMAT_NAME:
        raise BundleError(f"{path}: is not a pellucid tokenizer; name a model folder of pellucid")
    version = table.get("format_version")
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise BundleError(
            f"{path}: format_version = {shown(version)} is not supported (1 to {FORMAT_VERSION}); install a newer "
            "pellucid"
        )
    return table


def _side_files(table: dict[str, object], side: str, folder: Path) -> dict[str, tuple[Path, bytes]]:
    """Read the files of a side; check that their names are plain and their digests are those of the description."""
    place = folder / DESCRIPTION_FILE
    files, digests = table.get("files"), table.get("sha256")
    own = files.get(side) if isinstance(files, dict) else None
    if not isinstance(own, dict) or not isinstance(digests, dict):
        raise BundleError(f"{place}: lists no files for the {side} side; the file is damaged")
    found: dict[str, tuple[Path, bytes]] = {}
    for role in ("vocabulary", "segmenter"):
        name = own.get(role)
        if not isinstance(name, str) or not name or name != Path(name).name or name in (".", ".."):
            raise BundleError(
                f"{place}: the {role} of the {side} side is {shown(name)}; it must be a file name without a folder"
            )
        raw = _read(folder / name, MAX_FILE_BYTES)
        if hashlib.sha256(raw).hexdigest() != digests.get(name):
            raise BundleError(
                f"{folder / name}: has another SHA-256 than {DESCRIPTION_FILE} records; take all files from one model"
            )
        found[role] = (folder / name, raw)
    return found


def _check_fit(segmenter: Segmenter, vocabulary: Vocabulary, segmenter_path: Path, vocabulary_path: Path) -> None:
    own = [p for i, p in enumerate(segmenter.pieces) if i != segmenter.unknown_id]
    missing = [p for p in own if p not in vocabulary.ids]
    specials = set(vocabulary.specials.model_dump().values())
    expected = len(own) + len(specials) + len(vocabulary.tags)
    if missing or len(vocabulary) != expected:
        example = f", for example {missing[0]!r}" if missing else ""
        raise BundleError(
            f"{vocabulary_path} has {counted(len(vocabulary), 'piece')}, but "
            f"{segmenter_path} needs {expected} with specials and "
            f"tags; {len(missing)} of its pieces have no id{example}; take both files from one model"
        )


def _choices(table: dict[str, object]) -> list[VocabularyChoice]:
    rows = table.get("vocabularies")
    try:
        return [VocabularyChoice(**row) for row in rows] if isinstance(rows, list) else []
    except TypeError:
        return []


def _read(path: Path, most: int) -> bytes:
    try:
        return read_at_most(path, most)
    except TooLargeError as error:
        raise BundleError(f"{path}: {error}") from None
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}; the model folder is incomplete") from None
