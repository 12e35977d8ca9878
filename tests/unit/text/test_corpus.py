"""Pairs stay pairs; whatever is wrong with any file is known before anything else happens."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from tests.memory import traced_peak

from pellucid.config import CorpusConfig, DataConfig, InvalidUtf8
from pellucid.errors import DataError
from pellucid.text import lines
from pellucid.text.corpus import CorpusFacts, SentencePair, read_pairs, verify_corpora

STRICT, REPLACE, SKIP = InvalidUtf8.STRICT, InvalidUtf8.REPLACE, InvalidUtf8.SKIP


def parallel(folder: Path, src: bytes, tgt: bytes) -> CorpusConfig:
    (folder / "s").write_bytes(src)
    (folder / "t").write_bytes(tgt)
    return CorpusConfig(src=folder / "s", tgt=folder / "t")


def sides(corpus: CorpusConfig, policy: InvalidUtf8 = STRICT) -> list[tuple[str, str]]:
    return [(pair.source, pair.target) for pair in read_pairs(corpus, index=0, invalid_utf8=policy)]


def verified(corpus: CorpusConfig, policy: InvalidUtf8 = STRICT) -> CorpusFacts:
    (facts,) = verify_corpora(DataConfig(train=(corpus,), invalid_utf8=policy))
    return facts


def test_parallel_files_pair_line_by_line(tmp_path: Path) -> None:
    corpus = parallel(tmp_path, "a\u2028b\r\nc\n\n".encode(), b"\xef\xbb\xbfd\ne\nf")
    assert list(read_pairs(corpus, index=3, invalid_utf8=STRICT)) == [
        SentencePair("a\u2028b", "d", 0, 3),
        SentencePair("c", "e", 1, 3),
        SentencePair("", "f", 2, 3),
    ]
    facts = verified(corpus)
    assert (facts.pairs, facts.skipped, facts.replaced, facts.label) == (3, {}, 0, "s")


def test_tsv_takes_the_columns_that_were_named(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_bytes(b'7\t"a\tb\textra\n8\tc"\t\n')
    corpus = CorpusConfig(tsv=tmp_path / "x.tsv", src_column=2, tgt_column=1)
    assert sides(corpus) == [("b", '"a'), ("", 'c"')]


def test_json_lines_take_the_keys_that_were_named(tmp_path: Path) -> None:
    rows = [{"de": "ä\u2028", "en": "\U0001f600", "id": 1}, {"en": "", "de": "x\ty"}]
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress("\r\n".join(json.dumps(row) for row in rows).encode()))
    corpus = CorpusConfig(jsonl=tmp_path / "x.jsonl.gz", src_key="de", tgt_key="en")
    assert sides(corpus) == [("ä\u2028", "\U0001f600"), ("x\ty", "")]
    assert verified(corpus).files[0].compression == "gzip"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (b"oops", "line 2: is not JSON"),
        (b"", "line 2: is not JSON"),
        (b"[" * 100_000, "line 2: is not JSON"),
        (b"9" * 5000, "line 2: is not JSON"),
        (b"[1, 2]", "line 2: is JSON but not an object"),
        (b'{"source": "a"}', "line 2: the key 'target' is missing; the line has the keys \\['source'\\]"),
        (b'{"source": 3, "target": "b"}', "line 2: the key 'source' is not a string \\(int\\)"),
        (b'{"source": "a\\nb", "target": "b"}', "line 2: the value of 'source' has a line break"),
        (b'{"source": "\\ud800", "target": "b"}', "line 2: the value of 'source' has a NUL .* or lone surrogate"),
        (b'{"source": "a", "target": "\\u0000"}', "line 2: the value of 'target' has a NUL"),
    ],
)
def test_a_bad_json_line_is_named(tmp_path: Path, row: bytes, words: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"source": "a", "target": "b"}\n' + row + b"\n")
    corpus = CorpusConfig(jsonl=path)
    for check in (verified, sides):
        with pytest.raises(DataError, match=f"x.jsonl, {words}"):
            check(corpus)


def test_json_text_follows_the_policy_for_bad_text(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"source": "\\ud800a", "target": "b"}\n{"source": "c", "target": "d"}\n\xff\n')
    corpus = CorpusConfig(jsonl=path)
    assert sides(corpus, SKIP) == [("c", "d")]
    facts = verified(corpus, SKIP)
    assert (facts.pairs, sum(facts.skipped.values())) == (1, 2)
    path.write_bytes(path.read_bytes()[:-2])
    assert sides(corpus, REPLACE) == [("\ufffda", "b"), ("c", "d")]
    assert verified(corpus, REPLACE).replaced == 1


def test_a_short_tsv_row_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_bytes(b"a\tb\nc d\n")
    for check in (verified, sides):
        with pytest.raises(
            DataError, match=r"x\.tsv, line 2: the row has 1 column, but src_column = 0 and tgt_column = 1"
        ):
            check(CorpusConfig(tsv=tmp_path / "x.tsv"))


@pytest.mark.parametrize("extra", [1, 5])
@pytest.mark.parametrize("longer", ["source", "target"])
def test_unequal_files_are_refused_with_both_counts(tmp_path: Path, longer: str, extra: int) -> None:
    short, long = b"wort\n" * 7, b"wort\n" * (7 + extra)
    corpus = parallel(tmp_path, *((long, short) if longer == "source" else (short, long)))
    counts = (7 + extra, 7) if longer == "source" else (7, 7 + extra)
    for check in (verified, sides):
        with pytest.raises(DataError, match=f"s has {counts[0]} lines and .*t has {counts[1]}"):
            check(corpus)


def test_the_place_where_files_part_is_guessed(tmp_path: Path) -> None:
    rows = ["wort " * (1 + 7 * i % 13) for i in range(401)]
    missing = rows[:211] + rows[213:]
    corpus = parallel(tmp_path, "\n".join(rows).encode(), "\n".join(missing).encode())
    with pytest.raises(DataError, match=r"diverge near line 21[0-4]"):
        verified(corpus)


def test_policies_keep_pairs_aligned_and_the_counts_add_up(tmp_path: Path) -> None:
    corpus = parallel(tmp_path, b"a\n\xff\nc\nd\ne\n", b"A\nB\n\x00\n\xff\xff\nE\n")
    assert sides(corpus, SKIP) == [("a", "A"), ("e", "E")]
    facts = verified(corpus, SKIP)
    assert (facts.pairs, facts.skipped) == (2, {"invalid UTF-8": 2, "NUL character": 1})
    assert facts.pairs + sum(facts.skipped.values()) == facts.files[0].num_lines
    assert sides(corpus, REPLACE)[1] == ("\ufffd", "B")
    facts = verified(corpus, REPLACE)
    assert (facts.pairs, facts.replaced, facts.skipped) == (5, 3, {})


def test_verified_pairs_are_those_that_are_read(tmp_path: Path) -> None:
    corpus = parallel(tmp_path, b"a\n\xff\nc\n", b"A\nB\nC\n")
    for policy in (SKIP, REPLACE):
        assert verified(corpus, policy).pairs == len(sides(corpus, policy))


def test_problems_of_all_files_come_together_and_many_are_cut(tmp_path: Path) -> None:
    first = parallel(tmp_path, b"a\n" + b"\xff\n" * 19, b"b\n" * 13)
    (tmp_path / "x.tsv").write_bytes(b"one\n")
    data = DataConfig(train=(first, CorpusConfig(tsv=tmp_path / "x.tsv")), valid=CorpusConfig(jsonl=tmp_path / "none"))
    with pytest.raises(DataError) as caught:
        verify_corpora(data)
    message = str(caught.value)
    assert "s, line 2:" in message
    assert "s: 14 more bad lines" in message
    assert "20 lines" in message
    assert "13" in message
    assert "x.tsv, line 1:" in message
    assert "none: no such file" in message
    assert len(message.splitlines()) < 12


def test_a_file_of_bad_lines_only_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"every line is bad and skipped \(2 lines\)"):
        verified(parallel(tmp_path, b"\xff\n\xff\n", b"a\nb\n"), SKIP)


def test_the_digest_follows_the_text_and_not_its_packing(tmp_path: Path) -> None:
    plain = verified(parallel(tmp_path, b"a\nb\n", b"c\nd\n")).sha256
    packed = verified(parallel(tmp_path, gzip.compress(b"a\nb\n"), b"c\nd\n")).sha256
    swapped = verified(parallel(tmp_path, b"c\nd\n", b"a\nb\n")).sha256
    changed = verified(parallel(tmp_path, b"a\nb\n", b"c\ne\n")).sha256
    assert plain == packed
    assert len({plain, swapped, changed}) == 3


def test_reading_takes_the_same_memory_for_any_length(tmp_path: Path) -> None:
    row = b"ein langer satz mit vielen worten, immer wieder\n"
    corpus = parallel(tmp_path, row * 80_000, row * 80_000)
    with traced_peak() as peak:
        for _ in read_pairs(corpus, index=0, invalid_utf8=STRICT):
            pass
        verified(corpus)
    assert peak.bytes < 10e6, f"{peak.bytes:,}: the lines of both files would be 15 MB as strings"


@pytest.mark.parametrize("policy", [SKIP, REPLACE])
def test_a_line_that_is_too_long_is_left_out_and_counted(
    policy: InvalidUtf8, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "BLOCK_BYTES", 8)
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 10)
    corpus = parallel(tmp_path, b"a\n" + b"x" * 30 + b"\n\xff\nd\n", b"A\nB\nC\n" + b"y" * 30)
    assert sides(corpus, policy) == [("a", "A"), *([("\ufffd", "C")] if policy is REPLACE else [])]
    facts = verified(corpus, policy)
    assert facts.skipped["line too long"] == 2
    assert facts.pairs + sum(facts.skipped.values()) == facts.files[0].num_lines == 4
    assert facts.replaced == (policy is REPLACE)


def test_a_line_that_is_too_long_is_an_error_by_default_and_the_rest_is_still_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "BLOCK_BYTES", 8)
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 10)
    corpus = parallel(tmp_path, b"a\n" + b"x" * 30 + b"\n\xff\n", b"A\nB\nC\n")
    with pytest.raises(DataError, match=r"(?s)s, line 2: the line has more than 10 bytes.*s, line 3: byte 1"):
        verified(corpus)
