"""Write files so that a kill, a power cut or a full disk leaves either the old state or the new one.

Every write, fsync, rename and removal of a save goes through one ``Disk``, so that a test can list them and end the
process at each. Every write creates a new file, so it never changes the target of an existing link. Read ``bundle.py``
next.
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

from pellucid.errors import DataError, StoppedError, counted

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "DISK",
    "Disk",
    "cache_folder",
    "can_be_name",
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
    errno.EFBIG: ("a file exceeds the size limit (ulimit -f)", "raise the limit"),
}
"""The shortages that can stop a write, and their remedies."""
_PREFIX_CHARACTERS = 40


def can_be_name(path: str | os.PathLike[str]) -> bool:
    """Return whether a file or folder can have this name; one that is not there can, a text over 255 bytes cannot.

    To ask the system whether such a text is there would raise an error, so ask this first where an argument may be a
    text.
    """
    try:
        os.lstat(path)
    except OSError as error:
        return error.errno != errno.ENAMETOOLONG
    except ValueError:  # it has a NUL
        return False
    return True


class Disk:
    """All changes of the file system during a save.

    ``on_operation(kind, path)`` is called before each operation; tests use it to stop the process there.
    """

    def __init__(self, on_operation: Callable[[str, Path], None] | None = None) -> None:
        self._on_operation = on_operation

    def write(self, path: Path, content: bytes | Iterable[bytes]) -> None:
        """Write a new file, and wait until its bytes are on the disk.

        Raises:
            FileExistsError: the path exists, or is a link.
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
        """Rename in one step, over an existing file if any, and wait until the new name is on the disk."""
        self._announce("rename", target)
        source.replace(target)
        self.sync(target.parent)

    def write_replacing(self, path: Path, content: bytes | Iterable[bytes], *, mark: str = "") -> None:
        """Replace the content of a file: write a new file beside it and rename that over it.

        If the path is a link, the link is replaced and its target does not change. Where several processes may do this
        at once, ``mark`` is in the name of the new file and differs between them.
        """
        beside = path.with_name(f".{path.name}{'.' if mark else ''}{mark}.new")
        self.remove(beside)  # of a killed save
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
        """Remove a file, or a folder with its contents, if it exists."""
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
"""The disk outside tests."""


def refuse_links(paths: Iterable[Path]) -> None:
    """Refuse to write in folders that contain links or special files.

    An untrusted folder can contain links that lead out of it, and writing through a link changes another file.

    Raises:
        DataError: a path, or a path below it, is a link or a special file; the message names it.
    """
    for path in paths:
        _refuse_link(path)
        for folder, folders, files in os.walk(path):
            for name in sorted([*folders, *files]):
                _refuse_link(Path(folder, name))


def _refuse_link(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except OSError:  # it does not exist
        return
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return
    kind = "a symbolic link" if stat.S_ISLNK(mode) else "neither a file nor a folder"
    raise DataError(
        f"{path}: is {kind}, which could lead out of the folder, so pellucid does not write there; replace it by a "
        "copy (cp -rL FOLDER COPY copies a folder without links), or name another folder"
    )


def open_to_append(path: Path) -> BinaryIO:
    """Open or create a file to append to it and truncate it; never through a symbolic link.

    A file with several names (hard links) is copied first, so that the file under the other names does not change.

    Raises:
        OSError: the path is a symbolic link, or cannot be opened.
    """
    if path.is_file() and not path.is_symlink() and path.stat().st_nlink > 1:
        DISK.write_replacing(path, _chunks_of(path))
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o666), "ab")


def _chunks_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def cache_folder() -> Path | None:
    """Return the user's cache folder of pellucid, which need not exist, or None without a home folder.

    ``PELLUCID_CACHE`` overrides it.
    """
    if chosen := os.environ.get("PELLUCID_CACHE"):
        return Path(chosen)
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if base.is_absolute():  # its specification says to ignore relative paths
        return base / "pellucid"
    try:
        return Path.home() / ".cache" / "pellucid"
    except RuntimeError:
        return None


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def naming(place: Path | str) -> Iterator[None]:
    """Add the name of the output to an error of writing; the system only names a file when it is opened."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(place)
        raise


def shortage_of(error: OSError) -> str:
    """Return the shortage that stopped a write and the remedy, or "" if it failed for another reason."""
    what, remedy = _SHORTAGES.get(error.errno or 0, ("", ""))
    return f"{what}; {remedy} and give the same command again" if what else ""


@contextmanager
def refuse_full_disk(path: Path, *, needed_bytes: int) -> Iterator[None]:
    """Check that the disk has room for a save, and turn a shortage during the save into a message.

    Raises:
        StoppedError: the disk has too little space, or the save reaches a quota or a limit.
    """
    free = shutil.disk_usage(path).free
    try:
        if free < needed_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        yield
    except OSError as error:
        if not (shortage := shortage_of(error)):
            raise
        raise StoppedError(
            f"{path}: this save needs {counted(needed_bytes, 'byte')} and {free:,} are "
            f"free: {shortage}. What was saved before stays intact"
        ) from error


@contextmanager
def draft_of(output: Path, *, may_replace: bool = False) -> Iterator[Path]:
    """Give a path to write to, which is renamed to ``output`` at the end, or removed after an error.

    Every call has its own draft, in a locked hidden folder beside the output. The draft of a killed process is not
    locked, and the next draft of the same output removes it.

    Args:
        output: the final path.
        may_replace: replace an existing file.

    Raises:
        FileExistsError: another process created the output during the work, and may_replace is false.
    """
    # The prefix is short because a name has at most 255 bytes. Outputs with the same first characters do not disturb
    # each other, because a locked draft stays.
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
    exists = FileExistsError(errno.EEXIST, "another process created it meanwhile", str(output))
    if output.exists() or output.is_symlink():
        raise exists
    try:
        DISK.replace(draft, output)
    except OSError as error:  # created after the check
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EISDIR}:
            raise exists from None
        raise


def _locked_folder(parent: Path, prefix: str, held: ExitStack) -> Path:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        try:
            held.enter_context(_locked(folder, wait=True))
        except FileNotFoundError:
            continue
        except OSError as error:
            # On a file system without locks, the draft of a killed process stays, because no process can lock it.
            if error.errno not in {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}:
                DISK.remove(folder)
                raise
        # Before it was locked, another process could remove it like the draft of a killed process.
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
