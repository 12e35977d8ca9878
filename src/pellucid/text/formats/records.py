"""Read JSON lines and Parquet: records with a text under each of two keys. Read ``moses.py`` next.

The keys are those of the corpus (``src_key``, ``tgt_key``), or language codes. Both may be in an object
``translation``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pellucid.errors import DataError
from pellucid.text.formats.languages import answers
from pellucid.text.formats.units import Found, LeftOut, Reason, Request, Unit
from pellucid.text.lines import read_lines

__all__ = ["read_jsonl", "read_parquet"]

_NESTED: Final = "translation"
_RECORDS_AT_ONCE: Final = 1024


def read_jsonl(path: Path, request: Request) -> Iterator[Found]:
    """Yield the records of a file with a JSON object on each line.

    Raises:
        DataError: the file cannot be read.
    """
    for line, text in enumerate(read_lines(path, invalid_utf8=request.of_lines)):
        if text is None:
            yield LeftOut(Reason.INVALID_TEXT, line)
            continue
        try:
            record = json.loads(text)
        except (ValueError, RecursionError):
            record = None
        yield _found(record, line, request)


def read_parquet(path: Path, request: Request) -> Iterator[Found]:
    """Yield the rows of a Parquet file; only the columns of the texts and the document are read.

    Raises:
        DataError: pyarrow is not installed, or the file cannot be read or lacks the columns.
    """
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise DataError(
            f"{path}: Parquet needs pyarrow, which is not installed; pip install 'pellucid[parquet]'"
        ) from None
    line = 0
    try:
        with parquet.ParquetFile(path) as file:
            names = _columns(path, file.schema_arrow.names, request)
            for batch in file.iter_batches(batch_size=_RECORDS_AT_ONCE, columns=names):
                for record in batch.to_pylist():
                    yield _found(record, line, request)
                    line += 1
    except (ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"{path}: is not a Parquet file, or is damaged after row {line:,} ({str(error)[:200]}); fetch it again"
        ) from None


def _columns(path: Path, names: list[str], request: Request) -> list[str]:
    corpus = request.corpus
    keys = _keys(dict.fromkeys(names, ""), request)
    wanted = [_NESTED] if keys is None and _NESTED in names else list(keys or ())
    if not wanted:
        raise DataError(
            f"{path}: has the columns {', '.join(repr(name) for name in names[:12])}; set src_key and tgt_key of the "
            "corpus to two of them"
        )
    return wanted + [name for name in names if name == corpus.document_key]


def _keys(record: Mapping[str, Any], request: Request) -> tuple[str, str] | None:
    corpus = request.corpus
    found = [
        key if key in record else next((name for name in record if answers(language, name)), None)
        for key, language in zip((corpus.src_key, corpus.tgt_key), request.languages, strict=True)
    ]
    source, target = found
    return None if source is None or target is None else (source, target)


def _found(record: object, line: int, request: Request) -> Found:
    if not isinstance(record, dict):
        return LeftOut(Reason.BROKEN, line)
    texts = record
    keys = _keys(texts, request)
    if keys is None and isinstance(record.get(_NESTED), dict):
        texts = record[_NESTED]
        keys = _keys(texts, request)
    if keys is None:
        return LeftOut(Reason.BROKEN, line)
    source, target = (texts[key] for key in keys)
    if source is None or target is None:
        return LeftOut(Reason.UNTRANSLATED, line)
    if not isinstance(source, str) or not isinstance(target, str):
        return LeftOut(Reason.BROKEN, line)
    document = record.get(request.corpus.document_key, "")
    codes = [key if answers(language, key) else "" for key, language in zip(keys, request.languages, strict=True)]
    return Unit(source, target, line, str(document), (codes[0], codes[1]))
