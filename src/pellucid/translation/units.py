"""The parts of texts as they are searched, and the batches that share a search. Read ``translator.py`` next."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import TYPE_CHECKING

from pellucid.config import TranslationConfig
from pellucid.errors import RequestError
from pellucid.translation.constraints import constraints_for, max_length_of
from pellucid.translation.observer import BeamObserver, ChosenToken, Expansion, WalkObserver
from pellucid.translation.prefixes import Prefix, prefix_of
from pellucid.translation.requests import Request
from pellucid.translation.terms.placing import source_tokens
from pellucid.translation.terms.watch import Pen, Watch

if TYPE_CHECKING:
    from pellucid.text.tokenizer import Tokenizer
    from pellucid.translation.terms.glossary import Glossary

__all__ = ["Renumbered", "Unit", "batches_of", "units_of", "with_terms"]


@dataclass(frozen=True)
class Unit:
    """A part of a text as it is searched: ids with the end of sentence."""

    request: int
    part: int
    ids: tuple[int, ...]
    prefix: Prefix = field(default_factory=Prefix)
    watch: Watch | None = None
    """The terms of this part; None where it has none."""


def units_of(
    requests: Sequence[Request],
    prefixes: Sequence[str],
    *,
    tokenizer: Tokenizer,
    config: TranslationConfig,
    longest: int,
    forbidden_ids: Collection[int],
) -> tuple[list[Unit], dict[int, str]]:
    """Return the parts of texts, and by the text's number why its translation cannot begin as it should.

    Args:
        requests: the texts.
        prefixes: what the translation of each text begins with; its first part's does.
        tokenizer: of the model.
        config: of the search.
        longest: most steps of the stepper.
        forbidden_ids: never come outside of a prefix.
    """
    units: list[Unit] = []
    errors: dict[int, str] = {}
    for number, (request, text) in enumerate(zip(requests, prefixes, strict=True)):
        own = [
            Unit(number, part, (*ids, tokenizer.specials.eos), watch=watch)
            for part, (ids, watch) in enumerate(zip_longest(request.part_ids, request.watches))
        ]
        if text and own:
            try:
                limit = max_length_of(len(own[0].ids), config=config, stepper_max_length=longest)
                prefix = prefix_of(text, tokenizer, most=limit - 1, avoided=forbidden_ids)
            except RequestError as error:
                errors[number] = str(error)
                continue
            own[0] = replace(own[0], prefix=prefix)
        units += own
    return units, errors


def with_terms(
    requests: Sequence[Request], glossary: Glossary, tokenizer: Tokenizer, config: TranslationConfig
) -> list[Request]:
    """Return requests that know the terms of each of their parts.

    Raises:
        RequestError: the search cannot bring terms about.
    """
    if not glossary.terms:
        return [*requests]
    glossary.refuse_with(config)
    pen = Pen(tokenizer, avoided=constraints_for(config, tokenizer).forbidden_ids)
    found = []
    for request in requests:
        sources = [
            source_tokens(glossary.places(part.text), part.text, ids, tokenizer)
            for part, ids in zip(request.parts, request.part_ids, strict=True)
        ]
        watches = tuple(Watch.of(tuple(terms), pen, sources=terms) for terms in sources)
        found.append(replace(request, watches=watches))
    return found


def batches_of(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Group places by falling length, so that places * longest is within the budget; one place always goes."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > budget:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


@dataclass(frozen=True)
class Renumbered:
    """An observer of a batch that tells the numbers of the whole call."""

    observer: BeamObserver
    places: Sequence[int]

    def expanded(self, expansion: Expansion) -> None:
        """See ``BeamObserver``."""
        self.observer.expanded(replace(expansion, sentence=self.places[expansion.sentence]))

    def chosen(self, choice: ChosenToken) -> None:
        """See ``WalkObserver``; an observer of beams alone does not see it."""
        if isinstance(self.observer, WalkObserver):
            self.observer.chosen(replace(choice, sentence=self.places[choice.sentence]))
