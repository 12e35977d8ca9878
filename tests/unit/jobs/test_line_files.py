"""Lines as they come: one that is bad fails alone, what is no text at all is refused, memory has a bound."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest
from tests.memory import traced_peak

from pellucid.errors import DataError
from pellucid.jobs import line_files
from pellucid.jobs.line_files import MAX_LINE_BYTES, LineSource, reading


def source(raw: bytes) -> LineSource:
    return LineSource(io.BufferedReader(io.BytesIO(raw)), "standard input", None)  # type: ignore[arg-type]


@pytest.mark.parametrize("length", [10, 11, 12, 21, 22, 23, 500])
@pytest.mark.parametrize("end", ["", "\n", "\nkurz", "\n\nkurz\n"])
def test_a_line_over_the_limit_fails_alone(length: int, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_files, "MAX_LINE_BYTES", 10)
    found = list(source(f"kurz\n{'x' * length}{end}".encode()).lines())
    rest = end.removesuffix("\n").split("\n")[1:]
    assert [found[0], *found[2:]] == ["kurz", *rest]
    if length <= 10:
        assert found[1] == "x" * length
    else:
        assert isinstance(found[1], ValueError)
        assert str(found[1]) == f"the line has {length} bytes, limit 10; split it into sentences"


def test_the_first_line_may_be_the_long_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_files, "MAX_LINE_BYTES", 10)
    first, second = source(b"\xef\xbb\xbf" + b"x" * 99 + b"\nkurz").lines()
    assert isinstance(first, ValueError)
    assert second == "kurz"


def test_a_long_line_is_not_kept_in_memory(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "x.gz", "wb", compresslevel=1) as file:
        for _ in range(40):
            file.write(b"x" * MAX_LINE_BYTES)
        file.write(b"\nkurz\n")
    with traced_peak() as peak, reading(str(tmp_path / "x.gz")) as opened:
        found = list(opened.lines())
    assert isinstance(found[0], ValueError)
    assert f"{40 * MAX_LINE_BYTES:,} bytes" in str(found[0])
    assert found[1:] == ["kurz"]
    assert peak.bytes < 8 * MAX_LINE_BYTES


@pytest.mark.parametrize("raw", [b"eins\rzwei\rdrei", b"eins\rzwei\r", b"\xef\xbb\xbfeins\r\rzwei"])
def test_lines_that_end_in_a_carriage_return_alone_are_refused(raw: bytes) -> None:
    with pytest.raises(DataError, match=r"standard input: its lines end in \\r alone.*tr '\\r' '\\n'"):
        list(source(raw).lines())


@pytest.mark.parametrize("raw", [b"eins\r\nzwei\r\n", b"eins\r", b"eins\rzwei\n", b"eins\nzwei\rdrei"])
def test_other_carriage_returns_are_part_of_the_line_or_of_its_end(raw: bytes) -> None:
    rows = raw.decode().removesuffix("\n").split("\n")
    assert list(source(raw).lines()) == [row.removesuffix("\r") for row in rows]


@pytest.mark.parametrize(
    ("magic", "words"),
    [(b"BZh91AY&SY...", "bzip2.*bunzip2 -c"), (b"\x28\xb5\x2f\xfd...", "zstd.*zstd -dc"), (b"PK\x03\x04", "ZIP")],
)
def test_a_stream_that_is_compressed_is_refused_by_the_name_of_its_format(magic: bytes, words: str) -> None:
    with pytest.raises(DataError, match=f"standard input: is compressed with {words}"):
        list(source(magic).lines())
