"""A second opinion on a model of Marian's: where its tensors are in the .npz, and what its options mean.

The arithmetic is ``verification/reference.py``; options, names and vocabularies are read here once more, apart from
``options.py``, ``names.py`` and ``yaml_file.py``, so that a mistake there shows. Nothing is renamed, transposed or
tied. Read ``verification/comparison.py`` next.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Final

import numpy as np
import sentencepiece
import torch
from torch import Tensor

from pellucid.interop.marian.folder import find_npz_folder
from pellucid.interop.verification.reference import ACTIVATIONS, Reference, in_order

__all__ = ["MarianNpzReference"]

_PAD: Final = "<pad>"
_NEVER: Final = -100.0
_PARTS: Final = {"self": "self", "cross": "context", "feed_forward": "ffn"}


class MarianNpzReference(Reference):
    """A model of Marian's, computed from its .npz.

    Marian has no padding piece and starts from a vector of zeros; both are one more row of zeros after its own.
    """

    name = "an independent pass over the .npz"
    epsilon = 1e-9
    max_length = 1024

    def __init__(self, path: Path) -> None:
        files = find_npz_folder(path)
        with np.load(files.weights, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        self._options = arrays.pop("special:model.yml").tobytes().decode("utf-8")
        self._tensors = {name: torch.from_numpy(array.astype(np.float64)) for name, array in arrays.items()}
        self.source_ids, self._target_ids = (_vocabulary(vocabulary) for vocabulary in files.vocabularies)
        self.segmenters = [sentencepiece.SentencePieceProcessor(model_proto=p.read_bytes()) for p in files.segmenters]
        self.source_pieces, self.target_pieces = (_with_padding(i) for i in (self.source_ids, self._target_ids))
        self.eos_id = self._target_ids["</s>"]
        self.pad_id, self.start_id = len(self.source_ids), len(self._target_ids)
        self.d_model = int(self._option("dim-emb"))
        self.num_layers = {"encoder": int(self._option("enc-depth")), "decoder": int(self._option("dec-depth"))}
        self.num_heads = dict.fromkeys(self.num_layers, int(self._option("transformer-heads")))
        self.activation = ACTIVATIONS[self._option("transformer-ffn-activation")]
        self.is_pre_norm = "n" in self._option("transformer-preprocess")

    def split_tag(self, text: str) -> tuple[list[str], str]:
        """Take a tag off that the vocabulary has."""
        tag = re.match(r">>[^<>\s]+<<", text)
        return ([tag[0]], text[tag.end() :]) if tag and tag[0] in self.source_ids else ([], text)

    def embed(self, stack: str, ids: Tensor) -> Tensor:
        """See ``Reference``."""
        table = self._table(stack)
        return torch.cat([table, torch.zeros(1, self.d_model)])[ids] * math.sqrt(self.d_model)

    def angles(self, count: int) -> Tensor:
        """Return the angles of Tensor2Tensor."""
        half = self.d_model // 2
        rates = (torch.arange(half, dtype=torch.float64) * -(math.log(10000) / (half - 1))).exp()
        return torch.arange(count)[:, None] * rates

    def place(self, stack: str, layer: int, part: str) -> str:
        """See ``Reference``; layers count from 1 there."""
        return f"{stack}_l{layer + 1}_{_PARTS[part]}"

    def linear(self, place: str, name: str) -> tuple[Tensor, Tensor]:
        """See ``Reference``; the file's weights are [in, out] too."""
        return self._tensors[f"{place}_W{name}"], self._tensors[f"{place}_b{name}"].reshape(-1)

    def norm(self, place: str) -> tuple[Tensor, Tensor]:
        """See ``Reference``."""
        names = {"encoder": "encoder_top_ln_{}", "decoder": "decoder_top_ln_{}"}
        part = "ffn" if place.endswith("_ffn") else "Wo"
        name = names.get(place, f"{place}_{part}_ln_{{}}{'_pre' if self.is_pre_norm else ''}")
        return self._tensors[name.format("scale")].reshape(-1), self._tensors[name.format("bias")].reshape(-1)

    def logits(self, hidden: Tensor) -> Tensor:
        """See ``Reference``; the padding piece is never taken."""
        weight = self._tensors.get("decoder_ff_logit_out_W", self._table("decoder").T)
        logits = hidden @ weight + self._tensors.get("decoder_ff_logit_out_b", torch.zeros(1))
        never = torch.full((*logits.shape[:-1], 1), _NEVER)
        return logits if _PAD in self._target_ids else torch.cat([logits, never], dim=-1)

    def _option(self, name: str) -> str:
        found = re.search(rf"^{name}:[ \t]*\"?([^\s\"]*)", self._options, re.MULTILINE)
        return found[1] if found else ""

    def _table(self, stack: str) -> Tensor:
        return self._tensors["Wemb"] if "Wemb" in self._tensors else self._tensors[f"{stack}_Wemb"]


def _with_padding(ids: dict[str, int]) -> tuple[str, ...]:
    return in_order(ids) if _PAD in ids else (*in_order(ids), _PAD)


def _vocabulary(path: Path) -> dict[str, int]:
    """Read a vocabulary once more, in another way."""
    if path.suffix == ".spm":
        model = sentencepiece.SentencePieceProcessor(model_proto=path.read_bytes())
        return {model.id_to_piece(number): number for number in range(len(model))}
    text = path.read_text(encoding="utf-8")
    if text.lstrip().startswith("{"):
        return {str(piece): int(number) for piece, number in json.loads(text).items()}
    found = {}
    for match in re.finditer(
        r"^(?:\? )?(\"(?:\\.|[^\"\\])*\"|'(?:''|[^'])*'|.+?)\n?: *(\d+) *\r?$", text, re.MULTILINE
    ):
        found[_spelt(match[1])] = int(match[2])
    return found


def _spelt(piece: str) -> str:
    if piece.startswith("'"):
        return piece[1:-1].replace("''", "'")
    return re.sub(r"\\(x..|u....|U........|.)", _meant, piece[1:-1]) if piece.startswith('"') else piece


def _meant(match: re.Match[str]) -> str:
    word = match[1]
    if len(word) > 1:
        return chr(int(word[1:], 16))
    codes = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, "e": 27, "0": 0, "_": 0xA0}
    codes |= {"N": 0x85, "L": 0x2028, "P": 0x2029}
    return chr(codes[word]) if word in codes else word
