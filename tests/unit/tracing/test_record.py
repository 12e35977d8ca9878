"""What a trace holds, keeps, refuses and says."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.models import save_model

import pellucid
from pellucid.bundle import read_description
from pellucid.errors import IncompatibleModelError, RequestError
from pellucid.jobs.surface import Trace, trace
from pellucid.text.tokenizer import BytesTokenizer
from pellucid.tracing.making import trace as make_trace
from pellucid.tracing.sites import all_sites
from pellucid.tracing.tokens import ZERO_VECTOR_PIECE
from pellucid.translation.translator import Translator

from .kit import make_model, make_translator

TRANSLATOR = make_translator()
FULL = trace(TRANSLATOR, "ein Hund", target="a dog")
SITE = "decoder.1.cross_attention.weights"


class TestLabels:
    """A row was fed one piece and predicts the next: the golden example has two words."""

    def test_of_the_decoder_are_two(self) -> None:
        labels = FULL.labels(SITE)
        assert labels.rows == ("<s>", "▁a", "▁dog")
        assert labels.predicts == ("▁a", "▁dog", "</s>")
        assert labels.columns == ("▁ein", "▁Hund", "</s>")
        assert FULL[SITE].shape == (3, 3, 3)

    def test_of_self_attention(self) -> None:
        assert FULL.labels("decoder.0.self_attention.scores").columns == ("<s>", "▁a", "▁dog")
        encoder = FULL.labels("encoder.0.self_attention.weights")
        assert encoder.rows == encoder.columns == ("▁ein", "▁Hund", "</s>")
        assert encoder.predicts is None

    def test_belong_to_attention_only(self) -> None:
        with pytest.raises(RequestError, match=r"'logits' belongs to no attention"):
            FULL.labels("logits")

    def test_row_t_is_computed_from_what_it_was_fed_and_scores_what_it_predicts(self) -> None:
        table = TRANSLATOR.model.decoder_embedding.weight.detach().numpy()
        np.testing.assert_array_equal(FULL["target.embedding"], table[list(FULL.tokens.fed_ids)])
        rows = np.arange(3)
        chosen = FULL["log_probabilities"][rows, list(FULL.tokens.predicted_ids)]
        np.testing.assert_array_equal(FULL.predictions.target_log_probability, chosen)

    @pytest.mark.parametrize(("start", "piece"), [("bos", "<s>"), ("pad", "<pad>"), ("zero_vector", ZERO_VECTOR_PIECE)])
    def test_of_the_first_row_is_the_start(self, start: str, piece: str) -> None:
        made = trace(make_translator(decoder_start=start), "ein", target="a")
        assert made.tokens.fed_pieces == (piece, "▁a")
        assert made.tokens.fed_ids[0] == {"bos": 2, "pad": 0, "zero_vector": -1}[start]
        assert made.check().passed

    def test_a_translation_that_did_not_end_predicts_no_end(self) -> None:
        made = trace(TRANSLATOR, "ein Hund")
        assert made.tokens.predicted_ids == made.hypothesis.ids
        assert (made.tokens.predicted_pieces[-1] == "</s>") is made.hypothesis.is_finished


class TestWhatItIs:
    def test_the_translators_own_translation(self) -> None:
        made = trace(TRANSLATOR, "ein Hund rennt")
        translation = TRANSLATOR.translate("ein Hund rennt")
        assert (made.text, made.flags) == (translation.text, translation.flags)
        assert made.hypothesis == translation.alternatives[0]
        assert [expansion.step for expansion in made.search] == list(range(len(made.search)))
        assert made.provenance.search == TRANSLATOR.config.model_validate(TRANSLATOR.config.model_dump())

    def test_or_the_given_one(self) -> None:
        (scored,) = TRANSLATOR.score(["ein Hund"], ["a dog"])
        assert FULL.hypothesis.token_log_probabilities == scored.token_log_probabilities
        assert (FULL.search, FULL.provenance.search) == ((), None)
        assert trace(TRANSLATOR, "ein Hund", target="").tokens.predicted_pieces == ("</s>",)

    def test_nothing_of_it_can_be_changed(self) -> None:
        with pytest.raises(FrozenInstanceError):
            FULL.text = "x"  # type: ignore[misc]
        with pytest.raises(TypeError):
            FULL.arrays[SITE] = FULL[SITE]  # type: ignore[index]
        for array in (FULL[SITE], FULL.predictions.entropy):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0

    def test_steps_are_summed_up(self) -> None:
        made = FULL.predictions
        every = FULL["log_probabilities"]
        assert made.top_ids.shape == (3, 13)  # the whole vocabulary, being under 50
        np.testing.assert_array_equal(np.sort(made.top_ids, axis=-1), np.tile(np.arange(13), (3, 1)))
        assert (np.diff(made.top_log_probabilities) <= 0).all()
        np.testing.assert_allclose(made.entropy, -(np.exp(every) * every).sum(-1), rtol=1e-12)
        np.testing.assert_allclose(FULL["logits"] - made.log_sum_exp[:, None], every, rtol=1e-12)
        ranked = made.top_ids[np.arange(3), made.target_rank]
        assert tuple(ranked) == FULL.tokens.predicted_ids

    def test_of_a_large_vocabulary_the_best_fifty(self) -> None:
        made = trace(make_translator(BytesTokenizer()), "ab", target="c").predictions
        assert made.top_ids.shape == (2, 50)

    def test_an_array_with_two_names_is_counted_once(self) -> None:
        assert FULL["encoder.0.input"] is FULL["source.input"]
        distinct = {id(array): array.nbytes for array in FULL.arrays.values()}
        summary = sum(array.nbytes for array in FULL.predictions.arrays().values())
        assert FULL.nbytes == sum(distinct.values()) + summary

    def test_its_repr_is_short(self) -> None:
        assert repr(FULL).startswith("<Trace 'ein Hund' → 'a dog': 3 source and 3 target positions, level full, ")


class TestLevels:
    def test_keep_more_and_more(self) -> None:
        tokens, attention = (trace(TRANSLATOR, "ein Hund", target="a dog", level=n) for n in ("tokens", "attention"))
        assert tuple(tokens.arrays) == ()
        assert all(site.endswith("attention.weights") for site in attention.arrays)
        assert len(attention.arrays) == 1 + 2 * 2
        assert tuple(FULL.arrays) == FULL.sites == all_sites(TRANSLATOR.model.config)
        assert tokens.nbytes < attention.nbytes < FULL.nbytes

    @pytest.mark.parametrize("level", ["tokens", "attention"])
    def test_what_is_not_kept_is_computed_again_and_equal(self, level: str) -> None:
        small = trace(TRANSLATOR, "ein Hund", target="a dog", level=level)
        for site in FULL.sites[::7]:
            np.testing.assert_array_equal(small[site], FULL[site], err_msg=site)
        assert small.at_level("full") == FULL
        assert FULL.at_level(level) == small
        assert small.check().passed

    def test_but_not_after_the_weights_changed(self) -> None:
        translator = make_translator()
        small = trace(translator, "ein", target="a", level="tokens")
        with torch.no_grad():
            next(translator.model.parameters()).mul_(1.01)
        with pytest.raises(IncompatibleModelError, match="weights of the model have changed"):
            small["logits"]

    def test_an_unknown_one_is_refused(self) -> None:
        with pytest.raises(RequestError, match=r"level = 'all'; allowed are 'tokens', 'attention', 'full'"):
            trace(TRANSLATOR, "ein", level="all")


class TestSites:
    def test_near_ones_are_named(self) -> None:
        with pytest.raises(RequestError, match=r"did you mean 'decoder\.1\.cross_attention\.weights'"):
            FULL["decoder.1.cross_atention.weights"]
        with pytest.raises(RequestError, match=r"its decoder layers are 0 to 1"):
            FULL["decoder.2.cross_attention.weights"]
        with pytest.raises(RequestError, match=r"the names are in trace\.sites"):
            FULL["?"]

    def test_membership(self) -> None:
        assert SITE in FULL
        assert "decoder.7.input" not in FULL


class TestRefusals:
    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("  ", "the text is blank"),
            ("ein " * 40, r"more than 28 pieces .* 2 parts.* shorten it, or give its sentences one by one$"),
            (7, "text is of type int"),
        ],
    )
    def test_of_texts(self, text: str, told: str) -> None:
        with pytest.raises(RequestError, match=told):
            make_trace(TRANSLATOR, text)

    def test_the_remedy_for_a_long_text_is_one_that_helps(self) -> None:
        """A setting is named only where it is what holds the text back."""
        narrow = TRANSLATOR.with_settings(max_input_length=5)
        with pytest.raises(RequestError, match=r"more than 5 pieces.*--set max_input_length=28 .* accepts up to 28"):
            make_trace(narrow, "ein " * 7)

    def test_of_a_text_with_half_a_character(self) -> None:
        with pytest.raises(RequestError, match="surrogate"):
            make_trace(make_translator(BytesTokenizer()), "a\ud800")

    def test_of_targets(self) -> None:
        with pytest.raises(RequestError, match="target is of type int"):
            make_trace(TRANSLATOR, "ein", target=3)  # type: ignore[arg-type]
        with pytest.raises(RequestError, match="41 tokens, and the model has 29 positions"):
            make_trace(TRANSLATOR, "ein", target="a " * 40)

    def test_of_an_ensemble(self) -> None:
        both = Translator([TRANSLATOR.model, make_model(TRANSLATOR.tokenizer)], TRANSLATOR.tokenizer)
        with pytest.raises(RequestError, match="ensemble of 2"):
            make_trace(both, "ein")

    def test_of_a_model_in_training(self) -> None:
        translator = make_translator()
        translator.model.train()
        with pytest.raises(ValueError, match=r"model\.eval\(\)"):
            make_trace(translator, "ein", target="a")


class TestProvenance:
    def test_of_a_model_folder(self, tmp_path: Path) -> None:
        tokenizer = BytesTokenizer()
        model = make_model(tokenizer).float()
        save_model(tmp_path / "m", model, facts={"step": 70})
        found = pellucid.trace(pellucid.load(tmp_path / "m"), "ein", target="a").provenance
        description = read_description(tmp_path / "m")
        assert found.weights_sha256 == description.files[description.weights]
        assert (found.model_folder, found.step) == (str(tmp_path / "m"), 70)
        assert (found.dtype, found.device) == ("float32", "cpu")
        assert (found.source_language, found.target_language) == ("de", "en")
        assert found.tokenizer_fingerprint == tokenizer.fingerprint
        assert found.configuration == description.model
        assert found.libraries.keys() == {"pellucid", "torch", "numpy", "python"}

    def test_of_a_model_in_memory_changes_with_its_weights(self) -> None:
        translator = make_translator()
        before = trace(translator, "ein", target="a").provenance
        assert (before.model_folder, before.step) == (None, None)
        with torch.no_grad():
            next(translator.model.parameters()).mul_(2)
        assert trace(translator, "ein", target="a").provenance.weights_sha256 != before.weights_sha256


SIDES = {"source_pieces": ["▁x", "y", "</s>"], "fed_pieces": ["<s>", "▁u"], "predicted_pieces": ["▁u", "</s>"]}


class TestArraysOfOthers:
    def test_make_a_trace(self) -> None:
        weights = np.full((5, 2, 3), 1 / 3)
        made = Trace.from_arrays(**SIDES, attention={"decoder.0.cross_attention.weights": weights})
        assert (made.source, made.text) == ("xy", "u")
        assert made.sites == ("decoder.0.cross_attention.weights",)
        assert made.labels(made.sites[0]).predicts == ("▁u", "</s>")
        assert made.check().passed
        weights[0] = 7  # theirs; ours is a copy
        assert made.check().passed

    def test_with_rows_that_are_no_attention_are_told(self) -> None:
        made = Trace.from_arrays(**SIDES, attention={"decoder.0.self_attention.weights": np.full((5, 2, 2), 0.6)})
        assert {failure.name for failure in made.check().failures} == {"rows sum to 1", "future unseen"}

    @pytest.mark.parametrize(
        ("site", "shape", "told"),
        [
            ("decoder.0.cross_attention.weights", (5, 3, 2), r"require \[heads, 2, 3\]"),
            ("decoder.0.cross_attention.weights", (2, 3), r"require \[heads, 2, 3\]"),
            ("decoder.0.cross", (5, 2, 3), "not a site of attention weights"),
        ],
    )
    def test_that_do_not_fit_are_refused(self, site: str, shape: tuple[int, ...], told: str) -> None:
        with pytest.raises(RequestError, match=told):
            Trace.from_arrays(**SIDES, attention={site: np.ones(shape)})

    def test_rows_need_both_labels(self) -> None:
        with pytest.raises(RequestError, match="2 pieces fed and 1 predicted"):
            Trace.from_arrays(**SIDES | {"predicted_pieces": ["▁u"]}, attention={})


class TestHeadShares:
    def test_add_up_to_the_output(self) -> None:
        for place in ("encoder.0.self_attention", "decoder.1.cross_attention"):
            shares = FULL.head_shares(place)
            assert shares.vectors.shape == (3, 3, 18)
            np.testing.assert_allclose(shares.total, FULL[f"{place}.output"], rtol=0, atol=1e-12)
            np.testing.assert_allclose(shares.norms**2, (shares.vectors**2).sum(-1), rtol=1e-12)

    def test_of_what_is_no_attention_are_refused(self) -> None:
        with pytest.raises(RequestError, match=r"name one like 'decoder\.1\.cross_attention'"):
            FULL.head_shares("encoder.0.feed_forward")
