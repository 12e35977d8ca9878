"""The guide to synthetic text, command by command, on sentences of the embedded grammar."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

import pellucid
from pellucid.sample.corpus import build_corpus
from pellucid.text.store import TokenStore

from .conftest import Command
from .domains import DOMAINS
from .small_runs import options

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "guides" / "synthetic_data.md").read_text(encoding="utf-8")
PIPELINE = GUIDE.partition("\n## Back-translation, from command to command\n")[2].partition("\n## ")[0]
SMALL = options(
    "preset=tiny",
    "model.d_model=64",
    "model.d_feedforward=128",
    "model.num_heads=4",
    "model.num_encoder_layers=1",
    "model.num_decoder_layers=1",
    "model.dropout=0",
    "tokenizer.vocab_size=400",
    "training.train_steps=120",
    "training.valid_steps=60",
    "training.learning_rate=0.004",
    "training.warmup_steps=40",
    "training.average_decay=0.9",
    "training.valid_bleu_sentences=20",
    "training.threads=1",
)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PIPELINE, flags=re.S)


def write_text(folder: Path) -> None:
    """Write real.*, valid.* and more.fr, whose English side is not written."""
    corpus = build_corpus(seed=2, train_size=5000, valid_size=300, test_size=0)
    kept = [pair for pair in corpus.train if pair.template in DOMAINS["statements"]]
    parts = {"real": kept[:350], "more": kept[350:], "valid": corpus.valid[:40]}
    for name, pairs in parts.items():
        for side, lines in (("en", [p.source for p in pairs]), ("fr", [p.target for p in pairs])):
            if (name, side) != ("more", "en"):
                (folder / f"{name}.{side}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def follow(command: Command, line: str, folder: Path) -> str:
    """Run a command of the guide with a small model, and return what it writes to standard output."""
    echo, _, call = line.rpartition(" | ")
    words = shlex.split(call.partition(" > ")[0])[1:]
    for name in ("--minutes", "--preset"):
        if name in words:
            del words[words.index(name) : words.index(name) + 2]
    extra = SMALL if words[0] == "train" else ["--threads", "1"]
    said = "".join(f"{word}\n" for word in shlex.split(echo)[1:])
    done = command(*words, *extra, stdin=said.encode())
    assert done.status == 0, done.err
    if target := call.partition(" > ")[2]:
        (folder / target).write_text(done.out, encoding="utf-8")
    (folder / "said.txt").write_text(done.err, encoding="utf-8")
    return done.out


@pytest.mark.slow
def test_the_commands_of_the_guide_lead_from_text_to_a_translator(command: Command, tmp_path: Path) -> None:
    write_text(tmp_path)
    first, second = (block.replace("\\\n", " ").strip().split("\n") for block in blocks("bash"))
    printed, recipe = blocks("toml")
    for line in first:
        follow(command, line, tmp_path)
    assert (tmp_path / "synthetic.toml").read_text("utf-8") == printed
    about = json.loads((tmp_path / "synthetic.tsv.json").read_text("utf-8"))
    mono = (tmp_path / "more.fr").read_text("utf-8").splitlines()
    assert about["counts"]["read"] == len(mono)
    assert about["counts"]["kept"] > 0.5 * len(mono)
    rows = [row.split("\t") for row in (tmp_path / "synthetic.tsv").read_text("utf-8").splitlines()]
    assert {target for _, target in rows} <= set(mono), "the target side is the text itself"

    recipe = recipe.replace('preset = "small"\n', "")
    (tmp_path / "recipe.toml").write_text(recipe + printed, encoding="utf-8")
    train, translate = second
    follow(command, train, tmp_path)
    said = (tmp_path / "said.txt").read_text("utf-8")
    assert re.search(r"mixing: an epoch shows 700 pairs: real 50.0% \(350 pairs, each 1 times\)", said)
    store = TokenStore.open(tmp_path / "runs" / "en-fr" / "data" / "train")
    translator = pellucid.load(tmp_path / "runs" / "en-fr", engine="torch", threads=1)
    tag = translator.tokenizer.source_id("<bt>")
    assert translator.tokenizer.source_tags == ("<bt>",)
    begins_with_tag = [int(store.source(row)[0]) == tag for row in range(len(store))]
    assert begins_with_tag == [corpus == 1 for corpus in store.corpus.tolist()]
    assert not any((store.target(row) == tag).any() for row in range(len(store)))
    out = follow(command, translate, tmp_path)
    assert out.strip()
    assert "<bt>" not in out
    plain, asked = translator.translate(["The cat sleeps.", "<bt> The cat sleeps."])
    assert not plain.flags or "missing_tag" not in plain.flags
    assert plain.alternatives[0].score != asked.alternatives[0].score, "asked for, the tag acts"
    assert tag not in {i for result in (plain, asked) for h in result.alternatives for i in h.ids}
