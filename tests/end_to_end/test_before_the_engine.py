"""What is wrong with a command is said before an engine is opened, compiled and prepared."""

from __future__ import annotations

from pathlib import Path

import pytest

from pellucid.jobs.aligning import files as aligning
from pellucid.jobs.options import translation

from .conftest import Command

TERMS = "a file of terms (source form, tab, target forms)"


@pytest.fixture(autouse=True)
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test where an engine is opened or weights are read."""

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("an engine was opened")

    monkeypatch.setattr(translation, "open_translator", fail)
    monkeypatch.setattr(aligning, "load_bundle", fail)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("translate M nope.de", "nope.de: no such file; name a text file"),
        ("translate M nope.de --output out", "nope.de: no such file"),
        ("translate M x --prefix-file nope", "nope: no such file"),
        ("translate M x --prefix-file long --output out", "x has 1 line, and long has more"),
        ("translate M x --terms nope.tsv", f"nope.tsv: no such file; name {TERMS}"),
        ("translate M x --terms x", "x, line 1: has 1 column"),
        ("translate M x --restart", "--restart discards the parts"),
        ("translate M x --n-best 3 --set beam_size=3", "n_best = 3 does not fit --format text"),
        ("translate M x --set beam_sise=3", "did you mean 'beam_size'"),
        ("translate M x --output x", "--output x is also the input"),
        ("translate M x --output no/out", "no/out: cannot be written: there is no folder "),
        ("translate M x --output .", "is a folder"),
        ("translate M .", ".: is a folder; name a text file"),
        ("translate M x --format moses --alignment", "--alignment does not fit --format moses"),
        ("translate M - --terms -", "both standard input"),
        ("translate M nope.de --document", "nope.de: no such file"),
        ("translate M x --document --terms nope.tsv", f"nope.tsv: no such file; name {TERMS}"),
        ("translate M x --document --format moses", "--format moses holds lines and no document"),
        ("translate M - --document --terms -", "both standard input"),
        ("translate nowhere x", "nowhere: no such folder"),
        ("score M --src nope --tgt x", "nope: no such file"),
        ("score M --src x --tgt long", "x"),
        ("evaluate M --src nope --ref x", "nope: no such file"),
        ("evaluate M --src x --ref x --set beam_sise=3", "did you mean 'beam_size'"),
        ("evaluate M --src x --ref x --json no/report", "there is no folder no"),
        ("align M --src nope --tgt x", "nope: no such file"),
        ("align fr-en --src x --tgt x --choose", "--choose would write into the installed package"),
        ("align M --src x --tgt x --choose --gold nope", "nope: no such file"),
        ("align M --src x --tgt x --choose --gold long", "long: has 2 lines of links"),
        ("suggest M a --format xml", "--format 'xml' is unknown"),
        ("suggest M a --set beam_sise=3", "did you mean 'beam_size'"),
        ("synthesize M nope --output out", "nope: no such file"),
        ("synthesize M x --output out --kind distillation --reference long", "long has 2 lines"),
        ("synthesize M x --output out --kind distillation --reference x --set beam_size=1", "beam_size = 1 gives one"),
        ("synthesize M x --output no/out", "there is no folder "),
    ],
)
def test_wrong_commands_open_no_engine(
    line: str, said: str, command: Command, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "x").write_text("Hund\n")
    (tmp_path / "long").write_text("Hund\nKatze\n")
    outcome = command(*(tiny_model if word == "M" else word for word in line.split()))
    assert outcome.status == 1, outcome.err
    assert said in outcome.err
    assert "Traceback" not in outcome.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["long", "x"]
