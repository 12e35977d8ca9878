"""What holds for every model, every search and every text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models import random_model
from torch import Tensor

from pellucid.config import LengthPenalty, TranslationConfig
from pellucid.text.tokenizer import BytesTokenizer
from pellucid.translation.beam import StopRule, beam_search
from pellucid.translation.constraints import Constraints
from pellucid.translation.greedy import greedy_search
from pellucid.translation.hypothesis import Hypothesis, length_divisor
from pellucid.translation.observer import BeamTree
from pellucid.translation.prefixes import Prefix
from pellucid.translation.segments import split_text
from pellucid.translation.translator import Translator

EOS, STATES, VOCAB, LONGEST = 2, 97, 5, 4


class Automaton:
    """Next-token tables, one for each state; the state takes in every token."""

    vocab_size, eos_id, max_length = VOCAB, EOS, 1000

    def __init__(self, seed: int, *, reachable: float) -> None:
        generator = torch.Generator().manual_seed(seed)
        logits = torch.randn(STATES, VOCAB, generator=generator, dtype=torch.float64)
        hidden = torch.rand(STATES, VOCAB, generator=generator) > reachable
        hidden[:, seed % VOCAB] = False
        self.table = torch.log_softmax(logits.masked_fill(hidden, -torch.inf), dim=1)
        self.states = torch.empty(0, dtype=torch.long)

    def start(self, source_ids: Sequence[Sequence[int]]) -> None:
        self.states = torch.tensor([ids[0] % STATES for ids in source_ids])

    def step(self, last_ids: Tensor | None) -> Tensor:
        if last_ids is not None:
            self.states = (7 * self.states + 11 * last_ids + 1) % STATES
        return self.table[self.states]

    def select(self, rows: Tensor) -> None:
        self.states = self.states[rows]

    def forced(self, source: Sequence[int], ids: Sequence[int]) -> list[float]:
        state, terms = source[0] % STATES, []
        for token in ids:
            terms.append(float(self.table[state, token]))
            state = (7 * state + 11 * token + 1) % STATES
        return terms


automata = st.builds(Automaton, st.integers(0, 10_000), reachable=st.sampled_from([1.0, 0.7]))
sources = st.lists(st.lists(st.integers(0, STATES - 1), min_size=1, max_size=3), min_size=1, max_size=5)
constraints = st.builds(
    Constraints,
    eos_id=st.just(EOS),
    forbidden_ids=st.sets(st.sampled_from([0, 1, 3, 4]), max_size=3).map(tuple),
    min_length=st.integers(0, 3),
    no_repeat_ngram_size=st.integers(0, 3),
    prefixes=st.lists(st.sampled_from([0, 1, 3, 4]), max_size=2).map(lambda ids: (Prefix(tuple(ids)),)),
)
configs = st.builds(
    lambda beam_size, form, alpha, longest: TranslationConfig(
        beam_size=beam_size,
        n_best=beam_size,
        length_penalty=form,
        alpha=alpha,
        max_length_factor=1e-9,
        max_length_constant=longest,
    ),
    st.integers(1, 7),
    st.sampled_from(LengthPenalty),
    st.sampled_from([0.0, 0.6, 1.0, 2.5]),
    st.integers(1, 9),
)


def outline(found: list[list[Hypothesis]]) -> list[list[tuple[object, ...]]]:
    return [[(h.ids, h.is_finished, round(h.score, 9)) for h in hypotheses] for hypotheses in found]


@given(automata, sources, configs, constraints, st.sampled_from(StopRule))
def test_results_are_sound(
    stepper: Automaton,
    source_ids: list[list[int]],
    config: TranslationConfig,
    rules: Constraints,
    stop: StopRule,
) -> None:
    found = beam_search(stepper, source_ids, config=config, constraints=rules, stop=stop)
    for source, hypotheses in zip(source_ids, found, strict=True):
        assert 1 <= len(hypotheses) <= config.n_best
        assert len({h.ids for h in hypotheses}) == len(hypotheses)
        order = [(not h.is_finished, -h.score) for h in hypotheses]
        assert order == sorted(order)
        for hypothesis in hypotheses:
            assert hypothesis.token_log_probabilities == pytest.approx(
                stepper.forced(source, hypothesis.ids), abs=1e-12
            )
            divisor = length_divisor(len(hypothesis.ids), form=config.length_penalty, alpha=config.alpha)
            assert hypothesis.score == pytest.approx(sum(hypothesis.token_log_probabilities) / divisor, abs=1e-12)
            assert hypothesis.ids.count(EOS) == hypothesis.is_finished
            assert len(hypothesis.ids) <= config.max_length_constant
            (prefix,) = rules.prefixes
            assert hypothesis.ids[: len(prefix.ids)] == prefix.ids[: len(hypothesis.ids)]
            assert not set(rules.forbidden_ids) & set(hypothesis.ids[len(prefix.ids) :])


@given(automata, sources, configs, constraints, st.sampled_from(StopRule))
def test_different_hypotheses_differ_and_the_first_is_the_same(
    stepper: Automaton,
    source_ids: list[list[int]],
    config: TranslationConfig,
    rules: Constraints,
    stop: StopRule,
) -> None:
    def key_of(ids: Sequence[int]) -> str:
        return "".join("a" * token for token in ids if token != EOS)

    plain = beam_search(stepper, source_ids, config=config, constraints=rules, stop=stop)
    found = beam_search(stepper, source_ids, config=config, constraints=rules, stop=stop, key_of=key_of)
    alone = [
        beam_search(stepper, [ids], config=config, constraints=rules, stop=stop, key_of=key_of) for ids in source_ids
    ]
    assert outline(found) == outline([one for (one,) in alone])
    for before, hypotheses in zip(plain, found, strict=True):
        keys = [key_of(h.ids) for h in hypotheses]
        assert len(set(keys)) == len(keys) >= len({key_of(h.ids) for h in before})
        assert [(not h.is_finished, -h.score) for h in hypotheses] == sorted(
            (not h.is_finished, -h.score) for h in hypotheses
        )
        assert hypotheses[0].score == before[0].score


@given(automata, sources, configs, constraints, st.sampled_from(StopRule))
def test_batched_is_alone_and_watched_is_unwatched(
    stepper: Automaton,
    source_ids: list[list[int]],
    config: TranslationConfig,
    rules: Constraints,
    stop: StopRule,
) -> None:
    together = beam_search(stepper, source_ids, config=config, constraints=rules, stop=stop, observer=BeamTree())
    alone = [beam_search(stepper, [ids], config=config, constraints=rules, stop=stop)[0] for ids in source_ids]
    assert outline(together) == outline(alone)


@given(automata, sources, configs, constraints)
def test_beam_one_is_greedy(
    stepper: Automaton, source_ids: list[list[int]], config: TranslationConfig, rules: Constraints
) -> None:
    config = config.model_copy(update={"beam_size": 1, "n_best": 1})
    assert outline(beam_search(stepper, source_ids, config=config, constraints=rules)) == outline(
        greedy_search(stepper, source_ids, config=config, constraints=rules)
    )


@settings(max_examples=50)
@given(automata, st.integers(0, STATES - 1), configs, st.sampled_from(StopRule))
def test_no_beam_beats_brute_force_and_a_wide_one_equals_it(
    stepper: Automaton, source: int, config: TranslationConfig, stop: StopRule
) -> None:
    config = config.model_copy(update={"max_length_constant": LONGEST})
    best = -float("inf")
    for length in range(1, LONGEST + 1):
        for body in product([token for token in range(VOCAB) if token != EOS], repeat=length - 1):
            total = sum(stepper.forced([source], (*body, EOS)))
            best = max(best, total / length_divisor(length, form=config.length_penalty, alpha=config.alpha))
    wide = config.model_copy(update={"beam_size": VOCAB**LONGEST, "n_best": 1})
    ((exact,),) = beam_search(stepper, [[source]], config=wide, constraints=Constraints(eos_id=EOS), stop=stop)
    ((narrow, *_),) = beam_search(stepper, [[source]], config=config, constraints=Constraints(eos_id=EOS), stop=stop)
    if exact.is_finished:
        assert exact.score == pytest.approx(best, abs=1e-12)
    else:
        assert best == -float("inf")
    if narrow.is_finished:
        assert narrow.score <= best + 1e-12


TOKENIZER = BytesTokenizer()
TRANSLATOR = Translator(
    random_model(TOKENIZER, seed=1, dtype=torch.float64, d_model=6, d_feedforward=7, num_decoder_layers=1),
    TOKENIZER,
    config=TranslationConfig(beam_size=2, max_length_factor=1e-9, max_length_constant=5, max_input_length=20),
)
any_text = st.text(st.characters(), max_size=40)  # lone surrogates, NUL and other control characters too


@settings(max_examples=25)
@given(st.lists(any_text, max_size=7))
def test_every_text_has_its_translation_in_its_place(texts: list[str]) -> None:
    found = TRANSLATOR.translate(texts)
    assert [translation.source for translation in found] == texts
    for text, translation in zip(texts, found, strict=True):
        assert not {"\n", "\r"} & set(translation.text)
        is_broken = any("\ud800" <= character <= "\udfff" or character == "\x00" for character in text)
        assert (translation.error is not None) is is_broken
        assert ("failed" in translation.flags) is is_broken
        assert bool(translation.alternatives) is not (is_broken or "blank" in translation.flags)
    streamed = TRANSLATOR.translate_stream(texts, chunk=3)
    assert [translation.text for translation in streamed] == [translation.text for translation in found]


@given(st.text(min_size=1, max_size=60).filter(str.strip), st.integers(1, 11), st.sampled_from(["en", "zh", "src"]))
def test_splitting_loses_nothing(text: str, limit: int, language: str) -> None:
    parts = split_text(text, limit=limit, count=lambda texts: [len(t) for t in texts], language=language)
    assert "".join(part.text + part.separator for part in parts) == text.lstrip()
    assert all(0 < len(part.text) <= limit for part in parts)


prefixes = st.text(alphabet="a l'\u00e9\u732b\U0001f600", max_size=7).map(
    lambda text: " ".join(text.split(" ")).lstrip()
)


@settings(max_examples=20)
@given(
    st.lists(st.tuples(st.text(alphabet="ab ", max_size=7), prefixes), min_size=1, max_size=4),
    st.sampled_from([{"beam_size": 1}, {"beam_size": 3, "n_best": 3}, {"sampling": True, "n_best": 2}]),
)
def test_translations_begin_with_their_prefixes(pairs: list[tuple[str, str]], search: dict[str, object]) -> None:
    texts, begun = [text for text, _ in pairs], [prefix for _, prefix in pairs]
    found = TRANSLATOR.with_settings(max_length_constant=30).translate(texts, target_prefix=begun, **search)
    for prefix, translation in zip(begun, found, strict=True):
        assert translation.error is None
        wanted = prefix.rstrip() + (" " if prefix.strip() and prefix.endswith(" ") else "")
        # White space around the source comes back around the translation.
        texts = [hypothesis.text.lstrip() for hypothesis in translation.alternatives]
        assert all(text.startswith(wanted) or text.rstrip() == wanted.rstrip() for text in texts)
