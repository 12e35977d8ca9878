"""Tokenizers made elsewhere: pieces looked up by spelling, and tables of characters that must not lead astray."""

from __future__ import annotations

import functools
import io
import random
from pathlib import Path

import pytest
import sentencepiece

from pellucid.config import SpecialIds
from pellucid.errors import BundleError
from pellucid.text.normalisation import Normaliser
from pellucid.text.sentencepiece.file import inspect
from pellucid.text.sentencepiece.segmenter import Segmenter
from pellucid.text.subword import Side, Tokenizer
from pellucid.text.tokenizer import load_tokenizer
from pellucid.text.vocabulary import Vocabulary

TAG = ">>fra<<"
SPECIALS = SpecialIds(pad=6, unk=1, bos=0, eos=0)
PIECES = ("</s>", "<unk>", TAG, "\u2581a", "\u2581", "\u2603", "<pad>")


@functools.cache
def model(rule: str) -> bytes:
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b a", "b a b"] * 11),
        model_writer=written,
        vocab_size=11,
        hard_vocab_limit=False,
        normalization_rule_name=rule,
        minloglevel=2,
    )
    return written.getvalue()


@pytest.fixture
def tokenizer() -> Tokenizer:
    segmenter = Segmenter(model("nmt_nfkc"), place="here")
    vocabulary = Vocabulary(PIECES, specials=SPECIALS, tags=(TAG,))
    side = Side(Normaliser("none"), segmenter, vocabulary, by_spelling=True)
    return Tokenizer(side, side, partial_vocabulary=True)


def test_what_the_segmenter_does_not_know_the_vocabulary_may(tokenizer: Tokenizer) -> None:
    snowman = PIECES.index("\u2603")
    assert tokenizer.encode_source(["a \u2603"]) == [[3, 4, snowman]]
    assert tokenizer.encode_source(["a \u2604"]) == [[3, 4, SPECIALS.unk]]


def test_a_piece_that_the_vocabulary_lacks_is_unknown(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode_source(["b"]) == [[SPECIALS.unk]]


def test_a_tag_leads_and_text_is_never_a_special_piece(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode_source([f"{TAG} a"]) == [[2, 3]]
    assert not {SPECIALS.pad, SPECIALS.eos} & set(tokenizer.encode_source(["</s> <pad>"])[0])


def test_it_is_the_same_after_saving(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    again = load_tokenizer(tmp_path)
    texts = [f"{TAG}a \u2603 b", "a  a"]
    assert again.encode_source(texts) == tokenizer.encode_source(texts)
    assert again.fingerprint == tokenizer.fingerprint


@pytest.mark.parametrize("rule", ["nmt_nfkc", "nfkc_cf", "identity"])
def test_tables_of_characters_that_sentencepiece_writes_are_sound(rule: str) -> None:
    assert inspect(model(rule), place="here").has_character_table is (rule != "identity")


def test_a_table_that_leads_out_of_itself_is_refused() -> None:
    raw = model("nmt_nfkc")
    start = raw.index(b"nmt_nfkc") + len(b"nmt_nfkc") + 4 + 4  # the name, the field's head, the table's length
    refused = 0
    for seed in range(29):
        place = start + 4 * random.Random(seed).randrange(256)
        damaged = bytearray(raw)
        damaged[place : place + 4] = (0x1FFFFF << 10 | 1 << 9 | 1 << 8).to_bytes(4, "little")
        with pytest.raises(BundleError, match="table of characters has an offset beyond its end"):
            inspect(bytes(damaged), place="here")
        refused += 1
    assert refused == 29


def test_a_table_cut_short_is_refused() -> None:
    raw = model("nmt_nfkc")
    place = raw.index(b"nmt_nfkc") + len(b"nmt_nfkc") + 4
    with pytest.raises(BundleError, match="wrong length"):
        inspect(raw[:place] + b"\xff\xff\xff\x00" + raw[place + 4 :], place="here")
