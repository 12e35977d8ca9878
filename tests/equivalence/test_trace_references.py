"""Whole traces against what we trust, in float64: on the model that ships and on random ones of every shape.

``test_trace.py`` holds random models against the independent NumPy pass. Here that pass meets the model that ships and
every combination of switches; ``torch.nn`` and the decoding with a cache meet both kinds of model.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from pellucid.analysis.atlas import head_table
from pellucid.bundle import load_bundle
from pellucid.jobs.models import translator_of
from pellucid.jobs.serve import walkthrough_folder
from pellucid.jobs.surface import Trace, trace
from pellucid.tracing.editing.text import Edit
from pellucid.tracing.edits import AblateHead, SetAttention, ZeroValue
from pellucid.tracing.forced_pass import forced_pass
from pellucid.translation.translator import Translator

from .test_numpy_forward import VARIANTS, Tape, inputs, make
from .test_trace import TARGET, TEXT, Numbers, assert_same, numpy_sites
from .torch_layers import torch_attention, torch_layer

SENTENCES = (
    "The animal didn't cross the street because it was too tired.",
    "The animal didn't cross the street because it was too wide.",
    "I am a student.",
)
SHIPPED = "the model that ships"
MODELS = [SHIPPED, *VARIANTS]


def shipped(dtype: torch.dtype = torch.float64, **settings: object) -> Translator:
    bundle = load_bundle(walkthrough_folder())
    bundle.model.to(dtype)
    return translator_of(bundle, settings=[f"{name}={value}" for name, value in settings.items()])


@cache
def traced(name: str) -> tuple[Translator, Trace]:
    if name == SHIPPED:
        translator = shipped()
        return translator, trace(translator, SENTENCES[0])
    model = make(VARIANTS[name])
    translator = Translator(model, Numbers(model.config))
    return translator, trace(translator, TEXT, target=TARGET)


class TestTheModelThatShips:
    """What a new user sees first."""

    @pytest.mark.parametrize("text", SENTENCES)
    def test_every_site_is_the_independent_pass_and_every_identity_holds(self, text: str) -> None:
        translator = traced(SHIPPED)[0]
        made = trace(translator, text)
        assert_same(made, numpy_sites(translator, made))
        report = made.check()
        assert report.passed, str(report)
        assert report.skipped == ()

    def test_what_the_independent_pass_finds_most_probable_is_the_translation(self) -> None:
        translator = shipped(beam_size=1)
        for text in SENTENCES:
            made = trace(translator, text)
            best = numpy_sites(translator, made)["log_probabilities"].argmax(-1)
            assert tuple(best) == made.tokens.predicted_ids

    # Of bfloat16 an error of 2^-9 a number adds up over twelve layers; at the logits 2e-2 is kept.
    @pytest.mark.parametrize(("dtype", "allowed"), [(torch.float32, 1e-5), (torch.bfloat16, 5e-2)])
    def test_in_other_formats_every_site_is_near_it(self, dtype: torch.dtype, allowed: float) -> None:
        exact = traced(SHIPPED)[0]
        made = trace(shipped(dtype), SENTENCES[2], target=trace(exact, SENTENCES[2]).text)
        far = {
            site: np.abs(made[site].astype(float) - value).max() / np.abs(value).max()
            for site, value in numpy_sites(exact, made).items()
        }
        site = max(far, key=far.__getitem__)
        assert far[site] <= allowed, site
        assert far["logits"] <= min(allowed, 2e-2)

    def test_as_people_open_it_every_identity_holds(self) -> None:
        report = trace(shipped(torch.float32), SENTENCES[0]).check()
        assert report.passed, str(report)
        assert report.skipped == ()

    @pytest.mark.parametrize(
        "edit",
        [
            AblateHead("encoder.self_attention", 5, 7),
            AblateHead("decoder.self_attention", 4, 3, "mean"),
            SetAttention("decoder.cross_attention", 5, 0, 2, (0.25, 0.75)),
            ZeroValue(2),
        ],
        ids=lambda edit: type(edit).__name__,
    )
    def test_an_edit_acts_as_in_the_independent_pass(self, edit: Edit) -> None:
        translator, plain = traced(SHIPPED)
        if isinstance(edit, SetAttention):  # of the first and the last piece, however many there are
            between = (0.0,) * (len(plain.tokens.source_pieces) - 2)
            edit = replace(edit, weights=(edit.weights[0], *between, edit.weights[1]))

        def change(value: np.ndarray) -> np.ndarray:
            edited = value.copy()
            if isinstance(edit, ZeroValue):
                edited[:, :, edit.position] = 0
            elif isinstance(edit, SetAttention):
                edited[:, edit.head, edit.row] = edit.weights
            elif edit.mode == "zero":
                edited[:, edit.head] = 0
            else:
                seen = np.arange(1, value.shape[2] + 1)[:, None]
                edited[:, edit.head] = value[:, edit.head].cumsum(1) / seen
            return edited

        made = trace(translator, SENTENCES[0], target=plain.text, edits=[edit])
        sites = edit.sites(translator.model.config)
        assert_same(made, numpy_sites(translator, made, dict.fromkeys(sites, change)))
        assert not np.allclose(made["logits"], plain["logits"]), "the edit had no effect"

    def test_to_force_what_it_chose_itself_changes_no_bit(self) -> None:
        translator, found = traced(SHIPPED)
        forced = trace(translator, SENTENCES[0], target=found.text)
        assert forced.tokens == found.tokens
        assert all(np.array_equal(forced[site], found[site]) for site in found.sites)


COMBINATIONS = list(
    itertools.product(
        ["post", "pre"],
        ["interleaved", "half_split_paper_frequency", "half_split_t2t", "learned"],
        [
            {},
            {"share_embeddings": False, "target_vocab_size": 37},
            {"share_embeddings": False, "share_decoder_embeddings": False, "target_vocab_size": 29},
        ],
    )
)


@pytest.mark.parametrize("number", range(len(COMBINATIONS)))
def test_norm_order_positions_and_tables_in_every_combination(number: int) -> None:
    order, layout, tables = COMBINATIONS[number]
    activations, starts = ["relu", "gelu", "swish"], ["bos", "pad", "zero_vector"]
    model = make(
        {
            "norm_order": order,
            "position_layout": layout,
            **tables,
            # The rest by turns, each in its own measure.
            "activation": activations[(number // 2) % 3],
            "decoder_start": starts[(number // 3) % 3],
            "output_bias": number % 5 < 2,
            "scale_embeddings": number % 7 > 2,
            "zero_padding_row": number % 2 == 0,
            "position_offset": number % 4,
            "num_encoder_layers": 1 + number % 3,
            "num_decoder_layers": 3 - number % 3,
            "layer_norm_epsilon": 10.0 ** -(2 + number % 5),
            "specials": {"pad": 28, "unk": 1, "bos": 0, "eos": 0} if number % 3 == 1 else {},
        }
    )
    translator = Translator(model, Numbers(model.config))
    made = trace(translator, TEXT, target=TARGET)
    assert_same(made, numpy_sites(translator, made))
    report = made.check()
    assert report.passed, str(report)


def entries(made: Trace, place: str) -> tuple[torch.Tensor, torch.Tensor]:
    """What an attention reads: its own side and the side that it looks at, [1, time, d_model]."""
    stack, layer, name = place.split(".")
    config = made.provenance.configuration
    assert config is not None
    if config.norm_order == "pre":
        own = f"{stack}.{layer}.{name}_norm"
    else:
        own = f"{stack}.{layer}.{'input' if name == 'self_attention' else 'self_attention_norm'}"
    other = "encoder.output" if name == "cross_attention" else own
    return torch.tensor(made[own])[None], torch.tensor(made[other])[None]


@pytest.mark.parametrize("name", MODELS)
class TestTorch:
    """``torch.nn`` with our weights, fed what the trace says went in."""

    def test_weights_and_output_of_every_attention_are_its(self, name: str) -> None:
        translator, made = traced(name)
        places = [site.removesuffix(".weights") for site in made.sites if site.endswith("attention.weights")]
        for place in places:
            stack, layer, attention = place.split(".")
            theirs = torch_attention(translator.model.get_submodule(f"{stack}.layers.{layer}.{attention}"))
            own, other = entries(made, place)
            blocked = ~torch.tensor(made[f"{place}.may_attend"])
            with torch.no_grad():
                output, weights = theirs(own, other, other, attn_mask=blocked, average_attn_weights=False)
            np.testing.assert_allclose(made[f"{place}.weights"], weights[0], rtol=0, atol=1e-10, err_msg=place)
            np.testing.assert_allclose(made[f"{place}.output"], output[0], rtol=1e-10, atol=1e-10, err_msg=place)
        config = translator.model.config
        assert len(places) == config.num_encoder_layers + 2 * config.num_decoder_layers

    def test_every_layer_is_its(self, name: str) -> None:
        translator, made = traced(name)
        config = translator.model.config
        last = "feed_forward_residual" if config.norm_order == "pre" else "feed_forward_norm"
        memory = torch.tensor(made["encoder.output"])[None]
        time = made.tokens.target_length
        later = torch.ones(time, time, dtype=torch.bool).triu(1)
        for stack in ("encoder", "decoder"):
            for index, ours in enumerate(translator.model.get_submodule(f"{stack}.layers").children()):
                theirs = torch_layer(ours, config)
                hidden = torch.tensor(made[f"{stack}.{index}.input"])[None]
                with torch.no_grad():
                    found = theirs(hidden, memory, tgt_mask=later) if stack == "decoder" else theirs(hidden)
                np.testing.assert_allclose(
                    made[f"{stack}.{index}.{last}"], found[0], rtol=1e-10, atol=1e-10, err_msg=f"{stack}.{index}"
                )


@pytest.mark.parametrize("name", MODELS)
class TestDecodingWithACache:
    """What a translation is really written with shows the same numbers as the trace of the whole pass."""

    def test_its_steps_are_the_rows_of_the_trace(self, name: str) -> None:
        translator, made = traced(name)
        model = translator.model
        with torch.no_grad():
            cache = model.start_cache(model.encode(torch.tensor([made.tokens.source_ids])))
            kept = cache.cross.keys_values.clone()
            steps = [model.decode_step(torch.tensor([i]), cache)[0].numpy() for i in made.tokens.fed_ids]
        np.testing.assert_allclose(np.stack(steps), made["logits"], rtol=1e-10, atol=1e-10)
        assert torch.equal(cache.cross.keys_values, kept)
        for layer in range(model.config.num_decoder_layers):
            for side, role in enumerate(("keys", "values")):
                wanted = made[f"decoder.{layer}.cross_attention.{role}"]
                np.testing.assert_allclose(kept[0, layer, side].numpy(), wanted, rtol=1e-10, atol=1e-10)

    def test_every_hypothesis_of_a_beam_has_the_score_of_its_forced_pass(self, name: str) -> None:
        translator, made = traced(name)
        found = translator.translate(made.source, beam_size=3, n_best=3).alternatives
        assert len(found) == 3
        for hypothesis in found:
            fed = (translator.model.start_id, *hypothesis.ids[:-1])
            every = forced_pass(translator.model, made.tokens.source_ids, fed)["log_probabilities"]
            chosen = every[np.arange(len(fed)), list(hypothesis.ids)]
            np.testing.assert_allclose(hypothesis.token_log_probabilities, chosen, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_sentence_in_a_padded_batch_has_the_trace_that_it_has_alone(name: str) -> None:
    model = traced(name)[0].model
    source, target, source_mask, target_mask = inputs(model)
    tape = Tape()
    with torch.no_grad():
        model(source, target, source_mask=source_mask, target_mask=target_mask, recorder=tape)
    for row in (0, 1):
        sizes = int(source_mask[row].sum()), int(target_mask[row].sum())
        alone = forced_pass(model, source[row, : sizes[0]].tolist(), target[row, : sizes[1]].tolist())
        assert alone.keys() == tape.sites.keys()
        for site, value in alone.items():
            among = tape.sites[site][row][tuple(slice(length) for length in value.shape)]
            np.testing.assert_allclose(among, value, rtol=1e-10, atol=1e-10, err_msg=site)


def test_dropout_of_a_model_leaves_no_mark_on_its_trace() -> None:
    rates = {"dropout": 0.5, "attention_dropout": 0.5, "activation_dropout": 0.5}
    models = [make(changes) for changes in ({}, rates)]
    plain, dropping = (trace(Translator(model, Numbers(model.config)), TEXT, target=TARGET) for model in models)
    for site in plain.sites:
        np.testing.assert_array_equal(dropping[site], plain[site], err_msg=site)


@torch.no_grad()
def test_heads_that_were_built_by_hand_get_their_labels() -> None:
    """Positions are axes of their own, so W_Q and W_K can say in so many words where a head looks."""
    positions, eos_axis, sharp = 11, 12, 100.0
    model = make({"d_model": 33, "position_layout": "learned", "num_decoder_layers": 1, "num_encoder_layers": 1})
    for name, parameter in model.named_parameters():
        parameter.fill_(float(name.endswith("norm.weight")))
    for stack in (model.encoder, model.decoder):
        stack.input.positions.table[:, :positions] = torch.eye(positions)
    model.source_embedding.weight[model.config.specials.eos, eos_axis] = 1
    own = torch.eye(positions)
    earlier = own.roll(1, 1).triu(1)  # position t asks for t - 1, the first for none
    for stack in (model.encoder, model.decoder):
        attention = stack.layers[0].self_attention
        for head, asked in enumerate((earlier, own)):
            axes = slice(head * positions, (head + 1) * positions)
            attention.queries.weight[axes, :positions] = sharp * asked
            attention.keys.weight[axes, :positions] = own
    for attention, head in ((model.encoder.layers[0].self_attention, 2), (model.decoder.layers[0].cross_attention, 1)):
        attention.queries.bias[head * positions] = sharp
        attention.keys.weight[head * positions, eos_axis] = 1
    found = head_table(trace(Translator(model, Numbers(model.config)), TEXT, target=TARGET))
    labels = {kind: [head["label"] for head in table["heads"][0]] for kind, table in found.items()}  # type: ignore[index]
    assert labels == {
        "encoder.self_attention": ["previous token", "same token", "end of sentence"],
        "decoder.self_attention": ["previous token", "same token", ""],
        "decoder.cross_attention": ["", "end of sentence", ""],
    }
