from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from tests.models import random_model

from pellucid.config import TranslationConfig
from pellucid.errors import ConfigError, IncompatibleModelError, RequestError
from pellucid.text.tokenizer import BytesTokenizer
from pellucid.translation.observer import BeamTree, Fate
from pellucid.translation.scoring import forced_log_probabilities
from pellucid.translation.translator import Translator

from .shouting import SPECIALS, TOKENIZER, ShoutingStepper

TEXTS = ["a horse", "", "an ox and a long-haired goat", "  ", "bee", "\u00e9t\u00e9", "a horse", "\t"]
SHOUTED = ["A HORSE", "", "AN OX AND A LONG-HAIRED GOAT", "", "BEE", "\u00e9T\u00e9", "A HORSE", ""]


def shouter(**settings: object) -> Translator:
    return Translator(
        ShoutingStepper, TOKENIZER, config=TranslationConfig.model_validate(settings), source_language="en"
    )


class OneStepper:
    """Hand out one stepper again and again, to see what it was asked."""

    def __init__(self, **settings: int) -> None:
        self.stepper = ShoutingStepper(**settings)

    def __call__(self) -> ShoutingStepper:
        return self.stepper


@pytest.mark.parametrize(("sources", "targets"), [("ox", ["A", "B"]), (["a", "b"], "OX"), (b"ox", b"OX")])
def test_one_text_is_not_taken_for_a_list_of_characters(sources: list[str], targets: list[str]) -> None:
    with pytest.raises(RequestError, match=r"give a list (or a generator )?of str"):
        shouter().score(sources, targets)
    with pytest.raises(RequestError, match=r"give a list (or a generator )?of str"):
        shouter().translate_stream("ox")


@pytest.mark.parametrize("chunk", [0, -3])
def test_a_stream_in_chunks_of_nothing_is_refused(chunk: int) -> None:
    with pytest.raises(RequestError, match=f"chunk = {chunk}"):
        shouter().translate_stream(["ox"], chunk=chunk)


def test_one_text_gives_one_translation_and_a_list_a_list() -> None:
    one = shouter().translate("a horse")
    assert one.text == "A HORSE"
    assert one.source == "a horse"
    assert shouter().translate(["a horse"]) == [one]
    assert shouter().translate([]) == []


@pytest.mark.parametrize("settings", [{}, {"beam_size": 1}, {"batch_size": 1}, {"batch_size": 17}, {"sampling": True}])
def test_results_are_in_order_whatever_the_batches(settings: dict[str, object]) -> None:
    found = shouter(**settings).translate(TEXTS)
    if "sampling" not in settings:
        assert [translation.text for translation in found] == SHOUTED
    assert found == [shouter(**settings).translate(text) for text in TEXTS]


@pytest.mark.parametrize("budget", [11, 40, 100])
def test_batches_keep_to_the_budget(budget: int) -> None:
    one = OneStepper()
    texts = ["x" * n for n in (3, 19, 1, 7, 5, 2, 9, 9, 4)]
    Translator(one, TOKENIZER).translate(texts, batch_size=budget)
    searched = [sorted(map(len, batch), reverse=True) for batch in one.stepper.batches]
    assert sorted(length for batch in searched for length in batch) == sorted(len(text) + 1 for text in texts)
    assert all(len(batch) == 1 or len(batch) * batch[0] <= budget for batch in searched)
    # Each is as large as it may be: the first of the next would not have fitted.
    assert all((len(before) + 1) * before[0] > budget for before in searched[:-1])


def test_score_and_tokens_are_the_winners() -> None:
    found = shouter(length_penalty="average", alpha=1.0).translate("bee", n_best=3)
    winner = found.alternatives[0]
    assert found.tokens == ("<0x42>", "<0x45>", "<0x45>")
    assert winner.pieces == (*found.tokens, "</s>")
    assert winner.token_log_probabilities == pytest.approx([math.log(7 / 8)] * 4)
    assert winner.log_probability == pytest.approx(4 * math.log(7 / 8))
    assert found.score == winner.score == pytest.approx(math.log(7 / 8))
    assert found.error is None
    assert len({h.text for h in found.alternatives}) == len({h.ids for h in found.alternatives}) == 3
    assert [h.score for h in found.alternatives] == sorted((h.score for h in found.alternatives), reverse=True)


def test_blank_lines_ask_no_model() -> None:
    one = OneStepper()
    found = Translator(one, TOKENIZER).translate(["", "   ", "\n\n", "\u2003"])
    assert [(t.text, t.flags, t.alternatives) for t in found] == [("", ("blank",), ())] * 4
    assert one.stepper.batches == []


def test_line_breaks_are_white_space_on_both_sides() -> None:
    found = shouter().translate("one\r\n\r\ntwo\rthree")
    assert found.text == "ONE TWO THREE"
    assert found.source == "one\r\n\r\ntwo\rthree"


