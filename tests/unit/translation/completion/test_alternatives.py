"""The next words: their probabilities against every way of writing them, and what they lead to."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import pytest
from tests.models import random_model
from tests.unit.translation.markov import EOS, MarkovStepper
from tests.unit.translation.shouting import TOKENIZER as BYTES
from tests.unit.translation.shouting import ShoutingStepper
from tests.unit.translation.test_term_search import TOKENIZER, VOCABULARY, table

from pellucid.config import TranslationConfig
from pellucid.errors import RequestError
from pellucid.translation.completion.words import first_word
from pellucid.translation.translator import Translator

SOURCE = "ab a"


def test_where_words_end() -> None:
    assert first_word("dog") is None
    assert first_word("dog", is_over=True) == "dog"
    assert first_word(" dog runs") == "dog"
    assert first_word("dog.") == "dog"
    assert first_word("l'arbre ") == "l'arbre"
    assert first_word("l'") is None
    assert first_word("dogs' ") == "dogs"
    assert first_word(".") == "."
    assert first_word("猫が") == "猫"
    assert first_word("  ") is None
    assert first_word(" ", is_over=True) == ""


def exact(stepper: MarkovStepper, source: Sequence[int], typed: str) -> dict[str, float]:
    """Return the probability of each next word: over every sequence of pieces that agrees."""
    start = len(typed) - len(typed.split()[-1]) if typed.split() and not typed.endswith(" ") else len(typed)
    found: defaultdict[str, float] = defaultdict(float)
    certain = TOKENIZER.begin_target(typed).ids  # complete words are written as the tokenizer writes them
    state = source[0] % len(stepper.table)
    for token in certain:
        state = stepper.after(state, token)
    waiting: list[tuple[str, int, float]] = [(TOKENIZER.decode_target([certain])[0], state, 1.0)]
    while waiting:
        text, state, probability = waiting.pop()
        for token, gain in enumerate(stepper.table[state].tolist()):
            after = probability * math.exp(gain)
            if after < 1e-7:
                continue
            longer = text + ("" if token == EOS else VOCABULARY.surfaces[token].decode())
            if not (longer.startswith(typed) or (typed.startswith(longer) and token != EOS)):
                continue
            word = first_word(longer[start:], is_over=token == EOS) if len(longer) >= len(typed) else None
            if word is None:
                waiting.append((longer, stepper.after(state, token), after))
            else:
                found[word] += after
    total = sum(found.values())
    return {word: probability / total for word, probability in found.items()}


@pytest.mark.parametrize("typed", ["", "a", "ab ", "b a"])
@pytest.mark.parametrize("seed", [1, 4, 6])
def test_probabilities_are_those_of_every_way_to_write_a_word(seed: int, typed: str) -> None:
    stepper = MarkovStepper(table(seed))
    translator = Translator(lambda: MarkovStepper(table(seed)), TOKENIZER, config=TranslationConfig(beam_size=2))
    source = [*TOKENIZER.encode_source([SOURCE])[0], EOS]
    wanted = exact(stepper, source, typed)
    best = sorted(wanted, key=lambda word: -wanted[word])[:2]
    found = {one.word: one.probability for one in translator.alternatives(SOURCE, typed, 6)}
    for word in best:
        assert found[word] == pytest.approx(wanted[word], abs=0.02)


def shouter() -> Translator:
    return Translator(ShoutingStepper, BYTES, config=TranslationConfig(beam_size=2), source_language="en")


def test_a_half_typed_word_is_completed() -> None:
    best, *others = shouter().alternatives("the old goat sleeps", "THE OLD GO")
    assert (best.word, best.rest, best.text) == ("GOAT", "AT", "THE OLD GOAT SLEEPS")
    assert best.probability > 0.5
    assert all(one.probability <= best.probability for one in others)


def test_after_a_space_a_new_word_begins() -> None:
    best = shouter().alternatives("the old goat sleeps", "THE OLD ", count=1)[0]
    assert (best.word, best.rest, best.text) == ("GOAT", "GOAT", "THE OLD GOAT SLEEPS")


def test_the_end_is_a_word_of_its_own() -> None:
    ended = [one for one in shouter().alternatives("an ox.", "AN OX.") if one.word == ""]
    assert ended[0].text == "AN OX."
    assert ended[0].rest == ""


def test_typed_sentences_stand_for_the_first_of_the_source() -> None:
    best = shouter().alternatives("An ox sleeps. A cow eats. Two.", "An OX sleeps. A C", count=1)[0]
    assert best.word == "COW"
    assert best.text == "An OX sleeps. A COW EATS. TWO."


@pytest.mark.parametrize("prefix", ["", "ab", "a b "])
def test_each_text_begins_with_what_is_typed_and_the_word(prefix: str) -> None:
    translator = Translator(random_model(BYTES, seed=2, noise=0.2), BYTES, config=TranslationConfig(beam_size=2))
    found = translator.alternatives("a source", prefix, 4)
    assert len({one.word for one in found}) == len(found) > 1
    assert 0 < sum(one.probability for one in found) <= 1 + 1e-6
    for one in found:
        assert one.text.lstrip().startswith((prefix + one.rest).strip())


def test_what_is_refused() -> None:
    with pytest.raises(RequestError, match="nothing to translate"):
        shouter().alternatives("...")
    with pytest.raises(RequestError, match="count = 0"):
        shouter().alternatives("ox", count=0)
    with pytest.raises(RequestError, match="plain search"):
        shouter().alternatives("ox", sampling=True)
