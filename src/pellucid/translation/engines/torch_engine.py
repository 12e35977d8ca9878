"""The engine that can do everything: the searches of this room over steppers. It is the reference for the others.

Read ``native/__init__.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pellucid.errors import RequestError
from pellucid.runtime import is_lack_of_memory
from pellucid.translation.beam import beam_search
from pellucid.translation.engines.engine import Outcome, SearchRequest
from pellucid.translation.greedy import greedy_search
from pellucid.translation.hypothesis import Hypothesis
from pellucid.translation.sampling import sample
from pellucid.translation.stepper import Stepper
from pellucid.translation.units import Renumbered, batches_of

__all__ = ["TorchEngine"]

_NO_MEMORY: Final = "there is not enough memory for this text; lower beam_size or n_best, or split the text"


@dataclass(frozen=True)
class TorchEngine:
    """Searches over the steppers that ``make_stepper`` makes, one for each batch."""

    make_stepper: Callable[[], Stepper]
    name: str = "torch"

    def lacks(self, request: SearchRequest) -> str | None:
        """Lack the attention of a head, which only Transformers have; a stepper may be anything."""
        return "the attention of one head" if request.head else None

    def search(self, request: SearchRequest) -> Iterator[Outcome]:
        """Search units in batches of similar length."""
        for places in batches_of([len(unit.ids) for unit in request.units], request.config.batch_size):
            yield from self._batch(request, places)

    def _batch(self, request: SearchRequest, places: Sequence[int]) -> Iterator[Outcome]:
        """Search some units together; where that fails, in halves, until a unit that fails stands alone."""
        results: Sequence[list[Hypothesis]] | None = None
        problem = ""
        try:
            results = self._together(request, places)
        except (RequestError, MemoryError, RuntimeError) as error:
            if not isinstance(error, RequestError) and not is_lack_of_memory(error):
                raise
            problem = str(error) if isinstance(error, RequestError) else _NO_MEMORY
        # Outside of the except clause, whose error keeps the tensors of the failed search alive.
        if results is not None:
            yield from zip(places, results, strict=True)
        elif len(places) == 1:
            yield places[0], problem
        else:
            middle = len(places) // 2
            for half in (places[:middle], places[middle:]):
                yield from self._batch(request, half)

    def _together(self, request: SearchRequest, places: Sequence[int]) -> Sequence[list[Hypothesis]]:
        config, constraints = request.config, request.constraints
        source_ids = [request.units[place].ids for place in places]
        prefixes = tuple(request.units[place].prefix for place in places)
        if any(prefix.longest for prefix in prefixes):
            constraints = replace(constraints, prefixes=prefixes)
        if config.sampling:
            return sample(self.make_stepper(), source_ids, config=config, constraints=constraints)
        if config.beam_size == 1 and request.observer is None:
            return greedy_search(self.make_stepper(), source_ids, config=config, constraints=constraints)
        return beam_search(
            self.make_stepper(),
            source_ids,
            config=config,
            constraints=constraints,
            observer=None if request.observer is None else Renumbered(request.observer, places),
            key_of=request.key_of if config.n_best > 1 else None,
        )
