"""The glossaries of a server, by id and by name; those of clients are in memory, or in a folder if the owner names one.

Each client sees its own and the owner's. A glossary in the folder is a file of JSON, which is on the disk before the
client gets its answer. Read ``../protocols/terms.py`` next.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pellucid.durable import DISK
from pellucid.errors import ConfigError, RequestError
from pellucid.serving.refusals import Reason, Refusal
from pellucid.translation.terms.glossary import Glossary, Term

__all__ = ["Dictionary", "Shelf", "StoredGlossary", "id_of"]

_MOST_GLOSSARIES: Final = 100
_ID: Final = re.compile("[0-9a-f]{32}")


def id_of(name: str, source: str, target: str) -> str:
    """Return the id of a glossary of the owner, which stays the same from one start of the server to the next."""
    return hashlib.sha256(f"{name}\0{source}\0{target}".encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Dictionary:
    """The terms of a glossary for one language pair."""

    source: str
    target: str
    terms: Glossary

    @property
    def pair(self) -> tuple[str, str]:
        """Its languages."""
        return self.source, self.target

    @property
    def entries(self) -> list[tuple[str, str]]:
        """Source forms, each with the first of its target forms."""
        return [(term.source, term.target[0]) for term in self.terms if term.target]


@dataclass(frozen=True)
class StoredGlossary:
    """A glossary: one dictionary for each of its language pairs."""

    id: str
    owner: str | None
    """The client that made it; None: the owner of the server, and everyone may use it."""
    name: str
    dictionaries: tuple[Dictionary, ...]
    created: datetime = field(default_factory=lambda: datetime.now(UTC))

    def for_pair(self, source: str, target: str) -> Dictionary | None:
        """Return the dictionary for two languages, or None."""
        return next((one for one in self.dictionaries if one.pair == (source, target)), None)

    def having(self, dictionary: Dictionary) -> StoredGlossary:
        """Return the glossary with a dictionary, in place of the one for the same languages if there is one."""
        others = [one for one in self.dictionaries if one.pair != dictionary.pair]
        return replace(self, dictionaries=(*others, dictionary))


class Shelf:
    """The glossaries of the owner and of all clients; safe for several threads.

    Args:
        served: those of the owner.
        folder: where those of clients are kept; None: in memory, until the server ends.

    Raises:
        ConfigError: the folder cannot be written, or a file in it is no glossary.
    """

    def __init__(self, served: Sequence[StoredGlossary] = (), *, folder: Path | None = None) -> None:
        self._stored = {one.id: one for one in served}
        self._folder = folder
        self._lock = threading.Lock()
        if folder is not None:
            self._stored |= {one.id: one for one in _read_all(folder)}

    @property
    def served(self) -> list[StoredGlossary]:
        """The glossaries of the owner."""
        return [one for one in self._stored.values() if one.owner is None]

    def of(self, client: str) -> list[StoredGlossary]:
        """Return what a client may use: the glossaries of the owner, and its own."""
        return [one for one in [*self._stored.values()] if one.owner in (None, client)]

    def get(self, client: str, id: str) -> StoredGlossary:
        """Return a glossary that a client may use; a Refusal says that there is none."""
        found = self._stored.get(id)
        if found is None or found.owner not in (None, client):
            gone = "" if self._folder else "; a glossary of a client is gone after a restart"
            raise Refusal(Reason.INVALID, f"there is no such glossary{gone}", status=404)
        return found

    def named(self, name: str, source: str, target: str) -> Glossary:
        """Return the glossary of the owner that has a name; a Refusal says what there is."""
        served = {one.name: own for one in self.served if (own := one.for_pair(source, target)) is not None}
        found = served.get(name)
        if found is None:
            names = ", ".join(served) or "none"
            raise Refusal(
                Reason.INVALID, f"there is no glossary {name[:40]!r} for {source} → {target}; there are: {names}"
            )
        return found.terms

    def add(self, one: StoredGlossary) -> None:
        """Keep a glossary of a client; it is on the disk then, if there is a folder.

        Raises:
            Refusal: the client has too many.
            OSError: the disk is full.
        """
        with self._lock:
            if sum(other.owner == one.owner for other in self._stored.values()) >= _MOST_GLOSSARIES:
                raise Refusal(Reason.INVALID, f"there are {_MOST_GLOSSARIES} glossaries; delete one first", status=456)
            self._keep(one)

    def change(self, client: str, id: str, change: Callable[[StoredGlossary], StoredGlossary]) -> StoredGlossary:
        """Put what ``change`` makes of a glossary of a client in its place, and return it.

        Raises:
            Refusal: there is none, or it is the owner's.
            OSError: the disk is full.
        """
        with self._lock:
            changed = change(self._own(client, id))
            self._keep(changed)
            return changed

    def remove(self, client: str, id: str) -> None:
        """Forget a glossary of a client.

        Raises:
            Refusal: there is none, or it is the owner's.
            OSError: its file cannot be removed.
        """
        with self._lock:
            self._own(client, id)
            if self._folder is not None:
                DISK.remove(self._folder / f"{id}.json")
            del self._stored[id]

    def _own(self, client: str, id: str) -> StoredGlossary:
        found = self.get(client, id)
        if found.owner is None:
            raise Refusal(
                Reason.INVALID, "this glossary belongs to the server; only its owner can change it", status=403
            )
        return found

    def _keep(self, one: StoredGlossary) -> None:
        if self._folder is not None:
            DISK.write_replacing(self._folder / f"{one.id}.json", json.dumps(_record(one)).encode("ascii"))
        self._stored[one.id] = one


def _record(one: StoredGlossary) -> dict[str, object]:
    dictionaries = [
        {"source": each.source, "target": each.target, "entries": each.entries} for each in one.dictionaries
    ]
    texts = {"id": one.id, "owner": one.owner, "name": one.name, "created": one.created.isoformat()}
    return texts | {"dictionaries": dictionaries}


def _read_all(folder: Path) -> list[StoredGlossary]:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        paths = sorted(path for path in folder.glob("*.json") if _ID.fullmatch(path.stem))
        contents = {path: path.read_bytes() for path in paths}
        DISK.write_replacing(folder / ".writable", b"")
        DISK.remove(folder / ".writable")
    except OSError as error:
        raise ConfigError(
            f"{folder}: glossaries cannot be kept there ({error.strerror}); name another folder"
        ) from None
    return [_from_file(path, content) for path, content in contents.items()]


def _from_file(path: Path, content: bytes) -> StoredGlossary:
    try:
        record = json.loads(content)
        # Before there were several language pairs, the languages and entries stood in the record itself.
        dictionaries = tuple(_dictionary(one) for one in record.get("dictionaries", [record]))
        created = datetime.fromisoformat(record["created"])
        return StoredGlossary(path.stem, str(record["owner"]), str(record["name"]), dictionaries, created)
    except (ValueError, KeyError, TypeError, AttributeError, RequestError):
        raise ConfigError(f"{path}: is no glossary of a client; move it away") from None


def _dictionary(record: Mapping[str, Any]) -> Dictionary:
    terms = Glossary([Term(source, target) for source, target in record["entries"]])
    return Dictionary(str(record["source"]), str(record["target"]), terms)
