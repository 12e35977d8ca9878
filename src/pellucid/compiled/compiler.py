"""Compile a C file of this package for this machine, once.

The compiled file stays in the user's cache folder under a name that holds everything it depends on: the source, the
headers, the options, the compiler and the processor. Of several processes one compiles and the others wait for it; a
whole file is renamed into place.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from pellucid.compiled.cache import alone, private_cache
from pellucid.durable import sha256_of
from pellucid.errors import EngineUnavailableError

__all__ = ["c_compiler", "compiled_library"]

_OPTIONS: Final = ("-std=gnu11", "-O3", "-fno-math-errno", "-shared", "-fPIC")
_LIBRARIES: Final = ("-lm", "-lpthread")
_FOR_THIS_PROCESSOR: Final = ("-march=native", "-mcpu=native")
"""gcc and clang on x86 know the first, on ARM the second; the first that the compiler takes is used."""
_COMPILERS: Final = ("cc", "gcc", "clang")
_SECONDS: Final = 120
_HEADERS: Final = tuple(Path(__file__).with_name(name) for name in ("team.h", "vectors.h"))
"""What C files of this package include."""


def compiled_library(source: Path, *, what: str, say: Callable[[str], None] = lambda text: None) -> Path:
    """Return the compiled form of a C file for this machine; compile it where the cache folder does not hold it yet.

    ``say`` is called with a sentence before it is compiled, which takes seconds. ``what`` stands in that sentence and
    in errors, such as "the native engine".

    Raises:
        EngineUnavailableError: there is no compiler, or it fails; the message says which and why.
    """
    compiler = c_compiler(what=what)
    contents = [path.read_bytes() for path in (source, *_HEADERS)]
    facts = [*contents, *map(str.encode, _OPTIONS), _identity(compiler).encode(), _processor().encode()]
    name = f"{source.stem}-{hashlib.sha256(b'|'.join(facts)).hexdigest()[:16]}.so"
    path = private_cache(say) / name
    if not _is_whole(path):
        with alone(path):
            if not _is_whole(path):  # nobody compiled it while this process waited
                when = "again, since the one in the cache is damaged" if path.exists() else "once"
                say(f"compiling {what} for this machine, {when} (with {compiler}, some seconds)")
                _compile(compiler, source, path, what=what)
    return path


def _is_whole(path: Path) -> bool:
    """Return whether a compiled file has the checksum that was written with it: a damaged one would end the process."""
    try:
        return _checksum_of(path).read_text(encoding="ascii", errors="replace") == sha256_of(path)
    except OSError:
        return False


def _checksum_of(path: Path) -> Path:
    return path.with_suffix(".sha256")


def c_compiler(*, what: str) -> Path:
    """Return the compiler that CC names, or the first that is found.

    Raises:
        EngineUnavailableError: there is none; ``what`` it is for is part of the message.
    """
    wanted = os.environ.get("CC", "").split()
    for name in (*wanted[:1], *_COMPILERS):
        if found := shutil.which(name):
            return Path(found)
    raise EngineUnavailableError(f"there is no C compiler (cc, gcc or clang) on the path; install one for {what}")


def _compile(compiler: Path, source: Path, path: Path, *, what: str) -> None:
    """Compile into a file beside ``path`` and rename it, so that a name never stands for half a library.

    A process that is ended between the two renames leaves a pair that does not fit, and the next one compiles again.
    """
    problems: list[str] = []
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="compiling-") as folder:
        draft = Path(folder) / path.name
        for option in _FOR_THIS_PROCESSOR:
            problem = _run([str(compiler), *_OPTIONS, option, "-o", str(draft), str(source), *_LIBRARIES])
            if problem is None:
                checksum = _checksum_of(draft)
                checksum.write_text(sha256_of(draft), encoding="ascii")
                draft.replace(path)
                checksum.replace(_checksum_of(path))
                return
            problems.append(problem)
    raise EngineUnavailableError(f"{compiler} cannot compile {what}: {problems[0]}; set CC to another C compiler")


def _run(command: Sequence[str]) -> str | None:
    """Run the compiler; return what it complained of, or None."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
    return next((line for line in lines if "error" in line), lines[0])


def _identity(compiler: Path) -> str:
    """Name the compiler by its file, since asking it for its version would start a process each time."""
    real = compiler.resolve()
    status = real.stat()
    return f"{real} {status.st_size} {status.st_mtime_ns}"


def _processor() -> str:
    """Return what tells this processor from others: its architecture and the instructions that it has."""
    facts = [platform.machine(), platform.system()]
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return " ".join([*facts, platform.processor()])
    wanted = ("flags", "Features", "model name", "CPU part")
    first = {name: line for line in reversed(lines) if (name := line.partition(":")[0].strip()) in wanted}
    return " ".join([*facts, *first.values()])
