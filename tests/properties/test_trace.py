"""What holds of every trace: its labels, its identities and its file, for any text and any shape of model."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models import random_model

from pellucid.config import TranslationConfig
from pellucid.jobs.surface import Trace, trace
from pellucid.text.tokenizer import BytesTokenizer
from pellucid.translation.alignment.words import merge_words
from pellucid.translation.translator import Translator

TOKENIZER = BytesTokenizer()
LONGEST = 61  # positions


def translator(**shape: object) -> Translator:
    base = {
        "d_model": 24,
        "d_feedforward": 7,
        "num_encoder_layers": 2,
        "num_decoder_layers": 1,
        "max_positions": LONGEST,
    }
    model = random_model(TOKENIZER, seed=1, dtype=torch.float64, **(base | shape))
    return Translator(model, TOKENIZER, config=TranslationConfig(max_length_factor=1e-9, max_length_constant=5))


TRANSLATOR = translator()
HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!-- a --> ]]> b",
    "\u202eabc\u202c\u2066אבג\u2069",
    "a 👩‍👩‍👧‍👦 🏳️‍🌈",
    "Z͑ͫaͮlgo",
    "</s> <pad> <s> ▁",
]
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=14).filter(re.compile(r"[^\W_]").search)


def back(made: Trace) -> Trace:
    with TemporaryDirectory() as folder:
        made.save(Path(folder) / "t.npz")
        return Trace.load(Path(folder) / "t.npz")


def assert_sound(made: Trace, source: str, target: str | None) -> None:
    report = made.check()
    assert report.passed, str(report)
    assert made.tokens.source_pieces[-1] == "</s>"
    # What a row predicts is what the next row is fed.
    assert made.tokens.fed_pieces[1:] == made.tokens.predicted_pieces[:-1]
    found = back(made)
    assert found == made
    assert found.source == source
    assert target is None or found.text == target


@settings(max_examples=25)
@given(texts, st.none() | texts.map(lambda text: text.replace("\r", "").replace("\n", "")))
def test_any_text_comes_through_unchanged(source: str, target: str | None) -> None:
    assert_sound(trace(TRANSLATOR, source, target=target, level="attention"), source, target)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_comes_through_unchanged(text: str) -> None:
    made = trace(TRANSLATOR, text, target=text)
    assert_sound(made, text, text)
    flat = text.replace("\r", " ").replace("\n", " ")
    assert TOKENIZER.decode_target([made.tokens.predicted_ids]) == [flat]


@settings(max_examples=15)
@given(
    heads=st.sampled_from([1, 2, 3, 8]),
    depths=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    order=st.sampled_from(["post", "pre"]),
    layout=st.sampled_from(["interleaved", "half_split_paper_frequency", "half_split_t2t", "learned"]),
    tied=st.booleans(),
    lengths=st.tuples(st.integers(1, LONGEST - 1), st.integers(0, LONGEST - 1)),
)
def test_every_shape_of_model_and_sentence_holds_together(
    heads: int, depths: tuple[int, int], order: str, layout: str, tied: bool, lengths: tuple[int, int]
) -> None:
    made = trace(
        translator(
            num_heads=heads,
            num_encoder_layers=depths[0],
            num_decoder_layers=depths[1],
            norm_order=order,
            position_layout=layout,
            share_embeddings=tied,
            share_decoder_embeddings=tied,
        ),
        "a" * lengths[0],
        target="b" * lengths[1],
    )
    report = made.check()
    assert report.passed, str(report)
    assert {skipped.name for skipped in report.skipped} == {"hypothesis"}
    assert len(made.arrays) == len(made.sites)
    assert (made.tokens.source_length, made.tokens.target_length) == (lengths[0] + 1, lengths[1] + 1)
    place = f"decoder.{depths[1] - 1}.cross_attention"
    np.testing.assert_allclose(made.head_shares(place).total, made[f"{place}.output"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("length", [1, LONGEST - 1])
def test_the_shortest_and_the_longest(length: int) -> None:
    text = "a" * length
    assert_sound(trace(TRANSLATOR, text, target=text), text, text)


pieces = st.lists(
    st.sampled_from(["▁", "▁a", "b", ".", "(", "é", "\u0301", "猫", "ก", "็", "<0xE7>", "<0x8C>", "<0x20>", "</s>", ""]),
    min_size=1,
)


@given(pieces)
def test_words_cover_all_pieces_and_lose_no_letter(pieces: list[str]) -> None:
    is_special = [piece == "</s>" for piece in pieces]
    words = merge_words(pieces, is_special=is_special)
    assert [place for word in words for place in range(word.start, word.end)] == list(range(len(pieces)))
    assert all(word.end - word.start == 1 for word in words if is_special[word.start])
    for word in words:
        spelt = "".join(piece for piece in pieces[word.start : word.end] if not piece.startswith("<0x"))
        for character in spelt.replace("▁", " ").strip():
            assert character in word.text
