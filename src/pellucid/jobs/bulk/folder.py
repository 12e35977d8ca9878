"""The finished parts of one output, in the folder ``OUTPUT.parts`` beside it.

    manifest.json       everything that the result depends on; written first, removed first
    part-000001.txt     the output of the first part, as plain text
    part-000001.json    written after it: SHA-256 of the part's lines, of its output and of the manifest; its tally
    part-000001.lease   who runs the part, where several processes share the folder; see ``leases.py``
    joined.json         written by the process among several that wrote the output: its tally, and two SHA-256 alike

A kill can leave records without their manifest. They name the command that they are of, so they count for no other.
Each file is written beside its name, synced, and renamed, so a kill at any instant leaves whole files. A part counts as
finished if its record is there and both sums agree. One process at a time holds the lock on the folder, or several that
share it; a lock ends with its process. Read ``crew.py`` next.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from pellucid.durable import DISK, refuse_links, sha256_of
from pellucid.errors import ConfigError, DataError
from pellucid.jobs.bulk.leases import new_member
from pellucid.jobs.bulk.survey import Part
from pellucid.jobs.bulk.tally import Tally

__all__ = ["PartsFolder", "differences", "folder_for", "has_finished_parts", "open_folder"]

_MANIFEST: Final = "manifest.json"
_JOINED: Final = "joined.json"
_OURS: Final = re.compile(
    r"\.?(manifest\.json|joined\.json|part-\d{6,}\.(txt|json|lease)|join\.lease)(\.[\w.-]+-\d+-[0-9a-f]{8})?(\.(new|taken))?"
)
_RECORD: Final = re.compile(r"part-\d{6,}\.json")
_LONGEST_NAME: Final = 200
"""Bytes of an output's name that fit into the name of its folder."""
_FOR_PEOPLE: Final = frozenset({"file"})
"""Entries of the manifest that change nothing in the result."""


def folder_for(output: Path) -> Path:
    """Return the folder for the parts of an output; beside the file itself if the name is a link."""
    target = output.resolve() if output.is_symlink() else output
    name = target.name
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = f"{name[:40]}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}"
    return target.with_name(f"{name}.parts")


def has_finished_parts(folder: Path) -> bool:
    """Return whether at least one part is finished in a folder, which need not exist."""
    return folder.is_dir() and any(_RECORD.fullmatch(path.name) for path in folder.iterdir())


