"""A corpus that an earlier command finished: what it was made with, and whether the present command made it.

Hours of work stand in such a file, so another command does not replace it by itself. Read ``corpus.py`` next.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pellucid.durable import DISK
from pellucid.errors import ConfigError
from pellucid.jobs.bulk.folder import differences, folder_for, has_finished_parts
from pellucid.jobs.bulk.survey import Survey
from pellucid.text.compression import open_compressed

__all__ = ["FORMAT", "facts_of_corpus", "finished_corpus", "write_provenance"]

FORMAT: Final = "pellucid synthetic corpus"
_REMEDY: Final = "name another --output, or make the corpus anew with --restart"
_COMPARED: Final = ("kind", "language_tag", "engine", "translation", "filters")
_SETTINGS: Final = ("translation", "filters")
_BLOCK_BYTES: Final = 1 << 20


def facts_of_corpus(facts: Mapping[str, Any], surveys: Sequence[Survey]) -> dict[str, Any]:
    """Return everything that a corpus depends on, as ``finished_corpus`` compares it."""
    inputs = {f"input {number}": survey.facts() for number, survey in enumerate(surveys, start=1)}
    return {"model": facts["model"], **{name: facts[name] for name in _COMPARED}, **inputs}


def finished_corpus(
    output: Path, provenance: Path, wanted: Mapping[str, Any], *, restart: bool
) -> dict[str, Any] | None:
    """Return what a corpus says of itself if the command with these facts has finished it; None if it is to be made.

    Raises:
        ConfigError: the output is there, and another command made it, or nobody knows how.
    """
    if restart or not (output.exists() or provenance.exists()) or has_finished_parts(folder_for(output)):
        return None  # finished parts say themselves of which command they are
    about = _read(provenance)
    if about is None:
        there = output if output.exists() else provenance
        raise ConfigError(f"{there}: exists, and nothing says that 'pellucid synthesize' made it; {_REMEDY}")
    if not output.exists():
        return None
    before = _facts_in(about)
    if found := differences(before, _without_newer(wanted, before)):
        raise ConfigError(
            f"{output}: is a finished corpus of another command: {'; '.join(found)}. It is not replaced; {_REMEDY}"
        )
    if _sha256_of(output) != about["output"].get("sha256"):
        raise ConfigError(f"{output}: was changed after it was finished; {_REMEDY}")
    return about


def write_provenance(provenance: Path, about: Mapping[str, Any]) -> None:
    """Write where a corpus comes from."""
    DISK.write_replacing(provenance, (json.dumps(about, ensure_ascii=False, indent=1) + "\n").encode())


def _read(provenance: Path) -> dict[str, Any] | None:
    try:
        about = json.loads(provenance.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    is_ours = isinstance(about, dict) and about.get("format") == FORMAT
    return about if is_ours and isinstance(about.get("output"), dict) else None


def _facts_in(about: Mapping[str, Any]) -> dict[str, Any]:
    model = about.get("model")
    facts = {"model": model.get("sha256") if isinstance(model, dict) else model}
    facts |= {name: about[name] for name in _COMPARED if name in about}
    return facts | {f"input {number}": one for number, one in enumerate(about.get("inputs") or (), start=1)}


def _without_newer(wanted: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts without settings that the version of the corpus did not have; they had no effect then."""
    return {
        name: {key: one for key, one in value.items() if key in before[name]}
        if name in _SETTINGS and isinstance(before.get(name), dict)
        else value
        for name, value in wanted.items()
    }


def _sha256_of(output: Path) -> str:
    """Return the SHA-256 of the plain text of a corpus."""
    digest = hashlib.sha256()
    with open_compressed(output).stream as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
