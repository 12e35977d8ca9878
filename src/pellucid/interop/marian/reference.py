"""A second opinion: a model of Marian's computed straight from its .npz, by this one page.

It shares nothing with ``model/``, ``text/`` or the reading: no configuration of ours, no renaming, nothing turned
round or tied. Plain NumPy in float64, in Marian's own layout (a row times a matrix). The files must have been read
by ``reading.py`` before, which checks what is a stranger's. Read ``verification/comparison.py`` next.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import sentencepiece
import torch
from numpy.typing import NDArray
from torch import Tensor

from pellucid.interop.huggingface.reference import PrefixStepper
from pellucid.interop.marian.folder import find_npz_folder

__all__ = ["MarianNpzReference"]

Array = NDArray[np.float64]
_PAD: Final = "<pad>"
_NEVER: Final = -100.0
_ACTIVATIONS: Final[dict[str, Callable[[Array], Array]]] = {
    "relu": lambda x: np.maximum(x, 0),
    "swish": lambda x: x / (1 + np.exp(-x)),
}


class MarianNpzReference:
    """A model of Marian's as an engine of the comparison (``verification.Engine``).

    Marian has no padding piece and starts from a vector of zeros; both are one more row of zeros after its own.
    """

    name = "an independent pass over the .npz"

    def __init__(self, path: Path) -> None:
        files = find_npz_folder(path)
        with np.load(files.weights, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        self._options = arrays.pop("special:model.yml").tobytes().decode("utf-8")
        self._tensors = {name: array.astype(np.float64) for name, array in arrays.items()}
        self._source_ids = _vocabulary(files.vocabularies[0])
        self._target_ids = _vocabulary(files.vocabularies[1])
        self._own_sizes = len(self._source_ids), len(self._target_ids)
        self._models = [sentencepiece.SentencePieceProcessor(model_proto=p.read_bytes()) for p in files.segmenters]
        self.source_pieces = self._with_padding(self._source_ids)
        self.target_pieces = self._with_padding(self._target_ids)
        self.eos_id = self._target_ids["</s>"]
        self.max_length = 1024
        self.settings = {"pad_token_id": self._own_sizes[0], "decoder_start_token_id": self._own_sizes[1]}
        self._width = int(self._option("dim-emb"))
        self._heads = int(self._option("transformer-heads"))
        self._activation = _ACTIVATIONS[self._option("transformer-ffn-activation")]
        self._is_pre_norm = "n" in self._option("transformer-preprocess")

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Cut source texts; a tag stands before, as a piece of its own; the end of sentence comes last."""
        rows = []
        for text in texts:
            tag = re.match(r">>[^<>\s]+<<", text)
            first = [tag[0]] if tag and tag[0] in self._source_ids else []
            rest = text[len(first[0]) :] if first else text
            pieces = [*first, *self._models[0].encode(rest, out_type=str), "</s>"]
            rows.append([self._source_ids.get(piece, self._source_ids["<unk>"]) for piece in pieces])
        return rows

    def decode(self, ids: Sequence[int]) -> str:
        """Join target pieces to text; specials have been taken out."""
        text = str(self._models[1].decode_pieces([self.target_pieces[i] for i in ids]))
        return text.replace("\u2581", " ").strip()

    def log_probabilities(self, source_ids: Sequence[int], target_ids: Sequence[int]) -> Tensor:
        """Return the log-probabilities along a forced target of one sentence, [target, vocab], float64."""
        memory = self._encoded(torch.tensor([list(source_ids)]))
        shifted = torch.tensor([[self._own_sizes[1], *target_ids[:-1]]])
        return self._decoded(shifted, memory, None)[0].log_softmax(-1)

    def stepper(self) -> PrefixStepper:
        """Return this model as the search sees it."""
        return PrefixStepper(self)

    def _with_padding(self, ids: dict[str, int]) -> tuple[str, ...]:
        pieces = sorted(ids, key=ids.__getitem__)
        return tuple(pieces if _PAD in ids else [*pieces, _PAD])

    def _option(self, name: str) -> str:
        found = re.search(rf"^{name}:[ \t]*\"?([^\s\"]*)", self._options, re.MULTILINE)
        return found[1] if found else ""

    def _table(self, own: str) -> Array:
        table = self._tensors["Wemb"] if "Wemb" in self._tensors else self._tensors[own]
        return np.concatenate([table, np.zeros((1, self._width))])

    def _encoded(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        hidden = self._embedded("encoder_Wemb", ids)
        for layer in range(1, int(self._option("enc-depth")) + 1):
            at = f"encoder_l{layer}"
            hidden = self._attention_layer(f"{at}_self", hidden, None, _numpy(mask))
            hidden = self._feed_forward_layer(f"{at}_ffn", hidden)
        return torch.from_numpy(self._top("encoder", hidden))

    def _decoded(self, ids: Tensor, memory: Tensor, memory_mask: Tensor | None) -> Tensor:
        """Return logits, [rows, target, vocab]."""
        hidden = self._embedded("decoder_Wemb", ids)
        causal = np.triu(np.full((ids.shape[1], ids.shape[1]), -np.inf), 1)
        for layer in range(1, int(self._option("dec-depth")) + 1):
            at = f"decoder_l{layer}"
            hidden = self._attention_layer(f"{at}_self", hidden, None, causal)
            hidden = self._attention_layer(f"{at}_context", hidden, memory.numpy(), _numpy(memory_mask))
            hidden = self._feed_forward_layer(f"{at}_ffn", hidden)
        hidden = self._top("decoder", hidden)
        weight = self._tensors.get("decoder_ff_logit_out_W")
        logits = hidden @ (self._table("decoder_Wemb")[:-1].T if weight is None else weight)
        logits = logits + self._tensors.get("decoder_ff_logit_out_b", np.zeros(1))
        if _PAD not in self._target_ids:
            logits = np.concatenate([logits, np.full((*logits.shape[:-1], 1), _NEVER)], axis=-1)
        return torch.from_numpy(logits)

    def _embedded(self, own: str, ids: Tensor) -> Array:
        hidden: Array = self._table(own)[ids.numpy()] * math.sqrt(self._width)
        half = self._width // 2
        rates = np.exp(np.arange(half) * -(math.log(10000) / (half - 1)))
        angles = np.arange(ids.shape[1])[:, None] * rates
        summed: Array = hidden + np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
        return summed

    def _attention_layer(self, at: str, asking: Array, asked: Array | None, added: Array | None) -> Array:
        before = self._norm(f"{at}_Wo", asking, "_pre") if self._is_pre_norm else asking
        found = asking + self._attention(at, before, before if asked is None else asked, added)
        return found if self._is_pre_norm else self._norm(f"{at}_Wo", found)

    def _feed_forward_layer(self, at: str, hidden: Array) -> Array:
        before = self._norm(f"{at}_ffn", hidden, "_pre") if self._is_pre_norm else hidden
        found = hidden + self._linear(at, "2", self._activation(self._linear(at, "1", before)))
        return found if self._is_pre_norm else self._norm(f"{at}_ffn", found)

    def _top(self, stack: str, hidden: Array) -> Array:
        return self._norm(f"{stack}_top", hidden) if self._is_pre_norm else hidden

    def _attention(self, at: str, asking: Array, asked: Array, added: Array | None) -> Array:
        rows, _, width = asking.shape
        depth = width // self._heads

        def split(x: Array, name: str) -> Array:
            return self._linear(at, name, x).reshape(rows, -1, self._heads, depth).transpose(0, 2, 1, 3)

        scores = split(asking, "q") @ split(asked, "k").transpose(0, 1, 3, 2) / math.sqrt(depth)
        scores = scores if added is None else scores + added
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights = weights / weights.sum(-1, keepdims=True)
        context: Array = (weights @ split(asked, "v")).transpose(0, 2, 1, 3).reshape(rows, -1, width)
        return self._linear(at, "o", context)

    def _linear(self, at: str, name: str, x: Array) -> Array:
        product: Array = x @ self._tensors[f"{at}_W{name}"] + self._tensors[f"{at}_b{name}"].reshape(-1)
        return product

    def _norm(self, at: str, x: Array, end: str = "") -> Array:
        centred = x - x.mean(-1, keepdims=True)
        spread = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-9)
        scale, bias = (self._tensors[f"{at}_ln_{kind}{end}"].reshape(-1) for kind in ("scale", "bias"))
        normed: Array = centred / spread * scale + bias
        return normed


def _numpy(mask: Tensor | None) -> Array | None:
    return None if mask is None else mask.numpy()


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
