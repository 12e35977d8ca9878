"""The native engine as the translator sees it. Read ``jobs.py`` next, which hands sentences to the C file."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import numpy as np
from numpy.typing import NDArray

from pellucid.compiled.cache import alone, private_cache
from pellucid.errors import EngineUnavailableError, RequestError
from pellucid.translation.constraints import max_length_of
from pellucid.translation.engines.chance import uniform_numbers
from pellucid.translation.engines.engine import Outcome, SearchRequest
from pellucid.translation.engines.native.jobs import Workers, run_search
from pellucid.translation.engines.native.library import load_library
from pellucid.translation.engines.native.memory import (
    NO_MEMORY,
    NOT_FINITE,
    JobMemory,
    Sampling,
    SearchSettings,
    Sentence,
)
from pellucid.translation.engines.native.preparation import open_prepared, prepare
from pellucid.translation.hypothesis import AlignedHypothesis, Hypothesis
from pellucid.translation.prefixes import Prefix

if TYPE_CHECKING:
    from pellucid.config import ModelConfig, TranslationConfig
    from pellucid.model.transformer import Transformer
    from pellucid.translation.alignment.heads import AlignmentHeads
    from pellucid.translation.units import Unit

__all__ = ["NativeEngine", "native_of", "open_native"]

_WIDEST_BEAM: Final = 1000
_MOST_PREPARED: Final = 32
"""Models in the cache folder."""
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

    def divided(self) -> tuple[NativeEngine, int]:
        """Return an engine of the same weights with one thread, and the number of threads of this one."""
        return NativeEngine(self._workers, threads=1), self._threads

    def lacks(self, request: SearchRequest) -> str | None:
        """Return what this engine cannot do yet, or None."""
        config = request.config
        lacking = {
            "a record of the search": request.observer is not None,
            "groups of beams": config.num_beam_groups > 1,
            "terms": any(unit.watch is not None for unit in request.units),
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
                on_begin=partial(_told, request, sentences),
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

    def attention(
        self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], *, heads: AlignmentHeads, batch_size: int
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """See ``ForcedEngine``; each head is a pass of its own, and no pass has padding."""
        longest = self._workers.prepared.config.max_positions
        targets = [(*target, source[-1])[:longest] for source, target in pairs]
        sentences = [
            Sentence(source, len(forced), Prefix(forced)) for (source, _), forced in zip(pairs, targets, strict=True)
        ]
        passes = []
        for head in heads.heads:
            settings = SearchSettings(beam_size=1, end_id=-1, head=head)
            passes.append(run_search(self._workers, sentences, settings=settings, threads=self._threads))
        for place, of_heads in enumerate(zip(*passes, strict=True)):
            if failed := [one for one in of_heads if isinstance(one, int)]:
                raise RequestError(f"alignment of text {place + 1}: {_FAILURES[failed[0]]}")
            weights = np.mean([cast(AlignedHypothesis, one[0]).attention for one in of_heads], axis=0)
            yield place, weights[heads.step.rows(len(pairs[place][1]), len(weights))]


def _told(request: SearchRequest, sentences: Mapping[int, Sequence[Sentence]], job: JobMemory) -> None:
    """Let a job hear of the texts that are dropped; ``sentences`` are those of each unit, in the order of the job."""
    if request.drops is None:
        return
    of_text: dict[int, list[int]] = {}
    number = 0
    for place, some in sentences.items():
        for _ in some:
            of_text.setdefault(request.units[place].request, []).append(number)
            number += 1

    def listener(text: int) -> None:
        for sentence in of_text.get(text, ()):
            job.drop(sentence)

    request.drops.tell(listener)


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


def open_native(
    read_model: Callable[[], Transformer],
    *,
    config: ModelConfig,
    weights_sha256: str,
    is_int8: bool,
    threads: int,
    say: Callable[[str], None] = lambda text: None,
) -> NativeEngine:
    """Open what was prepared of a model before, or prepare it.

    A prepared file is named by the SHA-256 of the weights and by the configuration, and has a checksum, which is
    compared here; the weights themselves are not read again.

    Args:
        read_model: reads the model; called only where it has to be prepared.
        config: of the model.
        weights_sha256: of the file with the weights.
        is_int8: round each weight to 8 bits; else float32.
        threads: that translate at once.
        say: called with a sentence before something that takes seconds.

    Raises:
        EngineUnavailableError: there is no C compiler, or the model cannot be prepared.
        BundleError: the model cannot be read.
    """
    library = load_library(say)
    path = _prepared_path(private_cache(say), weights_sha256, config, library.columns, is_int8=is_int8)
    prepared = open_prepared(path, columns=library.columns, is_int8=is_int8)
    if prepared is None:
        with alone(path):
            prepared = open_prepared(path, columns=library.columns, is_int8=is_int8)
            if prepared is None:
                say("preparing the model for the native engine, once")
                _prepare(path, read_model(), library.columns, is_int8=is_int8)
                _remove_oldest(path.parent)
                prepared = open_prepared(path, columns=library.columns, is_int8=is_int8)
    if prepared is None:
        raise EngineUnavailableError(f"{path}: the prepared model was changed while it was written")
    return NativeEngine(Workers(library, prepared), threads=threads)


def native_of(model: Transformer, *, threads: int, say: Callable[[str], None] = lambda text: None) -> NativeEngine:
    """Return an engine with the weights that a model has now, in float32; they are not kept for another time.

    ``threads`` translate at once. ``say`` is called with a sentence before something that takes seconds.

    Raises:
        EngineUnavailableError: there is no C compiler, or the model cannot be prepared.
    """
    library = load_library(say)
    try:
        with tempfile.TemporaryDirectory(prefix="pellucid-") as folder:
            path = Path(folder) / "prepared.bin"
            _prepare(path, model, library.columns, is_int8=False)
            prepared = open_prepared(path, columns=library.columns, is_int8=False)  # stays mapped without the file
    except OSError as error:
        raise EngineUnavailableError(f"the model cannot be prepared for the native engine: {error}") from None
    if prepared is None:
        raise EngineUnavailableError(f"{path}: the prepared model was changed while it was written")
    return NativeEngine(Workers(library, prepared), threads=threads)


def _prepare(path: Path, model: Transformer, columns: int, *, is_int8: bool) -> None:
    from pellucid.translation.engines.native.weights import weights_of

    source = weights_of(model)
    if wrong := [name for name, tensor in source.tensors.items() if not np.isfinite(tensor).all()]:
        raise EngineUnavailableError(
            f"the native engine cannot use this model: {wrong[0]} holds numbers that are not finite, so the "
            "weights are damaged; take the model from its source again"
        )
    try:
        prepare(path, source, columns=columns, is_int8=is_int8)
    except OSError as error:
        raise EngineUnavailableError(f"{path}: the prepared model cannot be written: {error}") from None


def _prepared_path(folder: Path, weights_sha256: str, config: ModelConfig, columns: int, *, is_int8: bool) -> Path:
    made_of = hashlib.sha256(f"{weights_sha256} {config.model_dump_json()}".encode()).hexdigest()[:32]
    return folder / f"prepared-{made_of}-{columns}-{'int8' if is_int8 else 'fp32'}.bin"


def _remove_oldest(folder: Path) -> None:
    """Keep the prepared models that were made last, so that whoever trains does not fill the disk with older ones."""
    with suppress(OSError):  # another process does the same
        made = sorted(folder.glob("prepared-*.bin"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in made[_MOST_PREPARED:]:
            path.unlink(missing_ok=True)
