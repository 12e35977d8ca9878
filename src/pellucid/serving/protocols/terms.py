"""The terms of a request of ``/v1``: words to use and to avoid, words that stay as they are, and glossaries by name.

Of two terms for the same word, that of the request counts, and then that of the glossary which is named first. Read
``deepl.py`` next.
"""

from __future__ import annotations

import json
from typing import Any, Final

from pellucid.errors import RequestError
from pellucid.serving.models.pool import ServedPair
from pellucid.serving.protocols.reading import Fields
from pellucid.serving.refusals import Reason, Refusal
from pellucid.serving.service import Service
from pellucid.translation.terms.glossary import Glossary, Term, kept_terms, merged

__all__ = ["TERM_FIELDS", "terms_in"]

TERM_FIELDS: Final = frozenset({"glossary", "glossaries", "keep"})
_MOST_TERMS: Final = 500
_MOST_NAMES: Final = 10


def terms_in(service: Service, fields: Fields, pair: ServedPair) -> Glossary:
    """Return the terms of a request.

    Raises:
        Refusal: a term is wrong, two of the request are for the same word, or a glossary is not there for the pair.
    """
    given = _inline(fields)
    kept, names = _texts(fields, "keep", most=_MOST_TERMS), _texts(fields, "glossaries", most=_MOST_NAMES)
    try:
        own = Glossary([*(Term(**term) for term in given), *kept_terms(kept)])
    except (RequestError, TypeError) as error:
        raise Refusal(Reason.INVALID, f"glossary: {error}") from None
    return merged([own, *(service.glossaries.named(name, pair.source, pair.target) for name in names)])


def _inline(fields: Fields) -> list[dict[str, Any]]:
    """Return ``[{"source": ..., "target": [...], "avoid": [...]}]``; a form has it as JSON."""
    given = fields.get("glossary", [])
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            given = None
    if not isinstance(given, list) or len(given) > _MOST_TERMS:
        raise Refusal(Reason.INVALID, f"glossary is a list of at most {_MOST_TERMS} terms")
    for term in given:
        if not isinstance(term, dict) or "source" not in term or term.keys() - {"source", "target", "avoid"}:
            raise Refusal(Reason.INVALID, "a term of the glossary has source, and target or avoid or both")
    return given


def _texts(fields: Fields, name: str, *, most: int) -> list[str]:
    given = fields.get(name, [])
    every = given if isinstance(given, list) else [given]
    if len(every) > most or not all(isinstance(one, str) for one in every):
        raise Refusal(Reason.INVALID, f"{name} is a text, or a list of at most {most} texts")
    return [str(one) for one in every]
