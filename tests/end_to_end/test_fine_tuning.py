"""A MarianMT model comes in, learns another domain, and goes out again with what it has gained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sacrebleu

from .conftest import Command
from .domains import make_marian, translated_by_transformers, write_domains

GREEDY = ("--set", "beam_size=1")
ALONE = ("--threads", "1")


def train(command: Command, domain: str, *, start: str, output: str, steps: int, rate: str) -> None:
    files = [f"--{split}-{side}={domain}.{split}.{tongue}" for split in ("train", "valid") for side, tongue in SIDES]
    settings = {
        "training.train_steps": steps,
        "training.valid_steps": steps,
        "training.batch_size": 1024,
        "training.learning_rate": rate,
        "training.warmup_steps": 100,
        "training.label_smoothing": 0,
        # The default averages over as many steps as there are here, the first ones too.
        "training.average_decay": 0.98,
        "training.valid_bleu_sentences": 0,
        # Two threads wait for each other where the machine has other work too.
        "training.threads": 1,
    }
    options = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    done = command("train", *files, "--init-from", start, "--output", output, *options)
    assert done.status == 0, done.err


SIDES = (("src", "en"), ("tgt", "fr"))


def bleu(command: Command, model: str, domain: str, folder: Path) -> float:
    places = ("--src", f"{domain}.test.en", "--ref", f"{domain}.test.fr", "--json", "report.json")
    done = command("evaluate", model, *places, *GREEDY, *ALONE)
    assert done.status == 0, done.err
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    (folder / "report.json").unlink()
    return found(report)


def found(report: object) -> float:
    """Return the BLEU score, wherever the report has it."""
    entries = [report]
    while entries:
        entry = entries.pop()
        if isinstance(entry, dict):
            if isinstance(entry.get("bleu"), dict):
                return float(entry["bleu"]["value"])
            entries += list(entry.values())
        elif isinstance(entry, list):
            entries += entry
    raise AssertionError("no BLEU in the report")


@pytest.mark.slow(minutes=1)
def test_a_fine_tuned_import_gains_in_its_domain_and_takes_the_gain_out(command: Command, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    write_domains(tmp_path)
    make_marian(tmp_path / "new", tmp_path)
    # What stands for somebody's model: made by transformers, taught statements, and a MarianMT folder again.
    assert command("import", "new", "--output", "new-here", *ALONE).status == 0
    train(command, "statements", start="new-here", output="first", steps=300, rate="0.003")
    assert command("export", "first", "--format", "marian", "--output", "theirs", *ALONE).status == 0
    # What its user does.
    assert command("import", "theirs", "--output", "imported", *ALONE).status == 0
    before = bleu(command, "imported", "questions", tmp_path)
    train(command, "questions", start="imported", output="tuned", steps=250, rate="0.002")
    after = bleu(command, "tuned", "questions", tmp_path)
    assert after > before + 10, (before, after)
    exported = command("export", "tuned", "--format", "marian", "--output", "out", *ALONE)
    assert exported.status == 0, exported.err
    # The gain is in the folder, for a program that has never heard of us.
    texts, references = ((tmp_path / f"questions.test.{side}").read_text("utf-8").splitlines() for side in ("en", "fr"))
    theirs = sacrebleu.corpus_bleu(translated_by_transformers(tmp_path / "out", texts), [references]).score
    assert abs(theirs - after) < 1, (theirs, after)
    print(f"BLEU on questions: {before:.1f} before, {after:.1f} after, {theirs:.1f} by transformers")
