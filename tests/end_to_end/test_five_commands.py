"""The five commands of docs/guides/exchanging.md, as they stand there, on a stand-in for an OPUS-MT folder.

No model of OPUS-MT is in this repository: the stand-in has the format's files and random weights.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
from tests.unit.interop.kit import make_folder, sentences

from pellucid.interop import formats

from .conftest import Command

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "exchanging.md"
FEWER = {
    "translate": ("--set", "max_length_constant=3", "--set", "beam_size=2"),
    "train": (
        *("--set", "training.train_steps=2", "--set", "training.valid_steps=2", "--set", "training.batch_size=97"),
        *("--set", "training.valid_bleu_sentences=0", "--set", "training.warmup_steps=1"),
    ),
}


def documented() -> list[list[str]]:
    """Return the commands of the section, split into words."""
    section = GUIDE.read_text(encoding="utf-8").split("## Five commands", 1)[1].split("\n## ", 1)[0]
    block = re.search(r"```bash\n(.*?)```", section, re.DOTALL)
    assert block is not None
    return [shlex.split(line) for line in block[1].replace("\\\n", " ").split("\n") if line.strip()]


@pytest.mark.slow
def test_the_five_commands_run(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "has_transformers", lambda: False)
    make_folder(tmp_path / "opus-mt-en-fr")
    for name, seed, count in (("train", 1, 97), ("valid", 5, 11)):
        for side, shift in (("en", 0), ("fr", 1)):
            lines = sentences(seed + shift, count)
            (tmp_path / f"{name}.{side}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (tmp_path / "text.en").write_text("Bata gune.\nDépo lira !\n", encoding="utf-8")
    for folder in ("models", "runs"):
        (tmp_path / folder).mkdir()
    lines = documented()
    assert [line[:2] for line in lines] == [
        ["pellucid", verb] for verb in ("import", "translate", "inspect", "train", "export")
    ]
    for _, verb, *words in lines:
        if verb == "export" and importlib.util.find_spec("ctranslate2") is None:
            pytest.skip("ctranslate2 is not installed: pip install 'pellucid[ctranslate2]'")
        if "--minutes" in words:  # a run has one budget, and here it is two steps
            place = words.index("--minutes")
            del words[place : place + 2]
        done = command(verb, *words, *FEWER.get(verb, ()))
        assert done.status == 0, (verb, done.err)
    assert (tmp_path / "text.fr").read_text(encoding="utf-8").count("\n") == 2
    assert "data-start" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert (tmp_path / "models" / "en-fr-ct2" / "model.bin").is_file()
