"""The native engine as the translator sees it. Read ``jobs.py`` next, which hands sentences to the C file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from pellucid.errors import EngineUnavailableError
from pellucid.translation.constraints import max_length_of
from pellucid.translation.engines.engine import Outcome, SearchRequest
from pellucid.translation.engines.native.jobs import NO_MEMORY, NOT_FINITE, Found, SearchSettings, Workers, run_search
from pellucid.translation.engines.native.library import load_library, private_cache
from pellucid.translation.engines.native.preparation import open_prepared, prepare
from pellucid.translation.hypothesis import Hypothesis, make_hypothesis

if TYPE_CHECKING:
    from pellucid.config import TranslationConfig
    from pellucid.model.transformer import Transformer

__all__ = ["NativeEngine", "open_native"]

_WIDEST_BEAM: Final = 1000
_FAILURES: Final = {
    NO_MEMORY: "there is not enough memory for this text; lower beam_size, or split the text",
    NOT_FINITE: "the model computed a number that is not finite; its weights are damaged",
}


class NativeEngine:
    """Greedy and beam search in C, with weights in int8 or float32.

    Args:
        workers: of the prepared model.
        threads: that translate at once, each its own sentences.
    """

    def __init__(self, workers: Workers, *, threads: int) -> None:
        self._workers = workers
        self._threads = threads
        self.name = f"native ({'int8' if workers.prepared.is_int8 else 'fp32'})"

    def divided(self) -> tuple[NativeEngine, int]:
        """Return an engine of the same weights with one thread, and the number of threads of this one."""
        return NativeEngine(self._workers, threads=1), self._threads

    def lacks(self, request: SearchRequest) -> str | None:
        """Return what this engine cannot do yet, or None."""
        config = request.config
        lacking = {
            "sampling": config.sampling,
            "n_best over 1": config.n_best > 1,
            "a forced prefix": any(unit.prefix.longest for unit in request.units),
            "a record of the search": request.observer is not None,
            f"a beam over {_WIDEST_BEAM}": config.beam_size > _WIDEST_BEAM,
        }
        return next((what for what, is_wanted in lacking.items() if is_wanted), None)

    def search(self, request: SearchRequest) -> Iterator[Outcome]:
        """Search all units at once; the C file takes them into its slots one by one."""
        config = request.config
        longest = self._workers.prepared.config.max_positions
        units = request.units
        found = run_search(
            self._workers,
            [unit.ids for unit in units],
            prefixes=[()] * len(units),
            limits=[max_length_of(len(unit.ids), config=config, stepper_max_length=longest) for unit in units],
            settings=_settings(request),
            threads=self._threads,
        )
        for place, hypotheses in enumerate(found):
            if isinstance(hypotheses, int):
                yield place, _FAILURES[hypotheses]
            else:
                yield place, [_hypothesis(one, config) for one in hypotheses]


def _settings(request: SearchRequest) -> SearchSettings:
    config, constraints = request.config, request.constraints
    return SearchSettings(
        beam_size=config.beam_size,
        n_best=config.n_best,
        length_penalty=config.length_penalty,
        alpha=config.alpha,
        min_length=constraints.min_length,
        no_repeat_ngram_size=constraints.no_repeat_ngram_size,
        end_id=constraints.eos_id,
        forbidden_ids=constraints.forbidden_ids,
    )


def _hypothesis(found: Found, config: TranslationConfig) -> Hypothesis:
    return make_hypothesis(
        found.ids, found.gains, is_finished=found.is_finished, form=config.length_penalty, alpha=config.alpha
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
