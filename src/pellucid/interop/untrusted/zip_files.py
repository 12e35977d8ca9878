"""Unpack a stranger's zip: every member is checked before the first byte is written.

Refused are names that lead out of the folder, links and devices, two members of one name, too many members, too many
bytes, implausible compression ratios, encryption, and rare compression methods. Sizes are counted again during
unpacking, since those in the archive are only claims. Read
``argos/package.py`` next.
"""

from __future__ import annotations

import os
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from pellucid.durable import DISK
from pellucid.errors import BundleError
from pellucid.untrusted import plain_file, refuse_zip

__all__ = ["pack", "unpack"]

_MOST_BYTES: Final = 8 << 30
_MOST_MEMBERS: Final = 4096
_MOST_RATIO: Final = 100
"""Zeros shrink by a factor of 1,000, weights by 1 to 2, text by 3 to 10."""
_CHUNK_BYTES: Final = 1 << 20
_LONGEST_NAME: Final = 255
_FIXED_DATE: Final = (1980, 1, 1, 0, 0, 0)


def pack(path: Path, contents: Mapping[str, Path | bytes]) -> None:
    """Write a zip whose bytes depend on the contents alone: names are sorted, dates equal, and nothing is compressed.

    Compression would make the bytes depend on the version of zlib, and weights hardly shrink.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(contents):
            member = zipfile.ZipInfo(name, date_time=_FIXED_DATE)
            member.create_system = 3
            member.external_attr = (stat.S_IFREG | 0o644) << 16
            content = contents[name]
            if isinstance(content, bytes):
                archive.writestr(member, content)
                continue
            member.file_size = content.stat().st_size
            with content.open("rb") as source, archive.open(member, "w", force_zip64=True) as target:
                while chunk := source.read(_CHUNK_BYTES):
                    target.write(chunk)
    with path.open("rb+") as written:
        os.fsync(written.fileno())


def unpack(path: Path, folder: Path, *, most_bytes: int = _MOST_BYTES) -> list[str]:
    """Unpack an archive into an empty folder; return the names of its files.

    Raises:
        BundleError: it is not a zip, is damaged, or has a harmful member; no unpacked file is left.
    """
    plain_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            files = _checked(archive.infolist(), path.stat().st_size, most_bytes)
            left = most_bytes
            for member in files:
                left -= _unpack_one(archive, member, folder / member.filename, most_bytes=left)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, zlib.error, RuntimeError) as error:
        DISK.remove(folder)
        raise BundleError(f"{path}: cannot be unpacked ({str(error)[:200]}); fetch it again") from None
    return [member.filename for member in files]


def _checked(members: list[zipfile.ZipInfo], size: int, most_bytes: int) -> list[zipfile.ZipInfo]:
    refuse_zip(members, size, most_members=_MOST_MEMBERS, most_bytes=most_bytes, most_ratio=_MOST_RATIO)
    seen: set[str] = set()
    for member in members:
        if problem := _problem(member):
            raise ValueError(f"its member {member.filename[:80]!r} {problem}")
        # Two names that differ only in case or in Unicode form are one file on some disks.
        key = unicodedata.normalize("NFC", member.filename.rstrip("/")).casefold()
        if key in seen:
            raise ValueError(f"it has {member.filename[:80]!r} twice")
        seen.add(key)
    return [member for member in members if not member.is_dir()]


def _problem(member: zipfile.ZipInfo) -> str | None:
    name = member.filename
    kind = stat.S_IFMT(member.external_attr >> 16)
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or ":" in name:
        return "leads out of the folder that it is unpacked to"
    if any(not character.isprintable() for character in name) or max(map(len, parts)) > _LONGEST_NAME:
        return "has a control character or a part over 255 characters in its name"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    return None


def _unpack_one(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, *, most_bytes: int) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with archive.open(member) as source, target.open("xb") as file:
        while chunk := source.read(_CHUNK_BYTES):
            written += len(chunk)
            if written > min(member.file_size, most_bytes):
                raise ValueError(f"its member {member.filename[:80]!r} is longer than the archive says")
            file.write(chunk)
    return written
