"""The options of DeepL's requests: what each means here.

No option is ignored in silence. One that would change what the client gets is refused, as DeepL refuses a formality
that a language does not have. One that DeepL calls a hint or a preference is named in the header
``X-Options-Not-Applied`` where it has no effect, and so is a field that nobody knows. The table in
``docs/reference/protocols.md`` says it for every option. Read ``deepl_glossaries.py`` next.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pellucid.documents.markup.rules import Rules, rules_for_xml
from pellucid.serving.documents.markup import HTML_IN_A_REQUEST, Marked, marked_text
from pellucid.serving.models.languages import loses_region
from pellucid.serving.protocols.reading import Fields, boolean, not_applied, text, unknown_in
from pellucid.serving.refusals import Reason, Refusal

__all__ = ["Options", "Tags", "document_options", "text_options"]

_OF_EVERY_REQUEST: Final = frozenset(
    {"source_lang", "target_lang", "formality", "glossary_id", "glossary_ids", "enable_beta_languages"}
)
_OF_TEXTS: Final = _OF_EVERY_REQUEST | {
    "text", "show_billed_characters", "split_sentences", "preserve_formatting", "model_type",
}  # fmt: skip
_OF_TAGS: Final = ("tag_handling_version", "outline_detection", "splitting_tags", "non_splitting_tags", "ignore_tags")
_OF_DOCUMENTS: Final = _OF_EVERY_REQUEST | {"file", "filename", "output_format"}
_REFUSED: Final = ("style_id", "custom_instructions", "translation_memory_id", "translation_memory_threshold")
_ONLY_HINTED: Final = ("prefer_more", "prefer_less")
_MODEL_TYPES: Final = ("quality_optimized", "prefer_quality_optimized", "latency_optimized")
_FASTEST: Final = (("beam_size", 1), ("n_best", 1))
_MOST_GLOSSARIES: Final = 5
_LINE_END: Final = re.compile(r"(?<=\S)[ \t]*(?:\r\n|\n|\r)[ \t]*(?=\S)")
_BLANK_LINE: Final = re.compile(r"(?:\r\n|\n|\r)[ \t]*(?:\r\n|\n|\r)")
_TAG: Final = re.compile("<[^<>]*>")
_ENDS: Final = ".,;:!?…。！？"


@dataclass(frozen=True)
class Tags:
    """How the tags of texts are read."""

    is_xml: bool
    is_strict: bool
    finds_structure: bool
    borders: frozenset[str]
    inline: frozenset[str]
    opaque: frozenset[str]

    def marked(self, given: str) -> Marked:
        """Read a text.

        Raises:
            Refusal: as ``marked_text``.
        """
        return marked_text(given, self._rules(given), is_strict=self.is_strict)

    def _rules(self, given: str) -> Rules:
        if not self.is_xml:
            return replace(HTML_IN_A_REQUEST, borders=self.borders, inline=self.inline, opaque=self.opaque)
        return rules_for_xml(
            given,
            borders=[*self.borders],
            inline=[*self.inline],
            opaque=[*self.opaque],
            finds_structure=self.finds_structure,
        )


@dataclass(frozen=True)
class Options:
    """The options of a request for texts or a document."""

    source: str
    target: str
    glossaries: tuple[str, ...]
    """Ids; of two terms for a word the one counts whose glossary is named first."""
    not_applied: tuple[str, ...]
    """What has no effect, whatever the texts are."""
    settings: tuple[tuple[str, object], ...] = ()
    """Of the search."""
    model_type: str = ""
    """What the client asked for; "" if it did not."""
    tags: Tags | None = None
    splits_sentences: bool | None = None
    joins_lines: bool = False
    shows_billed: bool = False
    keeps_formatting: bool = False

    def one_line(self, given: str) -> str:
        """Return a text as it is translated: ends of lines that do not end a sentence are spaces; blank lines stay."""
        return _LINE_END.sub(" ", given) if self.joins_lines and self.tags is None else given

    def headers(self, texts: Sequence[str], written: Sequence[str], served: str) -> dict[str, str]:
        """Return the header that names what had no effect, given the texts, their translations and the target."""
        names = [*self.not_applied]
        if loses_region(self.target, served):
            names.append("target_lang")
        if self._meets_lines(texts):
            names.append("split_sentences")
        if self.keeps_formatting and any(map(_differ_at_their_ends, texts, written)):
            names.append("preserve_formatting")
        return not_applied(names)

    def _meets_lines(self, texts: Iterable[str]) -> bool:
        """Whether lines are joined that should not be, or the other way round."""
        if self.tags is not None:
            return bool(self.splits_sentences) and any("\n" in one.strip() for one in texts)
        return self.joins_lines and any(_BLANK_LINE.search(one.strip()) for one in texts)


def text_options(fields: Fields) -> Options:
    """Return the options of a request for texts.

    Raises:
        Refusal: a value is unknown, or asks for what the server cannot do.
    """
    tags, ignored = _tags(fields)
    splitting = _one_of(fields, "split_sentences", ("", "0", "1", "nonewlines"))
    model_type = _one_of(fields, "model_type", ("", *_MODEL_TYPES))
    boolean(fields, "enable_beta_languages", default=False)
    every = _shared(fields, _OF_TEXTS | {"tag_handling", *_OF_TAGS})
    return replace(
        every,
        not_applied=(*every.not_applied, *ignored),
        settings=_FASTEST if model_type == "latency_optimized" else (),
        model_type=model_type,
        tags=tags,
        splits_sentences={"": None, "0": False}.get(splitting, True),
        joins_lines=splitting in ("0", "nonewlines"),
        shows_billed=boolean(fields, "show_billed_characters", default=False),
        keeps_formatting=boolean(fields, "preserve_formatting", default=False),
    )


def document_options(fields: Fields, suffix: str) -> Options:
    """Return the options of a request for a document whose name ends with ``suffix``.

    Raises:
        Refusal: as ``text_options``.
    """
    wanted = text(fields, "output_format", "").lower()
    if wanted and wanted != suffix.lower().lstrip("."):
        raise Refusal(Reason.NOT_OFFERED, f"Value for 'output_format' not supported; it can only be {suffix[1:21]!r}.")
    return _shared(fields, _OF_DOCUMENTS)


def _shared(fields: Fields, known: frozenset[str]) -> Options:
    for name in _REFUSED:
        if fields.get(name):
            raise Refusal(Reason.NOT_OFFERED, f"'{name}' is not supported by this server; leave it out")
    formality = text(fields, "formality", "default")
    if formality not in ("default", *_ONLY_HINTED):
        said = "'formality' is not supported for given 'target_lang'."
        raise Refusal(Reason.NOT_OFFERED, said if formality in ("more", "less") else _unknown("formality"))
    source, ids = text(fields, "source_lang", ""), _glossary_ids(fields)
    if ids and not source:
        raise Refusal(Reason.INVALID, "Use of a glossary requires the source_lang parameter to be specified.")
    unknown = unknown_in(fields, known)
    if formality in _ONLY_HINTED:
        unknown.append("formality")
    return Options(source, text(fields, "target_lang"), ids, tuple(unknown))


def _glossary_ids(fields: Fields) -> tuple[str, ...]:
    one, several = text(fields, "glossary_id", ""), _names(fields, "glossary_ids")
    if one and several:
        raise Refusal(Reason.INVALID, "'glossary_id' and 'glossary_ids' cannot be used together.")
    if len(several) > _MOST_GLOSSARIES:
        raise Refusal(Reason.INVALID, f"'glossary_ids' must not contain more than {_MOST_GLOSSARIES} ids.")
    return (one,) if one else tuple(several)


def _tags(fields: Fields) -> tuple[Tags | None, list[str]]:
    """Return how tags are read, and the options for them that have no effect."""
    kind = _one_of(fields, "tag_handling", ("", "xml", "html"))
    version = _one_of(fields, "tag_handling_version", ("", "v1", "v2"))
    finds = boolean(fields, "outline_detection", default=True)
    if not kind:
        return None, [name for name in _OF_TAGS if fields.get(name)]
    borders, inline, opaque = (
        frozenset(_names(fields, f"{name}_tags")) for name in ("splitting", "non_splitting", "ignore")
    )
    found = Tags(kind == "xml", version == "v2" and kind == "xml", finds, borders, inline, opaque)
    return found, ["outline_detection"] if kind == "html" and not finds else []


def _one_of(fields: Fields, name: str, values: Sequence[str]) -> str:
    given = fields.get(name)
    value = "" if given is None else str(given)
    if value not in values:
        raise Refusal(Reason.INVALID, _unknown(name))
    return value


def _unknown(name: str) -> str:
    return f"Value for '{name}' not supported."


def _names(fields: Fields, name: str) -> list[str]:
    given = fields.get(name) or []
    every = given if isinstance(given, list) else [given]
    if not all(isinstance(one, str) for one in every):
        raise Refusal(Reason.INVALID, _unknown(name))
    names = [part.strip() for one in every for part in str(one).split(",")]
    return [one for one in names if one]


def _differ_at_their_ends(source: str, target: str) -> bool:
    """Return whether the first letter of one is a capital and not that of the other, or only one ends with a mark."""
    one, other = (_TAG.sub("", text).strip() for text in (source, target))
    if not one or not other:
        return False
    differs = one[0].isalpha() and other[0].isalpha() and one[0].isupper() != other[0].isupper()
    return differs or (one[-1] in _ENDS) != (other[-1] in _ENDS)
