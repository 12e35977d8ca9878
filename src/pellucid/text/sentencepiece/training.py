"""Train a SentencePiece model, with every option of the trainer set explicitly.

The C++ library gets only valid input: no NUL, no reserved characters, no line over its limit, at least one sentence.
Sampling is ours and seeded, because the library seeds its generator once for each process. Read ``../tokenizer.py``
next.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, cast

import numpy as np
import sentencepiece

from pellucid.config import TokenizerConfig
from pellucid.errors import ConfigError, DataError, counted
from pellucid.text.normalisation import Normaliser
from pellucid.text.sentencepiece.file import MAX_PIECES
from pellucid.text.sentencepiece.segmenter import Segmenter
from pellucid.text.sentencepiece.sound_files import remember_sound
from pellucid.text.vocabulary import WORD_BOUNDARY

__all__ = ["AUTO_VOCAB_SIZE", "VocabularyChoice", "train_segmenter", "trainer_options"]

AUTO_VOCAB_SIZE: Final = 8000
MAX_SENTENCE_CHARACTERS: Final = 4096
"""Longer lines are cut for training; BPE has 16-bit positions (google/sentencepiece#340)."""

MAX_THREADS: Final = 1024
"""SentencePiece's own limit."""

# Control characters (with NUL or TAB SentencePiece drops the line), its marks for spaces and unknown pieces,
# noncharacters and private use. They become byte pieces and are not part of training.
_RESERVED: Final = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\u2581\u2585\ue000-\uf8ff\ufdd0-\ufdef\ufffe\uffff\U000f0000-\U0010ffff]"
)
_SPACES: Final = re.compile(" {2,}")
_TOO_HIGH: Final = re.compile(r"Vocabulary size too high \(\d+\).*<= (\d+)")
_TOO_LOW: Final = re.compile(r"smaller than required_chars\. (\d+) vs (\d+)")

Option = str | int | float | bool


@dataclass(frozen=True)
class VocabularyChoice:
    """The requested and the actual size of a vocabulary, specials included, and the reason for it."""

    side: str
    """``source``, ``target`` or ``joint``."""
    requested: int | str
    used: int
    reason: str
    num_sentences: int
    """The number of training sentences of the segmenter."""


def train_segmenter(
    texts: Iterable[str], config: TokenizerConfig, *, side: str, reserved: int, seed: int, threads: int
) -> tuple[Segmenter, VocabularyChoice]:
    """Train a segmenter whose pieces, together with ``reserved`` specials and tags, have the size ``vocab_size``.

    Args:
        texts: raw sentences, which are normalised here.
        config: ``vocab_size`` "auto" means 8000, fewer if the text is too small, and more if its alphabet needs more.
        side: for messages: ``source``, ``target`` or ``joint``.
        reserved: number of specials and tags of the vocabulary.
        seed: of the sample, if there are more sentences than ``input_sentence_size``.
        threads: recorded in the model; another number can give another model.

    Raises:
        DataError: there is no text.
        ConfigError: the size is impossible for this text; the message has the possible sizes.
    """
    wanted = AUTO_VOCAB_SIZE if config.vocab_size == "auto" else config.vocab_size
    if wanted > MAX_PIECES:
        raise ConfigError(
            f"tokenizer.vocab_size = {wanted} is over the limit {MAX_PIECES:,}; use 'auto', or a few thousand"
        )
    sentences = _sample(_presentable(texts, config), config.input_sentence_size, seed)
    if not sentences:
        raise DataError(f"there is no text to train a tokenizer on ({side}): every sentence is empty")
    size = wanted - reserved + 1  # SentencePiece counts its own unknown piece, which is one of ours too
    reason = "the setting tokenizer.vocab_size"
    try:
        model = _train(sentences, config, size=size, threads=threads)
    except _AlphabetTooLarge as error:
        least = error.required + reserved - 1
        if config.vocab_size != "auto":
            raise ConfigError(
                f"tokenizer.vocab_size = {wanted} is too small ({side}): the alphabet alone needs {least} pieces; use "
                f"at least that, or 'auto', or lower tokenizer.character_coverage = {config.character_coverage}"
            ) from None
        reason = f"auto: the alphabet alone needs {least} pieces, so twice as many are used"
        model = _train(sentences, config, size=2 * error.required, threads=threads)
    segmenter = Segmenter(model, place=f"the new {side} tokenizer")
    remember_sound(model)
    used = len(segmenter.pieces) + reserved - 1
    if used < wanted and config.vocab_size != "auto":
        raise ConfigError(
            f"tokenizer.vocab_size = {wanted} is too large for "
            f"{counted(len(sentences), 'sentence')} ({side}); use at most "
            f"{used}, or 'auto', or give more text"
        )
    if config.vocab_size == "auto" and used <= wanted:
        reason = (
            f"auto: {AUTO_VOCAB_SIZE}"
            if used == wanted
            else f"auto: {used} is the largest size for {counted(len(sentences), 'sentence')}"
        )
    return segmenter, VocabularyChoice(side, config.vocab_size, used, reason, len(sentences))


