"""A CTranslate2 folder as an engine of the comparison: ``ctranslate2.Translator`` and its SentencePiece files.

It runs as its users run it: pieces in, pieces out, the end of sentence added by CTranslate2 itself. Log-probabilities
of the whole vocabulary come from its step-by-step decoder with its cache, with the sentence alone; those of the forced
pieces once more from ``score_batch``, where all positions are computed at once, beside a longer sentence and so padded.
Read ``formats.py`` next.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
import torch
from torch import Tensor

from pellucid.errors import ConversionError
from pellucid.interop.ctranslate2.config import SOURCE_SEGMENTER, TARGET_SEGMENTER, ctranslate2_library
from pellucid.interop.ctranslate2.file import read_ctranslate2_file
from pellucid.interop.untrusted.files import read_pieces, read_segmenter, read_table

__all__ = ["CTranslate2Model"]

_PIECES_LONGER = 3


class CTranslate2Model:
    """A folder as an engine of the comparison (``verification.ComparedModel``).

    Args:
        folder: the folder.
        segmenters: SentencePiece files of source and target; those in the folder if None.
        tags: language tags; each is one piece.
        lowercase: whether text is lowercased first.
        compute_type: what CTranslate2 computes in; ``float32`` adds no rounding to that of the weights.

    Raises:
        BundleError: a file of the folder is missing, damaged or no plain file.
        ConfigError: ctranslate2 is not installed.
        ConversionError: CTranslate2 cannot open the folder.
    """

    is_single_precision = True

    def __init__(
        self,
        folder: Path,
        *,
        segmenters: tuple[Path, Path] | None = None,
        tags: Sequence[str] = (),
        lowercase: bool = False,
        compute_type: str = "float32",
    ) -> None:
        library = ctranslate2_library()
        self.name = f"ctranslate2 {library.__version__} in {compute_type}"
        self._longest = read_ctranslate2_file(folder / "model.bin").num_positions
        words = read_table(folder / "config.json")
        self.source_pieces = _vocabulary(folder, "source")
        self.target_pieces = _vocabulary(folder, "target")
        self._ids = {piece: number for number, piece in enumerate(self.source_pieces)}
        target_ids = {piece: number for number, piece in enumerate(self.target_pieces)}
        self._eos = str(words.get("eos_token"))
        unknown = str(words.get("unk_token"))
        if self._eos not in self._ids or self._eos not in target_ids or unknown not in self._ids:
            raise ConversionError(f"{folder}: config.json names special pieces that the vocabulary does not have")
        self._unknown, self.eos_id = self._ids[unknown], target_ids[self._eos]
        self._segmenters = [
            sentencepiece.SentencePieceProcessor(model_proto=read_segmenter(path).model)
            for path in segmenters or (folder / SOURCE_SEGMENTER, folder / TARGET_SEGMENTER)
        ]
        self._tags, self._lowercase = tuple(tags), lowercase
        try:
            self._translator: Any = library.Translator(
                str(folder), compute_type=compute_type, intra_threads=torch.get_num_threads()
            )
        except Exception as error:  # of any kind: it is another project's code
            raise ConversionError(f"{folder}: {self.name} cannot open it: {error}") from error

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Cut source texts; the end of sentence, which CTranslate2 adds itself, comes last."""
        end = self._ids[self._eos]
        return [[*(self._ids.get(piece, self._unknown) for piece in self.cut(text)), end] for text in texts]

    def cut(self, text: str) -> list[str]:
        """Cut a text into pieces, as the guide recommends."""
        text = text.lower() if self._lowercase else text
        for tag in self._tags:
            if text.startswith(tag):
                return [tag, *self._segmenters[0].encode(text[len(tag) :].removeprefix(" "), out_type=str)]
        return list(self._segmenters[0].encode(text, out_type=str))

    def decode(self, ids: Sequence[int]) -> str:
        """Join target pieces to text, as the guide recommends; the caller has removed special pieces.

        A joint vocabulary has pieces that the target's segmenter does not know; it leaves them unchanged.
        """
        text = str(self._segmenters[1].decode_pieces([self.target_pieces[i] for i in ids]))
        return text.replace("\u2581", " ").strip()

    def log_probabilities(self, source_ids: Sequence[int], target_ids: Sequence[int]) -> Tensor:
        """Return the log-probabilities of each next piece along a forced target, [target, vocab].

        Those of the forced pieces themselves are ``score_batch``'s, the others the step-by-step decoder's.
        """
        source, target = self._source(source_ids), [self.target_pieces[i] for i in target_ids[:-1]]
        (found,) = self._stepped([source], [target])
        found[torch.arange(len(target_ids)), torch.tensor(list(target_ids))] = self._scored(source, target)
        return found

    def search(
        self, source_ids: Sequence[Sequence[int]], *, beam_size: int, longest: int, never: Sequence[int]
    ) -> list[list[int]]:
        """Translate with CTranslate2's own search; ids without the end of sentence."""
        sources = [self._source(ids) for ids in source_ids]
        found = self._call(
            "translate_batch",
            sources,
            beam_size=beam_size,
            length_penalty=1,
            max_decoding_length=longest,
            min_decoding_length=0,
            suppress_sequences=[[self.target_pieces[i]] for i in never],
        )
        ids = {piece: number for number, piece in enumerate(self.target_pieces)}
        return [[ids[piece] for piece in result.hypotheses[0]] for result in found]

    def stepper(self) -> CTranslate2Stepper:
        """Return this model as the search sees it."""
        return CTranslate2Stepper(self)

    def _source(self, ids: Sequence[int]) -> list[str]:
        return [self.source_pieces[i] for i in ids[:-1]]

    def _call(self, method: str, *arguments: object, **settings: object) -> Any:
        try:
            return getattr(self._translator, method)(*arguments, **settings)
        except (RuntimeError, ValueError) as error:
            raise ConversionError(f"{self.name} stops with an error: {error}") from error

    def _stepped(
        self, sources: Sequence[Sequence[str]], prefixes: Sequence[Sequence[str]], *, first: int = 0
    ) -> list[Tensor]:
        """Return the log-probabilities of each next piece along prefixes of one length, from place ``first`` on."""
        length = len(prefixes[0])
        found = self._call(
            "translate_batch",
            [list(source) for source in sources],
            target_prefix=[list(prefix) for prefix in prefixes] if length else None,
            beam_size=1,
            max_decoding_length=length + 1,
            min_decoding_length=0,
            max_input_length=0,
            return_logits_vocab=True,
        )
        logits = [torch.from_numpy(np.stack([np.array(row) for row in result.logits[0][first:]])) for result in found]
        return [rows.double().log_softmax(-1) for rows in logits]

    def _scored(self, source: list[str], target: list[str]) -> Tensor:
        """Return the log-probabilities of the forced pieces and of the end, computed beside a longer pair."""
        beside = [[*pieces, *pieces[:1] * _PIECES_LONGER] for pieces in (source, target)]
        if max(len(pieces) + 1 for pieces in beside) > self._longest:
            beside = [source, target]
        found = self._call("score_batch", [source, beside[0]], [target, beside[1]], max_input_length=0)
        return torch.tensor(found[0].log_probs, dtype=torch.float64)


