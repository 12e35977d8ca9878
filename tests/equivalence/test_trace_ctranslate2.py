"""The attention that CTranslate2 gives out for alignment is, in the trace, head 0 of the decoder's last layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.unit.interop.ctranslate2.test_ctranslate2 import our_model
from tests.unit.interop.kit import sentences

from pellucid.bundle import load_bundle
from pellucid.config import TokenizerConfig
from pellucid.interop.ctranslate2.writing import write_ctranslate2
from pellucid.text.corpus import SentencePair
from pellucid.text.tokenizer import train_tokenizer
from pellucid.tracing.forced_pass import forced_pass

ctranslate2 = pytest.importorskip("ctranslate2", reason="the extra ctranslate2 is not installed")


@pytest.mark.parametrize("norm_order", ["post", "pre"])
def test_its_attention_is_the_first_head_of_the_last_layer(norm_order: str, tmp_path: Path) -> None:
    pairs = [SentencePair(a, b, n, 0) for n, (a, b) in enumerate(zip(sentences(1), sentences(2), strict=True))]
    tokenizer = train_tokenizer(lambda: pairs, TokenizerConfig(vocab_size="auto"), seed=1, threads=1)
    shape = {"num_encoder_layers": 1, "num_decoder_layers": 3, "d_model": 22, "num_heads": 11}
    bundle = load_bundle(our_model(tmp_path / "ours", tokenizer, norm_order=norm_order, **shape))
    (tmp_path / "out").mkdir()
    write_ctranslate2(bundle, tmp_path / "out")
    source_ids = [7, 11, 5, 23, 13]
    pieces = tokenizer.source_pieces(source_ids)
    found = ctranslate2.Translator(str(tmp_path / "out"), intra_threads=1).translate_batch(
        [pieces], beam_size=1, max_decoding_length=6, return_attention=True, return_end_token=True
    )[0]
    eos, model = bundle.description.model.specials.eos, bundle.model
    ids = [tokenizer.target_id(piece) for piece in found.hypotheses[0]]
    traced = forced_pass(model, [*source_ids, eos], [model.start_id, *(i for i in ids[:-1] if i is not None)])
    theirs = np.array(found.attention[0])
    assert len(theirs) >= 5
    ours = traced["decoder.2.cross_attention.weights"]
    np.testing.assert_allclose(theirs, ours[0, :, : theirs.shape[1]], rtol=0, atol=1e-5)
    assert not np.allclose(theirs, ours[1, :, : theirs.shape[1]], atol=1e-3), "every head is another"
