"""The language tags of a model of several targets: which a recipe asks for, and the sources that they lead.

A tag such as ``>>fra<<`` says into which language a source is to be translated (Johnson et al. 2017, section 3). It is
one piece of the vocabulary, and text never becomes it by chance. Read ``tokenizer.py`` next.
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
        ConfigError: a tag names a language whose code is not given.
    """
    return tuple(dict.fromkeys(tag for corpus in data.corpora() if (tag := data.tag_of(corpus))))


def refuse_unknown_tags(tags: Sequence[str], tokenizer: Tokenizer, *, origin: Path) -> None:
    """Refuse tags that a tokenizer, the one of a model folder ``origin``, does not have.

    Raises:
        ConfigError: there are such.
    """
    if missing := [tag for tag in tags if tag not in tokenizer.source_tags]:
        known = ", ".join(tokenizer.source_tags) or "none"
        raise ConfigError(
            f"data.tag: {', '.join(missing)} is no tag of the model to start from, {origin} (its tags: {known}); use "
            "one of those, or train a new model"
        )


def tagged(pairs: Iterator[SentencePair], tags: Sequence[str], tokenizer: Tokenizer) -> Iterator[SentencePair]:
    """Put the tag of its corpus before every source, but keep the tag that a source brings.

    Args:
        pairs: whose ``corpus`` is an index into ``tags``.
        tags: of each corpus; "" where it has none.
        tokenizer: knows which tags there are.
    """
    for pair in pairs:
        tag = tags[pair.corpus]
        if tag and not tokenizer.split_tag(pair.source)[0]:
            yield replace(pair, source=f"{tag} {pair.source}")
        else:
            yield pair
