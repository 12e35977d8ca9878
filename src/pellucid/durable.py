"""Writing files so that a kill, a power cut or a full disk leaves the old state or the new one, never half of it.

Every write, fsync, rename and removal of a save goes through one ``Disk``, so that a test can list
them and end the process at each. What is written is a new file: never the target of a link that a stranger put there.
Read ``bundle.py`` next.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from pellucid.errors import DataError, StoppedError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "DISK",
    "Disk",
    "cache_folder",
    "draft_of",
    "naming",
    "open_to_append",
    "refuse_full_disk",
    "refuse_links",
    "sha256_of",
    "shortage_of",
]

_CHUNK_BYTES = 1 << 20
_SHORTAGES = {
    errno.ENOSPC: ("the disk is full", "make room"),
    errno.EDQUOT: ("the disk quota is used up", "make room or have the quota raised"),
    errno.EFBIG: ("a file is over the limit on the size of files (ulimit -f)", "raise the limit"),
}
"""What a write may run out of, and the remedy."""
_PREFIX_CHARACTERS = 40


class Disk:
    """The only way in which a save touches the file system.

    ``on_operation(kind, path)`` is called before each operation; tests use it to stop there.
    """

    def __init__(self, on_operation: Callable[[str, Path], None] | None = None) -> None:
        self._on_operation = on_operation

    def write(self, path: Path, content: bytes | Iterable[bytes]) -> None:
        """Write a file that is not there yet, and wait until its bytes are on the disk.

        Raises:
            FileExistsError: something is there, a link included.
        """
        self._announce("write", path)
        chunks = (content,) if isinstance(content, bytes) else content
        with naming(path), path.open("xb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            self._announce("fsync", path)
            os.fsync(file.fileno())

    def replace(self, source: Path, target: Path) -> None:
        """Rename in one step, over an existing file if there is one, and make the new name last."""
        self._announce("rename", target)
        source.replace(target)
        self.sync(target.parent)

    def write_replacing(self, path: Path, content: bytes | Iterable[bytes]) -> None:
        """Put new content in the place of old: written beside it, then renamed over it.

        Where the old is a link, the link is replaced, and what it points to stays as it is.
        """
        beside = path.with_name(f".{path.name}.new")
        self.remove(beside)  # what a killed save left
        try:
            self.write(beside, content)
            self.replace(beside, path)
        except OSError:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            raise

    def sync(self, path: Path) -> None:
        """Wait until the bytes of a file, or the names in a folder, are on the disk."""
        self._announce("fsync", path)
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def remove(self, path: Path) -> None:
        """Remove a file, or a folder with all that is in it; nothing happens where there is none."""
        if not path.exists() and not path.is_symlink():
            return
        self._announce("unlink", path)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()

    def _announce(self, kind: str, path: Path) -> None:
        if self._on_operation is not None:
            self._on_operation(kind, path)


DISK = Disk()
"""The disk of everyday use."""


def refuse_links(paths: Iterable[Path]) -> None:
    """Refuse to write where a link, or a file that is no plain one, stands at a path or anywhere below it.

    A folder that somebody else made may hold links that lead out of it, and what is written, cut or removed through
    one is a file of this machine.

    Raises:
        DataError: there is one; the message names it.
    """
    for path in paths:
        _refuse_link(path)
        for folder, folders, files in os.walk(path):
            for name in sorted([*folders, *files]):
                _refuse_link(Path(folder, name))


def _refuse_link(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except OSError:  # not there, or not any more
        return
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return
    kind = "a symbolic link" if stat.S_ISLNK(mode) else "neither a file nor a folder"
    raise DataError(
        f"{path}: is {kind}, and nothing is written in a folder that has one, since it may lead out of the folder; "
        "put a copy in its place (cp -rL FOLDER COPY copies a folder without links), or name another folder"
    )


def open_to_append(path: Path) -> BinaryIO:
    """Open a file to append to it and cut it, or make it; never through a symbolic link.

    A file that has another name, too (a hard link), is copied first, so that what has the other name stays as it is.

    Raises:
        OSError: it is a symbolic link, or cannot be opened.
    """
    if path.is_file() and not path.is_symlink() and path.stat().st_nlink > 1:
        DISK.write_replacing(path, _chunks_of(path))
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o666), "ab")


def _chunks_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def cache_folder() -> Path | None:
    """Return where this user's programs keep what can be made again; it need not exist. None where there is no home.

    ``PELLUCID_CACHE`` names another folder.
    """
    if own := os.environ.get("PELLUCID_CACHE"):
        return Path(own)
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if base.is_absolute():  # the specification of that variable leaves out relative ones
        return base / "pellucid"
    try:
        return Path.home() / ".cache" / "pellucid"
    except RuntimeError:
        return None


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal, read in pieces."""
    digest = hashlib.sha256()
    for chunk in _chunks_of(path):
        digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def naming(place: Path | str) -> Iterator[None]:
    """Give an error of writing the name of what was written to; the system names a file only when it is opened."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(place)
        raise


def shortage_of(error: OSError) -> str:
    """Return what a write ran out of and the remedy, or nothing where it failed for another reason."""
    what, remedy = _SHORTAGES.get(error.errno or 0, ("", ""))
    return f"{what}; {remedy} and give the same command again" if what else ""


@contextmanager
def refuse_full_disk(path: Path, *, needed_bytes: int) -> Iterator[None]:
    """Turn "no space left" during a save into a message that says where and how much is needed.

    Raises:
        StoppedError: there is too little space before the save, or it ran out during it.
    """
    free = shutil.disk_usage(path).free
    message = (
        f"{path}: the disk has too little space for this save: {needed_bytes:,} bytes needed, {free:,} free. "
        "What was saved before is intact; free some space and give the same command again"
    )
    if free < needed_bytes:
        raise StoppedError(message)
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StoppedError(message) from error
        if shortage := shortage_of(error):
            raise StoppedError(
                f"{path}: {needed_bytes:,} bytes needed for this save, and {shortage}. What was saved before is intact"
            ) from error
        raise


@contextmanager
def draft_of(output: Path, *, may_replace: bool = False) -> Iterator[Path]:
    """Give a path to write to that becomes ``output`` at the end, and goes away if anything fails.

    Every call has a draft of its own, in a hidden folder beside the output that is locked while it is written to. A
    draft that a killed process left there is no longer locked, and the next draft of the same output removes it.

    Args:
        output: the name that the draft takes.
        may_replace: put the draft in the place of a file that has the name already.

    Raises:
        FileExistsError: somebody else made the output meanwhile, and it may not be replaced; theirs stays.
    """
    # Cut, because a name of 255 bytes leaves no room for a longer one. Outputs that share their first characters
    # do no harm to each other: what is locked stays, whoever writes it.
    prefix = f".{output.name[:_PREFIX_CHARACTERS]}.draft-"
    for left in output.parent.glob(f"{glob.escape(prefix)}*"):
        with suppress(OSError), _locked(left, wait=False):
            DISK.remove(left)
    with ExitStack() as held:
        folder = _locked_folder(output.parent, prefix, held)
        draft = folder / output.name
        try:
            yield draft
            DISK.sync(draft)
            if may_replace:
                DISK.replace(draft, output)
            else:
                _put_in_place(draft, output)
        finally:
            DISK.remove(folder)


def _put_in_place(draft: Path, output: Path) -> None:
    made = FileExistsError(errno.EEXIST, "made by somebody else meanwhile", str(output))
    if output.exists() or output.is_symlink():
        raise made
    try:
        DISK.replace(draft, output)
    except OSError as error:  # made since we looked
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EISDIR}:
            raise made from None
        raise


def _locked_folder(parent: Path, prefix: str, held: ExitStack) -> Path:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        try:
            held.enter_context(_locked(folder, wait=True))
        except FileNotFoundError:
            continue
        except OSError as error:
            # On a file system without locks nobody can take one to remove a draft, so a killed process leaves its own.
            if error.errno not in {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}:
                DISK.remove(folder)
                raise
        # Before the lock it looked like one that was left, and somebody may have removed it.
        if folder.exists():
            return folder


@contextmanager
def _locked(folder: Path, *, wait: bool) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(handle)
