"""Truths about text that hold for any text, found out with many that nobody would write."""

from __future__ import annotations

import random
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.config import (
    BatchLengths,
    BatchType,
    CleaningConfig,
    CorpusConfig,
    DataConfig,
    InvalidUtf8,
    SpecialIds,
    TokenizerConfig,
)
from pellucid.text.batching import epoch_batches, make_batch
from pellucid.text.cleaning import Cleaner
from pellucid.text.corpus import SentencePair, read_pairs, verify_corpora
from pellucid.text.lines import read_lines
from pellucid.text.normalisation import Normaliser
from pellucid.text.store import write_store
from pellucid.text.tokenizer import BytesTokenizer, Tokenizer, train_tokenizer

ANY_TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)
# What text generators rarely draw: joined and composed characters, directions, spaces, marks of the tools.
AWKWARD = st.sampled_from(
    [
        *"\x00\t\n\r\x0b\x1f\x7f\x85\u00a0\u00ad\u0301\u0327\u200b\u200d\u200f\u202e\u2028\u2047",
        *"\u2581\u2585\u3000\ufeff，！İẞǆé한",
        *("👩‍👧", "🇩🇪", "\u1112\u1161\u11ab", "שָׁ", "<s>", "</s>", "<0x41>", ">>fr<<", " ", "  ", "satz", "07"),
    ]
)
TEXT = ANY_TEXT | st.lists(AWKWARD | ANY_TEXT, max_size=12).map("".join)


@cache
def tokenizer(kind: str) -> Tokenizer:
    generator = random.Random(7)
    words = ["satz", "haus", "Ärger", "été", "ein", "das", "Fußball", "7", "24", "，", "中文字"]

    def sentence() -> str:
        return " ".join(generator.choices(words, k=generator.randint(1, 9)))

    pairs = [SentencePair(sentence(), sentence(), i, 0) for i in range(199)]
    config = {
        "unigram": TokenizerConfig(),
        "bpe": TokenizerConfig(model_type="bpe", character_coverage=0.98, lowercase=True),
        "bytes": TokenizerConfig(kind="bytes"),
    }[kind]
    return train_tokenizer(lambda: pairs, config, seed=1, threads=1)


@given(st.sampled_from(["unigram", "bpe", "bytes"]), st.lists(TEXT, max_size=4))
@settings(max_examples=400)
def test_text_in_is_text_out(kind: str, texts: list[str]) -> None:
    chosen = tokenizer(kind)
    normalise = Normaliser(lowercase=kind == "bpe")
    ids = chosen.encode_target(texts)
    assert chosen.decode_target(ids) == [normalise(text) for text in texts]
    assert chosen.encode_target([normalise(text) for text in texts]) == ids
    assert all(set(chosen.specials.model_dump().values()).isdisjoint(row) for row in ids)


@given(st.booleans(), TEXT)
def test_normalising_twice_is_normalising_once(lowercase: bool, text: str) -> None:
    normalise = Normaliser(lowercase=lowercase)
    assert normalise(normalise(text)) == normalise(text)


@given(
    st.lists(TEXT.map(lambda text: text.replace("\n", "").rstrip("\r").lstrip("\ufeff").replace("\x00", ""))),
    st.booleans(),
)
def test_lines_written_are_lines_read(texts: list[str], windows: bool) -> None:
    end = "\r\n" if windows else "\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "text"
        path.write_bytes("".join(text + end for text in texts).encode())
        if texts:
            assert list(read_lines(path, invalid_utf8=InvalidUtf8.STRICT)) == texts


@given(st.lists(st.tuples(st.binary(max_size=9), st.binary(max_size=9)), min_size=1), st.sampled_from(InvalidUtf8))
def test_any_bytes_stay_aligned_and_are_counted(rows: list[tuple[bytes, bytes]], policy: InvalidUtf8) -> None:
    clean = [tuple(side.replace(b"\n", b"") for side in row) for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        corpus = CorpusConfig(src=Path(folder) / "s", tgt=Path(folder) / "t")
        for side, path in enumerate(corpus.paths()):
            # The first line keeps a byte order mark and other encodings' marks from being seen at the start.
            path.write_bytes(b"start\n" + b"".join(row[side] + b"\n" for row in clean))
        if policy is InvalidUtf8.STRICT:
            return
        (facts,) = verify_corpora(DataConfig(train=(corpus,), invalid_utf8=policy))
        pairs = list(read_pairs(corpus, index=0, invalid_utf8=policy))
        assert facts.pairs == len(pairs)
        assert facts.pairs + sum(facts.skipped.values()) == len(rows) + 1
        for pair in pairs[1:]:
            for text, raw in zip((pair.source, pair.target), clean[pair.line - 1], strict=True):
                expected = raw.removesuffix(b"\r").decode("utf-8", errors="replace").replace("\x00", "\ufffd")
                assert text == expected


@given(
    st.lists(st.tuples(st.sampled_from(["", "a", "b c", "x" * 30]), TEXT)),
    st.integers(1, 40),
    st.booleans(),
    st.booleans(),
)
def test_the_cleaning_report_adds_up(rows: list[tuple[str, str]], longest: int, empty: bool, repeated: bool) -> None:
    config = CleaningConfig(max_characters=longest, drop_empty=empty, drop_duplicates=repeated, max_ratio=2)
    cleaner = Cleaner(config)
    pairs = [SentencePair(source, target, i, 0) for i, (source, target) in enumerate(rows)]
    kept = list(cleaner.clean(pairs))
    report = cleaner.report()
    assert report.read == len(pairs)
    assert report.kept == len(kept) == report.read - sum(report.dropped.values())
    assert [pair.line for pair in kept] == sorted(pair.line for pair in kept)
    if repeated:
        assert len({(pair.source.strip(), pair.target.strip()) for pair in kept}) == len(kept)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=9))
