"""A text on its way through the translator: cut into parts of ids before the search, put together after it.

Read ``translator.py`` next.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Final, cast

from pellucid.config import TranslationConfig
from pellucid.errors import PellucidError, RequestError
from pellucid.translation.constraints import max_length_of
from pellucid.translation.flags import diagnose, in_order, is_omitted
from pellucid.translation.hypothesis import Hypothesis, Translation, make_hypothesis
from pellucid.translation.segments import Part, join_parts, split_text

if TYPE_CHECKING:
    from pellucid.text.tokenizer import Tokenizer

__all__ = ["Request", "assemble", "chunks_of", "prefixes_for", "prepare", "refused", "texts_of"]

_LINE_BREAKS: Final = re.compile(r"[\r\n]+")
_NOT_DECODED: Final = "the text could not be read: invalid bytes or another defect of its line"


@dataclass(frozen=True)
class Request:
    """One text, ready for the search. No parts: it is blank, or there is an ``error``."""

    source: str
    parts: tuple[Part, ...] = ()
    part_ids: tuple[tuple[int, ...], ...] = ()
    """Ids of each part, without the end of sentence."""
    error: str | None = None


def prepare(
    texts: Sequence[str | None],
    *,
    tokenizer: Tokenizer,
    limit: int,
    long_input: str,
    language: str,
) -> list[Request]:
    """Tokenise texts, and split or refuse those of more than ``limit`` pieces. None is a text that failed before."""
    flat = [_LINE_BREAKS.sub(" ", text) if text is not None else "" for text in texts]
    cut = _encode(flat, tokenizer)
    requests = []
    for source, text, ids in zip(texts, flat, cut, strict=True):
        if source is None:
            requests.append(Request("", error=_NOT_DECODED))
        elif isinstance(ids, str):
            requests.append(Request(source, error=ids))
        elif not ids:
            requests.append(Request(source))
        elif len(ids) <= limit:
            requests.append(Request(source, (Part(text, ""),), (tuple(ids),)))
        elif long_input == "refuse":
            told = (
                f"the text is {len(ids)} pieces, over max_input_length = {limit}; raise it or set long_input = 'split'"
            )
            requests.append(Request(source, error=told))
        else:
            requests.append(_split(source, text, tokenizer=tokenizer, limit=limit, language=language))
    return requests


def _encode(texts: Sequence[str], tokenizer: Tokenizer) -> list[list[int] | str]:
    """Return each text's ids, none for a blank one, or the message of the error it raised."""
    filled = [place for place, text in enumerate(texts) if text.strip()]
    found: list[list[int] | str] = [[] for _ in texts]
    try:
        for place, ids in zip(filled, tokenizer.encode_source([texts[place] for place in filled]), strict=True):
            found[place] = ids
    except PellucidError:  # one of them is bad: find out which
        for place in filled:
            try:
                found[place] = tokenizer.encode_source([texts[place]])[0]
            except PellucidError as error:
                found[place] = str(error).removeprefix("text 0: ")  # alone in its call, every text is number 0
    return found


def _split(source: str, text: str, *, tokenizer: Tokenizer, limit: int, language: str) -> Request:
    def count(stretches: Sequence[str]) -> list[int]:
        return [len(ids) for ids in tokenizer.encode_source(stretches)]

    try:
        parts = split_text(text, limit=limit, count=count, language=language)
    except RequestError as error:
        return Request(source, error=str(error))
    ids = tokenizer.encode_source([part.text for part in parts])
    kept = [(part, tuple(row)) for part, row in zip(parts, ids, strict=True) if row]
    return Request(source, tuple(part for part, _ in kept), tuple(row for _, row in kept))


def refused(source: str, error: str) -> Translation:
    """Return the translation of a text that failed."""
    return Translation(source=source, text="", score=0.0, tokens=(), alternatives=(), flags=("failed",), error=error)


def texts_of(
    name: str, texts: object, *, wanted: str = "a list of str", first: int = 0, may_be_none: bool = False
) -> list[str]:
    """Return texts as a list, whatever keeps them in order. ``first`` is the number of the first, for the message.

    Raises:
        RequestError: it is one text, whose characters would be the texts; or no list; or holds something else.
    """
    is_listed = hasattr(texts, "__len__") and hasattr(texts, "__getitem__") and isinstance(texts, Iterable)
    if isinstance(texts, str | bytes | Mapping) or not is_listed:
        raise RequestError(f"{name} is of type {type(texts).__name__}; give {wanted}")
    found = list(cast(Iterable[str], texts))
    for place, text in enumerate(found, start=first):
        if not (isinstance(text, str) or (may_be_none and text is None)):
            raise RequestError(f"{name}[{place}] is of type {type(text).__name__}; give str")
    return found


def chunks_of(texts: object, size: int) -> Iterator[list[str]]:
    """Cut a stream of texts into lists of ``size`` texts, the last one shorter.

    Raises:
        RequestError: it is one text, or no stream; or ``size`` is not positive. At the call; where the stream holds
            something else than texts, when it is reached.
    """
    if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
        raise RequestError(f"texts is of type {type(texts).__name__}; give a list of str, or a generator of them")
    if size < 1:
        raise RequestError(f"chunk = {size}: give 1 or more texts at a time")
    waiting = iter(texts)
    lists = iter(lambda: list(islice(waiting, size)), [])
    return (texts_of("texts", some, first=n * size, may_be_none=True) for n, some in enumerate(lists))


