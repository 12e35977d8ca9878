"""Is the copy the same model? Two engines, the same sentences: pieces, log-probabilities, translations.

Both sides are computed in float64 where the engine can, so that rounding cannot hide a small mistake: equality of
the greedy words proves little (a wrong epsilon or a wrong table of positions can leave them as they were),
log-probabilities of the whole vocabulary along forced outputs prove much. An engine that computes in float32 has
rounding of its own: a log-probability of -25 of a trained model is off by up to 2e-5 in our own float32 too. There
the difference of improbable pieces counts as a share of the log-probability. The two engines may number their
pieces differently; they are compared by their spelling. Read ``formats.py`` next.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol, runtime_checkable

import torch
from torch import Tensor

from pellucid.config import TranslationConfig
from pellucid.interop.verification.samples import Sample
from pellucid.model.transformer import Transformer
from pellucid.text.tokenizer import Tokenizer
from pellucid.translation.beam import beam_search
from pellucid.translation.constraints import Constraints
from pellucid.translation.greedy import greedy_search
from pellucid.translation.stepper import ModelStepper, Stepper

__all__ = ["EXACT", "TOLERANCE", "Bounds", "Engine", "Pair", "PellucidEngine", "Searcher", "Verdict", "compare"]

TOLERANCE: Final = 1e-5
"""Largest difference of two log-probabilities that passes for rounding."""

_SEARCHED: Final = 12
_LONGEST_SEARCHED: Final = 24
_BEAM_SIZE: Final = 4
_SEARCHES_PER_TIE: Final = 10
"""In float32 two pieces may be as good as each other: of so many sentences one may have other words for it."""


@dataclass(frozen=True)
class Bounds:
    """What two engines may differ by and still be the same model."""

    tolerance: float = TOLERANCE
    """Largest difference of two log-probabilities."""
    same_words: bool = True
    """Whether every search must find the same words; where a format rounds, they are counted, no more."""


EXACT: Final = Bounds()
"""Only the last bits may differ."""


class Engine(Protocol):
    """A model with its tokenizer, whatever computes it. Ids are the engine's own, with the end of sentence.

    An engine that computes in float32 says so by an attribute ``is_single_precision`` that is True.
    """

    @property
    def name(self) -> str:
        """What the report calls it."""

    @property
    def source_pieces(self) -> Sequence[str]:
        """Source pieces by id."""

    @property
    def target_pieces(self) -> Sequence[str]:
        """Target pieces by id."""

    @property
    def eos_id(self) -> int:
        """Id of the end of sentence."""

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Cut source texts; the end of sentence comes last."""

    def decode(self, ids: Sequence[int]) -> str:
        """Join target ids, no specials among them, to text."""

    def log_probabilities(self, source_ids: Sequence[int], target_ids: Sequence[int]) -> Tensor:
        """Return the log-probabilities of each next piece along a forced target, [target, vocab]."""

    def stepper(self) -> Stepper:
        """Return the model as a search sees it."""


@runtime_checkable
class Searcher(Protocol):
    """An engine with a search of its own, which its users will use."""

    def search(
        self, source_ids: Sequence[Sequence[int]], *, beam_size: int, longest: int, never: Sequence[int]
    ) -> list[list[int]]:
        """Return the best output of each source, without its end; no piece of ``never`` comes."""


@dataclass(frozen=True)
class Pair:
    """Two engines to compare, made when their turn comes, and what they may differ by."""

    ours: Callable[[], Engine]
    theirs: Callable[[], Engine]
    bounds: Bounds = EXACT


class PellucidEngine:
    """One of our models. The product's own code computes it, in float64."""

    def __init__(self, model: Transformer, tokenizer: Tokenizer, *, name: str = "pellucid") -> None:
        self.name = name
        self.model = copy.deepcopy(model).cpu().double().eval()
        self.tokenizer = tokenizer
        self.eos_id = tokenizer.specials.eos
        self.source_pieces = tokenizer.source.vocabulary.pieces
        self.target_pieces = tokenizer.target.vocabulary.pieces

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """See ``Engine``."""
        return [[*ids, self.eos_id] for ids in self.tokenizer.encode_source(texts)]

    def decode(self, ids: Sequence[int]) -> str:
        """See ``Engine``."""
        return self.tokenizer.decode_target([ids])[0].strip()

    @torch.inference_mode()
    def log_probabilities(self, source_ids: Sequence[int], target_ids: Sequence[int]) -> Tensor:
        """See ``Engine``."""
        shifted = torch.tensor([[self.model.start_id, *target_ids[:-1]]])
        logits: Tensor = self.model(torch.tensor([list(source_ids)]), shifted)
        return logits[0].log_softmax(-1)

    def stepper(self) -> ModelStepper:
        """See ``Engine``."""
        return ModelStepper(self.model)