def trainer_options(config: TokenizerConfig, *, size: int, threads: int) -> dict[str, Option]:
    """Return every option of SentencePiece's trainer that affects the result, defaults included."""
    return {
        "vocab_size": size,
        "model_type": config.model_type,
        "character_coverage": config.character_coverage,
        "byte_fallback": config.byte_fallback,
        # The space must have a piece: in text with few spaces, character_coverage would drop it, and its byte pieces
        # would decode to its mark U+2581.
        "required_chars": WORD_BOUNDARY,
        # Our normalisation comes first, and SentencePiece changes nothing more. It puts one space before the text, so
        # that a word has the same pieces at the start of a text; decoding removes that space.
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "add_dummy_prefix": True,
        # Pieces do not cross words, scripts or digits. Every digit is a piece, so a model can copy any number.
        "split_by_whitespace": True,
        "split_by_unicode_script": True,
        "split_by_number": True,
        "split_digits": True,
        "treat_whitespace_as_suffix": False,
        "allow_whitespace_only_pieces": False,
        "max_sentencepiece_length": 16,
        # These ids are SentencePiece's; vocabulary.json has ours.
        "unk_id": 0,
        "bos_id": -1,
        "eos_id": -1,
        "pad_id": -1,
        # With a soft limit, a size that is too large gives the largest possible one; train_segmenter reports it.
        "hard_vocab_limit": False,
        "use_all_vocab": False,
        # Sampling and length are ours, see _sample and _presentable.
        "input_sentence_size": 0,
        "shuffle_input_sentence": False,
        "max_sentence_length": 4 * MAX_SENTENCE_CHARACTERS + 16,
        "seed_sentencepiece_size": 1_000_000,
        "shrinking_factor": 0.75,
        "num_sub_iterations": 2,
        "num_threads": threads,
    }


class _AlphabetTooLarge(Exception):
    def __init__(self, required: int) -> None:
        super().__init__(required)
        self.required = required


def _train(sentences: list[str], config: TokenizerConfig, *, size: int, threads: int) -> bytes:
    if size < 1:
        raise _AlphabetTooLarge(257 if config.byte_fallback else 2)
    options = trainer_options(config, size=size, threads=min(max(1, threads), MAX_THREADS))
    model = io.BytesIO()
    try:
        train = cast(Callable[..., None], sentencepiece.SentencePieceTrainer.train)
        train(sentence_iterator=iter(sentences), model_writer=model, minloglevel=2, **options)
    except RuntimeError as error:
        if found := _TOO_LOW.search(str(error)):
            raise _AlphabetTooLarge(int(found[2])) from None
        if found := _TOO_HIGH.search(str(error)):
            return _train(sentences, config, size=int(found[1]), threads=threads)
        raise DataError(f"SentencePiece cannot learn from this text: {error}") from error
    return model.getvalue()


def _presentable(texts: Iterable[str], config: TokenizerConfig) -> Iterator[str]:
    """Yield valid input for SentencePiece: normalised, without reserved characters, within its limit of length."""
    normalise = Normaliser(lowercase=config.lowercase)
    for text in texts:
        clean = _SPACES.sub(" ", _RESERVED.sub(" ", normalise(text))).strip(" ")
        while len(clean) > MAX_SENTENCE_CHARACTERS:
            cut = clean.rfind(" ", 1, MAX_SENTENCE_CHARACTERS)
            cut = cut if cut > 0 else MAX_SENTENCE_CHARACTERS
            yield clean[:cut]
            clean = clean[cut:].lstrip(" ")
        if clean:
            yield clean


def _sample(sentences: Iterable[str], size: int, seed: int) -> list[str]:
    """Keep at most ``size`` sentences, all with the same probability (reservoir sampling, Vitter 1985, algorithm R)."""
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 0])))
    kept: list[str] = []
    draws = np.empty(0)
    for index, sentence in enumerate(sentences):
        if index < size:
            kept.append(sentence)
            continue
        if index % 65536 == 0 or not draws.size:
            draws = generator.random(65536)
        place = int(draws[index % 65536] * (index + 1))
        if place < size:
            kept[place] = sentence
    return kept
