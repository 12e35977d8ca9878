"""Read a model in Marian's own format (.npz with its YAML and vocabularies) as one of ours.

The files are a stranger's: the options are read first, then each array's head is compared with them, and only
then the numbers are read. Marian has no padding piece, since its batches carry masks; one is added after the others,
with a row of zeros and a logit of -100, which no search chooses. Read ``reference.py``
next.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from pellucid.config import ModelConfig, SpecialIds, TranslationConfig
from pellucid.errors import BundleError, IncompatibleModelError, counted
from pellucid.interop.foreign_model import ForeignModel, config_of, model_of, tokenizer_of
from pellucid.interop.marian.folder import NpzFolder, find_npz_folder, read_text
from pellucid.interop.marian.names import CONFIG_NAME, OUTPUT_BIAS, Place, tensor_places
from pellucid.interop.marian.options import MarianOptions, read_options
from pellucid.interop.marian.yaml_file import Settings, read_settings, read_vocabulary
from pellucid.interop.untrusted.files import read_segmenter
from pellucid.npz_file import NpzFile, open_npz
from pellucid.untrusted import plain_file
from pellucid.weights_file import TensorFacts, summary, tensor_problems

__all__ = ["PADDING_LOGIT", "read_marian_npz"]

PADDING_LOGIT: Final = -100.0
"""Of the added piece: low enough that its probability is 0 in float32, and harmless in training."""

_PAD, _UNK, _EOS = "<pad>", "<unk>", "</s>"
_MAX_CONFIG_BYTES: Final = 1 << 20
_LARGEST_PACKING: Final = 50
_LARGEST_BYTES: Final = 64 << 30
_LARGEST_RATIO: Final = 200
_NUMBER_FORMATS: Final = ("<f4", "<f2", "<f8")
_TABLES: Final = ("source_embedding.weight", "target_embedding.weight", "projection.weight")


def read_marian_npz(path: Path) -> ForeignModel:
    """Read an .npz, or the one of a folder, with its vocabularies and segmenters.

    Raises:
        BundleError: a file is missing, damaged, too large or a link.
        IncompatibleModelError: the model is not supported, with all reasons, or its files do not fit each other.
    """
    files = find_npz_folder(path)
    with open_npz(plain_file(files.weights), most_bytes=_LARGEST_BYTES, most_ratio=_LARGEST_RATIO) as archive:
        options = _options(archive)
        vocabularies = _vocabularies(files, options)
        config = _config(files, options, vocabularies)
        weights = _weights(archive, config, options)
    _add_padding(config, options, weights)
    pieces = [_in_order(ids, config.specials) for ids in vocabularies]
    return ForeignModel(
        model=model_of(config, weights, place=str(files.weights)),
        tokenizer=tokenizer_of(files.segmenters, pieces, config.specials),
        translation=_translation(files.decoder),
        notes=(*options.notes, *_notes(files)),
    )


def _options(archive: NpzFile) -> MarianOptions:
    place = f"{archive.path} ({CONFIG_NAME})"
    if CONFIG_NAME not in archive.names:
        raise BundleError(f"{archive.path}: holds no {CONFIG_NAME!r}, so it is not a Marian model; name the model .npz")
    raw = archive.small_bytes(CONFIG_NAME, most=_MAX_CONFIG_BYTES).rstrip(b"\0")
    try:
        table = read_settings(raw.decode("utf-8"), place=place)
    except UnicodeDecodeError as error:
        raise BundleError(f"{place}: is not valid UTF-8 at byte {error.start}; fetch the file again") from None
    return read_options(table, has_output_bias=OUTPUT_BIAS in archive.names, place=place)


def _vocabularies(files: NpzFolder, options: MarianOptions) -> tuple[dict[str, int], dict[str, int]]:
    tables: dict[Path, dict[str, int]] = {}
    for path in files.vocabularies:
        if path not in tables:
            if path.suffix == ".spm":
                pieces = read_segmenter(path).pieces
                tables[path] = {piece: number for number, piece in enumerate(pieces)}
            else:
                tables[path] = read_vocabulary(read_text(path), place=str(path))
    source, target = (tables[path] for path in files.vocabularies)
    problems = []
    for path, own, size in zip(files.vocabularies, (source, target), options.vocab_sizes, strict=True):
        if len(own) != size:
            problems.append(f"{path.name} has {counted(len(own), 'piece')}, and dim-vocabs says {size:,}")
        problems += [f"{path.name} has no piece {piece!r}" for piece in (_UNK, _EOS) if piece not in own]
    for piece in (_UNK, _EOS, _PAD):
        if source.get(piece) != target.get(piece) and not problems:
            problems.append(f"{piece!r} has the ids {source.get(piece)} and {target.get(piece)}, and must have one")
    if problems:
        raise IncompatibleModelError(f"{files.weights}: the files do not fit each other: {summary(problems)}")
    return source, target


def _config(files: NpzFolder, options: MarianOptions, tables: tuple[dict[str, int], dict[str, int]]) -> ModelConfig:
    source, target = tables
    added = int(_PAD not in source)
    # One id pads both sides: the one after the last piece of the smaller vocabulary.
    pad = source.get(_PAD, min(len(source), len(target)))
    specials = {"pad": pad, "unk": source[_UNK], "bos": source[_EOS], "eos": source[_EOS]}
    sizes = len(source) + added, len(target) + added
    settings = {"specials": specials, "source_vocab_size": sizes[0], "target_vocab_size": sizes[1]}
    return config_of(options.settings | settings, place=str(files.weights))


def _weights(archive: NpzFile, config: ModelConfig, options: MarianOptions) -> dict[str, Tensor]:
    """Return the tensors by our names, in float32, without the padding piece.

    Raises:
        IncompatibleModelError: the file does not hold the tensors that its options describe.
    """
    path = archive.path
    places = tensor_places(config, options)
    numbers = sum(math.prod(place.shape) for place in places.values())
    least = min(np.dtype(name).itemsize for name in _NUMBER_FORMATS)
    if numbers * least > _LARGEST_PACKING * path.stat().st_size:
        raise IncompatibleModelError(
            f"{path}: {counted(path.stat().st_size, 'byte')} cannot hold the "
            f"{counted(numbers, 'number')} of its options"
        )
    found = {
        name: TensorFacts(_squeezed(shape), dtype)
        for name, (shape, dtype) in archive.shapes(without=frozenset({CONFIG_NAME})).items()
    }
    expected = {name: _squeezed(place.shape) for name, place in places.items()}
    if problems := tensor_problems(found, expected, dtypes=_NUMBER_FORMATS):
        raise IncompatibleModelError(
            f"{path}: the weights are not those that its options describe: {summary(problems)}"
        )
    weights = {}
    for name, place in places.items():
        tensor = _turned(torch.from_numpy(np.array(archive.array(name), dtype=np.float32, order="C")), place)
        for ours in place.ours:
            weights[ours] = tensor.clone()
    return weights


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape without its leading axes of length 1; Marian writes some."""
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return shape


