"""The words that may come next in translations that are being typed: of one text, or of each line of a stream."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from pellucid.errors import ConfigError, RequestError
from pellucid.jobs.line_files import check_files, reading
from pellucid.jobs.options.translation import ModelOptions
from pellucid.translation.completion.alternatives import NextWord
from pellucid.translation.translator import Translator

__all__ = ["suggest"]

_FORMATS: Final = ("text", "jsonl")


def suggest(
    model: Path,
    text: str,
    *,
    options: ModelOptions,
    prefix: str = "",
    count: int = 5,
    format: str = "text",
    say: Callable[[str], None] = lambda text: None,
) -> Iterator[str]:
    """Yield lines for a text; or, for ``-``, for each line of standard input: a text, a tab and what is typed.

    ``text`` is a line for each word: its probability, the word, and the translation, with tabs between them; a blank
    line ends those of a line of standard input. ``jsonl`` is a record for each text; where one fails, it has ``error``.

    Raises:
        BundleError: the model cannot be used.
        ConfigError: a setting or the format is wrong.
        RequestError: the one text has nothing to translate, or no piece of the model can write the prefix.
    """
    if format not in _FORMATS:
        raise ConfigError(f"--format {format!r} is unknown; use {', '.join(_FORMATS)}")
    if text == "-" and prefix:
        raise ConfigError("--prefix is for one text; in standard input it stands behind the text and a tab")
    options.config_of(model)  # a wrong setting is refused before an engine is opened
    if text == "-":
        check_files([text], None)
    translator = options.open(model, say=say)
    if text != "-":
        words = translator.alternatives(text, prefix, count)
        yield _record(text, prefix, words) if format == "jsonl" else _rows(words)
        return
    with reading("-") as source:
        for line in source.lines():
            yield _answer(translator, line, count, is_json=format == "jsonl")


def _answer(translator: Translator, line: str | ValueError, count: int, *, is_json: bool) -> str:
    if isinstance(line, ValueError):
        return _record("", "", (), error=str(line)) if is_json else f"error: {line}\n"
    text, _, prefix = line.partition("\t")
    try:
        words = translator.alternatives(text, prefix, count)
    except RequestError as error:
        return _record(text, prefix, (), error=str(error)) if is_json else f"error: {error}\n"
    return _record(text, prefix, words) if is_json else _rows(words) + "\n"


def _rows(words: Sequence[NextWord]) -> str:
    return "\n".join(f"{one.probability:.4f}\t{one.word}\t{one.text}" for one in words)


def _record(text: str, prefix: str, words: Sequence[NextWord], *, error: str = "") -> str:
    record: dict[str, object] = {"source": text, "prefix": prefix}
    record["words"] = [
        {"word": w.word, "rest": w.rest, "probability": w.probability, "text": w.text, "score": w.score} for w in words
    ]
    if error:
        record["error"] = error
    return json.dumps(record, ensure_ascii=False)
