"""Search over ONNX graphs: start, step and select, whatever runs the graphs.

Read ``engines.py`` next.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pellucid.config import ModelConfig
from pellucid.errors import RequestError, counted
from pellucid.interop.onnx.layers import cross_names, past_names, present_names

__all__ = ["OnnxStepper", "Run"]

Arrays = dict[str, NDArray[np.generic]]


class Run(Protocol):
    """A graph as a function: a session of onnxruntime, or onnx's own evaluator."""

    def __call__(self, outputs: Sequence[str], inputs: Arrays) -> Sequence[NDArray[np.generic]]:
        """Return the named outputs."""


class OnnxStepper:
    """Two graphs as a search sees them (``translation.stepper.Stepper``).

    Args:
        encoder: computes the encoder graph.
        decoder: computes the decoder graph.
        config: configuration of the exported model.
        start_id: the decoder's first input.
        dtype: number format of the graphs' inputs and outputs.
    """

    def __init__(
        self, encoder: Run, decoder: Run, *, config: ModelConfig, start_id: int, dtype: type[np.floating]
    ) -> None:
        self.vocab_size = config.target_vocab_size
        self.eos_id = config.specials.eos
        self.max_length = config.max_positions
        self._encoder, self._decoder = encoder, decoder
        self._config = config
        self._start_id = start_id
        self._dtype = dtype
        self._cross_names = cross_names(config.num_decoder_layers)
        self._past_names = past_names(config.num_decoder_layers)
        self._outputs = ["log_probabilities", *present_names(config.num_decoder_layers)]
        self._sentences: Arrays = {}
        self._seen: Arrays = {}
        self._past: Arrays = {}
        self._sentence_of_row: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._sentence_of_group = self._sentence_of_row

    def start(self, source_ids: Sequence[Sequence[int]]) -> None:
        """Encode the sentences together; the shorter ones are padded and masked.

        Raises:
            RequestError: a sentence has more tokens than the model has positions.
        """
        lengths = np.array([len(ids) for ids in source_ids])
        width = int(lengths.max())
        self._refuse_too_long(width)
        ids = np.full((len(lengths), width), self._config.specials.pad, dtype=np.int64)
        for row, sentence in zip(ids, source_ids, strict=True):
            row[: len(sentence)] = sentence
        mask = np.arange(width) < lengths[:, None]
        kept = self._encoder(self._cross_names, {"source_ids": ids, "source_mask": mask})
        self._sentences = {"source_mask": mask, **dict(zip(self._cross_names, kept, strict=True))}
        self._seen = self._sentences
        self._sentence_of_row = self._sentence_of_group = np.arange(len(ids))
        nothing = np.zeros((len(ids), self._config.num_heads, 0, self._config.d_head), dtype=self._dtype)
        self._past = dict.fromkeys(self._past_names, nothing)

    def step(self, last_ids: Tensor | None) -> Tensor:
        """Read one more id in each row; log-probabilities [rows, vocab] of the next, in the type of the graphs.

        Raises:
            RequestError: the target would have more tokens than the model has positions.
            ValueError: ``start`` was not called.
        """
        rows = len(self._sentence_of_row)
        first = np.full(rows, self._start_id, dtype=np.int64)
        return self.read(first[:, None] if last_ids is None else last_ids.numpy()[:, None])[:, 0]

    def read(self, ids: NDArray[np.int64]) -> Tensor:
        """Read several ids in each row, [rows, target]; the log-probabilities after each, [rows, target, vocab].

        Raises:
            RequestError, ValueError: as ``step``.
        """
        if not self._past:
            raise ValueError("the stepper has no sentences; call start() first")
        self._refuse_too_long(self._past[self._past_names[0]].shape[2] + ids.shape[1])
        found, *present = self._decoder(self._outputs, {"target_ids": ids, **self._seen, **self._past})
        self._past = dict(zip(self._past_names, present, strict=True))
        return torch.from_numpy(found)

    def select(self, rows: Tensor) -> None:
        """Go on with these rows; those of one sentence that stand together share its keys and values."""
        chosen = rows.numpy()
        self._past = {name: past[chosen] for name, past in self._past.items()}
        self._sentence_of_row = self._sentence_of_row[chosen]
        changes = np.flatnonzero(np.diff(self._sentence_of_row)) + 1
        group_size = math.gcd(*changes.tolist(), len(chosen))
        groups = self._sentence_of_row[::group_size]
        if not np.array_equal(groups, self._sentence_of_group):
            self._sentence_of_group = groups
            self._seen = {name: array[groups] for name, array in self._sentences.items()}

    def _refuse_too_long(self, length: int) -> None:
        if length > self.max_length:
            raise RequestError(
                f"a sequence of {counted(length, 'token')} is longer than the model's "
                f"max_positions = {self.max_length}; "
                "split the text, or train with a larger model.max_positions"
            )
