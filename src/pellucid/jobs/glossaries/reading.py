"""Read terms: words to use and to avoid from a file (``translation/terms/glossary.py``), and words to keep.

Read ``pellucid/serving/glossaries/`` next.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pellucid.config import TranslationConfig
from pellucid.config.service import ServedGlossary
from pellucid.errors import ConfigError, RequestError
from pellucid.jobs.line_files import reading
from pellucid.serving.glossaries.stored import Dictionary, StoredGlossary, id_of
from pellucid.text.formats.languages import answers
from pellucid.translation.terms.glossary import Glossary, kept_terms, read_terms

__all__ = ["glossaries_of", "terms_of"]

Pair = tuple[str, str]


def terms_of(file: str | None, keep: Sequence[str], config: TranslationConfig) -> Glossary:
    """Return the terms of a file, and the words that stay as they are.

    Raises:
        DataError: a line of the file is no term.
        RequestError: a word to keep is empty or in the file, too; or the search cannot follow terms.
    """
    glossary = _read(file, keep)
    if glossary.terms:
        glossary.refuse_with(config)
    return glossary


def glossaries_of(named: Sequence[ServedGlossary], pairs: Sequence[Pair]) -> list[StoredGlossary]:
    """Read the glossaries of a service, each for the language pairs that it is for.

    Raises:
        ConfigError: one has no terms, is for no pair, or says no languages where there are several pairs; or two of a
            name are for the same pair.
        DataError: a line of a file is no term.
    """
    found: dict[str, StoredGlossary] = {}
    for one in named:
        name = one.name or Path(one.path).stem
        glossary = _of_service(one, name)
        own = [pair for pair in dict.fromkeys(pairs) if _is_for(one, pair)]
        if not own:
            raise ConfigError(f"the glossary {name!r} is for {one.source} → {one.target}, which no model translates")
        if one.path and len(own) > 1 and not (one.source and one.target):
            raise ConfigError(
                f"the glossary {name!r} does not say its languages, and there are several models; name it in --config "
                "under [[glossaries]], with source and target"
            )
        for source, target in own:
            id = id_of(name, source, target)
            if id in found:
                raise ConfigError(f"two glossaries for {source} → {target} have the name {name!r}; rename one of them")
            found[id] = StoredGlossary(id, None, name, (Dictionary(source, target, glossary),))
    return [*found.values()]


def _of_service(one: ServedGlossary, name: str) -> Glossary:
    if not name:
        raise ConfigError("a glossary of the service has neither a path nor a name; give it a name")
    try:
        glossary = _read(one.path or None, one.keep)
    except RequestError as error:
        raise ConfigError(f"the glossary {name!r}: {error}") from None
    if not glossary.terms:
        raise ConfigError(f"the glossary {name!r} has no terms; give it a path of a file that has some, or keep")
    return glossary


def _read(file: str | None, keep: Sequence[str]) -> Glossary:
    kept = kept_terms(keep)
    if file is None:
        return Glossary(kept)
    with reading(file, what="a file of terms (source form, tab, target forms)") as opened:
        return Glossary([*read_terms(opened.lines(), name=opened.name), *kept])


def _is_for(one: ServedGlossary, pair: Pair) -> bool:
    return all(not code or answers(code, own) for code, own in zip((one.source, one.target), pair, strict=True))
