"""Alignments for translations that a search has finished: one forced pass of the model over all of them.

An alignment depends on the translation and on the engine of the pass, not on the search. Read ``statistics.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from pellucid.translation.alignment.links import Weights
from pellucid.translation.alignment.markers import with_markers_as_words
from pellucid.translation.alignment.pairs import AlignedPart, joined
from pellucid.translation.hypothesis import Alignment, Hypothesis, Translation
from pellucid.translation.segments import join_parts, separators_of

if TYPE_CHECKING:
    from pellucid.text.tokenizer import Tokenizer
    from pellucid.translation.requests import Request

__all__ = ["num_tags", "with_alignments"]

Found = Mapping[tuple[int, int], Sequence[Hypothesis]]


def with_alignments(
    translations: Sequence[Translation],
    requests: Sequence[Request],
    found: Found,
    *,
    attend: Callable[[Sequence[tuple[Sequence[int], Sequence[int]]]], Iterable[tuple[int, Weights]]],
    tokenizer: Tokenizer,
    language: str,
) -> list[Translation]:
    """Return the translations with their alignments; one that failed has none.

    Args:
        translations: one for each request.
        requests: the texts in parts.
        found: the hypotheses of each part by (request, part), the winner first.
        attend: returns the weights that decide; see ``ForcedEngine``.
        tokenizer: of the model.
        language: code of the target language.
    """
    eos = tokenizer.specials.eos
    keys = [
        (number, part)
        for number, (request, translation) in enumerate(zip(requests, translations, strict=True))
        if translation.error is None
        for part in range(len(request.parts))
    ]
    pairs = [
        ([*requests[number].part_ids[part], eos], [i for i in found[number, part][0].ids if i != eos])
        for number, part in keys
    ]
    weights = {keys[place]: rows for place, rows in attend(pairs)}
    parts: dict[int, list[AlignedPart]] = {}
    targets: dict[int, list[list[int]]] = {}
    for key, (source, target) in zip(keys, pairs, strict=True):
        number, part = key
        tags = num_tags(source, tokenizer)
        request = requests[number]
        gaps = separators_of(request.parts, language=language)
        aligned = AlignedPart(
            tokenizer.source_pieces(source[tags:-1]),
            tokenizer.target_pieces(target),
            weights[key][:, tags:-1],
            source_gap=request.parts[part - 1].separator if part else "",
            target_gap=gaps[part - 1] if part else "",
        )
        parts.setdefault(number, []).append(aligned)
        targets.setdefault(number, []).append(target)

    whole = partial(_whole, tokenizer=tokenizer, language=language)
    return [
        one
        if one.error is not None
        else replace(one, alignment=whole(parts.get(number, []), requests[number], one, targets.get(number, [])))
        for number, one in enumerate(translations)
    ]


def _whole(
    parts: Sequence[AlignedPart],
    request: Request,
    translation: Translation,
    target_ids: Sequence[Sequence[int]],
    *,
    tokenizer: Tokenizer,
    language: str,
) -> Alignment:
    """Return the alignment of a text in parts; ``target_ids`` are those of each part."""
    if not parts:
        return _copied(request.unchanged)
    tag, rest = tokenizer.split_tag(request.parts[0].text)
    before = 1 if tag and rest[:1].isspace() else 0
    whole = joined(parts, stretches_before=before)
    if not request.markers:
        return whole
    normalised = tokenizer.source.normaliser, tokenizer.target.normaliser
    bare = join_parts(tokenizer.decode_target(target_ids), request.parts, language=language)
    source = "".join(tokenizer.split_tag(part.text)[1] + part.separator for part in request.parts)
    text = tokenizer.split_tag(request.source)[1]
    found = with_markers_as_words(
        whole, (text, translation.text), (source, bare), request.markers, normalised=normalised
    )
    return replace(found, source_places=tuple(before + place for place in found.source_places))


def _copied(text: str) -> Alignment:
    """Return the alignment of a text that is its own translation."""
    words = tuple(text.split())
    numbers = tuple(range(len(words)))
    return Alignment(
        words, words, tuple(zip(numbers, numbers, strict=True)), source_places=numbers, target_places=numbers
    )


def num_tags(source: Sequence[int], tokenizer: Tokenizer) -> int:
    """Return how many pieces of a source are language tags, which are no words: 1 or 0."""
    tags = {tokenizer.source_id(tag) for tag in tokenizer.source_tags}
    return int(bool(source) and source[0] in tags)
