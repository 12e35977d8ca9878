"""Attributions of a model are those that captum and inseq compute for its MarianMT twin (the extra ``attribution``).

captum gets the embeddings of a model in float64; inseq gets the folder that the export writes. inseq scales embeddings
that the decoder of transformers 5.23 scales again, so its model has unscaled ones; and its baseline is the unknown
piece, so the embedding of that piece is zero.
"""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.models import random_model, save_model
from tests.unit.interop.kit import learned_tokenizer, sentences
from torch import Tensor

from pellucid.analysis.attribution.gradients import input_x_gradient, integrated_gradients
from pellucid.analysis.attribution.question import Parts, Quantity, Question
from pellucid.analysis.attribution.removals import occlusion
from pellucid.jobs.exchange import export_model
from pellucid.jobs.loading import load
from pellucid.jobs.surface import attribute
from pellucid.translation.translator import Translator

from .test_marian import EOS, PAD, our_model, their_model

SOURCE = (5, 9, 17, 11, EOS)
FED = (PAD, 23, 7, 13)
STEP, PIECE, AGAINST = 2, 13, 19


@cache
def models() -> tuple[Any, Any]:
    """Theirs and ours, with the same weights; theirs gets our table of positions, which is not rounded."""
    theirs = their_model("swish")
    ours = our_model(theirs, "swish")
    with torch.no_grad():
        for stack in (theirs.model.encoder, theirs.model.decoder):
            stack.embed_positions.weight.copy_(ours.encoder.input.positions.table)
    return theirs, ours


def question(*, against: bool, quantity: Quantity = Quantity.LOGIT) -> Question:
    return Question(
        models()[1], SOURCE, FED[: STEP + 1], (STEP,), (PIECE,), AGAINST if against else None, quantity=quantity
    )


def their_score(source: Tensor, target: Tensor, against: bool, quantity: Quantity) -> Tensor:
    theirs = models()[0]
    logits = theirs(inputs_embeds=source, decoder_inputs_embeds=target, use_cache=False).logits[:, STEP]
    if quantity is Quantity.LOG_PROBABILITY:
        logits = logits.log_softmax(-1)
    return logits[:, PIECE] - (logits[:, AGAINST] if against else 0)


def their_embeddings() -> tuple[Tensor, Tensor]:
    theirs = models()[0]
    table = theirs.model.shared.weight.detach()
    # Their encoder expects scaled embeddings, their decoder scales what it gets (transformers 5.23).
    scale = theirs.config.d_model**0.5
    return table[list(SOURCE)][None] * scale, table[list(FED[: STEP + 1])][None]


def assert_same(ours: Parts, theirs: tuple[Tensor, ...], *, atol: float = 1e-9) -> None:
    for one, other in zip((ours.source, ours.target), theirs, strict=True):
        np.testing.assert_allclose(one[0].numpy(), other.detach()[0].sum(-1).numpy(), rtol=0, atol=atol)


@pytest.mark.parametrize("against", [False, True])
@pytest.mark.parametrize("quantity", list(Quantity))
class TestCaptum:
    def test_input_x_gradient(self, against: bool, quantity: Quantity) -> None:
        attr = pytest.importorskip("captum.attr", reason="install the extra attribution")
        method = attr.InputXGradient(lambda *sides: their_score(*sides, against, quantity))
        theirs = method.attribute(tuple(one.requires_grad_() for one in their_embeddings()))
        assert_same(input_x_gradient(question(against=against, quantity=quantity)), theirs)

    def test_integrated_gradients(self, against: bool, quantity: Quantity) -> None:
        attr = pytest.importorskip("captum.attr", reason="install the extra attribution")
        method = attr.IntegratedGradients(lambda *sides: their_score(*sides, against, quantity))
        asked = question(against=against, quantity=quantity)
        theirs = method.attribute(their_embeddings(), n_steps=50, method="gausslegendre")
        assert_same(integrated_gradients(asked, points=50), theirs)
        # Their 50 points and our intervals are two ways to the same integral.
        divided = integrated_gradients(asked, tolerance=1e-6)
        assert_same(divided, theirs, atol=1e-4)

    def test_occlusion(self, against: bool, quantity: Quantity) -> None:
        attr = pytest.importorskip("captum.attr", reason="install the extra attribution")
        method = attr.Occlusion(lambda *sides: their_score(*sides, against, quantity))
        width = models()[0].config.d_model
        theirs = method.attribute(their_embeddings(), sliding_window_shapes=((1, width), (1, width)))
        # Each of the d_model components gets the whole loss of its piece, rounded to float32.
        theirs = tuple(one / width for one in theirs)
        assert_same(occlusion(question(against=against, quantity=quantity)), theirs, atol=1e-6)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Translator]:
    """A model folder of ours that has gone out as MarianMT, and its translator."""
    pytest.importorskip("inseq", reason="install the extra attribution")
    folder = tmp_path_factory.mktemp("exported")
    shape = {"position_layout": "half_split_paper_frequency", "decoder_start": "pad", "scale_embeddings": False}
    tokenizer = learned_tokenizer(joint=True)
    model = random_model(tokenizer, vector_noise=0.1, **shape)
    with torch.no_grad():
        model.source_embedding.weight *= 3  # as large as positions, as trained ones are
        model.source_embedding.weight[tokenizer.specials.unk] = 0
    save_model(folder / "ours", model, tokenizer)
    export_model(folder / "ours", folder / "theirs", threads=1)
    return folder / "theirs", load(folder / "ours", engine="torch", threads=1)


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("input_x_gradient", {}),
        ("integrated_gradients", {"n_steps": 50, "include_eos_baseline": True}),
        ("occlusion", {"include_eos_baseline": True}),
    ],
)
def test_inseq_on_the_exported_folder(exported: tuple[Path, Translator], name: str, more: dict[str, object]) -> None:
    text, target = sentences(1)[0], sentences(2)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inseq = pytest.importorskip("inseq")
        method = inseq.load_model(str(exported[0]), name)
        made = method.attribute(
            text,
            target,
            attribute_target=True,
            attributed_fn="logit",
            show_progress=False,
            pretty_progress=False,
            **more,
        )
    theirs = made.sequence_attributions[0]
    points = {"points": 50} if name == "integrated_gradients" else {}
    ours = attribute(exported[1], text, method=name, target=target, **points)
    assert [token.token for token in theirs.source] == list(ours.tokens.source_pieces)
    assert [token.token for token in theirs.target][1:] == list(ours.tokens.predicted_pieces)
    # Theirs have one column a step, and no number for what a step cannot see.
    sides = []
    for scores in (theirs.source_attributions, theirs.target_attributions):
        whole = scores if name == "occlusion" else scores.sum(-1)
        sides.append(np.nan_to_num(whole.detach().double().numpy()).T)
    read = np.abs if name == "occlusion" else np.asarray  # theirs forgets the sign
    np.testing.assert_allclose(read(ours.source), sides[0], rtol=0, atol=1e-4)
    np.testing.assert_allclose(read(ours.target), sides[1][:, : ours.target.shape[1]], rtol=0, atol=1e-4)
    assert np.abs(ours.source).max() > 0.1
