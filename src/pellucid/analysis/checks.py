"""Check a trace: test every identity that must hold between its numbers, and report the errors.

A failed identity raises nothing, because a picture of wrong numbers should say that they are wrong. The
equations of ``equations.py`` are tested at every stored site; those with weights require the model. Other identities
come from softmax, causality, normalisation, the search and the labels. An edit breaks the equation of the site
that it replaces, so that equation is skipped, and the report says so. Read ``heads.py`` next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np
import torch

from pellucid.analysis.equations import Rule, rules_of
from pellucid.errors import counted
from pellucid.model.transformer import Transformer
from pellucid.tracing.editing.plan import value_edits
from pellucid.tracing.predictions import Array, entropy, log_sum_exp
from pellucid.tracing.record import Trace
from pellucid.tracing.sites import AttentionKind, expected_shape
from pellucid.translation.hypothesis import length_divisor

__all__ = ["CheckReport", "Identity", "Skipped", "check"]

_TOLERANCES: Final = {"float64": 1e-10, "float32": 1e-5}
_COARSE: Final = 2e-2  # bfloat16, float16
_COARSE_SUM: Final = 2**-8  # rounding changes each weight by at most 2^-8 of itself, and a row sums to 1
_SMALLEST_GAIN: Final = 1e-3
_RESULTS_BETWEEN_STEPS: Final = 16


@dataclass(frozen=True)
class Identity:
    """One identity and its error. ``error`` and ``tolerance`` are absolute."""

    name: str
    """``labels``, ``rows sum to 1``, ``future unseen``, ``equation``, ``moments``, ``sums to 1``, ``predictions``
    or ``hypothesis``."""
    site: str
    equation: str
    error: float
    """The largest error; NaN if a number is NaN."""
    tolerance: float
    place: tuple[int, ...] = ()
    """Index of the largest error in the site."""

    @property
    def passed(self) -> bool:
        """Whether the error is within the tolerance."""
        return self.error <= self.tolerance


@dataclass(frozen=True)
class Skipped:
    """An identity that could not be tested, and why."""

    name: str
    site: str
    reason: str


@dataclass(frozen=True)
class CheckReport:
    """The result of a check."""

    identities: tuple[Identity, ...]
    skipped: tuple[Skipped, ...]

    @property
    def failures(self) -> tuple[Identity, ...]:
        """The identities that fail."""
        return tuple(identity for identity in self.identities if not identity.passed)

    @property
    def passed(self) -> bool:
        """Whether all tested identities hold."""
        return not self.failures

    def __str__(self) -> str:
        lines = [
            f"{counted(len(self.identities), 'identity')} tested, "
            f"{len(self.failures)} fail, {len(self.skipped)} skipped"
        ]
        lines += [
            f"{i.site}: {i.name}: {i.equation}: error {i.error:.3g} at {list(i.place)}, tolerance {i.tolerance:.3g}"
            for i in self.failures
        ]
        return "\n".join(lines)


def check(trace: Trace, *, between_steps: Callable[[], None] = lambda: None) -> CheckReport:
    """Test every identity of a trace; ``between_steps`` is called repeatedly, and its exceptions end the test."""
    checker = _Checker(trace)
    results: list[_Result] = []
    parts = (checker.labels, checker.attentions, checker.equations, checker.predictions, checker.hypothesis)
    for result in chain.from_iterable(part() for part in parts):
        results.append(result)
        if len(results) % _RESULTS_BETWEEN_STEPS == 0:
            between_steps()
    return CheckReport(
        tuple(result for result in results if isinstance(result, Identity)),
        tuple(result for result in results if isinstance(result, Skipped)),
    )


_Result = Identity | Skipped


class _Checker:
    """The numbers of a trace and their tolerance."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.config = trace.provenance.configuration
        self.tolerance = _TOLERANCES.get(trace.provenance.dtype or "float32", _COARSE)
        self.sites = frozenset(trace.sites)
        # labels() reports arrays of a wrong shape; the other tests leave them out.
        self.arrays = {site: array for site, array in trace.arrays.items() if self._misfit(site, array) == 0}
        edits = value_edits(trace.provenance.edits)
        self.edited = {site for edit in edits for site in edit.sites(self.config)} if self.config else set()

    def labels(self) -> Iterator[_Result]:
        """Compare the shape of every array with its labels."""
        for site, array in self.trace.arrays.items():
            equation = "as many rows and columns as labels"
            yield Identity("labels", site, equation, self._misfit(site, array), 0.0)

    def _misfit(self, site: str, array: Array) -> float:
        tokens, kind = self.trace.tokens, AttentionKind.of(site)
        wanted: tuple[int, ...]
        if self.config is not None:
            if site not in self.sites:
                return math.inf
            wanted = expected_shape(site, self.config, source=tokens.source_length, target=tokens.target_length)
        elif kind is not None:
            labels = tokens.labels(kind)
            wanted = (len(array), len(labels.rows), len(labels.columns))
        else:
            return 0.0
        if array.ndim != len(wanted):
            return math.inf
        return float(max(abs(a - b) for a, b in zip(array.shape, wanted, strict=True)))

    def attentions(self) -> Iterator[_Result]:
        """Test that weights are a softmax, and causal where they must be."""
        allowed = _COARSE_SUM if self.tolerance == _COARSE else self.tolerance / 10
        for site, array in self.arrays.items():
            if not site.endswith("_attention.weights"):
                continue
            sums = array.astype(np.float64).sum(-1)
            # A negative weight is an error of its own size.
            errors = np.maximum(np.abs(sums - 1), -np.minimum(array.min(-1), 0))
            yield _identity("rows sum to 1", site, "sum over columns of weights = 1, none below 0", errors, allowed)
            if AttentionKind.of(site) is AttentionKind.DECODER:
                yield _identity("future unseen", site, "weights above the diagonal = 0", np.triu(np.abs(array), 1), 0.0)

    def equations(self) -> Iterator[_Result]:
        """Compute every stored site again from the sites before it."""
        if self.config is None:
            return
        for rule in rules_of(self.config, self.trace.tokens):
            if rule.site not in self.arrays:
                continue
            reason = self._obstacle(rule)
            if reason is not None:
                yield Skipped("equation", rule.site, reason)
                continue
            inputs = [_wide(self.arrays[site]) for site in rule.inputs]
            weights = _weights(rule, self.trace.model)
            expected = rule.compute(*inputs, *weights)
            found = _wide(self.arrays[rule.site])
            yield self._near("equation", rule.site, rule.equation, found, expected, beside=inputs)
            if rule.site.endswith("_norm"):
                yield self._moments(rule, found, inputs[0], gain=weights[0], bias=weights[1])
            if rule.site == "log_probabilities":
                yield self._near(
                    "sums to 1", rule.site, "log sum exp = 0", log_sum_exp(found), np.zeros(len(found)), beside=[found]
                )

    def _obstacle(self, rule: Rule) -> str | None:
        if rule.site in self.edited:
            return "an edit replaced the values"
        if rule.weights is not None and self.trace.model is None:
            return "the equation requires the weights; attach the model with trace.attach(translator)"
        missing = [site for site in rule.inputs if site not in self.arrays]
        return f"{', '.join(missing)} is not stored, or has a wrong shape" if missing else None

    def _moments(self, rule: Rule, found: Array, entry: Array, *, gain: Array, bias: Array) -> _Result:
        """Undo gain and bias of a normalisation: the result has mean 0 and variance v / (v + epsilon), nearly 1."""
        least = float(np.abs(gain).min())
        if self.config is None or least < _SMALLEST_GAIN:
            return Skipped("moments", rule.site, f"a gain of {least:.3g} is too small to undo")
        normal = (found - bias) / gain
        variance = entry.var(-1)
        expected = variance / (variance + self.config.layer_norm_epsilon)
        errors = np.maximum(np.abs(normal.mean(-1)), np.abs(normal.var(-1) - expected))
        scale = max(1.0, _largest(found), _largest(bias), _largest(entry)) / min(1.0, least)
        return _identity("moments", rule.site, "before the gain, mean 0 and variance 1", errors, self.tolerance * scale)

    def predictions(self) -> Iterator[_Result]:
        """Compare the predictions with the distributions, and with each other."""
        made = self.trace.predictions
        if made is None:
            return
        rows = np.arange(len(made.target_rank))
        ids = list(self.trace.tokens.predicted_ids)
        in_top = made.target_rank < made.top_ids.shape[-1]
        listed = made.top_log_probabilities[rows[in_top], made.target_rank[in_top]]
        chosen = made.target_log_probability
        yield self._near(
            "predictions", "target_rank", "the candidate of this rank is as probable", chosen[in_top], listed
        )
        if "logits" in self.arrays:
            found = _wide(self.arrays["logits"])
            yield self._near(
                "predictions", "log_sum_exp", "of logits", made.log_sum_exp, log_sum_exp(found), beside=[found]
            )
        if "log_probabilities" not in self.arrays:
            return
        every = _wide(self.arrays["log_probabilities"])
        count = min(made.top_ids.shape[-1], every.shape[-1])
        best = -np.sort(np.partition(-every, count - 1, axis=-1)[:, :count], axis=-1)
        yield self._near("predictions", "top_log_probabilities", "the best of all", made.top_log_probabilities, best)
        listed = np.take_along_axis(every, made.top_ids.astype(np.int64), axis=-1)
        yield self._near("predictions", "top_ids", "log_probabilities of these ids", made.top_log_probabilities, listed)
        yield self._near(
            "predictions", "target_log_probability", "log_probabilities of the target", chosen, every[rows, ids]
        )
        yield self._near("predictions", "entropy", "- sum p log p", made.entropy, entropy(every))

    def hypothesis(self) -> Iterator[_Result]:
        """Compare the recorded pass with the scores from the search or from ``Translator.score``."""
        hypothesis, made = self.trace.hypothesis, self.trace.predictions
        if hypothesis is None or made is None:
            return
        terms = np.array(hypothesis.token_log_probabilities)
        found = _wide(made.target_log_probability)
        yield self._near("hypothesis", "token_log_probabilities", "equal to those of the pass", terms, found)
        total, count = math.fsum(found.tolist()), len(found)
        allowed = self.tolerance * (count + abs(total))
        error = abs(hypothesis.log_probability - total)
        yield Identity("hypothesis", "log_probability", "sum of token log-probabilities", error, allowed)
        search = self.trace.provenance.search
        if search is None:
            yield Skipped("hypothesis", "score", "the target was given, so there was no search")
            return
        divisor = length_divisor(count, form=search.length_penalty, alpha=search.alpha)
        error = abs(hypothesis.score - total / divisor)
        equation = f"log_probability / length penalty ({search.length_penalty}, alpha {search.alpha:g})"
        yield Identity("hypothesis", "score", equation, error, allowed / divisor)

    def _near(
        self, name: str, site: str, equation: str, found: Array, expected: Array, *, beside: Sequence[Array] = ()
    ) -> Identity:
        """Compare, with a tolerance relative to the largest number."""
        scale = max((_largest(array) for array in (found, expected, *beside)), default=0.0)
        errors = np.abs(found.astype(np.float64) - expected.astype(np.float64))
        return _identity(name, site, equation, errors, self.tolerance * scale)


def _identity(name: str, site: str, equation: str, errors: Array, tolerance: float) -> Identity:
    if not errors.size:
        return Identity(name, site, equation, 0.0, tolerance)
    flat = int(np.argmax(errors))  # the first NaN, if there is one
    place = tuple(int(index) for index in np.unravel_index(flat, errors.shape))
    return Identity(name, site, equation, float(errors[place]), tolerance, place)


def _wide(array: Array) -> Array:
    return array if array.dtype == np.bool_ else array.astype(np.float64)


def _largest(array: Array) -> float:
    return float(np.abs(array).max()) if array.size else 0.0


def _weights(rule: Rule, model: Transformer | None) -> list[Array]:
    if rule.weights is None or model is None:
        return []
    tensors = [tensor.detach().cpu() for tensor in rule.weights(model)]
    return [(t.float() if t.dtype in {torch.bfloat16, torch.float16} else t).numpy() for t in tensors]
