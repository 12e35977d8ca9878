"""A column of a Parquet file as lines, and the file with its translation as one more column.

Row groups are read and written one by one, so a file of any size fits into memory. Read ``record_files.py`` next.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final, cast

from pellucid.durable import draft_of, naming
from pellucid.errors import DataError
from pellucid.jobs.bulk.records import Fields

__all__ = ["ENDING", "column_names", "open_column", "refuse_other_type", "write_table"]

ENDING: Final = ".parquet"
_ROWS_AT_ONCE: Final = 4096
_TEXT: Final = ("string", "large_string", "string_view", "null")


def column_names(file: str) -> list[str]:
    """Return the names of the columns.

    Raises:
        DataError: pyarrow is not installed, or the file cannot be read.
    """
    with _opened(file) as table:
        names: list[str] = table.schema_arrow.names
        return names


def refuse_other_type(file: str, column: str) -> None:
    """Refuse a column that cannot hold text, before each of its rows fails.

    Raises:
        DataError: it has another type, or the file cannot be read.
    """
    with _opened(file) as table:
        found = table.schema_arrow.field(column).type
    value = found.value_type if str(found).startswith("dictionary") else found
    if str(value) not in _TEXT:
        raise DataError(f"{file}: the column {column!r} has the type {found}, not text; name another one with --field")


@contextmanager
def open_column(file: str, column: str) -> Iterator[io.BufferedReader]:
    """Open a column as a stream with a line of JSON for each row, an object with this one field.

    Raises:
        DataError: pyarrow is not installed, or the file cannot be read or is damaged.
    """
    with _opened(file) as table, io.BufferedReader(_Lines(file, table, column)) as stream:
        yield cast(io.BufferedReader, stream)


def write_table(file: str, output: Path, lines: Iterable[str], fields: Fields) -> None:
    """Write the table of a file with the columns of a translation and of errors, which are in the lines.

    Raises:
        DataError: the file cannot be read.
        OSError: writing fails; ``filename`` is set.
    """
    import pyarrow
    from pyarrow import parquet

    rows = (json.loads(line) for line in lines)
    other = f"{file}: has other rows than those that were translated; put the old file back, or begin with --restart"
    names = (fields.translation, fields.error)
    with (
        naming(output),
        _opened(file) as source,
        draft_of(output.resolve(), may_replace=True) as draft,
        _writer(parquet, pyarrow, source, draft, names) as sink,
    ):
        for number in range(source.num_row_groups):
            group = source.read_row_group(number)
            found = list(islice(rows, group.num_rows))
            if len(found) != group.num_rows:
                raise DataError(other)
            for name in names:
                values = pyarrow.array([row.get(name) for row in found], pyarrow.string())
                place = group.schema.get_field_index(name)
                kept = group if place < 0 else group.remove_column(place)
                group = kept.append_column(name, values)
            sink.write_table(group, row_group_size=max(1, group.num_rows))
        if next(rows, None) is not None:
            raise DataError(other)


def _writer(parquet: Any, pyarrow: Any, source: Any, draft: Path, names: Sequence[str]) -> Any:
    kept = [field for field in source.schema_arrow if field.name not in names]
    schema = pyarrow.schema(
        [*kept, *(pyarrow.field(name, pyarrow.string()) for name in names)], metadata=source.schema_arrow.metadata
    )
    groups = source.metadata
    packed = groups.row_group(0).column(0).compression if groups.num_row_groups else "SNAPPY"
    return parquet.ParquetWriter(draft, schema, compression="NONE" if packed == "UNCOMPRESSED" else packed)


@contextmanager
def _opened(file: str) -> Iterator[Any]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise DataError(
            f"{file}: Parquet needs pyarrow, which is not installed; pip install 'pellucid[parquet]'"
        ) from None
    try:
        table = parquet.ParquetFile(file)
    except (ArrowException, OSError) as error:
        raise DataError(f"{file}: cannot be read as Parquet ({str(error)[:200]})") from None
    with table:
        yield table


class _Lines(io.RawIOBase):
    """The rows of a column as bytes."""

    def __init__(self, file: str, table: Any, column: str) -> None:
        self._rows = self._read(file, table, column)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            block = next(self._rows, None)
            if block is None:
                return 0
            self._rest = block
        taken, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)

    @staticmethod
    def _read(file: str, table: Any, column: str) -> Iterator[bytes]:
        from pyarrow import ArrowException

        try:
            for batch in table.iter_batches(batch_size=_ROWS_AT_ONCE, columns=[column]):
                texts = (row[column] if isinstance(row[column], str) else None for row in batch.to_pylist())
                yield "".join(json.dumps({column: text}) + "\n" for text in texts).encode()
        except (ArrowException, OSError) as error:
            raise DataError(f"{file}: is damaged ({str(error)[:200]}); fetch it again") from None
