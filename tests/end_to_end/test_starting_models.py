"""``--init-from``: a recipe that does not fit the initial model is refused before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from pellucid.bundle import read_description

from .conftest import Command
from .small_runs import numbered_lines, options, settings

TEXT = numbered_lines()


@pytest.fixture(autouse=True)
def text(tmp_path: Path) -> None:
    (tmp_path / "s").write_text(TEXT)
    (tmp_path / "t").write_text(TEXT.upper())


def start(model: str | Path, *more: str, output: str = "tuned") -> tuple[str | Path, ...]:
    given = options("training.train_steps=1", "training.threads=1", "training.batch_size=199", *more)
    return ("train", "--init-from", model, "--train-src", "s", "--train-tgt", "t", "--output", output, *given)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("tokenizer.kind=sentencepiece", ("tokenizer.kind = sentencepiece (it has bytes)",)),
        ("tokenizer.vocab_size=500", ("tokenizer.vocab_size = 500 (it has 260)",)),
        ("tokenizer.lowercase=true", ("tokenizer.lowercase = true (it has false)", "[tokenizer] out")),
        ("tokenizer.model_type=bpe", ("tokenizer.model_type = bpe (it has no recorded value)",)),
        ("model.d_model=24", ("model.d_model = 24 (it has 12)", "[model]")),
        ("model.norm_order=pre", ("model.norm_order = pre (it has post)",)),
        ("preset='big'", ("model.d_model = 1024 (it has 12)", "model.num_encoder_layers = 6 (it has 2)")),
    ],
)
def test_settings_that_differ_from_the_model_are_refused_before_anything_is_written(
    setting: str, words: tuple[str, ...], command: Command, tiny_model: Path, tmp_path: Path
) -> None:
    for more in ((), ("--dry-run",)):
        outcome = command(*start(tiny_model, setting), *more)
        assert outcome.status == 1
        for word in words:
            assert word in outcome.err
        assert not (tmp_path / "tuned").exists()


def test_shape_and_tokenizer_are_reported_together(command: Command, tiny_model: Path) -> None:
    outcome = command(*start(tiny_model, "model.d_feedforward=23", "tokenizer.kind=sentencepiece"))
    assert "model.d_feedforward = 23" in outcome.err
    assert "tokenizer.kind = sentencepiece" in outcome.err


def test_settings_equal_to_the_models_are_accepted(command: Command, tiny_model: Path) -> None:
    outcome = command(
        *start(tiny_model, "model.d_model=12", "model.num_heads=3", "tokenizer.kind=bytes", "model.dropout=0.25")
    )
    assert outcome.status == 0, outcome.err


def test_a_run_can_start_from_separate_vocabularies(command: Command, tmp_path: Path) -> None:
    made = command(
        "train", "--train-src", "s", "--train-tgt", "t", "--preset", "tiny", "--output", "first",
        *settings("training.train_steps=1", "tokenizer.joint=false", "model.share_embeddings=false"),
    )  # fmt: skip
    assert made.status == 0, made.err
    outcome = command(*start("first"))
    assert outcome.status == 0, outcome.err
    names = {path.name for path in (tmp_path / "tuned/model/tokenizer").iterdir()}
    assert {"source.sentencepiece.model", "target.sentencepiece.model"} <= names
    refused = command(*start("first", "tokenizer.joint=true", output="other"))
    assert refused.status == 1
    assert "tokenizer.joint = true (it has false)" in refused.err


def test_a_run_without_a_model_yet_says_so(command: Command, tmp_path: Path) -> None:
    (tmp_path / "young" / "checkpoints").mkdir(parents=True)
    for arguments in (start("young"), ("translate", "young")):
        outcome = command(*arguments)
        assert outcome.status == 1
        assert "young: this run has no model yet" in outcome.err


@pytest.mark.parametrize(
    ("given", "languages", "said"),
    [
        ((), ("de", "en"), ["languages: src_lang = de, tgt_lang = en, from the initial model"]),
        (("--src-lang", "de", "--tgt-lang", "en"), ("de", "en"), []),
        (
            ("--tgt-lang", "fr"),
            ("de", "fr"),
            [
                "warning: tgt_lang = fr, but the initial model ",
                "has tgt_lang = en; ",
                "languages: src_lang = de,",
            ],
        ),
        (("--src-lang", "src"), ("src", "en"), ["warning: src_lang = src, but", "languages: tgt_lang = en,"]),
    ],
)
def test_the_model_decides_the_languages_unless_the_recipe_does(
    given: tuple[str, ...],
    languages: tuple[str, str],
    said: list[str],
    command: Command,
    tiny_model: Path,
    tmp_path: Path,
) -> None:
    tried, done = (command(*start(tiny_model), *given, *more) for more in (("--dry-run",), ()))
    assert done.status == 0, done.err
    for word in said or [" "]:
        assert word in done.err
        assert word in tried.out + tried.err
    assert ("warning: " in done.err, "languages: " in done.err) == (
        any("warning" in word for word in said),
        any("languages" in word for word in said),
    )
    found = read_description(tmp_path / "tuned" / "model")
    assert (found.source_language, found.target_language) == languages
    again = command(*start(tiny_model), *given)
    assert again.status == 0, again.err
