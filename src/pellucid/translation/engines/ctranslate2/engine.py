"""The CTranslate2 engine as the translator sees it. Read ``jobs/models.py`` next, which writes the model for it."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pellucid.config import LengthPenalty
from pellucid.translation.constraints import max_length_of
from pellucid.translation.engines.ctranslate2.process import Child, WorkerSettings
from pellucid.translation.engines.engine import Outcome, SearchRequest
from pellucid.translation.hypothesis import Hypothesis, make_hypothesis

__all__ = ["CTranslate2Engine"]


class CTranslate2Engine:
    """Greedy and beam search by CTranslate2, in a process of its own.

    Args:
        folder: the exported model.
        settings: of the child process.
        source_pieces: every piece of the source vocabulary, by id.
        target_pieces: every piece of the target vocabulary, by id.
        longest: most positions of the model.

    Raises:
        EngineUnavailableError: CTranslate2 is not installed, or cannot open the folder.
    """

    def __init__(
        self,
        folder: Path,
        settings: WorkerSettings,
        *,
        source_pieces: Sequence[str],
        target_pieces: Sequence[str],
        longest: int,
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._source_pieces = source_pieces
        self._target_pieces = target_pieces
        self._target_ids = {piece: number for number, piece in enumerate(target_pieces)}
        self._longest = longest
        self._child = self._start()
        self.name = f"ctranslate2 {self._child.version} ({settings})"

    def lacks(self, request: SearchRequest) -> str | None:
        """Return what CTranslate2 does not do in the same way, or None."""
        config = request.config
        lacking = {
            "sampling": config.sampling,
            "n_best over 1": config.n_best > 1,
            "a forced prefix": any(unit.prefix.longest for unit in request.units),
            "a record of the search": request.observer is not None,
            "groups of beams": config.num_beam_groups > 1,
            "terms": any(unit.watch is not None for unit in request.units),
            "no_repeat_ngram_size": config.no_repeat_ngram_size > 0,  # its beam search has another rule
            "length_penalty = 'gnmt'": config.beam_size > 1 and config.length_penalty is LengthPenalty.GNMT,
        }
        return next((what for what, is_wanted in lacking.items() if is_wanted), None)

    def search(self, request: SearchRequest) -> Iterator[Outcome]:
        """Search all units at once. CTranslate2 has one maximum length for a call, so units that reach theirs go again.

        A translation that stays below its own maximum under a larger one is the same.
        """
        lengths = [len(unit.ids) for unit in request.units]
        limits = [max_length_of(length, config=request.config, stepper_max_length=self._longest) for length in lengths]
        waiting = {max(limits): list(range(len(limits)))} if limits else {}
        while waiting:
            limit, places = waiting.popitem()
            for place, outcome in self._found(request, places, limit):
                if not isinstance(outcome, str) and limits[place] < limit and len(outcome[0].ids) >= limits[place]:
                    waiting.setdefault(limits[place], []).append(place)
                else:
                    yield place, outcome

    def close(self) -> None:
        """End the child process."""
        self._child.close()

    def _start(self) -> Child:
        child = Child(self._folder, self._settings)
        weakref.finalize(self, child.close)
        return child

    def _found(self, request: SearchRequest, places: Sequence[int], limit: int) -> Iterator[Outcome]:
        """Search some units; if that fails, in halves, until a unit that fails stands alone."""
        answer = self._asked(request, places, limit)
        if "error" not in answer:
            for place, found in zip(places, answer["found"], strict=True):
                yield place, [self._hypothesis(request, found)]
        elif len(places) == 1:
            yield places[0], f"CTranslate2 cannot translate this text: {answer['error']}"
        else:
            middle = len(places) // 2
            yield from self._found(request, places[:middle], limit)
            yield from self._found(request, places[middle:], limit)

    def _asked(self, request: SearchRequest, places: Sequence[int], limit: int) -> dict[str, Any]:
        if not self._child.is_running:
            self._child = self._start()
        config, constraints = request.config, request.constraints
        options: dict[str, Any] = {
            "beam_size": config.beam_size,
            "length_penalty": config.alpha if config.length_penalty is LengthPenalty.AVERAGE else 0,
            "min_decoding_length": constraints.min_length,
            "max_decoding_length": limit,
            "suppress_sequences": [[self._target_pieces[number]] for number in constraints.forbidden_ids],
        }
        sources = [[self._source_pieces[i] for i in request.units[place].ids[:-1]] for place in places]
        record = {
            "sources": sources,
            "end": self._target_pieces[constraints.eos_id],
            "max_batch_size": self._settings.max_batch_size,
            "options": options,
        }
        return self._child.ask("search", record)

    def _hypothesis(self, request: SearchRequest, found: dict[str, Any]) -> Hypothesis:
        ids = [self._target_ids[piece] for piece in found["pieces"]]
        return make_hypothesis(
            ids,
            found["log_probabilities"],
            is_finished=ids[-1:] == [request.constraints.eos_id],
            form=request.config.length_penalty,
            alpha=request.config.alpha,
        )
