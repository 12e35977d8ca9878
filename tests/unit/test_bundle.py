"""A model folder is whole at every instant, and is what was saved."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.models import random_model, save_model

from pellucid.bundle import find_model_folder, load_bundle, load_snapshot, save_bundle
from pellucid.config import SpecialIds, TranslationConfig
from pellucid.durable import Disk
from pellucid.errors import BundleError, IncompatibleModelError, StoppedError
from pellucid.model.transformer import Transformer
from pellucid.text.tokenizer import BytesTokenizer
from pellucid.training.probes import write_snapshot


def small_model(seed: int, **changes: object) -> Transformer:
    shape = {"d_model": 12, "d_feedforward": 17, "num_encoder_layers": 2, "num_decoder_layers": 1, "max_positions": 31}
    return random_model(seed=seed, **(shape | changes))


def save(folder: Path, model: Transformer, *, card: str = "card", disk: Disk | None = None) -> None:
    more = {"translation": TranslationConfig(beam_size=3), "facts": {"step": 7, "bleu": 31.5}, "disk": disk or Disk()}
    save_model(folder, model, card=card, **more)


def same_weights(a: Transformer, b: Transformer) -> bool:
    left, right = a.state_dict(), b.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize(
    "changes", [{}, {"share_embeddings": False}, {"norm_order": "pre"}, {"position_layout": "learned"}], ids=str
)
def test_what_was_saved_is_loaded(tmp_path: Path, changes: dict[str, object]) -> None:
    model = small_model(1, **changes)
    save(tmp_path / "m", model)
    bundle = load_bundle(tmp_path / "m")
    assert same_weights(bundle.model, model)
    assert not bundle.model.training
    assert bundle.description.model == model.config
    assert bundle.description.translation.beam_size == 3
    assert bundle.description.facts == {"step": 7, "bleu": 31.5}
    assert bundle.description.source_language == "de"
    assert (tmp_path / "m" / "card.md").read_text() == "card"


def test_a_run_folder_means_its_model(tmp_path: Path) -> None:
    save(tmp_path / "run" / "model", small_model(1))
    assert find_model_folder(tmp_path / "run") == tmp_path / "run" / "model"
    with pytest.raises(BundleError, match="neither a model nor a run"):
        find_model_folder(tmp_path)


def test_old_weights_go_after_the_commit(tmp_path: Path) -> None:
    save(tmp_path / "m", small_model(1))
    save(tmp_path / "m", small_model(2))
    assert len(list((tmp_path / "m").glob("weights-*.safetensors"))) == 1
    assert same_weights(load_bundle(tmp_path / "m").model, small_model(2))


class Stop(BaseException):
    """Stands for a kill: no handler may swallow it."""


def operations_of_a_save(folder: Path) -> list[tuple[str, str]]:
    seen: list[tuple[str, str]] = []
    save(folder, small_model(1))
    save(folder, small_model(2), card="new", disk=Disk(lambda kind, path: seen.append((kind, path.name))))
    return seen


def test_a_save_stopped_at_any_operation_leaves_a_whole_model(tmp_path: Path) -> None:
    operations = operations_of_a_save(tmp_path / "counted")
    assert {kind for kind, _ in operations} == {"write", "fsync", "rename", "unlink"}
    for stop_at in range(len(operations)):
        folder = tmp_path / str(stop_at)
        old, new = small_model(1), small_model(2)
        save(folder, old)
        left = stop_at

        def stop(kind: str, path: Path) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise Stop

        with pytest.raises(Stop):
            save(folder, new, disk=Disk(stop))
        loaded = load_bundle(folder).model
        assert same_weights(loaded, old) or same_weights(loaded, new), operations[stop_at]
        save(folder, new)
        assert same_weights(load_bundle(folder).model, new)
        assert len(list(folder.glob("weights-*.safetensors"))) == 1


def test_the_next_save_removes_what_a_kill_left(tmp_path: Path) -> None:
    def kill(kind: str, path: Path) -> None:
        if kind == "fsync" and path.name.startswith(".weights-"):
            raise Stop

    folder = tmp_path / "m"
    save(folder, small_model(1))
    with pytest.raises(Stop):
        save(folder, small_model(2), disk=Disk(kill))
    assert list(folder.glob(".*.new"))
    save(folder, small_model(3))
    assert not list(folder.glob(".*"))
    assert same_weights(load_bundle(folder).model, small_model(3))


def test_a_full_disk_is_said_and_the_old_model_stays(tmp_path: Path) -> None:
    save(tmp_path / "m", small_model(1))

    def full(kind: str, path: Path) -> None:
        if kind == "write" and path.name.startswith(".weights"):
            raise OSError(28, "No space left on device")

    with pytest.raises(StoppedError, match="the disk is full") as caught:
        save(tmp_path / "m", small_model(2), disk=Disk(full))
    assert caught.value.exit_status == 75
    assert same_weights(load_bundle(tmp_path / "m").model, small_model(1))


def test_another_tokenizer_does_not_slip_in(tmp_path: Path) -> None:
    save(tmp_path / "m", small_model(1))
    other = BytesTokenizer(specials=SpecialIds(pad=3, unk=2, bos=1, eos=0))
    with pytest.raises(IncompatibleModelError, match="another tokenizer"):
        save_bundle(
            tmp_path / "m", small_model(1), tokenizer=other, card="", source_language="de", target_language="en"
        )


def test_float16_on_disk_is_float32_in_memory_and_said_to_be_so(tmp_path: Path) -> None:
    model = small_model(1)
    options = {"tokenizer": BytesTokenizer(), "card": "", "source_language": "de", "target_language": "en"}
    whole = save_bundle(tmp_path / "whole", model, **options)  # type: ignore[arg-type]
    half = save_bundle(tmp_path / "half", model, dtype=torch.float16, **options)  # type: ignore[arg-type]
    assert (whole.weights_dtype, half.weights_dtype) == (None, "float16")
    sizes = [(tmp_path / name / d.weights).stat().st_size for name, d in (("whole", whole), ("half", half))]
    assert sizes[1] < 0.6 * sizes[0]
    bundle = load_bundle(tmp_path / "half")
    assert bundle.description.weights_dtype == "float16"
    for name, parameter in bundle.model.named_parameters():
        assert parameter.dtype is torch.float32
        assert torch.equal(parameter, model.get_parameter(name).half().float())


def test_a_number_format_other_than_the_one_that_is_told_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "m", small_model(1))
    path = tmp_path / "m" / "model.toml"
    path.write_text(path.read_text().replace("[files]", 'weights_dtype = "float16"\n\n[files]'))
    with pytest.raises(IncompatibleModelError, match=r"number format 'F32', allowed F16"):
        load_bundle(tmp_path / "m")


def test_a_weight_too_large_for_float16_is_refused(tmp_path: Path) -> None:
    model = small_model(1)
    with torch.no_grad():
        model.encoder.layers[0].feed_forward.outer.weight[3, 5] = 70_000
    with pytest.raises(BundleError, match=r"encoder.layers.0.feed_forward.outer.weight.*float32"):
        save_bundle(
            tmp_path / "m",
            model,
            tokenizer=BytesTokenizer(),
            card="",
            source_language="de",
            target_language="en",
            dtype=torch.float16,
        )
    assert not (tmp_path / "m").exists()


def test_a_snapshot_is_read_with_the_rest_of_its_model(tmp_path: Path) -> None:
    save(tmp_path / "m", small_model(1))
    bundle, other = load_bundle(tmp_path / "m"), small_model(2)
    write_snapshot(tmp_path, other, step=30)
    snapshot = load_snapshot(bundle, tmp_path / "step-00000030.safetensors", step=30)
    assert same_weights(snapshot.model, other)
    assert snapshot.description.facts == {"step": 30}
    assert snapshot.tokenizer is bundle.tokenizer
    write_snapshot(tmp_path, small_model(2, d_feedforward=19), step=40)
    with pytest.raises(IncompatibleModelError, match="feed_forward"):
        load_snapshot(bundle, tmp_path / "step-00000040.safetensors", step=40)
    with pytest.raises(BundleError, match="no weights of step 50"):
        load_snapshot(bundle, tmp_path / "step-00000050.safetensors", step=50)
