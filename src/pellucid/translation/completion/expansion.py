"""The most probable next pieces of a translation that has begun, from any engine: a search of one step.

Read ``alternatives.py`` next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Final, Protocol

from pellucid.config import LengthPenalty, TranslationConfig
from pellucid.errors import RequestError
from pellucid.translation.constraints import Constraints
from pellucid.translation.engines.engine import Outcome, SearchRequest
from pellucid.translation.prefixes import Prefix, Spelling
from pellucid.translation.units import Unit

if TYPE_CHECKING:
    from pellucid.translation.hypothesis import Hypothesis
    from pellucid.translation.terms.watch import Pen

__all__ = ["Beginnings", "Searcher"]

_PIECES: Final = 64
"""Next pieces that are looked at."""
_ONE_STEP: Final = 1e-9
"""A ``max_length_factor`` that adds nothing to ``max_length_constant``."""


class Searcher(Protocol):
    """What searches: a ``Translator``."""

    def search(self, request: SearchRequest) -> Iterator[Outcome]:
        """Search with the engine that fits."""


class Beginnings:
    """The beginnings of one translation, which all agree with a text.

    Args:
        searcher: with the model.
        source_ids: with the end of sentence.
        prefix: of the text.
        pen: of the tokenizer's target side.
        config: of the call.
        constraints: of the call, without prefixes.
    """

    def __init__(
        self,
        searcher: Searcher,
        source_ids: Sequence[int],
        prefix: Prefix,
        *,
        pen: Pen,
        config: TranslationConfig,
        constraints: Constraints,
    ) -> None:
        self._searcher = searcher
        self._source_ids = tuple(source_ids)
        self._prefix = prefix
        self._pen = pen
        self._config = config
        self._constraints = Constraints(eos_id=constraints.eos_id, forbidden_ids=constraints.forbidden_ids)
        self.certain = prefix.ids
        """Pieces that every beginning has."""
        self.typed = pen.bytes_of(prefix.ids) + (prefix.rest.text if prefix.rest else b"")

    def next_pieces(self, beginnings: Sequence[tuple[int, ...]]) -> Iterator[list[Hypothesis]]:
        """Yield for each beginning, in any order, what it is with one more piece that agrees with the text.

        Raises:
            RequestError: the engine cannot do it.
        """
        for length, some in groupby(sorted(beginnings, key=len), key=len):
            units = [Unit(0, number, self._source_ids, self._from(ids)) for number, ids in enumerate(some)]
            update = {"beam_size": _PIECES, "n_best": _PIECES, "length_penalty": LengthPenalty.NONE, "min_length": 0}
            update |= {"max_length_factor": _ONE_STEP, "max_length_constant": length + 1, "num_beam_groups": 1}
            config = self._config.model_copy(update=update | {"sampling": False, "no_repeat_ngram_size": 0})
            request = SearchRequest(units, config, self._constraints, key_of=tuple)
            for _, outcome in self._searcher.search(request):
                if isinstance(outcome, str):
                    raise RequestError(outcome)
                yield [one for one in outcome if len(one.ids) > length]

    def _from(self, ids: tuple[int, ...]) -> Prefix:
        rest = self._prefix.rest
        place = 0 if rest is None else rest.length_of(ids[len(self._prefix.ids) :])
        if rest is None or place >= len(rest.text):
            return Prefix(ids)
        return Prefix(ids, Spelling(rest.text[place:], rest.pieces, avoided=rest.avoided))
