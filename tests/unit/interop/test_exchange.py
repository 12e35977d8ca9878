"""Models go in and out bit for bit, by way of both jobs; what is not the same model leaves nothing on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest
import torch
from safetensors.torch import load_file
from tests.models import random_model, save_model

from pellucid.bundle import load_bundle
from pellucid.config import ModelConfig, SpecialIds
from pellucid.errors import ConfigError, ConversionError, DataError, IncompatibleModelError
from pellucid.interop import foreign_model
from pellucid.interop.formats import FORMATS
from pellucid.interop.huggingface import config as marian_config
from pellucid.interop.huggingface import reading as marian_reading
from pellucid.interop.huggingface import writing as marian_writing
from pellucid.jobs import exchange
from pellucid.jobs.exchange import export_model, import_model
from pellucid.model.transformer import Transformer
from pellucid.text.tokenizer import BytesTokenizer, Tokenizer

from .kit import make_folder

FITTING = {"position_layout": "half_split_paper_frequency", "decoder_start": "pad"}
KINDS: dict[str, dict[str, object]] = {
    "two segmenters": {},
    "one segmenter": {"joint_segmenter": True, "activation_function": "gelu", "scale_embedding": False},
    "separate": {"separate": True, "activation_function": "relu"},
    "separate and untied": {"separate": True, "tie_word_embeddings": False},
    "padding moved": {"zero_padding": False, "joint_segmenter": True},
}


def our_model(folder: Path, tokenizer: Tokenizer, *, seed: int = 5, **changes: object) -> tuple[Path, Transformer]:
    shape = {"d_model": 14, "num_heads": 7, "d_feedforward": 19} | FITTING | changes
    model = random_model(tokenizer, seed=seed, **shape)
    return save_model(folder, model, tokenizer), model


@pytest.mark.parametrize("kind", KINDS)
def test_there_and_back_is_bit_equal(kind: str, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "theirs", **KINDS[kind])  # type: ignore[arg-type]
    outcome = import_model(folder, tmp_path / "ours", threads=1)
    assert all(comparison.is_equal for comparison in outcome.verdicts)
    export_model(tmp_path / "ours", tmp_path / "again", threads=1)
    before, after = (load_file(f / "model.safetensors") for f in (folder, tmp_path / "again"))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    for name in ("vocab.json", "target_vocab.json", "source.spm", "target.spm"):
        if (folder / name).exists():
            left, right = ((f / name).read_bytes() for f in (folder, tmp_path / "again"))
            assert json.loads(left) == json.loads(right) if name.endswith("json") else left == right
    settings = [json.loads((f / "config.json").read_text()) for f in (folder, tmp_path / "again")]
    assert all(settings[1][name] == value for name, value in settings[0].items())


def test_of_two_exports_to_one_output_one_is_kept_whole_and_the_other_is_refused(
    tokenizers: dict[bool, Tokenizer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = [our_model(tmp_path / f"model-{seed}", tokenizers[True], seed=seed)[0] for seed in (5, 7)]
    both_written, compared = Barrier(2), exchange._compared

    def together(*arguments: object, **options: object) -> object:
        both_written.wait(timeout=600)
        return compared(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(exchange, "_compared", together)
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(export_model, model, tmp_path / "out", threads=1) for model in models]
        (refusal,) = (error for one in running if (error := one.exception()))
    assert isinstance(refusal, ConfigError)
    assert "out: another command created it in the meantime" in str(refusal)
    kept = models[0] if running[1].exception() else models[1]
    monkeypatch.undo()
    assert export_model(kept, tmp_path / "out", verify_only=True, threads=1).verdicts
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model-5", "model-7", "out"]


@pytest.mark.parametrize("joint", [True, False], ids=["joint", "separate"])
def test_a_model_of_ours_goes_out_and_comes_back(
    joint: bool, tokenizers: dict[bool, Tokenizer], tmp_path: Path
) -> None:
    folder, model = our_model(tmp_path / "ours", tokenizers[joint], share_embeddings=joint)
    export_model(folder, tmp_path / "marian", threads=1)
    import_model(tmp_path / "marian", tmp_path / "back", threads=1)
    back = load_bundle(tmp_path / "back")
    assert isinstance(back.tokenizer, Tokenizer)
    # The numbers of the pieces are the format's now; by their spelling, every row is what it was.
    assert back.tokenizer.specials.model_dump().items() >= {"eos": 0, "unk": 1}.items()
    old, new = model.state_dict(), back.model.state_dict()
    for name, tensor in old.items():
        side = "source" if name.startswith("source") or joint else "target"
        if tensor.shape[0] == len(getattr(tokenizers[joint], side).vocabulary) and "embedding" in name:
            pieces = getattr(tokenizers[joint], side).vocabulary.pieces
            ids = getattr(back.tokenizer, side).vocabulary.ids
            assert torch.equal(new[name][[ids[piece] for piece in pieces]], tensor)
        else:
            assert torch.equal(new[name], tensor)
    assert not new["projection.bias"].any()
    text = "Bata gune dépo."
    ours = [tokenizers[joint].source_pieces(row) for row in tokenizers[joint].encode_source([text])]
    assert ours == [back.tokenizer.source_pieces(row) for row in back.tokenizer.encode_source([text])]
    # From here on nothing changes any more.
    export_model(tmp_path / "back", tmp_path / "marian2", threads=1)
    assert (tmp_path / "marian" / "vocab.json").read_bytes() == (tmp_path / "marian2" / "vocab.json").read_bytes()
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("marian", "marian2")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_padding_is_last_and_zero_and_the_end_is_first(tokenizers: dict[bool, Tokenizer], tmp_path: Path) -> None:
    folder, _ = our_model(tmp_path / "ours", tokenizers[True])
    export_model(folder, tmp_path / "marian", threads=1)
    pieces = json.loads((tmp_path / "marian" / "vocab.json").read_text(encoding="utf-8"))
    settings = json.loads((tmp_path / "marian" / "config.json").read_text())
    last = len(pieces) - 1
    assert (pieces["</s>"], pieces["<unk>"], pieces["<pad>"]) == (0, 1, last)
    assert settings["pad_token_id"] == settings["decoder_start_token_id"] == last
    assert settings["eos_token_id"] == settings["forced_eos_token_id"] == 0
    assert not load_file(tmp_path / "marian" / "model.safetensors")["model.shared.weight"][last].any()
    generation = json.loads((tmp_path / "marian" / "generation_config.json").read_text())
    assert [last] in generation["bad_words_ids"]


def test_what_does_not_fit_is_told_at_once_with_what_would(tokenizers: dict[bool, Tokenizer], tmp_path: Path) -> None:
    folder, _ = our_model(
        tmp_path / "ours",
        tokenizers[True],
        position_layout="interleaved",
        position_offset=2,
        decoder_start="bos",
        norm_order="pre",
        layer_norm_epsilon=1e-6,
    )
    with pytest.raises(IncompatibleModelError) as told:
        export_model(folder, tmp_path / "marian", threads=1)
    for setting in (
        "model.norm_order=post",
        "model.position_layout=half_split_paper_frequency",
        "model.position_offset=0",
        "model.layer_norm_epsilon=1e-05",
        "model.decoder_start=pad",
    ):
        assert f"--set {setting}" in str(told.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ours"]


def test_bytes_cannot_go_out(tmp_path: Path) -> None:
    with pytest.raises(IncompatibleModelError, match=r"--set tokenizer\.kind=sentencepiece"):
        export_model(our_model(tmp_path / "ours", BytesTokenizer())[0], tmp_path / "marian", threads=1)


def test_a_zero_vector_is_the_padding_piece(tokenizers: dict[bool, Tokenizer], tmp_path: Path) -> None:
    folder, _ = our_model(tmp_path / "ours", tokenizers[True], decoder_start="zero_vector")
    export_model(folder, tmp_path / "marian", threads=1)
    assert (tmp_path / "marian").is_dir()


def test_an_export_is_checked_again(marian: Path, tmp_path: Path) -> None:
    import_model(marian, tmp_path / "ours", threads=1)
    export_model(tmp_path / "ours", tmp_path / "out", threads=1)
    assert export_model(tmp_path / "ours", tmp_path / "out", verify_only=True, threads=1).verdicts
    path = tmp_path / "out" / "config.json"
    path.write_text(path.read_text().replace('"swish"', '"gelu"'))
    with pytest.raises(ConversionError, match="NOT the same model"):
        export_model(tmp_path / "ours", tmp_path / "out", verify_only=True, threads=1)
    assert path.exists()


def test_given_sentences_are_compared(marian: Path, tmp_path: Path) -> None:
    sample = tmp_path / "sample.txt"
    sample.write_text("Bata gune.\n\n>>fra<< Dépo lira !\n", encoding="utf-8")
    outcome = import_model(marian, tmp_path / "ours", sample=sample, threads=1)
    assert [comparison.num_sentences for comparison in outcome.verdicts] == [2]
    sample.write_text("\n \n", encoding="utf-8")
    with pytest.raises(DataError, match="holds no sentence"):
        import_model(marian, tmp_path / "other", sample=sample, threads=1)


def test_nothing_is_written_over(marian: Path, tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    with pytest.raises(ConfigError, match="exists already"):
        import_model(marian, tmp_path / "ours", threads=1)
    with pytest.raises(ConfigError, match=r"'onnxx' is unknown; use .*marian"):
        import_model(marian, tmp_path / "new", format="onnxx", threads=1)


def wrong_epsilon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(marian_config._ALWAYS, "layer_norm_epsilon", 1e-3)


def wrong_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    right = marian_config.model_config

    def wrong(*arguments: object, **named: object) -> ModelConfig:
        config = right(*arguments, **named)  # type: ignore[arg-type]
        return ModelConfig.model_validate(config.model_dump() | {"position_layout": "half_split_t2t"})

    monkeypatch.setattr(marian_reading, "model_config", wrong)


def wrong_start(monkeypatch: pytest.MonkeyPatch) -> None:
    right = marian_config.model_config

    def wrong(*arguments: object, **named: object) -> ModelConfig:
        config = right(*arguments, **named)  # type: ignore[arg-type]
        return ModelConfig.model_validate(config.model_dump() | {"decoder_start": "bos"})

    monkeypatch.setattr(marian_reading, "model_config", wrong)


def lost_bias(monkeypatch: pytest.MonkeyPatch) -> None:
    right = marian_reading._read_weights

    def wrong(path: Path, config: ModelConfig) -> dict[str, torch.Tensor]:
        weights = right(path, config)
        return weights | {"projection.bias": torch.zeros_like(weights["projection.bias"])}

    monkeypatch.setattr(marian_reading, "_read_weights", wrong)


def no_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    right = foreign_model.Side

    def wrong(*arguments: object, **_: object) -> object:
        return right(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(foreign_model, "Side", wrong)
    monkeypatch.setattr("pellucid.text.tokenizer.Side", wrong)


def lost_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign_model, "_TAG", foreign_model.re.compile("never"))


@pytest.mark.parametrize("plant", [wrong_epsilon, wrong_positions, wrong_start, lost_bias, no_fallback, lost_tags])
def test_a_mistake_in_reading_is_caught(
    plant: Callable[[pytest.MonkeyPatch], None], marian: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises(ConversionError):
        import_model(marian, tmp_path / "ours", threads=1)
    assert list(tmp_path.iterdir()) == []


def written_with(monkeypatch: pytest.MonkeyPatch, **changes: Callable[[dict[str, object]], object]) -> None:
    right = marian_writing.config_table

    def wrong(config: ModelConfig, specials: SpecialIds) -> dict[str, object]:
        table = right(config, specials)
        return table | {name: change(table) for name, change in changes.items()}

    monkeypatch.setattr(marian_writing, "config_table", wrong)


def no_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    unguarded = replace(FORMATS["marian"], refusals=lambda bundle: [])
    monkeypatch.setattr("pellucid.jobs.exchange.format_named", lambda name, to: unguarded)


def unpermuted_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marian_writing, "_PER_ROW", {"projection.bias": "target"})


def moved_padding_row(monkeypatch: pytest.MonkeyPatch) -> None:
    right = marian_writing._tensors

    def wrong(*arguments: object) -> dict[str, torch.Tensor]:
        tensors = right(*arguments)  # type: ignore[arg-type]
        tensors["model.shared.weight"][-1] = 0.1
        return tensors

    monkeypatch.setattr(marian_writing, "_tensors", wrong)


WRITING: dict[str, tuple[dict[str, object], Callable[[pytest.MonkeyPatch], None]]] = {
    "epsilon": ({"layer_norm_epsilon": 1e-3}, no_refusals),
    "position table": ({"position_layout": "half_split_t2t"}, no_refusals),
    "paper's positions": ({"position_layout": "interleaved"}, no_refusals),
    "position offset": ({"position_offset": 1}, no_refusals),
    "pre-norm": ({"norm_order": "pre"}, no_refusals),
    "start embedding": ({"decoder_start": "bos"}, no_refusals),
    "activation": ({}, lambda patch: written_with(patch, activation_function=lambda table: "gelu")),
    "scale": ({}, lambda patch: written_with(patch, scale_embedding=lambda table: False)),
    "rows": ({}, unpermuted_rows),
    "padding row": ({}, moved_padding_row),
    "end of sentence": ({}, lambda patch: written_with(patch, eos_token_id=lambda table: 2)),
    "start id": ({}, lambda patch: written_with(patch, decoder_start_token_id=lambda table: 0)),
}


@pytest.mark.parametrize("trap", WRITING)
def test_a_mistake_in_writing_is_caught(
    trap: str, tokenizers: dict[bool, Tokenizer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes, plant = WRITING[trap]
    folder, _ = our_model(tmp_path / "ours", tokenizers[True], **changes)
    plant(monkeypatch)
    # What the format itself forbids is refused by the reading that every comparison begins with.
    with pytest.raises((ConversionError, IncompatibleModelError)):
        export_model(folder, tmp_path / "marian", threads=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ours"]
