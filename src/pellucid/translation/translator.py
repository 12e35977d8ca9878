"""The translator: text in, text out. Splits, tokenises, batches, searches, detokenises.

One text is one segment: line breaks inside it are white space, each run of them a space. A result never
holds a line break, so output is parallel to the input line by line. White space around a text comes back around its
translation; invisible characters (``text/normalisation.py``) do not. A text that fails (a lone surrogate,
too long where long_input = "refuse", ...) fails alone, in its place. Flags: ``flags.py``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Self, overload

from pellucid.config import TranslationConfig
from pellucid.errors import RequestError, counted
from pellucid.translation.alignment.heads import heads_of_origin
from pellucid.translation.completion.alternatives import alternatives
from pellucid.translation.constraints import configured, constraints_for
from pellucid.translation.document.translating import translate_document
from pellucid.translation.engines.dropping import Drops, with_drops
from pellucid.translation.engines.engine import DivisibleEngine, Engine, Outcome, SearchRequest
from pellucid.translation.engines.given import ForcedEngine, score_pairs
from pellucid.translation.engines.reference import LaterModel, Reference
from pellucid.translation.hypothesis import Hypothesis, ScoredPair, Translation
from pellucid.translation.observer import BeamObserver
from pellucid.translation.placeholders.attention import attention_of, evenly
from pellucid.translation.prefixes import Prefix
from pellucid.translation.requests import Request, assemble, chunks_of, prefixes_for, prepare, texts_of
from pellucid.translation.terms.glossary import Glossary, Term
from pellucid.translation.units import Unit, units_of, with_terms

if TYPE_CHECKING:
    from pellucid.bundle import ModelFolder
    from pellucid.model.transformer import Transformer
    from pellucid.text.tokenizer import Tokenizer
    from pellucid.translation.engines.torch_engine import TorchEngine
    from pellucid.translation.stepper import Stepper

__all__ = ["Translator"]

Progress = Callable[[int], None]
"""Told the number of texts that are done so far."""


def _nobody(done: int) -> None:
    pass


class Translator:
    """A model (or an ensemble, or any stepper) with its tokenizer and the settings of its search.

    Calls may come from several threads where ``model`` is a Transformer or several. A model must be in
    evaluation mode.

    Args:
        model: a Transformer, or one that is read later; several of one tokenizer, as an ensemble; or a function that
            makes a stepper.
        tokenizer: of the model.
        config: settings of all calls; those of a call go on top.
        source_language: code, for the splitting of texts into sentences.
        target_language: code, for joining their translations.
        single_sentences: whether the model was trained on single sentences, which ``split_sentences = "auto"`` asks.
        origin: the model folder that the model was read from; translation does not need it.
        engine: is preferred for searches that it can do; the others are done by torch.
        say: called with a sentence when a search needs another engine than the preferred one, once for each reason.

    Raises:
        IncompatibleModelError: tokenizer and model, or the models, do not fit each other.
    """

    def __init__(
        self,
        model: Transformer | LaterModel | Sequence[Transformer] | Callable[[], Stepper],
        tokenizer: Tokenizer,
        *,
        config: TranslationConfig | None = None,
        source_language: str = "src",
        target_language: str = "tgt",
        single_sentences: bool = True,
        origin: ModelFolder | None = None,
        engine: Engine | None = None,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.tokenizer = tokenizer
        self.origin = origin
        self.config = config or TranslationConfig()
        self.source_language = source_language
        self.target_language = target_language
        self.single_sentences = single_sentences
        given = model

        def open_engine() -> TorchEngine:
            from pellucid.translation.engines.torch_engine import engine_over

            return engine_over(given.read() if isinstance(given, LaterModel) else given, tokenizer)

        self._reference = Reference(open_engine)
        self.max_length = (
            given.max_length if isinstance(given, LaterModel) else self._reference().make_stepper().max_length
        )
        self._preferred = engine
        self.glossary = Glossary(())
        self._say = say
        self._said: set[str] = set()
        self._used: dict[str, None] = {}

    @property
    def models(self) -> tuple[Transformer, ...]:
        """The Transformers of an ensemble, or the only one; none where this translator was made of a stepper."""
        return self._reference().models

    @property
    def model(self) -> Transformer:
        """The Transformer, or the first of an ensemble; read now where nothing needed it before.

        Raises:
            RequestError: this translator was made of a stepper.
        """
        if not self.models:
            raise RequestError("this translator was made of a stepper and has no Transformer to show")
        return self.models[0]

    @property
    def engines_used(self) -> tuple[str, ...]:
        """Names of the engines that searched so far, here and for translators that ``with_settings`` made of this."""
        return tuple(self._used)

    def with_settings(self, **settings: object) -> Translator:
        """Return a translator of the same model, with settings of ``TranslationConfig`` over this one's.

        Raises:
            ConfigError: a setting is unknown or wrong.
        """
        other = copy(self)
        other.config = configured(self.config, settings)
        return other

    def with_terms(self, terms: Iterable[Term]) -> Self:
        """Return a translator of the same model that keeps to terms; a RequestError says what is wrong with them."""
        other = copy(self)
        other.glossary = terms if isinstance(terms, Glossary) else Glossary(terms)
        return other

    def on_torch(self) -> Translator:
        """Return a translator of the same model that computes everything with the model itself, as a trace shows it."""
        other = copy(self)
        other._preferred = None
        return other

    def divided(self, *, has_prefixes: bool) -> tuple[Translator, int, str]:
        """Return a translator for calls from several threads, how many calls use all threads, and its engine's name.

        It is this translator and one call where the engine uses several threads for each product, as torch does.
        """
        # A piece at the beginning stands for whatever the prefixes may hold.
        units = [Unit(0, 0, (self.tokenizer.specials.eos,), Prefix(ids=(0,)))] if has_prefixes else []
        constraints = constraints_for(self.config, self.tokenizer)
        engine = self._engine_for(SearchRequest(units, self.config, constraints, key_of=self.key_of))
        if self.glossary.terms or not isinstance(engine, DivisibleEngine):
            return self, 1, engine.name
        other = copy(self)
        other._preferred, calls = engine.divided()
        return other, calls, engine.name

    # A str is a sequence of str to mypy too, but the first form that fits is the one that is meant.
    @overload
    def translate(  # type: ignore[overload-overlap]
        self,
        texts: str,
        *,
        target_prefix: str | Sequence[str] | None = ...,
        terms: Iterable[Term] = ...,
        progress: Progress = ...,
        observer: BeamObserver | None = ...,
        **settings: object,
    ) -> Translation: ...

    @overload
    def translate(
        self,
        texts: Sequence[str | None],
        *,
        target_prefix: str | Sequence[str] | None = ...,
        terms: Iterable[Term] = ...,
        progress: Progress = ...,
        observer: BeamObserver | None = ...,
        **settings: object,
    ) -> list[Translation]: ...

    def translate(
        self,
        texts: str | Sequence[str | None],
        *,
        target_prefix: str | Sequence[str] | None = None,
        terms: Iterable[Term] = (),
        progress: Progress = _nobody,
        observer: BeamObserver | None = None,
        **settings: object,
    ) -> Translation | list[Translation]:
        """Translate one text, or several in their order.

        Args:
            texts: a str gives a ``Translation``, a list of them a list. None in a list is a line that could
                not be read; it comes back as a failed translation in its place.
            target_prefix: what the translations begin with: a str for all, or one for each text; "" is none. White
                space at its end says that its last word is complete; without it, the word may go on.
            terms: for this call; see ``with_terms``.
            progress: told how many texts are done, now and then.
            observer: sees the expansions of a beam search; a sentence's number counts the searched parts of
                all texts, in order, from 0.
            **settings: of ``TranslationConfig``, for this call: ``beam_size=4``.

        Raises:
            ConfigError: a setting is unknown or wrong.
            RequestError: ``texts`` is neither a text nor a list of them, or there are not as many prefixes.
        """
        config = configured(self.config, settings)
        wanted = "a str or a list of str"
        given = [texts] if isinstance(texts, str) else texts_of("texts", texts, wanted=wanted, may_be_none=True)
        prefixes = [target_prefix if isinstance(target_prefix, str) else config.target_prefix] * len(given)
        if target_prefix is not None and not isinstance(target_prefix, str):
            prefixes = texts_of("target_prefix", target_prefix, wanted=wanted)
        if len(prefixes) != len(given):
            raise RequestError(
                f"{counted(len(given), 'text')}, target prefixes: {len(prefixes)}; give one each, or one str for all"
            )
        found = (self.with_terms(terms) if terms else self)._translate(given, prefixes, config, progress, observer)
        return found[0] if isinstance(texts, str) else found

    def translate_stream(
        self,
        texts: Iterable[str | None],
        *,
        chunk: int = 1024,
        target_prefix: str | Iterable[str] | None = None,
        progress: Progress = _nobody,
        **settings: object,
    ) -> Iterator[Translation]:
        """Translate a stream in order, ``chunk`` texts at a time; no more of them are in memory together.

        ``target_prefix`` is what the translations begin with: a str for all, or a stream of one for each text.
        ``progress`` is told how many texts of the present chunk are done, now and then.

        Raises:
            ConfigError: a setting is unknown or wrong; at the call, not at the first result.
            RequestError: ``texts`` is no stream of texts, or ``chunk`` is not positive; or, when it is reached, the
                stream of prefixes ends before that of texts.
        """
        config = configured(self.config, settings)
        chunks = chunks_of(texts, chunk)
        shared = config.target_prefix if target_prefix is None else target_prefix
        prefixes = repeat(shared) if isinstance(shared, str) else iter(shared)
        return (
            done
            for some in chunks
            for done in self._translate(some, prefixes_for(some, prefixes), config, progress, None)
        )

    translate_document = translate_document
    alternatives = alternatives
    with_drops = with_drops
    drops: Drops | None = None

    def score(
        self, sources: Sequence[str], targets: Sequence[str], *, progress: Progress = _nobody
    ) -> list[ScoredPair]:
        """Score given translations, in order; the end of sentence is scored too.

        The native engine does it where it translates, with its weights in int8 or fp32; else torch does.

        Raises:
            RequestError: a side is no list; the numbers of texts differ; or a text cannot be tokenised, is too long for
                the model or for the memory, or has log-probabilities that are no numbers.
        """
        return score_pairs(
            self._forced_engine(),
            texts_of("sources", sources),
            texts_of("targets", targets),
            tokenizer=self.tokenizer,
            longest=self.max_length,
            batch_size=self.config.batch_size,
            progress=progress,
        )

    def _translate(
        self,
        texts: Sequence[str | None],
        prefixes: Sequence[str],
        config: TranslationConfig,
        progress: Progress,
        observer: BeamObserver | None,
    ) -> list[Translation]:
        heads = heads_of_origin(self.origin) if config.alignment else None
        requests = prepare(
            texts,
            tokenizer=self.tokenizer,
            limit=min(config.max_input_length, self.max_length - 1),
            long_input=config.long_input,
            language=self.source_language,
            splits_sentences=config.split_sentences.acts_on(single_sentences=self.single_sentences),
            keeps_placeholders=config.placeholders == "keep",
        )
        requests = with_terms(requests, self.glossary, self.tokenizer, config)
        found, errors = self._search(requests, prefixes, config, progress, observer)
        translations = [
            assemble(
                replace(request, error=errors[index]) if index in errors else request,
                [found[index, part] for part in range(len(request.parts))] if index not in errors else [],
                tokenizer=self.tokenizer,
                config=config,
                longest=self.max_length,
                language=self.target_language,
                attend=attention_of(self.model) if request.markers and self.models else evenly,
            )
            for index, request in enumerate(requests)
        ]
        if heads is None:
            return translations
        from pellucid.translation.alignment.results import with_alignments

        engine = self._forced_engine()
        self._say_once(f"alignments: {engine.name} computes them, in one more pass over each translation")
        return with_alignments(
            translations,
            requests,
            found,
            attend=partial(engine.attention, heads=heads, batch_size=config.batch_size),
            tokenizer=self.tokenizer,
            language=self.target_language,
        )

    def _search(
        self,
        requests: Sequence[Request],
        prefixes: Sequence[str],
        config: TranslationConfig,
        progress: Progress,
        observer: BeamObserver | None,
    ) -> tuple[dict[tuple[int, int], list[Hypothesis]], dict[int, str]]:
        """Search all parts; return hypotheses by text and part, and the errors of the texts that failed."""
        constraints = constraints_for(config, self.tokenizer)
        units, errors = units_of(
            requests,
            prefixes,
            tokenizer=self.tokenizer,
            config=config,
            longest=self.max_length,
            forbidden_ids=constraints.forbidden_ids,
        )
        left, found = Counter(unit.request for unit in units), dict[tuple[int, int], list[Hypothesis]]()
        progress(done := len(requests) - len(left))
        request = SearchRequest(units, config, constraints, key_of=self.key_of, observer=observer, drops=self.drops)
        for place, result in self.search(request):
            unit = units[place]
            if isinstance(result, str):
                errors[unit.request] = result
            else:
                found[unit.request, unit.part] = result
            left[unit.request] -= 1
            if not left[unit.request]:
                done += 1
                progress(done)
        return found, errors

    def search(self, request: SearchRequest) -> Iterator[Outcome]:
        """Search with the preferred engine, or with torch where that lacks something."""
        engine = self._engine_for(request)
        self._used[engine.name] = None
        return engine.search(request)

    def _engine_for(self, request: SearchRequest) -> Engine:
        """Return the preferred engine, or the one that lacks nothing; say so, once for each reason."""
        if self._preferred is None:
            return self._reference()
        if (lacking := self._preferred.lacks(request)) is None:
            return self._preferred
        self._say_once(f"engine: torch, because {self._preferred.name} does not support {lacking}")
        return self._reference()

    def _forced_engine(self) -> ForcedEngine:
        """Return what runs over given translations: the preferred engine if it can, else torch."""
        if isinstance(self._preferred, ForcedEngine):
            return self._preferred
        if self._preferred is not None:
            self._say_once(f"engine: torch, because {self._preferred.name} does not support given translations")
        return self._reference()

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._say(text)

    def key_of(self, ids: Sequence[int]) -> str:
        """Return what a reader can tell apart: the text, runs of white space in it as one space."""
        return " ".join(self.tokenizer.decode_target([ids])[0].split())
