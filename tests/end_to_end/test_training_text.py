"""Training text in every form that is allowed, through the real command: what it trains on is the content alone."""

from __future__ import annotations

import gzip
import json
import lzma
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Command
from .small_runs import settings

PAIRS = [(f"Der Hund Nr. {i} rennt über die Straße.", f"Dog no. {i} runs across the street.") for i in range(37)]
CHINESE = [(f"第{i}只狗跑过街道，它很累。", f"Dog {i} runs across the street; it is tired.") for i in range(37)]
BYTES = ("tokenizer.kind=bytes", "training.train_steps=1", "training.batch_size=499")
VALID = ("--valid-src", "v.de", "--valid-tgt", "v.en")
FILES = ("--train-src", "s", "--train-tgt", "t")


def lines(side: int, pairs: list[tuple[str, str]] = PAIRS, end: str = "\n") -> bytes:
    return "".join(pair[side] + end for pair in pairs).encode()


def write(folder: Path, **files: bytes) -> None:
    files = {"v.de": lines(0, PAIRS[:5]), "v.en": lines(1, PAIRS[:5])} | files
    for name, content in files.items():
        (folder / name).write_bytes(content)


def train(command: Command, *arguments: str, more: tuple[str, ...] = BYTES, output: str = "run") -> str:
    """Train a step or two and return what was said."""
    given = ("--preset", "tiny", "--output", output)
    outcome = command("train", *arguments, *given, *settings("training.valid_bleu_sentences=1", *more))
    assert outcome.status == 0, outcome.err
    assert "Traceback" not in outcome.err
    return outcome.err


def content_of(run: Path) -> tuple[str, str]:
    stores = (json.loads((run / "data" / name / "index.json").read_text()) for name in ("train", "valid"))
    one, other = (index["fingerprint"] for index in stores)
    return one, other


def tsv(pairs: list[tuple[str, str]]) -> bytes:
    return "".join(f"{source}\t{target}\n" for source, target in pairs).encode()


def jsonl(pairs: list[tuple[str, str]]) -> bytes:
    return "".join(json.dumps({"source": s, "target": t}) + "\n" for s, t in pairs).encode()


FORMS: dict[str, tuple[dict[str, bytes], tuple[str, ...]]] = {
    "plain": ({"s": lines(0), "t": lines(1)}, FILES),
    "gz and xz": ({"s": gzip.compress(lines(0)), "t": lzma.compress(lines(1))}, FILES),
    "a mark and Windows line ends": ({"s": b"\xef\xbb\xbf" + lines(0, end="\r\n"), "t": lines(1)[:-1]}, FILES),
    "TSV": ({"x": tsv(PAIRS)}, ("--set", 'data.train=[{tsv="x"}]')),
    "JSON lines": ({"x": gzip.compress(jsonl(PAIRS))}, ("--set", 'data.train=[{jsonl="x"}]')),
}


def test_the_form_of_the_text_decides_nothing(command: Command, tmp_path: Path) -> None:
    found = {}
    for number, (form, (files, arguments)) in enumerate(FORMS.items()):
        write(tmp_path, **files)
        train(command, *arguments, *VALID, output=f"run{number}")
        found[form] = content_of(tmp_path / f"run{number}")
    assert set(found.values()) == {found["plain"]}, found


