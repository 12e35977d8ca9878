"""The language tags of a model with several target languages: the tags of a recipe, and putting them before sources.

A tag such as ``>>fra<<`` names the language to translate a source into (Johnson et al. 2017, section 3). It is one
piece of the vocabulary, and ordinary text never becomes that piece. Read ``tokenizer.py`` next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pellucid.config import DataConfig
from pellucid.errors import ConfigError
from pellucid.text.corpus import SentencePair
from pellucid.text.tokenizer import Tokenizer

__all__ = ["refuse_unknown_tags", "tagged", "tags_of"]


def tags_of(data: DataConfig) -> tuple[str, ...]:
    """Return the tags of all corpora, each once.

    Raises:
        ConfigError: a tag needs the code of the target language, which is not set.
    """
    return tuple(dict.fromkeys(tag for corpus in data.corpora() if (tag := data.tag_of(corpus))))


def refuse_unknown_tags(tags: Sequence[str], tokenizer: Tokenizer, *, origin: Path) -> None:
    """Refuse tags that the tokenizer of the model folder ``origin`` does not have.

    Raises:
        ConfigError: the tokenizer lacks a tag.
    """
    if missing := [tag for tag in tags if tag not in tokenizer.source_tags]:
        known = ", ".join(tokenizer.source_tags) or "none"
        raise ConfigError(
            f"data.tag: {', '.join(missing)} is not a tag of the model to start from, {origin} (its tags: {known}); "
            "use one of those, or train a new model"
        )


def tagged(pairs: Iterator[SentencePair], tags: Sequence[str], tokenizer: Tokenizer) -> Iterator[SentencePair]:
    """Put the tag of its corpus before every source that does not start with a tag.

    Args:
        pairs: ``corpus`` of a pair is an index into ``tags``.
        tags: the tag of each corpus, or "".
        tokenizer: recognises its tags.
    """
    for pair in pairs:
        tag = tags[pair.corpus]
        if tag and not tokenizer.split_tag(pair.source)[0]:
            yield replace(pair, source=f"{tag} {pair.source}")
        else:
            yield pair