class PartsFolder:
    """An open, locked folder for the parts of the command with these facts."""

    def __init__(self, path: Path, output: Path, facts: Mapping[str, Any]) -> None:
        self.path = path
        self._output = output
        self._facts = facts
        self._command = _digest_of(facts)
        self.damaged = 0
        """Parts with a record that were not what it says."""

    def tally_of(self, part: Part) -> Tally | None:
        """Return the tally of a part, or None if it is not finished."""
        record = self._record(part.number)
        if record is None:
            return None
        try:
            if record["source_sha256"] == part.source_sha256 and self._text(part.number, record) is not None:
                return Tally.from_json(record["tally"])
        except (KeyError, TypeError, ValueError):
            pass
        self.damaged += 1
        return None

    def keep(self, part: Part, text: str, tally: Tally, *, mark: str = "") -> None:
        """Make a part finished. Several threads may call this for different parts.

        ``mark`` names this process where several may finish the same part.

        Raises:
            OSError: writing fails, as on a full disk; ``filename`` is set.
        """
        content = text.encode()
        record = {
            "source_sha256": part.source_sha256,
            "sha256": hashlib.sha256(content).hexdigest(),
            "command": self._command,
            "tally": asdict(tally),
        }
        DISK.write_replacing(self._path(part.number, "txt"), content, mark=mark)
        DISK.write_replacing(self._path(part.number, "json"), _json(record), mark=mark)

    def finished(self) -> Iterator[tuple[str, Tally]]:
        """Yield text and tally of each part in order, until one is missing.

        Raises:
            DataError: a part is not what was written.
        """
        number = 1
        while (record := self._record(number)) is not None:
            text = self._text(number, record)
            if text is None:
                raise DataError(
                    f"{self._path(number, 'txt')}: was changed by another program, or cannot be read; give the same "
                    "command again, and this part is translated again"
                )
            yield text, Tally.from_json(record["tally"])
            number += 1

    def holds_parts(self) -> bool:
        """Return whether at least one part is finished."""
        return has_finished_parts(self.path)

    def begin(self, *, restart: bool) -> None:
        """Keep the finished parts if they are of this command; else begin with none.

        Raises:
            ConfigError: the finished parts are of another command.
        """
        before = self._read(_MANIFEST)
        if before is not None and not restart and self.holds_parts() and (found := differences(before, self._facts)):
            raise ConfigError(
                f"{self.path}: holds finished parts of another command for this output: {'; '.join(found)}. Give that "
                "command again to continue it, or discard the parts with --restart"
            )
        if restart or before is None or (self.path / _JOINED).exists() or differences(before, self._facts):
            self.clear()
            DISK.write_replacing(self.path / _MANIFEST, _json(self._facts))

    def begin_together(self) -> None:
        """Join the processes that work in this folder, or be the first of them.

        If the output is written, remove what a process left that was killed after it.

        Raises:
            ConfigError: the folder is of another command, or the output of this one was changed after it was written.
        """
        if not (self.path / _MANIFEST).exists():  # processes of the same command write the same
            DISK.write_replacing(self.path / _MANIFEST, _json(self._facts), mark=new_member())
        if found := differences(self._read(_MANIFEST) or {}, self._facts):
            raise ConfigError(
                f"{self.path}: is the folder of another command for this output: {'; '.join(found)}. Give that command "
                "to work together with it; or, if no process works there any more, remove the folder"
            )
        record = self._read_ours(_JOINED)
        if record is None:
            return
        if not (self._output.is_file() and sha256_of(self._output) == record.get("sha256")):
            raise ConfigError(
                f"{self._output}: was written by this command before, as {self.path / _JOINED} says, and is gone or "
                "changed now; remove that folder to translate again"
            )
        self.tidy()

    def joined(self) -> Tally | None:
        """Return the tally of the output if one of several processes has written it."""
        record = self._read_ours(_JOINED)
        return None if record is None else Tally.from_json(record["tally"])

    def note_joined(self, tally: Tally) -> None:
        """Note that the output is written, for the processes that work together and those that begin later."""
        record = {"sha256": sha256_of(self._output), "command": self._command, "tally": asdict(tally)}
        DISK.write_replacing(self.path / _JOINED, _json(record), mark=new_member())
        self.tidy()

    def tidy(self) -> None:
        """Remove everything but the notes that the output is written. Several processes may do it at once."""
        self._remove_all_but({_MANIFEST, _JOINED})

    def clear(self) -> None:
        """Remove all parts; a kill meanwhile leaves some without a manifest, which the next command removes."""
        self._remove_all_but(set())

    def _remove_all_but(self, names: set[str]) -> None:
        for path in sorted(self.path.iterdir(), key=lambda path: path.name != _MANIFEST):
            if _OURS.fullmatch(path.name) and path.name not in names:
                with suppress(FileNotFoundError):  # another process was faster
                    DISK.remove(path)

    def _path(self, number: int, suffix: str) -> Path:
        return self.path / f"part-{number:06}.{suffix}"

    def _record(self, number: int) -> dict[str, Any] | None:
        return self._read_ours(self._path(number, "json").name)

    def _read_ours(self, name: str) -> dict[str, Any] | None:
        """Return a record unless it is of another command; those of earlier versions do not say of which."""
        record = self._read(name)
        return None if record is None or record.get("command", self._command) != self._command else record

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            found = json.loads((self.path / name).read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            if name not in (_MANIFEST, _JOINED):  # the record of a part, which can be translated again
                return {}
            raise ConfigError(
                f"{self.path / name}: cannot be read: {error.strerror or error}; make it readable, or remove the "
                "folder and begin again"
            ) from None
        except ValueError:
            found = {}
        return found if isinstance(found, dict) else {}

    def _text(self, number: int, record: Mapping[str, Any]) -> str | None:
        """Return the output of a part, or None if it is not what its record says."""
        try:
            content = self._path(number, "txt").read_bytes()
        except OSError:  # whatever is wrong with it, the part can be translated again
            return None
        return content.decode() if hashlib.sha256(content).hexdigest() == record.get("sha256") else None


@contextmanager
def open_folder(
    output: Path, facts: Mapping[str, Any], *, restart: bool, together: bool = False
) -> Iterator[PartsFolder]:
    """Open and lock the folder for the parts of an output; it goes away at the end if it holds no finished part.

    Args:
        output: the file that the parts are for.
        facts: everything that the result depends on, as JSON.
        restart: discard finished parts.
        together: share the folder with other processes of the same command; then it stays, and says at the end that
            the output is written.

    Raises:
        ConfigError: the parts in it are of another command; another process uses it; or it is not ours.
        DataError: there is a link in it.
    """
    path = folder_for(output)
    with _locked(path, output, together=together):
        strangers = [inside.name for inside in path.iterdir() if not _OURS.fullmatch(inside.name)]
        if strangers:
            raise ConfigError(
                f"{path}: is needed for the parts of {output}, but holds {sorted(strangers)[0]!r}, which pellucid did "
                "not write; move the folder away, or name another --output"
            )
        refuse_links([path])
        folder = PartsFolder(path, output, facts)
        if together:
            folder.begin_together()
            yield folder
            return
        try:
            folder.begin(restart=restart)
            yield folder
        finally:
            if not folder.holds_parts():
                folder.clear()
                with suppress(OSError):  # somebody put a file of theirs in it meanwhile
                    path.rmdir()


@contextmanager
def _locked(path: Path, output: Path, *, together: bool) -> Iterator[None]:
    while True:
        try:
            path.mkdir(exist_ok=True)
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:
            if path.parent.is_dir():  # the process that removed the folder came between the two calls
                continue
            raise ConfigError(f"{output}: cannot be written in that folder: there is no folder {path.parent}") from None
        except OSError as error:
            if isinstance(error, FileExistsError | NotADirectoryError) or error.errno == errno.ELOOP:
                raise ConfigError(
                    f"{path}: is needed as a folder for the parts of {output}, and is something else; move it away, or "
                    "name another --output"
                ) from None
            raise ConfigError(f"{output}: cannot be written in that folder: {error.strerror or error}") from None
        try:
            with _without_locks(allowed=together):
                fcntl.flock(handle, (fcntl.LOCK_SH if together else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            if not path.exists() or not os.path.samestat(os.fstat(handle), path.stat()):
                continue  # it was removed before the lock
            yield
            return
        except BlockingIOError:
            raise ConfigError(
                f"{output}: another process is translating to this file (its parts are in {path}); wait for it, or "
                "name another --output"
            ) from None
        finally:
            os.close(handle)


@contextmanager
def _without_locks(*, allowed: bool) -> Iterator[None]:
    """Let processes work together on a file system that has no locks: their leases do not need them."""
    try:
        yield
    except OSError as error:
        if not allowed or error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            raise


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what differs between two manifests, a phrase each."""
    old, new = dict(_leaves(before)), dict(_leaves(now))
    return [
        f"{name} = {_shown(old.get(name))} there and {_shown(new.get(name))} now"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def _leaves(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{before}{name}.")
        elif name not in _FOR_PEOPLE:
            yield f"{before}{name}", value


def _digest_of(facts: Mapping[str, Any]) -> str:
    """Return a digest that is equal where no difference is found."""
    said = {name: value for name, value in sorted(_leaves(facts)) if value is not None}
    return hashlib.sha256(_json(said)).hexdigest()


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:12]}..."


def _json(table: Mapping[str, Any]) -> bytes:
    return (json.dumps(table, ensure_ascii=False, indent=1) + "\n").encode()
