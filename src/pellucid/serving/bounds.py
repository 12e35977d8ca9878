"""What a request for a trace may cost, from an estimate before any of the work.

The page shows one sentence at a time. What a search takes grows with the beam and with the square of the length, and
what a trace holds with the square of the length too, so a request of a hundred bytes can ask for gigabytes. Read
``connections.py`` next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from pellucid.errors import PellucidError, RequestError
from pellucid.page.answers_trace import refuse_settings
from pellucid.tracing.sites import all_sites, expected_shape
from pellucid.translation.constraints import max_length_of

if TYPE_CHECKING:
    from pellucid.config import ModelConfig
    from pellucid.translation.translator import Translator

__all__ = ["LONGEST_TEXT", "MOST_ROWS", "bytes_of_pass", "refuse_heavy", "refuse_long"]

LONGEST_TEXT: Final = 4096
"""Characters of a source, and of a target; a sentence of 200 pieces has about a thousand."""
MOST_ROWS: Final = 5_000
"""Of a search: the beam times the positions on both sides. A beam of 5 over 200 pieces takes 3,100 at most."""


def refuse_heavy(
    translator: Translator, source: str, *, target: str | None, settings: Mapping[str, object], largest_bytes: int
) -> None:
    """Refuse a trace that would keep everybody waiting, or take more memory than ``largest_bytes``.

    Raises:
        RequestError: a text is too long, the search too wide, or the trace too large; or a text cannot be tokenised.
        ConfigError: a setting is wrong.
    """
    refuse_long(source, target)
    refuse_settings(settings)
    config = translator.with_settings(**settings).config
    model = translator.model.config
    longest = model.max_positions - 1
    longest_source = min(longest, config.max_input_length) if target is None else longest
    tokenizer = translator.tokenizer
    source_length = _length("source", source, tokenizer.encode_source, most=longest_source)
    if target is not None:
        target_length = _length("target", target, tokenizer.encode_target, most=longest)
    else:
        target_length = max_length_of(source_length, config=config, stepper_max_length=model.max_positions)
        rows = config.beam_size * (source_length + target_length)
        if rows > MOST_ROWS:
            raise RequestError(
                f"a search with beam_size = {config.beam_size} over {source_length} source pieces and up to "
                f"{target_length} target pieces takes {rows:,} rows, and on this page {MOST_ROWS:,} are allowed; "
                "lower beam_size, max_length_factor or max_length_constant, or give a shorter sentence"
            )
    size = bytes_of_pass(model, source_length=source_length, target_length=target_length)
    if size > largest_bytes:
        raise RequestError(
            f"the trace of {source_length} source and up to {target_length} target pieces takes {size / 1e6:,.0f} MB, "
            f"and on this page {largest_bytes / 1e6:,.0f} MB are allowed; give a shorter sentence, or start the server "
            "with a larger --trace-memory-mb"
        )


def refuse_long(source: str, target: str | None) -> None:
    """Refuse a text that is no sentence, before anything looks at its characters.

    Raises:
        RequestError: it is too long.
    """
    for name, text in (("source", source), ("target", target or "")):
        if len(text) > LONGEST_TEXT:
            raise RequestError(
                f"{name} has {len(text):,} characters, and this page takes {LONGEST_TEXT:,}; a trace is made of one "
                "sentence at a time"
            )


def bytes_of_pass(config: ModelConfig, *, source_length: int, target_length: int) -> int:
    """Return how many bytes all sites of a pass have, in float32."""
    return sum(
        math.prod(expected_shape(site, config, source=source_length, target=target_length))
        * (1 if site.endswith("may_attend") else 4)
        for site in all_sites(config)
    )


def _length(name: str, text: str, encode: Callable[[list[str]], list[list[int]]], *, most: int) -> int:
    """Return the positions of a text with its end.

    Raises:
        RequestError: there are too many of them for one part of a translation, or the text cannot be tokenised.
    """
    try:
        (ids,) = encode([text])
    except PellucidError as error:
        raise RequestError(f"{name}: {str(error).removeprefix('text 0: ')}") from None
    if len(ids) > most:
        raise RequestError(
            f"{name} has {len(ids):,} pieces, and a trace is made of up to {most} pieces; give one sentence at a time"
        )
    return len(ids) + 1
