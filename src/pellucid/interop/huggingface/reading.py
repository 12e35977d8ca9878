"""Read a Hugging Face MarianMT folder as one of our models, without ``transformers``.

The folder is a stranger's: links are not followed, the size of JSON is limited, the header of the weights is
compared with ``config.json`` before a tensor is loaded, SentencePiece files are tried in a child process first, and
nothing is unpickled. Read ``writing.py`` next.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from pellucid.config import ModelConfig, PositionLayout
from pellucid.errors import BundleError, IncompatibleModelError, counted
from pellucid.interop.foreign_model import ForeignModel, model_of, piece_ids, tokenizer_of
from pellucid.interop.huggingface.config import model_config, translation_config
from pellucid.interop.huggingface.names import POSITION_TABLES, copies_of_shared, tensor_names, tensor_shapes
from pellucid.interop.untrusted.files import Table, read_table
from pellucid.model.positions import sinusoids
from pellucid.model.transformer import Transformer
from pellucid.untrusted import plain_file
from pellucid.weights_file import DTYPE_BYTES, read_header, summary, tensor_problems

__all__ = ["CONFIG", "GENERATION", "SPECIAL_PIECES", "WEIGHTS", "read_marian"]

CONFIG: Final = "config.json"
GENERATION: Final = "generation_config.json"
WEIGHTS: Final = "model.safetensors"
SPECIAL_PIECES: Final = {"pad": "<pad>", "unk": "<unk>", "eos": "</s>"}
_MAX_SETTINGS_BYTES: Final = 1 << 20
_LARGEST_TABLE: Final = 1 << 26
_DTYPES: Final = ("F32", "F16", "BF16")
_POSITION_TOLERANCE: Final = 1e-3  # a table of half precision is off by 5e-4 where it is near 1


def read_marian(folder: Path) -> ForeignModel:
    """Read a MarianMT folder: configuration, weights, vocabularies, segmenters, search settings.

    Raises:
        BundleError: a file is missing, damaged, too large or a link, or the weights are only there as a pickle.
        IncompatibleModelError: the files are sound but are no MarianMT, or do not fit each other.
    """
    _refuse_pickle(folder)
    table = read_table(folder / CONFIG, most=_MAX_SETTINGS_BYTES)
    words = read_table(folder / "tokenizer_config.json", most=_MAX_SETTINGS_BYTES)
    pieces = _pieces(folder / "vocab.json")
    config = model_config(table, unk=_unknown(pieces, folder / "vocab.json"), place=str(folder / CONFIG))
    is_separate = words.get("separate_vocabs") is True
    target_pieces = _pieces(folder / "target_vocab.json") if is_separate else pieces
    _verify_vocabularies(folder, config, pieces, target_pieces, is_separate)
    weights = _read_weights(folder / WEIGHTS, config)
    segmenters = [folder / "source.spm", folder / "target.spm"]
    tokenizer = tokenizer_of(
        segmenters, [sorted(ids, key=ids.__getitem__) for ids in (pieces, target_pieces)], config.specials
    )
    model = model_of(config, weights, place=str(folder / WEIGHTS))
    generation = folder / GENERATION
    has_own = generation.exists() or generation.is_symlink()
    return ForeignModel(
        model=model,
        tokenizer=tokenizer,
        source_language=_language(words.get("source_lang"), "src"),
        target_language=_language(words.get("target_lang"), "tgt"),
        # Before generation_config.json existed, config.json held the settings of the search.
        translation=translation_config(read_table(generation, most=_MAX_SETTINGS_BYTES) if has_own else table),
        notes=_notes(model, table),
    )


def _refuse_pickle(folder: Path) -> None:
    if not folder.is_dir():
        raise BundleError(f"{folder}: is not a folder; name the folder with {CONFIG} and {WEIGHTS} in it")
    path = folder / WEIGHTS
    if path.exists() or path.is_symlink():
        return
    if (folder / "pytorch_model.bin").exists():
        raise BundleError(
            f"{folder}: holds pytorch_model.bin and no {WEIGHTS}. A .bin is a pickle, which can run any program when "
            "it is opened, so pellucid does not open it. If you trust its maker, convert it where transformers is "
            "installed: MarianMTModel.from_pretrained(FOLDER).save_pretrained(FOLDER)"
        )
    if (folder / f"{WEIGHTS}.index.json").exists():
        raise BundleError(f"{folder}: its weights are split into several files; save them as one file, {WEIGHTS}")


def _pieces(path: Path) -> dict[str, int]:
    return piece_ids(read_table(path), place=str(path))


def _unknown(pieces: dict[str, int], path: Path) -> int:
    if (unk := pieces.get(SPECIAL_PIECES["unk"])) is None:
        raise IncompatibleModelError(f"{path}: has no piece {SPECIAL_PIECES['unk']!r}, which the format requires")
    return unk


def _verify_vocabularies(
    folder: Path, config: ModelConfig, source: dict[str, int], target: dict[str, int], is_separate: bool
) -> None:
    problems = []
    if is_separate and config.share_embeddings:
        problems.append("separate_vocabs = true in tokenizer_config.json, but config.json shares the embeddings")
    sides = [("vocab.json", source, config.source_vocab_size, "vocab_size")]
    if is_separate:
        sides.append(("target_vocab.json", target, config.target_vocab_size, "decoder_vocab_size"))
    elif config.target_vocab_size != config.source_vocab_size:
        problems.append("one vocabulary, but decoder_vocab_size differs from vocab_size")
    for name, pieces, size, setting in sides:
        if len(pieces) != size:
            problems.append(f"{name} has {counted(len(pieces), 'piece')}, and {setting} = {size:,} in {CONFIG}")
        for role, piece in SPECIAL_PIECES.items():
            wanted = getattr(config.specials, role)
            if pieces.get(piece) != wanted:
                where = CONFIG if role != "unk" else "vocab.json"
                problems.append(f"{name} gives {piece!r} the id {pieces.get(piece)}, and {where} says {wanted}")
    if problems:
        raise IncompatibleModelError(f"{folder}: the files do not fit each other: {summary(problems)}")


def _read_weights(path: Path, config: ModelConfig) -> dict[str, Tensor]:
    """Return the tensors by our names, in float32.

    Raises:
        BundleError: no safetensors file.
        IncompatibleModelError: not the tensors of ``config``.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    size = plain_file(path).stat().st_size
    shapes = tensor_shapes(config)
    numbers = sum(torch.Size(shape).numel() for shape in shapes.values())
    if numbers * min(DTYPE_BYTES.values()) > size:
        raise IncompatibleModelError(
            f"{path}: {counted(size, 'byte')} cannot hold the {counted(numbers, 'number')} of {CONFIG}"
        )
    if config.max_positions * config.d_model > _LARGEST_TABLE:
        raise IncompatibleModelError(
            f"{path.parent / CONFIG}: max_position_embeddings = {config.max_positions:,} with d_model = "
            f"{config.d_model:,} is too large to build"
        )
    copies = copies_of_shared(config)
    positions = dict.fromkeys(POSITION_TABLES, (config.max_positions, config.d_model))
    optional = {**{name: shapes[first] for name, first in copies.items()}, **positions}
    if problems := tensor_problems(read_header(path), shapes, optional=optional, dtypes=_DTYPES):
        raise IncompatibleModelError(f"{path}: the weights are not those that {CONFIG} describes: {summary(problems)}")
    try:
        tensors = load(path.read_bytes())
    except SafetensorError as error:
        raise BundleError(f"{path}: is not a sound safetensors file ({str(error)[:100]}); fetch it again") from None
    _verify_computed(path, config, tensors, copies)
    names = tensor_names(config)
    weights = {names[name]: tensor.float().contiguous() for name, tensor in tensors.items() if name in names}
    weights["projection.bias"] = weights["projection.bias"][0]
    return weights


