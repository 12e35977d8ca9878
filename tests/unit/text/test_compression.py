"""The first bytes of a file say how it is compressed; every format gives the same text, damage is told by its name."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pellucid.config import InvalidUtf8
from pellucid.errors import DataError
from pellucid.jobs.line_files import reading
from pellucid.text import compression
from pellucid.text.compression import open_compressed
from pellucid.text.lines import read_lines

TEXT = "eins\nzwei\n"


def of_corpus(path: Path) -> list[object]:
    return list(read_lines(path, invalid_utf8=InvalidUtf8.STRICT))


def of_translate(path: Path) -> list[object]:
    with reading(str(path)) as source:
        return list(source.lines())


WAYS = pytest.mark.parametrize("read", [of_corpus, of_translate])


def zstandard(raw: bytes) -> bytes:
    module = compression._zstandard()
    if module is None:
        pytest.skip("neither Python 3.14 nor backports.zstd is here")
    checked = {module.CompressionParameter.checksum_flag: 1}  # as the command line has it
    return bytes(module.compress(raw, options=checked))


def packed_in_zip(raw: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("text", raw)
    return file.getvalue()


FORMATS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard,
}
SUFFIXES = {"gzip": ".gz", "bzip2": ".bz2", "xz": ".xz", "zstd": ".zst"}


@WAYS
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("suffix", ["", ".txt", ".gz", ".zst"])
def test_every_format_is_read_whatever_its_name(
    name: str, suffix: str, read: Callable[[Path], list[object]], tmp_path: Path
) -> None:
    path = tmp_path / f"text{suffix}"
    path.write_bytes(FORMATS[name](TEXT.encode()))
    assert read(path) == ["eins", "zwei"]
    assert open_compressed(path).compression == name


@WAYS
@pytest.mark.parametrize("name", FORMATS)
def test_files_that_were_compressed_in_parts_are_read_whole(
    name: str, read: Callable[[Path], list[object]], tmp_path: Path
) -> None:
    pack = FORMATS[name]
    (tmp_path / "x").write_bytes(pack(b"eins\nzw") + pack(b"ei\n"))
    assert read(tmp_path / "x") == ["eins", "zwei"]


@WAYS
@pytest.mark.parametrize("cut", ["truncated", "damaged"])
@pytest.mark.parametrize("name", FORMATS)
def test_damage_names_the_file_and_the_compression(
    name: str, cut: str, read: Callable[[Path], list[object]], tmp_path: Path
) -> None:
    whole = FORMATS[name](random.Random(7).randbytes(40_000).hex().encode())
    middle = len(whole) // 2
    broken = whole[:-20] if cut == "truncated" else whole[:middle] + bytes(64) + whole[middle + 64 :]
    (tmp_path / "x").write_bytes(broken)
    with pytest.raises(DataError, match=f"x: the {name} data is truncated or damaged after line 0 .*again"):
        read(tmp_path / "x")


@WAYS
@pytest.mark.parametrize("name", FORMATS)
def test_a_name_that_promises_what_the_file_is_not(
    name: str, read: Callable[[Path], list[object]], tmp_path: Path
) -> None:
    path = tmp_path / f"plain{SUFFIXES[name]}"
    path.write_bytes(TEXT.encode())
    with pytest.raises(DataError, match=f"is named {SUFFIXES[name]} but does not contain {name} data"):
        read(path)


@WAYS
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (packed_in_zip(TEXT.encode()), r"compressed with ZIP, which is not supported; unpack it \(unzip -p\)"),
        (b"\x04\x22\x4d\x18rest", r"compressed with LZ4, which is not supported; unpack it \(lz4 -dc\)"),
        (b"7z\xbc\xaf\x27\x1c", "compressed with 7-Zip"),
    ],
)
def test_a_format_that_is_not_read_is_called_by_its_name(
    content: bytes, words: str, read: Callable[[Path], list[object]], tmp_path: Path
) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DataError, match=words):
        read(tmp_path / "x")


@WAYS
def test_without_its_library_a_zst_file_says_what_to_install(
    read: Callable[[Path], list[object]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("compression.zstd", "backports.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "x.zst").write_bytes(b"\x28\xb5\x2f\xfdrest")
    with pytest.raises(DataError, match=r"x\.zst: is compressed with zstd, .*pip install backports\.zstd.*zstd -d"):
        read(tmp_path / "x.zst")


@WAYS
@pytest.mark.parametrize("text", ["BZhe is no word", "PK 3", "7z", "LZIP"])
def test_text_that_begins_like_a_format_is_text(
    text: str, read: Callable[[Path], list[object]], tmp_path: Path
) -> None:
    (tmp_path / "x").write_text(text)
    assert read(tmp_path / "x") == [text]
