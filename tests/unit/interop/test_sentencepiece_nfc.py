"""An exported SentencePiece file carries our NFC: it cuts text as our tokenizer does, whatever form it comes in."""

from __future__ import annotations

import io
import itertools
import random
import unicodedata

import pytest
import sentencepiece

from pellucid.interop.sentencepiece_nfc import nfc_rules, with_nfc
from pellucid.text.sentencepiece.file import fields
from pellucid.text.sentencepiece.foreign import foreign_segmenter

from .kit import segmenter, sentences

TEXTS = [
    "Tiếng Việt có dấu: ổ ễ ự ặ ờ.",
    "한국어 문장은 자모로 쓸 수 있다.",
    "Žluťoučký kůň, naïve façade, Ångström, ǖ ǘ ǚ.",
    "Ελληνικά: ᾄδω, ᾧ, ἄνθρωπος.",
    "हिन्दी क़ ज़ फ़; বাংলা ো ৌ; தமிழ் கொ கோ.",
    "שָׁלוֹם וּבְרָכָה",
    "اَلسَّلَامُ عَلَيْكُمْ أُؤْ إِ آ",
    "日本語 が ぎ パ; Ω Å K 豈 更",
]


def own_model(extra: str = "") -> bytes:
    """Learn a model as ours are: no character is rewritten."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([unicodedata.normalize("NFC", text) for text in [*sentences(1), *TEXTS * 3]]),
        model_writer=model,
        vocab_size=307,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        hard_vocab_limit=False,
        character_coverage=1.0,
        minloglevel=2,
        num_threads=1,
    )
    return model.getvalue()


@pytest.fixture(scope="module")
def models() -> tuple[bytes, bytes]:
    model = own_model()
    return model, with_nfc(model)


def cut(model: bytes, text: str) -> list[str]:
    return list(sentencepiece.SentencePieceProcessor(model_proto=model).encode(text, out_type=str))


def scrambled(text: str, generator: random.Random) -> str:
    """Write a text out in single marks, those of each character in some order of equal meaning."""
    found = ""
    for character in text:
        base, *marks = unicodedata.normalize("NFD", character)
        same = [base + "".join(order) for order in itertools.permutations(marks)]
        nfc = unicodedata.normalize("NFC", character)
        found += generator.choice([s for s in same if unicodedata.normalize("NFC", s) == nfc])
    return found


@pytest.mark.parametrize("text", TEXTS)
def test_every_form_of_a_text_is_cut_alike(text: str, models: tuple[bytes, bytes]) -> None:
    plain, carrying = models
    generator = random.Random(7)
    expected = cut(plain, unicodedata.normalize("NFC", text))
    for form in (text, unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)):
        assert cut(carrying, form) == expected
    for _ in range(7):
        assert cut(carrying, scrambled(text, generator)) == expected


def test_every_character_and_every_rule_is_nfc(models: tuple[bytes, bytes]) -> None:
    processor = sentencepiece.SentencePieceProcessor(model_proto=models[1])
    singles = [chr(code) for code in range(1, 0x110000) if not 0xD800 <= code < 0xE000 and chr(code) not in "\t\u2581"]
    texts = [*singles, *nfc_rules()]
    # SentencePiece writes its space for a space, and puts one before the text.
    for text, found in zip(texts, processor.normalize(texts), strict=True):
        expected = "\u2581" + unicodedata.normalize("NFC", text).replace(" ", "\u2581")
        assert found == expected, [hex(ord(c)) for c in text]


def test_only_the_normaliser_changes_and_the_file_passes_for_a_strangers(models: tuple[bytes, bytes]) -> None:
    before, after = ([(n, v) for n, _, v in fields(model) if n != 3] for model in models)
    assert before == after
    walked = foreign_segmenter(models[1], place="source.spm").file
    assert (walked.has_character_table, walked.normaliser, walked.dummy_prefix) == (True, "user_defined", True)
    assert with_nfc(models[0]) == models[1]


def test_a_file_that_rewrites_characters_already_is_not_taken() -> None:
    with pytest.raises(ValueError, match="already"):
        with_nfc(segmenter(1))
