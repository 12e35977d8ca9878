"""Our beam search against that of transformers, over the same random Marian model.

Equal conditions, and why: the length penalty of transformers is |y|^alpha with the end counted (``average``);
``early_stopping=True`` is our rule ``full`` and ``"never"`` our rule ``exact``; padding is forbidden to
both; the end is not forced at the maximum length. There the two differ on purpose (transformers then takes
unfinished hypotheses for finished ones), so the end has a bias that lets every search end before.
"""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING

import pytest
import torch

from pellucid.config import ModelConfig, SpecialIds, TranslationConfig
from pellucid.model.transformer import Transformer
from pellucid.translation.beam import StopRule, beam_search
from pellucid.translation.constraints import Constraints
from pellucid.translation.greedy import greedy_search
from pellucid.translation.stepper import ModelStepper

if TYPE_CHECKING:
    from transformers import MarianMTModel

VOCAB, EOS, UNK, PAD = 53, 0, 1, 52
MAX_LENGTH = 40
RENAMED = [
    (r"^model\.shared\.weight$", "source_embedding.weight"),
    (r"^model\.(encoder|decoder)\.layers\.(\d+)\.", r"\1.layers.\2."),
    (r"\.encoder_attn", ".cross_attention"),
    (r"\.self_attn", ".self_attention"),
    (r"_layer_norm\.", "_norm."),
    (r"\.final_norm\.", ".feed_forward_norm."),
    (r"\.q_proj\.", ".queries."),
    (r"\.k_proj\.", ".keys."),
    (r"\.v_proj\.", ".values."),
    (r"\.out_proj\.", ".output."),
    (r"\.fc1\.", ".feed_forward.inner."),
    (r"\.fc2\.", ".feed_forward.outer."),
]


def random_marian(seed: int, end_bias: float) -> MarianMTModel:
    with warnings.catch_warnings():  # of its dependencies; and collecting the tests need not take the seconds
        warnings.simplefilter("ignore")
        from transformers import MarianConfig, MarianMTModel

    torch.manual_seed(seed)
    config = MarianConfig(
        vocab_size=VOCAB,
        d_model=22,
        encoder_layers=2,
        decoder_layers=3,
        encoder_attention_heads=11,
        decoder_attention_heads=11,
        encoder_ffn_dim=29,
        decoder_ffn_dim=29,
        activation_function="swish",
        scale_embedding=True,
        max_position_embeddings=64,
        init_std=0.3,
        pad_token_id=PAD,
        decoder_start_token_id=PAD,
        eos_token_id=EOS,
        bos_token_id=EOS,
        forced_eos_token_id=None,
    )
    model = MarianMTModel(config).double().eval()
    with torch.no_grad():
        model.final_logits_bias[0] = torch.randn(VOCAB)
        model.final_logits_bias[0, EOS] = end_bias
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.3)
    return model


def our_copy(marian: MarianMTModel) -> Transformer:
    model = Transformer(
        ModelConfig(
            d_model=22,
            num_heads=11,
            d_feedforward=29,
            num_encoder_layers=2,
            num_decoder_layers=3,
            activation="swish",
            position_layout="half_split_paper_frequency",
            max_positions=64,
            output_bias=True,
            zero_padding_row=False,
            decoder_start="pad",
            source_vocab_size=VOCAB,
            target_vocab_size=VOCAB,
            specials=SpecialIds(pad=PAD, unk=UNK, bos=EOS, eos=EOS),
        )
    ).double()
    weights = {"projection.bias": marian.final_logits_bias[0]}
    for name, value in marian.state_dict().items():
        if "embed_" in name or name in {"lm_head.weight", "final_logits_bias"}:
            continue
        for pattern, replacement in RENAMED:
            name = re.sub(pattern, replacement, name)
        weights[name] = value
    model.load_state_dict(weights)
    # Theirs is rounded to float32 before it becomes float64.
    model.encoder.input.positions.table.copy_(marian.model.encoder.embed_positions.weight)
    model.decoder.input.positions.table.copy_(marian.model.decoder.embed_positions.weight)
    return model.eval()


def random_sources(seed: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    lengths = (3, 7, 1, 5, 11)
    return [[*torch.randint(2, PAD, (n,), generator=generator).tolist(), EOS] for n in lengths]


def theirs(model: MarianMTModel, sources: list[list[int]], **settings: object) -> list[list[int]]:
    width = max(map(len, sources))
    ids = torch.tensor([[*row, *[PAD] * (width - len(row))] for row in sources])
    generated = model.generate(
        input_ids=ids,
        attention_mask=(torch.arange(width) < torch.tensor([len(row) for row in sources])[:, None]).long(),
        max_length=MAX_LENGTH + 1,  # they count the start
        bad_words_ids=[[PAD]],
        do_sample=False,
        **settings,
    )
    rows = [row[1:] for row in generated.tolist()]
    return [row[: row.index(EOS) + 1] if EOS in row else row for row in rows]


def ours(config: TranslationConfig) -> TranslationConfig:
    limits = {"max_length_factor": 1e-9, "max_length_constant": MAX_LENGTH}
    return TranslationConfig.model_validate(config.model_dump(exclude_unset=True) | limits)


# Random models repeat themselves for ever or end at once; these lengths (1 to 33 tokens) are of all kinds.
KINDS = [(3, 3.0, 0, 0), (2, 3.0, 4, 1), (5, 4.0, 4, 2)]


@pytest.mark.parametrize(("seed", "end_bias", "min_length", "ngram"), KINDS)
@pytest.mark.parametrize(("stop", "early_stopping"), [(StopRule.FULL, True), (StopRule.EXACT, "never")])
@pytest.mark.parametrize(("beam_size", "alpha"), [(2, 1.0), (5, 0.6), (7, 0.0)])
def test_beam_ids_are_equal(
    seed: int,
    end_bias: float,
    min_length: int,
    ngram: int,
    stop: StopRule,
    early_stopping: bool | str,
    beam_size: int,
    alpha: float,
) -> None:
    marian, sources = random_marian(seed, end_bias), random_sources(seed)
    config = ours(TranslationConfig(beam_size=beam_size, n_best=beam_size, length_penalty="average", alpha=alpha))
    rules = Constraints(eos_id=EOS, forbidden_ids=(PAD,), min_length=min_length, no_repeat_ngram_size=ngram)
    found = beam_search(ModelStepper(our_copy(marian)), sources, config=config, constraints=rules, stop=stop)
    assert all(hypothesis.is_finished for hypotheses in found for hypothesis in hypotheses)
    expected = theirs(
        marian,
        sources,
        num_beams=beam_size,
        num_return_sequences=beam_size,
        length_penalty=alpha,
        early_stopping=early_stopping,
        min_new_tokens=min_length,
        no_repeat_ngram_size=ngram,
    )
    assert [list(hypothesis.ids) for hypotheses in found for hypothesis in hypotheses] == expected


@pytest.mark.parametrize(("seed", "end_bias", "min_length", "ngram"), KINDS)
def test_greedy_ids_are_equal(seed: int, end_bias: float, min_length: int, ngram: int) -> None:
    marian, sources = random_marian(seed, end_bias), random_sources(seed)
    rules = Constraints(eos_id=EOS, forbidden_ids=(PAD,), min_length=min_length, no_repeat_ngram_size=ngram)
    found = greedy_search(ModelStepper(our_copy(marian)), sources, config=ours(TranslationConfig()), constraints=rules)
    expected = theirs(marian, sources, num_beams=1, min_new_tokens=min_length, no_repeat_ngram_size=ngram)
    assert [list(hypothesis.ids) for (hypothesis,) in found] == expected
