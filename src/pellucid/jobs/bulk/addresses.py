"""Translate from and to addresses such as ``s3://bucket/text.jsonl``, by way of files on this machine.

The input is copied before the work and the output sent after it, so parts, kills and continuing are those of files. The
parts stay until the output is at its address, so a command whose output could not be sent has only that left to do.
Read ``../translate.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pellucid.durable import DISK
from pellucid.errors import ConfigError, counted
from pellucid.jobs.bulk.folder import folder_for
from pellucid.jobs.options.parts import PartsOptions
from pellucid.jobs.translate import FileOutcome
from pellucid.text.formats.remote import address_in, copies_of, kept_place, send

__all__ = ["translate_at"]


def translate_at(
    job: Callable[..., FileOutcome],
    model: Path,
    file: str,
    *,
    output: Path | None,
    parts: PartsOptions = PartsOptions(),
    **given: Any,
) -> FileOutcome:
    """Do a job (``translate_file``, ``translate_records``) whose input or output may be at an address.

    Raises:
        DataError: a file cannot be copied or sent; a finished output is kept, and the message names it.
        ConfigError: the input is a pattern; or processes shall work together on an output at an address.
    """
    with _on_this_machine(file, output, together=parts.together is not None) as (near, place):
        return job(model, near, output=place, parts=replace(parts, keeps=place != output), **given)


@contextmanager
def _on_this_machine(file: str, output: Path | None, *, together: bool) -> Iterator[tuple[str, Path | None]]:
    """Give files in place of addresses; at the end, send the output to its address."""
    if (address := address_in(file)) is not None:
        copies = copies_of(address)
        if len(copies) != 1:
            raise ConfigError(f"{address}: stands for {counted(len(copies), 'file')}; translate them one by one")
        file = str(copies[0])
    target = None if output is None else address_in(output)
    if target is None:
        yield file, output
        return
    if together:
        raise ConfigError(f"--together needs an output in a folder that all processes share; {target} is an address")
    place = kept_place(target)
    yield file, place
    send(place, target)
    DISK.remove(folder_for(place))
    place.unlink()
