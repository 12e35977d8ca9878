"""Marian's own models are imported as Marian computes them; an unsupported one is refused with all reasons."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.unit.interop.npz_kit import OPTIONS, PRE_NORM, arrays_of, make_npz_folder, options_text, write_npz

from pellucid.bundle import load_bundle
from pellucid.config import DecoderStart, ModelConfig, NormOrder, PositionLayout
from pellucid.errors import BundleError, ConfigError, ConversionError, IncompatibleModelError
from pellucid.interop import foreign_model
from pellucid.interop.formats import format_of
from pellucid.interop.marian import names as marian_npz_names
from pellucid.interop.marian import options as marian_npz_options
from pellucid.interop.marian import reading as marian_npz_reading
from pellucid.interop.marian.reading import PADDING_LOGIT, read_marian_npz
from pellucid.jobs.exchange import export_model, import_model

KINDS: dict[str, dict[str, object]] = {
    "OPUS-MT": {"tags": (">>fra<<", ">>por<<")},
    "raw text": {"kind": "spm", "transformer_ffn_activation": "relu"},
    "pre-norm": {**PRE_NORM, "dec_depth": "3"},
    "separate": {"separate": True, "tied_embeddings_all": "false", "tied_embeddings": "true"},
    "separate raw text": {"kind": "spm", "separate": True, "tied_embeddings_all": "false"},
    "source tied alone": {"tied_embeddings_all": "false", "tied_embeddings_src": "true"},
    "no output bias": {"bias": False},
}


@pytest.fixture(scope="module")
def opus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_npz_folder(tmp_path_factory.mktemp("npz") / "opus")


@pytest.fixture
def folder(opus: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(opus, tmp_path / "copy"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_variant_comes_in(kind: str, tmp_path: Path) -> None:
    folder = make_npz_folder(tmp_path / "theirs", **KINDS[kind])  # type: ignore[arg-type]
    outcome = import_model(folder, tmp_path / "ours", threads=1)
    assert all(comparison.is_equal for comparison in outcome.verdicts)
    assert min(comparison.num_forced_tokens for comparison in outcome.verdicts) > 50


def test_the_numbers_are_marians_and_a_padding_piece_is_added(opus: Path) -> None:
    found = read_marian_npz(opus)
    config = found.model.config
    assert (config.layer_norm_epsilon, config.position_layout) == (1e-9, PositionLayout.HALF_SPLIT_T2T)
    assert (config.decoder_start, config.norm_order) == (DecoderStart.ZERO_VECTOR, NormOrder.POST)
    state = found.model.state_dict()
    with np.load(opus / "model.npz") as archive:
        turned = archive["decoder_l1_context_Wk"].T
        assert np.array_equal(state["decoder.layers.0.cross_attention.keys.weight"].numpy(), turned)
        table, bias = archive["Wemb"], archive["decoder_ff_logit_out_b"][0]
    last = len(table)
    assert (config.specials.pad, config.source_vocab_size) == (last, last + 1)
    assert np.array_equal(state["source_embedding.weight"][:last].numpy(), table)
    assert np.array_equal(state["projection.bias"][:last].numpy(), bias)
    assert not state["source_embedding.weight"][last].any()
    assert state["projection.bias"][last] == PADDING_LOGIT
    assert (found.translation.beam_size, found.translation.alpha) == (6, 0.6)


def test_a_file_alone_is_enough_of_a_name(opus: Path) -> None:
    named, whole = read_marian_npz(opus / "model.npz"), read_marian_npz(opus)
    assert named.model.config == whole.model.config
    assert format_of(opus).name == format_of(opus / "model.npz").name == "marian-npz"


def test_half_precision_is_widened_exactly(tmp_path: Path) -> None:
    folder = make_npz_folder(tmp_path / "half", dtype="float16")
    with np.load(folder / "model.npz") as archive:
        stored = archive["encoder_l2_ffn_W1"].T.astype(np.float32)
    weight = read_marian_npz(folder).model.state_dict()["encoder.layers.1.feed_forward.inner.weight"]
    assert np.array_equal(weight.numpy(), stored)


def test_the_format_is_not_written_and_the_message_says_what_is(opus: Path, tmp_path: Path) -> None:
    import_model(opus, tmp_path / "ours", threads=1)
    with pytest.raises(ConfigError, match=r"'marian-npz' cannot be exported to; formats that can: .*marian"):
        export_model(tmp_path / "ours", tmp_path / "out", format="marian-npz")
    assert load_bundle(tmp_path / "ours").description.facts["imported_from"] == "marian-npz"


def rewrite(folder: Path, *, arrays: Callable[[dict[str, object]], None] = lambda a: None, **changes: str) -> None:
    options = OPTIONS | {name.replace("_", "-"): value for name, value in changes.items()}
    with np.load(folder / "model.npz") as archive:
        size = len(archive["Wemb"])
        kept = {name: archive[name] for name in archive.files if name != "special:model.yml"}
    arrays(kept)
    write_npz(folder / "model.npz", options, (size, size), kept)


def test_all_options_that_cannot_be_had_are_told_at_once(folder: Path) -> None:
    wrong = {
        "type": "s2s",
        "transformer-ffn-activation": "gelu",
        "transformer-ffn-depth": "3",
        "transformer-decoder-autoreg": "average-attention",
        "transformer-postprocess": "dhn",
        "transformer-postprocess-emb": "nd",
        "transformer-no-projection": "true",
        "transformer-tied-layers": "[1, 1]",
        "transformer-train-position-embeddings": "true",
        "right-left": "true",
        "ulr": "true",
        "lemma-dim-emb": "7",
        "transformer-something-new": "true",
        "dim-emb": "99999",
    }
    rewrite(folder, **{name.replace("-", "_"): value for name, value in wrong.items()})
    with pytest.raises(IncompatibleModelError) as told:
        read_marian_npz(folder)
    for name in wrong:
        assert f"\n  - {name} = " in str(told.value) or f", {name} = " in str(told.value), name
    assert "1.702" in str(told.value)


def test_options_of_training_and_of_recurrent_models_are_passed_over(folder: Path) -> None:
    rewrite(folder, guided_alignment="corpus.align", transformer_depth_scaling="true", transformer_dropout="0.1")
    notes = read_marian_npz(folder).notes
    assert any("guided-alignment = corpus.align acted in training only" in note for note in notes)


ARRAYS: dict[str, tuple[Callable[[dict[str, object]], object], str]] = {
    "missing": (lambda a: a.pop("encoder_l1_ffn_b1"), "encoder_l1_ffn_b1 is missing"),
    "unknown": (lambda a: a.update(Wpos=np.ones((3, 22), np.float32)), "Wpos is unknown"),
    "shape": (lambda a: a.update(Wemb=np.ones((3, 22), np.float32)), "Wemb has shape"),
    "format": (lambda a: a.update(encoder_l1_ffn_b1=np.ones((1, 29), np.int32)), "number format '<i4'"),
    "infinite": (lambda a: a.update(encoder_l1_ffn_b1=np.full((1, 29), np.nan, np.float32)), "not finite"),
    "objects": (lambda a: a.update(encoder_l1_ffn_b1=np.array([{}], dtype=object)), "encoder_l1_ffn_b1 cannot be read"),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_other_arrays_are_refused(kind: str, folder: Path) -> None:
    change, words = ARRAYS[kind]
    rewrite(folder, arrays=change)
    with pytest.raises(BundleError, match=words):
        read_marian_npz(folder)


def test_more_is_promised_than_the_file_holds(folder: Path) -> None:
    rewrite(folder, enc_depth="250", transformer_dim_ffn="60000", dim_emb="8184")
    with pytest.raises(IncompatibleModelError, match="cannot hold"):
        read_marian_npz(folder)


def packed(path: Path, entries: dict[str, bytes], *, method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    ("entries", "method", "words"),
    [
        ({}, zipfile.ZIP_STORED, "0 members"),
        ({"readme.txt": b"hello"}, zipfile.ZIP_STORED, "is not an .npy file"),
        ({"bomb.npy": bytes(64 << 20)}, zipfile.ZIP_DEFLATED, "times its size"),
        ({"a.npy": b"x"}, zipfile.ZIP_LZMA, "only deflate is supported"),
        ({"a.npy": b"\x93NUMPY\x01\x00"}, zipfile.ZIP_STORED, "holds no 'special:model.yml'"),
        ({"special:model.yml.npy": b"\x93NUMPY\x01\x00\xff\xff"}, zipfile.ZIP_STORED, "cannot be read"),
    ],
)
def test_archives_that_are_no_model(entries: dict[str, bytes], method: int, words: str, folder: Path) -> None:
    packed(folder / "model.npz", entries, method=method)
    with pytest.raises(BundleError, match=words):
        read_marian_npz(folder)


@pytest.mark.parametrize("name", ["model.npz", "opus.vocab.yml", "source.spm", "decoder.yml"])
def test_links_are_not_followed(name: str, folder: Path) -> None:
    (folder / name).rename(folder.parent / "elsewhere")
    (folder / name).symlink_to(folder.parent / "elsewhere")
    with pytest.raises(BundleError, match=f"{name}: is a symbolic link"):
        read_marian_npz(folder)


def test_files_that_are_missing_or_leave_a_choice(folder: Path) -> None:
    shutil.copy(folder / "opus.vocab.yml", folder / "other.vocab.yml")
    (folder / "decoder.yml").unlink()
    with pytest.raises(BundleError, match=r"is ambiguous.*decoder\.yml"):
        read_marian_npz(folder)
    (folder / "other.vocab.yml").unlink()
    read_marian_npz(folder)
    (folder / "source.spm").unlink()
    with pytest.raises(BundleError, match=r"source\.spm.*BPE"):
        read_marian_npz(folder)
    shutil.copy(folder / "model.npz", folder / "other.npz")
    with pytest.raises(BundleError, match=r"holds 2 \.npz files"):
        read_marian_npz(folder)


def test_a_name_does_not_lead_out_of_the_folder(folder: Path) -> None:
    (folder / "decoder.yml").write_text("models:\n  - ../../elsewhere/model.npz\nvocabs:\n  - /etc/opus.vocab.yml\n")
    assert read_marian_npz(folder).model.config.d_model == 22


def test_the_vocabulary_must_fit_the_options(folder: Path) -> None:
    path = folder / "opus.vocab.yml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text + f'"one more": {text.count(chr(10))}\n', encoding="utf-8")
    with pytest.raises(IncompatibleModelError, match="dim-vocabs says"):
        read_marian_npz(folder)


def wrong_epsilon(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(marian_npz_options, "LAYER_NORM_EPSILON", 1e-5)


def wrong_positions(patch: pytest.MonkeyPatch) -> None:
    class Other:
        HALF_SPLIT_T2T = PositionLayout.HALF_SPLIT_PAPER_FREQUENCY

    patch.setattr(marian_npz_options, "PositionLayout", Other)


def wrong_start(patch: pytest.MonkeyPatch) -> None:
    class Other:
        ZERO_VECTOR = DecoderStart.BOS

    patch.setattr(marian_npz_options, "DecoderStart", Other)


def not_turned(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(marian_npz_reading, "_turned", lambda tensor, place: tensor.reshape(place.shape))


def swapped_names(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(marian_npz_names, "_LINEAR", {"q": "keys", "k": "queries", "v": "values", "o": "output"})


def padding_that_counts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(marian_npz_reading, "PADDING_LOGIT", 0.0)


def lost_tags(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(foreign_model, "_TAG", foreign_model.re.compile("never"))


MISTAKES = [wrong_epsilon, wrong_positions, wrong_start, not_turned, swapped_names, padding_that_counts, lost_tags]


@pytest.mark.parametrize("plant", MISTAKES)
def test_a_mistake_in_reading_is_caught(
    plant: Callable[[pytest.MonkeyPatch], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Square, so that nothing but the comparison can notice what lies the wrong way round.
    folder = make_npz_folder(tmp_path / "theirs", tags=(">>fra<<",), transformer_dim_ffn="22")
    plant(monkeypatch)
    with pytest.raises((ConversionError, IncompatibleModelError)):
        import_model(folder, tmp_path / "ours", threads=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["theirs"]


def test_the_kit_writes_what_the_reading_asks_for() -> None:
    """The layout is written down twice, by the kit and by the reading, in other words."""
    for changes in ({}, PRE_NORM, {"tied-embeddings-all": "false"}):
        options = OPTIONS | changes
        table = marian_npz_reading.read_settings(options_text(options, (13, 13)), place="x")
        read = marian_npz_options.read_options(table, has_output_bias=True, place="x")
        config = ModelConfig.model_validate(read.settings)
        places = marian_npz_names.tensor_places(config, read)
        written = {name: torch.Size(array.shape).numel() for name, array in arrays_of(options, (13, 13)).items()}
        assert written == {name: torch.Size(place.shape).numel() for name, place in places.items()}