def test_a_line_break_that_the_model_writes_becomes_a_space() -> None:
    found = shouter().translate("a|b", n_best=2)
    assert found.text == "A B"
    assert found.flags == ("line_break",)
    assert not any("\n" in hypothesis.text for hypothesis in found.alternatives)


class TestABadLineFailsAlone:
    texts = ("one", "lone \ud800 surrogate", "two", "a ~ breaks it", "three", None)

    def test_in_its_place(self) -> None:
        found = shouter().translate(self.texts)
        assert [t.text for t in found] == ["ONE", "", "TWO", "", "THREE", ""]
        assert [t.error is None for t in found] == [True, False, True, False, True, False]
        assert [t.flags for t in found if t.error] == [("failed",)] * 3
        assert "surrogate" in str(found[1].error)
        assert "NaN" in str(found[3].error)

    def test_and_changes_no_other(self) -> None:
        found = shouter().translate(self.texts)
        good = [0, 2, 4]
        assert [found[place] for place in good] == shouter().translate([self.texts[place] for place in good])

    def test_but_a_wrong_type_is_the_callers_mistake(self) -> None:
        with pytest.raises(RequestError, match=r"texts\[1\] is of type int"):
            shouter().translate(["one", 2])  # type: ignore[list-item]


class TestLongInput:
    text = "One fine day. Two fine days! Three, four, five and six fine days in a row?"

    def test_is_split_and_joined(self) -> None:
        found = shouter(max_input_length=17).translate(self.text)
        assert found.text == self.text.upper()
        assert found.flags == ("split",)

    def test_every_part_is_below_the_limit(self) -> None:
        one = OneStepper()
        Translator(one, TOKENIZER, source_language="en").translate(self.text, max_input_length=17)
        assert max(len(ids) - 1 for batch in one.stepper.batches for ids in batch) <= 17

    def test_scores_as_one_sentence(self) -> None:
        found = shouter(max_input_length=30, length_penalty="gnmt", alpha=0.6).translate(self.text, n_best=2)
        for hypothesis in found.alternatives:
            assert hypothesis.log_probability == pytest.approx(sum(hypothesis.token_log_probabilities))
            assert len(hypothesis.ids) == len(hypothesis.pieces) == len(hypothesis.token_log_probabilities)
            divisor = ((5 + len(hypothesis.ids)) / 6) ** 0.6
            assert hypothesis.score == pytest.approx(hypothesis.log_probability / divisor)

    def test_the_second_best_is_that_of_every_part(self) -> None:
        parts = [shouter().translate(text, n_best=2) for text in ("One fine day.", "Two fine days!")]
        found = shouter(max_input_length=17).translate("One fine day. Two fine days!", n_best=2)
        assert [h.text for h in found.alternatives] == [
            " ".join(part.alternatives[k].text for part in parts) for k in range(2)
        ]

    def test_can_be_refused(self) -> None:
        found = shouter(long_input="refuse", max_input_length=17).translate([self.text, "short"])
        assert found[0].error == (
            f"the text is {len(self.text)} pieces, over max_input_length = 17; raise it or set long_input = 'split'"
        )
        assert found[1].text == "SHORT"

    def test_the_models_positions_are_a_limit_too(self) -> None:
        one = OneStepper(max_length=19)
        found = Translator(one, TOKENIZER, source_language="en").translate(self.text)
        assert "split" in found.flags
        assert max(len(ids) for batch in one.stepper.batches for ids in batch) <= 19

    def test_a_character_over_the_limit_is_an_error(self) -> None:
        found = shouter(max_input_length=3).translate(["a\U0001f600b", "ok"])
        assert "alone is 4 pieces" in str(found[0].error)
        assert found[1].text == "OK"

    def test_the_prefix_begins_the_first_part_only(self) -> None:
        found = shouter(max_input_length=17).translate(self.text, target_prefix="!")
        assert found.text == "!" + self.text[1:].upper()


class TestFlags:
    def test_copy_and_length(self) -> None:
        assert shouter().translate("ABC").flags == ("copy",)
        assert shouter().translate("123").flags == ()

    def test_max_length(self) -> None:
        found = shouter().translate("abcdef", max_length_factor=1e-9, max_length_constant=3)
        assert found.text == "ABC"
        assert found.flags == ("max_length",)
        assert not found.alternatives[0].is_finished

    def test_dead_end(self) -> None:
        found = shouter().translate("abc", banned_tokens=["<0x42>", "<0x21>"])
        assert (found.text, found.flags) == ("A", ("dead_end",))


