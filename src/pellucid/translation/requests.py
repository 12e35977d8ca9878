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
from pellucid.errors import RequestError, counted
from pellucid.text.normalisation import nul_in, refuse_surrogates, without_invisible
from pellucid.text.sentences import sentences_of
from pellucid.translation.constraints import max_length_of
from pellucid.translation.flags import diagnose, doubtful, in_order, is_omitted
from pellucid.translation.hypothesis import Hypothesis, Translation, make_hypothesis
from pellucid.translation.placeholders.attention import Attend, evenly
from pellucid.translation.placeholders.markers import Marker, markers_of, taken_out
from pellucid.translation.placeholders.parts import put_back
from pellucid.translation.segments import Part, join_parts, split_text
from pellucid.translation.terms.watch import Watch

if TYPE_CHECKING:
    from pellucid.text.tokenizer import Tokenizer

__all__ = ["Request", "assemble", "chunks_of", "prefixes_for", "prepare", "refused", "texts_of"]

_LINE_BREAKS: Final = re.compile("[\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]+")
_WORD: Final = re.compile(r"[^\W_]")
_LIKE_A_TAG: Final = re.compile(r">>[^\s<>]{1,64}<<")
_NOT_DECODED: Final = "the text could not be read: invalid bytes or another defect of its line"


@dataclass(frozen=True)
class Request:
    """One text, ready for the search. No parts: it is blank, is ``unchanged``, or there is an ``error``."""

    source: str
    parts: tuple[Part, ...] = ()
    part_ids: tuple[tuple[int, ...], ...] = ()
    """Ids of each part, without the end of sentence; where a language tag leads the text, it leads each of them."""
    error: str | None = None
    around: tuple[str, str] = ("", "")
    """The white space before and after the text, which comes back around its translation."""
    unchanged: str = ""
    """The text itself where it has neither letter nor digit: it is its own translation."""
    notes: frozenset[str] = frozenset()
    """Flags of the text itself."""
    watches: tuple[Watch | None, ...] = ()
    """The terms of each part; none at all where the call has no terms."""
    markers: tuple[Marker, ...] = ()
    """The placeholders and tags that were taken out of the text, by their places in all its parts together."""


@dataclass(frozen=True)
class _Sentences:
    """A text taken apart: its tag with the space behind it, and its sentences with the white space behind each."""

    request: Request
    tag: str
    sentences: tuple[str, ...]


def prepare(
    texts: Sequence[str | None],
    *,
    tokenizer: Tokenizer,
    limit: int,
    long_input: str,
    language: str,
    splits_sentences: bool = False,
    keeps_placeholders: bool = False,
) -> list[Request]:
    """Tokenise texts: each whole or, where asked for, its sentences one by one; None is a text that failed before.

    A stretch of more than ``limit`` pieces is cut further; or such a text is refused. Placeholders are taken out where
    they are to be kept, to be put back by ``assemble``.
    """
    cut = language if splits_sentences else None
    found = [_taken_apart(text, tokenizer, cut, keeps_placeholders=keeps_placeholders) for text in texts]
    bare = [apart.tag + sentence.rstrip() for apart in found for sentence in apart.sentences]
    every = iter(tokenizer.encode_source(bare))
    requests = []
    for apart in found:
        ids = [*islice(every, len(apart.sentences))]
        request = _in_parts(apart, ids, tokenizer=tokenizer, limit=limit, language=language)
        if long_input == "refuse" and len(request.parts) > 1:
            # What is refused is the text as it was given, so its pieces are those of the whole.
            (whole,) = tokenizer.encode_source([apart.tag + "".join(apart.sentences)])
            if len(whole) > limit:
                request = replace(apart.request, error=_too_long(len(whole), limit))
        requests.append(request)
    return requests


