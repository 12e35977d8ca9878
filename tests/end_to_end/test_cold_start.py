"""What the first translation of a process does not wait for: packages that it does not need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import pellucid

from .conftest import Command

MODEL = Path(pellucid.__file__).parent / "sample" / "walkthrough" / "model"
_CHILD = """\
import json, sys
sys.argv = ["pellucid", *json.loads(sys.argv[1])]
try:
    from pellucid.cli.main import run
    run()
finally:
    print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
"""


def imported_by(*arguments: str, stdin: str = "", status: int = 0) -> tuple[str, set[str]]:
    """Run the command; return what it said and the packages that it imported."""
    command = [sys.executable, "-c", _CHILD, json.dumps(arguments)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        command, input=stdin, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == status, done.stderr
    *said, modules = done.stderr.splitlines()
    return done.stdout if status == 0 else "\n".join(said), set(json.loads(modules))


def test_a_prepared_model_translates_without_torch(command: Command) -> None:
    arguments = ("translate", str(MODEL), "--device", "cpu", "--threads", "1", "--alignment")
    assert command(*arguments).status == 0  # compiles and prepares
    translation, packages = imported_by(*arguments, stdin="The cat is very tired.\n")
    assert translation == "Le chat est très fatigué. ||| 0-0 1-1 2-2 3-3 4-4\n"
    assert not packages & {"torch", "rich", "safetensors", "sacrebleu", "tomlkit", "onnxruntime", "scipy", "pandas"}


def test_a_prepared_model_scores_without_torch(command: Command, tmp_path: Path) -> None:
    (tmp_path / "en").write_text("The cat is very tired.\n", encoding="utf-8")
    (tmp_path / "fr").write_text("Le chat est très fatigué.\n", encoding="utf-8")
    arguments = ("score", str(MODEL), "--src", str(tmp_path / "en"), "--tgt", str(tmp_path / "fr"), "--device", "cpu")
    assert command(*arguments).status == 0  # compiles and prepares
    scores, packages = imported_by(*arguments)
    assert -1 < float(scores.split("\t")[0]) < 0
    assert "torch" not in packages


def test_python_code_translates_without_torch() -> None:
    program = (
        "import sys, pellucid\n"
        f"translator = pellucid.load({str(MODEL)!r}, device='cpu', threads=1)\n"
        "print(translator.translate('The cat is very tired.').text, 'torch' in sys.modules)\n"
    )
    pellucid.load(MODEL, device="cpu", threads=1)  # compiles and prepares
    run = [sys.executable, "-c", program]
    said = subprocess.run(run, capture_output=True, text=True, timeout=600, check=True).stdout
    assert said == "Le chat est très fatigué. False\n"


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("translate", "--help")])
def test_help_imports_nothing_that_computes(arguments: tuple[str, ...]) -> None:
    _, packages = imported_by(*arguments)
    assert not packages & {"torch", "numpy", "rich", "sentencepiece"}
    assert "pydantic" not in packages or arguments[0] == "translate"  # Typer itself imports it for a verb


@pytest.mark.parametrize(
    ("setting", "words"),
    [("training.lerning_rate=1", "did you mean 'learning_rate'"), ("model.num_heads=7", "num_heads = 7")],
)
def test_a_mistake_in_a_recipe_is_told_before_anything_that_computes_is_imported(setting: str, words: str) -> None:
    texts = ("--train-src", "s", "--train-tgt", "t", "--preset", "tiny", "--output", "run")
    said, packages = imported_by("train", *texts, "--set", setting, status=1)
    assert words in said
    assert not packages & {"torch", "numpy", "sentencepiece"}


def test_the_package_itself_imports_nothing() -> None:
    code = "import pellucid, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True)
    packages = {name.partition(".")[0] for name in done.stdout.split()}
    assert not packages & {"torch", "numpy", "pydantic", "rich", "typer"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("learn", "fr-en", "--corrections", ".", "--output", "run"),
        ("translate", "fr-en", "x"),
        ("suggest", "fr-en", "le"),
        ("evaluate", "fr-en", "--src", "x", "--ref", "x"),
        ("synthesize", "fr-en", "x", "--output", "corpus"),
        ("inspect", "fr-en", "le chien"),
        ("inspect", "the dog"),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_a_misspelt_setting_is_told_before_torch_is_imported(arguments: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_text("le chien\n", encoding="utf-8")
    said, packages = imported_by(*(str(file) if one == "x" else one for one in arguments), "--set", "tipo=1", status=1)
    assert "tipo: unknown setting; " in said
    assert "torch" not in packages