def _verify_computed(path: Path, config: ModelConfig, tensors: dict[str, Tensor], copies: dict[str, str]) -> None:
    """Check what a file need not hold: copies of tied tables, and tables of positions."""
    problems = [
        f"{name} differs from {first}, which {CONFIG} ties it to"
        for name, first in copies.items()
        if name in tensors and not torch.equal(tensors[name], tensors[first])
    ]
    layout = PositionLayout.HALF_SPLIT_PAPER_FREQUENCY
    for name in POSITION_TABLES:
        if name in tensors:
            table = sinusoids(layout, num_positions=config.max_positions, d_model=config.d_model)
            if not torch.allclose(tensors[name].double(), table, rtol=0, atol=_POSITION_TOLERANCE):
                problems.append(f"{name} is not the table {layout.value!r} that MarianMT computes")
    if problems:
        raise IncompatibleModelError(f"{path}: {summary(problems)}")


def _language(value: object, default: str) -> str:
    return value if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_+-]{0,34}", value) else default


def _notes(model: Transformer, table: Table) -> tuple[str, ...]:
    notes = []
    if not model.config.zero_padding_row:
        notes.append(
            "the row of the padding piece is not zero (training with tied tables in transformers moves it); it stays "
            "as it is, since the decoder starts from it (zero_padding_row = false)"
        )
    names = [name for name in ("encoder_layerdrop", "decoder_layerdrop", "classifier_dropout") if table.get(name)]
    if names:
        notes.append(f"left out, since pellucid does not train with them: {', '.join(names)}")
    return tuple(notes)
