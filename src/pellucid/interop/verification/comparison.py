"""Is the copy the same model? Compare pieces, log-probabilities and translations of two engines.

Both sides are computed in float64 where the engine can, so that rounding cannot hide a small mistake: equality of
the greedy words proves little (they can survive a wrong epsilon or a wrong table of positions), equality of the
log-probabilities of the whole vocabulary along forced outputs proves much. An engine that computes in float32 rounds:
a log-probability of -25 of a trained model is off by up to 2e-5 in our own float32 too. There the difference of
improbable pieces counts as a share of the log-probability. The two engines may number their pieces differently, so
pieces are compared by their spelling. Read ``formats.py`` next.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, runtime_checkable

import torch
from torch import Tensor

from pellucid.config import TranslationConfig
from pellucid.errors import counted
from pellucid.interop.verification.samples import Sample
from pellucid.model.transformer import Transformer
from pellucid.text.subword import Tokenizer
from pellucid.translation.beam import beam_search
from pellucid.translation.constraints import Constraints
from pellucid.translation.greedy import greedy_search
from pellucid.translation.stepper import ModelStepper, Stepper

__all__ = [
    "EXACT",
    "TOLERANCE",
    "Bounds",
    "ComparedModel",
    "Pair",
    "PellucidModel",
    "Searcher",
    "TokenizerModel",
    "Verdict",
    "compare",
]

TOLERANCE: Final = 1e-5
"""Largest difference of two log-probabilities that counts as rounding."""

_SEARCHED: Final = 12
_LONGEST_SEARCHED: Final = 24
_SEARCHES: Final = {"greedy": 1, "beam of 4": 4}
"""Beam size by name; the widest search comes last."""
_OWN_BEAM: Final = "its own beam of 4"
_SEARCHES_PER_TIE: Final = 10
"""Allow one differing sentence in ten, for ties in float32."""


@dataclass(frozen=True)
class Bounds:
    """How much two engines may differ and still be the same model."""

    tolerance: float = TOLERANCE
    """Largest difference of two log-probabilities."""
    same_words: bool = True
    """Whether every search must find the same words; where a format rounds, equal outputs are only counted."""


EXACT: Final = Bounds()
"""Only the last bits may differ."""


class ComparedModel(Protocol):
    """A model with its tokenizer, whatever computes it. Ids are the engine's, and include the end of sentence.

    An engine that computes in float32 has an attribute ``is_single_precision``, True.
    """

    @property
    def name(self) -> str:
        """Its name in the report."""

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
        """Join target ids to text; there are no special pieces among them."""

    def log_probabilities(self, source_ids: Sequence[int], target_ids: Sequence[int]) -> Tensor:
        """Return the log-probabilities of each next piece along a forced target, [target, vocab]."""

    def stepper(self) -> Stepper:
        """Return the model as a search sees it."""


@runtime_checkable
class Searcher(Protocol):
    """An engine whose users search with its own code."""

    def search(
        self, source_ids: Sequence[Sequence[int]], *, beam_size: int, longest: int, never: Sequence[int]
    ) -> list[list[int]]:
        """Return the best output of each source, without its end; ``never`` lists pieces that are forbidden."""


@dataclass(frozen=True)
class Pair:
    """Two engines to compare, each built when it is needed, and the bounds."""

    ours: Callable[[], ComparedModel]
    theirs: Callable[[], ComparedModel]
    bounds: Bounds = EXACT


class TokenizerModel:
    """The half of an engine that one of our tokenizers does."""

    def __init__(self, tokenizer: Tokenizer, *, name: str) -> None:
        self.name = name
        self.tokenizer = tokenizer
        self.eos_id = tokenizer.specials.eos
        self.source_pieces = tokenizer.source.vocabulary.pieces
        self.target_pieces = tokenizer.target.vocabulary.pieces

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """See ``ComparedModel``."""
        return [[*ids, self.eos_id] for ids in self.tokenizer.encode_source(texts)]

    def decode(self, ids: Sequence[int]) -> str:
        """See ``ComparedModel``."""
        return self.tokenizer.decode_target([ids])[0].strip()


class PellucidModel(TokenizerModel):
    """One of our models, computed by the product's own code in float64."""

    def __init__(self, model: Transformer, tokenizer: Tokenizer, *, name: str = "pellucid") -> None:
        super().__init__(tokenizer, name=name)
        self.model = copy.deepcopy(model).cpu().double().eval()

    @torch.inference_mode()
    def log_probabilities(self, source_ids: Sequence[int], target_ids: Sequence[int]) -> Tensor:
        """See ``ComparedModel``."""
        shifted = torch.tensor([[self.model.start_id, *target_ids[:-1]]])
        logits: Tensor = self.model(torch.tensor([list(source_ids)]), shifted)
        return logits[0].log_softmax(-1)

    def stepper(self) -> ModelStepper:
        """See ``ComparedModel``."""
        return ModelStepper(self.model)


