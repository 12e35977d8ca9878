"""Translate made-up sentences by the device engine and by ``torch_engine.py``: do they agree, and which is faster?

A graph that replays wrongly reports nothing, so every GPU and model is tried once. ``checking.py`` keeps the verdict.

* The log-probabilities that the engine reports have to be those that the model gives to the same pieces in one pass.
  So a wrong step shows, whatever was chosen.
* The pieces themselves have to be those of the other search. Random sources have many close choices, and an error of
  rounding decides between two that are equal but for it. In float32 that is rare: one translation in a hundred may
  differ. In bf16 it is not: half of them may, and the mean of all scores may be lower by the tolerance.

Every search runs twice. Steps are recorded in the first run and replayed in the second; both are compared, and the
second is timed. Read ``checking.py`` next.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import torch

from pellucid.config import ModelConfig, TranslationConfig
from pellucid.errors import counted
from pellucid.model.transformer import Transformer
from pellucid.runtime import is_lack_of_memory
from pellucid.translation.constraints import Constraints
from pellucid.translation.engines.device.engine import DeviceEngine
from pellucid.translation.engines.engine import Engine, SearchRequest
from pellucid.translation.engines.torch_engine import TorchEngine
from pellucid.translation.hypothesis import Hypothesis
from pellucid.translation.stepper import ModelStepper
from pellucid.translation.units import Unit

__all__ = ["Verdict", "try_engine"]

_SENTENCES: Final = {"cuda": 600, "cpu": 30}
"""More than the slots at beam 5, so that sentences leave and others take their slots."""
_LENGTHS: Final = (1, 2, 3, 5, 8, 8, 12, 12, 20, 40)
"""Of the sources: they need two widths of the source and two of the target."""
_TOLERANCES: Final = {torch.float32: 1e-4, torch.bfloat16: 0.05}
"""Of the mean log-probability of a piece."""
_MOST_DIFFERENT: Final = {torch.float32: 0.01, torch.bfloat16: 0.5}
"""Share of the translations of a search that may have other ids."""
Found = dict[int, list[Hypothesis]]


@dataclass(frozen=True)
class Verdict:
    """What a trial came to."""

    problem: str = ""
    """Why the engine is not to be used, with figures; empty if it is."""
    is_lasting: bool = True
    """Whether another trial would come to the same; it would not where memory ran out."""
    translations: int = 0
    equal: int = 0
    """Those with the ids of the other engine."""
    seconds: float = 0.0
    torch_seconds: float = 0.0


class _Opener(Protocol):
    def __call__(self, model: Transformer, *, say: Callable[[str], None]) -> Engine:
        """Return the engine of a model."""


class _Refused(Exception):
    """The engine is not to be used, for this reason."""


def try_engine(
    model: Transformer,
    *,
    open_engine: _Opener = DeviceEngine,
    sentences: int = 0,
    clock: Callable[[], float] = time.perf_counter,
) -> Verdict:
    """Try an engine in the number format and on the device of a model.

    Args:
        model: both engines compute with it.
        open_engine: makes the engine.
        sentences: of the two large searches; 0 is what suits the device.
        clock: returns seconds.
    """
    problems: list[str] = []
    try:
        engine = open_engine(model, say=problems.append)
        count = sentences or _SENTENCES[next(model.parameters()).device.type]
        translations, equal, seconds, torch_seconds = _compared(engine, model, count, problems, clock)
    except _Refused as refused:
        return Verdict(str(refused), is_lasting="not enough memory" not in str(refused))
    except Exception as error:  # of any kind: the user's translation goes on without this engine
        reason = str(error).strip().partition("\n")[0]
        return Verdict(f"it fails: {type(error).__name__}: {reason}", is_lasting=not is_lack_of_memory(error))
    problem = ""
    if seconds > torch_seconds:
        problem = (
            f"it is slower: {seconds:.2f} s for "
            f"{counted(translations, 'made-up sentence')}, and torch {torch_seconds:.2f} s"
        )
    return Verdict(problem, True, translations, equal, seconds, torch_seconds)


def _compared(
    engine: Engine, model: Transformer, count: int, problems: Sequence[str], clock: Callable[[], float]
) -> tuple[int, int, float, float]:
    """Return how many translations there were, how many had equal ids, and the seconds of both engines."""
    other = TorchEngine(lambda: ModelStepper(model), (model,))
    translations = equal = 0
    seconds = torch_seconds = 0.0
    for name, request in _searches(model.config, count):
        _timed(other, request, clock)
        expected, spent = _timed(other, request, clock)
        torch_seconds += spent
        for _ in range(2):
            found, spent = _timed(engine, request, clock)
            if problems:
                raise _Refused(problems[0])
            same = _Comparison(name, request, found, expected, other).equal()
        seconds += spent
        translations, equal = translations + len(expected), equal + same
    return translations, equal, seconds, torch_seconds


def _searches(config: ModelConfig, count: int) -> Iterator[tuple[str, SearchRequest]]:
    dice = random.Random(1)
    specials = config.specials
    kept = {specials.pad, specials.unk, specials.bos, specials.eos}
    pieces = [number for number in range(config.source_vocab_size) if number not in kept] or [specials.unk]
    lengths = [min(length, config.max_positions - 1) for length in _LENGTHS]
    rows = [(*dice.choices(pieces, k=dice.choice(lengths)), specials.eos) for _ in range(count)]
    rules = Constraints(eos_id=specials.eos, forbidden_ids=tuple(sorted({specials.pad, specials.bos} - {specials.eos})))
    alone = next((row for row in rows if len(row) > 10), rows[0])
    for beam, n_best, some in (
        (1, 1, rows),
        (5, 1, rows),
        (1, 1, [alone]),
        (5, 1, [alone]),
        (5, 3, rows[: count // 5]),
    ):
        settings = TranslationConfig(beam_size=beam, n_best=n_best, max_length_factor=1.0, max_length_constant=10)
        units = [Unit(place, 0, ids) for place, ids in enumerate(some)]
        name = f"{'greedy' if beam == 1 else f'beam {beam}'}{f', {n_best} best' if n_best > 1 else ''}"
        yield name, SearchRequest(units, settings, rules, key_of=tuple)


def _timed(engine: Engine, request: SearchRequest, clock: Callable[[], float]) -> tuple[Found, float]:
    """Search, and return the hypotheses and the seconds.

    Raises:
        _Refused: a sentence failed.
    """
    began = clock()
    outcomes = dict(engine.search(request))
    seconds = clock() - began
    for outcome in outcomes.values():
        if isinstance(outcome, str):
            raise _Refused(f"{engine.name} cannot translate a made-up sentence: {outcome}")
    return {place: outcome for place, outcome in outcomes.items() if not isinstance(outcome, str)}, seconds


@dataclass(frozen=True)
class _Comparison:
    """The hypotheses of one search by the engine, beside those of the other one."""

    name: str
    request: SearchRequest
    found: Found
    expected: Found
    other: TorchEngine

    def equal(self) -> int:
        """Return how many translations have equal ids.

        Raises:
            _Refused: the engine is wrong.
        """
        dtype = next(self.other.models[0].parameters()).dtype
        tolerance, count = _TOLERANCES[dtype], len(self.expected)
        if self.found.keys() != self.expected.keys():
            raise _Refused(f"{self.name}: it translates {len(self.found)} of {counted(count, 'made-up sentence')}")
        # `not a <= b` also refuses what is no number.
        if not (error := self._largest_error()) <= tolerance:
            raise _Refused(
                f"{self.name}: its log-probability of a piece differs from torch's by {error:.2g} in the mean of a "
                f"translation, and {tolerance:g} is allowed"
            )
        depth = None if dtype is torch.float32 else 1
        same = sum(_ids(self.found[place][:depth]) == _ids(theirs[:depth]) for place, theirs in self.expected.items())
        if count - same > int(count * _MOST_DIFFERENT[dtype] + 0.5):
            raise _Refused(
                f"{self.name}: it translates {count - same} of "
                f"{counted(count, 'made-up sentence')} otherwise than torch"
            )
        lower = (_sum_of_scores(self.expected) - _sum_of_scores(self.found)) / count
        if count > 1 and not lower <= tolerance:
            raise _Refused(f"{self.name}: its scores are lower than torch's by {lower:.2g} in the mean")
        return same

    def _largest_error(self) -> float:
        """Return the largest difference between reported log-probabilities and those of one pass, as means."""
        pairs = [
            (self.request.units[place].ids, one)
            for place, hypotheses in self.found.items()
            for one in hypotheses
            if one.ids
        ]
        sources, targets = [ids for ids, _ in pairs], [one.ids for _, one in pairs]
        errors = [
            abs(sum(terms) - sum(pairs[number][1].token_log_probabilities)) / len(terms)
            for number, terms in self.other.score(range(len(pairs)), sources, targets)
        ]
        return max(errors, key=lambda error: (error != error, error), default=0.0)


def _ids(hypotheses: Sequence[Hypothesis]) -> list[tuple[int, ...]]:
    return [tuple(one.ids) for one in hypotheses]


def _sum_of_scores(found: Found) -> float:
    return sum(hypotheses[0].score for hypotheses in found.values() if hypotheses)