def _taken_apart(
    source: str | None, tokenizer: Tokenizer, language: str | None, *, keeps_placeholders: bool
) -> _Sentences:
    """Return what there is to translate in a text, and what is said of it; without a language it is one sentence."""
    if source is None:
        return _Sentences(Request("", error=_NOT_DECODED), "", ())
    try:
        refuse_surrogates([source])
    except RequestError as error:
        alone = str(error).removeprefix("text 0: ")  # the caller's list has its own numbers
        return _Sentences(Request(source, error=alone), "", ())
    if problem := nul_in(source):
        return _Sentences(Request(source, error=f"{problem}; remove it"), "", ())
    visible = without_invisible(source)
    body = visible.strip()
    tag, rest = tokenizer.split_tag(_LINE_BREAKS.sub(" ", body))
    whole = rest.lstrip()
    text, markers = taken_out(whole) if keeps_placeholders else (whole, ())
    is_translated = _WORD.search(text) is not None
    request = Request(
        source,
        around=("", "") if body in (visible, "") else _around(body, visible),
        unchanged="" if is_translated else whole,
        notes=_notes_on_tag(body, has_tag=bool(tag or tokenizer.default_tag), number=len(tokenizer.source_tags)),
        markers=markers,
    )
    if not is_translated:
        return _Sentences(request, "", ())
    sentences = (text,) if language is None else tuple(sentences_of(text, language))
    return _Sentences(request, f"{tag} " if tag and whole != rest else tag, sentences)


def _around(body: str, visible: str) -> tuple[str, str]:
    """Return the white space before and after the body of a text, without line breaks: a result holds none."""
    before, _, after = visible.partition(body)
    return _LINE_BREAKS.sub("", before), _LINE_BREAKS.sub("", after)


def _notes_on_tag(text: str, *, has_tag: bool, number: int) -> frozenset[str]:
    if has_tag or not text:
        return frozenset()
    if _LIKE_A_TAG.match(text):
        return frozenset({"unknown_tag"})
    return frozenset({"missing_tag"}) if number > 1 else frozenset()


def _too_long(length: int, limit: int) -> str:
    return (
        f"the text is {counted(length, 'piece')}, over max_input_length = {limit}; raise it or set long_input = 'split'"
    )


def _in_parts(
    apart: _Sentences, ids: Sequence[Sequence[int]], *, tokenizer: Tokenizer, limit: int, language: str
) -> Request:
    """Return the request of a text with its parts, each of them below the limit."""

    def count(stretches: Sequence[str]) -> list[int]:
        return [len(row) for row in tokenizer.encode_source([apart.tag + stretch for stretch in stretches])]

    parts: list[Part] = []
    rows: list[Sequence[int]] = []
    for sentence, row in zip(apart.sentences, ids, strict=True):
        text = sentence.rstrip()
        own = [Part(text, sentence[len(text) :])]
        own_rows: Sequence[Sequence[int]] = [row]
        if len(row) > limit:
            try:
                own = split_text(sentence, limit=limit, count=count, language=language)
            except RequestError as error:
                return replace(apart.request, error=str(error))
            own_rows = tokenizer.encode_source([apart.tag + part.text for part in own])
        parts += [Part(apart.tag + part.text, part.separator) for part in own]
        rows += own_rows
    kept = [(part, tuple(row)) for part, row in zip(parts, rows, strict=True) if row]
    return replace(apart.request, parts=tuple(part for part, _ in kept), part_ids=tuple(row for _, row in kept))


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
        raise RequestError(f"texts is of type {type(texts).__name__}; give a list or a generator of str")
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
    attend: Attend = evenly,
) -> Translation:
    """Put the hypotheses of the parts together as one translation.

    Args:
        request: the text.
        found: for each part its hypotheses, the best first; nothing for a blank text.
        tokenizer: of the model.
        config: of the search.
        longest: most steps of the stepper.
        language: code of the target language.
        attend: says where placeholders go.
    """
    if request.error is not None:
        return refused(request.source, request.error)
    if request.unchanged:
        return _passed_through(request)
    if not request.parts:
        return Translation(request.source, text="", score=0.0, tokens=(), alternatives=(), flags=("blank",))
    spelled = [_spelled(hypotheses, tokenizer) for hypotheses in found]
    spelled = put_back(request.markers, spelled, request.parts, request.part_ids, tokenizer=tokenizer, attend=attend)
    alternatives = _alternatives(spelled, request.parts, config=config, language=language)
    winner = alternatives[0]
    limits = [max_length_of(len(ids) + 1, config=config, stepper_max_length=longest) for ids in request.part_ids]
    evidence = _of_search([one[0] for one in found], limits)
    flags = set(request.notes)
    flags |= {"fewer"} if len(alternatives) < config.n_best else set()
    texts = [_LINE_BREAKS.sub(" ", h.text) for h in alternatives]
    if any(text != h.text for text, h in zip(texts, alternatives, strict=True)):
        flags.add("line_break")
    texts = [_surrounded(text, request.around) for text in texts]
    if len(request.parts) > 1:
        flags.add("split")
        evidence |= _lacking_part(request, [one[0] for one in spelled], tokenizer)
    one_line = [h if h.text == text else replace(h, text=text) for text, h in zip(texts, alternatives, strict=True)]
    evidence |= _diagnosed(request, one_line[0], tokenizer) | _broken_terms(request, [one[0].text for one in spelled])
    eos = tokenizer.specials.eos
    return Translation(
        source=request.source,
        text=one_line[0].text,
        score=winner.score,
        tokens=tuple(piece for i, piece in zip(winner.ids, winner.pieces, strict=True) if i != eos),
        alternatives=tuple(one_line),
        flags=in_order(flags | set(evidence)),
        evidence={flag: evidence[flag] for flag in in_order(evidence)},
    )


