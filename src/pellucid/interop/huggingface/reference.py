"""A second opinion on a Hugging Face MarianMT folder: where its tensors are, and what its settings mean.

The arithmetic is ``verification/reference.py``; the names of tensors and the defaults stand here once more, apart
from ``names.py`` and ``config.py``, so that a mistake there shows. Read ``oracle.py`` next.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Final

import sentencepiece
import torch
from torch import Tensor

from pellucid.interop.verification.reference import ACTIVATIONS, Reference, in_order

__all__ = ["MarianReference"]

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
_PARTS: Final = {"self": ".self_attn", "cross": ".encoder_attn", "feed_forward": ""}
_LINEAR: Final = {"q": "q_proj", "k": "k_proj", "v": "v_proj", "o": "out_proj", "1": "fc1", "2": "fc2"}


class MarianReference(Reference):
    """A MarianMT folder, computed from its files."""

    name = "an independent pass over the files"
    epsilon = 1e-5
    is_pre_norm = False

    def __init__(self, folder: Path) -> None:
        from safetensors.torch import load

        given = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        settings = _MISSING | {name: value for name, value in given.items() if value is not None}
        words = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        self.source_ids = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
        target_ids = self.source_ids
        if words.get("separate_vocabs") is True:
            target_ids = json.loads((folder / "target_vocab.json").read_text(encoding="utf-8"))
        self.source_pieces, self.target_pieces = in_order(self.source_ids), in_order(target_ids)
        self.segmenters = [
            sentencepiece.SentencePieceProcessor(model_proto=(folder / name).read_bytes())
            for name in ("source.spm", "target.spm")
        ]
        self.eos_id = target_ids["</s>"]
        self.pad_id, self.start_id = settings["pad_token_id"], settings["decoder_start_token_id"]
        self.max_length, self.d_model = settings["max_position_embeddings"], settings["d_model"]
        self.num_layers = {stack: settings[f"{stack}_layers"] for stack in ("encoder", "decoder")}
        self.num_heads = {stack: settings[f"{stack}_attention_heads"] for stack in ("encoder", "decoder")}
        self.activation = ACTIVATIONS[settings["activation_function"]]
        self._scale = math.sqrt(self.d_model) if settings.get("scale_embedding") else 1.0
        self.tensors = {n: t.double() for n, t in load((folder / "model.safetensors").read_bytes()).items()}
        shared = self.tensors.get("model.shared.weight")
        self._tables = {
            stack: self.tensors[f"model.{stack}.embed_tokens.weight"] if shared is None else shared
            for stack in ("encoder", "decoder")
        }
        is_untied = shared is None and given.get("tie_word_embeddings") is False
        self._output = self.tensors["lm_head.weight"] if is_untied else self._tables["decoder"]

    def split_tag(self, text: str) -> tuple[list[str], str]:
        """Take a tag off as MarianTokenizer does: everything up to the first ``<<``."""
        if not text.startswith(">>") or "<<" not in text:
            return [], text
        end = text.index("<<") + 2
        return [text[:end]], text[end:]

    def embed(self, stack: str, ids: Tensor) -> Tensor:
        """See ``Reference``."""
        return self._tables[stack][ids] * self._scale

    def angles(self, count: int) -> Tensor:
        """Return the angles of the paper."""
        exponents = torch.arange(0, self.d_model, 2, dtype=torch.float64) / self.d_model
        return torch.arange(count)[:, None] / 10000**exponents

    def place(self, stack: str, layer: int, part: str) -> str:
        """See ``Reference``."""
        return f"model.{stack}.layers.{layer}{_PARTS[part]}"

    def linear(self, place: str, name: str) -> tuple[Tensor, Tensor]:
        """See ``Reference``; the file's weights are [out, in]."""
        return self.tensors[f"{place}.{_LINEAR[name]}.weight"].T, self.tensors[f"{place}.{_LINEAR[name]}.bias"]

    def norm(self, place: str) -> tuple[Tensor, Tensor]:
        """See ``Reference``."""
        name = f"{place}_layer_norm" if place.endswith("_attn") else f"{place}.final_layer_norm"
        return self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]

    def logits(self, hidden: Tensor) -> Tensor:
        """See ``Reference``."""
        return hidden @ self._output.T + self.tensors["final_logits_bias"]
