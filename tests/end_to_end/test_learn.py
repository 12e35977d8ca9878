"""``pellucid learn``: accepted corrections make a better model, which a link leads to; a worse one is refused."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from pellucid.serving.corrections.journal import Journal
from pellucid.serving.corrections.states import Correction

from .conftest import Command
from .small_runs import options

WORDS = {
    "hund": "dog", "bank": "bench", "fluss": "river", "ufer": "shore", "rot": "red", "alt": "old", "neu": "new",
    "haus": "house", "baum": "tree", "kind": "child",
}  # fmt: skip
OTHERS = [word for word in WORDS if word not in ("bank", "fluss", "ufer")]
SMALL = (
    "model.d_model=48", "model.num_heads=3", "model.d_feedforward=96", "model.num_encoder_layers=1",
    "model.num_decoder_layers=1", "training.batch_size=800", "training.warmup_steps=20",
    "training.learning_rate=0.008", "training.valid_bleu_sentences=20", "training.threads=1",
    "training.average_decay=0.9", "training.label_smoothing=0",
)  # fmt: skip


def lines(count: int, seed: int) -> list[tuple[str, str]]:
    """Return sentences of four words, never with "bank" behind "fluss"."""
    rng, found = random.Random(seed), []
    while len(found) < count:
        words = rng.choices([*WORDS], k=4)
        if "fluss bank" not in " ".join(words):
            found.append((" ".join(words), " ".join(WORDS[word] for word in words)))
    return found


@pytest.fixture
def first(command: Command, tmp_path: Path) -> Path:
    for name, count, seed in (("train", 900, 1), ("valid", 30, 2)):
        for side, texts in zip(("de", "en"), zip(*lines(count, seed), strict=True), strict=True):
            (tmp_path / f"{name}.{side}").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    files = [f"--{part}-{side}={part}.{code}" for part in ("train", "valid") for side, code in SIDES]
    length = options("training.train_steps=240", "training.valid_steps=240")
    codes = ("--src-lang", "de", "--tgt-lang", "en")
    done = command("train", *files, *codes, "--output", "first", *options(*SMALL), *length)
    assert done.status == 0, done.err
    (tmp_path / "live").symlink_to(tmp_path / "first")
    journal = Journal(tmp_path / "corrections")
    journal.make_folder()
    for one in OTHERS:
        for other in OTHERS[:3]:
            target = f"river shore {WORDS[one]} {WORDS[other]}"  # a bank of a river is no bench
            journal.add(Correction(f"fluss bank {one} {other}", target, "de", "en"))
    return tmp_path


SIDES = (("src", "de"), ("tgt", "en"))
LEARN = ("learn", "live", "--corrections", "corrections", "--into", "live")
SHORT = options(
    *(one for one in SMALL if not one.startswith("model.")), "training.train_steps=80", "training.valid_steps=20"
)


@pytest.mark.slow
def test_a_model_learns_what_was_accepted_and_a_link_leads_to_it(command: Command, first: Path) -> None:
    refused = command(*LEARN, "--output", "second", *SHORT)
    assert refused.status == 1
    assert "has 0 accepted corrections with different sources for de → en, and 10 are needed" in refused.err
    assert command("corrections", "accept", "corrections", "all").status == 0
    before = command("translate", "first", "fluss bank neu haus", "--engine", "torch").out
    assert before.startswith("river bench")
    done = command(*LEARN, "--output", "second", *SHORT, "--set", "training.max_forgetting=5")
    assert done.status == 0, done.err + done.out
    assert "the new model is better" in done.out
    assert (first / "live").resolve() == first / "second"
    # A source that nobody corrected.
    assert command("translate", "live", "fluss bank kind kind", "--engine", "torch").out.startswith("river shore")
    origin = json.loads((first / "second" / "learning.json").read_text("utf-8"))
    assert origin["is_better"] is True
    assert len(origin["trained_on"]) + len(origin["held_out"]) == 21
    assert not {*origin["trained_on"]} & {*origin["held_out"]}
    assert origin["weights_sha256"]["before"] != origin["weights_sha256"]["after"]
    assert "general text: BLEU" in done.out
    # A model that is no better is not put in place: it has learnt for one step, from the better one.
    again = command(*LEARN, "--output", "third", *options(*SMALL[5:6], "training.train_steps=1", "training.threads=1"))
    assert again.status == 3, again.err
    assert "not better, so nothing was put in place" in again.out
    assert "held-out corrections: BLEU" in again.out
    assert (first / "live").resolve() == first / "second"
