"""Writing files so that a kill, a power cut or a full disk leaves the old state or the new one, never half of it.

Every write, fsync, rename and removal of a save goes through one ``Disk``, so that a test can list
them and end the process at each. Read ``bundle.py`` next.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.errors import StoppedError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DISK", "Disk", "draft_of", "refuse_full_disk", "sha256_of"]

_CHUNK_BYTES = 1 << 20
_PREFIX_CHARACTERS = 40


class Disk:
    """The only way in which a save touches the file system.

    ``on_operation(kind, path)`` is called before each operation; tests use it to stop there.
    """

    def __init__(self, on_operation: Callable[[str, Path], None] | None = None) -> None:
        self._on_operation = on_operation

    def write(self, path: Path, content: bytes | Iterable[bytes]) -> None:
        """Write a new file and wait until its bytes are on the disk."""
        self._announce("write", path)
        chunks = (content,) if isinstance(content, bytes) else content
        with path.open("wb") as file:
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
        """Put new content in the place of old: written beside it, then renamed over it."""
        beside = path.with_name(f".{path.name}.new")
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


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


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
        if error.errno in {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}:
            raise StoppedError(message) from error
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
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(handle)