@dataclass(frozen=True)
class Verdict:
    """What two engines computed for the same sentences."""

    ours: str
    theirs: str
    num_sentences: int = 0
    num_forced_tokens: int = 0
    largest_difference: float = float("inf")
    """Of two log-probabilities, over all pieces of all forced positions; infinite where they cannot be compared.

    In float32 as a share of the log-probability, where that is beyond 1.
    """
    num_searched: int = 0
    identical: Mapping[str, int] = field(default_factory=dict)
    """How many of the searched sentences have the same output, by search; ``its own`` are the engine's own searches."""
    problems: tuple[str, ...] = ()
    """What differs apart from numbers: vocabularies, pieces of a sentence, text of a translation."""
    is_single_precision: bool = False
    """Whether the other engine computed in float32."""
    bounds: Bounds = EXACT

    @property
    def is_equal(self) -> bool:
        """Whether the two are the same model, within their bounds."""
        ties = self.num_searched // _SEARCHES_PER_TIE if self.is_single_precision else 0
        # Tools stop their own beams by different rules, so that count is reported and decides nothing.
        counts = [count for search, count in self.identical.items() if search != _OWN_BEAM]
        same_words = min(counts, default=0) >= self.num_searched - ties or not self.bounds.same_words
        return not self.problems and self.largest_difference <= self.bounds.tolerance and same_words

    def to_text(self) -> str:
        """Return the lines for the screen."""
        shares = [f"{name} {100 * n / max(self.num_searched, 1):.0f} %" for name, n in self.identical.items()]
        same = "the same model" if self.bounds.same_words else "the same model but for its rounding"
        lines = [
            f"{self.ours} against {self.theirs}: {counted(self.num_sentences, 'sentence')}, "
            f"{counted(self.num_forced_tokens, 'forced position')}, largest difference of log-probabilities "
            f"{self.largest_difference:.1e}{' of their size in float32' if self.is_single_precision else ''} "
            f"(tolerance {self.bounds.tolerance:g})",
            f"  identical translations: {', '.join(shares) or 'none'} of {self.num_searched} "
            f"(first {_LONGEST_SEARCHED} pieces)",
            f"  verdict: {same if self.is_equal else 'NOT the same model'}",
        ]
        return "\n".join([*lines, *(f"  {problem}" for problem in self.problems)])


def compare(
    ours: ComparedModel,
    theirs: ComparedModel,
    samples: Sequence[Sample],
    *,
    bounds: Bounds = EXACT,
    progress: Callable[[int], None] = lambda done: None,
) -> Verdict:
    """Compare two engines on sample sentences; ``progress`` gets the number of compared sentences."""
    problems = [
        f"the {side} vocabularies differ: {len(own):,} and {counted(len(other), 'piece')}, for example {example!r}"
        for side, own, other in (
            ("source", ours.source_pieces, theirs.source_pieces),
            ("target", ours.target_pieces, theirs.target_pieces),
        )
        if (example := min(set(own) ^ set(other), default=None)) is not None or len(own) != len(other)
    ]
    if ours.target_pieces[ours.eos_id] != theirs.target_pieces[theirs.eos_id]:
        problems.append("different pieces end a sentence")
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
    sources = list(zip(own_sources, other_sources, strict=True))
    return replace(_compare_numbers(ours, theirs, samples, sources, progress), bounds=bounds)


