"""A line is what ends at the byte ``\\n``; everything else about a file is said, with file and line."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import time
from pathlib import Path

import pytest
from tests.memory import traced_peak

from pellucid.config import InvalidUtf8
from pellucid.errors import DataError
from pellucid.text import lines
from pellucid.text.lines import LineReader, read_lines

STRICT, REPLACE, SKIP = InvalidUtf8.STRICT, InvalidUtf8.REPLACE, InvalidUtf8.SKIP


def written(folder: Path, raw: bytes, name: str = "text.de") -> Path:
    path = folder / name
    path.write_bytes(raw)
    return path


def read(path: Path, policy: InvalidUtf8 = STRICT) -> list[str | None]:
    return list(read_lines(path, invalid_utf8=policy))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"a\nb\n", ["a", "b"]),
        (b"a\nb", ["a", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\r\r\nb", ["a\r", "b"]),
        (b"a\rb\n", ["a\rb"]),
        (b"\n", [""]),
        (b"a\n\n\nb\n", ["a", "", "", "b"]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", ["a", "\ufeffb"]),
        (
            "a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg\x1dh\x1ei\n".encode(),
            ["a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg\x1dh\x1ei"],
        ),
        ("\u3000é😀\n \t \n".encode(), ["\u3000é😀", " \t "]),
    ],
)
def test_lines_end_at_the_newline_byte_and_nowhere_else(tmp_path: Path, raw: bytes, expected: list[str]) -> None:
    assert read(written(tmp_path, raw)) == expected


def test_lines_do_not_depend_on_the_size_of_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = ["ä" * n + "\u2028" for n in range(37)] + ["", "end"]
    path = written(tmp_path, "\r\n".join(rows).encode())
    for size in (1, 2, 3, 5, 7, 1000):
        monkeypatch.setattr(lines, "BLOCK_BYTES", max(size, 3))
        assert read(path) == rows


def test_compression_is_found_by_the_first_bytes(tmp_path: Path) -> None:
    raw = b"eins\nzwei\n"
    for name, packed, kind in (
        ("a.gz", gzip.compress(raw), "gzip"),
        ("b.txt", gzip.compress(raw[:5]) + gzip.compress(raw[5:]), "gzip"),
        ("c.xz", lzma.compress(raw), "xz"),
        ("d", lzma.compress(raw), "xz"),
        ("e", raw, "none"),
    ):
        reader = LineReader(written(tmp_path, packed, name), invalid_utf8=STRICT)
        assert [line for block in reader.blocks() for line in block] == ["eins", "zwei"]
        assert (reader.compression, reader.num_lines) == (kind, 2)
        assert reader.sha256 == hashlib.sha256(raw).hexdigest()


BAD = b"gut\nschl\xffecht\nnull\x00 und \xc3\n\xed\xa0\x80\nEnde\n"


def test_strict_names_file_line_and_byte(tmp_path: Path) -> None:
    path = written(tmp_path, BAD)
    with pytest.raises(DataError, match=r"text\.de, line 2: byte 5 \(0xff\) is not valid UTF-8.*'replace' or 'skip'"):
        read(path)


def test_skip_keeps_the_place_of_bad_lines_and_counts_them(tmp_path: Path) -> None:
    reader = LineReader(written(tmp_path, BAD), invalid_utf8=SKIP)
    assert [line for block in reader.blocks() for line in block] == ["gut", None, None, None, "Ende"]
    assert reader.bad_lines == {1: "invalid UTF-8", 2: "invalid UTF-8", 3: "invalid UTF-8"}


def test_replace_marks_what_was_lost(tmp_path: Path) -> None:
    found = read(written(tmp_path, BAD), REPLACE)
    assert found[:3] == ["gut", "schl\ufffdecht", "null\ufffd und \ufffd"]
    assert found[4] == "Ende"
    assert set(found[3] or "") == {"\ufffd"}


def test_a_nul_character_is_a_bad_line(tmp_path: Path) -> None:
    path = written(tmp_path, b"a\nb\x00c\n")
    with pytest.raises(DataError, match="line 2: character 2 is a NUL character"):
        read(path)
    assert read(path, SKIP) == ["a", None]
    assert read(path, REPLACE) == ["a", "b\ufffdc"]


@pytest.mark.parametrize(
    ("name", "raw", "words"),
    [
        ("empty", b"", "empty: is empty"),
        ("empty.gz", gzip.compress(b""), "is empty"),
        ("cut.gz", gzip.compress(os.urandom(5000).hex().encode() + b"\n")[:-40], "cut.gz: the gzip data is truncated"),
        ("cut.xz", lzma.compress(os.urandom(5000).hex().encode())[:-40], "cut.xz: the xz data is truncated"),
        (
            "broken.gz",
            gzip.compress(b"abc\n" * 99)[:-8] + b"12345678",
            "broken.gz: the gzip data is truncated or damaged",
        ),
        ("plain.gz", b"plain\n", "plain.gz: is named .gz but does not contain gzip data"),
        ("plain.xz", b"plain\n", "plain.xz: is named .xz"),
        ("wide", "breit\n".encode("utf-16"), "wide: the file is UTF-16"),
        ("mac", b"eins\rzwei\rdrei\r", r"mac: its lines end in \\r alone.*tr '\\r' '\\n'"),
        ("mac.gz", gzip.compress(b"eins\rzwei"), r"mac\.gz: its lines end in \\r alone"),
        ("long_mac", b"eins\r" * 100_000, r"long_mac: its lines end in \\r alone"),
    ],
)
def test_damaged_files_are_refused_by_name(tmp_path: Path, name: str, raw: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read(written(tmp_path, raw, name))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "nowhere")
    with pytest.raises(DataError, match="is a folder"):
        read(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="not a regular file"):
        read(tmp_path / "pipe")


def test_an_unreadable_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, b"a\n")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"text\.de: cannot be read: Permission denied"):
        read(path)


def test_a_line_of_ten_megabytes_takes_no_longer_than_many_short_ones(tmp_path: Path) -> None:
    size = 10_000_000
    long = written(tmp_path, b"kurz\n" + b"x" * size + b"\nkurz\n", "long.de")
    short = written(tmp_path, b"xxxxxxxxx\n" * (size // 10), "short.de")
    assert [len(line or "") for line in read(long)] == [4, size, 4]
    assert min(processor_seconds(long) for _ in range(3)) < 2.5 * min(processor_seconds(short) for _ in range(3))


def processor_seconds(path: Path) -> float:
    """Return what reading takes of the processor: a busy neighbour does not count."""
    start = time.process_time()
    read(path)
    return time.process_time() - start


def shrunk(monkeypatch: pytest.MonkeyPatch, *, block: int, limit: int) -> None:
    monkeypatch.setattr(lines, "BLOCK_BYTES", block)
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", limit)


@pytest.mark.parametrize("block", [3, 7, 20])
@pytest.mark.parametrize("end", ["", "\n", "\nkurz", "\n\nkurz\n"])
@pytest.mark.parametrize("length", [20, 21, 22, 39, 40, 41, 1000])
def test_a_line_over_the_limit_is_bad_and_the_others_stay_in_place(
    length: int, end: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrunk(monkeypatch, block=block, limit=20)
    path = written(tmp_path, f"kurz\n{'x' * length}{end}".encode())
    fits = length <= 20
    expected = ["kurz", "x" * length if fits else None, *end.removesuffix("\n").split("\n")[1:]]
    for policy in (SKIP, REPLACE):
        reader = LineReader(path, invalid_utf8=policy)
        assert [line for some in reader.blocks() for line in some] == expected
        assert reader.bad_lines == ({} if fits else {1: "line too long"})
    found: list[tuple[int | None, str]] = []
    reader = LineReader(path, invalid_utf8=STRICT, report=lambda line, problem: found.append((line, problem)))
    assert [line for some in reader.blocks() for line in some] == expected
    assert [line for line, _ in found] == ([] if fits else [1])
    assert all("more than 20 bytes" in problem and "'skip'" in problem for _, problem in found)


def test_a_line_without_end_takes_the_memory_of_the_limit_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "endless.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(8):
            file.write(b"x" * lines.MAX_LINE_BYTES)
    message = r"endless\.gz, line 1: the line has more than 16,777,216 bytes"
    with traced_peak() as peak, pytest.raises(DataError, match=message):
        read(path)
    assert peak.bytes < 1.5 * lines.MAX_LINE_BYTES


@pytest.mark.parametrize("raw", [b"eins\r\n", b"eins\r", b"eins\rzwei\n", b"eins\r\nzwei\r", b"\r"])
def test_a_carriage_return_beside_other_ends_of_line_is_no_reason_to_refuse(tmp_path: Path, raw: bytes) -> None:
    rows = raw.decode().removesuffix("\n").split("\n")
    assert read(written(tmp_path, raw)) == [row.removesuffix("\r") for row in rows]
