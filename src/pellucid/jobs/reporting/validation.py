"""The validations of a run: greedy BLEU, exact matches and a sample; the best model so far as a folder.

On a processor the native engine translates, in float32 and with all threads of the run, where it can be compiled;
otherwise torch does. A model that has learnt little does not end its translations, so each of them is as long as the
limit, and a validation takes several times as long as later ones. Such a model is scored on a few sentences, except at
the end of the run. Read ``../train.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import torch

from pellucid.bundle import save_bundle
from pellucid.config import Recipe, to_toml
from pellucid.errors import EngineUnavailableError, counted
from pellucid.evaluation.bleu_words import bleu_tokenizer
from pellucid.evaluation.metrics import Score, corpus_score
from pellucid.jobs.fine_tuning.comparison import FineTuningReport, before_and_after
from pellucid.jobs.fine_tuning.general import GeneralText
from pellucid.jobs.prepare import PreparedData
from pellucid.jobs.promises.watching import FaultCount
from pellucid.jobs.reporting.by_corpus import bleu_by_corpus
from pellucid.model.transformer import Transformer
from pellucid.text.corpus import SentencePair
from pellucid.text.sentences import has_single_sentences
from pellucid.training.validation import BLEU_SHARE, GENERAL_BLEU
from pellucid.translation.engines.native.engine import NativeEngine, native_of
from pellucid.translation.hypothesis import Translation
from pellucid.translation.translator import Translator
from pellucid.version import __version__

__all__ = ["ENOUGH_TO_SEE", "ValidationBleu", "settings_in_toml", "validation_engine"]

ENOUGH_TO_SEE: Final = 32
"""Sentences that show whether a model ends its translations."""
_UNFINISHED: Final = "max_length"


class ValidationBleu:
    """The evaluator of a run: greedy BLEU, exact matches and a sample; saves the best model as a folder."""

    def __init__(
        self,
        recipe: Recipe,
        data: PreparedData,
        folder: Path,
        general: GeneralText | None = None,
        *,
        threads: int = 1,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._recipe = recipe
        self._data = data
        self._folder = folder
        self._general = general
        self._threads = threads
        self._say = say
        targets = (pair.target for pair in data.valid_pairs)
        self._tokenizer_choice = bleu_tokenizer(recipe.data.tgt_lang, references=targets, if_missing="char")
        self._score: Score | None = None
        self.faults = FaultCount()

    def to_text(self) -> str:
        """Return the line for the screen about the tokenizer of BLEU."""
        choice = self._tokenizer_choice
        note = f"; note: {choice.note}" if choice.note else ""
        return f"BLEU of the validations: tokenizer {choice.name}, {choice.reason}{note}"

    def __call__(self, model: Transformer) -> Mapping[str, float | str]:
        """Translate and score; without BLEU sentences, return a sample only. ``exact_match`` is a share, 0 to 1.

        If most of the first translations do not end, only they are scored, and ``BLEU_SHARE`` says so; the sentences
        that are left out count as not exactly right.
        """
        translator, sources = self._translator(model), [pair.source for pair in self._pairs()]
        if self._general is not None or len(sources) < 2 * ENOUGH_TO_SEE:
            return self._scores(translator, translator.translate(sources))
        first = translator.translate(sources[:ENOUGH_TO_SEE])
        if 2 * sum(_UNFINISHED in result.flags for result in first) > len(first):
            return self._scores(translator, first)
        return self._scores(translator, [*first, *translator.translate(sources[ENOUGH_TO_SEE:])])

    def of_all(self, model: Transformer) -> Mapping[str, float | str]:
        """Translate all sentences and score, whatever the model writes; otherwise as a call does."""
        translator = self._translator(model)
        return self._scores(translator, translator.translate([pair.source for pair in self._pairs()]))

    def _pairs(self) -> tuple[SentencePair, ...]:
        return self._data.valid_pairs[: max(self._recipe.training.valid_bleu_sentences, 1)]

    def _scores(self, translator: Translator, results: Sequence[Translation]) -> Mapping[str, float | str]:
        recipe, total = self._recipe, len(self._pairs())
        wanted = recipe.training.valid_bleu_sentences
        pairs = self._pairs()[: len(results)]
        sources, references = ([getattr(pair, side) for pair in pairs] for side in ("source", "target"))
        texts = [result.text for result in results]
        shown = min(range(len(pairs)), key=lambda i: abs(len(pairs[i].source) - 60))
        found: dict[str, float | str] = {
            "source": pairs[shown].source,
            "output": texts[shown],
            "reference": pairs[shown].target,
        }
        if wanted:
            self.faults.count(results, sources=sources, references=references)
            language = recipe.data.tgt_lang
            self._score = corpus_score(texts, references, target_language=language, tokenizer=self._tokenizer_choice)
            found["bleu"] = self._score.value
            found["exact_match"] = sum(map(str.__eq__, texts, references)) / total
            if len(pairs) < total:
                found[BLEU_SHARE] = len(pairs) / total
            found |= bleu_by_corpus(recipe.data, pairs, texts)
        if self._general is not None:
            found[GENERAL_BLEU] = self._general.bleu(translator)
        return found

    def _translator(self, model: Transformer) -> Translator:
        """Return a translator that searches greedily and is otherwise that of the recipe."""
        recipe = self._recipe
        return Translator(
            model,
            self._data.tokenizer,
            config=recipe.translation.model_copy(update={"beam_size": 1, "n_best": 1}),
            source_language=recipe.data.src_lang,
            target_language=recipe.data.tgt_lang,
            single_sentences=has_single_sentences(self._data.share_of_several_sentences),
            engine=validation_engine(model, threads=self._threads, say=self._say),
        )

    def compare(self, before: Transformer, after: Transformer) -> FineTuningReport:
        """Compare two models on the validation sentences and on the general text."""
        texts = {"domain": (self._data.valid_pairs, self._tokenizer_choice)}
        if self._general is not None:
            texts["general"] = (self._general.pairs, self._general.tokenizer)
        return before_and_after(
            texts,
            before=self._translator(before.eval()),
            after=self._translator(after.eval()),
            target_language=self._recipe.data.tgt_lang,
        )

    def keep(self, model: Transformer, facts: Mapping[str, float | str]) -> None:
        """Write the model folder; an earlier model stays complete until the new one is."""
        recipe = self._recipe
        save_bundle(
            self._folder,
            model,
            tokenizer=self._data.tokenizer,
            card=_card(recipe, self._data, facts=facts, score=self._score, num_parameters=model.num_parameters()),
            source_language=recipe.data.src_lang,
            target_language=recipe.data.tgt_lang,
            translation=recipe.translation,
            facts=dict(facts),
            share_of_several_sentences=self._data.share_of_several_sentences,
        )


def validation_engine(
    model: Transformer, *, threads: int, say: Callable[[str], None] = lambda text: None
) -> NativeEngine | None:
    """Return the native engine with the weights that a model has now; None leaves the work to torch.

    ``say`` is told before the engine is compiled.
    """
    weights = model.source_embedding.weight
    if weights.device.type != "cpu" or weights.dtype is not torch.float32:
        return None
    try:
        return native_of(model, threads=threads, say=say)
    except EngineUnavailableError:  # a missing compiler is said where the run chooses its attention
        return None


def settings_in_toml(recipe: Recipe) -> str:
    """Return the settings without the promise, which is about another run."""
    return to_toml(recipe.model_copy(update={"promise": None}))


def _card(
    recipe: Recipe,
    data: PreparedData,
    *,
    facts: Mapping[str, float | str],
    score: Score | None,
    num_parameters: int,
) -> str:
    """Return the card as Markdown. Nothing reads it, so people may edit it."""
    languages = f"{recipe.data.src_lang} → {recipe.data.tgt_lang}"
    lines = [f"# A translator, {languages}", ""]
    if recipe.description:
        lines += [recipe.description, ""]
    lines += [
        f"Trained with pellucid {__version__}. A Transformer (Vaswani et al. 2017) with "
        f"{counted(num_parameters, 'parameter')}: {recipe.model.num_encoder_layers} encoder and "
        f"{counted(recipe.model.num_decoder_layers, 'decoder layer')}, d_model {recipe.model.d_model}, "
        f"feed-forward {recipe.model.d_feedforward}, {counted(recipe.model.num_heads, 'head')}.",
        "",
        "## Data",
        "",
        *(f"* {line}" for line in data.summary),
        "",
        "## Scores",
        "",
        *(f"* {name}: {value}" for name, value in facts.items()),
    ]
    if score is not None:
        lines.append(f"* validation, greedy search, {counted(len(data.valid_pairs), 'sentence')} at most: {score}")
    lines += ["", "## Recipe", "", "```toml", settings_in_toml(recipe).strip(), "```", ""]
    return "\n".join(lines)
