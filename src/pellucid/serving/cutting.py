"""Cut texts into the sentences that are translated, and put their translations together.

Line breaks, blank lines and indentation come back as they were: a text is cut as a document is
(``translation/document/``). A sentence without letters, such as an amount or a date, is its own translation, and no
model is asked. With a prefix, a text is translated whole. Read ``gathering.py`` next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pellucid.documents.segments import has_letters
from pellucid.serving.glossaries.outcomes import outcome_of
from pellucid.serving.models.pool import VERSION_DIGITS
from pellucid.serving.scheduling.work import Outcome, Sentence
from pellucid.serving.wishes import TextTranslation, Wish
from pellucid.translation.document.layout import Block, Lines
from pellucid.translation.document.translating import Cut, document_from, sentences_in
from pellucid.translation.hypothesis import Hypothesis, Translation
from pellucid.translation.memory.recalling import Recall, recall
from pellucid.translation.requests import refused
from pellucid.translation.terms.glossary import Glossary
from pellucid.translation.translator import Translator

__all__ = ["CutText", "cut_texts", "settings_of", "weights_of"]


@dataclass(frozen=True)
class CutText:
    """A text and its sentences."""

    text: str
    cuts: Sequence[Cut]
    sentences: Sequence[Sentence]
    recalls: Sequence[Recall]
    """What the memories say of each sentence."""
    glossary: Glossary

    prefix: str = ""
    """What the translation has to begin with."""

    def without_model(self) -> list[Outcome | None]:
        """Return for each sentence the translation that a memory has; itself without letters and terms; or None."""
        return [
            one.translation_of(cut.text) or self._itself(cut) for one, cut in zip(self.recalls, self.cuts, strict=True)
        ]

    def _itself(self, cut: Cut) -> Translation | None:
        if self.prefix or has_letters(cut.text) or self.glossary.within(cut.text):
            return None
        itself = Hypothesis((), 0.0, 0.0, (), is_finished=True, text=cut.text)
        return Translation(cut.text, cut.text, 0.0, (), (itself,), flags=("passed_through",))

    def as_translation(self, place: int, outcome: Outcome | None) -> Translation:
        """Return what became of a sentence as a translation; one that failed says so."""
        if isinstance(outcome, Translation):
            return outcome if outcome.origin == "memory" else self.recalls[place].beside(outcome)
        return refused(self.cuts[place].text, "this sentence could not be translated")

    def put_together(self, outcomes: Sequence[Outcome | None], *, weights: str = "") -> TextTranslation:
        """Return the translation of the text from those of its sentences; ``weights`` tells the model."""
        best = [self.as_translation(place, one) for place, one in enumerate(outcomes)]
        found = document_from(self.text, self.cuts, best, lines=Lines.KEEP)
        count = max((len(one.alternatives) for one in best), default=1)
        others = [
            document_from(self.text, self.cuts, [_with_rank(one, rank) for one in best], lines=Lines.KEEP).text
            for rank in range(1, count)
        ]
        different = tuple(text for text in dict.fromkeys(others) if text != found.text)
        pairs = ((cut.text, one.text) for cut, one in zip(self.cuts, best, strict=True))
        terms = outcome_of(self.glossary, pairs)
        return TextTranslation(self.text, found.text, different, found.sentences, weights, terms)


def _with_rank(one: Translation, rank: int) -> Translation:
    if one.error is not None or not one.alternatives:
        return one
    return replace(one, text=one.alternatives[min(rank, len(one.alternatives) - 1)].text)


def cut_texts(wish: Wish, translator: Translator) -> list[CutText]:
    """Cut the texts of a request into sentences, and count their pieces."""
    splits = wish.splits_sentences
    if splits is None:
        splits = translator.config.split_sentences.acts_on(single_sentences=translator.single_sentences)
    found = []
    for text in wish.texts:
        if wish.prefix:
            cuts = [Cut(Block(0, len(text)), 0, len(text), "", text, "")]
        else:
            cuts = sentences_in(
                text,
                lines=Lines.KEEP,
                splits_sentences=splits,
                languages=(translator.source_language, translator.target_language),
                split_tag=translator.tokenizer.split_tag,
                keeps_whole=lambda block: _recalled(block, wish, most=0).target is not None,
            )
        given = [f"{cut.tag} {cut.text}" if cut.tag else cut.text for cut in cuts]
        sentences = [Sentence(one, _tokens(one, translator), wish.prefix) for one in given]
        found.append(
            CutText(text, cuts, sentences, [_recall_of(cut, wish) for cut in cuts], wish.glossary, wish.prefix)
        )
    return found


def _recall_of(cut: Cut, wish: Wish) -> Recall:
    if cut.tag:  # the memory is for one target language
        return Recall()
    found = _recalled(cut.text, wish, most=wish.matches)
    return replace(found, target=None) if wish.prefix else found


def _recalled(text: str, wish: Wish, *, most: int) -> Recall:
    return recall(text, wish.memories, most=most, terms=wish.glossary.within(text)) if wish.memories else Recall()


def weights_of(translator: Translator) -> str:
    """Return the beginning of the checksum of a model's weights, or "" if it has none."""
    return "" if translator.origin is None else translator.origin.description.weights_sha256[:VERSION_DIGITS]


def settings_of(wish: Wish) -> tuple[tuple[str, object], ...]:
    """Return the settings of the search; what is cut into sentences here is not cut again.

    What a translation has to begin with holds the placeholders itself, so none is put back into it.
    """
    settings = {"placeholders": "translate", **dict(wish.settings)} if wish.prefix else dict(wish.settings)
    splitting = "auto" if wish.splits_sentences is None else ("always" if wish.splits_sentences else "never")
    return (*settings.items(), ("split_sentences", splitting if wish.prefix else "never"))


def _tokens(text: str, translator: Translator) -> int:
    # A text that cannot be encoded fails in the translator, which says why.
    clean = text.encode("utf-8", errors="replace").decode("utf-8").replace("\0", " ")
    return 1 + len(translator.tokenizer.encode_source([clean])[0])
