"""A trace is the truth: every site equals the independent NumPy pass, the identities hold, edits act as said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from pellucid.analysis.equations import rules_of
from pellucid.config import ModelConfig, TranslationConfig
from pellucid.jobs.surface import Trace, trace
from pellucid.tracing.editing.text import Edit
from pellucid.tracing.edits import AblateHead, SetAttention, ZeroValue
from pellucid.translation.translator import Translator

from .numpy_transformer import NumpyTransformer
from .test_numpy_forward import VARIANTS, make, shape_of

TEXT, TARGET = "5 9 17 5 11", "23 7 7 13"  # six source and five target positions, the ends included
Change = Callable[[np.ndarray], np.ndarray]


class Numbers:
    """A tokenizer for any vocabulary: the pieces are the ids, as text."""

    fingerprint = "numbers"

    def __init__(self, config: ModelConfig) -> None:
        self.specials = config.specials
        self.source_vocab_size, self.target_vocab_size = config.source_vocab_size, config.target_vocab_size

    source_tags = ()
    default_tag = ""

    def split_tag(self, text: str) -> tuple[str, str]:
        return "", text

    def encode_source(self, texts: Sequence[str]) -> list[list[int]]:
        return [[int(word) for word in text.split()] for text in texts]

    encode_target = encode_source

    def decode_target(self, ids: Sequence[Sequence[int]]) -> list[str]:
        return [" ".join(map(str, row)) for row in ids]

    def source_pieces(self, ids: Sequence[int]) -> list[str]:
        return [f"\u2581{i}" for i in ids]

    target_pieces = source_pieces

    def source_id(self, piece: str) -> int | None:
        return int(piece[1:])

    target_id = source_id

    def save(self, folder: Path) -> list[str]:
        raise NotImplementedError


def translator_of(name: str, dtype: torch.dtype = torch.float64) -> Translator:
    model = make(VARIANTS[name]).to(dtype)
    config = TranslationConfig(beam_size=3, max_length_factor=1e-9, max_length_constant=7)
    return Translator(model, Numbers(model.config), config=config)


def numpy_sites(translator: Translator, made: Trace, changes: dict[str, Change] | None = None) -> dict[str, np.ndarray]:
    model = translator.model
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    reference = NumpyTransformer(weights, shape_of(model.config), changes or {})
    source, fed = np.array([made.tokens.source_ids]), np.array([made.tokens.fed_ids])
    sites = reference.run(source, fed, np.ones(source.shape, bool), np.ones(fed.shape, bool))
    return {site: value[0] for site, value in sites.items()}


def assert_same(made: Trace, theirs: dict[str, np.ndarray]) -> None:
    assert set(made.arrays) == set(theirs)
    for site, value in theirs.items():
        assert made[site].shape == value.shape, site
        np.testing.assert_allclose(made[site], value, rtol=1e-10, atol=1e-10, err_msg=site)


@pytest.mark.parametrize("target", [None, TARGET, ""], ids=["searched", "given", "the end alone"])
@pytest.mark.parametrize("name", VARIANTS)
def test_every_site_is_the_independent_pass_and_every_identity_holds(name: str, target: str | None) -> None:
    translator = translator_of(name)
    made = trace(translator, TEXT, target=target)
    assert_same(made, numpy_sites(translator, made))
    report = made.check()
    assert report.passed, str(report)
    assert {skipped.name for skipped in report.skipped} <= ({"hypothesis"} if target is not None else set())


@pytest.mark.parametrize("name", VARIANTS)
def test_every_site_has_one_rule_in_the_order_of_the_pass(name: str) -> None:
    made = trace(translator_of(name), TEXT, target=TARGET)
    config = made.provenance.configuration
    assert config is not None
    rules = list(rules_of(config, made.tokens))
    assert tuple(rule.site for rule in rules) == made.sites == tuple(made.arrays)
    known: set[str] = set()
    for rule in rules:
        assert known.issuperset(rule.inputs), rule.site
        known.add(rule.site)


class TestSinglePrecision:
    """What people use: nothing changes because somebody looks."""

    @pytest.mark.parametrize("name", ["paper", "pre-norm, deep encoder"])
    def test_identities_hold(self, name: str) -> None:
        report = trace(translator_of(name, torch.float32), TEXT).check()
        assert report.passed, str(report)

    def test_the_unwatched_pass_gives_these_logits(self) -> None:
        translator = translator_of("paper", torch.float32)
        made = trace(translator, TEXT)
        with torch.inference_mode():
            fused = translator.model(torch.tensor([made.tokens.source_ids]), torch.tensor([made.tokens.fed_ids]))
        np.testing.assert_allclose(fused[0].numpy(), made["logits"], rtol=0, atol=1e-5)

    def test_twice_is_the_same_to_the_bit_and_changes_no_translation(self) -> None:
        translator = translator_of("paper", torch.float32)
        before = translator.translate(TEXT)
        first, second = trace(translator, TEXT), trace(translator, TEXT)
        assert first == second
        assert translator.translate(TEXT) == before

    def test_half_precision_is_stored_as_single_and_holds_together(self) -> None:
        made = trace(translator_of("paper", torch.bfloat16), TEXT, target=TARGET)
        assert (made["logits"].dtype, made.provenance.dtype) == (np.float32, "bfloat16")
        equations = [failure for failure in made.check().failures if failure.name != "hypothesis"]
        assert not equations


def without_head(head: int) -> Change:
    def change(context: np.ndarray) -> np.ndarray:
        edited = context.copy()
        edited[:, head] = 0
        return edited

    return change


def mean_over_positions(context: np.ndarray) -> np.ndarray:
    edited = context.copy()
    edited[:, 2] = context[:, 2].mean(1, keepdims=True)
    return edited


def mean_so_far(context: np.ndarray) -> np.ndarray:
    edited = context.copy()
    for time in range(context.shape[2]):
        edited[:, 1, time] = context[:, 1, : time + 1].mean(1)
    return edited


def row_rewritten(weights: np.ndarray) -> np.ndarray:
    edited = weights.copy()
    edited[0, 1, 3] = [0, 0.25, 0, 0.75, 0, 0]
    return edited


def third_silent(values: np.ndarray) -> np.ndarray:
    edited = values.copy()
    edited[0, :, 2, :] = 0
    return edited


EDITS: dict[str, tuple[Edit, dict[str, Change]]] = {
    "zero": (
        AblateHead("decoder.cross_attention", 1, 0),
        {"decoder.1.cross_attention.context": without_head(0)},
    ),
    "mean in the encoder": (
        AblateHead("encoder.self_attention", 0, 2, "mean"),
        {"encoder.0.self_attention.context": mean_over_positions},
    ),
    "mean in the decoder": (
        AblateHead("decoder.self_attention", 0, 1, "mean"),
        {"decoder.0.self_attention.context": mean_so_far},
    ),
    "attention": (
        SetAttention("decoder.cross_attention", 0, 1, 3, (0, 0.25, 0, 0.75, 0, 0)),
        {"decoder.0.cross_attention.weights": row_rewritten},
    ),
    "value": (
        ZeroValue(2),
        {f"decoder.{layer}.cross_attention.values": third_silent for layer in range(3)},
    ),
}


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("variant", ["paper", "swish, t2t, pre-norm"])
def test_an_edit_acts_as_in_the_independent_pass(variant: str, name: str) -> None:
    translator = translator_of(variant)
    edit, changes = EDITS[name]
    plain, made = trace(translator, TEXT, target=TARGET), trace(translator, TEXT, target=TARGET, edits=[edit])
    changes = {site: change for site, change in changes.items() if site in made.sites}
    assert_same(made, numpy_sites(translator, made, changes))
    assert not np.allclose(made["logits"], plain["logits"]), "the edit had no effect"
    report = made.check()
    assert report.passed, str(report)
    assert {skipped.site for skipped in report.skipped} == {*changes, "score"}


class TestEditsThatMustDoLittle:
    translator = translator_of("paper")
    plain = trace(translator, TEXT, target=TARGET)

    def edited(self, *edits: Edit) -> Trace:
        return trace(self.translator, TEXT, target=TARGET, edits=edits)

    @pytest.mark.parametrize("kind", ["encoder.self_attention", "decoder.self_attention", "decoder.cross_attention"])
    def test_without_all_its_heads_a_sublayer_gives_its_bias(self, kind: str) -> None:
        made = self.edited(*(AblateHead(kind, 1, head) for head in range(3)))
        place = kind.replace(".", ".1.")
        bias = self.translator.model.get_parameter(f"{place.replace('.1.', '.layers.1.')}.output.bias")
        output = made[f"{place}.output"]
        np.testing.assert_array_equal(output, np.tile(bias.detach().numpy(), (len(output), 1)))

    def test_attention_set_to_what_it_was_changes_no_bit(self) -> None:
        for kind, row in (("encoder.self_attention", 5), ("decoder.self_attention", 2), ("decoder.cross_attention", 0)):
            weights = self.plain[f"{kind.replace('.', '.1.')}.weights"]
            made = self.edited(SetAttention(kind, 1, 2, row, tuple(weights[2, row])))
            np.testing.assert_array_equal(made["logits"], self.plain["logits"])

    @pytest.mark.parametrize("kind", ["encoder.self_attention", "decoder.self_attention", "decoder.cross_attention"])
    def test_the_mean_of_a_constant_head_is_itself(self, kind: str) -> None:
        translator = translator_of("paper")
        place = kind.replace(".", ".layers.1.")
        with torch.no_grad():
            translator.model.get_parameter(f"{place}.values.weight")[6:12] = 0  # head 1 of 3, 6 wide: its bias is left
        plain, made = (
            trace(translator, TEXT, target=TARGET, edits=edits) for edits in ([], [AblateHead(kind, 1, 1, "mean")])
        )
        np.testing.assert_allclose(made["logits"], plain["logits"], rtol=0, atol=1e-12)

    def test_the_mean_of_a_decoder_head_knows_nothing_of_later_pieces(self) -> None:
        edits = [
            AblateHead("decoder.self_attention", 0, 1, "mean"),
            AblateHead("decoder.cross_attention", 1, 0, "mean"),
        ]
        one, other = (trace(self.translator, TEXT, target=target, edits=edits) for target in ("23 7 7", "23 7 29"))
        # Rows 0 to 2 were fed the start, 23 and 7; row 3 was fed what differs.
        np.testing.assert_array_equal(one["logits"][:3], other["logits"][:3])
        assert not np.allclose(one["logits"][3], other["logits"][3])

    def test_edits_come_back_at_every_level(self) -> None:
        edit = EDITS["mean in the decoder"][0]
        small = trace(self.translator, TEXT, target=TARGET, edits=[edit], level="tokens")
        assert small.at_level("full") == self.edited(edit)
