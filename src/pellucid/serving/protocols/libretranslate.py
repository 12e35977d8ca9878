"""The protocol of LibreTranslate: its routes, fields, answers and sentences of errors, word for word.

A text that is in the target language already comes back as it is, here and in all other protocols.

Different on purpose: texts of a list are translated together, and ``auto`` detects the language of each;
``alternatives`` has a limit, and there are none for HTML; errors of every kind are JSON; ``/health`` is true;
``/suggest`` writes to a journal if the owner of the server wants it (``../corrections/``). Files are in
``documents.py``. Read ``v1.py`` next.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pellucid.documents.naming import FORMATS
from pellucid.serving.corrections.states import Correction
from pellucid.serving.documents.markup import Marked, TranslatedMarkup, marked_text, translated_markup
from pellucid.serving.documents.translating import Job, TranslatedDocument
from pellucid.serving.glossaries.outcomes import together
from pellucid.serving.models.detection import Detected, can_detect, detect, detected_among, detected_for, shown
from pellucid.serving.models.languages import name_of
from pellucid.serving.models.pool import ServedPair
from pellucid.serving.protocols.answering import as_json, caller_of, route
from pellucid.serving.protocols.reading import Fields, not_applied, number, text, unknown_in
from pellucid.serving.refusals import Reason, Refusal
from pellucid.serving.service import Caller, Service
from pellucid.serving.wishes import TextTranslation, Wish
from pellucid.translation.terms.glossary import Glossary

__all__ = [
    "AUTO",
    "LIBRETRANSLATE_STATUSES",
    "TextWish",
    "as_libretranslate",
    "by_language",
    "correction_in",
    "languages_of",
    "libretranslate_routes",
    "markup_by_language",
    "origins_of",
    "refuse_failed",
    "refuse_long",
]

AUTO: Final = "auto"
LIBRETRANSLATE_STATUSES: Final = {Reason.NO_KEY: 400}
_FIELDS: Final = frozenset({"q", "source", "target", "format", "alternatives"})
_WEBLATE: Final = re.compile(r"\[X\d{1,6}X\]")
"""What Weblate sends in place of a placeholder, and puts the placeholder back for."""
_UNKNOWN: Final = "en"
"""LibreTranslate's language of a text without letters."""


def libretranslate_routes(service: Service) -> list[Route]:
    """Return the routes of LibreTranslate, but for files."""
    every = [
        ("/translate", _translate, ("POST",)),
        ("/detect", _detect, ("POST",)),
        ("/languages", _languages, ("GET", "POST")),  # Argos Translate's client asks with a form
        ("/frontend/settings", _settings, ("GET",)),
        ("/suggest", _suggest, ("POST",)),
        ("/health", _health, ("GET",)),
    ]
    return [
        route(service, path, answer, methods=methods, dialect=as_libretranslate, statuses=LIBRETRANSLATE_STATUSES)
        for path, answer, methods in every
    ]


def as_libretranslate(refusal: Refusal) -> Mapping[str, object]:
    """Return the body of an error as LibreTranslate writes it."""
    return {"error": f"Slowdown: {refusal}" if refusal.reason is Reason.RATE else str(refusal)}


async def _translate(service: Service, request: Request, fields: Fields) -> Response:
    caller = caller_of(service, request, fields)
    texts, is_list = _texts(service, request, fields)
    source, target = text(fields, "source"), text(fields, "target")
    format = text(fields, "format", "text")
    count = number(fields, "alternatives", default=0, most=service.limits.alternatives)
    if format not in ("text", "html"):
        raise Refusal(Reason.NOT_OFFERED, f"{format[:40]} format is not supported")
    alternatives: list[list[str]] = [[] for _ in texts]
    unused = unknown_in(fields, _FIELDS)
    if format == "html":
        unused += ["alternatives"] * (count > 0)
        marked = [marked_text(one) for one in texts]
        languages = languages_of(service, [one.plain for one in marked], source, target)
        results = await markup_by_language(service, caller, marked, languages, TextWish(target))
        written, origins = [one.text for one in results], origins_of(results)
    else:
        wish = TextWish(target, settings=tuple(_search(texts, count).items()))
        found, languages = await by_language(service, caller, texts, source, wish)
        refuse_failed(found)
        written, origins = [one.text for one in found], origins_of(found)
        alternatives = [list(one.alternatives[:count]) for one in found]
    answer: dict[str, object] = {"translatedText": written}
    if source == AUTO:
        answer["detectedLanguage"] = [_shown(one) for one in languages]
    if count:
        answer["alternatives"] = alternatives
    if not is_list:
        answer = {name: values[0] for name, values in answer.items() if isinstance(values, list)}
    return as_json(answer, headers=origins | not_applied(unused))