@dataclass(frozen=True)
class Verdict:
    """What two engines made of the same sentences."""

    ours: str
    theirs: str
    num_sentences: int
    num_forced_tokens: int
    largest_difference: float
    """Of two log-probabilities, over all pieces of all forced positions; infinite where they cannot be compared.

    In float32 as a share of the log-probability, where that is beyond 1.
    """
    num_searched: int
    greedy_identical: int
    beam_identical: int
    problems: tuple[str, ...] = ()
    """What is not the same apart from numbers: vocabularies, pieces of a sentence, text of a translation."""
    is_single_precision: bool = False
    """Whether the other engine computed in float32."""
    bounds: Bounds = EXACT
    own_greedy_identical: int | None = None
    """Of the engine's own greedy search, which must agree too; None if it has no search of its own."""
    own_beam_identical: int | None = None
    """Of the engine's own beam search; told only, since tools stop their beams by rules of their own."""

    @property
    def is_equal(self) -> bool:
        """Whether the two are the same model, within their bounds."""
        ties = self.num_searched // _SEARCHES_PER_TIE if self.is_single_precision else 0
        counts = [self.greedy_identical, self.beam_identical]
        counts += [] if self.own_greedy_identical is None else [self.own_greedy_identical]
        same_words = min(counts) >= self.num_searched - ties or not self.bounds.same_words
        return not self.problems and self.largest_difference <= self.bounds.tolerance and same_words

    def to_text(self) -> str:
        """Return the lines for the screen."""
        share, own_share = (
            [f"{100 * (n or 0) / max(self.num_searched, 1):.0f} %" for n in counts]
            for counts in (
                (self.greedy_identical, self.beam_identical),
                (self.own_greedy_identical, self.own_beam_identical),
            )
        )
        own = f"; its own search: greedy {own_share[0]}, beam {own_share[1]}"
        same = "the same model" if self.bounds.same_words else "the same model but for its rounding"
        lines = [
            f"{self.ours} against {self.theirs}: {self.num_sentences} sentences, "
            f"{self.num_forced_tokens:,} forced positions, largest difference of log-probabilities "
            f"{self.largest_difference:.1e}{' of their size in float32' if self.is_single_precision else ''} "
            f"(tolerance {self.bounds.tolerance:g})",
            f"  identical translations: greedy {share[0]}, beam of {_BEAM_SIZE} {share[1]} of {self.num_searched} "
            f"(first {_LONGEST_SEARCHED} pieces){own if self.own_greedy_identical is not None else ''}",
            f"  verdict: {same if self.is_equal else 'NOT the same model'}",
        ]
        return "\n".join([*lines, *(f"  {problem}" for problem in self.problems)])


def compare(
    ours: Engine,
    theirs: Engine,
    samples: Sequence[Sample],
    *,
    bounds: Bounds = EXACT,
    progress: Callable[[int], None] = lambda done: None,
) -> Verdict:
    """Compare two engines on sample sentences; ``progress`` is told how many are done."""
    problems = [
        f"the {side} vocabularies differ: {len(own):,} and {len(other):,} pieces, for example {example!r}"
        for side, own, other in (
            ("source", ours.source_pieces, theirs.source_pieces),
            ("target", ours.target_pieces, theirs.target_pieces),
        )
        if (example := min(set(own) ^ set(other), default=None)) is not None or len(own) != len(other)
    ]
    if ours.target_pieces[ours.eos_id] != theirs.target_pieces[theirs.eos_id]:
        problems.append("another piece ends a sentence")
    if problems:
        return _incomparable(ours, theirs, problems)
    texts = [sample.text for sample in samples]
    own_sources, other_sources = ours.encode(texts), theirs.encode(texts)
    for text, own, other in zip(texts, own_sources, other_sources, strict=True):
        pieces = [ours.source_pieces[i] for i in own], [theirs.source_pieces[i] for i in other]
        if pieces[0] != pieces[1]:
            problems.append(f"{text[:60]!r} is cut into {_some(pieces[0])} and {_some(pieces[1])}")
    if problems:
        return _incomparable(ours, theirs, [*problems[:3], *(["..."] if len(problems) > 3 else [])])
    found = _compare_numbers(ours, theirs, samples, own_sources, other_sources, progress)
    return replace(found, bounds=bounds)