class TestSettings:
    def test_of_a_call_go_on_top(self) -> None:
        translator = shouter(beam_size=2)
        assert len(translator.translate("bee", n_best=2).alternatives) == 2
        assert len(translator.translate("bee").alternatives) == 1
        with pytest.raises(ConfigError, match="n_best = 3 is more than beam_size = 2"):
            translator.translate("bee", n_best=3)

    def test_a_misspelt_one_is_told(self) -> None:
        with pytest.raises(ConfigError, match=r"beem_size: unknown setting; did you mean 'beam_size'\?"):
            shouter().translate("bee", beem_size=3)
        with pytest.raises(ConfigError, match="did you mean"):
            shouter().translate_stream(["bee"], beem_size=3)

    def test_sampling_sets_the_models_beam_aside(self) -> None:
        assert len(shouter(beam_size=5).translate("bee", sampling=True, n_best=7).alternatives) == 7
        assert shouter(sampling=True, temperature=2.0).translate("bee", sampling=False).text == "BEE"


class TestStream:
    def test_is_in_order(self) -> None:
        for chunk in (1, 3, 100):
            assert list(shouter().translate_stream(iter(TEXTS), chunk=chunk)) == shouter().translate(TEXTS)

    def test_reads_no_further_than_a_chunk(self) -> None:
        read = 0

        def lines() -> Iterator[str]:
            nonlocal read
            for number in range(1000):
                read += 1
                yield f"line {number}"

        stream = shouter().translate_stream(lines(), chunk=7)
        assert next(stream).text == "LINE 0"
        assert read == 7
        for _ in range(7):
            next(stream)
        assert read == 14


def test_progress_counts_to_the_end() -> None:
    told: list[int] = []
    shouter(batch_size=20, max_input_length=17).translate([*TEXTS, "\ud800"], progress=told.append)
    assert told == sorted(told)
    assert told[-1] == len(TEXTS) + 1


def test_an_observer_sees_every_sentence_under_its_own_number() -> None:
    tree = BeamTree()
    texts = ["bee", "", "a long text", "ox"]
    translations = shouter(batch_size=12).translate(texts, observer=tree)
    assert translations == shouter(batch_size=12).translate(texts)
    searched = [t for t in translations if t.alternatives]
    for sentence, translation in enumerate(searched):
        finished = {
            (*expansion.rows[candidate.parent].ids, candidate.token)
            for expansion in tree.expansions[sentence]
            for candidate in expansion.candidates
            if candidate.fate is Fate.FINISHED
        }
        assert translation.alternatives[0].ids in finished


class TestScore:
    def test_is_the_log_probability_of_each_token(self) -> None:
        right, wrong = shouter().score(["bee", "ab"], ["BEE", "A!"])
        assert right.pieces == ("<0x42>", "<0x45>", "<0x45>", "</s>")
        assert right.token_log_probabilities == pytest.approx([math.log(7 / 8)] * 4)
        assert right.log_probability == pytest.approx(4 * math.log(7 / 8))
        assert right.perplexity == pytest.approx(8 / 7)
        assert wrong.token_log_probabilities == pytest.approx([math.log(p) for p in (7 / 8, 1 / 8, 7 / 8)])

    def test_of_the_winner_is_the_searchs(self) -> None:
        model = random_model(TOKENIZER)
        translator = Translator(model, TOKENIZER, config=TranslationConfig(max_length_constant=7))
        texts = ["one", "number two", "3"]
        for translation in translator.translate(texts, beam_size=3):
            hypothesis = translation.alternatives[0]
            source_ids = [*TOKENIZER.encode_source([translation.source])[0], SPECIALS.eos]
            (found,) = forced_log_probabilities([model], [source_ids], [hypothesis.ids])
            assert hypothesis.token_log_probabilities == pytest.approx(found, abs=1e-5)

    def test_refusals(self) -> None:
        with pytest.raises(RequestError, match="2 sources and 1 target;"):
            shouter().score(["a", "b"], ["c"])
        short = Translator(OneStepper(max_length=5), TOKENIZER)
        with pytest.raises(RequestError, match=r"pair 2 .* 7 tokens, and the model has 5 positions"):
            short.score(["a", "b"], ["c", "abcdef"])


class TestModels:
    def test_one_or_several(self) -> None:
        first, second = (random_model(TOKENIZER, seed=seed) for seed in (1, 2))
        assert Translator(first, TOKENIZER).model is first
        both = Translator([first, second], TOKENIZER, config=TranslationConfig(max_length_constant=5))
        assert both.models == (first, second)
        twice = Translator([first, first], TOKENIZER).translate("abc", max_length_constant=5)
        once = Translator(first, TOKENIZER).translate("abc", max_length_constant=5)
        assert twice.alternatives[0].ids == once.alternatives[0].ids
        assert both.translate("abc").error is None

    def test_of_another_tokenizer_are_refused(self) -> None:
        with pytest.raises(IncompatibleModelError, match="own folder"):
            Translator(random_model(TOKENIZER), BytesTokenizer(tags=(">>fr<<",)))

    def test_a_stepper_has_no_model_to_show(self) -> None:
        with pytest.raises(RequestError, match="no Transformer"):
            _ = shouter().model
