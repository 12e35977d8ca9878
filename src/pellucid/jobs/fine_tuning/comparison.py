"""What fine-tuning changed: the scores before and after, in the domain and on general text, with intervals.

``fine_tuning.json`` in the run folder holds what the screen shows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from pellucid.errors import counted
from pellucid.evaluation.bleu_words import TokenizerChoice
from pellucid.evaluation.metrics import MetricName, SentenceStatistics, sentence_statistics
from pellucid.evaluation.significance import Comparison, Interval, bootstrap_interval, compare
from pellucid.text.corpus import SentencePair
from pellucid.translation.translator import Translator

__all__ = ["BeforeAndAfter", "FineTuningReport", "before_and_after"]


@dataclass(frozen=True)
class BeforeAndAfter:
    """BLEU of two models on one text."""

    text: str
    """What the text is: domain or general."""
    sentences: int
    before: Interval
    after: Interval
    change: Comparison

    def __str__(self) -> str:
        change = self.change
        return (
            f"{self.text:<8} BLEU {change.baseline:.1f} [{self.before.low:.1f}, {self.before.high:.1f}] before, "
            f"{change.system:.1f} [{self.after.low:.1f}, {self.after.high:.1f}] after: {change.difference:+.1f} "
            f"[{change.interval.low:+.1f}, {change.interval.high:+.1f}], {change.verdict()} "
            f"({counted(self.sentences, 'sentence')})"
        )


@dataclass(frozen=True)
class FineTuningReport:
    """The comparison on each text."""

    rows: tuple[BeforeAndAfter, ...]
    signature: str

    def to_text(self) -> str:
        """Return the lines for the screen."""
        return "\n".join(
            [
                "fine-tuning, greedy search:",
                *(f"  {row}" for row in self.rows),
                f"  [ ] 95 % intervals; {self.signature}",
            ]
        )

    def to_json(self) -> bytes:
        """Return the content of ``fine_tuning.json``."""
        return (json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n").encode()


def before_and_after(
    texts: Mapping[str, tuple[Sequence[SentencePair], TokenizerChoice]],
    *,
    before: Translator,
    after: Translator,
    target_language: str,
) -> FineTuningReport:
    """Translate each text with both models and compare the scores."""
    rows = []
    for name, (pairs, choice) in texts.items():
        old, new = (_statistics(model, pairs, choice, target_language) for model in (before, after))
        change = compare(new, old)
        rows.append(BeforeAndAfter(name, len(pairs), bootstrap_interval(old), bootstrap_interval(new), change))
    return FineTuningReport(tuple(rows), rows[0].change.signature)


def _statistics(
    translator: Translator, pairs: Sequence[SentencePair], choice: TokenizerChoice, language: str
) -> SentenceStatistics:
    results = translator.translate([pair.source for pair in pairs])
    return sentence_statistics(
        [result.text for result in results],
        [pair.target for pair in pairs],
        metric=MetricName.BLEU,
        target_language=language,
        tokenizer=choice,
    )
