"""Write one of our models as a Hugging Face MarianMT folder.

The format numbers the end of sentence 0, unknown 1 and padding last. Our models have other ids, so the rows of
their tables change places; no number changes. Read ``reference.py`` next.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from pellucid.bundle import Bundle
from pellucid.config import LengthPenalty, SpecialIds
from pellucid.durable import DISK
from pellucid.interop.foreign_model import Refusal, tokenizer_refusals
from pellucid.interop.huggingface.config import config_refusals, config_table, generation_table
from pellucid.interop.huggingface.names import FINAL_LOGITS_BIAS, tensor_names
from pellucid.interop.huggingface.reading import CONFIG, GENERATION, SPECIAL_PIECES, WEIGHTS
from pellucid.interop.sentencepiece_nfc import segmenter_file
from pellucid.interop.untrusted.files import Table
from pellucid.text.subword import Tokenizer

__all__ = ["Numbering", "marian_refusals", "numbering_of", "write_marian"]

_PER_ROW: Final = {
    "source_embedding.weight": "source",
    "target_embedding.weight": "target",
    "projection.weight": "target",
    "projection.bias": "target",
}


@dataclass(frozen=True)
class Numbering:
    """Our id in each place of the format's vocabularies, and the format's special ids."""

    source: tuple[int, ...]
    target: tuple[int, ...]
    specials: SpecialIds


def marian_refusals(bundle: Bundle) -> list[Refusal]:
    """Return every reason why a model does not fit; an empty list if it does."""
    tokenizer = bundle.tokenizer
    found = [*config_refusals(bundle.description.model), *tokenizer_refusals(tokenizer, lowercases=False)]
    for side, vocabulary in (("source", tokenizer.source.vocabulary), ("target", tokenizer.target.vocabulary)):
        for role, piece in SPECIAL_PIECES.items():
            found_piece = vocabulary.piece(getattr(vocabulary.specials, role))
            if found_piece != piece:
                found.append(
                    Refusal(f"its {side} vocabulary calls {role} {found_piece!r}; the format requires {piece!r}")
                )
    return list(dict.fromkeys(found))


def numbering_of(tokenizer: Tokenizer) -> Numbering:
    """Return the order that the format requires; all other pieces keep their order.

    Where two vocabularies have different sizes, padding is the last piece of the smaller one, since one number
    must serve both.
    """
    old = tokenizer.specials
    pad = min(tokenizer.source_vocab_size, tokenizer.target_vocab_size) - 1
    orders = []
    for size in (tokenizer.source_vocab_size, tokenizer.target_vocab_size):
        rest = [i for i in range(size) if i not in (old.eos, old.unk, old.pad)]
        orders.append((old.eos, old.unk, *rest[: pad - 2], old.pad, *rest[pad - 2 :]))
    bos = 0 if old.bos == old.eos else orders[0].index(old.bos)
    return Numbering(orders[0], orders[1], SpecialIds(pad=pad, unk=1, bos=bos, eos=0))


def write_marian(bundle: Bundle, folder: Path) -> tuple[str, ...]:
    """Write the files into an existing folder; return notes for the user.

    The model must have passed ``marian_refusals``.
    """
    from safetensors.torch import save

    tokenizer, description = bundle.tokenizer, bundle.description
    numbering = numbering_of(tokenizer)
    is_separate = (
        not description.model.share_embeddings
        and tokenizer.source.vocabulary.pieces != tokenizer.target.vocabulary.pieces
    )
    settings: dict[str, Table] = {
        CONFIG: config_table(description.model, numbering.specials),
        GENERATION: generation_table(description.model, numbering.specials, description.translation),
        "tokenizer_config.json": {
            "tokenizer_class": "MarianTokenizer",
            "source_lang": description.source_language,
            "target_lang": description.target_language,
            "separate_vocabs": is_separate,
            "model_max_length": description.model.max_positions,
            "unk_token": SPECIAL_PIECES["unk"],
            "eos_token": SPECIAL_PIECES["eos"],
            "pad_token": SPECIAL_PIECES["pad"],
            "clean_up_tokenization_spaces": False,
        },
        "vocab.json": _pieces(tokenizer.source.vocabulary.pieces, numbering.source),
    }
    if is_separate:
        settings["target_vocab.json"] = _pieces(tokenizer.target.vocabulary.pieces, numbering.target)
    for name, table in settings.items():
        DISK.write(folder / name, (json.dumps(table, ensure_ascii=False, indent=2) + "\n").encode())
    for name, side in (("source.spm", tokenizer.source), ("target.spm", tokenizer.target)):
        DISK.write(folder / name, segmenter_file(side))
    DISK.write(folder / WEIGHTS, save(_tensors(bundle, numbering), metadata={"format": "pt"}))
    return _notes(bundle, tokenizer)


def _pieces(pieces: Sequence[str], order: Sequence[int]) -> Table:
    return {pieces[old]: new for new, old in enumerate(order)}


def _tensors(bundle: Bundle, numbering: Numbering) -> dict[str, Tensor]:
    state = {name: tensor.detach().float().cpu() for name, tensor in bundle.model.state_dict().items()}
    # The format always has a bias; zeros change nothing.
    state.setdefault("projection.bias", torch.zeros(bundle.description.model.target_vocab_size))
    for name, side in _PER_ROW.items():
        if name in state:
            state[name] = state[name][list(numbering.source if side == "source" else numbering.target)]
    tensors = {theirs: state[ours].contiguous() for theirs, ours in tensor_names(bundle.description.model).items()}
    tensors[FINAL_LOGITS_BIAS] = tensors[FINAL_LOGITS_BIAS][None]
    return tensors


def _notes(bundle: Bundle, tokenizer: Tokenizer) -> tuple[str, ...]:
    notes = []
    if tokenizer.source.normaliser.form == "nfc":
        notes.append("this model converts text to Unicode NFC first; source.spm and target.spm do so too")
    if tokenizer.source.vocabulary.tags and not tokenizer.partial_vocabulary:
        notes.append("MarianTokenizer requires that no space follows a language tag: '>>xx<<Text'")
    notes.append(
        "where sacremoses is installed, MarianTokenizer rewrites punctuation first; this model was not trained on that"
    )
    pad = bundle.model.source_embedding.weight[bundle.description.model.specials.pad]
    if pad.any() or bundle.model.decoder_embedding.weight[bundle.description.model.specials.pad].any():
        notes.append(
            "the row of the padding piece is not zero: transformers starts from it, which is right; CTranslate2's own "
            "Marian converter starts from zeros (model.zero_padding_row=true trains a model that fits both)"
        )
    penalty = bundle.description.translation.length_penalty
    if penalty is LengthPenalty.GNMT:
        notes.append("generate() of transformers has no length penalty 'gnmt'; generation_config.json sets none")
    return tuple(notes)
