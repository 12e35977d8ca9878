"""ZIP archives of strangers: unpacked into memory within limits, and packed again in the same order.

Names are never used as paths, and archives inside the archive are not opened. Read ``languages.py`` next.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Final

from pellucid.documents.limits import Reading, reason_of
from pellucid.errors import DocumentError, DocumentTooLargeError
from pellucid.untrusted import TooLargeError, refuse_zip

__all__ = ["Archive", "read_archive"]

_CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class Archive:
    """The members of an archive in their order."""

    infos: tuple[zipfile.ZipInfo, ...]
    members: Mapping[str, bytes]
    comment: bytes = b""

    def packed(self, changed: Mapping[str, bytes]) -> bytes:
        """Return the archive with other bytes in some members; order, dates and ways of packing stay."""
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w") as written:
            written.comment = self.comment
            for info in self.infos:
                own = copy(info)
                own.flag_bits &= 0x800  # what the old bytes needed is gone; the encoding of the name stays
                data = changed.get(info.filename, self.members[info.filename])
                written.writestr(own, data, compress_type=info.compress_type)
        return sink.getvalue()


def read_archive(data: bytes, reading: Reading) -> Archive:
    """Unpack an archive into memory.

    Raises:
        DocumentError: it is no ZIP archive, is damaged or encrypted, or a name in it leads out of it or comes twice.
        DocumentTooLargeError: it exceeds a limit; no more than the limit was unpacked.
    """
    limits, name = reading.limits, reading.name
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            refuse_zip(
                infos,
                len(data),
                most_members=limits.archive_members,
                most_bytes=limits.archive_bytes,
                most_ratio=limits.archive_ratio,
            )
            _refuse_names(infos, name)
            left = min(limits.archive_bytes, max(limits.archive_ratio * len(data), _CHUNK_BYTES))
            members: dict[str, bytes] = {}
            for info in infos:
                members[info.filename] = _unpacked(archive, info, left, name)
                left -= len(members[info.filename])
            return Archive(tuple(infos), members, archive.comment)
    except TooLargeError as error:
        raise DocumentTooLargeError(f"{name}: {error}; give a smaller document") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise DocumentError(f"{name}: is no ZIP archive that can be read ({reason_of(error)}); save it again") from None


def _refuse_names(infos: list[zipfile.ZipInfo], name: str) -> None:
    seen: set[str] = set()
    for info in infos:
        parts = info.filename.replace("\\", "/").split("/")
        if ".." in parts or info.filename.startswith(("/", "\\")) or ":" in parts[0] or "\0" in info.orig_filename:
            raise DocumentError(f"{name}: its member {info.filename[:80]!r} has a name that leads out of the archive")
        if info.filename in seen:
            raise DocumentError(f"{name}: its member {info.filename[:80]!r} is there twice")
        if info.external_attr >> 28 == 0xA:
            raise DocumentError(f"{name}: its member {info.filename[:80]!r} is a symbolic link")
        seen.add(info.filename)


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int, name: str) -> bytes:
    raw = bytearray()
    with archive.open(info) as member:
        # The size in the list may lie, so what counts is what is unpacked.
        while chunk := member.read(min(_CHUNK_BYTES, most + 1 - len(raw))):
            raw += chunk
            if len(raw) > most:
                raise DocumentTooLargeError(f"{name}: unpacks to more than its limit; give a smaller document")
    return bytes(raw)
