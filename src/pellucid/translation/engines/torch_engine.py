"""The engine that can do everything: the searches of this room over steppers. It is the reference for the others.

Beside ``device/`` it alone imports torch; the translator opens it when something needs it. Read ``native/__init__.py``
next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from pellucid.errors import RequestError, counted
from pellucid.model.transformer import Transformer
from pellucid.runtime import is_lack_of_memory
from pellucid.translation.beam import beam_search
from pellucid.translation.engines.engine import Outcome, SearchRequest
from pellucid.translation.engines.stopping import StoppingStepper
from pellucid.translation.greedy import greedy_search
from pellucid.translation.hypothesis import Hypothesis
from pellucid.translation.observer import WalkObserver
from pellucid.translation.sampling import sample
from pellucid.translation.scoring import forced_log_probabilities, forced_log_probabilities_by_steps
from pellucid.translation.stepper import EnsembleStepper, ModelStepper, Stepper, refuse_strangers
from pellucid.translation.units import Renumbered, batches_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pellucid.text.tokenizer import Tokenizer
    from pellucid.translation.alignment.heads import AlignmentHeads

__all__ = ["TorchEngine", "engine_over"]

_NO_MEMORY: Final = "there is not enough memory for this text; lower beam_size or n_best, or split the text"


@dataclass(frozen=True)
class TorchEngine:
    """Searches over the steppers that ``make_stepper`` makes, one for each batch.

    ``models`` are the Transformers that they step; none where they are not ours.
    """

    make_stepper: Callable[[], Stepper]
    models: tuple[Transformer, ...] = ()
    name: str = "torch"
    make_attentive_stepper: Callable[[], Stepper] | None = None
    """For the sentences that have terms; None: as for the others."""

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
        stepper_of = partial(_stepper, request, places)
        source_ids = [request.units[place].ids for place in places]
        prefixes = tuple(request.units[place].prefix for place in places)
        if any(prefix.longest for prefix in prefixes):
            constraints = replace(constraints, prefixes=prefixes)
        observer = None if request.observer is None else Renumbered(request.observer, places)
        walker = observer if isinstance(request.observer, WalkObserver) else None
        if config.sampling:
            return sample(
                stepper_of(self.make_stepper), source_ids, config=config, constraints=constraints, observer=walker
            )
        watches = [request.units[place].watch for place in places]
        has_terms = any(watch is not None for watch in watches)
        if config.beam_size == 1 and (observer is None or walker is not None) and not has_terms:
            return greedy_search(
                stepper_of(self.make_stepper), source_ids, config=config, constraints=constraints, observer=walker
            )
        if config.num_beam_groups > 1 and request.observer is not None:
            raise RequestError("a record of the search shows one beam; leave num_beam_groups or the record out")
        make_stepper = (has_terms and self.make_attentive_stepper) or self.make_stepper
        return beam_search(
            stepper_of(make_stepper),
            source_ids,
            config=config,
            constraints=constraints,
            observer=observer,
            key_of=request.key_of if config.n_best > 1 else None,
            watches=watches if has_terms else (),
        )

    def score(
        self, places: Sequence[int], source_ids: Sequence[Sequence[int]], target_ids: Sequence[Sequence[int]]
    ) -> Iterator[tuple[int, list[float]]]:
        """Score some of the pairs together; where that fails, in halves, until a pair that fails stands alone.

        Yields:
            The place of each pair, and the log-probability of each of its target tokens.

        Raises:
            RequestError: a pair is too long, there is no memory for it, or its log-probabilities are no numbers.
        """
        terms: list[list[float]] | None = None
        problem = ""
        try:
            terms = self._forced([source_ids[place] for place in places], [target_ids[place] for place in places])
        except (RequestError, MemoryError, RuntimeError) as error:
            if not isinstance(error, RequestError) and not is_lack_of_memory(error):
                raise
            problem = str(error) if isinstance(error, RequestError) else ""
        # Outside of the except clause, whose error keeps the tensors of the failed pass alive.
        if terms is not None:
            yield from zip(places, terms, strict=True)
            return
        if len(places) == 1:
            sides = len(source_ids[places[0]]), len(target_ids[places[0]])
            no_memory = (
                f"there is not enough memory for its {sides[0]} and "
                f"{counted(sides[1], 'token')}; score its sentences one by one"
            )
            raise RequestError(f"pair {places[0] + 1}: {problem or no_memory}")
        middle = len(places) // 2
        for half in (places[:middle], places[middle:]):
            yield from self.score(half, source_ids, target_ids)

    def attention(
        self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], *, heads: AlignmentHeads, batch_size: int
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """See ``ForcedEngine``; the weights are those of the first Transformer."""
        from pellucid.translation.alignment.attention import mean_of_heads  # few searches need it

        yield from mean_of_heads(self.models[0], pairs, heads=heads, batch_size=batch_size)

    def _forced(self, source_ids: Sequence[Sequence[int]], target_ids: Sequence[Sequence[int]]) -> list[list[float]]:
        if self.models:
            return forced_log_probabilities(self.models, source_ids, target_ids)
        return forced_log_probabilities_by_steps(self.make_stepper(), source_ids, target_ids)


def _stepper(request: SearchRequest, places: Sequence[int], make: Callable[[], Stepper]) -> Stepper:
    """Make a stepper, which stops where all texts of a batch are dropped."""
    drops = request.drops
    if drops is None:
        return make()
    texts = {request.units[place].request for place in places}
    return StoppingStepper(make(), lambda: any(text not in drops for text in texts))


def engine_over(
    model: Transformer | Sequence[Transformer] | Callable[[], Stepper], tokenizer: Tokenizer
) -> TorchEngine:
    """Return the engine of a Transformer, of several as an ensemble, or of a function that makes a stepper.

    Raises:
        IncompatibleModelError: tokenizer and model, or the models, do not fit each other.
    """
    if not isinstance(model, Transformer | Sequence):
        return TorchEngine(model)
    models = (model,) if isinstance(model, Transformer) else tuple(model)
    for member in models:
        refuse_strangers(member, tokenizer)

    def make_stepper(*, has_attention: bool = False) -> Stepper:
        steppers = [ModelStepper(member, has_attention=has_attention) for member in models]
        return steppers[0] if len(steppers) == 1 else EnsembleStepper(steppers)

    return TorchEngine(make_stepper, models, make_attentive_stepper=partial(make_stepper, has_attention=True))