@settings(max_examples=25)
def test_a_store_gives_back_what_it_was_given(rows: list[tuple[str, str]]) -> None:
    chosen = BytesTokenizer()
    pairs = [SentencePair(*sides, line=3 * i, corpus=i % 3) for i, sides in enumerate(rows)]
    with tempfile.TemporaryDirectory() as folder:
        store = write_store(Path(folder) / "data", pairs, chosen, max_length=5000)
        for i, pair in enumerate(pairs):
            assert store.source(i).tolist() == chosen.encode_source([pair.source])[0]
            assert store.target(i).tolist() == chosen.encode_target([pair.target])[0]
        assert list(zip(store.line.tolist(), store.corpus.tolist(), strict=True)) == [(p.line, p.corpus) for p in pairs]


LENGTHS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=80)


@given(
    LENGTHS,
    st.integers(31, 200),
    st.integers(0, 5),
    st.integers(0, 5),
    st.sampled_from(BatchType),
    st.sampled_from(BatchLengths),
)
def test_batches_hold_every_row_once_within_the_budget(
    lengths: list[tuple[int, int]], batch_size: int, seed: int, epoch: int, batch_type: BatchType, kind: BatchLengths
) -> None:
    source, target = np.array(lengths).T
    batches, again = (
        epoch_batches(
            source, target, batch_size=batch_size, batch_type=batch_type, batch_lengths=kind, seed=seed, epoch=epoch
        )
        for _ in range(2)
    )
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert [b.tolist() for b in batches] == [b.tolist() for b in again]
    for rows in batches:
        longer = 1 + np.maximum(source[rows], target[rows])
        tokens = longer.sum() if kind is BatchLengths.MIXED else len(rows) * longer.max()
        assert (tokens if batch_type is BatchType.TOKENS else len(rows)) <= batch_size


@given(st.lists(st.floats(0.05, 3), min_size=1, max_size=4), st.integers(1, 60), st.integers(0, 9))
def test_weighted_epochs_are_fair_to_every_row(weights: list[float], rows: int, seed: int) -> None:
    corpus = np.arange(rows) % len(weights)
    lengths = np.full(rows, 5)
    epochs = 6
    total = np.zeros(rows, dtype=np.int64)
    for epoch in range(epochs):
        batches = epoch_batches(
            lengths, lengths, batch_size=64, batch_type=BatchType.TOKENS, seed=seed, epoch=epoch,
            corpus=corpus, weights=weights,
        )  # fmt: skip
        assert batches
        total += np.bincount(np.concatenate(batches), minlength=rows)
    for index, weight in enumerate(weights):
        own = total[corpus == index]
        if own.size and weight * own.size >= 1:
            assert own.max() - own.min() <= 1
            assert abs(own.sum() - epochs * weight * own.size) <= 1


class Rows:
    """Rows of ids in place of a token store."""

    def __init__(self, rows: list[list[int]]) -> None:
        self.rows = rows

    def source(self, row: int) -> np.ndarray:
        return np.array(self.rows[row], dtype=np.int64)

    target = source


@given(st.lists(st.lists(st.integers(0, 9), max_size=7), max_size=7), st.integers(0, 9))
def test_padding_keeps_the_rows(rows: list[list[int]], pad: int) -> None:
    specials = SpecialIds(pad=pad, unk=10, eos=11)
    batch = make_batch(Rows(rows), np.arange(len(rows)), specials=specials, start_id=12)
    ids, mask = batch.source_ids, batch.source_mask
    assert [row[kept].tolist() for row, kept in zip(ids, mask, strict=True)] == [[*row, 11] for row in rows]
    assert (ids[~mask] == pad).all()
