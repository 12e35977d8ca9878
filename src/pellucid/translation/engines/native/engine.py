"""The native engine as the translator sees it. Read ``jobs.py`` next, which hands sentences to the C file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from pellucid.errors import EngineUnavailableError, RequestError
from pellucid.translation.constraints import max_length_of
from pellucid.translation.engines.chance import uniform_numbers
from pellucid.translation.engines.engine import Outcome, SearchRequest
from pellucid.translation.engines.native.jobs import Workers, run_search
from pellucid.translation.engines.native.library import load_library, private_cache
from pellucid.translation.engines.native.memory import NO_MEMORY, NOT_FINITE, Sampling, SearchSettings, Sentence
from pellucid.translation.engines.native.preparation import open_prepared, prepare
from pellucid.translation.prefixes import Prefix

if TYPE_CHECKING:
    from pellucid.config import TranslationConfig
    from pellucid.model.transformer import Transformer
    from pellucid.translation.hypothesis import Hypothesis
    from pellucid.translation.units import Unit

__all__ = ["NativeEngine", "open_native"]

_WIDEST_BEAM: Final = 1000
_FAILURES: Final = {
    NO_MEMORY: "there is not enough memory for this text; lower beam_size, or split the text",
    NOT_FINITE: "the model computed a number that is not finite; its weights are damaged",
}


class NativeEngine:
    """Greedy search, beam search, sampling and forced scoring in C, with weights in int8 or float32.

    Args:
        workers: of the prepared model.
        threads: that translate at once, each its own sentences.
    """

    def __init__(self, workers: Workers, *, threads: int) -> None:
        self._workers = workers
        self._threads = threads
        self.name = f"native ({'int8' if workers.prepared.is_int8 else 'fp32'})"

    def lacks(self, request: SearchRequest) -> str | None:
        """Return what this engine cannot do yet, or None."""
        config = request.config
        lacking = {
            "a record of the search": request.observer is not None,
            f"a beam over {_WIDEST_BEAM}": config.beam_size > _WIDEST_BEAM and not config.sampling,
        }
        return next((what for what, is_wanted in lacking.items() if is_wanted), None)

    def search(self, request: SearchRequest) -> Iterator[Outcome]:
        """Search all units at once; the C file takes them into its slots one by one."""
        sentences: dict[int, list[Sentence]] = {}
        for place, unit in enumerate(request.units):
            try:
                sentences[place] = self._sentences(unit, request.config)
            except RequestError as error:
                yield place, str(error)
        found = iter(
            run_search(
                self._workers,
                [one for some in sentences.values() for one in some],
                settings=_settings(request),
                threads=self._threads,
                key_of=request.key_of,
            )
        )
        for place, some in sentences.items():
            hypotheses: list[Hypothesis] = []
            problem = ""
            for outcome in islice(found, len(some)):
                if isinstance(outcome, int):
                    problem = _FAILURES[outcome]
                else:
                    hypotheses += outcome
            yield place, problem or hypotheses

    def _sentences(self, unit: Unit, config: TranslationConfig) -> list[Sentence]:
        """Return what the C file searches for a unit: a sentence, or with sampling one for each draw."""
        longest = self._workers.prepared.config.max_positions
        limit = max_length_of(len(unit.ids), config=config, stepper_max_length=longest)
        if not config.sampling:
            return [Sentence(unit.ids, limit, unit.prefix)]
        return [
            Sentence(unit.ids, limit, unit.prefix, uniform_numbers(config.seed, unit.ids, number, limit))
            for number in range(config.n_best)
        ]

    def score(
        self, places: Sequence[int], source_ids: Sequence[Sequence[int]], target_ids: Sequence[Sequence[int]]
    ) -> Iterator[tuple[int, list[float]]]:
        """Score some of the pairs, whose ids carry their end of sentence: a target is a beginning that is all there is.

        Yields:
            The place of each pair, and the log-probability of each of its target tokens.

        Raises:
            RequestError: there is no memory for a pair, or its log-probabilities are no numbers.
        """
        # No piece ends a target before its last.
        settings = SearchSettings(beam_size=1, end_id=-1)
        sentences = [Sentence(source_ids[i], len(target_ids[i]), Prefix(tuple(target_ids[i]))) for i in places]
        found = run_search(self._workers, sentences, settings=settings, threads=self._threads)
        for place, outcome in zip(places, found, strict=True):
            if isinstance(outcome, int):
                raise RequestError(f"pair {place + 1}: {_FAILURES[outcome]}")
            yield place, list(outcome[0].token_log_probabilities)


def _settings(request: SearchRequest) -> SearchSettings:
    config, constraints = request.config, request.constraints
    sampling = Sampling(config.temperature, config.top_k, config.top_p) if config.sampling else None
    return SearchSettings(
        beam_size=1 if sampling else config.beam_size,
        n_best=1 if sampling else config.n_best,
        length_penalty=config.length_penalty,
        alpha=config.alpha,
        min_length=constraints.min_length,
        no_repeat_ngram_size=constraints.no_repeat_ngram_size,
        end_id=constraints.eos_id,
        forbidden_ids=constraints.forbidden_ids,
        sampling=sampling,
        head=request.head,
    )


def open_native(model: Transformer, *, weights_sha256: str, is_int8: bool, threads: int) -> NativeEngine:
    """Prepare a model for the native engine, or open what was prepared before.

    Args:
        model: the weights.
        weights_sha256: names them in the cache folder.
        is_int8: round each weight to 8 bits; else float32.
        threads: that translate at once.

    Raises:
        EngineUnavailableError: there is no C compiler, or the model cannot be prepared.
    """
    library = load_library()
    path = _prepared_path(private_cache(), weights_sha256, library.columns, is_int8=is_int8)
    prepared = open_prepared(path, columns=library.columns, is_int8=is_int8)
    if prepared is None:
        from pellucid.translation.engines.native.weights import weights_of

        source = weights_of(model)
        if wrong := [name for name, tensor in source.tensors.items() if not np.isfinite(tensor).all()]:
            raise EngineUnavailableError(
                f"the native engine cannot use this model: {wrong[0]} holds numbers that are not finite, so the "
                "weights are damaged; take the model from its source again"
            )
        try:
            prepare(path, source, columns=library.columns, is_int8=is_int8)
        except OSError as error:
            raise EngineUnavailableError(f"{path}: the prepared model cannot be written: {error}") from None
        prepared = open_prepared(path, columns=library.columns, is_int8=is_int8)
    if prepared is None:
        raise EngineUnavailableError(f"{path}: the prepared model was changed while it was written")
    return NativeEngine(Workers(library, prepared), threads=threads)


def _prepared_path(folder: Path, sha256: str, columns: int, *, is_int8: bool) -> Path:
    return folder / f"prepared-{sha256[:32]}-{columns}-{'int8' if is_int8 else 'fp32'}.bin"
