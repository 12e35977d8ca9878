"""Tables of settings into records and back: read from TOML, changed by ``--set``, checked, written.

All problems are reported at once, each with its place and, for a misspelt name, the most similar valid one. Read
``recipe.py`` next.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pellucid.errors import ConfigError, counted
from pellucid.untrusted import MAX_TOML_BYTES, MAX_TOML_DEPTH, first_of, parse_toml, read_at_most, shown

__all__ = ["Table", "parse_settings", "read_toml", "to_toml", "validated"]

Table = dict[str, object]
Record = TypeVar("Record", bound=BaseModel)


def read_toml(path: Path) -> Table:
    """Return the tables of an untrusted TOML file.

    Raises:
        ConfigError: the file is not UTF-8 or TOML, or exceeds a limit of size or depth.
        OSError: the file cannot be read.
    """
    try:
        return parse_toml(read_at_most(path, MAX_TOML_BYTES).decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not valid UTF-8 (byte {error.start}); save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not valid TOML: {str(error)[:200]}") from None
    except (ValueError, RecursionError) as error:  # over a limit, or a number of 5,000 digits
        raise ConfigError(
            f"{path}: cannot be read as TOML: {str(error)[:200]}; no valid setting is so large or deep"
        ) from None


def validated(kind: type[Record], table: Mapping[str, object], *, place: str) -> Record:
    """Check a table against a record type and turn every problem into one ``ConfigError``.

    Raises:
        ConfigError: a value is wrong; the message has a line for each of the first problems.
    """
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        described = (f"{place}: {_describe(kind, problem)}" for problem in error.errors(include_url=False))
        raise ConfigError("\n".join(first_of(described, count=error.error_count()))) from None


def parse_settings(settings: Sequence[str]) -> list[tuple[tuple[str, ...], object]]:
    """Read ``section.key=value`` settings; a value is TOML or a string without quotes.

    Raises:
        ConfigError: a setting has no ``=`` or no key, or its value is too large or too deep for TOML.
    """
    parsed: list[tuple[tuple[str, ...], object]] = []
    for setting in settings:
        key, equals, text = setting.partition("=")
        keys = tuple(part.strip() for part in key.split("."))
        if not equals or not all(keys):
            raise ConfigError(f"--set {shown(setting)} is not of the form section.key=value, as in training.seed=7")
        if len(keys) > MAX_TOML_DEPTH:
            raise ConfigError(
                f"--set {shown(key)}: has {counted(len(keys), 'part')} between dots, and the limit is {MAX_TOML_DEPTH}"
            )
        try:
            table = parse_toml(f"value = {text}")
        except tomllib.TOMLDecodeError:
            table = {"value": text}
        except (ValueError, RecursionError) as error:
            raise ConfigError(
                f"--set {key}: the value cannot be read: {str(error)[:200]}; give a shorter one"
            ) from None
        value: object = table["value"] if len(table) == 1 else text  # text with a line break could contain more keys
        parsed.append((keys, value))
    return parsed


def to_toml(record: BaseModel) -> str:
    """Return a record as TOML with every default; optional values that are not set are omitted."""
    import tomlkit  # its import takes longer than many a verb

    return tomlkit.dumps(record.model_dump(mode="json", exclude_none=True))


_REASONS: Final[dict[str, str]] = {
    "tuple_type": 'is not a list; write it in square brackets, as in ["a", "b"]',
    "missing": "is missing",
    "model_type": "is not a table of settings",
}


_LONGEST_REASON: Final = 2000
_LONGEST_NAME: Final = 80


def _plain(name: str) -> str:
    """Return a name for a message; a very long or unprintable one is shortened or escaped."""
    return name if name.isprintable() and len(name) <= _LONGEST_NAME else shown(name)


def _describe(kind: type[BaseModel], problem: ErrorDetails) -> str:
    location = [_plain(str(part)) for part in problem["loc"]]
    key = ".".join(location) or "recipe"
    if problem["type"] == "extra_forbidden":
        known = _known_names(kind, location[:-1])
        near = difflib.get_close_matches(location[-1], known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(sorted(known))}"
        return f"{key}: unknown setting; {hint}"
    reason = problem["msg"].removeprefix("Value error, ")[:_LONGEST_REASON]
    if problem["type"] == "value_error":
        return f"{key}: {reason}" if location else reason
    return f"{key} = {shown(problem['input'])}: {_REASONS.get(problem['type'], reason[:1].lower() + reason[1:])}"


def _known_names(kind: type[BaseModel], location: Sequence[str]) -> list[str]:
    for part in location:
        if part.isdigit():
            continue
        field = kind.model_fields.get(part)
        if field is None:
            return []
        candidates = [field.annotation, *getattr(field.annotation, "__args__", ())]
        inner = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        if not inner:
            return []
        kind = inner[0]
    return list(kind.model_fields)