def _compare_numbers(
    ours: ComparedModel,
    theirs: ComparedModel,
    samples: Sequence[Sample],
    sources: Sequence[tuple[list[int], list[int]]],
    progress: Callable[[int], None],
) -> Verdict:
    other_id = {piece: number for number, piece in enumerate(theirs.target_pieces)}
    order = torch.tensor([other_id[piece] for piece in ours.target_pieces])
    own_id = {piece: number for number, piece in enumerate(ours.target_pieces)}
    searched = sources[:_SEARCHED]
    identical, outputs = _compare_searches(ours, theirs, searched, order)
    largest, positions, problems = 0.0, 0, []
    is_single = getattr(theirs, "is_single_precision", False) is True
    for place, (sample, (own, other)) in enumerate(zip(samples, sources, strict=True)):
        targets = [[own_id[piece] for piece in sample.target], *outputs[place : place + 1]]
        for target in targets:
            ids = [*[i for i in target if i != ours.eos_id], ours.eos_id]
            left = ours.log_probabilities(own, ids)
            right = theirs.log_probabilities(other, order[ids].tolist())[:, order]
            differences = (left - right).abs()
            difference = float((differences / left.abs().clamp(min=1) if is_single else differences).max())
            largest = max(largest, difference if difference == difference else float("inf"))
            positions += len(ids)
            # Specials and bytes are spelt <...>, tags >>...<<; each tool shows those differently.
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
        num_searched=len(searched),
        identical=identical,
        problems=tuple(problems[:3]),
        is_single_precision=is_single,
    )


def _compare_searches(
    ours: ComparedModel, theirs: ComparedModel, sources: Sequence[tuple[list[int], list[int]]], order: Tensor
) -> tuple[dict[str, int], list[list[int]]]:
    """Return how many outputs are identical, by search, and our outputs of the widest one."""
    own_sources, other_sources = ([pair[side] for pair in sources] for side in (0, 1))
    identical: dict[str, int] = {}
    outputs: list[list[int]] = []
    for name, beam_size in _SEARCHES.items():
        outputs = _searched(ours, own_sources, beam_size)
        expected = [order[row].tolist() for row in outputs]
        identical[name] = _num_equal(expected, _searched(theirs, other_sources, beam_size))
        if isinstance(theirs, Searcher):
            found = theirs.search(other_sources, beam_size=beam_size, longest=_LONGEST_SEARCHED, never=_never(theirs))
            identical[f"its own {name}"] = _num_equal(
                [[i for i in row if i != theirs.eos_id] for row in expected], found
            )
    return identical, outputs


def _num_equal(expected: Sequence[list[int]], found: Sequence[list[int]]) -> int:
    return sum(left == right for left, right in zip(expected, found, strict=True))


def _searched(engine: ComparedModel, sources: list[list[int]], beam_size: int) -> list[list[int]]:
    """Return the best output of each source; the same search for every engine."""
    config = TranslationConfig(beam_size=beam_size, max_length_factor=1e-6, max_length_constant=_LONGEST_SEARCHED)
    constraints = Constraints(eos_id=engine.eos_id, forbidden_ids=_never(engine))
    search = greedy_search if beam_size == 1 else beam_search
    return [list(row[0].ids) for row in search(engine.stepper(), sources, config=config, constraints=constraints)]


def _never(engine: ComparedModel) -> tuple[int, ...]:
    return tuple(i for i, piece in enumerate(engine.target_pieces) if piece in ("<pad>", "<s>"))


def _incomparable(ours: ComparedModel, theirs: ComparedModel, problems: Sequence[str]) -> Verdict:
    return Verdict(ours.name, theirs.name, problems=tuple(problems))


def _some(pieces: Sequence[str]) -> str:
    return " ".join(pieces[:24]) + (" ..." if len(pieces) > 24 else "")