VARIANTS: dict[str, tuple[str, ...]] = {
    "separate vocabularies": ("tokenizer.joint=false", "model.share_embeddings=false", "training.train_steps=1"),
    "pre-norm, learned positions, gelu": (
        *BYTES,
        "model.norm_order=pre",
        "model.position_layout=learned",
        "model.activation=gelu",
    ),
    "byte pairs, lowercase": ("tokenizer.model_type=bpe", "tokenizer.lowercase=true", "training.train_steps=1"),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_train_and_translate(variant: str, command: Command, tmp_path: Path) -> None:
    write(tmp_path, s=lines(0), t=lines(1))
    train(command, *FILES, *VALID, more=VARIANTS[variant])
    outcome = command("translate", "run", "v.de", "--beam-size", "2", "--set", "max_length_constant=3")
    assert outcome.status == 0, outcome.err
    assert outcome.out.count("\n") == 5


def test_chinese_trains_without_any_setting(command: Command, tmp_path: Path) -> None:
    write(tmp_path, s=lines(0, CHINESE), t=lines(1, CHINESE))
    for way in ((), ("back",)):
        sides = ("t", "s") if way else ("s", "t")
        codes = ("en", "zh") if way else ("zh", "en")
        languages = ("--src-lang", codes[0], "--tgt-lang", codes[1])
        files = ("--train-src", sides[0], "--train-tgt", sides[1])
        said = train(command, *files, *languages, more=("training.train_steps=1",), output=f"run{codes[0]}")
        assert "pieces learnt from" in said


@pytest.mark.parametrize(
    ("languages", "words"),
    [
        ((), ("tokenizer zh, the references are in Chinese", "'tgt' has no tokenizer")),
        (("--tgt-lang", "zh"), ("tokenizer zh, the usual one for 'zh'",)),
        (("--tgt-lang", "de"), ("tokenizer zh, the references are in Chinese", "'de' has no tokenizer")),
    ],
)
def test_how_validation_bleu_finds_words_is_said_once(
    languages: tuple[str, ...], words: tuple[str, ...], command: Command, tmp_path: Path
) -> None:
    write(tmp_path, s=lines(1, CHINESE), t=lines(0, CHINESE))
    said = train(command, *FILES, *languages, more=(*BYTES, "training.valid_steps=1"))
    told = [line for line in said.splitlines() if "BLEU of the validations" in line]
    assert len(told) == 1
    for word in words:
        assert word in told[0]
    card = (tmp_path / "run" / "model" / "card.md").read_text(encoding="utf-8")
    assert "tok:zh" in card


def test_weights_show_pairs_more_often(command: Command, tmp_path: Path) -> None:
    write(tmp_path, a=tsv(PAIRS[:20]), b=tsv(PAIRS[20:]))
    corpora = 'data.train=[{tsv="a", weight=2.0}, {tsv="b", weight=0.5}]'
    said = train(command, "--set", corpora, *VALID)
    assert "a: 20 pairs read" in said
    assert "b: 17 pairs read" in said


def test_one_pair_is_enough_with_validation_text(command: Command, tmp_path: Path) -> None:
    write(tmp_path, s=lines(0, PAIRS[:1]), t=lines(1, PAIRS[:1]))
    assert "1 pair," in train(command, *FILES, *VALID)


def test_validation_text_is_taken_as_it_is(command: Command, tmp_path: Path) -> None:
    write(tmp_path, s=lines(0), t=lines(1), **{"v.de": b"\nein Hund\n\n", "v.en": b"a dog\n\n\n"})
    said = train(command, *FILES, *VALID, more=(*BYTES, "training.valid_bleu_sentences=3"))
    assert "valid: 3 pairs" in said


SENTENCES: dict[str, tuple[dict[str, bytes], tuple[str, ...], tuple[str, ...]]] = {
    "everything filtered out": (
        {"s": lines(0), "t": lines(0)},
        FILES,
        ("no training pair is left", "37 pairs read, 0 kept", "copy"),
    ),
    "everything too long": (
        {"s": lines(0), "t": lines(1)},
        (*FILES, "--set", "training.max_length=7"),
        ("train text: no sentence pair is left", "37", "training.max_length"),
    ),
    "an empty side of the validation": ({"s": lines(0), "t": lines(1), "v.en": b""}, FILES, ("v.en: is empty",)),
    "validation files of unequal length": (
        {"s": lines(0), "t": lines(1), "v.en": lines(1, PAIRS[:4])},
        FILES,
        ("v.de has 5 lines and v.en has 4",),
    ),
    "a name that lies": (
        {"s.xz": lines(0), "t": lines(1)},
        ("--train-src", "s.xz", "--train-tgt", "t"),
        ("does not contain xz data",),
    ),
}


@pytest.mark.parametrize("case", SENTENCES)
def test_what_cannot_train_is_told_in_a_sentence(case: str, command: Command, tmp_path: Path) -> None:
    files, arguments, words = SENTENCES[case]
    write(tmp_path, **files)
    outcome = command("train", *arguments, *VALID, "--preset", "tiny", "--output", "run", *settings(*BYTES))
    assert outcome.status == 1
    for word in words:
        assert word in outcome.err
    assert "Traceback" not in outcome.err
    assert not (tmp_path / "run" / "checkpoints").exists()


def renamed(folder: Path) -> tuple[str, ...]:
    (folder / "elsewhere").mkdir()
    shutil.move(folder / "s", folder / "elsewhere" / "other.gz")
    (folder / "elsewhere" / "other.gz").write_bytes(gzip.compress((folder / "elsewhere" / "other.gz").read_bytes()))
    return ("--train-src", "elsewhere/other.gz", "--train-tgt", "t")


def test_text_that_was_moved_or_renamed_continues_and_it_is_said(command: Command, tmp_path: Path) -> None:
    write(tmp_path, s=lines(0), t=lines(1))
    train(command, *FILES, *VALID)
    before = content_of(tmp_path / "run")
    said = train(command, *renamed(tmp_path), *VALID, more=(*BYTES[::2], "training.train_steps=2"))
    assert "the same text under other names: other.gz, t (was s, t)" in said
    assert "continuing from step 1" in said
    assert content_of(tmp_path / "run") == before


def test_a_run_of_before_names_were_kept_apart_continues(command: Command, tmp_path: Path) -> None:
    write(tmp_path, s=lines(0), t=lines(1))
    train(command, *FILES, *VALID)
    record = tmp_path / "run" / "text.json"
    table = json.loads(record.read_text())
    names = table.pop("names")
    del table["columns"]
    table["text"] = {f"{key} ({names[int(key)]})": facts for key, facts in table["text"].items()}
    record.write_text(json.dumps(table))
    assert "continuing from step 1" in train(command, *FILES, *VALID, more=(*BYTES[::2], "training.train_steps=2"))


CHANGES: dict[str, tuple[Callable[[Path], None], tuple[str, ...], str]] = {
    "another word": (
        lambda d: (d / "x").write_bytes(tsv(PAIRS).replace(b"Hund", b"Hond")) and None,
        ('data.train=[{tsv="x"}]',),
        "data.text.0 (train: x).sha256",
    ),
    "the other direction": (
        lambda d: None,
        ('data.train=[{tsv="x", src_column=1, tgt_column=0}]',),
        "data.columns",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_other_content_is_refused(change: str, command: Command, tmp_path: Path) -> None:
    apply, corpora, word = CHANGES[change]
    write(tmp_path, x=tsv(PAIRS))
    train(command, "--set", 'data.train=[{tsv="x"}]', *VALID)
    apply(tmp_path)
    outcome = command(
        "train", *VALID, "--preset", "tiny", "--output", "run",
        *settings("training.valid_bleu_sentences=1", *BYTES, *corpora),
    )  # fmt: skip
    assert outcome.status == 1
    assert word in outcome.err
