"""A model for the tests of the translator that is never wrong: it writes its source in capitals."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pellucid.text.tokenizer import BytesTokenizer

TOKENIZER = BytesTokenizer()
SPECIALS = TOKENIZER.specials
_SECOND_BEST = 0.125


def _capital(token: int) -> int:
    piece = TOKENIZER.source_pieces([token])[0]
    text = TOKENIZER.decode_target([[token]])[0]
    found = TOKENIZER.target_id(f"<0x{ord(text.upper()):02X}>") if len(text.upper()) == 1 else None
    return token if found is None or not piece.startswith("<0x") else found


CAPITALS = [_capital(token) for token in range(TOKENIZER.source_vocab_size)]
CAPITALS[TOKENIZER.source_id("<0x7C>")] = TOKENIZER.target_id("<0x0A>")  # "|" becomes a line break


class ShoutingStepper:
    """Each next token is the source's with probability 7/8, and "!" otherwise.

    It fails on sources that hold "~", remembers what it was asked, and writes at most ``max_length`` tokens.
    """

    vocab_size = TOKENIZER.target_vocab_size
    eos_id = SPECIALS.eos

    def __init__(self, *, max_length: int = 1000) -> None:
        self.max_length = max_length
        self.batches: list[list[list[int]]] = []
        self._sources: list[list[int]] = []
        self._length = 0

    def start(self, source_ids: Sequence[Sequence[int]]) -> None:
        self.batches.append([list(ids) for ids in source_ids])
        self._sources = self.batches[-1]
        self._length = 0

    def step(self, last_ids: Tensor | None) -> Tensor:
        self._length += last_ids is not None
        found = torch.full((len(self._sources), self.vocab_size), -math.inf)
        tilde = TOKENIZER.source_id("<0x7E>")
        for row, ids in enumerate(self._sources):
            place = min(self._length, len(ids) - 1)
            found[row, CAPITALS[ids[place]]] = math.log(1 - _SECOND_BEST)
            found[row, TOKENIZER.target_id("<0x21>")] = math.log(_SECOND_BEST)
            if tilde in ids:
                found[row] = math.nan
        return found

    def select(self, rows: Tensor) -> None:
        self._sources = [self._sources[row] for row in rows.tolist()]