def prefixes_for(texts: Sequence[str], prefixes: Iterator[str]) -> list[str]:
    """Take the next prefix for each text.

    Raises:
        RequestError: there are too few, or one of them is no str.
    """
    found = list(islice(prefixes, len(texts)))
    if len(found) < len(texts):
        raise RequestError("there are fewer target prefixes than texts; give one for each text, empty for none")
    return texts_of("target_prefix", found, wanted="a str, or a stream of str")


def assemble(
    request: Request,
    found: Sequence[Sequence[Hypothesis]],
    *,
    tokenizer: Tokenizer,
    config: TranslationConfig,
    longest: int,
    language: str,
) -> Translation:
    """Put the hypotheses of the parts together as one translation.

    Args:
        request: the text.
        found: for each part its hypotheses, the best first; nothing for a blank text.
        tokenizer: of the model.
        config: of the search.
        longest: most steps of the stepper.
        language: code of the target language.
    """
    if request.error is not None:
        return refused(request.source, request.error)
    if not request.parts:
        return Translation(request.source, text="", score=0.0, tokens=(), alternatives=(), flags=("blank",))
    spelled = [_spelled(hypotheses, tokenizer) for hypotheses in found]
    count = max(len(hypotheses) for hypotheses in spelled)
    alternatives = [
        _joined([one[min(k, len(one) - 1)] for one in spelled], request.parts, config=config, language=language)
        for k in range(count)
    ]
    if not config.sampling:
        alternatives = _different(alternatives)
    winner = alternatives[0]
    limits = [max_length_of(len(ids) + 1, config=config, stepper_max_length=longest) for ids in request.part_ids]
    flags = _flags_of_search([one[0] for one in found], limits)
    if len(alternatives) < config.n_best:
        flags.add("fewer")
    one_line = [replace(h, text=_LINE_BREAKS.sub(" ", h.text)) for h in alternatives]
    if one_line != alternatives:
        flags.add("line_break")
    if len(request.parts) > 1:
        flags.add("split")
        flags |= {"omission"} if _lacks_a_part(request, [one[0] for one in spelled], tokenizer) else set()
    specials = tokenizer.specials
    pieces = [(i, piece) for i, piece in zip(winner.ids, winner.pieces, strict=True) if i != specials.eos]
    flags |= diagnose(
        request.source,
        one_line[0].text,
        source_ids=[*chain.from_iterable(request.part_ids)],
        target_ids=[i for i, _ in pieces],
        unk_id=specials.unk,
        pieces_of=lambda text: len(tokenizer.encode_source([text])[0]),
    )
    return Translation(
        source=request.source,
        text=one_line[0].text,
        score=winner.score,
        tokens=tuple(piece for _, piece in pieces),
        alternatives=tuple(one_line),
        flags=in_order(flags),
    )


def _flags_of_search(winners: Sequence[Hypothesis], limits: Sequence[int]) -> set[str]:
    return {
        "max_length" if len(winner.ids) >= limit else "dead_end"
        for winner, limit in zip(winners, limits, strict=True)
        if not winner.is_finished
    }


def _lacks_a_part(request: Request, winners: Sequence[Hypothesis], tokenizer: Tokenizer) -> bool:
    eos = tokenizer.specials.eos
    return any(
        is_omitted(part.text, winner.text, source_ids=ids, target_ids=[i for i in winner.ids if i != eos])
        for part, ids, winner in zip(request.parts, request.part_ids, winners, strict=True)
    )


def _spelled(hypotheses: Sequence[Hypothesis], tokenizer: Tokenizer) -> list[Hypothesis]:
    texts = tokenizer.decode_target([hypothesis.ids for hypothesis in hypotheses])
    return [
        replace(hypothesis, text=text, pieces=tuple(tokenizer.target_pieces(hypothesis.ids)))
        for hypothesis, text in zip(hypotheses, texts, strict=True)
    ]


def _different(hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
    """Return the first hypothesis of each text; parts that differ may join to the same text."""
    first: dict[str, Hypothesis] = {}
    for hypothesis in hypotheses:
        first.setdefault(" ".join(hypothesis.text.split()), hypothesis)
    return list(first.values())


def _joined(
    hypotheses: Sequence[Hypothesis], parts: Sequence[Part], *, config: TranslationConfig, language: str
) -> Hypothesis:
    """Return one hypothesis for the whole text: all tokens, the summed log-probability, scored as one sentence."""
    if len(hypotheses) == 1:
        return hypotheses[0]
    joined = make_hypothesis(
        [*chain.from_iterable(h.ids for h in hypotheses)],
        [*chain.from_iterable(h.token_log_probabilities for h in hypotheses)],
        is_finished=all(h.is_finished for h in hypotheses),
        form=config.length_penalty,
        alpha=config.alpha,
    )
    return replace(
        joined,
        pieces=tuple(chain.from_iterable(h.pieces for h in hypotheses)),
        text=join_parts([h.text for h in hypotheses], parts, language=language),
    )