@dataclass(frozen=True)
class TextWish:
    """What is wished of texts, whatever their languages."""

    target: str
    settings: tuple[tuple[str, object], ...] = ()
    splits_sentences: bool | None = None
    glossary: Glossary = field(default_factory=lambda: Glossary(()))


def languages_of(service: Service, texts: list[str], source: str, target: str) -> list[Detected]:
    """Return the language of each text: the given one, or where that is ``auto`` the detected one."""
    if source == AUTO:
        sources = service.pool.sources_of(target) or service.pool.sources
        return [detected_for(one, sources, target) for one in texts]
    return [Detected(source, 100.0)] * len(texts)


async def by_language(
    service: Service, caller: Caller, texts: list[str], source: str | list[Detected], wish: TextWish
) -> tuple[list[TextTranslation], list[Detected]]:
    """Translate texts, each from its own language where that is ``auto`` or a list; return the languages, too.

    Raises:
        Refusal: as ``Service.translate``.
    """
    languages = source if isinstance(source, list) else languages_of(service, texts, source, wish.target)
    found: dict[int, TextTranslation] = {}
    for pair, places in _by_pair(service, languages, wish.target):
        if pair is None:
            found |= {place: TextTranslation(texts[place], texts[place]) for place in places}
            continue
        own = Wish(
            tuple(texts[place] for place in places),
            pair,
            settings=wish.settings,
            splits_sentences=wish.splits_sentences,
            glossary=wish.glossary,
            memories=(pair.memory,) if pair.memory is not None else (),
        )
        found |= dict(zip(places, await service.translate(own, caller), strict=True))
    return [found[place] for place in range(len(texts))], languages


def origins_of(found: Sequence[TextTranslation | TranslatedMarkup | TranslatedDocument]) -> dict[str, str]:
    """Return headers with what the answers have no place for.

    They say where the sentences are from, which terms they have and lack, and in how many texts a term could not be
    applied, if it is in any.
    """
    broken = sum("terms" in one.flags for one in found)
    total = sum((one.origins for one in found), start=Counter[str]())
    return (
        {"X-Translation-Origin": ", ".join(f"{name}={count}" for name, count in sorted(total.items()))}
        | ({"X-Terms-Not-Applied": str(broken)} if broken else {})
        | together(one.terms for one in found).headers()
    )


async def markup_by_language(
    service: Service, caller: Caller, texts: list[Marked], languages: list[Detected], wish: TextWish
) -> list[TranslatedMarkup]:
    """Translate texts with tags, each from its own language.

    Raises:
        Refusal: as ``translated_markup``.
    """
    found: dict[int, TranslatedMarkup] = {}
    for pair, places in _by_pair(service, languages, wish.target):
        if pair is None:
            found |= {place: texts[place].unchanged() for place in places}
            continue
        job = Job(service, caller, pair, wish.glossary, wish.splits_sentences, wish.settings)
        found |= dict(zip(places, await translated_markup(job, [texts[place] for place in places]), strict=True))
    return [found[place] for place in range(len(texts))]


def _by_pair(service: Service, languages: list[Detected], target: str) -> list[tuple[ServedPair | None, list[int]]]:
    """Return the model for each language with the places of its texts; None for texts in the target language."""
    pool = service.pool
    return [
        (
            pool.translating(language, target),
            [place for place, one in enumerate(languages) if one.language == language],
        )
        for language in dict.fromkeys(one.language for one in languages)
    ]


def refuse_failed(found: list[TextTranslation]) -> None:
    """Refuse an answer in which a sentence would stand untranslated: these protocols cannot say so."""
    for place, one in enumerate(found):
        if one.error is not None:
            raise Refusal(Reason.INVALID, f"text {place} cannot be translated: {one.error}")


def refuse_long(service: Service, texts: list[str]) -> None:
    """Refuse too many texts, or one that is too long, in the words of LibreTranslate."""
    limits = service.limits
    for size, limit in ((len(texts), limits.texts), *((len(one), limits.characters) for one in texts)):
        if size > limit:
            raise Refusal(Reason.INVALID, f"Invalid request: request ({size}) exceeds text limit ({limit})")


