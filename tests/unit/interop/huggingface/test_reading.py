"""What a MarianMT folder may hold, and what is said of one that cannot be read."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.unit.interop.kit import TAGS, change_settings
from torch import Tensor

from pellucid.config import Activation, DecoderStart, PositionLayout, SpecialIds
from pellucid.errors import BundleError, IncompatibleModelError
from pellucid.interop.huggingface.config import model_config
from pellucid.interop.huggingface.reading import read_marian
from pellucid.model.positions import sinusoids


@pytest.fixture
def folder(marian: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(marian, tmp_path / "copy"))


def change_tensors(folder: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path)


def test_everything_that_a_folder_says_is_taken(marian: Path) -> None:
    found = read_marian(marian)
    config = found.model.config
    assert (config.d_model, config.num_heads, config.d_feedforward) == (22, 11, 29)
    assert (config.num_encoder_layers, config.num_decoder_layers, config.max_positions) == (2, 1, 61)
    assert config.activation is Activation.SWISH
    assert config.decoder_start is DecoderStart.PAD
    assert config.position_layout is PositionLayout.HALF_SPLIT_PAPER_FREQUENCY
    last = config.source_vocab_size - 1
    assert config.specials == SpecialIds(pad=last, unk=1, bos=0, eos=0)
    assert (found.source_language, found.target_language) == ("eng", "fra")
    assert found.tokenizer.source.vocabulary.tags == TAGS
    assert found.tokenizer.source_vocab_size == config.source_vocab_size


def test_what_a_file_leaves_out_has_the_formats_defaults() -> None:
    config = model_config({"model_type": "marian"}, unk=1, place="config.json")
    assert (config.d_model, config.num_heads, config.d_feedforward) == (1024, 16, 4096)
    assert (config.num_encoder_layers, config.source_vocab_size, config.max_positions) == (12, 58101, 1024)
    assert config.activation is Activation.GELU
    assert not config.scale_embeddings
    assert config.specials == SpecialIds(pad=58100, unk=1, bos=0, eos=0)


def test_all_wrong_settings_are_told_at_once(folder: Path) -> None:
    change_settings(
        folder,
        activation_function="gelu_new",
        normalize_before=True,
        decoder_attention_heads=2,
        decoder_start_token_id=0,
        d_model="22",
        dropout=1.5,
    )
    with pytest.raises(IncompatibleModelError) as told:
        read_marian(folder)
    for word in ("gelu_new", "normalize_before", "decoder_attention_heads = 2", "decoder_start", "'22'", "dropout"):
        assert word in str(told.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("encoder_layers", 10**9), ("vocab_size", 2**40), ("d_model", 2**31), ("max_position_embeddings", 10**12)],
)
def test_a_promise_of_too_much_is_refused_before_it_is_built(folder: Path, name: str, value: int) -> None:
    change_settings(folder, **{name: value})
    with pytest.raises(IncompatibleModelError, match=name):
        read_marian(folder)


def test_more_layers_than_the_file_can_hold(folder: Path) -> None:
    change_settings(folder, encoder_layers=250)
    with pytest.raises(IncompatibleModelError, match="cannot hold"):
        read_marian(folder)


def test_a_pickle_is_not_opened_and_the_way_out_is_told(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(BundleError, match=r"pickle.*save_pretrained"):
        read_marian(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "source.spm", "vocab.json"])
def test_links_are_not_followed(folder: Path, name: str) -> None:
    (folder / name).rename(folder.parent / "elsewhere")
    (folder / name).symlink_to(folder.parent / "elsewhere")
    with pytest.raises(BundleError, match=f"{name}: is a symbolic link.*cp -rL"):
        read_marian(folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "vocab.json", "source.spm", "target.spm"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BundleError, match=re.escape(name)):
        read_marian(folder)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff{}", b'{"a": 1, "a": 2}', b"[" * 100_000, b"7"])
def test_settings_that_are_no_table(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    with pytest.raises(BundleError, match="JSON"):
        read_marian(folder)


def test_the_vocabulary_must_fit_the_settings(folder: Path) -> None:
    path = folder / "vocab.json"
    pieces = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(pieces | {"one more": len(pieces)}), encoding="utf-8")
    with pytest.raises(IncompatibleModelError, match=r"vocab\.json has .* pieces, and vocab_size"):
        read_marian(folder)
    last = max(pieces, key=pieces.__getitem__)
    path.write_text(json.dumps(pieces | {last: 0, "</s>": pieces[last]}), encoding="utf-8")
    with pytest.raises(IncompatibleModelError, match="'</s>'"):
        read_marian(folder)
    path.write_text(json.dumps(pieces | {last: 3}), encoding="utf-8")
    with pytest.raises(BundleError, match="each once"):
        read_marian(folder)


CHANGES: dict[str, tuple[Callable[[dict[str, Tensor]], dict[str, Tensor]], str]] = {
    "missing": (lambda t: {k: v for k, v in t.items() if not k.endswith("fc1.bias")}, "is missing"),
    "unknown": (lambda t: t | {"model.encoder.layernorm_embedding.weight": torch.ones(22)}, "is unknown"),
    "shape": (lambda t: t | {"final_logits_bias": torch.zeros(1, 3)}, "has shape"),
    "format": (lambda t: t | {"final_logits_bias": t["final_logits_bias"].double()}, "number format 'F64'"),
    "infinite": (lambda t: t | {"final_logits_bias": t["final_logits_bias"] / 0}, "not finite"),
    "untied": (lambda t: t | {"lm_head.weight": t["model.shared.weight"] + 1}, "differs from model.shared.weight"),
    "positions": (lambda t: t | {"model.encoder.embed_positions.weight": torch.ones(61, 22)}, "is not the table"),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_other_weights_are_refused(folder: Path, kind: str) -> None:
    change, words = CHANGES[kind]
    change_tensors(folder, change)
    with pytest.raises(IncompatibleModelError, match=words):
        read_marian(folder)


def test_what_older_writers_add_is_compared_and_left_out(folder: Path) -> None:
    table = sinusoids(PositionLayout.HALF_SPLIT_PAPER_FREQUENCY, num_positions=61, d_model=22).float()
    before = read_marian(folder).model.state_dict()
    change_tensors(
        folder,
        lambda t: (
            t | {"lm_head.weight": t["model.shared.weight"].clone(), "model.decoder.embed_positions.weight": table}
        ),
    )
    after = read_marian(folder).model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened_exactly(folder: Path, dtype: torch.dtype) -> None:
    change_tensors(folder, lambda t: {name: tensor.to(dtype) for name, tensor in t.items()})
    stored = load_file(folder / "model.safetensors")["model.shared.weight"]
    weight = read_marian(folder).model.source_embedding.weight
    assert weight.dtype == torch.float32
    assert torch.equal(weight.to(dtype), stored)


def test_a_padding_row_that_training_moved_stays(folder: Path) -> None:
    def move(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        tensors["model.shared.weight"][-1] = 0.5
        return tensors

    change_tensors(folder, move)
    found = read_marian(folder)
    assert not found.model.config.zero_padding_row
    assert "padding piece is not zero" in found.notes[0]
    pad = torch.tensor([[found.model.config.specials.pad]])
    assert torch.equal(found.model.source_embedding(pad)[0, 0], torch.full((22,), 0.5))


def test_settings_of_the_search_are_taken(folder: Path) -> None:
    change_settings(folder, num_beams=6, length_penalty=0.7)
    assert (read_marian(folder).translation.beam_size, read_marian(folder).translation.alpha) == (6, 0.7)
    (folder / "generation_config.json").write_text('{"num_beams": 3}')
    assert read_marian(folder).translation.beam_size == 3


def test_words_of_older_files_that_mean_nothing_any_more_are_passed_over(folder: Path) -> None:
    # As the files of OPUS-MT have them.
    change_settings(
        folder,
        add_bias_logits=False,
        add_final_layer_norm=False,
        classif_dropout=0.0,
        extra_pos_embeddings=58101,
        id2label={"0": "LABEL_0"},
        max_length=512,
        normalize_before=False,
        normalize_embedding=False,
        num_hidden_layers=6,
        static_position_embeddings=True,
        bad_words_ids=[[58100]],
    )
    assert read_marian(folder).notes == ()