def _diagnosed(request: Request, winner: Hypothesis, tokenizer: Tokenizer) -> dict[str, str]:
    specials = tokenizer.specials
    eos = specials.eos
    evidence = diagnose(
        request.source,
        winner.text,
        source_ids=[*chain.from_iterable(request.part_ids)],
        target_ids=[i for i in winner.ids if i != eos],
        unk_id=specials.unk,
        pieces_of=lambda text: len(tokenizer.encode_source([text])[0]),
        spelled=lambda ids: tokenizer.decode_target([ids])[0],
    )
    found = markers_of(winner.text)
    if request.markers and found != [marker.text for marker in request.markers]:
        evidence.setdefault("placeholders", f"in the translation: {' '.join(found)}")
    return evidence


def _broken_terms(request: Request, texts: Sequence[str]) -> dict[str, str]:
    """Say which terms the translations of the parts do not keep to."""
    broken: dict[str, None] = {}
    for watch, text in zip(request.watches, texts, strict=False):
        if watch is not None:
            broken |= dict.fromkeys(watch.broken(text))
    return {"terms": "; ".join(broken)} if broken else {}


def _alternatives(
    spelled: Sequence[Sequence[Hypothesis]], parts: Sequence[Part], *, config: TranslationConfig, language: str
) -> list[Hypothesis]:
    """Join the k-th hypotheses of all parts, for every k; a part with fewer repeats its last."""
    count = max(len(hypotheses) for hypotheses in spelled)
    joined = [
        _joined([one[min(k, len(one) - 1)] for one in spelled], parts, config=config, language=language)
        for k in range(count)
    ]
    return joined if config.sampling else _different(joined)


def _passed_through(request: Request) -> Translation:
    """Return a text without letters and digits as its own translation, with the one alternative that it has."""
    text = _surrounded(request.unchanged, request.around)
    itself = Hypothesis(ids=(), score=0.0, log_probability=0.0, token_log_probabilities=(), is_finished=True, text=text)
    flags = in_order({"passed_through", *request.notes})
    return Translation(request.source, text=text, score=0.0, tokens=(), alternatives=(itself,), flags=flags)


def _surrounded(text: str, around: tuple[str, str]) -> str:
    """Return a translation with the white space that stood around its source, in the place of its own."""
    return f"{around[0]}{text.strip()}{around[1]}"


def _of_search(winners: Sequence[Hypothesis], limits: Sequence[int]) -> dict[str, str]:
    """Return the flags that the winners of the parts show, each with its evidence."""
    flags: dict[str, str] = {}
    for winner, limit in zip(winners, limits, strict=True):
        if not winner.is_finished:
            flags["max_length" if len(winner.ids) >= limit else "dead_end"] = (
                f"after {counted(len(winner.ids), 'piece')}"
            )
        if doubt := doubtful(winner.log_probability, len(winner.ids)):
            flags["low_confidence"] = doubt
    return flags


def _lacking_part(request: Request, winners: Sequence[Hypothesis], tokenizer: Tokenizer) -> dict[str, str]:
    eos = tokenizer.specials.eos
    for part, ids, winner in zip(request.parts, request.part_ids, winners, strict=True):
        target_ids = [i for i in winner.ids if i != eos]
        if is_omitted(part.text, winner.text, source_ids=ids, target_ids=target_ids):
            return {"omission": f"{part.text[:60]!r} became {winner.text[:60]!r}"}
    return {}


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