def _texts(service: Service, request: Request, fields: Fields) -> tuple[list[str], bool]:
    given = fields.get("q")
    is_json = "json" in request.headers.get("content-type", "").lower()
    if not given:
        raise Refusal(Reason.INVALID, "Invalid request: missing q parameter")
    if isinstance(given, list) and not is_json:
        raise Refusal(Reason.INVALID, "Invalid request: q parameter occurs several times; send a list of texts as JSON")
    every = given if isinstance(given, list) else [given]
    texts = [one for one in every if isinstance(one, str)]
    if len(texts) < len(every):
        raise Refusal(Reason.INVALID, "Invalid request: q parameter is not a text, nor a list of texts")
    if not is_json:
        texts = [one.replace("\r\n", "\n") for one in texts]
    refuse_long(service, texts)
    return texts, isinstance(given, list)


def _search(texts: Sequence[str], alternatives: int) -> dict[str, object]:
    found: dict[str, object] = {"placeholders": "keep"} if any(map(_WEBLATE.search, texts)) else {}
    return found | ({"n_best": alternatives + 1, "beam_size": max(5, alternatives + 1)} if alternatives else {})


def _shown(one: Detected) -> dict[str, object]:
    if not one.confidence:
        return {"confidence": 0.0, "language": _UNKNOWN}
    return {"confidence": one.confidence, "language": one.language}


async def _detect(service: Service, request: Request, fields: Fields) -> Response:
    caller = caller_of(service, request, fields)
    given = text(fields, "q")
    refuse_long(service, [given])
    service.clients.charge(caller.client, len(given))
    found = shown(detect(given)) or [Detected(_UNKNOWN, 0.0)]
    return as_json([{"confidence": one.confidence, "language": one.language} for one in found])


async def _languages(service: Service, request: Request, fields: Fields) -> Response:
    pool = service.pool
    sources = [
        {"code": code, "name": name_of(code), "targets": sorted({code, *pool.targets_of(code)})}
        for code in pool.sources
    ]
    return as_json(sources)


async def _settings(service: Service, request: Request, fields: Fields) -> Response:
    source, target = next(iter(service.pool.pairs))
    return as_json(
        {
            "apiKeys": service.clients.need_keys,
            "charLimit": service.limits.characters,
            "filesTranslation": True,
            "frontendTimeout": 500,
            "keyRequired": service.clients.need_keys,
            "language": {
                "source": {"code": AUTO, "name": "Auto Detect"}
                if can_detect()
                else {"code": source, "name": name_of(source)},
                "target": {"code": target, "name": name_of(target)},
            },
            "suggestions": service.journal is not None,
            "supportedFilesFormat": [suffix for one in FORMATS for suffix in one.suffixes],
        }
    )


async def _suggest(service: Service, request: Request, fields: Fields) -> Response:
    caller = caller_of(service, request, fields)
    if service.journal is None:
        raise Refusal(Reason.NOT_OFFERED, "Suggestions are disabled on this server.", status=403)
    given, proposed, source, target = (text(fields, name) for name in ("q", "s", "source", "target"))
    await service.correct(correction_in(service, given, proposed, source, target), caller.client)
    return as_json({"success": True})


def correction_in(
    service: Service, given: str, proposed: str, source: str, target: str, *, shown: str = ""
) -> Correction:
    """Return the correction of a request.

    Raises:
        Refusal: a text is blank, has a NUL character or is too long, or the languages are not offered. With ``auto``,
            the source language is the most probable one that is translated to the target.
    """
    refuse_long(service, [given, proposed, shown])
    if not given.strip() or not proposed.strip() or "\0" in given + proposed + shown:
        raise Refusal(Reason.INVALID, "a correction is a text and its translation, without NUL characters")
    if source == AUTO:
        possible = service.pool.sources_of(target) or service.pool.sources
        source = possible[0] if len(possible) == 1 else detected_among(given, possible).language
    if target == AUTO:
        raise Refusal(
            Reason.LANGUAGE, "auto is for the source language; name the language of the correction", subject="target"
        )
    pair = service.pool.find(source, target)
    return Correction(given, proposed, pair.source, pair.target, translation=shown)


async def _health(service: Service, request: Request, fields: Fields) -> Response:
    problem = service.unreadiness
    return as_json({"status": "ok" if problem is None else problem}, 200 if problem is None else 503)