def _compare_numbers(
    ours: Engine,
    theirs: Engine,
    samples: Sequence[Sample],
    own_sources: list[list[int]],
    other_sources: list[list[int]],
    progress: Callable[[int], None],
) -> Verdict:
    other_id = {piece: number for number, piece in enumerate(theirs.target_pieces)}
    order = torch.tensor([other_id[piece] for piece in ours.target_pieces])
    own_id = {piece: number for number, piece in enumerate(ours.target_pieces)}
    count = min(_SEARCHED, len(samples))
    found = [_searched(engine, sources[:count]) for engine, sources in ((ours, own_sources), (theirs, other_sources))]
    same = [
        sum(order[list(own)].tolist() == list(other) for own, other in zip(found[0][kind], found[1][kind], strict=True))
        for kind in (0, 1)
    ]
    own_same = _own_search(theirs, other_sources[:count], [[order[list(ids)].tolist() for ids in f] for f in found[0]])
    largest, positions, problems = 0.0, 0, []
    is_single = getattr(theirs, "is_single_precision", False) is True
    for place, (sample, own, other) in enumerate(zip(samples, own_sources, other_sources, strict=True)):
        targets = [[own_id[piece] for piece in sample.target]]
        targets += [list(found[0][1][place])] if place < count else []
        for target in targets:
            ids = [*[i for i in target if i != ours.eos_id], ours.eos_id]
            left = ours.log_probabilities(own, ids)
            right = theirs.log_probabilities(other, order[ids].tolist())[:, order]
            differences = (left - right).abs()
            difference = float((differences / left.abs().clamp(min=1) if is_single else differences).max())
            largest = max(largest, difference if difference == difference else float("inf"))
            positions += len(ids)
            # Specials and bytes are spelt <...>, tags >>...<<; every tool shows those in a way of its own.
            spelt = [i for i in ids if not ours.target_pieces[i].startswith(("<", ">>"))]
            texts = ours.decode(spelt), theirs.decode(order[spelt].tolist())
            if texts[0] != texts[1]:
                problems.append(f"pieces become {texts[0][:60]!r} and {texts[1][:60]!r}")
        progress(place + 1)
    return Verdict(
        ours=ours.name,
        theirs=theirs.name,
        num_sentences=len(samples),
        num_forced_tokens=positions,
        largest_difference=largest,
        num_searched=count,
        greedy_identical=same[0],
        beam_identical=same[1],
        problems=tuple(problems[:3]),
        is_single_precision=is_single,
        own_greedy_identical=own_same[0],
        own_beam_identical=own_same[1],
    )


def _own_search(
    engine: Engine, sources: Sequence[Sequence[int]], wanted: Sequence[Sequence[Sequence[int]]]
) -> tuple[int | None, int | None]:
    """Count the outputs of an engine's own greedy and beam search that are as wanted; None if it has none."""
    if not isinstance(engine, Searcher):
        return None, None
    counts = []
    for beam_size, rows in zip((1, _BEAM_SIZE), wanted, strict=True):
        found = engine.search(sources, beam_size=beam_size, longest=_LONGEST_SEARCHED, never=_never(engine))
        ends = ([i for i in row if i != engine.eos_id] for row in rows)
        counts.append(sum(list(own) == row for own, row in zip(found, ends, strict=True)))
    return counts[0], counts[1]


def _never(engine: Engine) -> tuple[int, ...]:
    return tuple(i for i, piece in enumerate(engine.target_pieces) if piece in ("<pad>", "<s>"))


def _searched(engine: Engine, sources: list[list[int]]) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """Return the greedy and the beam outputs; the same search for every engine."""
    constraints = Constraints(eos_id=engine.eos_id, forbidden_ids=_never(engine))
    limits: dict[str, object] = {"max_length_factor": 1e-6, "max_length_constant": _LONGEST_SEARCHED}
    greedy = TranslationConfig.model_validate({"beam_size": 1, **limits})
    wide = TranslationConfig.model_validate({"beam_size": _BEAM_SIZE, **limits})
    narrow = greedy_search(engine.stepper(), sources, config=greedy, constraints=constraints)
    beams = beam_search(engine.stepper(), sources, config=wide, constraints=constraints)
    return [row[0].ids for row in narrow], [row[0].ids for row in beams]


def _incomparable(ours: Engine, theirs: Engine, problems: Sequence[str]) -> Verdict:
    return Verdict(ours.name, theirs.name, 0, 0, float("inf"), 0, 0, 0, tuple(problems))


def _some(pieces: Sequence[str]) -> str:
    return " ".join(pieces[:24]) + (" ..." if len(pieces) > 24 else "")
