"""What a stranger's zip may do: nothing outside its folder, nothing larger than it says, no links."""

from __future__ import annotations

import io
import random
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pellucid.errors import BundleError
from pellucid.interop.untrusted.zip_files import pack, unpack


def test_the_same_contents_are_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"w" * 7919)
    contents: dict[str, Path | bytes] = {"a/b.txt": b"text", "a/model": tmp_path / "weights", "a/c": b""}
    pack(tmp_path / "one.zip", contents)
    pack(tmp_path / "two.zip", dict(reversed(contents.items())))
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    assert unpack(tmp_path / "one.zip", tmp_path / "out") == ["a/b.txt", "a/c", "a/model"]
    assert (tmp_path / "out/a/model").read_bytes() == b"w" * 7919
    assert (tmp_path / "out/a/b.txt").read_bytes() == b"text"


def member(name: str, *, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    found = zipfile.ZipInfo(name)
    found.create_system = 3
    found.external_attr = mode << 16
    return found


def write(path: Path, *members: tuple[zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for entry, content in members:
            archive.writestr(entry, content, compress_type=method)


BAD_NAMES = [
    "../out.txt",
    "a/../../out.txt",
    "/etc/out.txt",
    "a\\..\\out.txt",
    "C:/out.txt",
    "a/\x07",
    "a/" + "n" * 256,
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_leads_out(name: str, tmp_path: Path) -> None:
    write(tmp_path / "bad.zip", (member("a/fine"), b"1"), (member(name), b"2"))
    with pytest.raises(BundleError, match=r"bad\.zip.*(leads out|in its name)"):
        unpack(tmp_path / "bad.zip", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.zip"]


@pytest.mark.parametrize("mode", [stat.S_IFLNK | 0o777, stat.S_IFCHR | 0o666, stat.S_IFIFO | 0o666])
def test_links_and_devices(mode: int, tmp_path: Path) -> None:
    write(tmp_path / "bad.zip", (member("a/link", mode=mode), b"/etc/passwd"))
    with pytest.raises(BundleError, match="link or a device"):
        unpack(tmp_path / "bad.zip", tmp_path / "out")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("second", ["a/x", "A/X", "a/e\u0301"])
def test_one_name_twice(second: str, tmp_path: Path) -> None:
    first = "a/\u00e9" if "e" in second else "a/x"
    write(tmp_path / "bad.zip", (member(first), b"1"), (member(second), b"2"))
    with pytest.raises(BundleError, match="twice"):
        unpack(tmp_path / "bad.zip", tmp_path / "out")


def test_bombs(tmp_path: Path) -> None:
    write(tmp_path / "bomb.zip", (member("a/zeros"), bytes(8 << 20)), method=zipfile.ZIP_DEFLATED)
    with pytest.raises(BundleError, match="times its size"):
        unpack(tmp_path / "bomb.zip", tmp_path / "out")
    write(tmp_path / "large.zip", (member("a/one"), bytes(600)), (member("a/two"), bytes(600)))
    with pytest.raises(BundleError, match="unpacks to 1,200 bytes, limit 1,000"):
        unpack(tmp_path / "large.zip", tmp_path / "out", most_bytes=1000)
    write(tmp_path / "many.zip", *((member(f"a/{n}"), b"") for n in range(4097)))
    with pytest.raises(BundleError, match="4,097 members"):
        unpack(tmp_path / "many.zip", tmp_path / "out")


def test_a_size_that_is_a_lie(tmp_path: Path) -> None:
    path = tmp_path / "liar.zip"
    write(path, (member("a/zeros"), bytes(1 << 20)), method=zipfile.ZIP_DEFLATED)
    raw = path.read_bytes()
    path.write_bytes(raw.replace(struct.pack("<I", 1 << 20), struct.pack("<I", 9)))
    with pytest.raises(BundleError, match=r"liar\.zip"):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_methods_that_few_need(tmp_path: Path) -> None:
    write(tmp_path / "odd.zip", (member("a/x"), b"1" * 97), method=zipfile.ZIP_LZMA)
    with pytest.raises(BundleError, match="only deflate is supported"):
        unpack(tmp_path / "odd.zip", tmp_path / "out")


def test_damage_gives_a_sentence(tmp_path: Path) -> None:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a/one", "a/two"):
            archive.writestr(name, random.Random(1).randbytes(331) * 3)
    damages: list[Callable[[bytearray, random.Random], None]] = [
        lambda raw, dice: raw.__setitem__(dice.randrange(len(raw)), dice.randrange(256)),
        lambda raw, dice: raw.__delitem__(slice(dice.randrange(len(raw)), None)),
        lambda raw, dice: raw.__setitem__(slice(dice.randrange(len(raw)), None), dice.randbytes(13)),
    ]
    refusals, left = [], 0
    for seed in range(300):
        dice = random.Random(seed)
        raw = bytearray(whole.getvalue())
        damages[seed % 3](raw, dice)
        (tmp_path / "x.zip").write_bytes(raw)
        try:
            unpack(tmp_path / "x.zip", tmp_path / f"out{seed}")
        except BundleError as error:
            refusals.append(str(error))
            left += (tmp_path / f"out{seed}").exists()
    assert len(refusals) > 150
    assert all("x.zip" in refusal for refusal in refusals)
    assert not left


def test_no_zip_and_no_file(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no zip")
    for name in ("text", "nothing"):
        with pytest.raises(BundleError, match=name):
            unpack(tmp_path / name, tmp_path / "out")
