"""A run folder that somebody else made: nothing is written through its links, and what it holds is verified."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tests.models import save_model

from pellucid.bundle import load_bundle
from pellucid.durable import DISK
from pellucid.errors import DataError

from .conftest import Command, Outcome
from .small_runs import numbered_lines, settings

STEP = "checkpoints/step-00000004"


def train(command: Command, run: Path | str, *more: str, steps: int = 4, options: tuple[str, ...] = ()) -> Outcome:
    return command(
        "train", "--train-src", "s", "--train-tgt", "t", "--preset", "tiny", "--output", run,
        "--src-lang", "en", "--tgt-lang", "de",
        *settings("tokenizer.kind=bytes", "training.valid_steps=2", f"training.train_steps={steps}", *more), *options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished() -> dict[str, Path]:
    return {}


@pytest.fixture
def run(finished: dict[str, Path], command: Command, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a finished run of four steps, a copy for each test."""
    (tmp_path / "s").write_text(numbered_lines())
    (tmp_path / "t").write_text("".join(f"word {i} and one more\n" for i in range(29)))
    if "run" not in finished:
        made = tmp_path_factory.mktemp("runs") / "run"
        outcome = train(command, made)
        assert outcome.status == 0, outcome.err
        finished["run"] = made
    shutil.copytree(finished["run"], tmp_path / "run")
    return tmp_path / "run"