class CTranslate2Stepper:
    """The folder as a stepper; every step computes the whole prefix again."""

    def __init__(self, engine: CTranslate2Model) -> None:
        self._engine = engine
        self.vocab_size = len(engine.target_pieces)
        self.eos_id = engine.eos_id
        self.max_length = engine._longest
        self._sources: list[list[str]] = []
        self._prefixes: list[list[str]] = []

    def start(self, source_ids: Sequence[Sequence[int]]) -> None:
        """Take the sentences."""
        self._sources = [self._engine._source(ids) for ids in source_ids]
        self._prefixes = [[] for _ in source_ids]

    def step(self, last_ids: Tensor | None) -> Tensor:
        """Append ids [rows] and return the log-probabilities of the next, [rows, vocab]."""
        if last_ids is not None:
            for prefix, number in zip(self._prefixes, last_ids.tolist(), strict=True):
                prefix.append(self._engine.target_pieces[number])
        places = len(self._prefixes[0])
        return torch.cat(self._engine._stepped(self._sources, self._prefixes, first=places))

    def select(self, rows: Tensor) -> None:
        """Go on with these rows."""
        self._sources = [self._sources[row] for row in rows.tolist()]
        self._prefixes = [list(self._prefixes[row]) for row in rows.tolist()]


def _vocabulary(folder: Path, side: str) -> tuple[str, ...]:
    """Return the pieces of a side by id.

    Raises:
        BundleError: missing, or no list of texts.
    """
    own = folder / f"{side}_vocabulary.json"
    path = own if own.exists() else folder / "shared_vocabulary.json"
    return read_pieces(path)