def _turned(tensor: Tensor, place: Place) -> Tensor:
    tensor = tensor.reshape(place.shape)
    return tensor.T.contiguous() if place.is_turned else tensor


def _add_padding(config: ModelConfig, options: MarianOptions, weights: dict[str, Tensor]) -> None:
    """Insert the padding piece in tables and bias where Marian has none."""
    pad = config.specials.pad
    bias = weights.get("projection.bias", torch.zeros(options.vocab_sizes[1]))
    rows = {"projection.bias": bias} | {name: weights[name] for name in _TABLES if name in weights}
    has_own = config.target_vocab_size == options.vocab_sizes[1]
    for name, table in rows.items():
        row = torch.full((1, *table.shape[1:]), PADDING_LOGIT if name == "projection.bias" else 0.0)
        weights[name] = table if has_own else torch.cat([table[:pad], row, table[pad:]])


def _in_order(ids: dict[str, int], specials: SpecialIds) -> list[str]:
    pieces = sorted(ids, key=ids.__getitem__)
    if _PAD not in ids:
        pieces.insert(specials.pad, _PAD)
    return pieces


def _translation(decoder: Settings) -> TranslationConfig:
    """Take the settings that our search supports from ``decoder.yml``; the others are our defaults."""
    given: dict[str, object] = {}
    beams, alpha = decoder.get("beam-size"), decoder.get("normalize")
    if isinstance(beams, str) and re.fullmatch(r"[1-9][0-9]?", beams) and int(beams) <= 64:
        given["beam_size"] = int(beams)
    if isinstance(alpha, str) and re.fullmatch(r"[0-7](\.[0-9]{1,6})?", alpha):
        given["alpha"] = float(alpha)
    return TranslationConfig.model_validate(given)


def _notes(files: NpzFolder) -> tuple[str, ...]:
    notes = [
        f"Marian has no padding piece; one is added ({_PAD}), with a row of zeros and a logit of {PADDING_LOGIT:g}"
    ]
    if (files.weights.parent / "preprocess.sh").exists():
        notes.append("preprocess.sh is not run, so its changes to text before SentencePiece are missing")
    return tuple(notes)
