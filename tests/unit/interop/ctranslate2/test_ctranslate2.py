"""Models go out to CTranslate2 in every variant; each known trap, planted, leaves nothing on disk."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.models import random_model, save_model
from tests.unit.interop.kit import make_folder

from pellucid.bundle import Bundle, load_bundle
from pellucid.config import ModelConfig
from pellucid.errors import BundleError, ConfigError, ConversionError, IncompatibleModelError
from pellucid.interop import packages
from pellucid.interop.ctranslate2 import writing as ctranslate2_writing
from pellucid.interop.ctranslate2.config import Quantization
from pellucid.interop.ctranslate2.engine import CTranslate2Model
from pellucid.interop.ctranslate2.file import read_ctranslate2_file
from pellucid.interop.ctranslate2.rounding import rounded
from pellucid.interop.ctranslate2.writing import write_ctranslate2
from pellucid.jobs.exchange import export_model, import_model
from pellucid.text.tokenizer import BytesTokenizer, Tokenizer

ctranslate2 = pytest.importorskip("ctranslate2", reason="the extra ctranslate2 is not installed")


def our_model(folder: Path, tokenizer: Any, *, seed: int = 5, **changes: object) -> Path:
    shape = {"d_model": 14, "num_heads": 7, "d_feedforward": 19} | changes
    model = random_model(tokenizer, seed=seed, vector_noise=0.3, **shape)
    if not model.config.zero_padding_row:
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name.endswith("embedding.weight"):
                    parameter[model.config.specials.pad] = 0.7
    return save_model(folder, model, tokenizer)


VARIANTS: dict[str, dict[str, object]] = {
    "the paper's": {},
    "pre-norm": {"norm_order": "pre", "num_encoder_layers": 3, "num_decoder_layers": 1},
    "gelu, from padding, half-split": {
        "activation": "gelu",
        "decoder_start": "pad",
        "zero_padding_row": False,
        "position_layout": "half_split_paper_frequency",
    },
    "swish, from zero, T2T": {
        "activation": "swish",
        "decoder_start": "zero_vector",
        "position_layout": "half_split_t2t",
        "norm_order": "pre",
    },
    "learned positions, offset, epsilon": {
        "position_layout": "learned",
        "position_offset": 2,
        "layer_norm_epsilon": 1e-2,
        "output_bias": True,
        "scale_embeddings": False,
        "d_model": 15,
        "num_heads": 3,
    },
    "offset of a sinusoid": {"position_offset": 3},
    "separate": {"share_embeddings": False},
    "separate, untied": {"share_embeddings": False, "share_decoder_embeddings": False, "output_bias": True},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_goes_out(variant: str, tokenizers: dict[bool, Tokenizer], tmp_path: Path) -> None:
    changes = VARIANTS[variant]
    folder = our_model(tmp_path / "ours", tokenizers["separate" not in variant], **changes)
    outcome = export_model(folder, tmp_path / "out", format="ctranslate2", threads=1)
    (comparison,) = outcome.verdicts
    assert comparison.is_equal
    assert comparison.largest_difference < 1e-5
    assert comparison.identical["its own greedy"] == comparison.num_searched
    vocabularies = {path.name for path in (tmp_path / "out").glob("*vocabulary.json")}
    assert vocabularies == (
        {"source_vocabulary.json", "target_vocabulary.json"} if "separate" in variant else {"shared_vocabulary.json"}
    )
    again = export_model(folder, tmp_path / "out", format="ctranslate2", verify_only=True, threads=1)
    assert again.verdicts == outcome.verdicts


@pytest.mark.parametrize("quantization", [q.value for q in Quantization if q is not Quantization.FLOAT32])
def test_a_rounded_model_is_the_model_rounded(
    quantization: str, tokenizers: dict[bool, Tokenizer], tmp_path: Path
) -> None:
    folder = our_model(tmp_path / "ours", tokenizers[True], d_model=28, output_bias=True)
    options = {"quantization": quantization}
    outcome = export_model(folder, tmp_path / "out", format="ctranslate2", options=options, threads=1)
    exactly, cost = outcome.verdicts
    assert exactly.largest_difference < 1e-5
    assert exactly.largest_difference <= cost.largest_difference
    assert any("rounded" in note for note in outcome.notes)
    found = read_ctranslate2_file(tmp_path / "out" / "model.bin").quantization
    assert found.value == {"int8_float32": "int8"}.get(quantization, quantization)


def test_export_leaves_our_own_weights_alone(tokenizers: dict[bool, Tokenizer], tmp_path: Path) -> None:
    bundle = load_bundle(our_model(tmp_path / "ours", tokenizers[True]))
    before = {name: tensor.clone() for name, tensor in bundle.model.state_dict().items()}
    (tmp_path / "out").mkdir()
    write_ctranslate2(bundle, tmp_path / "out", quantization="int8")
    assert all(torch.equal(tensor, before[name]) for name, tensor in bundle.model.state_dict().items())
    assert not torch.equal(
        rounded(bundle.model, Quantization.INT8).source_embedding.weight.float(), before["source_embedding.weight"]
    )


def test_the_ten_lines_of_the_guide_run_it(
    tokenizers: dict[bool, Tokenizer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = our_model(tmp_path / "ours", tokenizers[False], share_embeddings=False)
    export_model(folder, tmp_path / "de-en-ct2", format="ctranslate2", threads=1)
    guide = (Path(__file__).parents[4] / "docs/guides/exchanging.md").read_text(encoding="utf-8")
    (lines,) = [block for block in re.findall(r"```python\n(.*?)```", guide, re.DOTALL) if "Translator(" in block]
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(lines, names)
    assert capsys.readouterr().out.count("\n") == 2
    assert lines.count("\n") <= 11
    # NFC is in the segmenter, so a letter and its mark are one; and a long text meets no end of the table.
    composed, apart = (names["source"].encode(text, out_type=str) for text in ("d\u00e9po", "de\u0301po"))
    assert composed == apart
    long = names["source"].encode(" ".join(["Bata gune"] * 60), out_type=str)
    names["translator"].translate_batch([long], max_decoding_length=99)


def test_pieces_of_the_other_language_become_text(tmp_path: Path) -> None:
    # OPUS-MT has one vocabulary and two segmenters: the target's does not know every piece that can be written.
    make_folder(tmp_path / "opus")
    import_model(tmp_path / "opus", tmp_path / "model")
    export_model(tmp_path / "model", tmp_path / "out", format="ctranslate2")
    engine = CTranslate2Model(tmp_path / "out")
    known = {engine._segmenters[1].id_to_piece(i) for i in range(len(engine._segmenters[1]))}
    foreign = [i for i, piece in enumerate(engine.target_pieces) if piece.startswith("▁") and piece not in known][:2]
    words = [engine.target_pieces[i].removeprefix("▁") for i in foreign]
    assert len(words) == 2
    assert engine.decode(foreign) == " ".join(words)


def test_the_end_of_a_learned_table_is_told(tokenizers: dict[bool, Tokenizer], tmp_path: Path) -> None:
    folder = our_model(tmp_path / "ours", tokenizers[True], position_layout="learned")
    outcome = export_model(folder, tmp_path / "out", format="ctranslate2", threads=1)
    assert any("max_input_length=66" in note for note in outcome.notes)
    assert read_ctranslate2_file(tmp_path / "out" / "model.bin").num_positions == 67


def change_words(patch: pytest.MonkeyPatch, **changes: object) -> None:
    right = ctranslate2_writing._fill_words

    def wrong(spec: Any, config: ModelConfig, tokenizer: Tokenizer) -> None:
        right(spec, config, tokenizer)
        for name, value in changes.items():
            setattr(spec.config, name, value)

    patch.setattr(ctranslate2_writing, "_fill_words", wrong)


def change_spec(patch: pytest.MonkeyPatch, change: Callable[[Any], None]) -> None:
    right = ctranslate2_writing._fill_words

    def wrong(spec: Any, config: ModelConfig, tokenizer: Tokenizer) -> None:
        right(spec, config, tokenizer)
        change(spec)

    patch.setattr(ctranslate2_writing, "_fill_words", wrong)


def without_table(spec: Any) -> None:
    spec.encoder.position_encodings.encodings = "__optional"
    spec.decoder.position_encodings.encodings = "__optional"


def shifted_table(spec: Any) -> None:
    table = spec.decoder.position_encodings.encodings
    spec.decoder.position_encodings.encodings = torch.cat([table[1:], table[:1]])


def short_table(spec: Any) -> None:
    for stack in (spec.encoder, spec.decoder):
        stack.position_encodings.encodings = stack.position_encodings.encodings[:5].clone()


def lost_bias(spec: Any) -> None:
    spec.decoder.layer[1].attention.linear[2].bias = torch.zeros(14)


def turned_queries(spec: Any) -> None:
    weight = spec.encoder.layer[0].self_attention.linear[0].weight
    spec.encoder.layer[0].self_attention.linear[0].weight = torch.cat([weight[14:28], weight[:14], weight[28:]])


TRAPS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "epsilon": lambda patch: change_words(patch, layer_norm_epsilon=None),
    "no table of positions": lambda patch: change_spec(patch, without_table),
    "a table from position 1": lambda patch: change_spec(patch, shifted_table),
    "a table that ends": lambda patch: change_spec(patch, short_table),
    "end of sentence": lambda patch: change_words(patch, add_source_eos=False),
    "begin of sentence": lambda patch: change_words(patch, add_source_bos=True),
    "start": lambda patch: change_words(patch, decoder_start_token="</s>"),
    "start from zero": lambda patch: change_spec(
        patch, lambda spec: setattr(spec.decoder, "start_from_zero_embedding", True)
    ),
    "scale": lambda patch: change_spec(patch, lambda spec: setattr(spec.encoder, "scale_embeddings", 1.0)),
    "bias": lambda patch: change_spec(patch, lost_bias),
    "order of the fused maps": lambda patch: change_spec(patch, turned_queries),
    "activation": lambda patch: patch.setitem(ctranslate2_writing._ACTIVATIONS, "gelu", "GELUTanh"),
    "vocabulary": lambda patch: change_spec(
        patch, lambda spec: spec._vocabularies["target"][0].insert(9, spec._vocabularies["target"][0].pop(8))
    ),
}


ROUNDED = ("end of sentence", "a table from position 1", "order of the fused maps")


@pytest.mark.parametrize(
    ("trap", "quantization"), [*((trap, "float32") for trap in TRAPS), *((trap, "int8") for trap in ROUNDED)]
)
def test_a_planted_trap_leaves_nothing(
    trap: str,
    quantization: str,
    tokenizers: dict[bool, Tokenizer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings: dict[str, object] = {"activation": "gelu"}
    if trap == "epsilon":
        settings["layer_norm_epsilon"] = 1e-3
    folder = our_model(tmp_path / "ours", tokenizers[True], **settings)
    TRAPS[trap](monkeypatch)
    options = {"quantization": quantization}
    with pytest.raises((ConversionError, BundleError)):
        export_model(folder, tmp_path / "out", format="ctranslate2", options=options, threads=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ours"]


def test_bytes_cannot_go_out(tmp_path: Path) -> None:
    folder = our_model(tmp_path / "ours", BytesTokenizer())
    with pytest.raises(IncompatibleModelError, match=r"--set tokenizer\.kind=sentencepiece"):
        export_model(folder, tmp_path / "out", format="ctranslate2", threads=1)


def test_options_that_are_not_there(tokenizers: dict[bool, Tokenizer], tmp_path: Path) -> None:
    folder = our_model(tmp_path / "ours", tokenizers[True])
    for options, words in (
        ({"quantization": "int4"}, "'int4' is unknown; use float32, float16"),
        ({"colour": "red"}, "no such option"),
    ):
        with pytest.raises(ConfigError, match=words):
            export_model(folder, tmp_path / "out", format="ctranslate2", options=options, threads=1)
    with pytest.raises(ConfigError, match=r"'marian' has no such option; formats that have it:.* ctranslate2"):
        export_model(folder, tmp_path / "out", format="marian", options={"quantization": "int8"}, threads=1)
    with pytest.raises(ConfigError, match="leave it out"):
        export_model(
            folder,
            tmp_path / "out",
            format="ctranslate2",
            options={"quantization": "int8"},
            verify_only=True,
            threads=1,
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ours"]


def test_without_the_library_the_extra_is_named(
    tokenizers: dict[bool, Tokenizer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = our_model(tmp_path / "ours", tokenizers[True])
    monkeypatch.setattr(packages, "is_installed", lambda name: False)
    with pytest.raises(ConfigError, match=r"pip install 'pellucid\[ctranslate2\]'"):
        export_model(folder, tmp_path / "out", format="ctranslate2", threads=1)


@pytest.fixture(scope="module")
def written(tokenizers: dict[bool, Tokenizer], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    bundle: Bundle = load_bundle(our_model(folder / "ours", tokenizers[True]))
    (folder / "out").mkdir()
    write_ctranslate2(bundle, folder / "out")
    return folder / "out" / "model.bin"


def test_a_damaged_file_is_refused_before_their_reader_sees_it(written: Path, tmp_path: Path) -> None:
    whole = written.read_bytes()
    path = tmp_path / "model.bin"
    cases = {
        "version": struct.pack("<I", 7) + whole[4:],
        "cut short|requires a buffer|bytes after its end": whole[:-40],
        "bytes after its end": whole + b"\0",
        "TransformerSpec": whole.replace(b"TransformerSpec\0", b"TransformerSpek\0"),
        "promises": whole.replace(struct.pack("<I", 7) + whole[26:30], struct.pack("<II", 7, 1 << 31), 1),
    }
    for words, content in cases.items():
        path.write_bytes(content)
        with pytest.raises(BundleError, match=words):
            read_ctranslate2_file(path)
    for place in range(0, len(whole), 97):
        path.write_bytes(whole[:place])
        with pytest.raises(BundleError, match=r"model\.bin"):
            read_ctranslate2_file(path)


@pytest.mark.parametrize("name", ["model.bin", "config.json", "shared_vocabulary.json", "source.spm", "target.spm"])
def test_a_changed_folder_does_not_pass(name: str, written: Path, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(written.parent, tmp_path / "copy"))
    (copy / name).unlink()
    with pytest.raises((BundleError, ConversionError), match=name.replace(".", r"\.")):
        export_model(written.parent.parent / "ours", copy, format="ctranslate2", verify_only=True, threads=1)
    words = json.loads((written.parent / "config.json").read_text())
    assert words["add_source_eos"] is True