def everything_in(folder: Path) -> dict[str, bytes | str]:
    return {
        str(path.relative_to(folder)): str(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def link_away(run: Path, name: str) -> None:
    """Move a file or folder of the run out of it, and leave a link."""
    place, outside = run / name, run.parent / "outside"
    outside.mkdir(exist_ok=True)
    if place.exists():
        shutil.move(place, outside / "victim")
    else:
        (outside / "victim").write_text("mine\n")
    place.symlink_to(outside / "victim")


@pytest.mark.parametrize(
    "name",
    [
        ".lock",
        "bad-steps.json",
        "checkpoints",
        STEP,
        f"{STEP}/state.json",
        "checkpoints/.step-00000006.new",
        "data",
        "data/prepared.json",
        "data/tokenizer",
        "data/train",
        "data/train/index.json",
        "data/valid.jsonl",
        "metrics.jsonl",
        "model",
        "model/card.md",
        "model/model.toml",
        "model/tokenizer",
        "probes",
        "probes/index.json",
        "recipe.toml",
        "snapshots",
        "text.json",
    ],
)
def test_a_link_is_refused_before_anything_is_touched(name: str, run: Path, command: Command) -> None:
    link_away(run, name)
    before = everything_in(run.parent)
    for options in ((), ("--dry-run",)):
        outcome = train(command, run, steps=6, options=options)
        assert outcome.status == 1
        assert f"run/{name}: is a symbolic link" in outcome.err
        assert "Traceback" not in outcome.err
        assert everything_in(run.parent) == before


def test_a_link_to_nowhere_and_a_pipe_are_refused(run: Path, command: Command) -> None:
    (run / "probes" / "step-00000006.npz").symlink_to("/nowhere/at/all")
    assert "step-00000006.npz: is a symbolic link" in train(command, run, steps=6).err
    (run / "probes" / "step-00000006.npz").unlink()
    (run / "metrics.jsonl").unlink()
    os.mkfifo(run / "metrics.jsonl")
    assert "metrics.jsonl: is neither a file nor a folder" in train(command, run, steps=6).err


@pytest.mark.parametrize("name", [".lock", "metrics.jsonl", "data", "text", "text/train.en", "demo.json"])
@pytest.mark.parametrize("verb", ["train", "demo"])
def test_a_run_does_not_begin_in_a_folder_with_links(verb: str, name: str, command: Command, tmp_path: Path) -> None:
    (tmp_path / "s").write_text("a\nb\n")
    (tmp_path / "t").write_text("a\nb\n")
    (tmp_path / "run" / name).parent.mkdir(parents=True)
    link_away(tmp_path / "run", name)
    before = everything_in(tmp_path)
    outcome = train(command, "run") if verb == "train" else command("demo", "--output", "run")
    assert outcome.status == 1
    assert f"run/{name}: is a symbolic link" in outcome.err
    assert everything_in(tmp_path) == before


def test_a_run_folder_that_is_reached_through_a_link_is_used(run: Path, command: Command) -> None:
    (run.parent / "name").symlink_to(run)
    outcome = train(command, run.parent / "name", steps=6)
    assert outcome.status == 0, outcome.err
    assert (run / "checkpoints" / "step-00000006").is_dir()


@pytest.mark.parametrize("name", [".recipe.toml.new", ".text.json.new"])
def test_names_of_unfinished_saves_lead_nowhere(name: str, run: Path, command: Command) -> None:
    link_away(run, name)
    assert train(command, run, steps=6).status == 0
    assert (run.parent / "outside" / "victim").read_text() == "mine\n"
    assert not (run / name).is_symlink()


def test_a_file_with_another_name_keeps_it_unchanged(run: Path, command: Command) -> None:
    """As a backup made of hard links (``cp -al``) has it."""
    shutil.copytree(run, run.parent / "backup", copy_function=os.link)
    before = everything_in(run.parent / "backup")
    shutil.rmtree(run / "data" / "train")  # the text is prepared again
    assert train(command, run, steps=6).status == 0
    assert everything_in(run.parent / "backup") == before
    assert len((run / "metrics.jsonl").read_bytes()) > len(before["metrics.jsonl"])


def test_a_new_file_is_never_the_target_of_a_link(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine\n")
    (tmp_path / "link").symlink_to("victim")
    with pytest.raises(FileExistsError):
        DISK.write(tmp_path / "link", b"theirs")
    (tmp_path / ".link.new").symlink_to("victim")
    DISK.write_replacing(tmp_path / "link", b"theirs")
    assert (tmp_path / "victim").read_text() == "mine\n"
    assert (tmp_path / "link").read_bytes() == b"theirs"


def test_a_model_is_not_saved_through_a_link(run: Path, tmp_path: Path) -> None:
    bundle = load_bundle(run)
    (tmp_path / "new").mkdir()
    (tmp_path / "victim").mkdir()
    (tmp_path / "new" / "tokenizer").symlink_to(tmp_path / "victim")
    with pytest.raises(DataError, match="tokenizer: is a symbolic link"):
        save_model(tmp_path / "new", bundle.model, bundle.tokenizer)
    assert list((tmp_path / "victim").iterdir()) == []


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def weights_of(run: Path) -> Path:
    return next((run / "model").glob("weights-*.safetensors"))


def model_is_a_file(run: Path) -> None:
    shutil.rmtree(run / "model")
    (run / "model").write_text("no folder")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "a changed weight": lambda run: flip(weights_of(run)),
    "truncated weights": lambda run: weights_of(run).write_bytes(b"123"),
    "no weights": lambda run: weights_of(run).unlink(),
    "an empty description": lambda run: (run / "model" / "model.toml").write_bytes(b""),
    "a cut description": lambda run: (run / "model" / "model.toml").write_bytes(b"format_version = 1\n"),
    "a changed tokenizer": lambda run: flip(run / "model" / "tokenizer" / "tokenizer.json"),
    "no tokenizer": lambda run: shutil.rmtree(run / "model" / "tokenizer"),
    "a file that does not belong there": lambda run: (run / "model" / "tokenizer" / "x.json").write_text("{}"),
    "a file for a folder": model_is_a_file,
}


OF_A_CONTINUED_RUN = ("a changed weight", "an empty description", "a changed tokenizer")
CASES = [(name, 4) for name in DAMAGE] + [(name, 8) for name in OF_A_CONTINUED_RUN]


@pytest.mark.parametrize(("name", "steps"), CASES)
def test_a_damaged_model_is_written_again(name: str, steps: int, run: Path, command: Command) -> None:
    before = load_file(weights_of(run))
    DAMAGE[name](run)
    if (run / "model").is_dir():
        (run / "model" / "notes.txt").write_text("mine\n")
    # Another engine may have prepared the weights earlier and not read the damaged file.
    assert command("translate", run, "--engine", "torch", stdin=b"wort\n").status == 1
    outcome = train(command, run, steps=steps)
    assert outcome.status == 0, outcome.err
    assert "the model is written again from the checkpoint of step" in outcome.err
    assert command("translate", run, "--engine", "torch", stdin=b"wort\n").status == 0
    if steps == 4:
        after = load_file(weights_of(run))
        assert all(np.array_equal(before[name], after[name]) for name in before)
    if (run / "model" / "notes.txt").exists():
        assert (run / "model" / "notes.txt").read_text() == "mine\n"


def test_a_whole_model_is_left_as_it_is(run: Path, command: Command) -> None:
    before = {path: path.stat().st_mtime_ns for path in (run / "model").rglob("*")}
    assert "written again" not in train(command, run).err
    assert {path: path.stat().st_mtime_ns for path in (run / "model").rglob("*")} == before


def test_without_its_best_checkpoint_the_newest_whole_one_gives_the_model(run: Path, command: Command) -> None:
    best = load_bundle(run).description.facts["step"]
    assert train(command, run, "training.keep_checkpoint=5", steps=8).status == 0
    best = load_bundle(run).description.facts["step"]
    flip(run / "checkpoints" / f"step-{best:08d}" / "averages.safetensors")
    flip(weights_of(run))
    outcome = train(command, run, "training.keep_checkpoint=5", steps=8)
    assert outcome.status == 0, outcome.err
    assert f"because the checkpoint of the best step, {best}, is damaged" in outcome.err
    assert command("translate", run, stdin=b"wort\n").status == 0


def test_without_a_whole_checkpoint_no_model_is_named(run: Path, command: Command) -> None:
    for path in run.glob("checkpoints/*/averages.safetensors"):
        flip(path)
    flip(weights_of(run))
    outcome = train(command, run)
    assert outcome.status == 1
    assert "damaged" in outcome.err
    assert "the model is in" not in outcome.err


@pytest.mark.parametrize("content", [b"", b"= =", b"[training]\nseed = 1\n", b"\xff"])
def test_a_damaged_recipe_in_the_run_decides_nothing(content: bytes, run: Path, command: Command) -> None:
    whole = (run / "recipe.toml").read_bytes()
    (run / "recipe.toml").write_bytes(content)
    averaged = command("average", run, "--output", "averaged")
    assert averaged.status == 0, averaged.err
    assert load_bundle(run.parent / "averaged").description.source_language == "en"
    outcome = train(command, run)
    assert outcome.status == 0, outcome.err
    assert "changed" not in outcome.err
    assert (run / "recipe.toml").read_bytes() == whole
    (run / "recipe.toml").write_bytes(content)
    refused = train(command, run, "training.seed=5")
    assert refused.status == 1
    assert "training.seed: was 1, now 5" in refused.err or "seed: was" in refused.err
