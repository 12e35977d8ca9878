"""A third opinion where ``transformers`` is installed: the folder as it computes it.

``transformers`` is not a dependency; conversions are also proved without it. Nothing is downloaded: only the
folder's own files are opened. Read ``formats.py`` next.
"""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from pellucid.errors import ConversionError
from pellucid.interop.huggingface.reference import MarianReference

if TYPE_CHECKING:
    from torch import nn


__all__ = ["TransformersMarian"]


class TransformersMarian(MarianReference):
    """A MarianMT folder as an engine of the comparison, computed by ``transformers`` in float64.

    ``MarianReference`` reads only the order of the pieces; model and tokenizer are theirs.

    Raises:
        ConversionError: ``transformers`` cannot open the folder.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        with _quiet():
            library = importlib.import_module("transformers")
            self.name = f"transformers {library.__version__}"
            library.utils.logging.disable_progress_bar()
            try:
                self._model: nn.Module = library.MarianMTModel.from_pretrained(
                    folder, local_files_only=True, use_safetensors=True, attn_implementation="eager"
                )
                self._tokenizer = library.MarianTokenizer.from_pretrained(folder, local_files_only=True)
            except Exception as error:  # of any kind: it is another project's code
                raise ConversionError(f"{folder}: {self.name} cannot open it: {error}") from error
        self._model = self._model.double().eval()
        # Where sacremoses is installed it would rewrite punctuation; our models were not trained on that.
        self._tokenizer.punc_normalizer = lambda text: text

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Cut source texts; the end of sentence comes last."""
        with _quiet():
            return [list(ids) for ids in self._tokenizer(list(texts))["input_ids"]]

    def decode(self, ids: Sequence[int]) -> str:
        """Join target ids to text."""
        with _quiet():
            return str(self._tokenizer.decode(list(ids))).strip()

    @torch.inference_mode()
    def encoded(self, ids: Tensor, mask: Tensor | None) -> Tensor:
        """Return the memory as ``transformers`` computes it."""
        encoder = cast("Callable[[], nn.Module]", self._model.get_encoder)()
        return cast(Tensor, encoder(input_ids=ids, attention_mask=_as_theirs(mask)).last_hidden_state)

    @torch.inference_mode()
    def decoded(self, ids: Tensor, memory: Tensor, memory_mask: Tensor | None) -> Tensor:
        """Return the logits as ``transformers`` computes them."""
        found = self._model(
            encoder_outputs=(memory,),
            attention_mask=_as_theirs(memory_mask),
            decoder_input_ids=ids,
            use_cache=False,
        )
        return cast(Tensor, found.logits)


def _as_theirs(added: Tensor | None) -> Tensor | None:
    """Turn zeros and minus infinities [rows, 1, 1, source] into ones and zeros [rows, source]."""
    return None if added is None else (added[:, 0, 0] == 0).long()


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the library's messages and progress bars, and keep it offline."""
    kept = {name: os.environ.get(name) for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_VERBOSITY")}
    os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, value in kept.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
