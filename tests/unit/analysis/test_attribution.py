"""What surrounds the methods: heads that are off, erasure and its curve, words, and refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.unit.tracing.kit import make_translator

from pellucid.analysis.attribution.faithfulness import RANDOM, erasure_losses, faithfulness
from pellucid.analysis.attribution.methods import attribute_trace, question_of
from pellucid.errors import RequestError
from pellucid.jobs.surface import Trace, attribute, trace
from pellucid.text.tokenizer import BytesTokenizer
from pellucid.tracing.editing.sample import Sample
from pellucid.tracing.edits import AblateHead, OtherSentence
from pellucid.tracing.sites import AttentionKind
from pellucid.translation.translator import Translator

TEXT, TARGET = "ein Hund rennt zwei Katze", "a dog runs"


@pytest.fixture(scope="module")
def translator() -> Translator:
    return make_translator()


@pytest.fixture(scope="module")
def made(translator: Translator) -> Trace:
    return trace(translator, TEXT, target=TARGET)


def test_an_erased_piece_is_one_that_the_model_may_not_look_at(made: Trace) -> None:
    question = question_of(made, quantity="log_probability")
    orders = [[2, 0, 4], [1, 3, 0], [4, 2, 1], [0, 1, 2]]
    found = erasure_losses(question, orders, (1, 3))
    assert made.model is not None
    for step, order in enumerate(orders):
        for column, count in enumerate((1, 3)):
            mask = torch.ones(1, made.tokens.source_length, dtype=torch.bool)
            mask[0, order[:count]] = False
            ids = (torch.tensor([made.tokens.source_ids]), torch.tensor([made.tokens.fed_ids]))
            with torch.no_grad():
                rows = [made.model(*ids, source_mask=one).log_softmax(-1)[0, step] for one in (None, mask)]
            lost = float((rows[0] - rows[1])[made.tokens.predicted_ids[step]])
            assert found[step, column] == pytest.approx(lost, abs=1e-12)


class TestFaithfulness:
    def test_the_curve_is_the_mean_of_the_losses_in_the_order_of_the_parts(self, made: Trace) -> None:
        curve = faithfulness([made], ["occlusion", "alti"], counts=(1, 2), random_orders=2)
        assert curve.methods == ("occlusion", "alti", RANDOM)
        assert (curve.traces, curve.steps) == (1, made.tokens.target_length)
        for row, more in enumerate(({"method": "occlusion", "quantity": "log_probability"}, {"method": "alti"})):
            parts = made.attribute(**more).source[:, :-1]  # the end of the sentence is never hidden
            orders = np.argsort(-parts, axis=1, kind="stable").tolist()
            question = question_of(made, quantity="log_probability")
            np.testing.assert_allclose(curve.losses[row], erasure_losses(question, orders, (1, 2)).mean(0), atol=1e-12)
        assert faithfulness([made], ["alti"], counts=(1,)).to_text().splitlines()[1].split() == ["1"]

    def test_a_sentence_that_is_too_short_has_no_part_in_a_count(self, translator: Translator, made: Trace) -> None:
        short = trace(translator, "ein Hund", target=TARGET)
        alone, both = (faithfulness(traces, ["alti"], counts=(1, 3)) for traces in ([made], [short, made]))
        assert both.losses[0, 1] == alone.losses[0, 1]
        assert both.losses[0, 0] != alone.losses[0, 0]

    @pytest.mark.parametrize("counts", [(), (0,), (2, 1), (9,)])
    def test_counts_that_cannot_be_measured_are_refused(self, made: Trace, counts: tuple[int, ...]) -> None:
        with pytest.raises(RequestError, match="counts = "):
            faithfulness([made], ["alti"], counts=counts)

    def test_edits_and_no_traces_are_refused(self, translator: Translator) -> None:
        edited = trace(translator, TEXT, target=TARGET, edits=[AblateHead(AttentionKind.CROSS, 0, 0)])
        with pytest.raises(RequestError, match="has edits"):
            faithfulness([edited])
        with pytest.raises(RequestError, match="no traces"):
            faithfulness([])


def test_parts_of_words_are_the_sums_of_their_pieces() -> None:
    translator = make_translator(BytesTokenizer())
    made = attribute(translator, "ab cd", method="occlusion", target="x yz", step=3)
    words = {(one.side, one.text): one.part for one in made.ranked(3, words=True)}
    assert sum(words.values()) == pytest.approx(made.sum[0])
    source = made.source[0]
    assert words["source", "ab"] == pytest.approx(source[made.tokens.source_words[0].end - 2 :][:2].sum())
    assert [one.part for one in made.ranked(3)] == sorted((one.part for one in made.ranked(3)), reverse=True)
    assert len(made.ranked(3)) == made.tokens.source_length + 4, "later pieces are not among them"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"step": 4}, "step = 4; allowed are the whole numbers 0 to 3"),
        ({"against": "runs"}, "give the step"),
        ({"step": 1, "against": "dog"}, "is the piece that step 1 writes"),
        ({"step": 1, "against": " "}, "has no piece in the vocabulary"),
        ({"step": 1, "against": "runs", "method": "alti"}, "use method 'alti_logit'"),
        ({"method": "alti_logit", "quantity": "log_probability"}, "splits a logit"),
        ({"method": "alti", "points": 3}, "points = 3"),
        ({"method": "integrated_gradients", "points": 0}, "allowed are 1 to 100,000"),
        ({"quantity": "odds"}, "quantity = 'odds'; allowed are 'logit', 'log_probability'"),
    ],
)
def test_questions_that_make_no_sense_are_refused(made: Trace, more: dict[str, object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        made.attribute(**more)


def test_without_a_model_nothing_is_explained(made: Trace) -> None:
    bare = replace(made, model=None, translator=None)
    for ask in (bare.attribute, bare.contributions, bare.lens):
        with pytest.raises(RequestError, match=r"no.* model|has none"):
            ask()


def test_alti_refuses_an_edit_that_it_cannot_split(translator: Translator) -> None:
    edited = trace(translator, TEXT, target=TARGET, edits=[AblateHead(AttentionKind.CROSS, 0, 0)])
    with pytest.raises(RequestError, match=r"head.0=zero: replaces decoder.0.cross_attention.context"):
        edited.attribute(method="alti")
    assert np.isfinite(edited.attribute(method="occlusion").source).all()


def test_the_errors_of_an_integral_that_does_not_converge_are_refused_not_hidden(made: Trace) -> None:
    with pytest.raises(RequestError, match="with 48 points the parts of step"):
        attribute_trace(made, method="integrated_gradients", tolerance=1e-6, most_points=32)


@pytest.mark.parametrize("method", ["input_x_gradient", "integrated_gradients", "occlusion", "value_zeroing"])
def test_edits_that_take_values_of_other_sentences_are_followed(translator: Translator, method: str) -> None:
    sample = Sample.of([("ein Hund", "a dog"), ("zwei Katze rennt", "a dog runs")])
    other = AblateHead(AttentionKind.ENCODER, 0, 1, OtherSentence("zwei Katze rennt schläft ein"))
    edited = trace(translator, TEXT, target=TARGET, edits=[AblateHead(AttentionKind.CROSS, 1, 0, sample), other])
    found = edited.attribute(method=method, quantity="log_probability")
    assert edited.predictions is not None
    np.testing.assert_allclose(found.score, edited.predictions.target_log_probability, rtol=0, atol=1e-12)
    plain = trace(translator, TEXT, target=TARGET).attribute(method=method, quantity="log_probability")
    assert np.abs(found.source - plain.source).max() > 1e-6
