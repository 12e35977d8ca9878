"""Score a set of translations, and write the report as text, JSON or Markdown, with the worst sentences.

The functions take lists of strings, wherever the translations come from. ``metrics.py`` counts, ``significance.py``
tests, ``systems.py`` describes the models, and ``caveats.py`` has the notes about the text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain

from pellucid.errors import counted
from pellucid.evaluation.bleu_words import TokenizerChoice, bleu_tokenizer
from pellucid.evaluation.caveats import notes_on_texts
from pellucid.evaluation.metrics import (
    MetricName,
    References,
    Score,
    SentenceStatistics,
    check_parallel,
    named_references,
    reference_sets,
    sentence_statistics,
)
from pellucid.evaluation.significance import DEFAULT_SEED, Comparison, Interval, bootstrap_interval, compare
from pellucid.evaluation.systems import EvaluatedFile, EvaluatedSystem

__all__ = ["EvaluationReport", "ScoredSentence", "evaluate_translations"]

FORMAT_VERSION = 1
"""Version of the JSON; it rises when a name changes its meaning or is removed."""


@dataclass(frozen=True)
class ScoredSentence:
    """One sentence with its chrF; ``line`` counts from 0."""

    line: int
    chrf: float
    hypothesis: str
    reference: str
    source: str | None = None
    more_references: tuple[str, ...] = ()
    """The other references of the sentence."""


@dataclass(frozen=True)
class EvaluationReport:
    """All measurements of one set of translations."""

    sentences: int
    target_language: str
    tokenizer: TokenizerChoice
    scores: Mapping[MetricName, Score]
    intervals: Mapping[MetricName, Interval]
    """The interval of each score; empty without resampling."""
    exact_matches: int
    worst: tuple[ScoredSentence, ...]
    comparisons: tuple[Comparison, ...] = ()
    num_references: int = 1
    """References for each sentence."""
    notes: tuple[str, ...] = ()
    """Reasons why the figures can be misleading."""
    system: EvaluatedSystem | None = None
    """The model; the caller sets it, because the translations do not show it."""
    against: EvaluatedSystem | None = None
    """The model of the baseline."""
    files: tuple[EvaluatedFile, ...] = ()
    """The test set."""

    @property
    def exact_match(self) -> float:
        """Return the share of sentences that equal a reference, ignoring white space at the ends; 0 to 1."""
        return self.exact_matches / self.sentences

    def to_text(self) -> str:
        """Return the figures as plain lines for a terminal, without the worst sentences."""
        lines = [
            f"{counted(self.sentences, 'sentence')} into {self.target_language}{self._references_in_words()}; "
            f"BLEU tokenizer {self.tokenizer.name}: {self.tokenizer.reason}",
            *(f"{label:<16} {text}" for label, text in self._origin_rows(short=True)),
        ]
        for metric, score in self.scores.items():
            interval = _bracket(self.intervals.get(metric))
            lines.append(f"{metric.label:<16} {score.value:6.2f}  {interval:<18} {score.signature}")
            if score.detail:
                lines.append(f"{'':<16} {score.detail}")
        lines.append(f"{'exact match':<16} {100 * self.exact_match:6.2f}  {self.exact_matches} of {self.sentences}")
        lines += self._comparison_lines()
        for given in list(self.intervals.values())[:1]:
            lines.append(f"[ ] 95 % bootstrap interval, {counted(given.resamples, 'resample')}, seed {given.seed}")
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(lines) + "\n"

    def to_json(self) -> str:
        """Return the whole report as a JSON object."""
        return json.dumps(
            {
                "format_version": FORMAT_VERSION,
                "sentences": self.sentences,
                "references": self.num_references,
                "target_language": self.target_language,
                "system": asdict(self.system) if self.system else None,
                "baseline": asdict(self.against) if self.against else None,
                "files": [asdict(file) for file in self.files],
                "bleu_tokenizer": asdict(self.tokenizer),
                "scores": {
                    metric.value: {
                        "value": score.value,
                        "signature": score.signature,
                        "detail": score.detail,
                        "interval": asdict(self.intervals[metric]) if metric in self.intervals else None,
                    }
                    for metric, score in self.scores.items()
                },
                "exact_match": {"share": self.exact_match, "sentences": self.exact_matches},
                "comparisons": {
                    comparison.metric.value: asdict(comparison)
                    | {"difference": comparison.difference, "verdict": comparison.verdict()}
                    for comparison in self.comparisons
                },
                "notes": list(self.notes),
                "worst": [asdict(sentence) for sentence in self.worst],
            },
            ensure_ascii=False,
            indent=2,
        )

    def to_markdown(self, *, title: str = "Evaluation") -> str:
        """Return a page with the figures, the comparison, and the worst sentences with their references."""
        lines = [
            f"# {title}",
            "",
            f"{counted(self.sentences, 'sentence')} into `{self.target_language}`{self._references_in_words()}. "
            f"BLEU tokenizer `{self.tokenizer.name}`: {self.tokenizer.reason}.",
            "",
            "| metric | score | 95 % interval | signature |",
            "|---|---:|---|---|",
        ]
        for metric, score in self.scores.items():
            interval = _bracket(self.intervals.get(metric))
            lines.append(f"| {metric.label} | {score.value:.2f} | {interval} | {_cell(score.signature)} |")
        lines.append(f"| exact match | {100 * self.exact_match:.2f} | | {self.exact_matches} of {self.sentences} |")
        lines += ["", f"BLEU: {self.scores[MetricName.BLEU].detail}."]
        if origin := self._origin_rows(short=False):
            lines += ["", "## What was measured", "", "| | |", "|---|---|"]
            lines += [f"| {label} | {_cell(text)} |" for label, text in origin]
        if self.comparisons:
            lines += ["", "## Against the baseline", "", *(f"- {line}" for line in self._comparison_lines())]
        if self.notes:
            lines += ["", "## Notes", "", *(f"- {note}" for note in self.notes)]
        if self.worst:
            lines += ["", f"## The {counted(len(self.worst), 'worst sentence')}, by chrF", ""]
            lines += ["| line | chrF | | text |", "|---:|---:|---|---|"]
            for sentence in self.worst:
                lines += _worst_rows(sentence)
        return "\n".join(lines) + "\n"

    def _references_in_words(self) -> str:
        return f", {counted(self.num_references, 'reference')} each" if self.num_references > 1 else ""

    def _origin_rows(self, *, short: bool) -> list[tuple[str, str]]:
        """Return labels and texts about the models and the test set."""
        rows = []
        for label, system in (("model", self.system), ("baseline", self.against)):
            if system is not None:
                rows.append((label, system.model_line(short=short)))
                rows += [("its search", system.search_line())] if system.decisive else []
                rows += [("its engine", system.engine)] if system.engine else []
        if version := next((one.version for one in (self.system, self.against) if one and one.version), ""):
            rows.append(("pellucid", version))
        rows += [
            (file.side, f"{file.name}, SHA-256 {file.sha256[:8] if short else file.sha256}") for file in self.files
        ]
        return rows

    def _comparison_lines(self) -> list[str]:
        lines = [
            f"{c.metric.label}: {c.system:.2f} against {c.baseline:.2f}, difference {c.difference:+.2f} "
            f"[{c.interval.low:+.2f}, {c.interval.high:+.2f}], p = {c.p_value:.4f}: {c.verdict()}"
            for c in self.comparisons
        ]
        lines += [
            f"p by paired approximate randomization, {counted(c.trials, 'trial')}, seed {c.seed}; "
            f"interval by paired bootstrap, {counted(c.interval.resamples, 'resample')}"
            for c in self.comparisons[:1]
        ]
        return lines


def evaluate_translations(
    hypotheses: Sequence[str],
    references: References,
    *,
    target_language: str,
    sources: Sequence[str] | None = None,
    baseline: Sequence[str] | None = None,
    tokenizer: TokenizerChoice | str = "auto",
    resamples: int = 1000,
    trials: int = 10_000,
    seed: int = DEFAULT_SEED,
    worst: int = 10,
) -> EvaluationReport:
    """Score translations against their references, cased and lowercased.

    ``references`` is a list with one reference for each sentence, or several such lists. ``baseline`` is another
    system's output for the same sentences, which adds a paired test of every metric. ``resamples = 0`` omits the
    intervals. An empty hypothesis is a bad translation, not an error.

    Raises:
        DataError: a side is empty, or the numbers of lines differ.
        ConfigError: the tokenizer is unknown, or not installed.
    """
    sides = {"hypotheses": hypotheses, **named_references(references)}
    sides |= {"sources": sources} if sources is not None else {}
    sides |= {"baseline": baseline} if baseline is not None else {}
    check_parallel(sides)
    sets = reference_sets(references)
    choice = tokenizer
    if isinstance(choice, str):
        choice = bleu_tokenizer(target_language, choice, references=chain(*sets))
    own = _counted(hypotheses, sets, target_language, choice)
    comparisons: tuple[Comparison, ...] = ()
    if baseline is not None:
        other = _counted(baseline, sets, target_language, choice)
        comparisons = tuple(
            compare(own[metric], other[metric], trials=trials, resamples=max(resamples, 1), seed=seed)
            for metric in MetricName
        )
    texts = {"translations": hypotheses, **named_references(references)}
    texts |= {"translations of the baseline": baseline} if baseline is not None else {}
    return EvaluationReport(
        sentences=len(hypotheses),
        target_language=target_language,
        tokenizer=choice,
        scores={metric: statistics.corpus_score() for metric, statistics in own.items()},
        intervals={
            metric: bootstrap_interval(statistics, resamples=resamples, seed=seed)
            for metric, statistics in (own.items() if resamples else ())
        },
        exact_matches=sum(h.strip() in {r.strip() for r in rs} for h, *rs in zip(hypotheses, *sets, strict=True)),
        worst=_worst(own[MetricName.CHRF], hypotheses, sets, sources, worst),
        comparisons=comparisons,
        num_references=len(sets),
        notes=(*filter(None, [choice.note]), *notes_on_texts(texts, language=target_language)),
    )


def _counted(
    texts: Sequence[str], references: References, target_language: str, choice: TokenizerChoice
) -> dict[MetricName, SentenceStatistics]:
    return {
        metric: sentence_statistics(texts, references, metric=metric, target_language=target_language, tokenizer=choice)
        for metric in MetricName
    }


def _worst(
    statistics: SentenceStatistics,
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    sources: Sequence[str] | None,
    count: int,
) -> tuple[ScoredSentence, ...]:
    scores = statistics.sentence_scores()
    lines = sorted(range(len(hypotheses)), key=lambda line: (scores[line], line))[:count]
    return tuple(
        ScoredSentence(
            line,
            float(scores[line]),
            hypotheses[line],
            references[0][line],
            sources[line] if sources else None,
            tuple(texts[line] for texts in references[1:]),
        )
        for line in lines
    )


def _bracket(interval: Interval | None) -> str:
    return f"[{interval.low:.2f}, {interval.high:.2f}]" if interval else ""


def _cell(text: str) -> str:
    """Escape a text for a cell of a Markdown table."""
    for character, shown in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "&#124;"), ("\r", " "), ("\n", " ")):
        text = text.replace(character, shown)
    return text


def _worst_rows(sentence: ScoredSentence) -> list[str]:
    rows = [f"| {sentence.line + 1} | {sentence.chrf:.1f} | translation | {_cell(sentence.hypothesis)} |"]
    rows += [f"| | | reference | {_cell(text)} |" for text in (sentence.reference, *sentence.more_references)]
    if sentence.source is not None:
        rows.append(f"| | | source | {_cell(sentence.source)} |")
    return rows
