"""A given translation in a tree, and requests that have no tree."""

from __future__ import annotations

import math

import pytest

from pellucid.errors import ConfigError, RequestError
from pellucid.tracing.searching.record import Verdict
from pellucid.translation.translator import Translator

from .kit import TEXT, search_tree, translator


def test_a_translation_that_the_search_lost_is_an_error_of_the_search() -> None:
    seen: set[Verdict] = set()
    for seed in range(12):
        own = translator(seed)
        narrow, wide = search_tree(own, TEXT, beam_size=1), search_tree(own, TEXT, beam_size=40)
        wanted = wide.hypotheses[0].text
        if own.tokenizer.encode_target([wanted])[0] != list(wide.best.ids[:-1]):
            continue  # its words are other pieces
        found = search_tree(own, TEXT, beam_size=40, reference=wanted).reference
        assert found is not None
        assert (found.verdict, found.rank, found.lost_step) == (Verdict.FOUND, 0, None)
        looked = search_tree(own, TEXT, beam_size=1, reference=wanted)
        lost = looked.reference
        assert lost is not None
        seen.add(lost.verdict)
        assert lost.score == pytest.approx(wide.best.score, abs=1e-10)
        if lost.verdict is Verdict.SEARCH_ERROR:
            assert lost.score > narrow.best.score == lost.found_score
            assert lost.lost_step is not None
            shared = lost.ids[: lost.lost_step]
            assert narrow.best.ids[: lost.lost_step] == shared
            assert narrow.best.ids[lost.lost_step] != lost.ids[lost.lost_step]
            if lost.lost_node is not None:
                assert looked.ids(lost.lost_node) == (*shared, lost.ids[lost.lost_step])
    assert Verdict.SEARCH_ERROR in seen


def test_a_translation_that_the_model_does_not_want_is_an_error_of_the_model() -> None:
    own = translator()
    for text in ("zwei zwei zwei zwei", "dog"):
        found = search_tree(own, TEXT, beam_size=40, reference=text).reference
        assert found is not None
        (scored,) = own.score([TEXT], [text])
        assert found.token_log_probabilities == scored.token_log_probabilities
        assert found.score == pytest.approx(math.fsum(scored.token_log_probabilities) / len(scored.ids), abs=1e-12)
        assert found.verdict is Verdict.MODEL_ERROR
        assert found.score <= found.found_score


@pytest.mark.parametrize(
    ("settings", "error", "problem"),
    [
        ({"n_best": 3}, RequestError, "n_best = 3; leave it out"),
        ({"num_beam_groups": 2, "beam_size": 4}, RequestError, "one beam; leave num_beam_groups out"),
        ({"sampling": True, "reference": "a"}, RequestError, "cannot miss a reference"),
        ({"beam": 3}, ConfigError, "beam"),
        ({"temperature": 2.0}, ConfigError, "need sampling = true"),
    ],
)
def test_a_search_that_has_no_tree_is_refused(settings: dict[str, object], error: type, problem: str) -> None:
    with pytest.raises(error, match=problem):
        search_tree(translator(), TEXT, **settings)  # type: ignore[arg-type]


def test_several_models_and_blank_texts_are_refused() -> None:
    own = translator()
    twins = Translator((own.model, own.model), own.tokenizer)
    with pytest.raises(RequestError, match="this translator has 2"):
        search_tree(twins, TEXT)
    with pytest.raises(RequestError, match="blank"):
        search_tree(own, " ")
