"""A second opinion: MarianMT computed straight from the files of a folder, by this one page.

It shares nothing with ``model/``, ``text/`` or the reading and writing of the format: no configuration of
ours, no renaming, no cache, no mask that is built in. Plain loops in float64, slow and easy to check against
the description of the format. A mistake in reading or writing therefore shows as a difference. The folder
must have been read by ``reading.py`` before, which checks what is a stranger's. Read
``verification/comparison.py`` next.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import sentencepiece
import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["MarianReference", "PrefixModel", "PrefixStepper"]

_ACTIVATIONS: Final[dict[str, Callable[[Tensor], Tensor]]] = {
    "relu": functional.relu,
    "gelu": functional.gelu,
    "swish": functional.silu,
    "silu": functional.silu,
}
_MISSING: Final = {
    "activation_function": "gelu",
    "encoder_layers": 12,
    "decoder_layers": 12,
    "encoder_attention_heads": 16,
    "decoder_attention_heads": 16,
    "d_model": 1024,
    "pad_token_id": 58100,
    "decoder_start_token_id": 58100,
    "max_position_embeddings": 1024,
}


class MarianReference:
    """A MarianMT folder as an engine of the comparison (``verification.Engine``)."""

    name = "an independent pass over the files"

    def __init__(self, folder: Path) -> None:
        from safetensors.torch import load

        settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.settings = _MISSING | {name: value for name, value in settings.items() if value is not None}
        words = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        self.tensors = {n: t.double() for n, t in load((folder / "model.safetensors").read_bytes()).items()}
        is_separate = words.get("separate_vocabs") is True
        self.source_ids_of: dict[str, int] = _vocabulary(folder / "vocab.json")
        self.target_ids_of = _vocabulary(folder / "target_vocab.json") if is_separate else self.source_ids_of
        self.source_pieces = _in_order(self.source_ids_of)
        self.target_pieces = _in_order(self.target_ids_of)
        self._segmenters = [
            sentencepiece.SentencePieceProcessor(model_proto=(folder / name).read_bytes())
            for name in ("source.spm", "target.spm")
        ]
        self.eos_id = self.target_ids_of["</s>"]
        self.max_length = int(self.settings["max_position_embeddings"])
        self._scale = math.sqrt(self.settings["d_model"]) if self.settings.get("scale_embedding") else 1.0
        shared = self.tensors.get("model.shared.weight")
        self._source = self.tensors["model.encoder.embed_tokens.weight"] if shared is None else shared
        self._target = self.tensors["model.decoder.embed_tokens.weight"] if shared is None else shared
        is_untied = shared is None and settings.get("tie_word_embeddings") is False
        self._output = self.tensors["lm_head.weight"] if is_untied else self._target

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Cut source texts as MarianTokenizer does, without sacremoses; the end of sentence comes last."""
        rows = []
        for text in texts:
            tag, rest = [], text
            if text.startswith(">>") and "<<" in text:
                end = text.index("<<") + 2
                tag, rest = [text[:end]], text[end:]
            pieces = [*tag, *self._segmenters[0].encode(rest, out_type=str), "</s>"]
            rows.append([self.source_ids_of.get(piece, self.source_ids_of["<unk>"]) for piece in pieces])
        return rows

    def decode(self, ids: Sequence[int]) -> str:
        """Join target pieces to text; specials have been taken out."""
        text = str(self._segmenters[1].decode_pieces([self.target_pieces[i] for i in ids]))
        # The segmenter leaves the mark in pieces that it does not know itself.
        return text.replace("\u2581", " ").strip()

    def log_probabilities(self, source_ids: Sequence[int], target_ids: Sequence[int]) -> Tensor:
        """Return the log-probabilities along a forced target of one sentence, [target, vocab], float64."""
        memory = self._encoded(torch.tensor([list(source_ids)]))
        shifted = [int(self.settings["decoder_start_token_id"]), *target_ids[:-1]]
        return self._decoded(torch.tensor([shifted]), memory, None)[0].log_softmax(-1)

    def stepper(self) -> PrefixStepper:
        """Return this model as the search sees it."""
        return PrefixStepper(self)

    def _encoded(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        hidden = self._source[ids] * self._scale + self._positions(ids.shape[1])
        for layer in range(int(self.settings["encoder_layers"])):
            at = f"model.encoder.layers.{layer}"
            heads = int(self.settings["encoder_attention_heads"])
            attended = self._attention(f"{at}.self_attn", hidden, hidden, heads, mask)
            hidden = self._norm(f"{at}.self_attn_layer_norm", hidden + attended)
            hidden = self._norm(f"{at}.final_layer_norm", hidden + self._feed_forward(at, hidden))
        return hidden

    def _decoded(self, ids: Tensor, memory: Tensor, memory_mask: Tensor | None) -> Tensor:
        """Return logits, [rows, target, vocab]."""
        hidden = self._target[ids] * self._scale + self._positions(ids.shape[1])
        causal = torch.full((ids.shape[1], ids.shape[1]), -math.inf, dtype=torch.float64).triu(1)
        for layer in range(int(self.settings["decoder_layers"])):
            at = f"model.decoder.layers.{layer}"
            heads = int(self.settings["decoder_attention_heads"])
            attended = self._attention(f"{at}.self_attn", hidden, hidden, heads, causal)
            hidden = self._norm(f"{at}.self_attn_layer_norm", hidden + attended)
            attended = self._attention(f"{at}.encoder_attn", hidden, memory, heads, memory_mask)
            hidden = self._norm(f"{at}.encoder_attn_layer_norm", hidden + attended)
            hidden = self._norm(f"{at}.final_layer_norm", hidden + self._feed_forward(at, hidden))
        return hidden @ self._output.T + self.tensors["final_logits_bias"]

    def _attention(self, at: str, asking: Tensor, asked: Tensor, heads: int, added: Tensor | None) -> Tensor:
        rows, time, width = asking.shape

        def split(x: Tensor, name: str) -> Tensor:
            return self._linear(f"{at}.{name}", x).view(rows, -1, heads, width // heads).transpose(1, 2)

        scores = split(asking, "q_proj") @ split(asked, "k_proj").transpose(2, 3) / math.sqrt(width // heads)
        weights = (scores if added is None else scores + added).softmax(-1)
        context = (weights @ split(asked, "v_proj")).transpose(1, 2).reshape(rows, time, width)
        return self._linear(f"{at}.out_proj", context)

    def _feed_forward(self, at: str, hidden: Tensor) -> Tensor:
        activation = _ACTIVATIONS[str(self.settings["activation_function"])]
        return self._linear(f"{at}.fc2", activation(self._linear(f"{at}.fc1", hidden)))

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return x @ self.tensors[f"{name}.weight"].T + self.tensors[f"{name}.bias"]

    def _norm(self, name: str, x: Tensor) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        spread = (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return centred / spread * self.tensors[f"{name}.weight"] + self.tensors[f"{name}.bias"]

    def _positions(self, count: int) -> Tensor:
        width = int(self.settings["d_model"])
        angles = np.arange(count)[:, None] / 10000 ** (np.arange(0, width, 2) / width)
        return torch.from_numpy(np.concatenate([np.sin(angles), np.cos(angles)], axis=1))


class PrefixModel(Protocol):
    """What ``PrefixStepper`` asks of a reference."""

    target_pieces: tuple[str, ...]
    eos_id: int
    max_length: int

    @property
    def settings(self) -> Mapping[str, object]:
        """``pad_token_id`` and ``decoder_start_token_id`` at least."""

    def _encoded(self, ids: Tensor, mask: Tensor | None = None) -> Tensor: ...

    def _decoded(self, ids: Tensor, memory: Tensor, memory_mask: Tensor | None) -> Tensor: ...


class PrefixStepper:
    """The reference as a stepper: the whole prefix again at every step."""

    def __init__(self, reference: PrefixModel) -> None:
        self._reference = reference
        self.vocab_size = len(reference.target_pieces)
        self.eos_id = reference.eos_id
        self.max_length = reference.max_length
        self._memory = self._mask = self._ids = torch.empty(0)

    def start(self, source_ids: Sequence[Sequence[int]]) -> None:
        """Encode the sentences, the shorter ones filled up and masked."""
        width = max(map(len, source_ids))
        pad, start = (int(str(self._reference.settings[f"{name}_token_id"])) for name in ("pad", "decoder_start"))
        rows = torch.tensor([[*ids, *[pad] * (width - len(ids))] for ids in source_ids])
        is_filler = torch.arange(width) >= torch.tensor([len(ids) for ids in source_ids])[:, None]
        self._mask = torch.zeros(is_filler.shape, dtype=torch.float64).masked_fill(is_filler, -math.inf)
        self._memory = self._reference._encoded(rows, self._mask[:, None, None])
        self._ids = torch.full((len(rows), 1), start)

    def step(self, last_ids: Tensor | None) -> Tensor:
        """Append ids [rows] and return the log-probabilities of the next, [rows, vocab]."""
        if last_ids is not None:
            self._ids = torch.cat([self._ids, last_ids[:, None]], dim=1)
        logits = self._reference._decoded(self._ids, self._memory, self._mask[:, None, None])
        return logits[:, -1].log_softmax(-1)

    def select(self, rows: Tensor) -> None:
        """Go on with these rows."""
        self._ids, self._memory, self._mask = self._ids[rows], self._memory[rows], self._mask[rows]


def _vocabulary(path: Path) -> dict[str, int]:
    table = json.loads(path.read_text(encoding="utf-8"))
    return {str(piece): int(number) for piece, number in table.items()}


def _in_order(ids: dict[str, int]) -> tuple[str, ...]:
    return tuple(sorted(ids, key=ids.__getitem__))
