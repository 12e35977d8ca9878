"""Put the markers of a text back into the translations of its parts. Read ``placing.py`` first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pellucid.translation.hypothesis import Hypothesis
from pellucid.translation.placeholders.attention import Attend
from pellucid.translation.placeholders.markers import Marker
from pellucid.translation.placeholders.placing import Side, with_markers
from pellucid.translation.segments import Part

if TYPE_CHECKING:
    from pellucid.text.tokenizer import Tokenizer

__all__ = ["put_back"]


def put_back(
    markers: Sequence[Marker],
    spelled: Sequence[Sequence[Hypothesis]],
    parts: Sequence[Part],
    part_ids: Sequence[Sequence[int]],
    *,
    tokenizer: Tokenizer,
    attend: Attend,
) -> list[list[Hypothesis]]:
    """Return the hypotheses of the parts with the markers of the text in theirs.

    Args:
        markers: of the text, by their places in all parts together.
        spelled: the hypotheses of each part.
        parts: of the text; a language tag may lead each of them.
        part_ids: of each part, without the end of sentence.
        tokenizer: of the model.
        attend: which source token each target token is about.
    """
    if not markers:
        return [list(hypotheses) for hypotheses in spelled]
    tag, _ = tokenizer.split_tag(parts[0].text)
    found, start, left = [], 0, list(markers)
    for number, (part, ids, hypotheses) in enumerate(zip(parts, part_ids, spelled, strict=True)):
        text = part.text.removeprefix(tag).lstrip() if tag else part.text
        end = start + len(text) + len(part.separator)
        is_last = number == len(parts) - 1
        own = []
        while left and (is_last or left[0].place < end or (left[0].place == end and left[0].closes)):
            one = left.pop(0)
            own.append(replace(one, place=min(max(one.place - start, 0), len(text))))
        start = end
        found.append([_placed(one, text, ids, own, tokenizer, attend) if own else one for one in hypotheses])
    return found


def _placed(
    hypothesis: Hypothesis,
    text: str,
    ids: Sequence[int],
    markers: Sequence[Marker],
    tokenizer: Tokenizer,
    attend: Attend,
) -> Hypothesis:
    eos = tokenizer.specials.eos
    source = Side(text, [tokenizer.source.vocabulary.surfaces[index] for index in ids])
    target = Side(
        hypothesis.text, [tokenizer.target.vocabulary.surfaces[index] for index in hypothesis.ids if index != eos]
    )
    weights = attend([*ids, eos], hypothesis.ids)
    return replace(hypothesis, text=with_markers(source, target, markers, weights))
