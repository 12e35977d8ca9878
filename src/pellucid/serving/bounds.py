"""Limit the cost of a request for a trace, by an estimate before the work begins.

The page shows one sentence at a time. The cost of a search grows with the beam and with the square of the length, and
so does the size of a trace with the square of the length, so a request of a hundred bytes can require gigabytes. Read
``connections.py`` next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from pellucid.errors import PellucidError, RequestError, counted
from pellucid.page.answers_trace import refuse_settings
from pellucid.tracing.sites import all_sites, expected_shape
from pellucid.translation.constraints import max_length_of

if TYPE_CHECKING:
    from pellucid.config import ModelConfig
    from pellucid.translation.translator import Translator

__all__ = ["LONGEST_TEXT", "MOST_ROWS", "bytes_of_pass", "refuse_heavy", "refuse_long"]

LONGEST_TEXT: Final = 4096
"""Characters of a source or a target; a sentence of 200 pieces has about a thousand."""
MOST_ROWS: Final = 5_000
"""Rows of a search: the beam times the positions on both sides. A beam of 5 over 200 pieces has at most 3,100."""

MOST_EDITED_POSITIONS: Final = 400_000
"""Positions that searches with edits compute together: 100 source pieces with a beam of 5 take at most 121,000."""


def refuse_heavy(
    translator: Translator,
    source: str,
    *,
    target: str | None,
    settings: Mapping[str, object],
    largest_bytes: int,
    target_ids: Sequence[int] | None = None,
    edits: Sequence[str] = (),
) -> None:
    """Refuse a trace that would block the server, or use more memory than ``largest_bytes``.

    Raises:
        RequestError: a text is too long or cannot be tokenised, the search is too wide, or the trace is too large.
        ConfigError: a setting is wrong.
    """
    refuse_long(source, target)
    refuse_settings(settings)
    config = translator.with_settings(**settings).config
    model = translator.model.config
    longest = model.max_positions - 1
    is_given = target is not None or target_ids is not None
    longest_source = longest if is_given else min(longest, config.max_input_length)
    tokenizer = translator.tokenizer
    source_length = _length("source", source, tokenizer.encode_source, most=longest_source)
    if target is not None:
        target_length = _length("target", target, tokenizer.encode_target, most=longest)
    elif target_ids is not None:
        target_length = min(len(target_ids), longest)  # the trace refuses more
    else:
        target_length = max_length_of(source_length, config=config, stepper_max_length=model.max_positions)
        rows = config.beam_size * (source_length + target_length)
        if rows > MOST_ROWS:
            raise RequestError(
                f"a search with beam_size = {config.beam_size} over {counted(source_length, 'source piece')} and up to "
                f"{counted(target_length, 'target piece')} takes {counted(rows, 'row')}; the "
                f"limit on this page is {MOST_ROWS:,}; "
                "lower beam_size, max_length_factor or max_length_constant, or give a shorter sentence"
            )
        _refuse_edits(edits, config.beam_size, target_length)
    size = bytes_of_pass(model, source_length=source_length, target_length=target_length)
    if size > largest_bytes:
        raise RequestError(
            f"the trace of {source_length} source and up to "
            f"{counted(target_length, 'target piece')} takes {size / 1e6:,.0f} MB; "
            f"the limit on this page is {largest_bytes / 1e6:,.0f} MB; give a shorter sentence, or start the server "
            "with a larger --trace-memory-mb"
        )


def _refuse_edits(edits: Sequence[str], beam_size: int, target_length: int) -> None:
    """Refuse edits whose search takes too long: without a cache it grows with the square of the length."""
    searches = 1 + sum(edit.startswith("step.") for edit in edits)
    positions = searches * beam_size * target_length**2 // 2 if edits else 0
    if positions > MOST_EDITED_POSITIONS:
        raise RequestError(
            f"a search with {counted(len(edits), 'edit')} and beam_size = {beam_size} over up to "
            f"{counted(target_length, 'target piece')} "
            f"computes {counted(positions, 'position')}; the limit on this page is {MOST_EDITED_POSITIONS:,}; "
            "force fewer pieces, lower beam_size or max_length_factor, or give a shorter sentence"
        )


def refuse_long(source: str, target: str | None) -> None:
    """Refuse a text that is too long for a sentence, before anything reads its characters.

    Raises:
        RequestError: it is too long.
    """
    for name, text in (("source", source), ("target", target or "")):
        if len(text) > LONGEST_TEXT:
            raise RequestError(
                f"{name} has {counted(len(text), 'character')}; the limit on this page is "
                f"{LONGEST_TEXT:,}; send one sentence "
                "at a time"
            )


def bytes_of_pass(config: ModelConfig, *, source_length: int, target_length: int) -> int:
    """Return the size of all sites of a pass in bytes, in float32."""
    return sum(
        math.prod(expected_shape(site, config, source=source_length, target=target_length))
        * (1 if site.endswith("may_attend") else 4)
        for site in all_sites(config)
    )


def _length(name: str, text: str, encode: Callable[[list[str]], list[list[int]]], *, most: int) -> int:
    """Return the number of positions of a text, with the end of sentence.

    Raises:
        RequestError: the text has more than ``most`` pieces, or cannot be tokenised.
    """
    try:
        (ids,) = encode([text])
    except PellucidError as error:
        raise RequestError(f"{name}: {str(error).removeprefix('text 0: ')}") from None
    if len(ids) > most:
        raise RequestError(
            f"{name} has {counted(len(ids), 'piece')}; the limit of a trace is {most}; give one sentence at a time"
        )
    return len(ids) + 1
